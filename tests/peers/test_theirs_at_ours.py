"""What the real Django package signs is admitted by our verification: its JWT, and its own signatures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth.link_errors import ExpiredCredential, WrongAppToken
from flask_linked_auth.links.keys import ALGORITHMS, generate_key
from flask_linked_auth.links.wire import (
    form_of,
    legacy_body,
    read_legacy,
    read_link,
    verify_jwt,
    verify_legacy,
)
from tests.peers.academy import key_of

if TYPE_CHECKING:
    from tests.peers.academy import Academy
    from tests.peers.ear import Ear, Heard

HMACS = ["HS256", "HS512"]


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("user", [None, 3])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_we_admit_the_token_of_its_client(
    academy: Academy, slug: str, ear: Ear, algorithm: str, user: int | None, how: str
) -> None:
    key = key_of(academy.has_app(slug, algorithm, app_url=ear.address), algorithm)
    academy.calls(slug, "POST", "/hello", how=how, user=user, json={"a": 1})
    scheme, credential = ear.last.authorization
    app, token = read_link(credential)
    assert (scheme, app) == ("Link", academy.name)
    claims = verify_jwt(app, token, [key], receiver=slug)
    assert claims.sub == (None if user is None else str(user))
    assert (claims.app, claims.aud, claims.iss, claims.typ) == (academy.name, slug, academy.address, "JWT")
    assert claims.exp - claims.iat == pytest.approx(601, abs=0.01)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_we_refuse_it_by_another_key_for_another_or_late(
    academy: Academy, slug: str, ear: Ear, algorithm: Any
) -> None:
    key = key_of(academy.has_app(slug, algorithm, app_url=ear.address), algorithm)
    academy.calls(slug, "GET", "/hello")
    app, token = read_link(ear.last.authorization[1])
    with pytest.raises(WrongAppToken):
        verify_jwt(app, token, [generate_key(algorithm)], receiver=slug)
    with pytest.raises(WrongAppToken):
        verify_jwt(app, token, [key], receiver="somebody-else")
    with pytest.raises(ExpiredCredential):
        verify_jwt(app, token, [key], receiver=slug, now=time.time() + 610)
    assert verify_jwt(app, token, [generate_key(algorithm), key], receiver=slug).app == academy.name


def test_we_may_hold_only_the_public_half_of_its_key(academy: Academy, slug: str, ear: Ear) -> None:
    ours, theirs = generate_key("EdDSA"), generate_key("EdDSA")
    keys = {"private_key": theirs.private_hex(), "public_key": ours.public_hex()}
    academy.has_app(slug, "EdDSA", app_url=ear.address, **keys)
    academy.calls(slug, "GET", "/hello", user=3)
    app, token = read_link(ear.last.authorization[1])
    assert verify_jwt(app, token, [theirs.public()], receiver=slug).sub == "3"
    with pytest.raises(WrongAppToken):
        verify_jwt(app, token, [ours], receiver=slug)


#: Method and what its client was given.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "GET": ("GET", {}),
    "GET with params": ("GET", {"params": {"q": "1", "name": "José 'O'"}}),
    "GET with params as lists": ("GET", {"params": {"q": ["1", "2"]}}),
    "HEAD": ("HEAD", {}),
    "POST without a body": ("POST", {}),
    "POST of JSON": ("POST", {"json": {"a": 1, "b": [None, True, 2.5, "é'\""], "c": {}}}),
    "POST of JSON with params": ("POST", {"json": {"a": 1}, "params": {"q": "1"}}),
    "POST of a form": ("POST", {"data": {"a": "1", "b": "José"}}),
    "POST of a form with a name twice": ("POST", {"data": {"a": ["1", "2"]}}),
    "PUT of JSON": ("PUT", {"json": {"a": 1}}),
    "PATCH of a list": ("PATCH", {"json": [{"a": 1}, 2]}),
    "DELETE": ("DELETE", {}),
}


def _covered(heard: Heard) -> dict[str, Any]:
    """What of a request an old signature covers, as a guard would take it apart."""
    body = legacy_body(heard.body, heard.headers.get("content-type", ""))
    return {"method": heard.method, "params": form_of(heard.query), "body": body, "headers": heard.headers}


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("name", CALLS)
def test_we_admit_the_signature_of_its_client(
    academy: Academy, slug: str, ear: Ear, name: str, how: str
) -> None:
    method, given = CALLS[name]
    algorithm: Any = HMACS[len(name) % 2]
    key = key_of(academy.has_app(slug, algorithm, app_url=ear.address), algorithm)
    called = academy.calls(slug, method, "/hello", how=how, mode="signature", **given)
    assert called.get("status") == 200, called
    fields = read_legacy(ear.last.authorization[1])
    covered = _covered(ear.last)
    claims = verify_legacy(fields, [generate_key(algorithm), key], **covered)
    assert (claims.app, claims.sub, claims["sub"]) == (academy.name, None, None)
    others: dict[str, Any] = {"method": "TRACE", "params": {"other": ["1"]}, "body": {"other": 1}}
    for name, other in others.items():
        with pytest.raises(WrongAppToken):
            verify_legacy(fields, [key], **{**covered, name: other})
    with pytest.raises(WrongAppToken):
        verify_legacy(fields, [generate_key(algorithm)], **covered)

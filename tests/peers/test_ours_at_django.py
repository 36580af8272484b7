"""What we sign opens the views of the real Django package: its JWT and its own signatures."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from flask_linked_auth.links.keys import ALGORITHMS, LinkKey, generate_key
from flask_linked_auth.links.wire import form_of, legacy_body, sign_jwt, sign_legacy
from tests.peers.academy import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.academy import Academy

VIEWS = ["function", "class", "async", "jwt"]
HMACS = ["HS256", "HS512"]
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def _signed(key: LinkKey, slug: str, subject: str = "", **times: Any) -> dict[str, str]:
    token = sign_jwt(
        key, sender=slug, receiver="academy", subject=subject, issuer="https://blog.example", **times
    )
    return {"Authorization": token}


@pytest.mark.parametrize("subject", ["", "7"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_our_token_opens_its_views(academy: Academy, slug: str, algorithm: str, subject: str) -> None:
    key = key_of(academy.has_app(slug, algorithm), algorithm)
    for view in VIEWS:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = academy.ask(method, f"/posts/{view}", _signed(key, slug, subject))
            assert answer.status_code == 200, answer.text
            assert answer.json()["app"] == slug
            assert answer.json()["sub"] == (int(subject) if subject else None)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_our_token_by_another_key_does_not(academy: Academy, slug: str, algorithm: Any) -> None:
    app = academy.has_app(slug, algorithm)
    right, wrong = key_of(app, algorithm), generate_key(algorithm)
    for headers in (_signed(wrong, slug), _signed(right, slug, now=time.time() - 700)):
        answer = academy.ask("GET", "/posts/function", headers)
        assert (answer.status_code, answer.json()) == (401, {"detail": "wrong-app-token"})


def test_it_may_hold_only_the_public_half_of_our_key(academy: Academy, slug: str) -> None:
    ours, theirs = generate_key("EdDSA"), generate_key("EdDSA")
    academy.has_app(slug, "EdDSA", private_key=theirs.private_hex(), public_key=ours.public_hex())
    answer = academy.ask("GET", "/posts/function", _signed(ours, slug, "7"))
    assert (answer.status_code, answer.json().get("sub")) == (200, 7), answer.text
    answer = academy.ask("GET", "/posts/function", _signed(theirs, slug, "7"))
    assert (answer.status_code, answer.json()) == (401, {"detail": "wrong-app-token"})


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/Caracas")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
def test_our_clock_may_be_set_to_any_zone(academy: Academy, slug: str) -> None:
    assert time.timezone == 4 * 3600
    key = key_of(academy.has_app(slug), "HS512")
    assert academy.ask("GET", "/posts/function", _signed(key, slug)).status_code == 200


#: Method, query, body and its content type.
REQUESTS: dict[str, tuple[str, str, bytes, str]] = {
    "GET": ("GET", "", b"", ""),
    "GET with a query": ("GET", "q=1&name=Jos%C3%A9+%27O%27&q=2&empty=", b"", ""),
    "POST without a body": ("POST", "", b"", ""),
    "POST of JSON": (
        "POST",
        "",
        json.dumps({"a": 1, "b": [None, True, 2.5, "é'\""], "c": {}}).encode(),
        JSON,
    ),
    "POST of JSON with a query": ("POST", "q=1", b'{"a": 1}', JSON),
    "PUT of JSON": ("PUT", "", b'{"a": 1}', JSON),
    "PATCH of a list": ("PATCH", "", b'[{"a": 1}, 2]', JSON),
    "POST of a form": ("POST", "", urlencode({"a": "1", "b": "José"}).encode(), FORM),
    "POST of a form with a name twice": ("POST", "", b"a=1&a=2&b=3", FORM),
    "POST of an empty form": ("POST", "", b"", FORM),
    "DELETE": ("DELETE", "", b"", ""),
    "DELETE with JSON": ("DELETE", "", b'{"a": 1}', JSON),
}


@pytest.mark.parametrize("view", ["signature", "async-signature", "function", "class", "async"])
@pytest.mark.parametrize("name", REQUESTS)
def test_our_signature_opens_its_views(academy: Academy, slug: str, name: str, view: str) -> None:
    method, query, data, content_type = REQUESTS[name]
    algorithm = HMACS[len(name) % 2]
    app = academy.has_app(slug, algorithm, strategy="JWT" if "signature" in view else "SIGNATURE")
    body = legacy_body(data, content_type)
    headers = {
        "Authorization": sign_legacy(
            key_of(app, algorithm), sender=slug, method=method, params=form_of(query), body=body
        )
    }
    headers |= {"Content-Type": content_type} if content_type else {}
    answer = academy.ask(method, f"/posts/{view}{'?' if query else ''}{query}", headers, data=data)
    assert (answer.status_code, answer.json().get("app")) == (200, slug), answer.text
    if content_type == JSON:
        assert answer.json()["data"] == json.loads(data)


@pytest.mark.parametrize("algorithm", HMACS)
def test_our_signature_by_another_key_does_not(academy: Academy, slug: str, algorithm: Any) -> None:
    academy.has_app(slug, algorithm)
    header = sign_legacy(generate_key(algorithm), sender=slug, method="GET", params={}, body=None)
    answer = academy.ask("GET", "/posts/signature", {"Authorization": header})
    assert (answer.status_code, answer.json()) == (401, {"detail": "wrong-app-token"})

"""What the Django package gets wrong (wire.md): shown at the package itself first, and then that we don't share it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth.link_errors import BadTimestamp, ExpiredCredential, LinkRefused, WrongAppToken
from flask_linked_auth.links.keys import LinkKey, generate_key
from flask_linked_auth.links.signatures import Target, read_signature, sign_request, verify_request
from flask_linked_auth.links.wire import (
    legacy_body,
    read_legacy,
    read_link,
    sign_jwt,
    sign_legacy,
    verify_jwt,
    verify_legacy,
)
from tests.peers import forged
from tests.peers.academy import key_of

if TYPE_CHECKING:
    from tests.peers.academy import Academy

JSON = {"Content-Type": "application/json"}
NOTHING: dict[str, Any] = {"method": "GET", "params": {}, "body": None}


def _header(credential: str) -> dict[str, str]:
    return {"Authorization": credential}


def _credential(header: str) -> str:
    return header.partition(" ")[2]


def _token_claims(header: str, key: LinkKey, receiver: str = "academy") -> Any:
    return verify_jwt(*read_link(_credential(header)), [key], receiver=receiver)


def _old_claims(header: str, keys: list[LinkKey], **covered: Any) -> Any:
    return verify_legacy(read_legacy(_credential(header)), keys, **{**NOTHING, "headers": {}, **covered})


def test_its_signature_is_good_for_another_path_and_again(academy: Academy, slug: str) -> None:
    key = key_of(academy.has_app(slug), "HS512")
    header = sign_legacy(key, sender=slug, **NOTHING)
    for path in ("/posts/signature", "/posts/async-signature", "/posts/signature"):
        assert academy.ask("GET", path, _header(header)).status_code == 200

    ours, target = generate_key("HS512"), Target("GET", "billing.example", "/v1/a", "q=1")
    headers = sign_request(ours, target, sender="blog", subject="7", digest=None)
    received = read_signature(headers["Signature-Input"], headers["Signature"])
    assert received is not None
    verify_request(received, ours, target, subject="7", digest=None)
    for other in (
        Target("POST", "billing.example", "/v1/a", "q=1"),
        Target("GET", "shop.example", "/v1/a", "q=1"),
        Target("GET", "billing.example", "/v1/b", "q=1"),
        Target("GET", "billing.example", "/v1/a", "q=2"),
    ):
        with pytest.raises(LinkRefused):
            verify_request(received, ours, other, subject="7", digest=None)
    with pytest.raises(LinkRefused):
        verify_request(received, ours, target, subject="8", digest=None)


def test_a_string_that_reads_like_an_object_is_no_object(academy: Academy, slug: str) -> None:
    key = key_of(academy.has_app(slug), "HS512")
    honest: dict[str, Any] = {"method": "POST", "params": {}, "body": {"a": 1}}
    header = sign_legacy(key, sender=slug, **honest)
    disguised = json.dumps("{'a': 1}").encode()
    answer = academy.ask("POST", "/posts/signature", {**_header(header), **JSON}, data=disguised)
    assert (answer.status_code, answer.json()["data"]) == (200, "{'a': 1}")

    assert _old_claims(header, [key], **honest).app == slug
    with pytest.raises(ValueError, match=r"object|JSON|list"):
        legacy_body(disguised, JSON["Content-Type"])


def test_a_header_that_was_not_signed_does_not_pass_for_signed(academy: Academy, slug: str) -> None:
    app = academy.has_app(slug)
    given = {"app": slug, "method": "GET", "body": "{}", "headers": "{'X-Role': 'reader'}"}
    # The names of the covered headers are not covered themselves: whoever is in between can write others.
    header = forged.signature(app["private_key"], "HS512", **given, signed_headers="X-Role-Of-Admin")
    given_headers = {"X-Role": "reader"}
    sent = {**given_headers, "X-Role-Of-Admin": "root"}
    unlucky = academy.ask("GET", "/posts/signature", {**_header(header), **sent})
    assert unlucky.status_code == 401  # both names are in the text, so both count
    answer = academy.ask("GET", "/posts/signature", {**_header(header), **given_headers})
    assert answer.status_code == 200

    key = key_of(app, "HS512")
    right = forged.signature(app["private_key"], "HS512", **given, signed_headers="X-Role")
    assert _old_claims(right, [key], headers=given_headers).app == slug
    for headers in (given_headers, sent):
        with pytest.raises(LinkRefused):
            _old_claims(header, [key], headers=headers)


@pytest.mark.parametrize("hours", [-5, 5])
def test_the_zone_of_a_date_counts(academy: Academy, slug: str, hours: int) -> None:
    app = academy.has_app(slug)
    now = datetime.now(UTC).replace(tzinfo=None).isoformat()
    header = forged.signature(
        app["private_key"],
        "HS512",
        app=slug,
        method="GET",
        body="{}",
        date=f"{now}{'+' if hours > 0 else '-'}0{abs(hours)}:00",
    )
    assert academy.ask("GET", "/posts/signature", _header(header)).status_code == 200

    with pytest.raises((ExpiredCredential, BadTimestamp)):
        _old_claims(header, [key_of(app, "HS512")])


def test_an_app_does_not_speak_for_another(academy: Academy, slug: str) -> None:
    mine, victim = academy.has_app(slug), f"{slug}-victim"
    academy.has_app(victim)
    ana = academy.told("user", username=f"ana-{slug}", credentials={victim: 41})["id"]
    given = {"aud": academy.name, "said": slug}
    # By name, and as part of a query: `credentials.app[<victim>] >= 1` finds somebody too.
    for app, sub in ((victim, "41"), (f"{victim}__gte", "1")):
        header = forged.token(mine["private_key"], "HS512", app=app, sub=sub, **given)
        answer = academy.ask("GET", "/posts/function?get_user=1", _header(header))
        assert answer.status_code == 200, answer.text
        assert answer.json()["user"]["id"] == ana

        with pytest.raises(LinkRefused):
            _token_claims(header, key_of(mine, "HS512"))


def test_a_token_that_is_good_for_ten_years_is_refused(academy: Academy, slug: str) -> None:
    app = academy.has_app(slug)
    key = key_of(app, "HS512")
    header = forged.token(
        app["private_key"], "HS512", app=slug, aud=academy.name, exp=time.time() + 10 * 365 * 86400
    )
    assert academy.ask("GET", "/posts/function", _header(header)).status_code == 200

    with pytest.raises(BadTimestamp):
        _token_claims(header, key)


@pytest.mark.parametrize("algorithm", ["HS512", "EdDSA"])
def test_while_a_key_is_replaced_both_are_good_in_tokens(academy: Academy, slug: str, algorithm: Any) -> None:
    old = key_of(academy.has_app(slug, algorithm), algorithm)
    rotated = academy.has_app(slug, algorithm, private_key="", public_key=None)
    new = key_of(rotated, algorithm)
    assert rotated["old_key"]
    headers = [
        sign_jwt(key, sender=slug, receiver=academy.name, subject="7", issuer="") for key in (new, old)
    ]
    assert [academy.ask("GET", "/posts/function", _header(each)).status_code for each in headers] == [
        200,
        500,
    ]

    for header in headers:
        for keys in ([new, old], [old, new]):
            assert verify_jwt(*read_link(_credential(header)), keys, receiver=academy.name).sub == "7"
        with pytest.raises(WrongAppToken):
            _token_claims(header, generate_key(algorithm))


def test_while_a_key_is_replaced_both_are_good_in_old_signatures(academy: Academy, slug: str) -> None:
    old = key_of(academy.has_app(slug), "HS512")
    new = key_of(academy.has_app(slug, private_key=""), "HS512")
    headers = [sign_legacy(key, sender=slug, **NOTHING) for key in (new, old)]
    statuses = [academy.ask("GET", "/posts/signature", _header(each)).status_code for each in headers]
    assert statuses == [401, 200]

    for header in headers:
        for keys in ([new, old], [old, new]):
            assert _old_claims(header, keys).app == slug
        with pytest.raises(WrongAppToken):
            _old_claims(header, [generate_key("HS512")])


def _claims_that_stumble() -> dict[str, dict[str, Any]]:
    return {
        "no sub": {"sub": forged.ABSENT},
        "no app": {"app": forged.ABSENT},
        "a name as sub": {"sub": "ana"},
    }


@pytest.mark.parametrize("name", _claims_that_stumble())
def test_odd_claims_are_no_server_error(academy: Academy, slug: str, name: str) -> None:
    row = academy.has_app(slug)
    claims = {"app": slug, "aud": academy.name, **_claims_that_stumble()[name]}
    header = forged.token(row["private_key"], "HS512", said=slug, **claims)
    assert academy.ask("GET", "/posts/function?get_user=1", _header(header)).status_code == 500

    if (
        name == "a name as sub"
    ):  # a UUID or a name is a person's id as good as any, and never becomes a number
        assert _token_claims(header, key_of(row, "HS512")).sub == "ana"
    else:
        with pytest.raises(LinkRefused):
            _token_claims(header, key_of(row, "HS512"))


def test_the_window_of_an_old_signature_is_two_minutes(academy: Academy, slug: str) -> None:
    row = academy.has_app(slug)
    key = key_of(row, "HS512")
    for seconds, admitted in ((-110, True), (-130, False), (110, True), (130, False)):
        moment = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        header = forged.signature(row["private_key"], "HS512", app=slug, method="GET", body="{}", date=moment)
        answer = academy.ask("GET", "/posts/signature", _header(header))
        assert answer.status_code == (200 if admitted else 401)
        if not admitted:
            with pytest.raises((ExpiredCredential, BadTimestamp)):
                _old_claims(header, [key])

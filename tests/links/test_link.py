"""A link signs calls by each dialect, so that the other side admits them; only towards its own origin."""

from __future__ import annotations

from typing import Any

import pytest

from flask_linked_auth.link_errors import ForeignAddress
from flask_linked_auth.links.keys import LinkKey, generate_key
from flask_linked_auth.links.link import DIALECTS, SIGNATURE_HEADERS, Dialect, Link
from flask_linked_auth.links.signatures import (
    Target,
    check_body,
    content_digest,
    read_signature,
    verify_request,
)
from flask_linked_auth.links.wire import (
    form_of,
    legacy_body,
    read_legacy,
    read_link,
    verify_jwt,
    verify_legacy,
)

KEYS: dict[Dialect, LinkKey] = {dialect: generate_key("HS256") for dialect in DIALECTS}
LINK = Link(
    "blog", "billing", "https://billing.example/", KEYS["link"], issuer="https://blog.example", keys=KEYS
)
BODY = b'{"a": 1}'


def test_by_default_a_call_carries_a_jwt() -> None:
    headers = LINK.sign("GET", "https://billing.example/x", body=None, subject="3")
    assert headers.keys() == {"Authorization"}
    app, token = read_link(headers["Authorization"].removeprefix("Link "))
    claims = verify_jwt(app, token, [KEYS["link"]], receiver="billing")
    assert (claims.app, claims.sub, claims.iss) == ("blog", "3", "https://blog.example")


@pytest.mark.parametrize("body", [None, b"", BODY])
def test_a_signed_request_covers_what_is_sent(body: bytes | None) -> None:
    url = "https://billing.example/a%2Fb?q=1&q=%20#top"
    headers = LINK.sign("POST", url, body=body, subject="3", dialect="signature")
    assert {name.lower() for name in headers} <= SIGNATURE_HEADERS
    received = read_signature(headers["Signature-Input"], headers["Signature"])
    assert received is not None
    target = Target("POST", "billing.example", "/a%2Fb", "q=1&q=%20")
    digest = headers.get("Content-Digest")
    assert (digest is None) == (not body)
    verify_request(received, KEYS["signature"], target, subject=headers["Linked-Subject"], digest=digest)
    check_body(digest, body or b"", declared=bool(body))
    again = LINK.sign("POST", url, body=body, subject="3", dialect="signature")
    assert again["Signature"] != headers["Signature"]


def test_a_body_that_was_hashed_elsewhere_is_not_asked_for() -> None:
    digest = content_digest(BODY, "sha-512")
    headers = LINK.sign("PUT", "https://billing.example", body=None, digest=digest, dialect="signature")
    assert headers["Content-Digest"] == digest
    assert '"content-digest"' in headers["Signature-Input"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(None, None), (BODY, "application/json"), (b"a=1", "application/x-www-form-urlencoded")],
)
def test_an_old_signature_is_what_django_computes(body: bytes | None, content_type: str | None) -> None:
    url = "https://billing.example/x?q=1"
    headers = LINK.sign("POST", url, body=body, content_type=content_type, dialect="legacy-signature")
    fields = read_legacy(headers["Authorization"].removeprefix("Signature "))
    request: dict[str, Any] = {"method": "POST", "params": form_of("q=1"), "headers": {}}
    keys = [KEYS["legacy-signature"]]
    read = legacy_body(body or b"", content_type or "")
    assert verify_legacy(fields, keys, **request, body=read).app == "blog"


@pytest.mark.parametrize(
    "more",
    [
        {"subject": "3", "body": None},
        {"body": None, "digest": content_digest(BODY)},
        {"body": BODY, "content_type": "text/plain"},
        {"body": BODY},
    ],
)
def test_what_the_old_signature_cannot_say_is_not_signed(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="old signature"):
        LINK.sign("POST", "https://billing.example/x", dialect="legacy-signature", **more)


@pytest.mark.parametrize(
    ("address", "url", "path", "query"),
    [
        ("https://billing.example", "https://billing.example", "/", ""),
        ("https://billing.example", "https://billing.example?a=1", "/", "a=1"),
        ("https://billing.example", "https://billing.example#x?y", "/", ""),
        ("https://billing.example", "https://billing.example//evil.example/x", "//evil.example/x", ""),
        ("https://billing.example", "HTTPS://Billing.Example:443/x", "/x", ""),
        ("https://billing.example:443", "https://billing.example/x?", "/x", ""),
        ("http://localhost:5000", "http://localhost:5000/a/../b", "/a/../b", ""),
        ("https://example.com/billing/", "https://example.com/elsewhere", "/elsewhere", ""),
    ],
)
def test_the_target_of_a_call_is_its_address_as_it_is_sent(
    address: str, url: str, path: str, query: str
) -> None:
    target = Link("blog", "billing", address, None).target("GET", url)
    assert (target.path, target.query) == (path, query)
    assert target.authority == address.split("/")[2].removesuffix(":443")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "https://billing.example.evil.example/x",
        "https://billing.example@evil.example/x",
        "https://billing.example:443@evil.example/x",
        "https://user@billing.example/x",
        "https://billing.example:8443/x",
        "https://billing.example\\@evil.example/x",
        "https://billing.exampl",
        "http://billing.example/x",
        "//billing.example/x",
        "/x",
        "",
        "https://[::1/x",
        "ftp://billing.example/x",
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_is_signed_for_another_origin(url: str, dialect: Dialect) -> None:
    with pytest.raises(ForeignAddress):
        LINK.sign("GET", url, body=None, dialect=dialect)


@pytest.mark.parametrize(
    "wrong",
    [
        {"me": "bl og"},
        {"slug": ""},
        {"slug": "a/b"},
        {"address": "billing.example"},
        {"address": "ftp://billing.example"},
        {"address": "https://"},
        {"address": "https://user@billing.example"},
        {"address": "https://billing.example/?x=1"},
        {"address": "https://billing.example/#x"},
        {"address": "https://[::1"},
        {"dialect": "oauth"},
    ],
)
def test_a_link_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Link(**{"me": "blog", "slug": "billing", "address": "https://billing.example", "key": None, **wrong})


def test_a_link_signs_by_the_dialects_that_have_a_key() -> None:
    link = Link("blog", "billing", "https://billing.example", KEYS["signature"], "signature")
    assert "Signature" in link.sign("GET", "https://billing.example/", body=None)
    with pytest.raises(ValueError, match="no key for the dialect 'link'"):
        link.sign("GET", "https://billing.example/", body=None, dialect="link")
    with pytest.raises(ValueError, match="no key"):
        Link("blog", "billing", "https://billing.example", None).sign(
            "GET", "https://billing.example/", body=None
        )


def test_a_link_never_shows_a_key_and_cannot_be_changed() -> None:
    assert repr(LINK) == "Link(<blog to billing at https://billing.example by link>)"
    keys: dict[Dialect, LinkKey] = {"signature": KEYS["signature"]}
    link = Link("blog", "billing", "https://billing.example", None, keys=keys)
    keys["link"] = KEYS["link"]
    assert list(link.keys) == ["signature"]
    with pytest.raises(TypeError):
        link.keys["link"] = KEYS["link"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        link.slug = "x"  # type: ignore[misc]

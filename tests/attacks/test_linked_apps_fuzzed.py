"""Whatever stands in the headers of a call: never a 5xx, never a pass, and nothing secret in the log."""

from __future__ import annotations

import json
import logging
import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from flask_linked_auth import scope
from flask_linked_auth.links import signatures
from flask_linked_auth.links.keys import generate_key
from flask_linked_auth.links.signatures import content_digest
from tests.links.pair import Pair, link
from tests.tiny import logged, make_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.test import TestResponse

DIALECTS: Any = ("link", "signature", "legacy-signature")
QUICKLY = settings(max_examples=100, suppress_health_check=list(HealthCheck))
BODY = b'{"a": 1}'
#: What a server passes on of a header: any character of Latin-1 but the ends of a line.
LINES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)


def _site() -> Pair:
    app = make_app()
    app.testing = False  # an exception is a 500, as in production
    app.add_url_rule("/posts", "posts", scope(["read:posts"])(lambda: "in"), methods=["GET", "POST"])
    return link(app, dialects=DIALECTS)


SITE = _site()


def _send(headers: Mapping[str, str], *, body: bytes | None = BODY, query: str = "") -> TestResponse:
    client = SITE.app.test_client()
    return client.post(f"/posts{query}", data=body, content_type="application/json", headers=dict(headers))


def _sign(dialect: Any, **more: Any) -> dict[str, str]:
    more = {"body": BODY, "content_type": "application/json", **more}
    return SITE.link(dialect).sign("POST", "http://localhost/posts", **more)


def _is_refused(answer: TestResponse) -> None:
    assert answer.status_code in {400, 401, 403, 413}, answer.text
    assert answer.get_json()["slug"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_fuzzed_here_would_pass_untouched(dialect: Any) -> None:
    assert _send(_sign(dialect)).status_code == 200


def _edits(text: str) -> st.SearchStrategy[str]:
    """The text with a piece of it replaced, repeated, taken out, or in other letters."""
    places = st.integers(0, len(text))
    pieces = LINES | st.sampled_from(
        [",", ";", "=", '"', " ", "\t", "é", "%00", "()", ":", "\\", text, text[:9]]
    )

    def edit(drawn: tuple[int, int, str]) -> str:
        first, second, piece = drawn
        start, end = sorted((first, second))
        return (text[:start] + piece + text[end:])[:20_000]

    return st.tuples(places, places, pieces).map(edit)


@QUICKLY
@given(st.data(), st.sampled_from(DIALECTS))
def test_an_edited_header_is_refused(data: st.DataObject, dialect: Any) -> None:
    headers = _sign(dialect)
    name = data.draw(st.sampled_from(sorted(headers)))
    edited = data.draw(_edits(headers[name]))
    if edited.strip(" \t") == headers[name]:
        return
    answer = _send({**headers, name: edited})
    # The scheme has no case; the fields of a credential, the parameters of a signature, and further labels no order.
    if answer.status_code != 200:
        _is_refused(answer)
        return
    assert name in {"Signature", "Signature-Input"} or edited.lower() == headers[name].lower(), edited


@QUICKLY
@given(
    st.dictionaries(
        st.sampled_from(
            ["Authorization", "api-token", "Signature-Input", "Signature", "Content-Digest", "Linked-Subject"]
        ),
        st.one_of(
            LINES,
            LINES.map(lambda text: f"Link App=billing,Token={text}"),
            LINES.map(lambda text: f"Signature App=billing,Nonce={text},SignedHeaders=,Date=x"),
            LINES.map(lambda text: f"link={text}"),
            LINES.map(lambda text: f"link=:{text}:"),
            LINES.map(lambda text: f"sha-256={text}"),
        ),
        min_size=1,
    )
)
@example({"Signature-Input": "link=" + "(" * 4000, "Signature": "link=:AAAA:"})
@example({"Signature-Input": "a=1," * 1000, "Signature": "link"})
@example({"Signature-Input": 'link="' + '\\"' * 2000, "Signature": ";" * 4000})
@example({"Authorization": "Link App=billing,Token=" + "." * 8000})
@example({"Authorization": "Link " + "App=billing," * 9000})
@example(
    {"Authorization": "Signature App=billing,Nonce=" + "0" * 64 + ",SignedHeaders=" + "a;" * 2000 + ",Date=x"}
)
def test_anything_is_refused_soon(headers: dict[str, str]) -> None:
    start = time.process_time()
    _is_refused(_send(headers))
    assert time.process_time() - start < 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _token(claims: Any, header: Any = None) -> dict[str, str]:
    """A token that the pair has really signed, with these claims in it."""
    key = SITE.keys["link"]

    def part(value: Any) -> bytes:
        return urlsafe_b64encode(json.dumps(value).encode("utf-8", "surrogatepass")).rstrip(b"=")

    signed = part(header or {"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    mac = urlsafe_b64encode(key.sign(signed, "sha256")).rstrip(b"=")
    return {"Authorization": f"Link App=billing,Token={signed.decode()}.{mac.decode()}"}


def _claims(**changed: Any) -> dict[str, Any]:
    now = time.time()
    claims = {
        "sub": "",
        "iss": "",
        "app": "billing",
        "aud": "tiny",
        "exp": now + 60,
        "iat": now - 1,
        "typ": "JWT",
    }
    return {**claims, **changed}


@QUICKLY
@given(
    st.sampled_from(["sub", "iss", "app", "aud", "exp", "iat", "typ", "nbf"]),
    JSON
    | st.sampled_from(
        [10**400, -1, 1e308, "\0", "\ud800", "\uff11", "+1", "01", "0_1", " 1", True, "x" * 256]
    ),
)
def test_a_signed_claim_of_any_shape_is_no_fault(name: str, value: Any) -> None:
    assert _send(_token(_claims())).status_code == 200
    answer = _send(_token(_claims(**{name: value})))
    if answer.status_code != 200:
        _is_refused(answer)
    else:
        assert (
            (name in {"iss", "typ", "sub"} and type(value) is str)
            or name == "nbf"
            or value == _claims()[name]
        )


ODD_SUBJECTS = ["+1", "-01", "01", "0_1", "1_0", " 1", "\uff11", "é", "a b", "1,2", "\t", "x" * 256, "null\0"]


@pytest.mark.parametrize("subject", ODD_SUBJECTS)
def test_an_odd_subject_is_nobody(subject: str) -> None:
    if subject != "1,2":
        _is_refused(_send(_token(_claims(sub=subject))))
    headers = {**_sign("signature", subject="1"), "Linked-Subject": subject.encode().decode("latin-1")}
    if "\0" not in subject:
        _is_refused(_send(headers))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": "JWT"},
        {"alg": "nOnE", "typ": "JWT"},
        {"alg": "HS512", "typ": "JWT"},
        {"alg": "EdDSA", "typ": "JWT"},
        {"alg": ["HS256"], "typ": "JWT"},
        {"alg": "HS256", "typ": "at+jwt"},
        {"alg": "HS256"},
        {"alg": "HS256", "typ": "JWT", "kid": "../../dev/null"},
        {"alg": "HS256", "typ": "JWT", "jwk": {"kty": "oct", "k": "AA"}},
        {"alg": "HS256", "typ": "JWT", "crit": ["exp"]},
        [1],
        "HS256",
    ],
    ids=str,
)
def test_no_other_header_of_a_token_will_do(header: Any) -> None:
    _is_refused(_send(_token(_claims(), header)))


@pytest.mark.parametrize("method", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize(
    "raw",
    ["http://[::1/posts", "https://\u2100/", "*", "", "//posts", "/posts?x=1", "/%zz", "http://h?y=/posts"],
)
def test_a_request_line_that_is_none_is_no_fault(method: str, raw: str) -> None:
    headers = _sign("signature")
    answer = SITE.app.test_client().post(
        "/posts?x=1", data=BODY, headers=headers, environ_overrides={method: raw}
    )
    _is_refused(answer)


@pytest.mark.parametrize(
    "digest",
    [
        "sha-256=:AAAA:",
        "sha-256",
        "sha-256=?1",
        "md5=:AAAA:",
        "sha-256=:" + "A" * 5000 + ":",
        content_digest(BODY) + ", " + content_digest(BODY),
        content_digest(BODY) + ", " + content_digest(b"x", "sha-512"),
        content_digest(BODY).upper(),
    ],
)
def test_a_digest_that_was_signed_must_still_be_one(digest: str) -> None:
    """Whoever has a key signs what they like."""
    key, target = SITE.keys["signature"], signatures.Target("POST", "localhost", "/posts")
    good = signatures.sign_request(key, target, sender="billing", subject="", digest=content_digest(BODY))
    parameters = good["Signature-Input"].removeprefix("link=")
    base = signatures._base(target, "", digest, parameters=parameters)
    headers = {**good, "Content-Digest": digest, "Signature": f"link={signatures.sign_base(key, base)}"}
    _is_refused(_send(headers))


def test_no_secret_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sent: list[str] = []
    for dialect in DIALECTS:
        for key in (SITE.keys[dialect], generate_key("HS256")):
            headers = SITE.link(dialect, key).sign("GET", "http://localhost/posts", body=None)
            sent += [value for name, value in headers.items() if name in {"Authorization", "Signature"}]
            for query in ("", "?tampered=1"):
                SITE.app.test_client().get(f"/posts{query}", headers=headers)
    text = logged(caplog.records)
    for secret in sent:
        assert secret.rpartition("=")[2] not in text
        assert secret.rpartition(".")[2][:40] not in text
    for key in SITE.keys.values():
        assert key.private_hex() not in text + repr(key) + repr(SITE.link()) + repr(SITE.app.extensions)

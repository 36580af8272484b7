"""Signed requests on a real connection: what is sent must be what was signed, however it is spelled."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth.apps import changes, keys
from flask_linked_auth.links.keys import dump_key, generate_key
from flask_linked_auth.links.link import Link
from flask_linked_auth.transactions import Transaction, commit
from tests.faults.lab import Server, create_tables, dispose, make_app, raw, register, served
from tests.tiny import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

USERS = "/v1/auth/app/user"
JSON = "Content-Type: application/json"
Signed = tuple[Server, Link]


def _know_billing(app: Flask, link: Link) -> None:
    def deed(transaction: Transaction) -> None:
        known = [{"slug": each, "description": "For linked apps."} for each in ("read:user", "read:token")]
        changes.define_scopes(transaction, known)
        row = changes.register_app(transaction, "billing", needs_agreement=False, accepts=["signature"])
        key = link.keys["signature"]
        keys.add_key(transaction, row, "signature_in", keys.NewKey(key.algorithm, dump_key(key), key.id))

    with app.app_context():
        commit(state_of(app), deed)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    folder = tmp_path_factory.mktemp("wire")
    url = f"sqlite:///{folder / 'test.db'}"
    app = create_tables(make_app(url))
    link = Link("billing", "lab", "https://lab.example", None, keys={"signature": generate_key("EdDSA")})
    _know_billing(app, link)
    register(app)
    dispose(app)
    with served(folder, url, threads=4) as server:
        yield server, link


def _signed(link: Link, method: str = "GET", path: str = USERS, body: bytes | None = None) -> list[str]:
    headers = link.sign(method, f"https://lab.example{path}", body=body, dialect="signature")
    return [f"{name}: {value}" for name, value in headers.items()]


def _send(
    server: Server, line: str, *headers: str, body: bytes = b"", host: str = "Host: lab.example"
) -> int:
    head = "\r\n".join([line, host, "Connection: close", *headers])
    answer = raw(server, head.encode("latin-1") + b"\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "path",
    [
        USERS,
        f"{USERS}?id=1",
        f"{USERS}?",
        f"{USERS}?q=%2F%20+&&=",
        f"{USERS}/1",
        f"{USERS}/%31",
        f"{USERS}?a=%C3%A9",
    ],
)
def test_what_is_signed_as_it_is_sent_passes(site: Signed, path: str) -> None:
    server, link = site
    assert _send(server, f"GET {path} HTTP/1.1", *_signed(link, path=path)) == 200
    # The absolute form, which clients use towards a proxy (RFC 9112 section 3.2.2).
    assert _send(server, f"GET http://lab.example{path} HTTP/1.1", *_signed(link, path=path)) == 200


@pytest.mark.parametrize(
    "line",
    [
        f"GET {USERS}?id=1 HTTP/1.1",
        f"GET {USERS}/1 HTTP/1.1",
        f"GET {USERS}/ HTTP/1.1",
        f"GET /{USERS} HTTP/1.1",
        "GET /v1/auth/app/./user HTTP/1.1",
        "GET /v1/auth/x/../app/user HTTP/1.1",
        "GET /v1/auth/app/%75ser HTTP/1.1",
        "GET /v1/auth/app%2Fuser HTTP/1.1",
        f"GET http://lab.example{USERS}?id=1 HTTP/1.1",
        f"HEAD {USERS} HTTP/1.1",
        f"POST {USERS} HTTP/1.1",
        f"get {USERS}?id=1 HTTP/1.1",
        f"GET {USERS}?x#{USERS} HTTP/1.1",
    ],
)
def test_another_request_line_is_refused(site: Signed, line: str) -> None:
    server, link = site
    assert _send(server, line, *_signed(link)) in {308, 400, 401, 404, 405}


@pytest.mark.parametrize(
    "host",
    [
        "Host: evil.example",
        "Host: lab.example\r\nHost: evil.example",
        "Host:",
        "X-Forwarded-Host: lab.example",
    ],
)
def test_another_host_is_refused(site: Signed, host: str) -> None:
    server, link = site
    assert _send(server, f"GET {USERS} HTTP/1.1", *_signed(link), host=host) in {400, 401}
    also = ("X-Forwarded-Host: lab.example", "Forwarded: host=lab.example")
    assert _send(server, f"GET {USERS} HTTP/1.1", *_signed(link), *also, host=host) in {400, 401}


@pytest.mark.parametrize("name", ["Signature", "Signature-Input", "Linked-Subject"])
def test_a_header_that_comes_twice_is_refused(site: Signed, name: str) -> None:
    server, link = site
    signed = _signed(link)
    (one,) = [each for each in signed if each.startswith(f"{name}:")]
    for other in (one, f"{name}: 7", one.lower()):
        assert _send(server, f"GET {USERS} HTTP/1.1", *signed, other) in {400, 401}
        assert _send(server, f"GET {USERS} HTTP/1.1", other, *signed) in {400, 401}


@pytest.mark.parametrize(
    "more",
    [
        "Linked_Subject: 1",
        "Linked-Subject : 1",
        "X: y\r\n Linked-Subject: 1",
        "PATH_INFO: /",
        "SCRIPT_NAME: /v1",
    ],
)
def test_a_header_that_is_spelled_otherwise_changes_nothing(site: Signed, more: str) -> None:
    server, link = site
    path = f"{USERS}/1"
    assert _send(server, f"GET {path} HTTP/1.1", *_signed(link, path=path), more) in {200, 400, 401, 404}
    line = "GET /v1/auth/app/users HTTP/1.1"  # what is no page of ours is not made one
    signed = _signed(link, path="/v1/auth/app/users")
    for forged in (f"PATH_INFO: {USERS}", f"X-Forwarded-Prefix: {USERS}", f"X-Original-URL: {USERS}"):
        assert _send(server, line, *signed, forged) in {400, 401, 404}


BODY = json.dumps({"token": "fla_it_" + "x" * 43}).encode()
TOKEN = "/v1/auth/app/token"


def _post(server: Server, *headers: str, body: bytes) -> str:
    head = "\r\n".join([f"POST {TOKEN} HTTP/1.1", "Host: lab.example", "Connection: close", JSON, *headers])
    answer = raw(server, head.encode("latin-1") + b"\r\n\r\n" + body)
    status, data = answer.split(b" ", 2)[1], answer.partition(b"\r\n\r\n")[2]
    return str(json.loads(data)["slug"]) if data.startswith(b"{") else status.decode()


def _chunks(body: bytes) -> bytes:
    return b"".join(b"1\r\n%c\r\n" % each for each in body) + b"0\r\n\r\n"


def test_a_body_is_the_one_that_was_signed_however_it_is_sent(site: Signed) -> None:
    server, link = site
    sign: Any = functools.partial(_signed, link, "POST", TOKEN)
    passed = _post(server, f"Content-Length: {len(BODY)}", *sign(BODY), body=BODY)
    assert passed not in {"wrong-app-token", "authorization-header-malformed", "400", "401"}
    assert _post(server, "Transfer-Encoding: chunked", *sign(BODY), body=_chunks(BODY)) == passed
    other, malformed, wrong = BODY.replace(b"x", b"y"), "authorization-header-malformed", "wrong-app-token"
    assert _post(server, "Transfer-Encoding: chunked", *sign(BODY), body=_chunks(other)) == wrong
    assert _post(server, f"Content-Length: {len(BODY)}", *sign(BODY), body=other) == wrong
    assert _post(server, f"Content-Length: {len(BODY) - 1}", *sign(BODY), body=BODY) == wrong
    assert _post(server, "Content-Length: 0", *sign(BODY), body=b"") == malformed
    assert _post(server, *sign(BODY), body=b"") == malformed
    assert _post(server, "Transfer-Encoding: chunked", *sign(BODY), body=_chunks(b"")) == wrong
    # Signed without a body, which somebody adds.
    assert _post(server, f"Content-Length: {len(BODY)}", *sign(None), body=BODY) == malformed
    assert _post(server, "Transfer-Encoding: chunked", *sign(None), body=_chunks(BODY)) == malformed
    both = (f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked")
    assert _post(server, *both, *sign(BODY), body=_chunks(BODY)) in {"400", passed}
    assert _post(server, "Content-Length: 1", "Content-Length: 9", *sign(BODY), body=BODY) == "400"
    large = b"0" * (1024 * 1024 + 1)
    assert _post(
        server, "Transfer-Encoding: chunked", *sign(large), body=b"100001\r\n" + large + b"\r\n0\r\n\r\n"
    ) == ("too-large")

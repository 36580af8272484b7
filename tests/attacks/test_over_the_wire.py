"""What only a real connection can send: no length, a wrong length, doubled headers, line breaks, half a request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.lab import PASSWORD, Server, create_tables, dispose, make_app, raw, register, served


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    folder = tmp_path_factory.mktemp("wire")
    url = f"sqlite:///{folder / 'test.db'}"
    app = create_tables(make_app(url))
    token = register(app)["token"]
    dispose(app)
    with served(folder, url, threads=4) as server:
        yield server, token


def _request(method: str, path: str, body: bytes = b"", *headers: str, length: bool = True) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: zx81marker.example", "Connection: close", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def _status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer.split(b" ", 2)[1])


def _problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer[:400]
    found: dict[str, Any] = json.loads(body)
    return found


def _chunked(body: bytes, size: int = 8192) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


JSON = "Content-Type: application/json"
LOGIN = json.dumps({"email": "ada@example.com", "password": PASSWORD}).encode()


def _memory(server: Server) -> int:
    """The largest resident memory of the workers, in kB."""
    pids = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    if not pids.exists():
        pytest.skip("needs Linux")
    found = 0
    for pid in pids.read_text().split():
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                found = max(found, int(line.split()[1]))
    return found


def test_a_login_with_and_without_a_length(site: tuple[Server, str]) -> None:
    server, _ = site
    assert _status(raw(server, _request("POST", "/auth/login", LOGIN, JSON))) == 200
    chunks = _request("POST", "/auth/login", b"", JSON, "Transfer-Encoding: chunked", length=False)
    assert _status(raw(server, chunks + _chunked(LOGIN, 7))) == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["by length", "in chunks"])
def test_five_megabytes_are_refused_with_flat_memory(site: tuple[Server, str], chunked: bool) -> None:
    server, _ = site
    body = b'{"email": "' + b"a" * 5_000_000 + b'"}'
    raw(server, _request("POST", "/auth/login", LOGIN, JSON))
    before = _memory(server)
    for path in ("/auth/login", "/auth/register", "/auth/refresh", "/auth/logout"):
        if chunked:
            sent = _request("POST", path, b"", JSON, "Transfer-Encoding: chunked", length=False) + _chunked(
                body
            )
        else:
            sent = _request("POST", path, body, JSON)
        start = time.monotonic()
        answer = raw(server, sent)
        assert time.monotonic() - start < 5
        # A server may hang up before the whole body has come; whoever reads gets the 413.
        assert not answer or (_status(answer) == 413 and _problem(answer)["slug"] == "too-large")
    # Refused by its head alone, nobody needs to send the rest.
    head = _request("POST", "/auth/login", b"", JSON, "Content-Length: 5000000", length=False)
    answer = raw(server, head, patience=5)
    assert _status(answer) == 413
    assert _memory(server) - before < 3000


def test_chunks_without_end_are_cut_off(site: tuple[Server, str]) -> None:
    server, _ = site
    head = _request("POST", "/auth/login", b"", JSON, "Transfer-Encoding: chunked", length=False)
    answer = raw(server, head + _chunked(b"a" * 70_000)[:-5], patience=5)
    assert _status(answer) == 413


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: -1",),
        ("Content-Length: x",),
        ("Content-Length: 99999999999999999999",),
        ("Content-Length: +5",),
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: x",),
        ("X-Bad\r\n Folded: x",),
        ("Authorization : Bearer x",),
        ("Authorization: Bearer x\rInjected: y",),
        ("Authorization: Bearer \x00",),
        ("Authorization: Bearer a\nb",),
        ("A" * 70_000 + ": x",),
    ],
    ids=lambda headers: headers[0][:20],
)
def test_broken_heads_are_refused(site: tuple[Server, str], headers: tuple[str, ...]) -> None:
    server, _ = site
    answer = raw(server, _request("POST", "/auth/login", b"{}", JSON, *headers, length=False), patience=3)
    assert not answer or 400 <= _status(answer) < 500 or _status(answer) == 501, answer[:300]
    assert b"Traceback" not in answer
    assert b"\r\nInjected" not in answer
    assert server.call("GET", "/open").status == 200


def test_doubled_headers_never_add_up_to_a_credential(site: tuple[Server, str]) -> None:
    server, token = site
    good = f"Authorization: Bearer {token}"
    assert _status(raw(server, _request("GET", "/guarded", b"", good))) == 200
    for pair in (
        (good, good),
        (good, "Authorization: Bearer x"),
        ("Authorization: Bearer x", good),
        (good, "Authorization: Basic eDp5"),
        (f"api-token: {token}", f"api-token: {token}"),
        (f"api-token: {token}", "api-token: x"),
        (good, "api-token: x"),
        ("Authorization: Bearer x", f"api-token: {token}"),
    ):
        answer = raw(server, _request("GET", "/guarded", b"", *pair))
        assert _status(answer) in {400, 401}, pair
        assert b'"id"' not in answer
    # api_token reaches WSGI under the same name as api-token, so a server that lets it through must not double it.
    assert _status(raw(server, _request("GET", "/guarded", b"", f"api_token: {token}", "api-token: x"))) in {
        400,
        401,
    }


def test_nothing_of_the_head_comes_back(site: tuple[Server, str]) -> None:
    server, token = site
    for path in ("/auth//me", "/auth/me/", "/auth/users?page=2", "/auth/nothing%0d%0aX-Evil:%20zx81marker"):
        for headers in ((), (f"Authorization: Bearer {token}",)):
            answer = raw(server, _request("GET", path, b"", *headers, "X-Forwarded-Host: zx81marker.example"))
            assert b"zx81marker" not in answer, path
            assert b"<html" not in answer.lower(), path


def test_absolute_and_strange_targets(site: tuple[Server, str]) -> None:
    server, _ = site
    for target in (
        "http://zx81marker.example/guarded",
        "//guarded",
        "/guarded#x",
        "*",
        "/guarded?a=%",
        "/\x7f",
    ):
        answer = raw(server, _request("GET", target), patience=3)
        assert not answer or 400 <= _status(answer) < 500, (target, answer[:200])
        assert b"zx81marker" not in answer


def test_half_a_body_is_no_login(site: tuple[Server, str]) -> None:
    server, _ = site
    with server.socket() as wire:
        wire.sendall(
            _request("POST", "/auth/login", b"", JSON, f"Content-Length: {len(LOGIN)}", length=False)
        )
        wire.sendall(LOGIN[:-10])
        time.sleep(0.1)
    assert server.call("GET", "/open").status == 200
    assert "Traceback" not in server.log.read_text()

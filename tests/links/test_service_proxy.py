"""`proxy=True`: what the other service answers as our own answer, and a problem for what it does not answer."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests
from flask import Flask, Response, request
from werkzeug.serving import make_server

from flask_linked_auth.link_errors import AppNotFound
from flask_linked_auth.links.client import Service
from flask_linked_auth.links.proxying import respond
from tests.links.neighbour import Neighbour, link_to, raw, read_head, running, said_by
from tests.tiny import logged, make_app, refused, state_of

if TYPE_CHECKING:
    from flask_linked_auth.links.link import Link

pytestmark = pytest.mark.usefixtures("no_waiting")


class Directory:
    def __init__(self, links: dict[str, Link]) -> None:
        self.links = links

    def link_to(self, slug: str) -> Link:
        if slug not in self.links:
            raise AppNotFound(f"There is no linked app {slug!r}.")
        return self.links[slug]


def gateway(address: str, **options: Any) -> Flask:
    """Our service: all of `/billing/…` is asked of the other one."""
    app = make_app()
    state_of(app).parts["links"] = Directory({"billing": link_to(address)})

    @app.route("/<slug>/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
    def passed_on(slug: str, path: str) -> Response:
        with Service(slug, 7, proxy=True) as service:
            service.timeout = (1, 0.3)
            given = {"data": request.get_data(), "params": request.args} | options
            answer: Response = service.request(request.method, f"/{path}", **given)
            return answer

    return app


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The app on a real server of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 201, 204, 304, 302, 400, 401, 404, 418, 500])
def test_status_headers_and_body_are_passed_on(status: int, stream: bool, billing: Neighbour) -> None:
    body = b"" if status in {204, 304} else b'{"a": 1}'
    told = {"Content-Type": "application/x-mine", "X-Mine": "1", "ETag": '"e"', "Cache-Control": "no-cache"}
    if status == 302:
        told["Location"] = "https://elsewhere.example/"
    if status in {204, 304}:
        told["Content-Length"] = "0"
    billing.answer = lambda arrived: (status, told, body)
    answer = gateway(billing.address, stream=stream).test_client().post("/billing/x?q=1", data=b"sent")
    assert (answer.status_code, answer.data) == (status, body)
    for name in told.keys() - ({"Content-Length", "Content-Type"} if status in {204, 304} else set()):
        assert answer.headers[name] == told[name]
    assert (billing.last.target, billing.last.body) == ("/x?q=1", b"sent")
    assert said_by(billing.last, link_to(billing.address)) == "7"


@pytest.mark.parametrize("stream", [False, True])
def test_what_belongs_to_a_connection_or_a_site_is_not_passed_on(stream: bool, billing: Neighbour) -> None:
    told = {
        "connection": "keep-alive, X-Hop , x-other",
        "X-HOP": "1",
        "x-Other": "1",
        "keep-ALIVE": "timeout=5",
        "upgrade": "h2c",
        "TE": "trailers",
        "Trailer": "X",
        "Proxy-Authenticate": "Basic",
        "set-cookie": "session=theirs; Path=/",
        "Clear-Site-Data": '"*"',
        "alt-svc": 'h2="evil.example:443"',
        "Strict-Transport-Security": "max-age=1",
        "access-control-allow-origin": "*",
        "X-Stays": "1",
    }
    billing.answer = lambda arrived: (200, told, b"ok")
    answer = gateway(billing.address, stream=stream).test_client().get("/billing/x")
    names = {name.lower() for name, _ in answer.headers}
    assert names & {name.lower() for name in told} == {"x-stays"}
    assert answer.data == b"ok"


@pytest.mark.parametrize("stream", [False, True])
def test_a_compressed_answer_is_passed_on_as_it_reads(stream: bool, billing: Neighbour) -> None:
    packed = gzip.compress(b"words " * 1000)
    billing.answer = lambda arrived: (200, {"Content-Encoding": "GZIP", "Vary": "Accept"}, packed)
    answer = gateway(billing.address, stream=stream).test_client().get("/billing/x")
    assert answer.data == b"words " * 1000
    assert "Content-Encoding" not in answer.headers
    assert answer.headers.get("Content-Length") in ({None} if stream else {"6000"})
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_decoded_is_passed_on_as_it_is(stream: bool, billing: Neighbour) -> None:
    billing.answer = lambda arrived: (200, {"Content-Encoding": "x-mine"}, b"as it is")
    answer = gateway(billing.address, stream=stream).test_client().get("/billing/x")
    assert (answer.data, answer.headers["Content-Encoding"]) == (b"as it is", "x-mine")
    assert answer.headers["Content-Length"] == "8"


@pytest.mark.parametrize("packed", [False, True])
def test_head_keeps_the_length_that_a_body_would_have(packed: bool, billing: Neighbour) -> None:
    told = {"Content-Length": "12345"} | ({"Content-Encoding": "gzip"} if packed else {})
    billing.answer = lambda arrived: (200, told, b"")
    answer = gateway(billing.address).test_client().head("/billing/x")
    assert answer.headers.get("Content-Length") == (None if packed else "12345")


def test_several_headers_of_one_name_stay_several() -> None:
    def links(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nLink: <a>\r\nLink: <b>\r\nX-Folded: one\r\n two\r\nContent-Length: 0\r\n\r\n"
        )

    with raw(links) as address:
        answer = gateway(address).test_client().get("/billing/x")
    assert answer.headers.getlist("Link") == ["<a>", "<b>"]
    assert answer.headers["X-Folded"] == "one two"


def test_a_stream_is_passed_on_while_it_comes() -> None:
    go_on = Event()

    def slowly(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst \r\n")
        assert go_on.wait(10)
        connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")

    with (
        raw(slowly) as address,
        served(gateway(address, stream=True, timeout=10)) as ours,
        requests.get(f"{ours}/billing/x", stream=True, timeout=10) as answer,
    ):
        pieces = answer.iter_content(6)
        assert next(pieces) == b"first "
        go_on.set()
        assert b"".join(pieces) == b"second"


def test_the_other_service_is_let_go_when_the_client_goes() -> None:
    gone = Event()

    def endless(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(2000):
                connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                time.sleep(0.005)
        except OSError:
            gone.set()

    with raw(endless) as address, served(gateway(address, stream=True, timeout=10)) as ours:
        with requests.get(f"{ours}/billing/x", stream=True, timeout=10) as answer:
            assert len(next(answer.iter_content(10))) == 10
        assert gone.wait(8)


# What is no answer.


def test_an_unknown_app_is_a_404() -> None:
    client = gateway("http://127.0.0.1:1").test_client()
    problem = refused(client.get("/shipping/x"), 404, "app-not-found")
    assert "shipping" not in json.dumps(problem)
    spanish = client.get("/shipping/x", headers={"Accept-Language": "es"}).get_json()
    assert spanish["title"] != problem["title"]


def nothing(connection: socket.socket) -> None:
    read_head(connection)


def garbage(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"\x00\xffSSH-2.0 go away\r\n\r\n")


def half(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def bad_chunks(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")


def not_gzip(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")


def no_final_answer(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")


def endless_headers(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Y: " + b"z" * 100_000 + b"\r\n\r\n")


def ring(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    "script", [nothing, garbage, half, bad_chunks, not_gzip, no_final_answer, endless_headers, ring]
)
def test_an_answer_that_is_none_is_a_502(script: Any, caplog: pytest.LogCaptureFixture) -> None:
    with raw(script) as address, caplog.at_level(logging.WARNING, "flask_linked_auth"):
        problem = refused(
            gateway(address).test_client().get("/billing/x?token=s3cret"), 502, "upstream-failed"
        )
    inside = address.removeprefix("http://")
    assert inside not in json.dumps(problem)
    assert "s3cret" not in logged(caplog.records)


def test_nobody_there_is_a_502() -> None:
    with running() as gone:
        pass
    refused(gateway(gone.address).test_client().get("/billing/x"), 502, "upstream-failed")
    refused(gateway("http://billing.invalid").test_client().get("/billing/x"), 502, "upstream-failed")


def test_a_bad_certificate_is_a_502() -> None:
    def no_tls(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw(no_tls) as address:
        app = gateway(address.replace("http:", "https:"))
        refused(app.test_client().get("/billing/x"), 502, "upstream-failed")


def too_slow(connection: socket.socket) -> None:
    read_head(connection)
    time.sleep(1)


def too_slow_in_the_middle(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    time.sleep(1)


@pytest.mark.parametrize("script", [too_slow, too_slow_in_the_middle])
def test_an_answer_that_does_not_come_is_a_504(script: Any) -> None:
    with raw(script) as address:
        refused(gateway(address).test_client().post("/billing/x"), 504, "upstream-too-slow")


@pytest.mark.parametrize(
    "path", ["//evil.example", "\\\\evil.example", "/a/../../b", "https://evil.example/", "/\x00"]
)
def test_a_path_of_a_clients_that_leads_away_is_a_404(path: str, billing: Neighbour) -> None:
    app = make_app()

    @app.get("/go")
    def go() -> Any:
        with Service(link_to(billing.address), 7, proxy=True) as service:
            return service.get(request.args["path"])

    refused(app.test_client().get("/go", query_string={"path": path}), 404, "not-found")
    assert billing.arrived == []


def test_a_body_that_is_too_large_is_a_413(billing: Neighbour) -> None:
    app = make_app()

    class Small(Service):
        body_limit = 10

    with (
        app.test_request_context("/"),
        Small(link_to(billing.address, dialect="signature"), proxy=True) as service,
    ):
        answer = service.post("/x", data=iter([b"x" * 11]))
    assert (answer.status_code, answer.get_json()["slug"]) == (413, "too-large")


def test_a_mistake_in_the_call_stays_one(billing: Neighbour) -> None:
    with make_app().test_request_context("/"), Service(link_to(billing.address), proxy=True) as service:
        with pytest.raises(ValueError, match="header"):
            service.get("/x", headers={"X-Mine": "a\r\nb: c"})
        with pytest.raises(TypeError):
            service.get("/x", unknown=1)


def test_webhooks_are_passed_on_too(billing: Neighbour) -> None:
    app = make_app()
    state_of(app).parts["links"] = Directory(
        {"billing": link_to(billing.address, webhook_url=f"{billing.address}/in")}
    )
    with app.test_request_context("/"):
        with Service("billing", proxy=True) as service:
            assert service.webhook({"type": "x"}).status_code == 200
        with Service("shipping", proxy=True) as service:
            assert service.webhook({"type": "x"}).status_code == 404
            with pytest.raises(AppNotFound):
                service.link  # noqa: B018
    assert billing.last.target == "/in"


def test_headers_that_no_server_would_send_are_left_out() -> None:
    told = [("a b", "1"), ("", "1"), ("Content-Length", "5"), ("content-length", "6"), ("X-Mine", "\xe9")]
    with make_app().test_request_context("/"):
        answer = respond(200, told, iter([b"x"]))
        assert answer.headers.to_wsgi_list() == [("X-Mine", "\xe9")]
        assert "Content-Length" not in respond(200, [("Content-Length", "-5")], b"", method="HEAD").headers

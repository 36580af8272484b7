"""`async with Service(...)` is the same over httpx2, by the same core."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth.link_errors import AppNotFound, BodyTooLarge, ForeignAddress
from flask_linked_auth.links import transport
from flask_linked_auth.links.client import Service
from tests.links.neighbour import KEYS, Neighbour, link_to, nonce_of, raw, read_head, running, said_by
from tests.tiny import make_app, refused, state_of

if TYPE_CHECKING:
    from flask import Flask

httpx2 = pytest.importorskip("httpx2")

pytestmark = pytest.mark.usefixtures("no_waiting")

DIALECTS = ["link", "signature", "legacy-signature"]


def run(deed: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """In an event loop of its own, as an `async` view of Flask is."""

    async def run_it() -> Any:
        return await deed(*arguments)

    return asyncio.run(run_it())


def call(link: Any, method: str = "get", path: str = "/x", user: Any = 7, **options: Any) -> Any:
    """One call in an event loop of its own."""

    async def calling() -> Any:
        async with Service(link, user) as service:
            return await getattr(service, method)(path, **options)

    return run(calling)


@pytest.mark.parametrize("verb", ["get", "options", "head", "post", "put", "patch", "delete"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_verb_arrives_signed(verb: str, dialect: str, billing: Neighbour) -> None:
    link = link_to(billing.address, dialect=dialect)
    user = None if dialect == "legacy-signature" else 7
    assert call(link, verb, user=user, params={"q": "ñ 1"}).status_code == 200
    assert (billing.last.method, billing.last.target) == (verb.upper(), "/x?q=%C3%B1+1")
    assert said_by(billing.last, link) == (str(user) if user else None)


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"two ", b"", b"pieces"):
        yield piece


async def nothing_at_all() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


BODIES: dict[str, tuple[Callable[[], dict[str, Any]], bytes]] = {
    "json": (lambda: {"json": {"a": [1, "ñ"]}}, '{"a":[1,"ñ"]}'.encode()),
    "form": (lambda: {"data": {"a": "1", "b": ["2", "3"]}}, b"a=1&b=2&b=3"),
    "bytes": (lambda: {"content": b"\x00\xff"}, b"\x00\xff"),
    "text": (lambda: {"content": "ñ"}, "ñ".encode()),
    "none": (dict, b""),
    "generator": (lambda: {"content": pieces()}, b"two pieces"),
    "empty generator": (lambda: {"content": nothing_at_all()}, b""),
    "files": (lambda: {"files": {"f": ("a.txt", io.BytesIO(b"content"))}}, b"content"),
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("dialect", ["link", "signature"])
def test_every_kind_of_body_arrives_signed(kind: str, dialect: str, billing: Neighbour) -> None:
    options, expected = BODIES[kind]
    link = link_to(billing.address, dialect=dialect)
    call(link, "put", **options())
    assert said_by(billing.last, link) == "7"
    assert expected in billing.last.body
    assert kind == "files" or billing.last.body == expected


def test_the_old_signature_reads_a_generator_first(billing: Neighbour) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"a"'
        yield b": 1}"

    link = link_to(billing.address, dialect="legacy-signature")
    call(link, "post", user=None, content=body(), headers={"Content-Type": "application/json"})
    assert (billing.last.body, said_by(billing.last, link)) == (b'{"a": 1}', None)


def test_a_body_that_must_be_signed_has_a_limit(billing: Neighbour) -> None:
    class Small(Service):
        body_limit = 10_000

    async def much() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 1000

    async def calling(dialect: str) -> None:
        async with Small(link_to(billing.address, dialect=dialect)) as service:
            await service.post("/x", content=much())

    with pytest.raises(BodyTooLarge):
        run(calling, "signature")
    assert billing.arrived == []
    run(calling, "link")
    assert len(billing.last.body) == 11_000


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "\\\\evil", "/../x", "https://evil.example/", "/%2e%2e/x", "/x\r\ny: z"]
)
def test_a_path_that_leads_away_is_refused(path: str, billing: Neighbour) -> None:
    with pytest.raises(ForeignAddress):
        call(link_to(billing.address), path=path)
    assert billing.arrived == []


def test_a_foreign_request_is_refused_by_the_transport(billing: Neighbour, elsewhere: Neighbour) -> None:
    async def sending() -> None:
        async with Service(link_to(billing.address)) as service:
            await service.send(httpx2.Request("GET", elsewhere.address))

    with pytest.raises(ForeignAddress):
        run(sending)
    assert elsewhere.arrived == []


@pytest.mark.parametrize(
    "path",
    [
        "/a b?c=d e",
        "/%7eada/%C3%A9?q=%7e",
        "/é?é",
        "/a%2Fb%25/;x=1",
        "?",
        "/x?a=1&a=2&b",
        "/[x]|'\"<>{}^`?[]|\\",
    ],
)
@pytest.mark.parametrize("dialect", ["link", "signature"])
def test_what_is_signed_is_what_arrives(path: str, dialect: str, billing: Neighbour) -> None:
    link = link_to(billing.address, dialect=dialect)
    assert call(link, path=path).status_code == 200
    assert said_by(billing.last, link) == "7"


# Redirects.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_at_home_is_followed_and_signed_anew(status: int, billing: Neighbour) -> None:
    billing.answers((status, {"Location": "/there"}, b"moved"), (200, {}, b"there"))
    link = link_to(billing.address, dialect="signature")
    answer = call(link, "post", json={"a": 1})
    assert (answer.text, [each.status_code for each in answer.history]) == ("there", [status])
    assert [said_by(each, link) for each in billing.arrived] == ["7", "7"]
    assert nonce_of(billing.arrived[0]) != nonce_of(billing.arrived[1])
    assert billing.last.body == (b'{"a":1}' if status in {307, 308} else b"")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("dialect", ["link", "signature"])
def test_a_redirect_elsewhere_is_not_followed(
    status: int, dialect: str, billing: Neighbour, elsewhere: Neighbour
) -> None:
    billing.answers((status, {"Location": f"{elsewhere.address}/there"}, b"moved"))
    answer = call(link_to(billing.address, dialect=dialect), "post", json={"card": 4242})
    assert (answer.status_code, answer.text) == (status, "moved")
    assert answer.headers["Location"] == f"{elsewhere.address}/there"
    assert elsewhere.arrived == []


def test_a_spooled_generator_is_sent_again_and_a_gone_one_is_not(billing: Neighbour) -> None:
    moved, there = (307, {"Location": "/there"}, b""), (200, {}, b"there")
    billing.answers(moved, there)
    link = link_to(billing.address, dialect="signature")
    assert call(link, "put", content=pieces()).text == "there"
    assert [each.body for each in billing.arrived] == [b"two pieces"] * 2
    assert said_by(billing.last, link) == "7"
    billing.answers(moved, there)
    assert call(link_to(billing.address), "put", content=pieces()).status_code == 307
    assert len(billing.arrived) == 3


# Repetitions.


def test_what_does_the_same_twice_is_tried_again_and_signed_anew(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="signature")
    for method, tries in (("get", 3), ("delete", 3), ("post", 1)):
        billing.arrived.clear()
        billing.answers((503, {"Retry-After": "0"}, b""))
        assert call(link, method).status_code == 503
        assert len({nonce_of(each) for each in billing.arrived}) == tries
    billing.answers((502, {}, b""), (200, {}, b""))
    assert call(link).status_code == 200
    billing.answers((502, {}, b""), (200, {}, b""))
    assert call(link_to(billing.address), "put", content=pieces()).status_code == 502


def test_a_failed_connection_is_tried_again() -> None:
    heads: list[bytes] = []

    def drop(connection: Any) -> None:
        heads.append(read_head(connection))

    def answer(connection: Any) -> None:
        heads.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with raw(drop, drop, answer) as address:
        assert call(link_to(address)).text == "ok"
    assert len(heads) == 3
    with raw(drop) as address, pytest.raises(httpx2.RemoteProtocolError):
        call(link_to(address), "post")
    assert len(heads) == 4


# Connections, time-outs, people.


def test_connections_are_shared_within_an_event_loop(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="signature")

    async def many() -> None:
        for user in range(1, 4):
            async with Service(link, user) as service:
                await service.get("/x")
        billing.answer = lambda arrived: (time.sleep(0.02), (200, {}, b""))[1]  # type: ignore[func-returns-value]

        async def one(user: int) -> None:
            async with Service(link, user) as service:
                await service.get(f"/{user}")

        await asyncio.gather(*(one(user) for user in range(1, 21)))

    run(many)
    assert len({each.port for each in billing.arrived[:3]}) == 1
    assert {each.path[1:] == said_by(each, link) for each in billing.arrived[3:]} == {True}


def test_connections_end_with_their_event_loop(billing: Neighbour) -> None:
    from flask_linked_auth.links import async_client

    link = link_to(billing.address)
    for _ in range(3):
        call(link)
        gc.collect()  # a connection left open would warn here
    assert async_client._shared == {}
    assert len({each.port for each in billing.arrived}) == 3


def test_a_loop_that_was_just_closed_is_forgotten(billing: Neighbour) -> None:
    from flask_linked_auth.links import async_client

    async def calling() -> None:
        async with Service(link_to(billing.address)) as service:
            await service.get("/x", headers={"Connection": "close"})

    loop = asyncio.new_event_loop()
    loop.run_until_complete(calling())
    loop.close()
    assert [key[0] for key in async_client._shared] == [loop]
    run(calling)
    assert async_client._shared == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_has_connections_of_its_own(billing: Neighbour) -> None:
    link = link_to(billing.address)

    async def parent() -> None:
        async with Service(link) as service:
            await service.get("/before")
            child = multiprocessing.get_context("fork").Process(target=in_child)
            child.start()
            await asyncio.to_thread(child.join, 20)
            assert child.exitcode == 0
            await service.get("/after")

    def in_child() -> None:
        from flask_linked_auth.links import async_client

        assert async_client._shared == {}
        os._exit(0)

    run(parent)
    assert len({each.port for each in billing.arrived}) == 1


def test_cookies_stay_with_one_service(billing: Neighbour) -> None:
    billing.answer = lambda arrived: (200, {"Set-Cookie": "a=1"}, b"")
    link = link_to(billing.address)

    async def two() -> None:
        async with Service(link, 7) as service:
            await service.get("/x")
            await service.get("/x")
        async with Service(link, 8) as service:
            await service.get("/x")

    run(two)
    assert [each.headers.get("cookie") for each in billing.arrived] == [None, "a=1", None]


def test_time_outs_are_set_and_can_be_changed() -> None:
    def silent(connection: Any) -> None:
        read_head(connection)
        time.sleep(1)

    async def looking() -> Any:
        async with Service(link_to("http://127.0.0.1:1")) as service:
            first = service.timeout
        other = Service(link_to("http://127.0.0.1:1"))
        other.timeout = 3
        async with other as service:
            return first, service.timeout

    first, second = run(looking)
    assert (first.connect, first.read, second.connect, second.read) == (5, 30, 3, 3)
    with raw(silent) as address, pytest.raises(httpx2.ReadTimeout):
        call(link_to(address), timeout=0.2)


def test_old_signature_headers_are_dropped(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="signature")
    headers = {
        "AUTHORIZATION": "Bearer mine",
        "Signature": "link=:AAAA:",
        "Linked-Subject": "1",
        "X-Mine": "stays",
    }
    call(link, headers=headers, auth=("ada", "secret"))
    assert said_by(billing.last, link) == "7"
    assert ("authorization" in billing.last.headers, billing.last.headers["x-mine"]) == (False, "stays")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    transport.surroundings.cache_clear()
    yield monkeypatch
    transport.surroundings.cache_clear()


def test_proxies_of_the_environment_are_used(elsewhere: Neighbour, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("http_proxy", elsewhere.authority)
    environment.setenv("no_proxy", "")
    link = link_to("http://billing.invalid", dialect="signature")
    call(link, path="/x?y")
    assert elsewhere.last.target == "http://billing.invalid/x?y"
    assert said_by(elsewhere.last, link) == "7"


def test_a_folder_of_certificates_will_do(
    billing: Neighbour, environment: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    environment.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert call(link_to(billing.address)).status_code == 200


def test_certificates_are_checked(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = tmp_path / "127.0.0.1.pem"
    with running(certificate=certificate) as safe:
        link = link_to(safe.address, dialect="signature")
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            call(link)
        transport.surroundings.cache_clear()
        environment.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert call(link).status_code == 200
        assert said_by(safe.last, link) == "7"


def test_webhooks(billing: Neighbour, elsewhere: Neighbour) -> None:
    keys = {"signature": KEYS["EdDSA"]}
    link = link_to(billing.address, webhook_url=f"{elsewhere.address}/in", keys=keys)

    async def telling() -> None:
        async with Service(link, 7, mode="signature") as service:
            assert (await service.webhook({"type": "x"})).status_code == 200

    run(telling)
    assert (billing.arrived, elsewhere.last.target, elsewhere.last.body) == ([], "/in", b'{"type":"x"}')
    assert said_by(elsewhere.last, link) == "7"


# In an app.


class Directory:
    def __init__(self, address: str) -> None:
        self.address = address

    def link_to(self, slug: str) -> Any:
        if slug != "billing":
            raise AppNotFound(f"There is no linked app {slug!r}.")
        return link_to(self.address, webhook_url="/in")


def gateway(address: str) -> Flask:
    app = make_app()
    state_of(app).parts["links"] = Directory(address)

    @app.route("/<slug>/<path:path>", methods=["GET", "POST"])
    async def passed_on(slug: str, path: str) -> Any:
        async with Service(slug, 7, proxy=True) as service:
            return await service.get(f"/{path}", timeout=0.3)

    @app.post("/<slug>/webhook")
    async def webhook(slug: str) -> Any:
        async with Service(slug, 7, proxy=True) as service:
            return await service.webhook({})

    return app


def test_answers_are_passed_on(billing: Neighbour) -> None:
    told = {
        "X-Mine": "1",
        "Set-Cookie": "a=1",
        "Content-Encoding": "gzip",
        "Connection": "X-Hop",
        "X-Hop": "1",
    }
    billing.answer = lambda arrived: (418, told, gzip.compress(b"tea"))
    client = gateway(billing.address).test_client()
    answer = client.get("/billing/x")
    assert (answer.status_code, answer.data, answer.headers["X-Mine"]) == (418, b"tea", "1")
    assert answer.headers["Content-Length"] == "3"
    assert not {"Set-Cookie", "Content-Encoding", "X-Hop"} & set(dict(answer.headers))
    assert client.post("/billing/webhook").status_code == 418
    assert billing.last.target == "/in"


def test_what_is_no_answer_is_a_problem() -> None:
    def silent(connection: Any) -> None:
        read_head(connection)
        time.sleep(1)

    def garbage(connection: Any) -> None:
        read_head(connection)
        connection.sendall(b"\x00\xffnonsense\r\n\r\n")

    with running() as gone:
        pass
    refused(gateway(gone.address).test_client().get("/billing/x"), 502, "upstream-failed")
    with raw(garbage) as address:
        refused(gateway(address).test_client().get("/billing/x"), 502, "upstream-failed")
    with raw(silent) as address:
        refused(gateway(address).test_client().get("/billing/x"), 504, "upstream-too-slow")
    client = gateway("http://127.0.0.1:1").test_client()
    refused(client.get("/shipping/x"), 404, "app-not-found")
    refused(client.post("/shipping/webhook"), 404, "app-not-found")


def test_without_httpx2_it_says_what_to_install(billing: Neighbour) -> None:
    script = f"""
import asyncio, sys
sys.modules["httpx2"] = None
from flask_linked_auth.links.client import Service
from tests.links.neighbour import link_to
link = link_to({billing.address!r})
assert Service(link).get("/x").ok
async def main():
    async with Service(link):
        pass
try:
    asyncio.run(main())
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'flask-linked-auth[async]'" in done.stdout

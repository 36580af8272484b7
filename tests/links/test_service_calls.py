"""`Service` is Requests: every verb and every kind of body arrives, signed for the right person."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, g
from requests.auth import HTTPDigestAuth

from flask_linked_auth import Accounts, LinkedAuth, current_user
from flask_linked_auth.globals import UserProxy
from flask_linked_auth.link_errors import AppNotFound, BodyTooLarge
from flask_linked_auth.links import outgoing, transport
from flask_linked_auth.links.client import Service
from flask_linked_auth.links.keys import generate_key
from tests.links.neighbour import (
    KEYS,
    Neighbour,
    link_to,
    nonce_of,
    raw,
    read_head,
    running,
    said_by,
    unsigned,
)
from tests.tiny import in_database, make_app, register, state_of

DIALECTS = ["link", "signature", "legacy-signature"]
BODY_VERBS = ["POST", "PUT", "PATCH", "DELETE"]


def user_for(dialect: str) -> int | None:
    return None if dialect == "legacy-signature" else 7  # which speaks for nobody


@pytest.mark.parametrize("verb", ["get", "options", "head", "post", "put", "patch", "delete"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_verb_arrives_signed(verb: str, dialect: str, billing: Neighbour) -> None:
    link = link_to(billing.address, dialect=dialect)
    with Service(link, user_for(dialect)) as service:
        answer = getattr(service, verb)("/x", params={"q": "1"})
    assert answer.status_code == 200
    assert (billing.last.method, billing.last.target) == (verb.upper(), "/x?q=1")
    assert said_by(billing.last, link) == ("7" if user_for(dialect) else None)


def pieces() -> Iterator[bytes]:
    yield b"two "
    yield b""
    yield b"pieces"


class Unseekable(io.RawIOBase):
    def __init__(self, data: bytes) -> None:
        self.data = data

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        size = len(self.data) if size < 0 else size
        piece, self.data = self.data[:size], self.data[size:]
        return piece


BODIES: dict[str, tuple[dict[str, Any], bytes | None]] = {
    "json": ({"json": {"a": [1, "ñ"]}}, b'{"a": [1, "\\u00f1"]}'),
    "form": ({"data": {"a": "1", "b": ["2", "3 ñ"]}}, b"a=1&b=2&b=3+%C3%B1"),
    "pairs": ({"data": [("a", "1"), ("a", "2")]}, b"a=1&a=2"),
    "bytes": ({"data": b"\x00\xff"}, b"\x00\xff"),
    "text": ({"data": "ñ"}, "ñ".encode()),
    "none": ({}, b""),
    "empty": ({"data": b""}, b""),
    "file in memory": ({"data": lambda: io.BytesIO(b"in a file")}, b"in a file"),
    "text file": ({"data": lambda: io.StringIO("in a file")}, b"in a file"),
    "half-read file": ({"data": lambda: half_read(b"in a file")}, b"a file"),
    "empty file": ({"data": io.BytesIO}, b""),
    "generator": ({"data": pieces}, b"two pieces"),
    "empty generator": ({"data": lambda: iter(())}, b""),
    "pipe": ({"data": lambda: Unseekable(b"x" * 200_000)}, b"x" * 200_000),
    "large generator": ({"data": lambda: (b"x" * 100_000 for _ in range(30))}, b"x" * 3_000_000),
    "files": ({"files": {"f": ("name.txt", b"content", "text/plain")}, "data": {"a": "1"}}, None),
}


def half_read(data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.read(3)
    return file


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("dialect", ["link", "signature"])
def test_every_kind_of_body_arrives_signed(kind: str, dialect: str, billing: Neighbour) -> None:
    options, expected = BODIES[kind]
    options = {name: value() if callable(value) else value for name, value in options.items()}
    link = link_to(billing.address, dialect=dialect)
    with Service(link, 7) as service:
        service.put("/x", **options)
    assert said_by(billing.last, link) == "7"
    if expected is None:
        assert b"content" in billing.last.body
        assert b'name="a"' in billing.last.body
    else:
        assert billing.last.body == expected
    assert ("content-digest" in billing.last.headers) == (dialect == "signature" and expected != b"")


@pytest.mark.parametrize("kind", ["json", "form", "none"])
def test_the_old_signature_covers_what_django_reads(kind: str, billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="legacy-signature")
    with Service(link) as service:
        service.post("/x", **BODIES[kind][0])
    assert said_by(billing.last, link) is None
    assert billing.last.body == BODIES[kind][1]


def test_the_old_signature_reads_a_generator_first(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="legacy-signature")
    with Service(link) as service:
        service.post(
            "/x", data=(each for each in [b'{"a"', b": 1}"]), headers={"Content-Type": "application/json"}
        )
    assert (billing.last.body, said_by(billing.last, link)) == (b'{"a": 1}', None)


def test_a_text_file_is_signed_and_sent_as_utf_8(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="signature")
    with Service(link, 7) as service:
        service.put("/x", data=io.StringIO("ñ in a file"))
    assert (billing.last.body, said_by(billing.last, link)) == ("ñ in a file".encode(), "7")


def test_a_body_that_must_be_signed_has_a_limit_and_one_that_need_not_has_none(billing: Neighbour) -> None:
    def much() -> Iterator[bytes]:
        for _ in range(11):
            yield b"x" * 1000

    class Small(Service):
        body_limit = 10_000

    with (
        Small(link_to(billing.address, dialect="signature")) as service,
        pytest.raises(BodyTooLarge, match="10000"),
    ):
        service.post("/x", data=much())
    assert billing.arrived == []
    with Small(link_to(billing.address)) as service:
        service.post("/x", data=much())
    assert len(billing.last.body) == 11_000
    assert billing.last.headers["transfer-encoding"] == "chunked"


def test_a_body_that_is_not_signed_streams_while_it_is_made() -> None:
    first_has_arrived = threading.Event()

    def slowly(connection: Any) -> None:
        data = read_head(connection)
        while b"first" not in data:
            data += connection.recv(65536)
        first_has_arrived.set()
        while not data.endswith(b"0\r\n\r\n"):
            data += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def body() -> Iterator[bytes]:
        yield b"first"
        assert first_has_arrived.wait(10)
        yield b"second"

    with raw(slowly) as address, Service(link_to(address)) as service:
        assert service.post("/x", data=body()).status_code == 204


# For whom.


@pytest.mark.parametrize(
    ("user", "subject"),
    [(None, None), (7, "7"), ("7", "7"), ("ada", "ada"), (uuid.UUID(int=7), str(uuid.UUID(int=7)))],
)
def test_a_key_becomes_the_subject_as_text(user: Any, subject: str | None, billing: Neighbour) -> None:
    for dialect in ("link", "signature"):
        link = link_to(billing.address, dialect=dialect)
        with Service(link, user) as service:
            service.get("/x")
        assert said_by(billing.last, link) == subject


@pytest.mark.parametrize("user", ["", True, 1.5, b"7", [], object(), "a b", "ñ", "1\n", "01"])
def test_nobody_speaks_for_what_is_no_person(user: Any) -> None:
    with pytest.raises(ValueError, match="person"):
        Service(link_to("http://127.0.0.1:1"), user)


def test_a_row_and_g_user_become_the_subject(billing: Neighbour) -> None:
    app = make_app()
    ada = register(app)
    link = link_to(billing.address)
    with in_database(app) as (db, rows):
        row = db.session.get_one(rows.User, ada.id)
        proxy = UserProxy(state_of(app), ada.id)
        db.session.expunge(row)
        for user in (row, proxy):
            with Service(link, user) as service:
                service.get("/x")
            assert said_by(billing.last, link) == str(ada.id)
        with pytest.raises(ValueError, match="person"):
            Service(link, rows.User(email="new@example.com"))
        with app.test_request_context():
            g.user = None
            assert Service(link, current_user).caller.subject == ""
            g.user = proxy
            assert Service(link, current_user).caller.subject == str(ada.id)


# By which dialect.


def test_mode_overrides_what_the_link_says(billing: Neighbour) -> None:
    keys = {"link": KEYS["HS512"], "signature": KEYS["EdDSA"]}
    link = link_to(billing.address, key=KEYS["HS512"], keys=keys)
    with Service(link, 7, mode="signature") as service:
        service.post("/x", json={})
    assert "signature" in billing.last.headers
    assert said_by(billing.last, link) == "7"
    link = link_to(billing.address, key=KEYS["EdDSA"], keys=keys, dialect="signature")
    with Service(link, 7, mode="jwt") as service:
        service.post("/x", json={})
    assert billing.last.headers["authorization"].startswith("Link App=shop,")
    assert said_by(billing.last, link) == "7"


def test_mode_signature_means_the_links_own_kind(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="legacy-signature")
    with Service(link, mode="signature") as service:
        service.post("/x", json={})
    assert billing.last.headers["authorization"].startswith("Signature App=shop,")
    only_old = link_to(billing.address, keys={"legacy-signature": KEYS["HS256"]})
    assert Service(only_old, mode="signature").caller.dialect == "legacy-signature"


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, "signature"),
        ({"dialect": "signature"}, "jwt"),
        ({"key": KEYS["EdDSA"].public()}, None),
        ({"key": None}, None),
        ({}, "link"),
    ],
)
def test_a_mode_without_a_key_is_a_mistake(options: dict[str, Any], mode: Any) -> None:
    with pytest.raises(ValueError, match=r"no key|mode is"):
        Service(link_to("http://127.0.0.1:1", **options), mode=mode)


def test_the_old_signature_does_not_speak_for_a_person() -> None:
    with pytest.raises(ValueError, match="no person"):
        Service(link_to("http://127.0.0.1:1", dialect="legacy-signature"), 7)


# Tokens that are used again.


def token_of(billing: Neighbour) -> str:
    return billing.last.headers["authorization"]


def test_a_token_is_used_for_a_minute_and_for_one_person(
    billing: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = link_to(billing.address)
    now = time.time()
    monkeypatch.setattr(outgoing.time, "time", lambda: now)

    def call(user: int | None, **more: Any) -> str:
        with Service(link_to(billing.address, **more) if more else link, user) as service:
            service.get("/x")
        return token_of(billing)

    others = {call(8), call(None), call(7, key=generate_key("HS256")), call(7, issuer="http://other.example")}
    first = call(7)
    assert len(others | {first}) == 5
    now += 59
    assert call(7) == first
    now += 2
    second = call(7)
    assert second != first
    now -= 3600  # a clock that was put right
    assert call(7) not in {first, second}


def test_there_are_only_so_many_tokens(billing: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "MOST_TOKENS", 10)
    caller = [outgoing.Caller(link_to(billing.address), str(n)) for n in range(50)]
    for each in caller:
        each.signature("GET", f"{billing.address}/", body=None, digest=None, content_type=None)
    assert len(outgoing._tokens) <= 10


def test_a_replaced_key_without_an_id_makes_a_new_token(billing: Neighbour) -> None:
    from flask_linked_auth.links.keys import key_from_hex

    for _ in range(2):
        key = key_from_hex("HS512", private=generate_key("HS512").private_hex())
        link = link_to(billing.address, key=key)
        with Service(link, 7) as service:
            service.get("/x")
        assert said_by(billing.last, link) == "7"


def test_each_signed_request_has_a_nonce_of_its_own(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="signature")
    with Service(link, 7) as service:
        for _ in range(5):
            service.get("/x")
    assert len({nonce_of(each) for each in billing.arrived}) == 5


# It is Requests.


def test_old_signature_headers_are_dropped(billing: Neighbour) -> None:
    left = {
        "authorization": "Bearer mine",
        "SIGNATURE": "link=:AAAA:",
        "Signature-Input": "link=()",
        "content-digest": "sha-256=:AAAA:",
        "linked-subject": "1",
        "X-Mine": "stays",
    }
    for dialect in ("link", "signature"):
        link = link_to(billing.address, dialect=dialect)
        with Service(link, 7) as service:
            service.headers.update({"Linked-Subject": "2"})
            service.get("/x", headers=left, auth=("ada", "secret"))
        assert said_by(billing.last, link) == "7"
        assert billing.last.headers["x-mine"] == "stays"
    assert billing.last.headers.get("authorization") is None


def test_hooks_streams_and_cookies_work(billing: Neighbour) -> None:
    billing.answer = lambda arrived: (200, {"Set-Cookie": "a=1"}, b"x" * 100_000)
    seen: list[Any] = []
    with Service(link_to(billing.address), 7) as service:
        service.hooks["response"].append(lambda answer, *args, **options: seen.append(answer))
        with service.get("/x", stream=True) as answer:
            assert len(next(answer.iter_content(10))) == 10
        service.get("/y")
        assert len(seen) == 2
        assert billing.last.headers["cookie"] == "a=1"
    with Service(link_to(billing.address), 8) as service:
        service.get("/z")
    assert "cookie" not in billing.last.headers


def test_a_challenge_is_answered_by_a_signed_request(billing: Neighbour) -> None:
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'}
    billing.answers((401, challenge, b""), (200, {}, b""))
    link = link_to(billing.address, dialect="signature")
    with Service(link, 7) as service:
        service.get("/x", auth=HTTPDigestAuth("ada", "secret"))
    assert [said_by(each, link) for each in billing.arrived] == ["7", "7"]


def test_a_mounted_adapter_sends_what_was_signed(billing: Neighbour) -> None:
    closed: list[bool] = []

    class Mine(requests.adapters.HTTPAdapter):
        def add_headers(self, request: Any, **options: Any) -> None:
            request.headers["X-Mine"] = "1"

        def close(self) -> None:
            closed.append(True)
            super().close()

    link = link_to(billing.address)
    with Service(link, 7) as service:
        service.mount(billing.address, Mine())
        service.get("/x")
    assert (billing.last.headers["x-mine"], said_by(billing.last, link)) == ("1", "7")
    assert closed == [True]


def test_it_can_be_used_without_with_and_after_with(billing: Neighbour) -> None:
    service = Service(link_to(billing.address))
    assert service.get("/x").ok
    with service:
        assert service.get("/x").ok
    assert service.get("/x").ok


def test_nothing_secret_is_shown_or_pickled() -> None:
    service = Service(link_to("http://127.0.0.1:1"), 7)
    assert KEYS["HS256"].private_hex()[:10] not in repr(vars(service)) + repr(
        vars(service.get_adapter("http://x"))
    )
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(service)


# Connections.


def test_connections_are_kept_and_shared_by_every_service(billing: Neighbour) -> None:
    link = link_to(billing.address)
    for user in range(5):
        with Service(link, user) as service:
            service.get("/x")
            service.get("/y")
    assert len({each.port for each in billing.arrived}) == 1


def test_threads_share_the_pool(billing: Neighbour) -> None:
    link = link_to(billing.address, dialect="signature")

    def call(user: int) -> None:
        with Service(link, user) as service:
            assert service.get(f"/{user}").json()["path"] == f"/{user}"

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(call, range(1, 201)))
    assert sorted(int(each.path[1:]) for each in billing.arrived) == list(range(1, 201))
    assert {each.path[1:] == said_by(each, link) for each in billing.arrived} == {True}
    assert len({each.port for each in billing.arrived}) <= 8
    assert len({nonce_of(each) for each in billing.arrived}) == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_has_connections_of_its_own(billing: Neighbour) -> None:
    service = Service(link_to(billing.address))
    service.get("/before")

    def in_child() -> None:
        service.get("/child")
        service.get("/child")

    child = multiprocessing.get_context("fork").Process(target=in_child)
    child.start()
    child.join(20)
    assert child.exitcode == 0
    service.get("/after")
    ports = {
        path: {each.port for each in billing.arrived if each.path == path} for path in ("/before", "/child")
    }
    assert [each.path for each in billing.arrived] == ["/before", "/child", "/child", "/after"]
    assert len(ports["/child"]) == 1
    assert ports["/child"] != ports["/before"] == {billing.last.port}


def test_a_closed_keep_alive_connection_is_replaced() -> None:
    def once(connection: Any) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with raw(once) as address, Service(link_to(address)) as service:
        for _ in range(3):
            assert service.post("/x", data=b"").text == "ok"
            time.sleep(0.02)


# Time-outs.


def silent(connection: Any) -> None:
    read_head(connection)
    time.sleep(3)


def test_time_outs_are_set_and_can_be_changed(billing: Neighbour, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class Watching(requests.adapters.HTTPAdapter):
        def send(self, request: Any, *args: Any, **options: Any) -> Any:
            seen.append(options["timeout"])
            return super().send(request, *args, **options)

    with Service(link_to(billing.address)) as service:
        service.mount("http://", Watching())
        service.get("/x")
        service.get("/x", timeout=1)
        service.timeout = (1, 2)
        service.get("/x")
    assert seen == [(5.0, 30.0), 1, (1, 2)]


def test_somebody_who_never_answers_costs_one_time_out_only() -> None:
    begin = time.monotonic()
    with raw(silent) as address, Service(link_to(address)) as service, pytest.raises(requests.ReadTimeout):
        service.get("/x", timeout=0.2)
    assert time.monotonic() - begin < 0.6


# What the environment says.


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    transport.surroundings.cache_clear()
    yield monkeypatch
    transport.surroundings.cache_clear()


def test_proxies_are_read_once(
    billing: Neighbour, elsewhere: Neighbour, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("http_proxy", elsewhere.address)
    environment.setenv("no_proxy", "")
    link = link_to("http://billing.invalid", dialect="signature")
    with Service(link, 7) as service:
        service.get("/x?y")
    assert elsewhere.last.target == "http://billing.invalid/x?y"
    assert said_by(elsewhere.last, link) == "7"
    environment.delenv("http_proxy")
    with Service(link, 7) as service:
        service.get("/z")
    assert elsewhere.last.target == "http://billing.invalid/z"
    environment.setenv("http_proxy", elsewhere.address)
    environment.setenv("no_proxy", "127.0.0.1")
    with Service(link_to(billing.address), 7) as service:
        service.get("/x")
    assert billing.last.target == "/x"


def test_a_bundle_of_certificates_is_taken_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("REQUESTS_CA_BUNDLE", raising=False)
    environment.setenv("CURL_CA_BUNDLE", "curl.pem")
    assert Service(link_to("https://one.example")).verify == "curl.pem"
    environment.setenv("REQUESTS_CA_BUNDLE", "bundle.pem")
    assert Service(link_to("https://two.example")).verify == "bundle.pem"


def test_certificates_are_checked(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = tmp_path / "127.0.0.1.pem"
    with running(certificate=certificate) as safe:
        link = link_to(safe.address, dialect="signature")
        with Service(link, 7) as service, pytest.raises(requests.exceptions.SSLError):
            service.get("/x")
        transport.surroundings.cache_clear()
        environment.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with Service(link, 7) as service:
            assert service.get("/x").status_code == 200
        assert said_by(safe.last, link) == "7"


def test_a_netrc_does_not_sign_for_us(
    billing: Neighbour, tmp_path: Any, environment: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    environment.setenv("NETRC", str(netrc))
    link = link_to(billing.address, dialect="signature")
    with Service(link, 7) as service:
        service.get("/x")
    assert "authorization" not in billing.last.headers


# Webhooks.


def test_a_webhook_is_posted_to_its_own_address(billing: Neighbour, elsewhere: Neighbour) -> None:
    link = link_to(billing.address, webhook_url=f"{elsewhere.address}/hooks/in?v=1", dialect="signature")
    event = {"id": 1, "type": "user.created", "data": {"name": "Ada"}}
    with Service(link, 7) as service:
        assert service.webhook([event]).status_code == 200
    assert billing.arrived == []
    assert (elsewhere.last.method, elsewhere.last.target) == ("POST", "/hooks/in?v=1")
    assert elsewhere.last.body == b'[{"id": 1, "type": "user.created", "data": {"name": "Ada"}}]'
    assert said_by(elsewhere.last, link) == "7"


def test_a_webhook_path_is_at_the_links_address(billing: Neighbour) -> None:
    link = link_to(billing.address, webhook_url="/v1/auth/app/webhook")
    with Service(link) as service:
        service.webhook({"type": "x"}, headers={"X-Mine": "1"})
    assert (billing.last.target, billing.last.headers["x-mine"]) == ("/v1/auth/app/webhook", "1")


def test_a_webhook_keeps_to_the_mode(billing: Neighbour) -> None:
    keys = {"signature": KEYS["EdDSA"]}
    link = link_to(billing.address, webhook_url=f"{billing.address}/in", keys=keys)
    with Service(link, 7, mode="signature") as service:
        service.webhook({})
    assert said_by(billing.last, link) == "7"
    assert "signature" in billing.last.headers


def test_a_link_without_webhook_address_is_a_mistake(billing: Neighbour) -> None:
    with Service(link_to(billing.address)) as service, pytest.raises(ValueError, match="webhooks"):
        service.webhook({})


# By the slug.


class Directory:
    """What the part `links` offers: links by slug."""

    def __init__(self, address: str) -> None:
        self.address = address

    def link_to(self, slug: str) -> Any:
        if slug != "billing":
            raise AppNotFound(f"There is no linked app {slug!r}.")
        return link_to(self.address)


@pytest.fixture
def app(billing: Neighbour) -> Flask:
    app = make_app()
    state_of(app).parts["links"] = Directory(billing.address)
    return app


def test_a_slug_is_looked_up_in_the_app(app: Flask, billing: Neighbour) -> None:
    class Row:
        slug = "billing"

    with app.app_context():
        for name in ("billing", Row()):
            with Service(name, 7) as service:  # type: ignore[arg-type]
                service.get("/x")
            assert said_by(billing.last, link_to(billing.address)) == "7"
            assert service.link.slug == "billing"
        with pytest.raises(AppNotFound, match="shipping"):
            Service("shipping")
        with pytest.raises(TypeError, match="slug"):
            Service(7)  # type: ignore[arg-type]


def test_without_an_app_or_links_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="application context"):
        Service("billing")
    alone = make_app(LinkedAuth(parts=[Accounts()]))
    with alone.app_context(), pytest.raises(RuntimeError, match=r"Links\(\)"):
        Service("billing")


def test_a_plain_session_leaves_no_trace_of_a_signature(billing: Neighbour) -> None:
    with Service(link_to(billing.address), 7) as service:
        service.get("/x")
    with requests.Session() as session:
        session.get(f"{billing.address}/x")
    assert unsigned(billing.last)


def test_a_link_is_called_without_flask_and_without_a_database() -> None:
    script = """
import sys
from flask_linked_auth import Link, Service
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"flask", "httpx2", "sqlalchemy", "werkzeug"}), "none")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"

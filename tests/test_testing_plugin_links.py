"""What a developer tests linked services with: linked apps, clients that call as they would, live services."""

from __future__ import annotations

import asyncio
import io
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import requests
from flask import Flask, Response, g, redirect, request, stream_with_context

from flask_linked_auth import Accounts, Auth, LinkedAuth, Service, ascope, scope, testing
from flask_linked_auth.errors import InvalidFields, Taken
from flask_linked_auth.link_errors import ForeignAddress
from tests.links.neighbour import running
from tests.tiny import make_app, refused, state_of

if TYPE_CHECKING:
    from flask_linked_auth.testing import (
        Clock,
        LinkedApps,
        LinkServices,
        LiveServices,
        LoginUser,
        MakeUser,
        ServiceClients,
    )

BILLING, BLOG = "http://billing.test", "http://blog.test"


def make_service(name: str, **settings: Any) -> Flask:
    """A service with a view for each of the tests' questions."""
    app = make_app(**{"name": name, **settings})

    @app.route("/posts", methods=["GET", "POST"])
    @scope(["read:posts"])
    def posts() -> Any:
        return {
            "app": g.app and g.app.slug,
            "sub": g.token.sub,
            "user": g.user and g.user.id,
            "by": g.identity.method,
            "got": request.get_json(silent=True),
            "query": request.args.to_dict(),
        }

    @app.get("/new")
    @scope(["write:posts"])
    def new() -> Any:
        return {}

    @app.get("/moved")
    @scope(["read:posts"])
    def moved() -> Any:
        return redirect("/posts?from=moved")

    @app.get("/people")
    @Auth.auth_required
    def people() -> Any:
        return {}

    return app


@pytest.fixture
def app() -> Flask:
    """The app under test, as every host has one."""
    return make_service("blog")


@pytest.fixture
def billing() -> Flask:
    """The other service."""
    return make_service("billing")


# Linked apps, and clients that call as they would.


@pytest.mark.parametrize("mode", [None, "jwt", "signature"])
def test_a_client_calls_as_a_linked_app(
    mode: Any, linked_app: LinkedApps, service_client: ServiceClients
) -> None:
    row = linked_app("billing", needs_agreement=False, name="Billing")
    assert (row.slug, row.name, row.address) == ("billing", "Billing", "http://billing.test")
    client = service_client("billing", mode=mode)
    told = client.post("/posts?page=2", json={"title": "Tea"}).get_json()
    assert told == {
        "app": "billing",
        "sub": None,
        "user": None,
        "by": "signature" if mode == "signature" else "link",
        "got": {"title": "Tea"},
        "query": {"page": "2"},
    }


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "EdDSA"])
@pytest.mark.parametrize("mode", ["jwt", "signature"])
def test_every_algorithm_signs(
    mode: Any, algorithm: str, linked_app: LinkedApps, service_client: ServiceClients
) -> None:
    linked_app("billing", needs_agreement=False, algorithm=algorithm)
    client = service_client("billing", mode=mode)
    assert [client.get("/posts").status_code for _ in "12"] == [200, 200], "each is signed anew"


def test_the_old_signature_is_one_of_the_modes(
    linked_app: LinkedApps, service_client: ServiceClients, make_user: MakeUser
) -> None:
    linked_app("django", needs_agreement=False, dialects=["legacy-signature"])
    told = service_client("django").post("/posts", json={"title": "Tea"}).get_json()
    assert (told["by"], told["got"]) == ("signature", {"title": "Tea"})
    with pytest.raises(ValueError, match="speaks for no person"):
        service_client("django", make_user("ada@example.com"))


def test_a_person_is_spoken_for_under_an_id_of_the_other_services(
    linked_app: LinkedApps, service_client: ServiceClients, make_user: MakeUser
) -> None:
    linked_app("billing", needs_agreement=False)
    linked_app("shipping", needs_agreement=False)
    ada, bob = make_user("ada@example.com"), make_user("bob@example.com")
    for named in (ada, ada.id, "Ada@example.com"):
        told = service_client("billing", named).get("/posts").get_json()
        assert (told["user"], told["sub"]) == (ada.id, "1000001")
    told = service_client("billing", bob, mode="signature").get("/posts").get_json()
    assert told["user"] == bob.id
    assert told["sub"] not in {"1000001", str(bob.id)}
    assert service_client("shipping", bob).get("/posts").get_json()["user"] == bob.id


def test_with_scopes_the_app_holds_exactly_these_for_a_person(
    linked_app: LinkedApps, service_client: ServiceClients, make_user: MakeUser
) -> None:
    linked_app("billing", scopes=["read:posts"], optional=["write:posts"])
    ada, bob = make_user("ada@example.com"), make_user("bob@example.com")
    refused(service_client("billing", ada).get("/posts"), 403, "agreement-not-accepted")
    reader = service_client("billing", ada, scopes=["read:posts"])
    assert reader.get("/posts").status_code == 200
    refused(reader.get("/new"), 403, "agreement-not-accepted")
    assert service_client("billing", ada).get("/posts").status_code == 200, "it is left as it is"
    writer = service_client("billing", bob, scopes=["write:posts"])
    assert writer.get("/new").status_code == 200
    refused(writer.get("/posts"), 403, "agreement-not-accepted")
    assert reader.get("/posts").status_code == 200, "another person's agreement is another's"


def test_with_scopes_the_app_holds_exactly_these_for_itself(
    linked_app: LinkedApps, service_client: ServiceClients, make_user: MakeUser
) -> None:
    linked_app("billing")
    refused(service_client("billing").get("/posts"), 403, "forbidden-scope")
    client = service_client("billing", scopes=["read:posts"])
    assert client.get("/posts").status_code == 200
    refused(client.get("/new"), 403, "forbidden-scope")
    service_client("billing", scopes=["write:posts"])
    assert client.get("/new").status_code == 200
    refused(client.get("/posts"), 403, "forbidden-scope")


def test_an_app_without_an_agreement_has_them_for_its_ceiling(
    linked_app: LinkedApps, service_client: ServiceClients, make_user: MakeUser
) -> None:
    linked_app("billing", needs_agreement=False)
    client = service_client("billing", make_user("ada@example.com"), scopes=["read:posts"])
    assert client.get("/posts").status_code == 200
    refused(client.get("/new"), 403, "forbidden-scope")
    assert service_client("billing", scopes=["write:posts"]).get("/new").status_code == 200


def test_a_scope_that_only_people_can_have_is_no_hindrance(
    app: Flask, linked_app: LinkedApps, service_client: ServiceClients
) -> None:
    app.add_url_rule("/archive", "archive", scope(["read:the-whole-archive"])(lambda: "all"))
    linked_app("billing", needs_agreement=False)
    assert service_client("billing").get("/posts").status_code == 200
    refused(service_client("billing").get("/archive"), 403, "forbidden-scope")


def test_nobody_goes_beyond_a_ceiling(
    linked_app: LinkedApps, service_client: ServiceClients, make_user: MakeUser
) -> None:
    linked_app("billing", scopes=["read:posts"], ceiling=["read:posts"])
    with pytest.raises(ValueError, match="goes beyond"):
        service_client("billing", scopes=["write:posts"])
    assert service_client("billing", scopes=["read:posts"]).get("/posts").status_code == 200


def test_redirects_are_signed_anew_and_a_credential_of_the_calls_own_counts(
    app: Flask, linked_app: LinkedApps, service_client: ServiceClients
) -> None:
    linked_app("billing", needs_agreement=False)
    for mode in ("jwt", "signature"):
        client = service_client("billing", mode=mode)  # type: ignore[arg-type] # of a loop
        told = client.get("/moved", follow_redirects=True).get_json()
        assert told["query"] == {"from": "moved"}
        refused(client.get("/posts", headers={"Authorization": "Bearer x"}), 401, "token-invalid")
        refused(
            client.get("/people"),
            401,
            "authorization-header-forbidden-schema" if mode == "jwt" else "token-missing",
        )


@pytest.mark.parametrize("root", ["/", "/blog"])
def test_a_client_calls_at_the_address_of_the_issuer(root: str) -> None:
    issuer = "https://blog.example.com"
    app = make_service("blog", issuer=issuer, APPLICATION_ROOT=root)
    testing.linked_app(app, "billing", needs_agreement=False)
    client = testing.service_client(app, "billing", mode="signature")
    assert client.get("/posts").status_code == 200
    assert client.get("/posts").request.url == f"{issuer}{root.rstrip('/')}/posts"
    refused(client.get("/posts", base_url="http://elsewhere.example"), 401, "wrong-app-token")
    refused(client.get("http://elsewhere.example/posts"), 401, "wrong-app-token")


def test_the_client_is_of_the_class_that_the_host_chose(
    app: Flask, linked_app: LinkedApps, service_client: ServiceClients
) -> None:
    class Own(app.test_client_class or type(app.test_client())):  # type: ignore[misc]
        pass

    app.test_client_class = Own
    linked_app("billing", needs_agreement=False)
    assert isinstance(service_client("billing"), Own)


def test_time_goes_by_for_a_client_too(
    linked_app: LinkedApps, service_client: ServiceClients, moving_clock: Clock
) -> None:
    linked_app("billing", needs_agreement=False)
    for mode in ("jwt", "signature"):
        client = service_client("billing", mode=mode)  # type: ignore[arg-type] # of a loop
        moving_clock.advance(3600)
        assert client.get("/posts").status_code == 200


def test_what_cannot_be_is_refused(
    app: Flask, linked_app: LinkedApps, service_client: ServiceClients
) -> None:
    with pytest.raises(LookupError, match="linked_app"):
        service_client("billing")
    linked_app("billing", dialects=["link"])
    with pytest.raises(Taken):
        linked_app("billing")
    with pytest.raises(LookupError, match="nobody"):
        service_client("billing", "ada@example.com")
    with pytest.raises(ValueError, match="no key"):
        service_client("billing", mode="signature")
    with pytest.raises(InvalidFields):
        linked_app("Shipping")
    with pytest.raises(InvalidFields):
        linked_app("shipping", scopes=["Read Posts"])
    linked_app("idle", active=False)
    with pytest.raises(LookupError, match="not active"):
        service_client("idle")


def test_an_app_whose_key_is_a_public_one_cannot_be_played(app: Flask) -> None:
    from tests.links.pair import link

    link(app, algorithm="EdDSA")
    with pytest.raises(ValueError, match="linked_app"):
        testing.service_client(app, "billing")


def test_a_service_without_linked_apps_says_so() -> None:
    app = make_app(LinkedAuth(parts=[Accounts()]))
    with pytest.raises(RuntimeError, match="Links"):
        testing.linked_app(app, "billing")


def test_a_host_that_holds_an_app_context_open_keeps_its_session(app: Flask) -> None:
    """As pytest-flask does, and suites that roll back after each test."""
    with app.app_context():
        testing.linked_app(app, "billing")
        user = testing.make_user(app, "ada@example.com")
        client = testing.service_client(app, "billing", user=user, scopes=["read:posts"])
        assert client.get("/posts").get_json()["user"] == user.id


# Live services.


@pytest.fixture
def linked(app: Flask, billing: Flask, link_services: LinkServices, live_services: LiveServices) -> None:
    """Both are linked, and alive."""
    addresses = link_services(app, billing)
    assert addresses == {BLOG: app, BILLING: billing}
    live_services(addresses)


@pytest.fixture
def inside(app: Flask, linked: None) -> Iterator[None]:
    """As within a view of the app under test."""
    with app.test_request_context():
        yield


@pytest.mark.parametrize("mode", ["jwt", "signature"])
def test_a_call_of_one_app_reaches_the_other(mode: Any, inside: None, billing: Flask) -> None:
    with Service("billing", 7, mode=mode) as there:
        answer = there.post("/posts", params={"q": "a b/é"}, json={"title": "Tea"})
    assert answer.json() == {
        "app": "blog",
        "sub": "7",
        "user": None,
        "by": "link" if mode == "jwt" else "signature",
        "got": {"title": "Tea"},
        "query": {"q": "a b/é"},
    }
    assert answer.url == f"{BILLING}/posts?q=a+b%2F%C3%A9"


def test_both_ways_and_from_view_to_view(app: Flask, billing: Flask, linked: None) -> None:
    @app.get("/mine")
    def mine() -> Any:
        g.kept = "the blog's"
        with Service("billing") as there:
            told = there.get("/back").json()
        return {"kept": g.kept, "told": told, "path": request.path}

    @billing.get("/back")
    @scope(["read:posts"])
    def back() -> Any:
        assert "kept" not in g
        with Service("blog") as there:
            return {"app": g.app.slug, "told": there.get("/posts").json()["app"], "path": request.path}

    told = app.test_client().get("/mine").get_json()
    assert told["kept"] == "the blog's"
    assert told["path"] == "/mine"
    assert told["told"] == {"app": "blog", "told": "billing", "path": "/back"}


def test_algorithms_agreements_and_dialects_can_be_chosen(app: Flask, billing: Flask) -> None:
    linked = testing.link_services(
        app, billing, needs_agreement=True, dialects=["signature"], algorithm="EdDSA"
    )
    with testing.live_services(linked), app.app_context(), Service("billing") as there:
        assert there.get("/posts").json()["slug"] == "forbidden-scope"
        testing.service_client(billing, "blog", scopes=["read:posts"])
        assert there.get("/posts").json()["by"] == "signature"


def test_redirects_are_followed_and_lead_nowhere_else(billing: Flask, inside: None) -> None:
    @billing.get("/away")
    def away() -> Any:
        return redirect("http://shipping.test/posts")

    with Service("billing", mode="signature") as there:
        answer = there.get("/moved")
        assert (answer.json()["query"], len(answer.history)) == ({"from": "moved"}, 1)
        assert there.get("/away").status_code == 302
        with pytest.raises(ForeignAddress):
            there.get("http://shipping.test/posts")


@pytest.mark.parametrize("mode", ["jwt", "signature"])
def test_bodies_of_every_kind_arrive(mode: Any, billing: Flask, inside: None) -> None:
    @billing.route("/echo", methods=["POST"])
    @scope(["read:posts"])
    def echo() -> Any:
        return request.get_data(), {"Was": request.content_type or "", "Form": str(request.form.to_dict())}

    with Service("billing", mode=mode) as there:
        assert there.post("/echo", data=b"\x00bytes").content == b"\x00bytes"
        assert there.post("/echo", data="text é").text.encode() == "text é".encode()
        assert there.post("/echo", data=io.BytesIO(b"a file")).content == b"a file"
        assert there.post("/echo", data=iter([b"piece ", b"by ", b"piece"])).content == b"piece by piece"
        assert there.post("/echo").content == b""
        answer = there.post("/echo", files={"report": ("a.txt", b"lines")})
        assert answer.headers["Was"].startswith("multipart/form-data")
        assert b"lines" in answer.content


def test_an_answer_is_streamed_piece_by_piece_and_let_go(billing: Flask, inside: None) -> None:
    made: list[str] = []

    @billing.get("/report")
    @scope(["read:posts"])
    def report() -> Any:
        def lines() -> Iterator[str]:
            for number in range(100):
                made.append(f"{g.app.slug} {number}\n")
                yield made[-1]

        answer = Response(stream_with_context(lines()), mimetype="text/csv")
        answer.call_on_close(lambda: made.append("let go"))
        return answer

    with Service("billing") as there:
        answer = there.get("/report", stream=True)
        lines = answer.iter_lines(chunk_size=None)
        assert [next(lines) for _ in "12"] == [b"blog 0", b"blog 1"]
        assert len(made) < 10, "not before it is asked for"
        answer.close()
        assert made[-1] == "let go"
        made.clear()
        assert len(there.get("/report").text.splitlines()) == 100
        assert made[-1] == "let go"


def test_heads_and_empty_answers_have_no_body(billing: Flask, inside: None) -> None:
    @billing.route("/nothing", methods=["DELETE"])
    def nothing() -> Any:
        return "", 204

    with Service("billing") as there:
        head = there.head("/posts")
        assert (head.status_code, head.content, int(head.headers["Content-Length"]) > 10) == (200, b"", True)
        assert (there.delete("/nothing").status_code, there.delete("/nothing").content) == (204, b"")


def test_headers_come_along_in_both_directions(billing: Flask, inside: None) -> None:
    @billing.get("/headers")
    def headers() -> Any:
        sent = {"host": request.host, "accept": request.headers["Accept"], "by": request.remote_addr}
        answer = Response(json.dumps(sent), 418)
        answer.headers.extend([("Twice", "one"), ("Twice", "two")])
        return answer

    with Service("billing") as there:
        answer = there.get("/headers", headers={"Accept": "text/plain"})
        assert answer.json() == {"host": "billing.test", "accept": "text/plain", "by": "127.0.0.1"}
        assert (answer.status_code, answer.reason, answer.headers["Twice"]) == (
            418,
            "I'M A TEAPOT",
            "one, two",
        )


def test_cookies_are_kept_apart(billing: Flask, inside: None) -> None:
    @billing.get("/cookie")
    def cookie() -> Any:
        answer = Response(request.cookies.get("session", "none"))
        answer.set_cookie("session", "theirs")
        return answer

    with Service("billing") as there:
        assert there.get("/cookie").text == "none"
        assert there.get("/cookie").text == "theirs"
        assert there.cookies["session"] == "theirs"
    with Service("billing") as there:
        assert there.get("/cookie").text == "none"


@pytest.fixture
def failing(billing: Flask) -> Flask:
    """It fails in every way that there is."""

    @billing.get("/raises")
    def raises() -> Any:
        raise ZeroDivisionError("a secret of billing's")

    @billing.get("/breaks-off")
    def breaks_off() -> Any:
        def lines() -> Iterator[str]:
            yield "one"
            raise ZeroDivisionError

        return Response(lines())

    @billing.get("/raises-at-the-end")
    def raises_at_the_end() -> Any:
        answer = Response("all of it")
        answer.call_on_close(lambda: 1 // 0)
        return answer

    @billing.get("/slow")
    def slow() -> Any:
        time.sleep(0.4)
        return "late"

    @billing.get("/slow-body")
    def slow_body() -> Any:
        def lines() -> Iterator[str]:
            yield "one"
            time.sleep(0.4)
            yield "two"

        return Response(lines())

    return billing


def test_errors_are_those_of_a_real_service(
    failing: Flask, inside: None, caplog: pytest.LogCaptureFixture
) -> None:
    with Service("billing") as there:
        answer = there.get("/raises")
        assert (answer.status_code, answer.text) == (500, "Internal Server Error")
        assert "ZeroDivisionError: a secret" in caplog.text
        caplog.clear()
        assert there.get("/raises-at-the-end").text == "all of it"
        assert "ZeroDivisionError" in caplog.text
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            there.get("/breaks-off")
        with pytest.raises(requests.exceptions.ReadTimeout):
            there.get("/slow", timeout=0.05)
        with pytest.raises(requests.exceptions.ConnectionError, match="timed out"):
            there.get("/slow-body", timeout=(1, 0.05))
        assert there.get("/slow", timeout=None).text == "late"


def test_a_service_that_is_down(app: Flask, billing: Flask, no_waiting: None) -> None:
    services = testing.link_services(app, billing)
    with testing.live_services({**services, BILLING: None}), app.test_request_context():
        with Service("billing") as there, pytest.raises(requests.ConnectionError, match="down"):
            there.get("/posts")
        with Service("billing", proxy=True) as there:
            assert there.get("/posts").status_code == 502


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_linked_auth.links.outgoing.BACK_OFF", 0.001)


def test_an_answer_is_passed_on(app: Flask, billing: Flask, linked: None) -> None:
    @app.get("/theirs")
    def theirs() -> Any:
        return Service("billing", proxy=True).get("/posts", stream=True)

    assert app.test_client().get("/theirs").get_json()["app"] == "blog"


def test_what_is_not_named_is_refused_at_once(app: Flask, billing: Flask) -> None:
    testing.link_services(app, billing)
    refusal = pytest.raises(RuntimeError, match=re.escape("http://blog.test:80"))
    with testing.live_services({BLOG: app}), app.app_context(), refusal:
        Service("billing", proxy=True).get("/posts")


def test_with_the_network_what_is_not_named_goes_there(app: Flask) -> None:
    with running() as neighbour:
        testing.linked_app(app, "neighbour", address=neighbour.address)
        with testing.live_services({BLOG: app}, network=True), app.app_context():
            assert Service("neighbour").get("/posts").json()["path"] == "/posts"
        assert len(neighbour.arrived) == 1


def test_services_live_below_a_path_and_around_each_other(app: Flask, billing: Flask) -> None:
    gateway, other = "http://gateway.test/services", make_service("shipping")
    testing.linked_app(app, "at-the-gateway", address=f"{gateway}/billing")
    testing.linked_app(app, "other", address="https://shipping.test")

    @billing.get("/where")
    def where() -> Any:
        return {"root": request.script_root, "path": request.path, "url": request.url}

    @other.get("/where")
    def there() -> Any:
        return {"url": request.url}

    outer = testing.live_services({f"{gateway}/billing": billing, gateway: app})
    with outer, app.app_context():
        with testing.live_services({"https://shipping.test": other}):
            told = Service("at-the-gateway").get("/where").json()
            assert told == {
                "root": "/services/billing",
                "path": "/where",
                "url": f"{gateway}/billing/where",
            }
            assert Service("other").get("/where").json() == {"url": "https://shipping.test/where"}
        with pytest.raises(RuntimeError, match="would leave the test"):
            Service("other").get("/where")


def test_afterwards_nothing_is_different(app: Flask, billing: Flask) -> None:
    from flask_linked_auth.links import transport

    before, threads = transport.pool, threading.active_count()
    services = testing.link_services(app, billing)
    hosts = set(state_of(billing).parts["links"].hosts)
    with testing.live_services(services), app.app_context():
        assert Service("billing", mode="signature").get("/posts").status_code == 200
        assert state_of(billing).parts["links"].hosts == {*hosts, "billing.test"}
    assert transport.pool is before
    assert state_of(billing).parts["links"].hosts == hosts
    assert threading.active_count() == threads


def test_two_of_one_name_and_two_that_are_linked_are_refused(app: Flask, billing: Flask) -> None:
    with pytest.raises(ValueError, match="LINKED_AUTH_NAME"):
        testing.link_services(app, make_service("blog"))
    testing.link_services(app, billing)
    with pytest.raises(Taken):
        testing.link_services(app, billing)


def test_services_are_linked_at_the_addresses_of_their_settings(billing: Flask) -> None:
    app = make_service("blog", issuer="https://blog.example.com/")
    assert set(testing.link_services(app, billing)) == {"https://blog.example.com", BILLING}


@pytest.mark.parametrize("address", ["billing.test", "ftp://billing.test", "", "http://"])
def test_only_addresses_are_live(address: str, app: Flask) -> None:
    with pytest.raises(ValueError, match="no address"), testing.live_services({address: app}):
        pytest.fail("it was not refused")


def test_nobody_is_live_without_an_app() -> None:
    with pytest.raises(ValueError, match="one app"), testing.live_services({BILLING: None}):
        pytest.fail("it was not refused")


# In async views.


def test_async_calls_reach_the_other_app(app: Flask, failing: Flask, linked: None) -> None:
    httpx2 = pytest.importorskip("httpx2")
    billing = failing

    @app.get("/mine")
    async def mine() -> Any:
        async with Service("billing", 7, mode="signature") as there:
            moved = await there.get("/moved")
            many = await asyncio.gather(*(there.post("/posts", json={"n": n}) for n in range(3)))
            errors = []
            for path, options in (
                ("/breaks-off", {}),
                ("/slow", {"timeout": 0.05}),
                ("/slow-body", {"timeout": 0.05}),
            ):
                try:
                    await there.get(path, **options)
                except httpx2.TransportError as error:
                    errors.append(type(error).__name__)
            raised = await there.get("/raises")
            head = await there.head("/posts")
            async with there.stream("GET", "/posts", headers={"Twice": "1"}) as answer:
                streamed = [part async for part in answer.aiter_bytes()]
            generated = await there.post(
                "/posts", content=_pieces(), headers={"Content-Type": "application/json"}
            )
        return {
            "moved": [moved.json()["query"], len(moved.history)],
            "many": [each.json()["got"]["n"] for each in many],
            "errors": errors,
            "raised": [raised.status_code, raised.reason_phrase],
            "head": [head.status_code, head.content.decode()],
            "streamed": b"".join(streamed).decode()[:1],
            "generated": generated.json()["got"],
        }

    assert app.test_client().get("/mine").get_json() == {
        "moved": [{"from": "moved"}, 1],
        "many": [0, 1, 2],
        "errors": ["RemoteProtocolError", "ReadTimeout", "ReadTimeout"],
        "raised": [500, "INTERNAL SERVER ERROR"],
        "head": [200, ""],
        "streamed": "{",
        "generated": {"in": "pieces"},
    }
    assert billing.name == "billing"


async def _pieces() -> Any:
    yield b'{"in":'
    yield b' "pieces"}'


def test_async_views_answer_beneath_an_event_loop(app: Flask, billing: Flask, linked: None) -> None:
    """What a server does in a process of its own: here the caller's thread has an event loop already."""
    pytest.importorskip("httpx2")

    @billing.get("/awaited")
    @ascope(["read:posts"])
    async def awaited() -> Any:
        await asyncio.sleep(0)
        return {"app": g.app.slug, "user": await g.get_user()}

    @app.get("/mine")
    async def mine() -> Any:
        with Service("billing") as there:
            blocking = there.get("/awaited").json()
        async with Service("billing") as waiting:
            return [blocking, (await waiting.get("/awaited")).json()]

    assert app.test_client().get("/mine").get_json() == [{"app": "blog", "user": None}] * 2


def test_async_calls_of_what_is_down_or_not_named(app: Flask, billing: Flask, no_waiting: None) -> None:
    httpx2 = pytest.importorskip("httpx2")
    services = testing.link_services(app, billing)

    async def call() -> Any:
        async with Service("billing") as there:
            return (await there.get("/posts")).status_code

    with app.app_context():
        with testing.live_services({**services, BILLING: None}), pytest.raises(httpx2.ConnectError):
            asyncio.run(call())
        with testing.live_services({BLOG: app}), pytest.raises(RuntimeError, match="would leave"):
            asyncio.run(call())
        with testing.live_services(services), testing.live_services({BLOG: app}):
            assert asyncio.run(call()) == 200


def test_async_calls_go_to_the_network_if_they_may(app: Flask) -> None:
    pytest.importorskip("httpx2")

    async def call() -> Any:
        async with Service("neighbour") as there:
            return (await there.get("/posts")).json()

    with running() as neighbour:
        testing.linked_app(app, "neighbour", address=neighbour.address)
        with testing.live_services({BLOG: app}, network=True), app.app_context():
            assert asyncio.run(call())["path"] == "/posts"


# Refused outside testing.


def test_outside_testing_all_is_refused(app: Flask, billing: Flask, login_user: LoginUser) -> None:
    testing.linked_app(app, "shipping")
    app.testing = False
    for deed in (
        lambda: testing.linked_app(app, "billing"),
        lambda: testing.service_client(app, "shipping"),
        lambda: testing.link_services(app, billing),
        lambda: testing.link_services(billing, app),
        lambda: testing.live_services({BILLING: billing, BLOG: app}).__enter__(),
    ):
        with pytest.raises(RuntimeError, match=r"app\.testing is False"):
            deed()

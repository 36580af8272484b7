"""Our routes beside a host's: its error pages, its own routes under our prefix, its preflights."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, make_response, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import NotFound

from flask_linked_auth import Auth, LinkedAuth, errors, json_errors, scope
from tests.tiny import PASSWORD, QUICK, SECRET, bare_app, bearer, log_in, make_app, refused, register

LOGIN = {"email": "ana@example.com", "password": PASSWORD}


@pytest.fixture
def app() -> Flask:
    return make_app()


# Unknown paths and methods.


@pytest.mark.parametrize(
    "path", ["/auth/nothing", "/auth", "/auth/", "/auth/me/nothing", "/auth/users/1/2", "/auth/login/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_an_unknown_path_under_our_prefix_is_our_404(app: Flask, path: str, method: str) -> None:
    refused(app.test_client().open(path, method=method), 404, "not-found")


def test_a_path_that_only_begins_like_our_prefix_is_the_hosts(app: Flask) -> None:
    refused(app.test_client().get("/auth/x"), 404, "not-found")
    answer = app.test_client().get("/authority")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/auth/login", "POST"),
        ("PUT", "/auth/register", "POST"),
        ("DELETE", "/auth/refresh", "POST"),
        ("GET", "/auth/logout", "POST"),
        ("POST", "/auth/me", "DELETE, GET, HEAD, PATCH, PUT"),
        ("POST", "/auth/me/logins", "GET, HEAD"),
        ("GET", "/auth/me/logins/x", "DELETE"),
        ("DELETE", "/auth/users/1", "GET, HEAD, PATCH"),
        ("TRACE", "/auth/me", "DELETE, GET, HEAD, PATCH, PUT"),
    ],
)
def test_another_method_is_our_405_with_those_that_are_right(
    app: Flask, method: str, path: str, allowed: str
) -> None:
    answer = app.test_client().open(path, method=method)
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize(("path", "allowed"), [("/auth/login", "POST"), ("/auth/users", "GET, HEAD")])
def test_options_is_answered_for_a_browsers_preflight(app: Flask, path: str, allowed: str) -> None:
    answer = app.test_client().options(path)
    assert (answer.status_code, answer.text, answer.headers["Allow"]) == (204, "", allowed)


def test_options_on_an_unknown_path_is_a_404(app: Flask) -> None:
    refused(app.test_client().options("/auth/nothing"), 404, "not-found")


def test_head_is_get_without_a_body(app: Flask) -> None:
    ana = register(app)
    answer = ana.call("HEAD", "/auth/me")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] != "0"
    assert app.test_client().head("/auth/me").status_code == 401


@pytest.mark.parametrize("path", ["/auth/login/", "/auth/users/", "/auth/me/"])
def test_a_slash_at_the_end_does_no_harm(app: Flask, path: str) -> None:
    ana = register(app)
    answer = app.test_client().post(path, json=LOGIN) if "login" in path else ana.get(path)
    assert answer.status_code == 200


# The host's own routes under our prefix.


def test_the_hosts_routes_under_our_prefix_are_its_own() -> None:
    app = make_app()
    app.add_url_rule("/auth/extra", "extra", lambda: "extra", methods=["GET", "POST"])
    app.add_url_rule("/auth/folder/", "folder", lambda: "folder")
    app.add_url_rule("/auth/maybe/<int:number>", "maybe", lambda number: abort(404, "The host says no."))
    client = app.test_client()
    assert client.get("/auth/extra").text == "extra"
    assert client.post("/auth/extra").text == "extra"
    assert {"GET", "POST"} <= set(client.options("/auth/extra").headers["Allow"].split(", "))
    assert client.get("/auth/folder/").text == "folder"
    assert client.get("/auth/folder").status_code in {301, 308}
    answer = client.get("/auth/maybe/1")
    assert (answer.status_code, "The host says no." in answer.text) == (404, True)
    assert "Cache-Control" not in answer.headers
    refused(client.get("/auth/maybe/x"), 404, "not-found")
    wrong = client.delete("/auth/extra")
    assert wrong.status_code == 405
    assert {"GET", "POST"} <= set(wrong.headers["Allow"].split(", "))


def test_our_views_can_be_given_further_paths_by_the_host() -> None:
    from flask_linked_auth.accounts.routes import login, me

    app = make_app()
    app.add_url_rule("/api/v1/users/me", "my-account", me)
    app.add_url_rule("/api/v1/users/login", "way-in", login, methods=["POST"])
    ana = register(app)
    assert app.test_client().post("/api/v1/users/login", json=LOGIN).get_json()["user_id"] == ana.id
    assert ana.get("/api/v1/users/me").get_json()["email"] == "ana@example.com"
    refused(app.test_client().get("/api/v1/users/me"), 401, "token-missing")


# The host's error pages.


def hosts_404(error: Exception) -> tuple[str, int]:
    return "the host's own 404", 404


def hosts_any(error: Exception) -> tuple[str, int]:
    return f"the host caught {type(error).__name__}", getattr(error, "code", None) or 500


def test_the_hosts_error_pages_and_ours_keep_to_themselves() -> None:
    app = make_app()
    app.register_error_handler(404, hosts_404)
    app.register_error_handler(405, lambda error: ("the host's own 405", 405))
    app.register_error_handler(415, lambda error: ("the host's own 415", 415))
    app.register_error_handler(NotFound, hosts_404)
    app.add_url_rule("/page", "page", lambda: "page")
    client = app.test_client()
    assert client.get("/nothing").text == "the host's own 404"
    assert client.post("/page").text == "the host's own 405"
    refused(client.get("/auth/nothing"), 404, "not-found")
    refused(client.get("/auth/login"), 405, "method-not-allowed")
    refused(client.post("/auth/login", data="x"), 415, "unsupported-media-type")
    ana = register(app)
    refused(ana.get("/auth/users/99"), 404, "not-found")


def test_a_host_that_catches_every_exception_does_not_catch_ours() -> None:
    app = make_app()
    app.register_error_handler(Exception, hosts_any)
    app.add_url_rule("/bug", "bug", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    app.add_url_rule("/mine", "mine", Auth.auth_required(lambda: "in"))
    app.add_url_rule("/staff", "staff", scope(["admin:users"])(lambda: "in"))
    client = app.test_client()
    assert client.get("/bug").text == "the host caught ZeroDivisionError"
    assert client.get("/nothing").text == "the host caught NotFound"
    ana = register(app)
    assert ana.get("/mine").text == "in"
    refused(client.get("/mine"), 401, "token-missing")
    refused(ana.get("/staff"), 403, "forbidden-scope")
    refused(client.get("/auth/me"), 401, "token-missing")
    refused(client.get("/auth/nothing"), 404, "not-found")
    refused(client.post("/auth/login", json={}), 422, "invalid-fields")
    refused(client.post("/auth/login", json={**LOGIN, "password": "wrong"}), 401, "invalid-credentials")


def test_a_hosts_handler_for_an_error_of_ours_is_asked_on_its_routes_and_on_ours() -> None:
    app = make_app()

    @app.errorhandler(errors.MissingToken)
    def missing(error: errors.MissingToken) -> tuple[dict[str, str], int]:
        return {"host": error.slug}, 418

    @app.errorhandler(errors.Conflict)
    def conflict(error: errors.Conflict) -> tuple[dict[str, str], int]:
        return {"host": error.slug}, 419

    app.add_url_rule("/mine", "mine", Auth.auth_required(lambda: "in"))
    client = app.test_client()
    for path in ("/mine", "/auth/me"):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()) == (418, {"host": "token-missing"})
    register(app)
    again = client.post("/auth/register", json=LOGIN)
    assert (again.status_code, again.get_json()) == (419, {"host": "taken"})  # Taken is a Conflict
    refused(client.get("/auth/me", headers=bearer("x")), 401, "token-invalid")  # its sisters are untouched


def test_a_hosts_handler_for_all_errors_of_ours_is_asked() -> None:
    app = make_app()
    app.register_error_handler(errors.Problem, lambda problem: (problem.slug.upper(), problem.status))
    app.add_url_rule("/mine", "mine", Auth.auth_required(lambda: "in"))
    for path in ("/mine", "/auth/me"):
        answer = app.test_client().get(path)
        assert (answer.status_code, answer.text) == (401, "TOKEN-MISSING")


def test_an_async_handler_of_the_host_is_asked_too() -> None:
    pytest.importorskip("asgiref")
    app = make_app()

    @app.errorhandler(errors.MissingToken)
    async def missing(error: errors.MissingToken) -> tuple[str, int]:
        return "later", 401

    assert app.test_client().get("/auth/me").text == "later"


def test_the_handler_of_a_hosts_blueprint_counts_in_that_blueprint() -> None:
    app = make_app()
    blueprint = Blueprint("part", __name__, url_prefix="/part")
    blueprint.register_error_handler(errors.Unauthorized, lambda problem: ("the part's own", 401))
    blueprint.add_url_rule("/", "home", Auth.auth_required(lambda: "in"))
    app.register_blueprint(blueprint)
    assert app.test_client().get("/part/").text == "the part's own"
    refused(app.test_client().get("/auth/me"), 401, "token-missing")


def test_a_host_may_raise_our_errors_from_its_own_views() -> None:
    app = make_app()

    @app.get("/busy")
    def busy() -> str:
        raise errors.Unavailable("Come back later.", retry_after=7)

    @app.get("/fields")
    def fields() -> str:
        raise errors.InvalidFields(errors={"title": ["Is too long."]}, members={"hint": "shorten it"})

    answer = app.test_client().get("/busy")
    assert refused(answer, 503, "unavailable")["detail"] == "Come back later."
    assert answer.headers["Retry-After"] == "7"
    body = refused(app.test_client().get("/fields"), 422, "invalid-fields")
    assert (body["errors"], body["hint"]) == ({"title": ["Is too long."]}, "shorten it")


def test_json_errors_answers_a_hosts_http_errors_in_our_shape() -> None:
    app = make_app()
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    json_errors(blueprint)
    for code in (400, 403, 404, 409, 410, 418, 429, 500, 503):
        blueprint.add_url_rule(f"/{code}", str(code), partial(abort, code))
    blueprint.add_url_rule("/own", "own", lambda: abort(make_response("said otherwise", 409)))
    app.register_blueprint(blueprint)
    client = app.test_client()
    for code, slug in (
        (400, "malformed-request"),
        (403, "forbidden"),
        (404, "not-found"),
        (409, "conflict"),
        (500, "internal-error"),
    ):
        refused(client.get(f"/api/{code}"), code, slug)
    for code in (410, 418):
        body = client.get(f"/api/{code}").get_json()
        assert (body["status"], body["slug"]) == (code, "http-error")
    assert client.get("/api/own").text == "said otherwise"
    assert client.get("/nothing").mimetype == "text/html"

    whole = make_app()
    json_errors(whole)
    whole.add_url_rule("/page", "page", lambda: "page")
    refused(whole.test_client().get("/nothing"), 404, "not-found")
    answer = whole.test_client().post("/page")
    refused(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]


def test_what_the_host_says_by_an_http_error_is_kept() -> None:
    app = Flask("host")
    json_errors(app)
    basic = WWWAuthenticate("basic", {"realm": "staff"})
    views: dict[str, Any] = {
        "/owner": lambda: abort(403, "You are not the owner."),
        "/plain": lambda: abort(403),
        "/busy": lambda: abort(429, retry_after=77),
        "/staff": lambda: abort(401, www_authenticate=basic),
        "/rest": lambda: abort(416, length=9),
    }
    for path, view in views.items():
        app.add_url_rule(path, path, view)
    client = app.test_client()
    assert refused(client.get("/owner"), 403, "forbidden")["detail"] == "You are not the owner."
    assert refused(client.get("/plain"), 403, "forbidden")["detail"] == "Not allowed."
    busy = client.get("/busy")
    refused(busy, 429, "too-many-requests")
    assert busy.headers.getlist("Retry-After") == ["77"]
    staff = client.get("/staff")
    refused(staff, 401, "unauthorized")
    assert staff.headers.getlist("WWW-Authenticate") == ["Basic realm=staff"]
    assert client.get("/rest").headers["Content-Range"] == "bytes */9"


@pytest.mark.parametrize("first", ["json_errors", "LinkedAuth"])
@pytest.mark.parametrize("where", ["app", "blueprint"])
def test_a_lost_database_is_told_in_our_shape_whichever_was_set_up_first(first: str, where: str) -> None:
    # In a process of its own: where SQLAlchemy is not imported yet, json_errors cannot know its errors.
    program = f"""
import sys
from flask import Blueprint, Flask
from flask_linked_auth import LinkedAuth, json_errors

app, blueprint = Flask("host"), Blueprint("api", __name__)
app.testing = True
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", LINKED_AUTH_SECRET={SECRET!r})

@blueprint.get("/lost")
def lost():
    from sqlalchemy.exc import InterfaceError
    raise InterfaceError("select 1", {{}}, Exception("lost"))

def errors():
    json_errors(app if {where!r} == "app" else blueprint)
    app.register_blueprint(blueprint)

assert "sqlalchemy" not in sys.modules
errors() if {first!r} == "json_errors" else LinkedAuth(app)
LinkedAuth(app) if {first!r} == "json_errors" else errors()
answer = app.test_client().get("/lost")
assert (answer.status_code, answer.json["slug"]) == (503, "unavailable"), answer.text
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_a_bug_in_one_of_our_views_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()

    @app.teardown_request
    def later(error: BaseException | None) -> None:
        pass

    from flask_linked_auth.tokens.ring import KeyRing

    ana = register(app)
    state = app.extensions["linked_auth"]
    assert isinstance(state.ring, KeyRing)
    state.parts["accounts"].schemas.whole.dump_fields.clear()  # whatever a bug may be
    del state.parts["accounts"]
    answer = ana.get("/auth/me")
    refused(answer, 500, "internal-error")
    assert "KeyError" not in answer.text
    assert "KeyError" in caplog.text


# What hosts do to every request.


def test_a_hosts_own_csrf_check_does_not_break_what_carries_a_token() -> None:
    app = make_app()

    @app.before_request
    def csrf() -> None:
        # As Flask-WTF's CSRFProtect does, with an exemption by endpoint.
        if request.method == "POST" and not (request.endpoint or "").startswith("linked_auth_"):
            abort(400, "The CSRF token is missing.")

    app.add_url_rule("/form", "form", lambda: "sent", methods=["POST"])
    assert app.test_client().post("/form").status_code == 400
    ana = register(app)
    assert ana.refresh().status_code == 200
    assert ana.post("/auth/logout").status_code == 204


class Protection:
    """What a host's CSRFProtect does, as far as it concerns others (Flask-WTF's keeps the same place)."""

    def __init__(self, app: Flask) -> None:
        self.exempted: set[str] = set()
        app.extensions["csrf"] = self
        app.before_request(self.check)

    def exempt(self, blueprint: Blueprint) -> None:
        self.exempted.add(blueprint.name)

    def check(self) -> None:
        if request.method == "POST" and request.blueprint not in self.exempted:
            abort(400, "The CSRF token is missing.")


@pytest.mark.parametrize("first", ["protection", "extension"])
def test_a_hosts_csrf_protection_lets_our_routes_pass_whichever_was_set_up_first(first: str) -> None:
    app = bare_app(database="sqlite://", **QUICK)
    if first == "protection":
        Protection(app)
    LinkedAuth(app)
    if first == "extension":
        Protection(app)
    app.add_url_rule("/form", "form", lambda: "sent", methods=["POST"])
    assert app.test_client().post("/form").status_code == 400
    ana = register(app)
    assert ana.refresh().status_code == 200
    assert ana.post("/auth/logout").status_code == 204
    assert app.test_client().post("/form").status_code == 400


def test_answers_of_ours_are_never_stored_and_those_of_the_host_are_its_own(app: Flask) -> None:
    app.add_url_rule("/page", "page", lambda: "page")
    app.add_url_rule("/guarded", "guarded", Auth.auth_required(lambda: "in"))
    ana = register(app)
    answers: list[Any] = [ana.get("/auth/me"), ana.refresh(), ana.get("/auth/users"), ana.get("/auth/jwks")]
    answers += [app.test_client().post("/auth/login", json=LOGIN), app.test_client().options("/auth/login")]
    answers += [
        app.test_client().get("/auth/nothing"),
        ana.post("/auth/validate-token"),
        ana.post("/auth/logout-all"),
    ]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Service" not in answer.headers
    assert "Cache-Control" not in app.test_client().get("/page").headers
    assert "Cache-Control" not in log_in(app).get("/guarded").headers


def test_answers_of_ours_say_whose_they_are_where_that_is_set() -> None:
    app = make_app(service_header=True, name="blog")
    app.add_url_rule("/page", "page", lambda: "page")
    app.add_url_rule("/guarded", "guarded", Auth.auth_required(lambda: "in"))
    client = app.test_client()
    ana = register(app)
    for answer in (
        ana.get("/auth/me"),
        client.get("/auth/nothing"),
        client.get("/guarded"),
        client.options("/auth/me"),
    ):
        assert answer.headers["Service"] == "blog"
    assert "Service" not in client.get("/page").headers


def test_the_host_header_is_reflected_nowhere() -> None:
    app = make_app()
    for n in range(3):
        register(app, f"p{n}@example.com")
    ana = register(app)
    odd = {"headers": {"Host": "evil.example", "X-Forwarded-Host": "evil.example", **bearer(ana.access)}}
    pages = app.test_client().get("/auth/users?page_size=2", **odd)
    assert pages.get_json()["next"] == "/auth/users?page=2&page_size=2"
    answers = [
        pages,
        app.test_client().post("/auth/login", json=LOGIN, **odd),
        app.test_client().get("/auth/x", **odd),
    ]
    assert not [answer for answer in answers if "evil" in answer.text + str(answer.headers)]

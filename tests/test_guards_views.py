"""Guards on every kind of view: async ones, MethodViews, blueprints, and whole apps by `Auth.protect`."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from flask import Blueprint, Flask, g
from flask.views import MethodView, View

from flask_linked_auth import Auth, ascope, current_identity, current_user, public, scope
from tests.tiny import Person, bearer, make_admin, make_app, refused, register


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.mark.parametrize(
    "guard",
    [Auth.auth_required, Auth.auth_required(fresh=timedelta(hours=1)), scope(["read"]), ascope(["read"])],
)
def test_async_views_are_guarded_as_others_are(app: Flask, guard: Any) -> None:
    pytest.importorskip("asgiref")

    @app.get("/later/<int:number>")
    @guard
    async def later(number: int) -> dict[str, Any]:
        return {"number": number, "who": g.user.email, "login": bool(current_identity.login_id)}

    ana = register(app)
    assert ana.get("/later/7").get_json() == {"number": 7, "who": "ana@example.com", "login": True}
    refused(app.test_client().get("/later/7"), 401, "token-missing")
    refused(ana.get("/later/7", headers=bearer("a.b.c")), 401, "token-invalid")


def test_an_async_view_may_be_for_staff(app: Flask) -> None:
    pytest.importorskip("asgiref")

    @app.get("/staff")
    @ascope(["admin:users"])
    async def staff(token: Any) -> str:
        return str(token.sub)

    ana = register(app)
    refused(ana.get("/staff"), 403, "forbidden-scope")
    assert make_admin(ana).get("/staff").text == str(ana.id)


def test_a_view_that_names_app_or_token_receives_them(app: Flask) -> None:
    @app.get("/both/<int:number>")
    @scope(["read"])
    def both(number: int, app: Any, token: Any) -> dict[str, Any]:
        return {"number": number, "app": app, "sub": token["sub"], "same": token is g.token}

    @app.get("/own/<token>")
    @scope(["read"])
    def own(token: str) -> str:
        return token

    ana = register(app)
    assert ana.get("/both/3").get_json() == {"number": 3, "app": None, "sub": str(ana.id), "same": True}
    assert ana.get("/own/from-the-path").text == "from-the-path"  # the host's own names are the host's


class Posts(MethodView):
    """Reading is free, writing is for people, deleting for staff."""

    def get(self) -> dict[str, Any]:
        return {"who": current_user.id if current_user else None}

    @Auth.auth_required
    def post(self) -> dict[str, Any]:
        return {"who": g.user.id}

    @scope(["admin:posts"])
    def delete(self) -> dict[str, Any]:
        return {"who": g.user.id}


def test_a_method_of_a_method_view_can_be_guarded_by_itself(app: Flask) -> None:
    app.add_url_rule("/posts", view_func=Posts.as_view("posts"))
    ana, client = register(app), app.test_client()
    assert client.get("/posts").get_json() == {"who": None}
    assert ana.get("/posts").get_json() == {"who": None}  # without a guard nobody looks at the token
    assert ana.post("/posts").get_json() == {"who": ana.id}
    refused(client.post("/posts"), 401, "token-missing")
    refused(client.delete("/posts"), 401, "token-missing")
    refused(ana.call("DELETE", "/posts"), 403, "forbidden-scope")
    assert make_admin(ana).call("DELETE", "/posts").get_json() == {"who": ana.id}


class Drafts(MethodView):
    """Guarded as a whole, the Flask way."""

    decorators: ClassVar[list[Any]] = [Auth.auth_required]

    def get(self, number: int) -> dict[str, Any]:
        return {"who": g.user.id, "number": number}

    @scope(["admin:posts"])
    def delete(self, number: int) -> dict[str, Any]:
        return {"gone": number}


def test_a_method_view_can_be_guarded_as_a_whole(app: Flask) -> None:
    app.add_url_rule("/drafts/<int:number>", view_func=Drafts.as_view("drafts"))
    ana, client = register(app), app.test_client()
    assert ana.get("/drafts/5").get_json() == {"who": ana.id, "number": 5}
    refused(client.get("/drafts/5"), 401, "token-missing")
    refused(client.delete("/drafts/5"), 401, "token-missing")
    refused(ana.call("DELETE", "/drafts/5"), 403, "forbidden-scope")


def test_an_async_method_view_is_guarded(app: Flask) -> None:
    pytest.importorskip("asgiref")

    class Later(MethodView):
        @Auth.auth_required
        async def get(self) -> dict[str, Any]:
            return {"who": g.user.id}

    app.add_url_rule("/later", view_func=Later.as_view("later"))
    assert register(app).get("/later").get_json()["who"] == 1
    refused(app.test_client().get("/later"), 401, "token-missing")


class Everything(View):
    """One view of the older kind."""

    def dispatch_request(self) -> str:
        return "all of it"


def test_protect_guards_all_of_a_blueprint_but_what_is_public(app: Flask) -> None:
    inside, outside = Blueprint("inside", __name__, url_prefix="/in"), Blueprint("outside", __name__)
    Auth.protect(inside)

    @inside.get("/")
    def home() -> dict[str, Any]:
        return {"who": g.user.id}

    @inside.get("/welcome")
    @public
    def welcome() -> str:
        return "come in"

    @inside.get("/staff")
    @scope(["admin:users"])
    def staff() -> str:
        return "staff"

    @inside.get("/maybe")
    @Auth.auth_required(optional=True)
    def maybe() -> dict[str, Any]:
        return {"who": g.user and g.user.id}

    inside.add_url_rule("/posts", view_func=Posts.as_view("posts"))
    inside.add_url_rule("/all", view_func=Everything.as_view("all"))
    outside.add_url_rule("/out", "out", lambda: "out")
    app.register_blueprint(inside)
    app.register_blueprint(outside)
    ana, client = register(app), app.test_client()

    assert ana.get("/in/").get_json() == {"who": ana.id}
    assert ana.get("/in/all").text == "all of it"
    assert ana.get("/in/posts").get_json() == {"who": ana.id}
    for path in ("/in/", "/in/all", "/in/posts", "/in/staff"):
        refused(client.get(path), 401, "token-missing")
    refused(client.post("/in/posts"), 401, "token-missing")
    refused(ana.get("/in/staff"), 403, "forbidden-scope")
    assert client.get("/in/welcome").text == "come in"
    assert client.get("/in/maybe").get_json() == {"who": None}
    assert ana.get("/in/maybe").get_json() == {"who": ana.id}
    assert client.get("/out").text == "out"


def test_protect_guards_a_blueprint_within_a_protected_one(app: Flask) -> None:
    outer, inner = Blueprint("outer", __name__, url_prefix="/outer"), Blueprint("inner", __name__)
    Auth.protect(outer)
    inner.add_url_rule("/x", "x", lambda: str(g.user.id))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    ana = register(app)
    assert ana.get("/outer/x").text == str(ana.id)
    refused(app.test_client().get("/outer/x"), 401, "token-missing")


def test_protect_guards_a_whole_app_and_leaves_the_way_in_open() -> None:
    app = make_app()
    Auth.protect(app)
    app.add_url_rule("/", "home", lambda: str(g.user.id))
    app.add_url_rule("/health", "health", public(lambda: "ok"))
    ana, client = register(app), app.test_client()
    assert ana.get("/").text == str(ana.id)
    refused(client.get("/"), 401, "token-missing")
    assert client.get("/health").text == "ok"
    assert client.post("/auth/login", json={"email": "ana@example.com", "password": "x"}).status_code == 401
    assert ana.refresh().status_code == 200
    assert client.get("/auth/jwks").status_code == 200
    refused(client.get("/auth/me"), 401, "token-missing")
    assert client.get("/no/such/page").status_code == 404
    assert client.post("/").status_code == 405
    refused(client.get("/static/x.css"), 401, "token-missing")


def test_protect_lets_a_browser_ask_what_it_may_send(app: Flask) -> None:
    # A CORS preflight never carries credentials, and Flask answers it itself, without the view.
    Auth.protect(app)
    app.add_url_rule("/", "home", lambda: "in")
    own = Auth.auth_required(lambda: "own")
    app.add_url_rule("/own", "own", own, methods=["GET", "OPTIONS"], provide_automatic_options=False)
    app.add_url_rule(
        "/seen", "seen", lambda: "in", methods=["GET", "OPTIONS"], provide_automatic_options=False
    )
    client = app.test_client()
    answer = client.options("/")
    assert (answer.status_code, answer.text) == (200, "")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    refused(client.options("/own"), 401, "token-missing")
    refused(client.options("/seen"), 401, "token-missing")  # a view that answers it itself is guarded


def test_a_guard_under_another_decorator_still_counts_as_a_guard(app: Flask) -> None:
    Auth.protect(app)
    app.add_url_rule("/open", "open", with_a_log(public(lambda: "open")))
    app.add_url_rule("/staff", "staff", with_a_log(scope(["admin:users"])(lambda: "staff")))
    ana = register(app)
    assert app.test_client().get("/open").text == "open"
    refused(ana.get("/staff"), 403, "forbidden-scope")


def test_one_guard_serves_many_views(app: Flask) -> None:
    readers = scope(["read"])
    app.add_url_rule("/a", "a", readers(lambda: "a"))
    app.add_url_rule("/b", "b", readers(lambda: "b"))
    ana = register(app)
    assert (ana.get("/a").text, ana.get("/b").text) == ("a", "b")


def test_two_guards_must_both_be_content(app: Flask) -> None:
    app.add_url_rule("/", "home", scope(["admin:users"])(Auth.auth_required(lambda: str(g.user.id))))
    ana = register(app)
    refused(ana.get("/"), 403, "forbidden-scope")
    assert make_admin(ana).get("/").text == str(ana.id)


def test_a_request_within_a_request_has_its_own_person(app: Flask) -> None:
    @app.get("/outer/<path:token>")
    @Auth.auth_required
    def outer(token: str) -> dict[str, Any]:
        with app.app_context():
            inner = app.test_client().get("/inner", headers=bearer(token)).get_json()
        return {"outer": g.user.id, "inner": inner["who"]}

    app.add_url_rule("/inner", "inner", Auth.auth_required(lambda: {"who": g.user.id}))
    ana, ben = register(app), register(app, "ben@example.com")
    assert ana.get(f"/outer/{ben.access}").get_json() == {"outer": ana.id, "inner": ben.id}


def test_a_person_is_not_left_over_for_the_next_request(app: Flask) -> None:
    app.add_url_rule("/", "home", Auth.auth_required(optional=True)(lambda: {"who": g.user and g.user.id}))
    ana: Person = register(app)
    client = app.test_client()
    assert client.get("/", headers=bearer(ana.access)).get_json() == {"who": ana.id}
    assert client.get("/").get_json() == {"who": None}


# Guards that are written in a way that cannot be meant.


def test_a_guard_above_the_route_is_an_error_where_it_is_written(app: Flask) -> None:
    with pytest.raises(RuntimeError, match="The guard of drafts stands above its route"):

        @Auth.auth_required
        @app.get("/drafts")
        def drafts() -> str:
            return "nobody guards these"

    with pytest.raises(RuntimeError, match="The guard of posts stands above its route"):

        @scope(
            ["read:posts"],
        )
        @app.route("/posts", methods=["GET"])
        def posts() -> str:
            return "nor these"

    with pytest.raises(RuntimeError, match="above its route"):

        @for_people_in_house
        @with_a_log
        @app.get("/inside")
        def inside() -> str:
            return "nor this"


def for_people_in_house(view: Any) -> Any:
    """A host's own name for a guard."""
    return Auth.auth_required(view)


def with_a_log(view: Any) -> Any:
    @functools.wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return wrapper


def test_a_decorator_of_the_host_may_serve_a_view_guarded_and_give_it_back(app: Flask) -> None:
    def at(path: str) -> Any:
        def register_guarded(view: Any) -> Any:
            app.add_url_rule(path, path, Auth.auth_required(view))
            return view

        return register_guarded

    @scope(["admin:users"])
    @at("/mine")
    def mine() -> str:
        return "in"

    app.add_url_rule("/staff", "staff", mine)
    ana = register(app)
    assert ana.get("/mine").text == "in"
    refused(ana.get("/staff"), 403, "forbidden-scope")
    refused(app.test_client().get("/mine"), 401, "token-missing")


def test_one_function_may_be_open_on_one_route_and_guarded_on_another(app: Flask) -> None:
    def who() -> dict[str, Any]:
        return {"who": current_user.id if current_user else None}

    app.add_url_rule("/open", "open", who)
    app.add_url_rule("/mine", "mine", Auth.auth_required(who))
    other = make_app()
    other.add_url_rule("/mine", "mine", Auth.auth_required(who))
    ana, client = register(app), app.test_client()
    assert (client.get("/open").get_json(), ana.get("/mine").get_json()) == ({"who": None}, {"who": ana.id})
    refused(client.get("/mine"), 401, "token-missing")
    refused(other.test_client().get("/mine"), 401, "token-missing")


def test_a_class_is_no_view_to_be_guarded() -> None:
    for guard in (Auth.auth_required, Auth.auth_required(), scope(["read"])):
        with pytest.raises(TypeError, match=r"Drafts is a class: guard its methods, or set decorators"):
            guard(Drafts)  # type: ignore[arg-type]


def test_scopes_given_to_the_guard_of_people_are_named_for_what_they_are() -> None:
    with pytest.raises(TypeError, match=r"scopes are for scope\(\[\.\.\.\]\)"):
        Auth.auth_required(["admin"])  # type: ignore[call-overload]


def test_how_fresh_a_login_must_be_may_be_said_in_seconds(app: Flask) -> None:
    app.add_url_rule("/fresh", "fresh", Auth.auth_required(fresh=300)(lambda: "in"))
    assert register(app).get("/fresh").text == "in"
    for wrong in ("300", True):
        with pytest.raises(TypeError, match="fresh= is a timedelta or a number of seconds"):
            Auth.auth_required(fresh=wrong)  # type: ignore[arg-type, call-overload]


def test_public_above_a_guard_would_change_nothing_and_is_refused() -> None:
    with pytest.raises(TypeError, match=r"public stands above a guard \(scope admin:users\)"):
        public(scope(["admin:users"])(lambda: ""))
    assert Auth.auth_required(public(lambda: ""))

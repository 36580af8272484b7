"""The host's hooks: whose scopes are what, and what tokens say; a bug in one never opens a guard."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, g

from flask_linked_auth import Auth, LinkedAuth, errors, scope
from tests.tiny import Person, bearer, log_in, make_app, refused, register


def app_with(auth: LinkedAuth) -> Flask:
    app = make_app(auth)
    app.testing = False  # as in production, where an exception is answered instead of raised
    app.add_url_rule("/plain", "plain", Auth.auth_required(lambda: {"token": dict(g.token)}))
    app.add_url_rule("/read", "read", scope(["read:posts"])(lambda: "in"))
    app.add_url_rule("/staff", "staff", scope(["admin:users"])(lambda: "in"))
    app.add_url_rule("/apps", "apps", scope(["webhook"])(lambda: "in"))
    app.add_url_rule("/either", "either", scope(["read:posts", "write:posts"], any_of=True)(lambda: "in"))
    return app


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "async":
        pytest.importorskip("asgiref")
    return str(request.param)


def hook(kind: str, answer: Any) -> Any:
    """A hook of either kind that computes `answer(user)`."""
    if kind == "sync":
        return answer

    async def later(user: Any) -> Any:
        return answer(user)

    return later


def test_the_hook_says_which_scopes_a_person_has(kind: str) -> None:
    auth = LinkedAuth()
    auth.user_scopes(hook(kind, lambda user: ["read:posts"] if user.name == "Ana" else ["admin:users"]))
    app = app_with(auth)
    ana, ben = register(app, name="Ana"), register(app, "ben@example.com", name="Ben")
    assert ana.get("/read").text == "in"
    assert ana.get("/either").text == "in"
    refused(ana.get("/staff"), 403, "forbidden-scope")
    assert ben.get("/staff").text == "in"
    refused(ben.get("/read"), 403, "forbidden-scope")
    assert ben.get("/plain").status_code == 200


def test_the_hook_gives_nobody_a_scope_that_is_for_apps_only(kind: str) -> None:
    auth = LinkedAuth()
    auth.user_scopes(hook(kind, lambda user: ["webhook", "read:posts"]))
    ana = register(app_with(auth))
    assert ana.get("/read").text == "in"
    refused(ana.get("/apps"), 403, "forbidden-scope")


def test_the_hook_also_decides_who_sees_everything_of_others() -> None:
    auth = LinkedAuth()
    auth.user_scopes(lambda user: ["admin:users"] if user.email.startswith("ana@") else [])
    app = app_with(auth)
    ana, ben = register(app), register(app, "ben@example.com")
    assert "email" in ana.get(f"/auth/users/{ben.id}").get_json()
    assert "email" not in ben.get(f"/auth/users/{ana.id}").get_json()


def test_a_hook_is_asked_for_one_person_and_looks_only_as_far_as_it_wants() -> None:
    asked: list[Any] = []
    auth = LinkedAuth()

    @auth.user_scopes
    def scopes(user: Any) -> list[str]:
        asked.append(user.id)
        return ["read:posts"]

    app = app_with(auth)
    assert scopes(type("Somebody", (), {"id": 0})) == [
        "read:posts"
    ]  # the decorator leaves the function as it was
    ana = register(app)
    ana.get("/read")
    ana.get("/plain")
    assert asked == [0, ana.id]


def broken(user: Any) -> Any:
    raise ZeroDivisionError("hidden detail 1234")


@pytest.mark.parametrize("path", ["/read", "/either", "/staff", "/apps"])
def test_a_hook_with_a_bug_is_a_500_that_tells_nothing(
    kind: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    auth = LinkedAuth()
    auth.user_scopes(hook(kind, broken))
    app = app_with(auth)
    ana = register(app)
    assert ana.get("/plain").status_code == 200
    answer = ana.get(path)
    refused(answer, 500, "internal-error")
    assert "1234" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert "hidden detail 1234" in caplog.text  # the operator finds it where it belongs


@pytest.mark.parametrize("nonsense", [None, 7, [["a", "list"]], object()])
def test_a_hook_that_returns_nonsense_is_a_500_as_well(nonsense: Any) -> None:
    auth = LinkedAuth()
    auth.user_scopes(lambda user: nonsense)
    ana = register(app_with(auth))
    answer = ana.get("/read")
    refused(answer, 500, "internal-error")


def test_a_text_instead_of_a_list_of_scopes_is_a_bug_and_not_its_letters() -> None:
    auth = LinkedAuth()
    auth.user_scopes(lambda user: "read:posts")
    app = app_with(auth)
    app.add_url_rule("/letter", "letter", scope(["r"])(lambda: "in"))
    ana = register(app)
    refused(ana.get("/letter"), 500, "internal-error")
    refused(ana.get("/read"), 500, "internal-error")


def test_a_hook_may_refuse_by_an_error_of_ours(kind: str) -> None:
    auth = LinkedAuth()

    def refuse(user: Any) -> Any:
        raise errors.Forbidden("Not before Monday.")

    auth.user_scopes(hook(kind, refuse))
    ana = register(app_with(auth))
    assert refused(ana.get("/read"), 403, "forbidden")["detail"] == "Not before Monday."


def test_the_claims_hook_adds_to_every_token(kind: str) -> None:
    auth = LinkedAuth()
    auth.claims(hook(kind, lambda user: {"plan": "free", "of": user.email}))
    app = app_with(auth)
    ana = register(app)
    again = Person(app, ana.refresh().get_json())
    for person in (ana, again, log_in(app)):
        claims = person.get("/plain").get_json()["token"]
        assert (claims["plan"], claims["of"], claims["sub"]) == ("free", "ana@example.com", str(ana.id))
    with app.app_context():
        assert Auth.decode_token(Auth.generate_token(ana.id))["plan"] == "free"


@pytest.mark.parametrize(
    "taken", ["sub", "iss", "aud", "exp", "iat", "nbf", "jti", "sid", "gen", "auth_time", "scope"]
)
def test_the_claims_hook_cannot_replace_what_the_guards_believe(
    taken: str, caplog: pytest.LogCaptureFixture
) -> None:
    auth, claims = LinkedAuth(), {"plan": "free"}
    auth.claims(lambda user: claims)
    app = app_with(auth)
    register(app)
    claims[taken] = "2"
    login = {"email": "ana@example.com", "password": "violet-kettle-harbour-93"}
    refused(app.test_client().post("/auth/login", json=login), 500, "internal-error")
    assert f"returned claims that are ours: {taken}" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [broken, lambda user: None, lambda user: 7, lambda user: {"x": object()}, lambda user: {"x": "\0"}],
)
def test_a_claims_hook_with_a_bug_leaves_nothing_behind(kind: str, answer: Any) -> None:
    auth, working = LinkedAuth(), [False]
    auth.claims(hook(kind, lambda user: {} if working[0] else answer(user)))
    app = app_with(auth)
    new = {"email": "ana@example.com", "password": "violet-kettle-harbour-93"}
    body = app.test_client().post("/auth/register", json=new)
    refused(body, 500, "internal-error")
    assert "1234" not in body.text
    working[0] = True
    ana = register(app)  # 201: the failed attempt has made no account
    assert ana.get("/plain").status_code == 200


def test_hooks_belong_to_their_object() -> None:
    strict, free = LinkedAuth(), LinkedAuth()
    strict.user_scopes(lambda user: [])
    ana, ben = register(app_with(strict)), register(app_with(free))
    refused(ana.get("/read"), 403, "forbidden-scope")
    assert ben.get("/read").text == "in"
    assert ben.client.get("/read", headers=bearer(ben.access)).text == "in"

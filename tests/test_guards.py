"""`@Auth.auth_required` and `@scope`: who gets in, and what the refused are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, g

from flask_linked_auth import Auth, LinkedAuth, ascope, current_user, errors, scope
from tests.tiny import (
    PASSWORD,
    Person,
    bearer,
    challenge,
    edit,
    in_database,
    make_admin,
    make_app,
    refused,
    register,
    state_of,
)


@pytest.fixture
def app() -> Flask:
    """A view for each way of guarding."""
    app = make_app()
    views: dict[str, Any] = {
        "/plain": Auth.auth_required,
        "/parentheses": Auth.auth_required(),
        "/fresh": Auth.auth_required(fresh=timedelta(minutes=5)),
        "/optional": Auth.auth_required(optional=True),
        "/read": scope(["read:posts"]),
        "/read-and-write": scope(["read:posts", "write:posts"]),
        "/staff": scope(["admin:users"]),
        "/staff-or-reader": scope(["admin:users", "read:posts"], any_of=True),
        "/staff-or-boss": scope(["admin:users", "admin:everything"], any_of=True),
        "/apps": scope(["webhook"]),
        "/apps-or-people": scope(["read:user", "read:posts"], any_of=True),
    }
    for path, guard in views.items():

        def view() -> dict[str, Any]:
            return {"who": g.user.id if g.user else None}

        app.add_url_rule(path, path.strip("/"), guard(view), methods=["GET", "POST"])
    return app


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


@pytest.mark.parametrize(
    "path", ["/plain", "/parentheses", "/fresh", "/optional", "/read", "/read-and-write"]
)
def test_a_person_with_our_token_gets_in(ana: Person, path: str) -> None:
    assert ana.get(path).get_json() == {"who": ana.id}
    assert ana.post(path).get_json() == {"who": ana.id}


@pytest.mark.parametrize("path", ["/plain", "/parentheses", "/fresh", "/read", "/staff", "/apps"])
def test_nobody_does_not_and_is_told_how(app: Flask, path: str) -> None:
    answer = app.test_client().get(path)
    refused(answer, 401, "token-missing")
    # RFC 6750 section 3.1: no error code for a request that brought no credential.
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_where_it_is_optional_nobody_gets_in_as_nobody(app: Flask, ana: Person) -> None:
    assert ana.get("/optional").get_json() == {"who": ana.id}
    assert app.test_client().get("/optional").get_json() == {"who": None}


@pytest.mark.parametrize("path", ["/plain", "/optional", "/read"])
def test_a_bad_token_is_refused_even_where_it_is_optional(ana: Person, path: str) -> None:
    assert ana.get(path).status_code == 200
    answer = ana.get(path, headers=bearer(ana.access[:-2] + ("AA" if ana.access[-2:] != "AA" else "BA")))
    refused(answer, 401, "token-invalid")
    assert challenge(answer) == "invalid_token"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_may_be_written_in_any_case(app: Flask, ana: Person, scheme: str) -> None:
    answer = app.test_client().get("/plain", headers={"Authorization": f"{scheme} {ana.access}"})
    assert answer.get_json() == {"who": ana.id}


def test_the_api_token_header_does_as_well(app: Flask, ana: Person) -> None:
    assert app.test_client().get("/plain", headers={"api-token": ana.access}).get_json() == {"who": ana.id}
    refused(app.test_client().get("/plain", headers={"api-token": "x"}), 401, "token-invalid")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_same_token_in_both_headers_is_one_credential(app: Flask, ana: Person, scheme: str) -> None:
    both = {"Authorization": f"{scheme} {ana.access}", "api-token": ana.access}
    assert app.test_client().get("/plain", headers=both).get_json() == {"who": ana.id}


def test_two_different_credentials_are_refused_though_each_is_good(app: Flask, ana: Person) -> None:
    ben = register(app, "ben@example.com")
    assert ben.get("/plain").status_code == 200
    for path in ("/plain", "/optional", "/read"):
        refused(ben.get(path, headers={"api-token": ana.access}), 400, "rival-credentials")
    basic = {"Authorization": "Basic YW5hOng=", "api-token": ana.access}
    refused(app.test_client().get("/plain", headers=basic), 400, "rival-credentials")


@pytest.mark.parametrize(
    "header",
    [
        "Basic YW5hOnNlY3JldA==",
        "Digest x",
        "Token {}",
        "JWT {}",
        "{}",
        "Bearer",
        "Bearer ",
        "Bearer  {}",
        "Bearer {} ",
        "Bearer {},Bearer {}",
        "Bearer\t{}",
        '"Bearer" {}',
        "Bearer {}\xa0",
        "",
    ],
)
def test_any_other_use_of_the_header_is_refused(app: Flask, ana: Person, header: str) -> None:
    assert ana.get("/plain").status_code == 200
    text = header.replace("{}", ana.access)
    for path in ("/plain", "/optional"):
        answer = app.test_client().get(path, headers={"Authorization": text})
        if text.strip() == ana.access or not text.endswith(" "):
            bearer_scheme = text.partition(" ")[0].lower() == "bearer"
            refused(answer, 401, "token-invalid" if bearer_scheme else "unknown-auth-schema")
        else:  # WSGI servers, as Werkzeug's client, may strip white space at the end
            assert answer.status_code in {200, 401}


@pytest.mark.parametrize(
    "request_",
    [
        {"query_string": {"access_token": "{}"}},
        {"query_string": {"token": "{}"}},
        {"data": {"access_token": "{}"}, "method": "POST"},
        {"json": {"access_token": "{}"}, "method": "POST"},
        {"headers": {"Cookie": "access_token={}; api-token={}; session={}"}},
        {"headers": {"X-Access-Token": "{}"}},
        {"headers": {"Proxy-Authorization": "Bearer {}"}},
        {"headers": {"X-Forwarded-User": "1", "X-Remote-User": "1", "Remote-User": "1"}},
    ],
)
def test_a_token_anywhere_else_does_not_count(app: Flask, ana: Person, request_: dict[str, Any]) -> None:
    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: filled(v) for k, v in value.items()}
        return value.replace("{}", ana.access)

    assert ana.get("/plain").status_code == 200
    refused(app.test_client().open("/plain", **filled(request_)), 401, "token-missing")


def test_a_view_that_wants_a_fresh_login_says_how_fresh(app: Flask, ana: Person) -> None:
    assert ana.get("/fresh").status_code == 200
    edit(app, "Login", authenticated_at=1_700_000_000)
    old = Person(app, ana.refresh().get_json())
    assert old.get("/plain").status_code == 200
    answer = old.get("/fresh")
    refused(answer, 401, "login-too-old")
    assert challenge(answer) == "insufficient_user_authentication"  # RFC 9470 section 3
    assert answer.headers["WWW-Authenticate"].endswith(", max_age=300")


def test_a_new_login_is_fresh_again(app: Flask, ana: Person) -> None:
    edit(app, "Login", authenticated_at=1_700_000_000)
    refused(Person(app, ana.refresh().get_json()).get("/fresh"), 401, "login-too-old")
    login = {"email": "ana@example.com", "password": PASSWORD}
    anew = app.test_client().post("/auth/login", json=login).get_json()
    assert Person(app, anew).get("/fresh").status_code == 200


def test_a_person_holds_every_scope_but_the_administrators(app: Flask, ana: Person) -> None:
    assert ana.get("/read-and-write").status_code == 200
    answer = ana.get("/staff")
    body = refused(answer, 403, "forbidden-scope")
    assert body["scope"] == "admin:users"
    assert "admin:users" in body["detail"]
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="admin:users"'


def test_an_administrator_holds_the_admin_scopes_and_loses_them_at_once(app: Flask, ana: Person) -> None:
    refused(ana.get("/staff"), 403, "forbidden-scope")
    make_admin(ana)
    assert ana.get("/staff").get_json() == {"who": ana.id}
    edit(app, "User", is_admin=False)
    refused(ana.get("/staff"), 403, "forbidden-scope")


def test_no_person_holds_a_scope_that_is_for_apps_only(ana: Person) -> None:
    assert ana.get("/read").status_code == 200
    body = refused(make_admin(ana).get("/apps"), 403, "forbidden-scope")
    assert body["scope"] == "webhook"


def test_which_scopes_are_for_apps_only_is_a_setting() -> None:
    app = make_app(apps_only_scopes=["read:posts"])
    app.add_url_rule("/apps", "apps", scope(["webhook"])(lambda: "in"))
    app.add_url_rule("/read", "read", scope(["read:posts"])(lambda: "in"))
    ana = register(app)
    assert ana.get("/apps").text == "in"
    refused(ana.get("/read"), 403, "forbidden-scope")


def test_one_of_several_is_enough_where_the_guard_says_so(ana: Person) -> None:
    assert ana.get("/staff-or-reader").status_code == 200
    assert ana.get("/apps-or-people").status_code == 200
    body = refused(ana.get("/staff-or-boss"), 403, "forbidden-scope")
    assert body["scope"] == "admin:users admin:everything"
    assert "admin:users or admin:everything" in body["detail"]
    assert make_admin(ana).get("/staff-or-boss").status_code == 200


def test_only_the_missing_scopes_are_named(app: Flask) -> None:
    app.add_url_rule("/both", "both", scope(["read:posts", "admin:users"])(lambda: "in"))
    ana = register(app)
    assert refused(ana.get("/both"), 403, "forbidden-scope")["scope"] == "admin:users"
    assert make_admin(ana).get("/both").text == "in"


def test_a_token_with_a_scope_list_is_narrower_than_its_person(app: Flask) -> None:
    from flask_linked_auth.tokens.access import make_claims, signed

    ana = make_admin(register(app))
    with app.app_context():
        claims = make_claims(
            "http://localhost:5000", str(ana.id), lifetime=60, login_id=None, authenticated_at=0, generation=0
        )
        narrow = signed(claims | {"scope": "read:posts webhook"}, state_of(app).ring)
    person = Person(app, {**ana.given, "access_token": narrow})
    assert person.get("/read").status_code == 200
    assert ana.get("/staff").status_code == 200
    refused(person.get("/staff"), 403, "forbidden-scope")
    refused(person.get("/read-and-write"), 403, "forbidden-scope")
    refused(person.get("/apps"), 403, "forbidden-scope")  # what the person does not have, no token gives


@pytest.mark.parametrize(
    "wrong", ["read:posts", lambda: "a view", None, [1], {"read": 1}, [["read:posts"]], b"read"]
)
def test_scopes_that_are_no_list_of_strings_fail_where_they_are_written(wrong: Any) -> None:
    assert scope(["read:posts"])
    with pytest.raises(TypeError, match=r"scope\(\) wants a list of strings"):
        scope(wrong)


def test_no_scopes_at_all_would_admit_everybody_and_fail_where_they_are_written() -> None:
    for nothing in ([], ()):
        with pytest.raises(ValueError, match=r"wants one scope at least; .* Auth\.auth_required"):
            scope(nothing)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["", "read posts", 'a"b', "a\\b", "ä", "x" * 65, "a\n"])
def test_scopes_that_no_token_could_carry_fail_where_they_are_written(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a scope"):
        scope(["read:posts", wrong])


def test_a_mode_that_does_not_exist_fails_where_it_is_written() -> None:
    for mode in (None, "jwt", "signature"):
        assert scope(["read:posts"], mode=mode)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode is"):
        scope(["read:posts"], mode="link")  # type: ignore[arg-type]


def test_a_guard_that_wants_a_linked_app_admits_no_person(app: Flask) -> None:
    for mode in ("jwt", "signature"):
        app.add_url_rule(f"/{mode}", mode, scope(["read:posts"], mode=mode)(lambda: "in"))  # type: ignore[arg-type]
    ana = register(app)
    assert ana.get("/read").status_code == 200
    for mode in ("jwt", "signature"):
        refused(ana.get(f"/{mode}"), 401, "authorization-header-forbidden-schema")
        refused(app.test_client().get(f"/{mode}"), 401, "no-authorization-header")


def test_under_ascope_the_row_is_awaited(app: Flask) -> None:
    @app.get("/awaited")
    @ascope(["read:posts"])
    async def awaited() -> dict[str, str]:
        user = await g.get_user()
        return {"email": user.email}

    @app.get("/plainly")
    @ascope(["read:posts"])
    def plainly() -> dict[str, str]:
        return {"email": g.get_user().email}

    ana = register(app)
    for path in ("/awaited", "/plainly"):
        assert ana.get(path).get_json() == {"email": "ana@example.com"}


def test_what_a_guard_says_of_its_view_is_kept() -> None:
    @Auth.auth_required
    def described() -> str:
        """What it does."""
        return ""

    assert described.__name__ == "described"
    assert described.__doc__ == "What it does."
    assert described.__wrapped__.__name__ == "described"  # type: ignore[attr-defined]


def test_a_guard_without_the_extension_says_what_to_do() -> None:
    app = Flask("nothing")
    app.testing = True
    app.add_url_rule("/", "home", Auth.auth_required(lambda: "in"))
    with pytest.raises(RuntimeError, match=r"LinkedAuth\(app\)"):
        app.test_client().get("/")


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST"])
def test_every_method_of_the_view_is_guarded(app: Flask, ana: Person, method: str) -> None:
    assert ana.call(method, "/plain").status_code == 200
    assert app.test_client().open("/plain", method=method).status_code == 401


@pytest.mark.parametrize(
    "path", ["//plain", "/plain/", "/./plain", "/x/../plain", "/%70lain", "/plain%00", "/PLAIN"]
)
def test_no_spelling_of_the_path_goes_round_the_guard(app: Flask, path: str) -> None:
    assert app.test_client().get(path).status_code in {401, 404, 308}


def test_nothing_is_on_g_after_a_refusal(app: Flask) -> None:
    seen = []

    @app.errorhandler(errors.Problem)
    def look(problem: errors.Problem) -> tuple[str, int]:
        seen.append({name for name in ("identity", "user", "app", "token", "get_user") if name in g})
        return "", problem.status

    ana = register(app)
    assert ana.get("/plain").status_code == 200
    assert ana.get("/staff").status_code == 403
    assert ana.get("/apps").status_code == 403
    assert ana.get("/plain", headers=bearer("x.y.z")).status_code == 401
    assert ana.get("/plain", headers={"api-token": "other"}).status_code == 400
    edit(app, "Login", authenticated_at=1_700_000_000)
    assert Person(app, ana.refresh().get_json()).get("/fresh").status_code == 401
    assert seen == [set()] * 5


def test_there_is_nobody_outside_a_guard(app: Flask) -> None:
    app.add_url_rule("/open", "open", lambda: {"user": current_user._get_current_object()})
    assert register(app).get("/open").get_json() == {"user": None}


def test_generated_and_decoded_tokens_are_those_that_the_guards_take(app: Flask, ana: Person) -> None:
    with app.app_context():
        token = Auth.generate_token(ana.id)
        assert app.test_client().get("/plain", headers=bearer(token)).get_json() == {"who": ana.id}
        claims = Auth.decode_token(token)
        assert claims["sub"] == str(ana.id)
        assert claims["iss"] == "http://localhost:5000"
        assert claims["aud"] == "http://localhost:5000/auth"
        assert "sid" not in claims
        assert Auth.decode_token(ana.access)["sid"]


def test_a_token_can_be_made_for_a_row_and_for_the_person_of_the_request(app: Flask) -> None:
    def tokens() -> list[str]:
        return [Auth.generate_token(g.user), Auth.generate_token(g.get_user())]

    app.add_url_rule("/mine", "mine", Auth.auth_required(tokens))
    ana = register(app)
    for token in ana.get("/mine").get_json():
        assert app.test_client().get("/plain", headers=bearer(token)).get_json() == {"who": ana.id}
    with in_database(app) as (_, rows):
        for key in (ana.id, str(ana.id)):
            assert Auth.decode_token(Auth.generate_token(key))["sub"] == str(ana.id)
        strangers: list[Any] = [
            None,
            True,
            "nobody",
            "01",
            1.0,
            b"1",
            object(),
            rows.Login(),
            rows.User(),
            [ana.id],
        ]
        for stranger in strangers:
            with pytest.raises(ValueError, match=r"key of a person|row or key|not been written"):
                Auth.generate_token(stranger)


def test_a_token_without_its_scheme_is_told_how_to_write_it(app: Flask, ana: Person) -> None:
    answer = app.test_client().get("/plain", headers={"Authorization": ana.access})
    said = refused(answer, 401, "unknown-auth-schema")["detail"]
    assert said.endswith("Write: Authorization: Bearer <token>")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Bearer", "The token is empty."),
        ("Bearer {refresh}", "This is a refresh token: exchange it for an access token."),
        ("Bearer nonsense", "The token is not three parts of base64url."),
    ],
)
def test_a_slip_is_told_apart_from_a_forgery(app: Flask, ana: Person, header: str, said: str) -> None:
    sent = header.format(access=ana.access, refresh=ana.refresh_token)
    answer = app.test_client().get("/plain", headers={"Authorization": sent})
    assert refused(answer, 401, "token-invalid")["detail"].endswith(said)


def test_a_token_that_is_none_decodes_to_our_errors(
    app: Flask, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from time import time

    with app.app_context():
        assert Auth.decode_token(ana.access)
        bad: list[Any] = ["", "x", "a.b.c", ana.access + "x", ana.refresh_token, None, 7, b"x"]
        for token in bad:
            with pytest.raises(errors.InvalidToken):
                Auth.decode_token(token)
        token = Auth.generate_token(ana.id)
        later = time() + 3600
        monkeypatch.setattr("flask_linked_auth.tokens.claims.time.time", lambda: later)
        with pytest.raises(errors.ExpiredToken):
            Auth.decode_token(token)
        monkeypatch.undo()
        ana.post("/auth/logout")
        with pytest.raises(errors.RevokedToken):
            Auth.decode_token(ana.access)


def test_a_known_token_expires_too(app: Flask, ana: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    from time import time

    assert ana.get("/plain").status_code == 200
    expires = time() + 900
    monkeypatch.setattr("flask_linked_auth.tokens.access.time", lambda: expires + 4)
    assert ana.get("/plain").status_code == 200  # within the leeway of 5 s
    monkeypatch.setattr("flask_linked_auth.tokens.access.time", lambda: expires + 7)
    refused(ana.get("/plain"), 401, "token-expired")


def test_the_memory_of_tokens_is_bounded(app: Flask) -> None:
    small = make_app(token_cache_size=4)
    small.add_url_rule("/", "home", Auth.auth_required(lambda: str(g.user.id)))
    ana = register(small)
    with small.app_context():
        tokens = [Auth.generate_token(ana.id) for _ in range(12)]
    client = small.test_client()
    for token in [*tokens, *tokens, tokens[0]]:
        assert client.get("/", headers=bearer(token)).text == str(ana.id)
    verifier = state_of(small).verifier
    assert len(verifier._young) + len(verifier._old) <= 4


def test_a_memory_of_nothing_is_possible() -> None:
    app = make_app(token_cache_size=0)
    ana = register(app)
    assert ana.get("/auth/me").status_code == 200
    assert ana.get("/auth/me").status_code == 200
    assert not state_of(app).verifier._young


def test_the_guards_work_in_an_app_made_of_the_whole_extension_by_one_line() -> None:
    app = Flask("one_line")
    app.testing = True
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite://", LINKED_AUTH_BCRYPT_COST=4, LINKED_AUTH_SECRET="x" * 40
    )
    LinkedAuth(app)
    app.add_url_rule("/", "home", Auth.auth_required(lambda: g.user.name))
    assert register(app, name="Ana").get("/").text == "Ana"

"""`flask linked-auth explain`: why a credential is admitted or refused, and nothing secret in the words."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from flask_linked_auth import Auth, LinkedAuth, public, scope
from flask_linked_auth.attempts import Attempt, attempt_of
from flask_linked_auth.explain import explain, view_of
from flask_linked_auth.testing import login_user, make_user
from flask_linked_auth.tokens.issuing import access_token, generate_token
from flask_linked_auth.tokens.keys import generate, jwks
from flask_linked_auth.tokens.refresh import hashed
from tests.test_cli import fails, run
from tests.tiny import (
    OTHER_SECRET,
    PASSWORD,
    SECRET,
    Person,
    bare_app,
    bearer,
    edit,
    in_database,
    log_in,
    make_app,
    register,
    state_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from flask_linked_auth.testing import Clock


@pytest.fixture
def app() -> Flask:
    app = make_app(secret_fallbacks=[OTHER_SECRET])

    @app.get("/hello")
    @Auth.auth_required
    def hello() -> Any:
        return {}

    @app.post("/hello")
    @Auth.auth_required
    def hello_back() -> Any:
        return {}

    @app.get("/posts/<int:number>/")
    @scope(["read:posts"])
    def posts(number: int) -> Any:
        return []

    @app.get("/vault")
    @Auth.auth_required(fresh=timedelta(minutes=5))
    def vault() -> Any:
        return {}

    @app.get("/open")
    @public
    def window() -> Any:
        return {}

    @app.get("/bare")
    def bare() -> Any:
        return {}

    return app


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


def told(app: Flask, *given: str, status: int, typed: str | None = None) -> str:
    """What the command says, by its status; never a signature, a password or a line that a stranger could forge."""
    result = run(app, "explain", *given, typed=typed)
    assert result.exit_code == status, (result.output, result.exception)
    output = str(result.output)
    for token in re.findall(r"[\w-]{20,}\.[\w-]{20,}\.([\w-]{20,})", f"{given} {typed}"):
        assert token not in output
    for secret in (SECRET, OTHER_SECRET, PASSWORD):
        assert secret not in output
    assert all(line.isprintable() for line in output.splitlines())
    return output


def admitted(app: Flask, *given: str, typed: str | None = None) -> str:
    output = told(app, *given, status=0, typed=typed)
    assert not re.search(r"^NO ", output, re.MULTILINE)
    assert re.search(r"^Admitted", output, re.MULTILINE)
    return output


def refused(app: Flask, *given: str, typed: str | None = None) -> str:
    output = told(app, *given, status=1, typed=typed)
    assert len(re.findall(r"^NO ", output, re.MULTILINE)) == 1
    assert re.search(r"^Refused", output, re.MULTILINE)
    return output


# Tokens that are good.


def test_a_good_token_is_admitted_step_by_step(app: Flask, ana: Person) -> None:
    output = admitted(app, ana.access)
    steps = [line.split()[1] for line in output.splitlines() if line[:2] in {"ok", "--"}]
    assert steps == [
        "credential",
        "shape",
        "header",
        "key",
        "signature",
        "claims",
        "issuer",
        "audience",
        "times",
        "subject",
        "revocation",
        "person",
        "scopes",
    ]
    assert "HS256: LINKED_AUTH_SECRET" in output
    assert re.search(
        r"issued \d seconds? ago, expires in 14 minutes 5\d seconds \(5 s are forgiven\)", output
    )


def test_each_guard_of_the_app_says_what_it_would_answer(app: Flask, ana: Person) -> None:
    output = admitted(app, ana.access)
    assert "  people: admitted\n" in output
    assert "  people, login at most 300 s old: admitted\n" in output
    assert "  scope read:posts: admitted\n" in output
    assert "  scope admin:users: 403 forbidden-scope. This needs the scope admin:users.\n" in output


@pytest.mark.parametrize(
    "written",
    ["{}", "Bearer {}", "bearer {}", "Authorization: Bearer {}", "authorization:Bearer {}", "api-token: {}"],
)
def test_it_is_read_however_it_was_copied(app: Flask, ana: Person, written: str) -> None:
    admitted(app, written.format(ana.access))
    admitted(app, "-", typed=written.format(ana.access) + "\n")
    if ":" in written:
        admitted(app, "--header", written.format(ana.access))


def test_a_token_by_each_key_names_the_key(app: Flask, tmp_path: Path) -> None:
    old = make_app(secret=OTHER_SECRET)
    assert "LINKED_AUTH_SECRET_FALLBACKS" in admitted(app, register(old).access)
    modern = make_app(LinkedAuth(), database=f"sqlite:///{tmp_path}/keys.db", algorithm="EdDSA")
    ben = register(modern)
    assert re.search(r"key +k-\S+, EdDSA: made here, active\n", admitted(modern, ben.access))
    run(modern, "keys rotate --after 0")
    assert re.search(r"made here, active, accepted until 20\S+Z\n", admitted(modern, ben.access))
    run(modern, "keys rotate --after 0 --retire", jwt.get_unverified_header(ben.access)["kid"])
    assert re.search(
        r"The key k-\S+ was retired \d seconds? ago, and every token by it is void",
        refused(modern, ben.access),
    )


def test_the_scopes_of_a_token_are_shown_and_count(app: Flask, ana: Person) -> None:
    narrow = login_user(app, "ana@example.com", scopes=["write:posts"]).environ_base["HTTP_AUTHORIZATION"]
    output = admitted(app, narrow)
    assert 'the token carries only "write:posts"' in output
    assert "  scope read:posts: 403 forbidden-scope." in output


# Tokens that are not.


def test_an_expired_token(app: Flask, ana: Person, moving_clock: Clock) -> None:
    moving_clock.advance(3600)
    output = refused(app, ana.access)
    assert "issued 1 hour" in output
    assert re.search(r"expired 45 minutes( \d seconds?)? ago", output)
    assert "Refused: 401 token-expired." in output


def test_a_token_after_logout_and_one_after_a_change_of_password(app: Flask, ana: Person) -> None:
    other = log_in(app)
    ana.post("/auth/logout")
    assert re.search(
        r"revocation +This token's login has ended\. .* which ended \d seconds? ago", refused(app, ana.access)
    )
    assert "going on" not in admitted(app, other.access)
    other.post("/auth/logout-all")
    assert "This person's logins have ended." in refused(app, other.access)


def test_an_altered_token_says_what_it_says_of_itself(app: Flask, ana: Person) -> None:
    head, claims, signature = ana.access.split(".")
    output = refused(app, f"{head}.{claims}.{signature[:-5]}AAAAA"[: len(ana.access) - 1] + "A")
    assert re.search(r"NO +signature", output)
    assert (
        'unverified: iss "http://localhost:5000", aud "http://localhost:5000/auth", sub "1", expires in'
        in output
    )


def test_a_token_of_somebody_elses_says_whose(app: Flask) -> None:
    claims = {"iss": "https://accounts.example", "aud": "me", "exp": 1, "sub": "\x1b[31m\u202e" + "x" * 200}
    output = refused(app, jwt.encode(claims, "k" * 40))
    assert "an ID token, or a token of another issuer" in output
    assert 'iss "https://accounts.example"' in output
    assert "\\u001b[31m" in output


def test_a_token_of_a_sister_service_names_the_two_issuers(app: Flask) -> None:
    sister = make_app(issuer="https://shop.example")
    output = refused(app, register(sister).access)
    assert 'iss is "https://shop.example", and must be "http://localhost:5000"' in output


def test_a_token_by_an_unknown_and_another_kind_of_key(app: Flask) -> None:
    stranger = make_app(secret="q7Rw_" * 9)
    assert "is none of ours: s-" in refused(app, register(stranger).access)
    swapped = jwt.encode({"sub": "1"}, "k" * 48, "HS384", headers={"typ": "at+jwt", "kid": key_id(app)})
    assert f'The key {key_id(app)} is for HS256; the header says "HS384".' in refused(app, swapped)
    nameless = jwt.encode({"sub": "1"}, SECRET, headers={"typ": "at+jwt"})
    assert "which is admitted only where there is one; there are 2" in refused(app, nameless)


def key_id(app: Flask) -> str:
    with app.app_context():
        return state_of(app).ring.signing().kid


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "It has 1 part."),
        ("abc.def", "It has 2 parts."),
        ("a.b.c.d.e", "an encrypted token"),
        ('"eyJh.eyJh.AAAA"', "quotation marks"),
        ("eyJh.ey\nJh.AAAA", "white space within"),
        ("eyJh.eyJhbQ==.AAAA", "padding"),
        ("eyJh.eyJhbGc.AAAA", "It is not a JSON object in UTF-8."),
        ("fla_ot_" + "x" * 43, "the code of a mailed link"),
        ("x" * 9000, "too long"),
    ],
)
def test_what_is_no_token_is_recognised(app: Flask, token: str, words: str) -> None:
    assert words in refused(app, f"Bearer {token}")


def test_the_word_bearer_twice(app: Flask, ana: Person) -> None:
    assert "twice" in refused(app, f"Authorization: Bearer Bearer {ana.access}")


def test_a_refresh_token_is_to_be_exchanged(app: Flask, ana: Person) -> None:
    output = refused(app, ana.refresh_token)
    assert "This is a refresh token: exchange it at POST /auth/refresh for an access token." in output
    assert "Its login expires in 29 days 23 hours." in output
    assert ana.refresh_token.partition(".")[2] not in output
    ana.post("/auth/logout")
    assert "Its login ended" in refused(app, ana.refresh_token)
    assert "No login knows it." in refused(app, f"fla_rt_{'a' * 22}.{'b' * 43}")


def test_two_credentials_and_schemes_that_are_not_used(app: Flask, ana: Person) -> None:
    both = ("--header", f"Authorization: Bearer {ana.access}", "--header", "api-token: other")
    assert "rival-credentials" in refused(app, *both)
    admitted(app, "--header", f"Authorization: Bearer {ana.access}", "--header", f"api-token: {ana.access}")
    assert "The scheme basic is none" in refused(app, "Basic YW5hOnBhc3N3b3Jk")
    bare = refused(app, f"Authorization: {ana.access}")
    assert "write Authorization: Bearer <token>" in bare
    assert ana.access[:30] not in bare


def test_no_credential_at_all(app: Flask) -> None:
    assert "There is none" in refused(app, "Accept: text/html")


# The person.


def test_a_person_who_is_gone_or_deactivated_behind_the_guards_back(app: Flask, ana: Person) -> None:
    edit(app, "User", active=False)
    assert "deactivated, by a change that ended no login" in admitted(app, ana.access)
    with in_database(app) as (db, rows):
        db.session.execute(rows.User.__table__.delete())
        db.session.commit()
    assert "nobody has this id" in admitted(app, ana.access)


def test_a_subject_that_no_row_can_have(database_url: str) -> None:
    app = make_app(LinkedAuth(), database=database_url)
    with app.app_context():
        huge = generate_token(state_of(app), 2**40)
        nobody = access_token(state_of(app), "x")
    assert "nobody has this id" in admitted(app, huge)
    assert "not a whole number" in refused(app, nobody)


def test_an_administrator_is_called_one(app: Flask) -> None:
    make_user(app, "chief@example.com", is_admin=True)
    header = login_user(app, "chief@example.com").environ_base["HTTP_AUTHORIZATION"]
    assert "active, an administrator" in admitted(app, header)


# One view.


@pytest.mark.parametrize("view", ["posts", "/posts/1/", "/posts/1", "GET /posts/1/?page=2", "get /posts/7/"])
def test_a_view_is_named_by_endpoint_or_path(app: Flask, ana: Person, view: str) -> None:
    assert "Admitted by GET posts (scope read:posts)." in admitted(app, ana.access, "--for", view)


def test_a_view_that_wants_more(app: Flask, ana: Person, moving_clock: Clock) -> None:
    assert (
        "Refused by PATCH linked_auth_accounts.change_user (scope admin:users): 403 forbidden-scope"
        in refused(app, ana.access, "--for", "PATCH /auth/users/1")
    )
    moving_clock.advance(600)
    assert "401 login-too-old" in refused(app, ana.access, "--for", "vault")


def test_a_view_with_several_methods_and_one_without_get(app: Flask, ana: Person) -> None:
    assert "by POST hello_back" in admitted(app, ana.access, "--for", "hello_back")
    assert "by POST hello_back" in admitted(app, ana.access, "--for", "POST /hello")


@pytest.mark.parametrize("view", ["window", "bare", "/bare", "static"])
def test_a_view_that_is_open_to_anyone(app: Flask, view: str) -> None:
    assert ": anyone is." in admitted(app, "nonsense", "--for", view)


def test_a_view_under_protect_is_for_people() -> None:
    app = make_app()
    app.add_url_rule("/bare", "bare", dict)
    Auth.protect(app)
    ana = register(app)
    assert "Admitted by GET bare (people)." in admitted(app, ana.access, "--for", "bare")
    assert "Refused by GET bare (people)" in refused(app, "nonsense", "--for", "bare")


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("helo", "There is no endpoint 'helo'. Did you mean 'hello'?"),
        ("/nowhere", "There is nothing at /nowhere."),
        ("DELETE /hello", "/hello is there for GET, HEAD, OPTIONS, POST only."),
    ],
)
def test_a_view_that_is_not_there(app: Flask, ana: Person, view: str, words: str) -> None:
    assert fails(app, "explain", ana.access, "--for", view) == words


# Whole requests.


def test_a_curl_command(app: Flask, ana: Person) -> None:
    command = f"curl -sS 'http://localhost:5000/posts/1/' \\\n  -H 'Authorization: Bearer {ana.access}' -o /dev/null"
    assert "Admitted by GET posts" in admitted(app, "--curl", command)
    assert "Admitted by GET posts" in admitted(app, "-", typed=command)
    assert "Admitted by GET posts" in admitted(app, "--curl", "-", typed=f"$ {command}")
    posted = f"curl localhost:5000/hello --json '{{}}' --oauth2-bearer={ana.access}"
    assert "Admitted by POST hello_back" in admitted(app, "--curl", posted)
    assert "The scheme basic" in refused(app, "--curl", f"curl -u ana:{PASSWORD} http://localhost:5000/hello")
    assert "cannot be read" in fails(app, "explain", "--curl", "curl 'http://localhost")


@pytest.mark.parametrize(
    ("command", "method", "url", "headers"),
    [
        ("curl http://a.example/x", "GET", "http://a.example/x", {}),
        ("curl a.example:5000/x -I", "HEAD", "http://a.example:5000/x", {}),
        ("curl --url=/x -XDELETE", "DELETE", "/x", {}),
        ("curl -d a=1 -X put /x", "PUT", "/x", {}),
        ("curl /x -b 'a=1' -H'Cookie: b=2'", "GET", "/x", {"Cookie": " a=1, b=2"}),
        ("curl /x --header=X-A:1 -A me -k --compressed", "GET", "/x", {"X-A": "1"}),
        ("curl /x -u a:b", "GET", "/x", {"Authorization": " Basic -"}),
        ("curl /x -H", "GET", "/x", {}),
    ],
)
def test_how_a_curl_command_is_read(command: str, method: str, url: str, headers: dict[str, str]) -> None:
    assert attempt_of(command) == Attempt(headers, method, url)


def test_what_is_asked_wrongly(app: Flask, ana: Person) -> None:
    assert run(app, "explain").exit_code == 2
    assert run(app, "explain", ana.access, "--header", "a: b").exit_code == 2


# Browsers.


def cookie_of(app: Flask, person: str = "ana@example.com") -> tuple[str, str]:
    client = login_user(app, person, cookie=True)
    cookie = client.get_cookie("linked_auth_tiny")
    assert cookie is not None
    return cookie.value, client.environ_base["HTTP_X_CSRF_TOKEN"]


def test_a_cookie_alone_or_in_its_header(app: Flask, ana: Person) -> None:
    secret, _ = cookie_of(app)
    for given in ((secret,), ("--header", f"Cookie: a=b; linked_auth_tiny={secret}"), ("-",)):
        output = admitted(app, *given, typed=secret)
        assert "the cookie linked_auth_tiny" in output
        assert "expires in 29 days 23 hours" in output
        assert secret not in output
        assert hashed(secret) not in output


def test_looking_at_a_cookie_is_not_using_it(app: Flask, ana: Person, moving_clock: Clock) -> None:
    secret, _ = cookie_of(app)
    moving_clock.advance(timedelta(days=29))
    with in_database(app) as (db, rows):
        before = db.session.scalars(db.select(rows.Login.last_seen_at).order_by(rows.Login.id)).all()
    admitted(app, secret)
    with in_database(app) as (db, rows):
        assert db.session.scalars(db.select(rows.Login.last_seen_at).order_by(rows.Login.id)).all() == before


@pytest.mark.parametrize("start", ["-2", "--", "-h", "--f"])
def test_a_cookie_that_begins_with_a_dash_is_no_option(app: Flask, start: str) -> None:
    assert "Refused: 401" in refused(app, f"{start:x<43}")


def test_a_cookie_with_an_unsafe_method_wants_the_csrf_token(app: Flask, ana: Person) -> None:
    secret, csrf = cookie_of(app)
    cookie = ("--header", f"Cookie: linked_auth_tiny={secret}", "--for", "POST /hello")
    assert re.search(r"NO +csrf .*X-CSRF-Token", refused(app, *cookie))
    assert "403 csrf-failed" in refused(app, *cookie, "--header", "X-CSRF-Token: wrong")
    assert re.search(r"ok +csrf", admitted(app, *cookie, "--header", f"X-CSRF-Token: {csrf}"))
    foreign = ("--header", f"X-CSRF-Token: {csrf}", "--header", "Sec-Fetch-Site: cross-site")
    assert "from another site" in refused(app, *cookie, *foreign)


def test_a_cookie_on_a_request_from_another_site(app: Flask, ana: Person) -> None:
    secret, _ = cookie_of(app)
    headers = ["--header", f"Cookie: linked_auth_tiny={secret}", "--header", "Origin: https://evil.example"]
    assert "from another site" in refused(app, *headers, "--for", "hello")
    followed = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
    headers += [word for each in followed for word in ("--header", each)]
    assert "from another site" in admitted(app, *headers, "--for", "hello")


def test_a_cookie_that_has_ended_expired_or_never_was(app: Flask, ana: Person, moving_clock: Clock) -> None:
    secret, _ = cookie_of(app)
    ana.post("/auth/logout-all")
    assert re.search(r"NO +login .* which ended", refused(app, secret))
    assert "No login has this cookie" in refused(app, "x" * 43)
    other, _ = cookie_of(app)
    moving_clock.advance(timedelta(days=31))
    assert re.search(r"NO +login .* which expired 1 day ago", refused(app, other))


def test_cookies_that_are_none_of_ours(app: Flask, ana: Person) -> None:
    secret, _ = cookie_of(app)
    assert "no cookie linked_auth_tiny" in refused(app, "--header", "Cookie: session=x")
    assert "not the form" in refused(app, "--header", "Cookie: linked_auth_tiny=x")
    two = f"Cookie: linked_auth_tiny={secret}; linked_auth_tiny={'x' * 43}"
    assert "two cookies" in refused(app, "--header", two)


def test_a_cookie_of_a_person_who_is_gone_or_deactivated(app: Flask, ana: Person) -> None:
    secret, _ = cookie_of(app)
    edit(app, "User", active=False)
    assert re.search(r"NO +person +deactivated", refused(app, secret))


def test_a_token_goes_before_the_cookie(app: Flask, ana: Person) -> None:
    secret, _ = cookie_of(app)
    cookie = ("--header", f"Cookie: linked_auth_tiny={secret}")
    assert "goes before the cookie" in admitted(
        app, *cookie, "--header", f"Authorization: Bearer {ana.access}"
    )
    refused(app, *cookie, "--header", "Authorization: Bearer nonsense")


def test_where_cookies_do_not_count(ana: Person) -> None:
    app = make_app(pages=False)
    assert "cookies do not count here" in refused(app, "--header", f"Cookie: linked_auth_tiny={'x' * 43}")
    assert "It has 1 part." in refused(app, "x" * 43)


# Other services, and outages.


def test_a_service_that_only_verifies() -> None:
    issuer = make_app(algorithm="EdDSA")
    ana = register(issuer)
    with issuer.app_context():
        app = bare_app(jwks=state_of(issuer).ring.public())
    LinkedAuth(app, parts=[])
    output = admitted(app, ana.access)
    assert "EdDSA: published by the issuer" in output
    assert "a token is good until it expires" in output
    stranger = bare_app(jwks=jwks([generate("EdDSA")]))
    LinkedAuth(stranger, parts=[])
    assert "is none of ours" in refused(stranger, ana.access)
    assert "This is a refresh token: exchange it at POST /auth/refresh" in refused(app, ana.refresh_token)


def test_it_says_what_the_guard_says_over_http(app: Flask, ana: Person) -> None:
    """The views of the app, asked with every kind of credential: the command and the request agree."""
    secret, _ = cookie_of(app)
    credentials = [
        bearer(ana.access),
        bearer(ana.access + "x"),
        bearer(ana.refresh_token),
        {"api-token": ana.access},
        {"Authorization": f"Basic {ana.access}"},
        {"Cookie": f"linked_auth_tiny={secret}"},
        {},
    ]
    for path in ("/hello", "/posts/1/", "/vault", "/open", "/bare", "/auth/me", "/auth/users"):
        for headers in credentials:
            attempt = Attempt(dict(headers), url=path)
            verdict = explain(app, attempt, view_of(app, attempt, None))
            answer = app.test_client(use_cookies=False).get(path, headers=headers)
            slug = None if verdict.problem is None else verdict.problem.slug
            assert (answer.status_code == 200, (answer.get_json() or {})["slug"] if slug else None) == (
                slug is None,
                slug,
            )

"""A login in a browser: its cookie, what it opens, and what ends it."""

from __future__ import annotations

import hashlib
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from flask_linked_auth import Auth, LinkedAuth
from flask_linked_auth.accounts import flows
from flask_linked_auth.accounts.browser import check_csrf, csrf_token, device, set_cookie
from flask_linked_auth.accounts.login import Tokens
from flask_linked_auth.accounts.state import mine
from flask_linked_auth.errors import RegistrationClosed
from tests.browsers import Browser, open_site
from tests.tiny import (
    OTHER_PASSWORD,
    PASSWORD,
    SECRET,
    Person,
    bearer,
    edit,
    in_database,
    log_in,
    make_app,
    refused,
    register,
    state_of,
    statements,
    told,
)


@pytest.fixture
def app() -> Flask:
    return open_site(make_app())


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


@pytest.fixture
def browser(app: Flask, ana: Person) -> Browser:
    """Ana's, where she is logged in."""
    browser = Browser(app)
    browser.log_in()
    return browser


def rows(app: Flask) -> list[Any]:
    """The logins that are going on, oldest first."""
    with in_database(app) as (db, rows):
        going_on = db.select(rows.Login).where(rows.Login.ended_at.is_(None))
        return list(db.session.scalars(going_on.order_by(rows.Login.created_at)))


def test_the_cookie_stands_for_the_person(browser: Browser, ana: Person) -> None:
    assert browser.get("/who").get_json() == {"id": ana.id, "by": "cookie"}
    assert browser.get("/maybe").get_json() == {"id": ana.id, "by": "cookie"}
    assert browser.get("/scope").get_json() == {"id": ana.id, "by": "cookie"}
    assert browser.get("/auth/me").get_json()["email"] == "ana@example.com"
    assert browser.post("/who").get_json() == {"id": ana.id, "by": "cookie"}


def test_without_a_cookie_there_is_nobody(app: Flask) -> None:
    stranger = Browser(app)
    refused(stranger.get("/who"), 401, "token-missing")
    assert stranger.get("/maybe").get_json() is None


def test_the_cookie_is_out_of_reach_of_scripts_and_neighbours(app: Flask, ana: Person) -> None:
    cookies = Browser(app).log_in().headers.getlist("Set-Cookie")
    cookie = next(each for each in cookies if each.startswith("linked_auth_tiny="))
    parts = {part.strip() for part in cookie.split(";")}
    assert {"HttpOnly", "Path=/", "SameSite=Lax", f"Max-Age={180 * 24 * 60 * 60}"} < parts
    assert not any(part.startswith(("Domain", "Secure")) for part in parts)  # Secure comes with production


def test_outside_debug_the_cookie_is_bound_to_this_host_and_to_https() -> None:
    app = open_site(make_app())
    register(app)
    app.testing = False  # as it is in production
    browser = Browser(app, {"Sec-Fetch-Site": "same-origin"})
    names = set()
    for answer in (
        browser.get("/csrf", base_url="https://localhost"),
        browser.open(
            "POST",
            "/enter",
            base_url="https://localhost",
            data={"name": "ana@example.com", "password": PASSWORD, "csrf_token": _csrf(browser)},
        ),
    ):
        for cookie in answer.headers.getlist("Set-Cookie"):
            names.add(cookie.partition("=")[0])
            assert "Secure" in cookie
            assert "HttpOnly" in cookie
            assert "Path=/" in cookie
            assert "Domain" not in cookie
    assert names == {"__Host-linked_auth_tiny", "__Host-linked_auth.csrf_tiny"}
    assert browser.get("/who", base_url="https://localhost").status_code == 200


def _csrf(browser: Browser) -> str:
    return browser.get("/csrf", base_url="https://localhost").text


def test_the_database_holds_no_cookie(app: Flask, browser: Browser) -> None:
    _, login = rows(app)
    assert login.cookie == hashlib.sha256(browser.cookie.encode()).hexdigest()
    with in_database(app) as (db, kinds):
        everything = [
            str(value) for row in db.session.execute(db.select(kinds.Login.__table__)).all() for value in row
        ]
    assert browser.cookie not in "".join(everything)


def test_a_browser_gets_no_token_that_a_page_could_lose(app: Flask, ana: Person) -> None:
    answer = Browser(app).log_in()
    assert "fla_rt_" not in str(answer.headers) + answer.text
    assert "eyJ" not in str(answer.headers) + answer.text


def test_the_login_is_listed_and_marked_as_the_one_that_asks(browser: Browser) -> None:
    listed = browser.get("/auth/me/logins").get_json()["results"]
    assert sorted(each["current"] for each in listed) == [False, True]


def test_a_token_is_no_cookie_and_a_cookie_no_token(app: Flask, ana: Person, browser: Browser) -> None:
    for scheme in ("Bearer", "Cookie", "cookie", "COOKIE"):
        for credential in (browser.cookie, f"linked_auth_tiny={browser.cookie}"):
            answer = app.test_client().get("/who", headers={"Authorization": f"{scheme} {credential}"})
            slug = "token-invalid" if scheme == "Bearer" else "unknown-auth-schema"
            refused(answer, 401, slug)
            with_it = browser.get("/who", headers={"Authorization": f"{scheme} {credential}"})
            refused(with_it, 401, slug)
    refused(app.test_client().get("/who", headers={"api-token": browser.cookie}), 401, "token-invalid")
    other = Browser(app)
    other.client.set_cookie("linked_auth_tiny", ana.access)
    refused(other.get("/who"), 401, "token-missing")
    other.client.set_cookie("linked_auth_tiny", ana.refresh_token)
    refused(other.get("/who"), 401, "token-missing")
    answer = app.test_client().post("/auth/refresh", json={"refresh_token": browser.cookie})
    refused(answer, 401, "refresh-token-invalid")


@pytest.mark.parametrize("cookie", ["", "x", "x" * 43, "ñ" * 43, "a" * 5000, "../../etc/passwd", "%00"])
def test_a_cookie_that_is_none_of_ours_is_nobody(app: Flask, ana: Person, cookie: str) -> None:
    browser = Browser(app, {"Cookie": f"linked_auth_tiny={cookie}"})
    refused(browser.get("/who"), 401, "token-missing")
    assert browser.get("/maybe").get_json() is None


def test_a_token_goes_before_the_cookie(app: Flask, browser: Browser) -> None:
    ben = register(app, "ben@example.com")
    assert browser.get("/who", headers=bearer(ben.access)).get_json() == {"id": ben.id, "by": "token"}
    # With the token no CSRF token is needed, cookie or not: no other site can send it.
    foreign = {**bearer(ben.access), "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert browser.open("POST", "/who", headers=foreign).get_json() == {"id": ben.id, "by": "token"}


def test_a_bad_token_is_refused_however_good_the_cookie(browser: Browser) -> None:
    for path in ("/who", "/maybe", "/scope"):
        refused(browser.get(path, headers=bearer("x")), 401, "token-invalid")
        refused(browser.get(path, headers={"api-token": "x"}), 401, "token-invalid")
        refused(browser.get(path, headers={"Authorization": ""}), 401, "unknown-auth-schema")


def test_a_view_can_want_a_fresh_login(app: Flask, browser: Browser) -> None:
    assert browser.get("/fresh").status_code == 200
    other = Browser(app)
    edit(app, "Login", authenticated_at=0)
    other.client.set_cookie("linked_auth_tiny", browser.cookie)
    forget(app)
    refused(other.get("/fresh"), 401, "login-too-old")
    assert other.get("/who").status_code == 200


def forget(app: Flask) -> None:
    """From now on it is as in a process that has seen no cookie yet."""
    state_of(app).parts["accounts"].browser.memory.forget()


def test_protected_views_take_the_cookie_too(app: Flask, browser: Browser) -> None:
    assert browser.get("/inside/").status_code == 200
    refused(browser.post("/inside/", token=False), 403, "csrf-failed")
    assert browser.post("/inside/").status_code == 200
    assert browser.post("/inside/public", token=False).text == "all"
    refused(Browser(app).get("/inside/"), 401, "token-missing")


def test_the_claims_on_g_are_those_of_the_login(app: Flask, browser: Browser, ana: Person) -> None:
    claims = browser.get("/claims").get_json()
    (_, login) = rows(app)
    assert claims == {
        "iss": "http://localhost:5000",
        "sub": str(ana.id),
        "sid": login.id,
        "iat": login.created_at,
        "auth_time": login.authenticated_at,
        "exp": login.expires_at,
    }


# What it costs


def test_a_cookie_seen_before_costs_no_query(app: Flask, ana: Person, tmp_path: Path) -> None:
    browser = Browser(app)
    browser.log_in()
    with statements(app) as sent:
        assert browser.get("/who").status_code == 200
    assert [text.split()[0] for text in sent] == ["SELECT"]
    with statements(app) as sent:
        for _ in range(5):
            assert browser.get("/who").status_code == 200
            assert browser.get("/scope").status_code == 200
    assert sent == []


def test_once_an_access_tokens_lifetime_the_row_is_read_again_and_told(tmp_path: Path) -> None:
    app = open_site(make_app(database=f"sqlite:///{tmp_path / 'b.db'}", access_lifetime=100))
    register(app)
    browser = Browser(app)
    browser.log_in()
    edit(app, "Login", last_seen_at=5, expires_at=2**40, created_at=2**40)
    assert browser.get("/who").status_code == 200
    _, login = rows(app)
    assert login.last_seen_at > 5
    assert login.expires_at - login.last_seen_at == 30 * 24 * 60 * 60  # as a refresh prolongs it
    edit(app, "Login", last_seen_at=6)
    assert browser.get("/who").status_code == 200
    assert rows(app)[1].last_seen_at == 6  # remembered: not read, and not written
    forget(app)
    assert browser.get("/who").status_code == 200
    assert rows(app)[1].last_seen_at > 6


def test_what_the_host_has_begun_is_neither_committed_nor_lost(tmp_path: Path) -> None:
    app = open_site(make_app(database=f"sqlite:///{tmp_path / 'b.db'}"))
    database = state_of(app).database
    assert database is not None
    session, model = database.db.session, database.rows.User

    @app.before_request
    def begin() -> None:
        if request.path == "/begun":
            session.add(model(email="half@example.com", password_hash="x"))

    @app.get("/begun")
    @Auth.auth_required
    def begun() -> str:
        found = [each.email for each in session if isinstance(each, model)]
        session.rollback()
        return ",".join(found)

    register(app)
    browser = Browser(app)
    browser.log_in()
    edit(app, "Login", last_seen_at=5)
    assert browser.get("/begun").text == "half@example.com"
    with in_database(app):
        assert session.scalars(select(model.email)).all() == ["ana@example.com"]


def test_a_row_that_cannot_be_written_turns_nobody_away(tmp_path: Path) -> None:
    app = open_site(make_app(database=f"sqlite:///{tmp_path / 'b.db'}?timeout=0"))
    register(app)
    browser = Browser(app)
    browser.log_in()
    edit(app, "Login", last_seen_at=5)
    with in_database(app) as (db, _), db.engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")  # somebody writes for a long time
        assert browser.get("/who").status_code == 200
        other.rollback()


# What ends it


def test_logging_out_ends_it_at_once(app: Flask, browser: Browser, ana: Person) -> None:
    kept = browser.cookie
    assert browser.get("/who").status_code == 200
    with told(app) as heard:
        answer = browser.post("/auth/logout")
    assert (answer.status_code, answer.data) == (204, b"")
    assert "user.logged-out" in [name for name, _ in heard]
    assert "linked_auth_tiny" not in browser.cookies()
    thief = Browser(app)
    thief.client.set_cookie("linked_auth_tiny", kept)
    refused(thief.get("/who"), 401, "token-missing")
    assert thief.get("/maybe").get_json() is None
    assert ana.get("/auth/me").status_code == 200  # another login of hers


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize(
    "end",
    [
        *("/auth/logout-all", "deactivated", "deleted", "another browser", "by the list", "password"),
        *("ended in bulk", "deactivated in bulk"),
    ],
)
def test_it_ends_with_whatever_ends_logins(app: Flask, ana: Person, end: str, seen: bool) -> None:
    register(app, "ben@example.com").post("/auth/logout-all")  # so that revocations have been numbered before
    browser = Browser(app)
    browser.log_in()
    assert not seen or browser.get("/who").status_code == 200
    if end == "/auth/logout-all":
        assert ana.post(end).status_code == 204
    elif end == "password":
        body = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        assert ana.post("/auth/me/password", body).status_code == 200
    elif end == "by the list":
        _, login = rows(app)
        assert ana.call("DELETE", f"/auth/me/logins/{login.id}").status_code == 204
    elif end == "another browser":
        other = Browser(app)
        other.log_in()
        assert other.post("/auth/logout-all").status_code == 204
    else:
        with in_database(app) as (db, kinds):
            user = db.session.get_one(kinds.User, ana.id)
            if end == "deactivated":
                user.active = False
            elif end == "deleted":
                db.session.delete(user)
            elif end == "ended in bulk":
                db.session.execute(db.update(kinds.Login).values(ended_at=1))
            else:
                db.session.execute(db.update(kinds.User).values(active=False))
            db.session.commit()
    if "bulk" in end and seen:
        forget(app)  # a statement of which nobody tells us
    refused(browser.get("/who"), 401, "token-missing")
    assert browser.get("/maybe").get_json() is None
    assert browser.post("/maybe").get_json() is None


def test_another_process_hears_of_it(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'b.db'}"
    here, there = (
        open_site(make_app(LinkedAuth(), database=database, revocation_interval=0)) for _ in range(2)
    )
    register(here)
    browser = Browser(here)
    browser.log_in()
    elsewhere = Browser(there)
    elsewhere.client.set_cookie("linked_auth_tiny", browser.cookie)
    assert elsewhere.get("/who").status_code == 200
    assert browser.post("/auth/logout").status_code == 204
    refused(elsewhere.get("/who"), 401, "token-missing")


def test_its_time_runs_out(app: Flask, ana: Person) -> None:
    browser = Browser(app)
    browser.log_in()
    edit(app, "Login", expires_at=5)
    refused(browser.get("/who"), 401, "token-missing")


def test_each_login_makes_a_new_cookie_and_ends_the_one_before(app: Flask, browser: Browser) -> None:
    first = browser.cookie
    assert browser.get("/who").status_code == 200
    before = {login.id for login in rows(app)}
    browser.log_in()
    assert browser.cookie != first
    after = {login.id for login in rows(app)}
    assert len(before - after) == len(after - before) == 1
    old = Browser(app)
    old.client.set_cookie("linked_auth_tiny", first)
    refused(old.get("/who"), 401, "token-missing")


def test_somebody_else_at_the_same_browser_takes_nothing_over(app: Flask, browser: Browser) -> None:
    ben = register(app, "ben@example.com")
    first = browser.cookie
    browser.log_in("ben@example.com")
    assert browser.get("/who").get_json()["id"] == ben.id
    old = Browser(app)
    old.client.set_cookie("linked_auth_tiny", first)
    refused(old.get("/who"), 401, "token-missing")


def test_a_failed_login_ends_nothing(app: Flask, browser: Browser) -> None:
    form = {"name": "ana@example.com", "password": OTHER_PASSWORD, "csrf_token": browser.token()}
    refused(browser.open("POST", "/enter", data=form), 401, "invalid-credentials")
    assert browser.get("/who").status_code == 200


def test_a_cookie_chosen_before_the_login_is_not_the_one_after_it(app: Flask, ana: Person) -> None:
    browser = Browser(app)
    browser.client.set_cookie("linked_auth_tiny", "f" * 43)  # session fixation
    browser.log_in()
    assert browser.cookie != "f" * 43


def test_a_new_password_by_the_cookie_gives_a_new_cookie(app: Flask, browser: Browser, ana: Person) -> None:
    first = browser.cookie
    body = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    answer = browser.post("/auth/me/password", json=body)
    assert (answer.status_code, answer.data) == (204, b"")
    assert browser.cookie != first
    assert browser.get("/who").get_json() == {"id": ana.id, "by": "cookie"}
    refused(ana.get("/auth/me"), 401, "token-revoked")


def test_leaving_takes_the_cookie_along(app: Flask, browser: Browser) -> None:
    answer = browser.open("DELETE", "/auth/me", headers={"X-CSRF-Token": browser.token()})
    assert answer.status_code == 204
    assert "linked_auth_tiny" not in browser.cookies()


@pytest.mark.parametrize("end", ["login", "all", "deactivated"])
def test_a_login_that_ends_while_its_cookie_is_read_is_over(database_url: str, end: str) -> None:
    app = open_site(make_app(database=database_url))
    register(app, "ben@example.com").post("/auth/logout-all")  # so that revocations have been numbered before
    register(app)
    browser = Browser(app)
    browser.log_in()
    memory = state_of(app).parts["accounts"].browser.memory
    read, reading, go_on = memory._read, threading.Event(), threading.Event()

    def slowly(secret: str) -> Any:
        entry = read(secret)
        reading.set()
        assert go_on.wait(10)
        return entry

    other = Browser(app)
    other.client.set_cookie("linked_auth_tiny", browser.cookie)
    memory._read = slowly
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(other.get("/who").status_code))
    thread.start()
    assert reading.wait(10)
    memory._read = read
    if end == "deactivated":
        with in_database(app) as (db, kinds):
            ana = select(kinds.User).where(kinds.User.email == "ana@example.com")
            db.session.scalars(ana).one().active = False
            db.session.commit()
    else:
        path = "/auth/logout" if end == "login" else "/auth/logout-all"
        assert browser.post(path).status_code == 204
    go_on.set()
    thread.join()
    assert answers == [401]
    assert other.get("/who").status_code == 401


def test_a_login_after_the_end_of_all_is_good(database_url: str) -> None:
    app = open_site(make_app(database=database_url))
    ana = register(app)
    browser = Browser(app)
    browser.log_in()
    assert browser.post("/auth/logout-all").status_code == 204
    browser.log_in()
    assert browser.get("/who").get_json() == {"id": ana.id, "by": "cookie"}
    assert browser.post("/auth/logout").status_code == 204
    register(app, "ben@example.com")
    browser.log_in("ben@example.com")
    assert browser.get("/who").status_code == 200


def test_a_model_with_a_key_of_its_own_and_without_active_will_do(database_url: str) -> None:
    db = SQLAlchemy()

    class Person(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "person"
        number: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
        email: Mapped[str] = mapped_column(String(254), unique=True)
        password_hash: Mapped[str] = mapped_column(String(128))

    app = open_site(make_app(LinkedAuth(db=db, user_model=Person), database=database_url))
    ana = register(app)
    browser = Browser(app)
    browser.log_in()
    assert browser.get("/who").get_json() == {"id": ana.id, "by": "cookie"}
    assert ana.post("/auth/logout-all").status_code == 204
    refused(browser.get("/who"), 401, "token-missing")


def test_a_database_out_of_reach_is_told_and_nobody_is_taken_for_logged_out(tmp_path: Path) -> None:
    app = open_site(make_app(database=f"sqlite:///{tmp_path / 'b.db'}"))
    register(app)
    browser = Browser(app)
    browser.log_in()
    forget(app)
    with in_database(app) as (db, _):
        db.engine.dispose()
    (tmp_path / "b.db").rename(tmp_path / "away.db")
    (tmp_path / "b.db").mkdir()
    for path in ("/who", "/maybe"):
        refused(browser.get(path), 503, "unavailable")


# What lies beside it


def test_a_service_on_another_port_has_a_cookie_of_its_own(app: Flask, browser: Browser) -> None:
    blog, tracker = (open_site(make_app(name=name)) for name in ("blog", "csrf_blog"))
    names: list[str] = []
    for each in (blog, tracker):
        register(each)
        other = Browser(each)
        other.token()
        names += other.cookies()
        other.log_in()
        names += other.cookies()
    assert len(set(names)) == 4


def test_a_gateway_asks_for_tokens_only(browser: Browser) -> None:
    for headers in ({}, {"X-CSRF-Token": browser.token()}):
        refused(browser.open("POST", "/auth/validate-token", headers=headers), 401, "token-missing")


def test_answers_by_the_cookie_are_not_for_caches_to_mix_up(app: Flask, browser: Browser) -> None:
    assert "Cookie" in browser.get("/who").headers["Vary"]
    assert "Cookie" in browser.get("/maybe").headers["Vary"]
    assert "Cookie" in Browser(app).get("/maybe").headers["Vary"]
    assert "Cookie" in Browser(app).get("/csrf").headers["Vary"]


def test_without_pages_no_cookie_counts() -> None:
    app = open_site(make_app(pages=False))
    ana = register(app)
    browser = Browser(app)
    browser.client.set_cookie("linked_auth_tiny", "x" * 43)
    refused(browser.get("/who"), 401, "token-missing")
    refused(browser.get("/who", headers={"Authorization": "Cookie x"}), 401, "unknown-auth-schema")
    assert ana.get("/who").get_json() == {"id": ana.id, "by": "token"}
    with app.test_request_context(), pytest.raises(RuntimeError, match="LINKED_AUTH_PAGES"):
        csrf_token()


def test_the_tokens_of_a_program_are_no_cookie(app: Flask) -> None:
    with app.test_request_context(), pytest.raises(ValueError, match="cookie=True"):
        set_cookie(app.response_class(), Tokens(1, "x", "a", "r"))


def test_a_form_needs_no_secret_key_and_no_other_package(app: Flask, ana: Person) -> None:
    assert app.secret_key is None
    assert "csrf" not in app.extensions
    Browser(app).log_in()


def test_a_former_secret_still_stands_for_the_forms_that_are_open(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'b.db'}"
    before = open_site(make_app(LinkedAuth(), database=database))
    register(before)
    browser = Browser(before)
    browser.log_in()
    token = browser.token()
    after = open_site(
        make_app(LinkedAuth(), database=database, secret="n" * 20 + SECRET, secret_fallbacks=[SECRET])
    )
    later = Browser(after)
    later.client.set_cookie("linked_auth_tiny", browser.cookie)
    assert later.open("POST", "/who", headers={"X-CSRF-Token": token}).status_code == 200
    forgetful = open_site(make_app(LinkedAuth(), database=database, secret="n" * 20 + SECRET))
    last = Browser(forgetful)
    last.client.set_cookie("linked_auth_tiny", browser.cookie)
    refused(last.open("POST", "/who", headers={"X-CSRF-Token": token}), 403, "csrf-failed")


def test_what_is_read_while_all_is_forgotten_is_not_remembered(app: Flask, ana: Person) -> None:
    """A key is retired while a token that it signed is being verified: that must not land in the new memory."""
    verifier = state_of(app).verifier
    read, reading, go_on = verifier._read, threading.Event(), threading.Event()

    def slowly(credential: str) -> Any:
        entry = read(credential)
        reading.set()
        assert go_on.wait(10)
        return entry

    verifier._read = slowly  # type: ignore[method-assign]
    verifier.forget()
    with app.app_context():
        token = log_in(app).access

        def call() -> None:
            with app.app_context():
                verifier.identify(token)

        thread = threading.Thread(target=call)
        thread.start()
        assert reading.wait(10)
        verifier.forget()
        go_on.set()
        thread.join()
    assert token not in verifier._young
    assert token not in verifier._old


def test_registering_in_a_browser_logs_in(app: Flask) -> None:
    @app.post("/join")
    def join() -> Response:
        check_csrf()
        profile = {"email": "eva@example.com"}
        tokens, person = flows.register(*mine(), profile, PASSWORD, device=device(), cookie=True)
        assert person["email"] == "eva@example.com"
        assert (tokens.access, tokens.refresh) == ("", "")
        return set_cookie(Response(status=204), tokens)

    browser = Browser(app)
    assert browser.post("/join").status_code == 204
    assert browser.get("/auth/me").get_json()["email"] == "eva@example.com"


def test_a_closed_registration_is_closed_for_pages_too() -> None:
    app = make_app(registration=False)
    with app.test_request_context(), pytest.raises(RegistrationClosed):
        flows.register(*mine(), {"email": "eva@example.com"}, PASSWORD, device=device(), cookie=True)

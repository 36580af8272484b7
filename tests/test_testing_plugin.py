"""What a developer tests their own app with: `flask_linked_auth.testing`, as a pytest plugin and without pytest."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.assertion.rewrite import AssertionRewriter
from flask import Flask, g

import flask_linked_auth
from flask_linked_auth import Auth, LinkedAuth, scope, signals, testing
from flask_linked_auth.errors import Taken
from tests.tiny import (
    OTHER_PASSWORD,
    PASSWORD,
    bare_app,
    in_database,
    log_in,
    make_app,
    refused,
    register,
    state_of,
)

if TYPE_CHECKING:
    from flask_linked_auth.accounts.mail import Mail
    from flask_linked_auth.testing import Clock, Event, LoginUser, MakeUser

PACKAGE = Path(testing.__file__).parent


@pytest.fixture
def app() -> Flask:
    """The app under test, as every host has one."""
    app = make_app(rate_limits={"login": "2/minute", "register": "2/minute"})

    @app.get("/hello")
    @Auth.auth_required
    def hello() -> Any:
        return {"hello": g.user.name, "method": g.identity.method}

    @app.post("/hello")
    @Auth.auth_required
    def hello_back() -> Any:
        return {"hello": g.user.name}

    @app.get("/posts")
    @scope(["read:posts"])
    def posts() -> Any:
        return []

    @app.get("/staff")
    @scope(["admin:users"])
    def staff() -> Any:
        return []

    @app.get("/vault")
    @Auth.auth_required(fresh=timedelta(minutes=5))
    def vault() -> Any:
        return []

    return app


# Clients that are logged in.


def test_a_client_acts_as_a_person(login_user: LoginUser, make_user: MakeUser) -> None:
    ada = login_user(make_user("ada@example.com", name="Ada"))
    assert ada.get("/hello").json == {"hello": "Ada", "method": "token"}
    assert ada.post("/hello").status_code == 200


def test_a_person_is_named_by_row_key_address_or_user_name(
    app: Flask, login_user: LoginUser, make_user: MakeUser
) -> None:
    ada = make_user("Ada@Example.com", username="ada")
    assert ada.email == "ada@example.com"
    with in_database(app) as (db, rows):
        row = db.session.get_one(rows.User, ada.id)
        for named in (ada, row, ada.id, str(ada.id), "Ada@EXAMPLE.com", "ADA"):
            assert login_user(named).get("/auth/me").get_json()["id"] == ada.id


def test_two_clients_are_two_people(login_user: LoginUser, make_user: MakeUser) -> None:
    ada, bob = (login_user(make_user(f"{name}@example.com", name=name)) for name in ("ada", "bob"))
    assert [client.get("/hello").get_json()["hello"] for client in (ada, bob)] == ["ada", "bob"]


def test_the_login_is_a_real_one(app: Flask, login_user: LoginUser, make_user: MakeUser) -> None:
    user = make_user("ada@example.com")
    phone, laptop = login_user(user), login_user(user)
    assert [each["current"] for each in phone.get("/auth/me/logins").get_json()["results"]].count(True) == 1
    assert phone.get("/auth/me/logins").get_json()["count"] == 2
    assert phone.post("/auth/logout").status_code == 204
    refused(phone.get("/hello"), 401, "token-revoked")
    assert laptop.get("/hello").status_code == 200


def test_a_login_hashes_no_password(app: Flask, login_user: LoginUser, make_user: MakeUser) -> None:
    hasher, hashed = state_of(app).parts["accounts"].hasher, []
    for name in ("hash", "verify"):
        setattr(hasher, name, lambda *given: hashed.append(given))
    assert login_user(make_user("ada@example.com")).get("/hello").status_code == 200
    assert hashed == []


def test_a_person_without_a_password_cannot_log_in(app: Flask, make_user: MakeUser) -> None:
    make_user("ada@example.com")
    answer = app.test_client().post("/auth/login", json={"email": "ada@example.com", "password": "!"})
    refused(answer, 401, "invalid-credentials")
    make_user("bob@example.com", password=PASSWORD)
    assert log_in(app, "bob@example.com").get("/hello").status_code == 200


def test_two_people_with_one_address_are_refused(make_user: MakeUser) -> None:
    make_user("ada@example.com")
    with pytest.raises(Taken):
        make_user("ada@EXAMPLE.com")


def test_a_client_has_the_scopes_it_is_given(login_user: LoginUser, make_user: MakeUser) -> None:
    ada = make_user("ada@example.com")
    assert login_user(ada).get("/posts").status_code == 200
    assert login_user(ada, scopes=["read:posts"]).get("/posts").status_code == 200
    for scopes in ([], ["write:posts"], ("read:post",)):
        assert refused(login_user(ada, scopes=scopes).get("/posts"), 403, "forbidden-scope")["scope"] == (
            "read:posts"
        )
    with pytest.raises(TypeError, match="list"):
        login_user(ada, scopes="read:posts")


def test_scopes_give_nobody_what_they_may_not_do(
    app: Flask, login_user: LoginUser, make_user: MakeUser
) -> None:
    ada, chief = make_user("ada@example.com"), make_user("chief@example.com", is_admin=True)
    refused(login_user(ada, scopes=["admin:users"]).get("/staff"), 403, "forbidden-scope")
    assert login_user(chief, scopes=["admin:users"]).get("/staff").status_code == 200
    refused(login_user(chief, scopes=["read:posts"]).get("/staff"), 403, "forbidden-scope")


def test_what_a_request_brings_itself_counts(login_user: LoginUser, make_user: MakeUser) -> None:
    ada = login_user(make_user("ada@example.com"))
    refused(ada.get("/hello", headers={"Authorization": "Bearer nonsense"}), 401, "token-invalid")
    assert ada.get("/hello").status_code == 200


@pytest.mark.parametrize("nobody", ["bob@example.com", "bob", 7, "7", 7.5, None, [1]], ids=repr)
def test_nobody_cannot_be_logged_in(nobody: Any, login_user: LoginUser) -> None:
    with pytest.raises(LookupError, match="nobody"):
        login_user(nobody)


def test_who_is_not_stored_or_deactivated_cannot_be_logged_in(
    app: Flask, login_user: LoginUser, make_user: MakeUser
) -> None:
    with in_database(app) as (_, rows), pytest.raises(LookupError, match="commit"):
        login_user(rows.User(email="ada@example.com"))
    with pytest.raises(ValueError, match="deactivated"):
        login_user(make_user("bob@example.com", active=False))


def test_a_host_that_holds_an_app_context_open_keeps_its_session(app: Flask, login_user: LoginUser) -> None:
    """As pytest-flask does, and suites that roll back after each test."""
    with in_database(app) as (db, rows):
        user = rows.User(email="ada@example.com", password_hash="!", name="Ada")
        db.session.add(user)
        db.session.flush()
        assert login_user(user).get("/hello").get_json()["hello"] == "Ada"
        assert user in db.session


def test_the_client_is_of_the_class_that_the_host_chose(
    app: Flask, login_user: LoginUser, make_user: MakeUser
) -> None:
    class Own(app.test_client_class or type(app.test_client())):  # type: ignore[misc]
        pass

    app.test_client_class = Own
    assert type(login_user(make_user("ada@example.com"))) is Own


def test_a_service_without_accounts_admits_its_callers() -> None:
    app = bare_app()
    LinkedAuth(app, parts=[])

    @app.get("/who")
    @scope(["read:posts"])
    def who() -> Any:
        return {"id": g.user.id}

    assert testing.login_user(app, 17).get("/who").get_json() == {"id": "17"}
    refused(testing.login_user(app, "17", scopes=["other"]).get("/who"), 403, "forbidden-scope")


def test_without_pytest_they_are_functions(app: Flask) -> None:
    with testing.captured_events(app) as told:
        client = testing.login_user(app, testing.make_user(app, "ada@example.com"))
    assert client.get("/hello").status_code == 200
    assert [each.name for each in told] == ["user.registered", "user.logged-in"]


# Browsers.


def test_a_browser_acts_as_a_person_and_proves_what_it_posts(
    login_user: LoginUser, make_user: MakeUser
) -> None:
    ada = login_user(make_user("ada@example.com", name="Ada"), cookie=True)
    assert ada.get("/hello").json == {"hello": "Ada", "method": "cookie"}
    assert ada.post("/hello").json == {"hello": "Ada"}
    del ada.environ_base["HTTP_X_CSRF_TOKEN"]
    refused(ada.post("/hello"), 403, "csrf-failed")


def test_a_browser_uses_the_pages(app: Flask, login_user: LoginUser, make_user: MakeUser) -> None:
    user = make_user("ada@example.com", name="Ada")
    ada, elsewhere = login_user(user, cookie=True), login_user(user, cookie=True)
    assert "Ada" in ada.get("/account").text
    assert ada.post("/account/logout").status_code == 303
    refused(ada.get("/hello"), 401, "token-missing")
    assert elsewhere.get("/hello").status_code == 200


def test_a_browser_at_the_hosts_own_name(login_user: LoginUser, make_user: MakeUser, app: Flask) -> None:
    app.config["SERVER_NAME"] = "blog.example:5000"
    ada = login_user(make_user("ada@example.com", name="Ada"), cookie=True)
    assert ada.post("/hello").status_code == 200


def test_a_browser_has_no_scopes_of_its_own_and_wants_the_pages(
    login_user: LoginUser, make_user: MakeUser
) -> None:
    with pytest.raises(ValueError, match="narrow a token"):
        login_user(make_user("ada@example.com"), scopes=[], cookie=True)
    app = make_app(pages=False)
    testing.make_user(app, "ada@example.com")
    with pytest.raises(ValueError, match="LINKED_AUTH_PAGES"):
        testing.login_user(app, "ada@example.com", cookie=True)


# Mail.


def test_mail_is_captured(app: Flask, captured_mail: list[Mail]) -> None:
    register(app)
    assert [(mail.to, mail.purpose) for mail in captured_mail] == [("ana@example.com", "verify-email")]
    captured_mail.clear()
    app.test_client().post("/auth/password/forgot", json={"email": "ana@example.com"})
    (mail,) = captured_mail
    assert (mail.purpose, mail.language) == ("reset-password", "en")
    token = re.search(r"fla_ot_[\w-]+", mail.text)
    assert token
    body = {"token": token[0], "new_password": OTHER_PASSWORD}
    assert app.test_client().post("/auth/password/reset", json=body).status_code == 204
    assert log_in(app, password=OTHER_PASSWORD).get("/hello").status_code == 200


def test_a_mailed_link_lapses(app: Flask, captured_mail: list[Mail], moving_clock: Clock) -> None:
    register(app)
    app.test_client().post("/auth/password/forgot", json={"email": "ana@example.com"})
    token = re.search(r"fla_ot_[\w-]+", captured_mail[-1].text)
    assert token
    moving_clock.advance(timedelta(hours=1))
    body = {"token": token[0], "new_password": OTHER_PASSWORD}
    refused(app.test_client().post("/auth/password/reset", json=body), 400, "invalid-link")


def test_the_hosts_mailer_gets_none_of_it_and_other_apps_keep_theirs() -> None:
    posted: list[Mail] = []
    auth = LinkedAuth(mailer=posted.append)
    app, other = make_app(auth), make_app(auth)
    with testing.captured_mail(app) as caught:
        register(app)
        register(other, "ben@example.com")
    register(app, "cleo@example.com")
    assert [mail.to for mail in caught] == ["ana@example.com"]
    assert [mail.to for mail in posted] == ["ben@example.com", "cleo@example.com"]


# What was told.


def test_events_are_captured_in_order(app: Flask, captured_events: list[Event], moving_clock: Clock) -> None:
    ana = register(app)
    refused(
        app.test_client().post("/auth/login", json={"email": "ana", "password": "x"}),
        401,
        "invalid-credentials",
    )
    ana.post("/auth/logout-all")
    assert [each.name for each in captured_events] == [
        "user.registered",
        "user.logged-in",
        "login.failed",
        "user.logged-out",
    ]
    name, facts = captured_events[-1]
    assert (name, facts) == ("user.logged-out", {"user_id": ana.id, "login_id": None})
    assert captured_events[2].facts["identifier"] == "ana"


def test_only_the_events_of_this_app_and_only_meanwhile(app: Flask) -> None:
    other, heard = make_app(), []

    def hear(sender: Flask, **facts: Any) -> None:
        heard.append(sender)

    signals.user_registered.connect(hear, sender=app)
    with testing.captured_events(app) as told:
        register(other)
        register(app)
    register(app, "bob@example.com")
    assert [each.name for each in told] == ["user.registered", "user.logged-in"]
    assert heard == [app, app], "the host's own receivers hear them as well"


# Time.


def test_a_token_expires_and_can_be_refreshed(app: Flask, moving_clock: Clock) -> None:
    ana = register(app)
    moving_clock.advance(15 * 60)
    assert ana.get("/hello").status_code == 200, "the leeway"
    moving_clock.advance(timedelta(seconds=6))
    refused(ana.get("/hello"), 401, "token-expired")
    ana.given = ana.refresh().get_json()
    assert ana.get("/hello").status_code == 200
    assert abs(moving_clock.now() - time.time() - 906) < 1


def test_a_login_ends(app: Flask, moving_clock: Clock) -> None:
    ana = register(app)
    moving_clock.advance(timedelta(days=31))
    refused(ana.refresh(), 401, "refresh-token-invalid")


def test_a_login_becomes_too_old_for_what_wants_a_fresh_one(
    login_user: LoginUser, make_user: MakeUser, moving_clock: Clock
) -> None:
    ada = login_user(make_user("ada@example.com"))
    assert ada.get("/vault").status_code == 200
    moving_clock.advance(301)
    refused(ada.get("/vault"), 401, "login-too-old")


def test_a_rate_limit_passes(app: Flask, moving_clock: Clock) -> None:
    def try_to_log_in() -> int:
        return app.test_client().post("/auth/login", json={"email": "a@b.c", "password": "x"}).status_code

    assert [try_to_log_in() for _ in range(3)] == [401, 401, 429]
    moving_clock.advance(61)
    assert try_to_log_in() == 401


def test_a_rate_limit_in_redis_passes(redis_url: str) -> None:
    app = make_app(rate_limits={"login": "1/minute"}, rate_limit_storage=redis_url)
    body = {"email": "a@b.c", "password": "x"}
    with testing.moving_clock(app) as clock:
        assert [app.test_client().post("/auth/login", json=body).status_code for _ in "12"] == [401, 429]
        clock.advance(61)
        assert app.test_client().post("/auth/login", json=body).status_code == 401


def test_rows_are_written_with_the_moved_time(app: Flask, make_user: MakeUser, moving_clock: Clock) -> None:
    moving_clock.advance(timedelta(days=100))
    user = make_user("ada@example.com")
    assert abs(user.created_at.timestamp() - moving_clock.now()) < 5


def test_afterwards_the_time_is_the_machines_again_and_nothing_waits(database_url: str) -> None:
    """An app that outlives the test goes on hearing of revocations by other processes."""
    app, other = (make_app(LinkedAuth(), database=database_url, revocation_interval=0) for _ in "12")
    ana = register(app)
    with testing.moving_clock(app) as clock:
        clock.advance(timedelta(days=1))
        ben = register(app, "ben@example.com")
        assert ben.get("/auth/me").status_code == 200
    assert ana.get("/auth/me").status_code == 200
    assert ana.elsewhere(other).post("/auth/logout").status_code == 204
    refused(ana.get("/auth/me"), 401, "token-revoked")
    assert log_in(app).get("/auth/me").status_code == 200, "its token is not from the future"


@pytest.mark.parametrize("back", [-1, timedelta(seconds=-1), float("nan")])
def test_a_clock_is_not_turned_back(back: Any, moving_clock: Clock) -> None:
    with pytest.raises(ValueError, match="forward"):
        moving_clock.advance(back)


def test_the_package_reads_time_only_in_ways_that_the_clock_moves() -> None:
    """As `time()`, `monotonic()`, `time.time()` or `time.monotonic()`, when it is called and not when it is loaded."""
    wrong = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                wrong += [
                    f"{file.name}: {a.name}"
                    for a in node.names
                    if a.name not in {"time", "monotonic", "sleep"}
                ]
            text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            forbidden = ("datetime.now", "datetime.utcnow", "date.today", "time.time_ns", "time.perf_counter")
            wrong += [f"{file.name}:{node.lineno}: {text}" for each in forbidden if text.endswith(each)]
    assert wrong == []


# Refused outside testing.


@pytest.mark.parametrize(
    "name", ["login_user", "make_user", "captured_mail", "captured_events", "moving_clock"]
)
def test_outside_testing_all_is_refused(app: Flask, name: str) -> None:
    make = getattr(testing, name)
    given = ["ada@example.com"] if name in {"login_user", "make_user"} else []
    app.testing = False
    with pytest.raises(RuntimeError, match=r"app\.testing is False"), make(app, *given):
        pytest.fail("it was not refused")


# As a plugin, in a project of somebody else's.


APP = """
from flask import Flask, g
from flask_linked_auth import Auth, LinkedAuth

def create_app():
    app = Flask(__name__)
    app.config.update(TESTING=True, SQLALCHEMY_DATABASE_URI="sqlite://", LINKED_AUTH_SECRET="x1-Yz" * 8)
    LinkedAuth(app)

    @app.get("/hello")
    @Auth.auth_required
    def hello():
        return {"hello": g.user.name}

    return app
"""
CONFTEST = """
import pytest
from hello import create_app

@pytest.fixture
def app():
    return create_app()
"""
TEST = """
def test_hello(login_user, make_user):
    ada = login_user(make_user("ada@example.com", name="Ada"))
    assert ada.get("/hello").json == {"hello": "Ada"}
"""


def in_project(folder: Path, *options: str, **files: str) -> str:
    """Run pytest in a project of its own, warnings being errors, and return what it says."""
    if not any(e.value == "flask_linked_auth.testing" for e in metadata.entry_points(group="pytest11")):
        pytest.skip("the package was installed before it had a pytest plugin: install it again")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options],
        check=False,
        cwd=folder,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


def test_a_project_tests_itself_in_three_lines(tmp_path: Path) -> None:
    assert "1 passed" in in_project(tmp_path, hello=APP, conftest=CONFTEST, test_hello=TEST)


def test_the_plugin_says_what_it_has(tmp_path: Path) -> None:
    said = in_project(tmp_path, "--fixtures", test_nothing="")
    links = ("linked_app", "service_client", "live_services", "link_services")
    for name in ("login_user", "make_user", "captured_mail", "captured_events", "moving_clock", *links):
        assert f"\n{name} -- " in said


def test_a_project_that_is_not_in_testing_is_told(tmp_path: Path) -> None:
    outside = 'LINKED_AUTH_NAME="a", LINKED_AUTH_ISSUER="https://a.example", LINKED_AUTH_RECOVERY=False'
    app = APP.replace("TESTING=True", outside)
    app = app.replace("x1-Yz", "x1-Yzq07pLk")
    said = in_project(tmp_path, hello=app, conftest=CONFTEST, test_hello=TEST)
    assert "app.testing is False" in said
    assert "1 error" in said


def test_a_project_that_does_not_use_it_pays_nothing(tmp_path: Path) -> None:
    test = """
import sys

def test_nothing_is_loaded():
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert loaded.isdisjoint({"flask", "werkzeug", "sqlalchemy", "flask_sqlalchemy", "jwt", "bcrypt", "marshmallow"})
    ours = {name.removeprefix("flask_linked_auth") for name in sys.modules if name.startswith("flask_linked_auth")}
    assert ours == {"", ".testing", ".testing_links", ".testing_state", ".version"}
"""
    assert "1 passed" in in_project(tmp_path, test_nothing=test)


def test_fixtures_of_the_projects_own_win(tmp_path: Path) -> None:
    own = CONFTEST + "\n@pytest.fixture\ndef login_user():\n    return str.upper\n"
    test = "def test_it(login_user):\n    assert login_user('ada') == 'ADA'\n"
    assert "1 passed" in in_project(tmp_path, hello=APP, conftest=own, test_it=test)


def test_the_package_may_be_loaded_before_pytest(tmp_path: Path) -> None:
    """As by a command of the app's that runs pytest: nothing is said of assertions that cannot be rewritten."""
    (tmp_path / "hello.py").write_text(APP)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_hello.py").write_text(TEST)
    command = (
        "import sys, pytest, hello, flask_linked_auth.testing; sys.exit(pytest.main(['-q', '-W', 'error']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", [flask_linked_auth, testing])
def test_pytest_leaves_the_package_as_it_is(module: Any) -> None:
    """It would warn of an installed package that is loaded already, as the one before cannot show from the sources."""
    assert AssertionRewriter.is_rewrite_disabled(module.__doc__)

"""`flask linked-auth ...`: what operators do, and what they are told when it cannot be done."""

from __future__ import annotations

import re
from functools import wraps
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from flask_linked_auth import Auth, LinkedAuth, public, scope
from tests.tiny import (
    OTHER_PASSWORD,
    OTHER_SECRET,
    PASSWORD,
    QUICK,
    SECRET,
    Person,
    bare_app,
    bearer,
    in_database,
    log_in,
    make_app,
    refused,
    register,
    told,
)

if TYPE_CHECKING:
    from click.testing import Result


@pytest.fixture
def app() -> Flask:
    return make_app()


def run(app: Flask, command: str, *more: str, typed: str | None = None) -> Result:
    return app.test_cli_runner().invoke(args=["linked-auth", *command.split(), *more], input=typed)


def done(app: Flask, command: str, *more: str, typed: str | None = None) -> str:
    """The output of a command that succeeds."""
    result = run(app, command, *more, typed=typed)
    assert result.exit_code == 0, (result.output, result.exception)
    return str(result.output)


def fails(app: Flask, command: str, *more: str, typed: str | None = None) -> str:
    """The one complaint of a command that fails in a civil way."""
    result = run(app, command, *more, typed=typed)
    assert result.exit_code == 1, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    found = re.search(r"Error: (.*)", result.output, re.DOTALL)
    assert found
    return found[1].strip()


NEW = ("ana@example.com", "--password", PASSWORD)


# People.


def test_an_operator_makes_an_account(app: Flask) -> None:
    assert done(app, "user create", *NEW, "--username", "Ana", "--name", "Ana Example") == (
        "Created user 1 (ana@example.com).\n"
    )
    me = log_in(app).get("/auth/me").get_json()
    assert (me["username"], me["name"], me["is_admin"]) == ("ana", "Ana Example", False)


def test_the_password_is_asked_for_and_not_shown(app: Flask) -> None:
    output = done(app, "user create", "ana@example.com", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert PASSWORD not in output
    assert log_in(app).id == 1
    twice = f"{PASSWORD}\n{PASSWORD}\n"
    assert "do not match" in run(app, "user create", "ben@example.com", typed=f"one\nother\n{twice}").output


def test_an_operator_makes_an_administrator(app: Flask) -> None:
    done(app, "user create", *NEW, "--admin")
    chief = log_in(app)
    assert chief.get("/auth/me").get_json()["is_admin"] is True
    assert "email" in chief.get("/auth/users").get_json()["results"][0]


def test_an_operator_makes_somebody_an_administrator_and_takes_it_back(app: Flask) -> None:
    ana = register(app, username="ana")
    refused(ana.client.patch(f"/auth/users/{ana.id}", headers=bearer(ana.access)), 403, "forbidden-scope")
    with told(app) as heard:
        assert done(app, "user set-admin", "ana") == "An administrator now.\n"
        assert done(app, "user set-admin", "ana@example.com") == "An administrator now.\n"
        assert "email" in ana.get("/auth/users").get_json()["results"][0]
        assert done(app, "user set-admin", "1", "--remove") == "No administrator any more.\n"
    assert "email" not in ana.get("/auth/users").get_json()["results"][0]
    assert heard == [("user.changed", {"user_id": ana.id, "fields": ["is_admin"]})] * 2


def test_where_nobody_can_be_an_administrator_that_is_said() -> None:
    db = SQLAlchemy()

    class Person(db.Model):  # type: ignore[name-defined,misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(String(254), unique=True)
        password_hash: Mapped[str] = mapped_column(String(128))

    app = make_app(LinkedAuth(db=db, user_model=Person))
    assert "has no column 'is_admin'" in fails(app, "user create", *NEW, "--admin")
    done(app, "user create", *NEW)
    assert "has no column 'is_admin'" in fails(app, "user set-admin", "ana@example.com")


def test_an_operator_makes_accounts_where_registration_is_closed() -> None:
    app = make_app(registration=False)
    done(app, "user create", *NEW)
    assert log_in(app).id == 1


def test_what_is_wrong_with_an_account_is_said(app: Flask) -> None:
    assert "email: Not a valid e-mail address." in fails(app, "user create", "x", "--password", PASSWORD)
    assert "username:" in fails(app, "user create", *NEW, "--username", "a b")
    assert "password:" in fails(app, "user create", "ana@example.com", "--password", "short")
    assert "password:" in fails(
        app, "user create", "harbour.lights@example.com", "--password", "harbour-lights-12"
    )
    done(app, "user create", *NEW)
    assert "email: Is already taken." in fails(app, "user create", *NEW)
    assert run(app, "user create").exit_code == 2


def test_people_are_listed_with_their_standing(app: Flask) -> None:
    done(app, "user create", *NEW, "--username", "ana", "--admin")
    ben = register(app, "ben@example.com")
    edit_active(app, ben.id)
    assert done(app, "user list") == "1\tana@example.com\tana\tadmin\n2\tben@example.com\t-\tdeactivated\n"
    assert done(app, "user list", "--limit", "1").count("\n") == 1
    for nonsense in ("-1", "0", "x"):
        assert run(app, "user list", "--limit", nonsense).exit_code == 2


def edit_active(app: Flask, user_id: Any) -> None:
    with in_database(app) as (db, rows):
        db.session.get_one(rows.User, user_id).active = False
        db.session.commit()


@pytest.mark.parametrize("who", ["ana@example.com", "ANA@example.com", "ana", "Ana", "1"])
def test_a_person_is_found_by_address_name_or_key(app: Flask, who: str) -> None:
    ana = register(app, username="ana")
    assert done(app, "user deactivate", who) == "Deactivated; all logins have ended.\n"
    refused(ana.get("/auth/me"), 401, "token-revoked")
    assert done(app, "user activate", who) == "Active again.\n"
    assert log_in(app).id == ana.id


@pytest.mark.parametrize("command", ["deactivate", "activate", "set-password"])
@pytest.mark.parametrize("who", ["nobody@example.com", "nobody", "99", "01", "9" * 30, "-", "'"])
def test_somebody_who_is_not_there_is_said_to_be_not_there(app: Flask, command: str, who: str) -> None:
    register(app)
    more = ("--password", OTHER_PASSWORD) if command == "set-password" else ()
    assert "There is nobody with the e-mail address, user name or id" in fails(
        app, f"user {command}", *more, "--", who
    )


def test_deactivating_reaches_the_processes_that_serve(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cli.db'}"
    serving, shell = make_app(database=url, revocation_interval=0), make_app(database=url)
    ana = register(serving)
    assert ana.get("/auth/me").status_code == 200
    done(shell, "user deactivate", "ana@example.com")
    refused(ana.get("/auth/me"), 401, "token-revoked")
    refused(ana.refresh(), 401, "refresh-token-invalid")


def test_an_operator_sets_a_password_and_all_logins_end(app: Flask) -> None:
    ana = register(app, username="kettleworth")
    with told(app) as heard:
        output = done(app, "user set-password", "kettleworth", "--password", OTHER_PASSWORD)
    assert output == "Password set; all logins have ended.\n"
    assert OTHER_PASSWORD not in output
    assert heard == [("password.changed", {"user_id": ana.id})]
    refused(ana.get("/auth/me"), 401, "token-revoked")
    assert log_in(app, password=OTHER_PASSWORD).id == ana.id
    for bad in ("short", "kettleworth-kettleworth"):
        assert "password:" in fails(app, "user set-password", "kettleworth", "--password", bad)
    assert log_in(app, password=OTHER_PASSWORD).id == ana.id


def test_deactivating_is_told_once(app: Flask) -> None:
    ana = register(app)
    with told(app) as heard:
        done(app, "user deactivate", "1")
        done(app, "user deactivate", "1")
        done(app, "user activate", "1")
    assert heard == [("user.deactivated", {"user_id": ana.id}), ("user.reactivated", {"user_id": ana.id})]


# Keys.


def test_the_keys_are_listed_with_their_times(app: Flask) -> None:
    (line,) = done(app, "keys list").splitlines()
    kid, algorithm, status, start, end = line.split("\t")
    assert (kid[:2], algorithm, status, start, end) == ("s-", "HS256", "active", "settings", "-")
    assert re.fullmatch(
        r"Key \S+ signs from \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ on\.\n", done(app, "keys rotate")
    )
    lines = [line.split("\t") for line in done(app, "keys list").splitlines()]
    assert [line[2] for line in lines] == ["active", "next"]
    assert lines[0][4] != "-"
    assert not [line for line in lines if SECRET in "".join(line)]


def test_a_rotation_is_told(app: Flask) -> None:
    with told(app) as heard:
        output = done(app, "keys rotate", "--after", "0")
    ((name, facts),) = heard
    assert (name, facts.keys()) == ("key.rotated", {"kid", "active_from"})
    assert facts["kid"] in output
    assert abs(facts["active_from"] - time()) < 5


def test_a_key_that_is_not_there_cannot_be_retired(app: Flask) -> None:
    assert "There is no key 'nothing' in the database" in fails(app, "keys rotate", "--retire", "nothing")
    assert len(done(app, "keys list").splitlines()) == 1  # and nothing was made
    assert run(app, "keys rotate --after -1").exit_code == 2


def test_secrets_at_rest_are_sealed_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    done(make_app(database=url), "keys rotate", "--after", "0")
    new = make_app(database=url, encryption_keys=[OTHER_SECRET])
    assert done(new, "keys reencrypt") == "Sealed anew: 1.\n"
    assert done(new, "keys reencrypt") == "Sealed anew: 0.\n"


def test_a_service_without_a_database_says_that_it_has_none() -> None:
    app = bare_app()
    LinkedAuth(app, parts=[])
    assert done(app, "keys list").count("\n") == 1
    for command in ("keys rotate", "keys reencrypt"):
        assert "has no database" in fails(app, command)
    for command in ("prune", "create-tables"):
        assert "has no database" in fails(app, command)
    for command in ("list", "deactivate 1", "activate 1"):
        assert re.search(r"has no database|Accounts\(\) is not in use here", fails(app, f"user {command}"))
    assert "Accounts() is not in use" in fails(app, "user create", *NEW)


# Routes.


def test_routes_prints_who_can_reach_what() -> None:
    from datetime import timedelta

    app = make_app()
    app.add_url_rule("/a-page", "a", lambda: "")
    app.add_url_rule("/people", "b", Auth.auth_required(lambda: ""))
    app.add_url_rule(
        "/fresh", "c", Auth.auth_required(fresh=timedelta(minutes=5))(lambda: ""), methods=["DELETE"]
    )
    app.add_url_rule("/maybe", "d", Auth.auth_required(optional=True)(lambda: ""))
    app.add_url_rule("/both", "e", scope(["read", "write"])(lambda: ""), methods=["GET", "PUT"])
    app.add_url_rule("/either", "f", scope(["read", "admin:x"], any_of=True)(lambda: ""))
    app.add_url_rule("/link", "g", scope(["read"], mode="jwt")(lambda: ""))
    app.add_url_rule("/open", "h", public(lambda: ""))
    lines = {
        tuple(re.split(r"\s{2,}|(?<=[A-Z]) ", line, maxsplit=2)) for line in done(app, "routes").splitlines()
    }
    expected = {
        ("GET", "/people", "people"),
        ("DELETE", "/fresh", "people, login at most 300 s old"),
        ("GET", "/maybe", "anyone, people known"),
        ("GET", "/both", "scope read and write"),
        ("PUT", "/both", "scope read and write"),
        ("GET", "/either", "scope read or admin:x"),
        ("GET", "/link", "scope read, linked apps by jwt"),
        ("GET", "/open", "anyone"),
        ("GET", "/auth/me", "people"),
        ("POST", "/auth/login", "anyone"),
        ("PATCH", "/auth/users/<user_id>", "scope admin:users"),
    }
    assert expected <= lines
    assert not [line for line in lines if line[1] == "/a-page"]
    assert re.search(r"GET\s+/a-page\s+anyone \(no guard\)", done(app, "routes", "--all"))


def test_routes_knows_what_protect_guards_and_what_each_method_says() -> None:
    class Things(MethodView):
        @public
        def get(self) -> str:
            return ""

        def post(self) -> str:
            return ""

        @scope(["admin:things"])
        def delete(self) -> str:
            return ""

    app, inside = make_app(), Blueprint("inside", __name__, url_prefix="/in")
    Auth.protect(inside)
    inside.add_url_rule("/things", view_func=Things.as_view("things"))
    inside.add_url_rule("/x", "x", lambda: "")
    app.register_blueprint(inside)
    output = done(app, "routes")
    for method, path, who in (
        ("GET", "/in/things", "anyone"),
        ("POST", "/in/things", "people"),
        ("DELETE", "/in/things", "scope admin:things"),
        ("GET", "/in/x", "people"),
    ):
        assert re.search(rf"^{method}\s+{path}\s+{who}$", output, re.MULTILINE), (method, path, output)


def test_what_routes_prints_of_each_method_is_what_happens() -> None:
    class Things(MethodView):
        @public
        def get(self) -> str:
            return "open"

        def post(self) -> str:
            return "for people"

    app = make_app()
    Auth.protect(app)
    app.add_url_rule("/things", view_func=Things.as_view("things"))
    output, client = done(app, "routes"), app.test_client()
    for method, status, who in (("GET", 200, "anyone"), ("POST", 401, "people")):
        assert re.search(rf"^{method}\s+/things\s+{who}$", output, re.MULTILINE)
        assert client.open("/things", method=method).status_code == status


def test_routes_names_every_guard_of_a_view() -> None:
    class Things(MethodView):
        decorators: ClassVar[list[Any]] = [Auth.auth_required]

        @scope(["admin:things"])
        def get(self) -> str:
            return ""

    app = make_app()
    app.add_url_rule("/both", "both", Auth.auth_required(scope(["admin:x"])(lambda: "")))
    app.add_url_rule("/three", "three", scope(["a"])(Auth.auth_required(scope(["b"])(lambda: ""))))
    app.add_url_rule("/late", "late", Auth.auth_required(public(lambda: "")))
    app.add_url_rule("/things", view_func=Things.as_view("things"))
    output = done(app, "routes")
    for path, who in (
        ("/both", "people; scope admin:x"),
        ("/three", "scope a; people; scope b"),
        ("/late", "people"),
        ("/things", "people; scope admin:things"),
    ):
        assert re.search(rf"^GET\s+{path}\s+{who}$", output, re.MULTILINE), (path, output)
    ana = register(app)
    refused(ana.get("/both"), 403, "forbidden-scope")
    assert "scope admin:x" in run(app, "explain", ana.access, "--for", "both").output
    assert run(app, "explain", ana.access, "--for", "both").exit_code == 1
    assert run(app, "explain", ana.access, "--for", "late").exit_code == 0


def test_routes_finds_a_guard_that_stands_above_its_route() -> None:
    app, inside = make_app(), Blueprint("inside", __name__)

    @Auth.auth_required
    @inside.get("/drafts")
    def drafts() -> str:
        return "open to all"

    def logged(view: Any) -> Any:
        @wraps(view)
        def wrapper() -> Any:
            return view()

        return wrapper

    @Auth.auth_required
    @logged
    @inside.get("/letters")
    def letters() -> str:
        return "open too"

    @inside.get("/posts")
    @Auth.auth_required
    @logged
    def posts() -> str:
        return "for people"

    app.register_blueprint(inside)
    assert app.test_client().get("/drafts").text == "open to all"
    result = run(app, "routes")
    assert result.exit_code == 1
    assert re.search(
        r"GET\s+/drafts\s+anyone \(no guard\)  <- the guard stands above the route", result.output
    )
    assert "Put the route decorator on top of the guard: inside.drafts, inside.letters." in result.output
    assert re.search(r"GET\s+/posts\s+people$", result.output, re.MULTILINE)


def test_routes_minds_no_function_that_is_open_here_and_guarded_there() -> None:
    def who() -> str:
        return "anybody"

    app, other = make_app(), make_app()
    app.add_url_rule("/open", "open", who)
    other.add_url_rule("/mine", "mine", Auth.auth_required(who))
    assert "/open" in done(app, "routes", "--all")


def test_routes_works_where_there_is_nothing_to_print() -> None:
    app = bare_app()
    LinkedAuth(app, parts=[])
    assert done(app, "routes") == ""
    assert "/static/" in done(app, "routes", "--all")


# Tidying up.


def pruned(app: Flask) -> dict[str, int]:
    """How many of what `prune` has deleted, as far as accounts are concerned."""
    counts = {what: int(count) for count, what in re.findall(r"Deleted (\d+) (.+)\.\n", done(app, "prune"))}
    return {what: counts[what] for what in ("logins", "revocations", "mailed links")}


def test_prune_deletes_what_is_over_and_nothing_else(app: Flask) -> None:
    ana, ben = register(app), register(app, "ben@example.com")
    ben.post("/auth/logout-all")
    ana.post("/auth/logout")
    assert pruned(app) == {"logins": 0, "revocations": 0, "mailed links": 0}
    with in_database(app) as (db, rows):
        db.session.query(rows.Login).filter_by(user_id=ben.id).update({"expires_at": int(time()) - 5})
        db.session.query(rows.Revocation).filter_by(kind="user").update({"expires_at": int(time()) - 1000})
        db.session.query(rows.OneTimeLink).filter_by(user_id=ben.id).update({"expires_at": int(time()) - 5})
        db.session.commit()
    assert pruned(app) == {"logins": 1, "revocations": 1, "mailed links": 1}
    with in_database(app) as (db, rows):
        kinds = (rows.Login, rows.Revocation, rows.OneTimeLink)
        assert [db.session.query(kind).count() for kind in kinds] == [1, 1, 1]


def test_prune_works_in_batches_until_all_is_gone(app: Flask) -> None:
    register(app)
    with in_database(app) as (db, rows):
        old = [{"seq": 10 + n, "kind": "jti", "subject": str(n), "expires_at": 1} for n in range(2300)]
        db.session.execute(rows.Revocation.__table__.insert(), old)
        db.session.commit()
    assert pruned(app) == {"logins": 0, "revocations": 2300, "mailed links": 0}


def production(database: str) -> Flask:
    app = Flask("production")
    app.config.update(
        QUICK,
        SQLALCHEMY_DATABASE_URI=database,
        LINKED_AUTH_SECRET=SECRET,
        LINKED_AUTH_NAME="tiny",
        LINKED_AUTH_ISSUER="http://localhost:5000",
    )
    LinkedAuth(app, mailer=print)
    return app


def test_the_tables_are_made_for_an_app_without_migrations(tmp_path: Path) -> None:
    app = production(f"sqlite:///{tmp_path / 'new.db'}")
    assert "flask linked-auth create-tables" in fails(app, "user list")
    assert "flask linked-auth create-tables" in fails(app, "user create", *NEW)
    assert done(app, "create-tables") == "The tables are there.\n"
    assert done(app, "create-tables") == "The tables are there.\n"
    assert done(app, "user list") == ""
    done(app, "user create", *NEW)
    assert Person(app, log_in(app).given).get("/auth/me").status_code == 200


def test_a_database_out_of_reach_is_said_to_be() -> None:
    app = production("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    assert "out of reach" in fails(app, "user list")
    assert "out of reach" in fails(app, "prune")


def test_a_bug_is_not_hidden_from_an_operator() -> None:
    auth = LinkedAuth()
    app = make_app(auth)
    with in_database(app) as (db, _):
        from sqlalchemy import text

        db.session.execute(text('DROP TABLE "user"'))
        db.session.execute(text('CREATE VIEW "user" AS SELECT 1 AS id'))
        db.session.commit()
    result = run(app, "user list")
    assert result.exit_code == 1


def test_every_command_has_help_with_an_example(app: Flask) -> None:
    from flask_linked_auth.cli import group, keys_group, user_group

    for parent, path in ((group, []), (user_group, ["user"]), (keys_group, ["keys"])):
        for name in set(parent.commands) - {"user", "keys"}:
            output = done(app, " ".join([*path, name, "--help"]))
            example = "".join(f"flask linked-auth {' '.join([*path, name])}".split())
            assert example in "".join(output.split("Example")[1].split())

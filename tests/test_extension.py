"""`LinkedAuth`: in one line, in a factory, for several apps, without a database; and what it refuses at start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, Index, Integer, String, Text, UniqueConstraint, func, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_linked_auth import Accounts, Auth, LinkedAuth, LoginMixin, UserMixin
from flask_linked_auth.config import AccountSettings
from flask_linked_auth.errors import InternalError, SettingsError
from flask_linked_auth.state import Part
from tests.tiny import (
    ISSUER,
    OTHER_SECRET,
    PASSWORD,
    QUICK,
    SECRET,
    bare_app,
    bearer,
    create_tables,
    in_database,
    log_in,
    make_app,
    refused,
    register,
    state_of,
)

OURS = {"user", "login", "signing_key", "revocation", "revocation_counter", "one_time_link"}
OF_APPS = {"linked_app", "app_key", "app_scope", "scope", "agreement"}
OF_LINKS = {"linked_person", "used_nonce", "pairing_code", "one_time_token"}


def new_db() -> SQLAlchemy:
    class Base(DeclarativeBase):
        pass

    return SQLAlchemy(model_class=Base)


def own_user(db: SQLAlchemy, table: str = "people") -> type[Any]:
    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = table
        id: Mapped[int] = mapped_column(primary_key=True)

    return User


# In one line.


@pytest.mark.parametrize("mode", ["debug", "testing"])
def test_one_line_on_an_empty_app_is_a_service_with_accounts(tmp_path: Path, mode: str) -> None:
    app = Flask("one_line", instance_path=str(tmp_path / "instance"))
    setattr(app, mode, True)
    app.config.update(QUICK)
    auth = LinkedAuth(app)

    @app.get("/hello")
    @Auth.auth_required
    def hello() -> dict[str, str]:
        return {"hello": g.user.name}

    ana = register(app, name="Ana")
    assert ana.get("/hello").get_json() == {"hello": "Ana"}
    assert (tmp_path / "instance" / "linked_auth.db").is_file()
    assert auth.db is not None
    assert auth.User.__tablename__ == "user"
    assert auth.db.metadata.tables.keys() == OURS | OF_APPS | OF_LINKS
    settings = state_of(app).settings
    assert (settings.name, settings.issuer) == ("one_line", ISSUER)
    with app.app_context():
        auth.db.engine.dispose()


def test_the_secret_of_a_development_machine_is_kept_and_is_for_its_owner(tmp_path: Path) -> None:
    def run() -> Flask:
        app = Flask("kept", instance_path=str(tmp_path))
        app.debug = True
        app.config.update(QUICK, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'kept.db'}")
        auth = LinkedAuth(app)
        assert auth.db is not None
        create_tables(app, auth.db)
        return app

    ana = register(run())
    file = tmp_path / "linked_auth_secret"
    assert file.stat().st_mode & 0o077 == 0
    assert len(file.read_text()) >= 43
    assert ana.elsewhere(run()).get("/auth/me").status_code == 200  # a restart logs nobody out
    file.write_text("short")
    refused(ana.elsewhere(run()).get("/auth/me"), 401, "token-invalid")


def test_where_nothing_can_be_written_a_process_has_a_secret_of_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in-the-way").write_text("a file, where a folder is wanted")
    app = Flask("unwritable", instance_path=str(tmp_path / "in-the-way" / "instance"))
    app.debug = True
    LinkedAuth(app, parts=[])
    assert len(state_of(app).settings.secret) >= 43
    assert "a secret of its own" in caplog.text


@pytest.mark.parametrize(
    ("name", "slug"),
    [("my.package.Blog API", "blog-api"), ("__main__", "main"), ("...", "app"), ("x" * 80, "x" * 50)],
)
def test_in_debug_the_service_is_named_for_its_app(name: str, slug: str) -> None:
    app = Flask("named")
    app.name = name
    app.debug = True
    app.config["LINKED_AUTH_SECRET"] = SECRET
    LinkedAuth(app, parts=[])
    assert state_of(app).settings.name == slug


def test_tables_are_not_made_outside_debug_and_the_log_says_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask("production")
    app.config.update(
        QUICK,
        SQLALCHEMY_DATABASE_URI="sqlite://",
        LINKED_AUTH_SECRET=SECRET,
        LINKED_AUTH_NAME="tiny",
        LINKED_AUTH_ISSUER=ISSUER,
    )
    auth = LinkedAuth(app, mailer=print)
    new = {"email": "ana@example.com", "password": PASSWORD}
    answer = app.test_client().post("/auth/register", json=new)
    refused(answer, 500, "internal-error")
    assert "table" not in answer.text
    assert "flask db upgrade" in caplog.text
    assert auth.db is not None
    create_tables(app, auth.db)
    assert register(app).get("/auth/me").status_code == 200


def test_guards_and_keys_say_what_to_do_too_where_a_migration_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = bare_app(database="sqlite://", **QUICK)
    new_db().init_app(app)  # whose tables are the host's to make
    LinkedAuth(app)
    app.add_url_rule("/mine", "mine", Auth.auth_required(lambda: "in"))
    for path in ("/auth/jwks", "/mine"):
        refused(app.test_client().get(path, headers=bearer("x.y.z")), 500, "internal-error")
    assert "flask db upgrade" in caplog.text
    caplog.clear()
    with app.app_context(), pytest.raises(InternalError):
        Auth.generate_token(1)
    assert "flask db upgrade" in caplog.text


# In a factory.


def test_a_factory_makes_two_apps_with_one_object_and_their_people_stay_apart(tmp_path: Path) -> None:
    db = new_db()
    auth = LinkedAuth(db=db, user_model=own_user(db), parts=[Accounts()])

    def create_app(name: str, **more: Any) -> Flask:
        return make_app(auth, database=f"sqlite:///{tmp_path / name}.db", name=name, **more)

    blue = create_app("blue")
    red = create_app("red", secret=OTHER_SECRET, prefix="/accounts")
    ana = register(blue, name="Ana of blue")
    new = {"email": "ben@example.com", "password": PASSWORD, "name": "Ben of red"}
    ben = red.test_client().post("/accounts/register", json=new).get_json()
    assert ben["user_id"] == ana.id == 1

    assert ana.get("/auth/me").get_json()["name"] == "Ana of blue"
    mine = red.test_client().get("/accounts/me", headers=bearer(ben["token"]))
    assert mine.get_json()["name"] == "Ben of red"
    refused(red.test_client().get("/accounts/me", headers=bearer(ana.access)), 401, "token-invalid")
    refused(ana.get("/auth/me", headers=bearer(ben["token"])), 401, "token-invalid")
    nobody = {"email": "ana@example.com", "password": PASSWORD}
    refused(red.test_client().post("/accounts/login", json=nobody), 401, "invalid-credentials")
    assert state_of(blue).settings.name == "blue"
    assert state_of(red).settings.name == "red"

    # What ends in one app goes on in the other, though both persons have the same key.
    assert ana.post("/auth/logout-all").status_code == 204
    refused(ana.get("/auth/me"), 401, "token-revoked")
    assert red.test_client().get("/accounts/me", headers=bearer(ben["token"])).status_code == 200


def test_two_apps_of_one_object_may_be_told_apart_only_by_their_issuer() -> None:
    auth = LinkedAuth()
    blue, red = make_app(auth, issuer="https://blue.example"), make_app(auth, issuer="https://red.example")
    ana, ben = register(blue), register(red)
    assert ana.get("/auth/me").status_code == 200
    assert ben.get("/auth/me").status_code == 200
    refused(ana.elsewhere(red).get("/auth/me"), 401, "token-invalid")


def test_the_same_database_with_another_object_gives_the_same_rows() -> None:
    db = new_db()
    User = own_user(db)
    first, second = LinkedAuth(db=db, user_model=User), LinkedAuth(db=db, user_model=User)
    assert first.rows is second.rows
    assert LinkedAuth(db=db).User is User
    other = new_db()
    assert LinkedAuth(db=other, user_model=own_user(other)).rows is not first.rows


def test_setting_up_twice_is_refused() -> None:
    app = make_app()
    for again in (lambda: LinkedAuth(app), lambda: LinkedAuth().init_app(app)):
        with pytest.raises(SettingsError, match="already set up"):
            again()


# The order of set-up, and clashes with what the host has.


def test_the_hosts_database_comes_first() -> None:
    db = new_db()
    auth = LinkedAuth(db=db, user_model=own_user(db))
    app = bare_app(database="sqlite://")
    with pytest.raises(SettingsError, match=r"Call db\.init_app\(app\) before auth\.init_app\(app\)"):
        auth.init_app(app)
    db.init_app(app)
    auth.init_app(app)
    assert "linked_auth" in app.extensions


def test_a_host_with_a_database_is_used_though_it_is_not_named() -> None:
    app = bare_app(database="sqlite://", **QUICK)
    db = new_db()
    db.init_app(app)
    auth = LinkedAuth(app)
    assert auth.db is db
    create_tables(app, db)
    assert register(app).get("/auth/me").status_code == 200


def test_an_object_with_a_database_of_its_own_refuses_an_app_that_has_another() -> None:
    app = bare_app(database="sqlite://")
    new_db().init_app(app)
    with pytest.raises(SettingsError, match=r"pass it as LinkedAuth\(db="):
        LinkedAuth().init_app(app)


@pytest.mark.parametrize(
    ("table", "advice"),
    [
        ("user", "user_model="),
        ("login", "Login="),
        ("signing_key", "SigningKey="),
        ("revocation", "Revocation="),
        ("revocation_counter", "RevocationCounter="),
    ],
)
def test_a_table_of_the_host_that_has_our_name_is_an_error_that_says_what_to_pass(
    table: str, advice: str
) -> None:
    db = new_db()
    assert LinkedAuth(db=new_db()).rows
    db.Table(table, mapped_column("id", primary_key=True, type_=String(8)).column)
    with pytest.raises(SettingsError, match=f"already has a table '{table}'.*{advice}"):
        LinkedAuth(db=db)


def test_a_user_model_of_the_host_in_the_table_user_is_used_when_it_is_passed() -> None:
    db = new_db()
    User = own_user(db, table="user")
    with pytest.raises(SettingsError, match="user_model="):
        LinkedAuth(db=db)
    assert LinkedAuth(db=db, user_model=User).User is User


def test_another_user_model_on_a_database_in_use_is_refused() -> None:
    db = new_db()
    LinkedAuth(db=db, user_model=own_user(db))
    with pytest.raises(SettingsError, match="already in use with another User class"):
        LinkedAuth(db=db, user_model=own_user(db, table="others") if False else UserMixin)


def test_a_user_model_without_what_accounts_need_is_refused() -> None:
    for lacking in ("email", "password_hash"):
        db = new_db()
        columns = {name: mapped_column(String(200)) for name in ("email", "password_hash") if name != lacking}
        body = {"__tablename__": "people", "id": mapped_column(String(9), primary_key=True), **columns}
        model = type("Person", (db.Model,), body)
        with pytest.raises(SettingsError, match=f"Person needs a column '{lacking}'"):
            LinkedAuth(db=db, user_model=model)


def test_a_user_model_with_a_key_of_two_columns_is_refused() -> None:
    db = new_db()

    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "people"
        id: Mapped[int] = mapped_column(primary_key=True)
        realm: Mapped[str] = mapped_column(String(9), primary_key=True)

    with pytest.raises(SettingsError, match="a primary key of one column"):
        LinkedAuth(db=db, user_model=Person)


def person_with(db: SQLAlchemy, **columns: Any) -> type[Any]:
    """A user model of the host's, in which `columns` replace those that are right."""
    right = {
        "id": mapped_column(primary_key=True, type_=Integer),
        "email": mapped_column(String(254), unique=True),
        "password_hash": mapped_column(String(128)),
    }
    return type("Person", (db.Model,), {"__tablename__": "people", **right, **columns})


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"email": mapped_column(String(254))}, "the column 'email' needs a unique index"),
        ({"email": mapped_column(String(254), index=True)}, "the column 'email' needs a unique index"),
        ({"email": property(lambda self: "")}, "needs a column 'email', a mapped one"),
        ({"username": mapped_column(String(9), nullable=True)}, "the column 'username' needs a unique index"),
        ({"password_hash": mapped_column(String(40))}, "'password_hash' has room for 40 characters; 65"),
    ],
    ids=["no-index", "not-unique", "property", "username", "short"],
)
def test_a_column_that_would_fail_later_is_refused_at_start(columns: dict[str, Any], said: str) -> None:
    db = new_db()
    with pytest.raises(SettingsError, match=said):
        LinkedAuth(db=db, user_model=person_with(db, **columns))


def test_an_address_over_two_columns_or_a_part_of_the_rows_is_not_unique() -> None:
    def partly(email: Any) -> Index:
        return Index("ix_email", email, unique=True, sqlite_where=email != "")

    for mistaken in (lambda email: UniqueConstraint("email", "realm"), partly):
        db, email = new_db(), mapped_column(String(254))
        arguments = (mistaken(email.column),)
        with pytest.raises(SettingsError, match="needs a unique index of its own"):
            LinkedAuth(
                db=db,
                user_model=person_with(
                    db, email=email, realm=mapped_column(String(9), nullable=True), __table_args__=arguments
                ),
            )


def test_an_address_may_be_unique_in_any_way_that_a_database_knows() -> None:
    def constraint(email: Any) -> Any:
        return UniqueConstraint("email")

    def lowered(email: Any) -> Any:
        return Index("ix_email", func.lower(email), unique=True)

    for way in (constraint, lowered, lambda email: Index("ix_email", "email", unique=True)):
        db, email = new_db(), mapped_column(String(254))
        model = person_with(
            db, email=email, password_hash=mapped_column(Text), __table_args__=(way(email.column),)
        )
        assert register(make_app(LinkedAuth(db=db, user_model=model))).get("/auth/me").status_code == 200


def test_a_column_that_registration_cannot_fill_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    db = new_db()
    more = {
        "city": mapped_column(String(80), nullable=False),
        "plan": mapped_column(String(9), nullable=False, default="free"),
        "nick": mapped_column(String(9), nullable=True),
    }
    LinkedAuth(db=db, user_model=person_with(db, **more))
    assert "The column 'city' of Person may not be empty and has no default" in caplog.text
    assert "'plan'" not in caplog.text
    assert "'nick'" not in caplog.text
    assert "'id'" not in caplog.text


def test_a_user_model_of_another_database_object_is_refused() -> None:
    db = new_db()
    model = own_user(db)
    for build in (lambda: LinkedAuth(user_model=model), lambda: LinkedAuth(db=new_db(), user_model=model)):
        with pytest.raises(SettingsError, match=r"user_model=User belongs to another SQLAlchemy object"):
            build()
    assert LinkedAuth(db=db, user_model=model).User is model


def test_a_user_model_with_a_bind_of_its_own_belongs_to_the_same_object() -> None:
    db = new_db()

    class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __bind_key__ = "people"
        id: Mapped[int] = mapped_column(primary_key=True)

    assert LinkedAuth(db=db, user_model=User).User is User


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda: {"user_model": UserMixin}, r"user_model= wants a mapped class"),
        (lambda: {"user_model": UserMixin()}, r"user_model= wants a mapped class"),
        (lambda: {"Login": LoginMixin}, r"Login= wants a mapped class"),
        (
            lambda: {"app": new_db()},
            r"A Flask app is wanted here, not SQLAlchemy; a database is passed as db=",
        ),
        (lambda: {"parts": [Accounts]}, r"Accounts\(\) with parentheses; Accounts is none"),
        (lambda: {"parts": ["accounts"]}, r"with parentheses; str is none"),
        (lambda: {"parts": Accounts()}, r"parts= is a list"),
        (lambda: {"parts": "accounts"}, r"parts= is a list"),
    ],
)
def test_an_argument_of_a_wrong_kind_is_told_in_a_sentence(arguments: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        LinkedAuth(**arguments())
    with pytest.raises(SettingsError, match="A Flask app is wanted here, not NoneType"):
        LinkedAuth().init_app(None)  # type: ignore[arg-type]


# Row classes of the host's own.


def test_a_row_class_can_be_the_hosts_own() -> None:
    db = new_db()
    User = own_user(db)

    class Login(LoginMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "device_login"
        __user_model__ = User
        nickname: Mapped[str | None] = mapped_column(String(40))

    auth = LinkedAuth(db=db, user_model=User, Login=Login)
    assert auth.rows is not None
    assert auth.rows.Login is Login
    assert "login" not in db.metadata.tables
    app = make_app(auth)
    ana = register(app)
    with in_database(app) as (session_db, rows):
        row = session_db.session.query(rows.Login).one()
        assert (row.user_id, row.nickname) == (ana.id, None)
    assert ana.refresh().status_code == 200


def test_a_row_class_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        SettingsError, match=r"'Logins'.*Agreement, AppKey, .*RevocationCounter, Scope, SigningKey, .*User"
    ):
        LinkedAuth(db=new_db(), Logins=LoginMixin)


def test_a_host_points_to_our_user_and_loses_its_rows_with_them() -> None:
    auth = LinkedAuth(db=new_db())
    assert auth.db is not None

    class Post(auth.db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "post"
        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id: Mapped[int] = mapped_column(ForeignKey(auth.User.id))

    app = make_app(auth)
    ana = register(app)
    with in_database(app) as (db, _):
        db.session.add(Post(owner_id=ana.id))
        db.session.commit()
        assert db.session.query(Post).one().owner_id == ana.id


# Without a database.


def test_guards_only_leaves_no_table_no_route_and_no_setting_of_a_part() -> None:
    app = bare_app()
    before = {rule.rule for rule in app.url_map.iter_rules()}
    auth = LinkedAuth(app, parts=[])
    assert {rule.rule for rule in app.url_map.iter_rules()} == before
    assert (auth.db, auth.rows) == (None, None)
    assert "sqlalchemy" not in app.extensions
    assert "SQLALCHEMY_DATABASE_URI" not in app.config
    with pytest.raises(SettingsError, match="There is no user model"):
        auth.User  # noqa: B018
    with pytest.raises(
        SettingsError, match=r"LINKED_AUTH_BCRYPT_COST is not a setting .* of a part that is in use"
    ):
        LinkedAuth(bare_app(bcrypt_cost=4), parts=[])
    with app.app_context(), pytest.raises(RuntimeError, match="has no database"):
        auth.revoke(1)


def test_guards_only_wants_nothing_of_a_database() -> None:
    for wrong in ({"db": new_db()}, {"user_model": UserMixin}, {"Login": LoginMixin}):
        with pytest.raises(SettingsError, match="parts with tables, and none is listed"):
            LinkedAuth(parts=[], **wrong)  # type: ignore[arg-type]


def test_guards_only_imports_nothing_that_only_accounts_need() -> None:
    program = (
        "import sys; from flask import Flask; from flask_linked_auth import Auth, LinkedAuth;"
        f"app = Flask('x'); app.testing = True; app.config['LINKED_AUTH_SECRET'] = {SECRET!r};"
        "LinkedAuth(app, parts=[]); app.add_url_rule('/', 'home', Auth.auth_required(lambda: 'in'));"
        "context = app.app_context(); context.push(); token = Auth.generate_token('1');"
        "answer = app.test_client().get('/', headers={'Authorization': 'Bearer ' + token});"
        "assert answer.text == 'in', answer.text;"
        "unwanted = {'sqlalchemy', 'flask_sqlalchemy', 'limits', 'zxcvbn', 'requests'} & set(sys.modules);"
        "ours = {m for m in sys.modules if m.startswith('flask_linked_auth.accounts')};"
        "sys.exit(f'imported {unwanted | ours}' if unwanted | ours else 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


class Greeting(Part):
    """A part of somebody else's, without tables."""

    name = "greeting"
    needs_database = False

    def settings(self) -> type[Any]:
        return AccountSettings

    def init_app(self, app: Flask, state: Any, settings: AccountSettings) -> Any:
        app.add_url_rule("/greeting", "greeting", lambda: settings.prefix)
        return settings


def test_a_part_of_somebody_else_has_its_settings_and_its_place_in_the_state() -> None:
    app = bare_app(prefix="/hi")
    LinkedAuth(app, parts=[Greeting()])
    assert app.test_client().get("/greeting").text == "/hi"
    assert state_of(app).parts["greeting"].prefix == "/hi"
    assert "sqlalchemy" not in app.extensions


# The state.


def test_the_state_never_changes_and_shows_no_secret() -> None:
    app = make_app(encryption_keys=[OTHER_SECRET])
    state = state_of(app)
    with pytest.raises(AttributeError):
        state.settings = None  # type: ignore[misc,assignment]
    texts = [
        repr(each) for each in (state, state.settings, state.tokens, state.ring, state.verifier, state.store)
    ]
    texts += [repr(held) for held in state.ring.held()] if state.database is None else []
    assert not [text for text in texts if SECRET in text or OTHER_SECRET in text]


def test_revoking_a_person_by_hand_ends_what_a_bulk_statement_did_not() -> None:
    auth = LinkedAuth()
    app = make_app(auth)
    ana, ben = register(app), register(app, "ben@example.com")
    with in_database(app) as (db, rows):
        db.session.execute(rows.User.__table__.update().values(name="Same for all"))
        db.session.commit()
        assert ana.get("/auth/me").status_code == 200
        auth.revoke(db.session.get_one(rows.User, ana.id))
    refused(ana.get("/auth/me"), 401, "token-revoked")
    refused(ana.refresh(), 401, "refresh-token-invalid")
    assert ben.get("/auth/me").status_code == 200
    with app.app_context():
        auth.revoke(ben.id)
    refused(ben.get("/auth/me"), 401, "token-revoked")
    assert log_in(app, "ben@example.com").get("/auth/me").status_code == 200


@pytest.mark.parametrize("nobody", [None, "nobody", "", 1.5, True, LinkedAuth])
def test_revoking_nobody_by_mistake_is_an_error(nobody: Any) -> None:
    auth = LinkedAuth()
    app = make_app(auth)
    ana = register(app)
    with app.app_context(), pytest.raises(ValueError, match=r"row or key|key of a person"):
        auth.revoke(nobody)
    assert ana.get("/auth/me").status_code == 200
    with app.app_context():
        auth.revoke(str(ana.id))
    refused(ana.get("/auth/me"), 401, "token-revoked")


def test_our_tables_can_be_inspected_by_the_host() -> None:
    app = make_app()
    with in_database(app) as (db, rows):
        assert set(inspect(db.engine).get_table_names()) >= OURS
        assert rows.Login.__table__.c.user_id.type.python_type is int

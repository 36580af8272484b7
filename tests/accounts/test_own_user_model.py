"""The host's own user model: any key, with and without our columns, plain or dataclass; and its migrations."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, ForeignKey, Integer, String, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from flask_linked_auth import Auth, LinkedAuth, UserMixin
from tests.tiny import (
    PASSWORD,
    bare_app,
    in_database,
    log_in,
    make_app,
    refused,
    register,
    state_of,
)


def new_db() -> SQLAlchemy:
    class Base(DeclarativeBase):
        pass

    return SQLAlchemy(model_class=Base)


def int_key(db: SQLAlchemy) -> type[Any]:
    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)

    return Person


def big_key(db: SQLAlchemy) -> type[Any]:
    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)

    return Person


def uuid_key(db: SQLAlchemy) -> type[Any]:
    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "person"
        id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)  # type: ignore[assignment]

    return Person


def text_key(db: SQLAlchemy) -> type[Any]:
    class Person(UserMixin, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "person"
        id: Mapped[str] = mapped_column(  # type: ignore[assignment]
            String(40), primary_key=True, default=lambda: "usr_" + uuid.uuid4().hex
        )

    return Person


def bare(db: SQLAlchemy) -> type[Any]:
    class Person(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "person"
        number: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(String(254), unique=True)
        password_hash: Mapped[str] = mapped_column(String(128))

    return Person


def dataclass(db: SQLAlchemy) -> type[Any]:
    class Person(MappedAsDataclass, db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(init=False, primary_key=True)
        email: Mapped[str] = mapped_column(String(254), unique=True)
        password_hash: Mapped[str] = mapped_column(String(128), repr=False)
        username: Mapped[str | None] = mapped_column(String(150), unique=True, default=None)
        name: Mapped[str] = mapped_column(String(128), default="")
        active: Mapped[bool] = mapped_column(default=True)
        is_admin: Mapped[bool] = mapped_column(default=False)

    return Person


Kind = Callable[[SQLAlchemy], type[Any]]
WITH_OUR_COLUMNS: list[Kind] = [int_key, big_key, uuid_key, text_key, dataclass]


def host(kind: Kind, *, database: str = "sqlite://", **settings: Any) -> Flask:
    db = new_db()
    return make_app(LinkedAuth(db=db, user_model=kind(db)), database=database, **settings)


@pytest.mark.parametrize("kind", WITH_OUR_COLUMNS)
def test_the_whole_walk_of_a_person_works_with_any_key(kind: Kind) -> None:
    app = host(kind)
    seen: list[Any] = []

    @app.get("/mine")
    @Auth.auth_required
    def mine() -> dict[str, Any]:
        seen.append(g.user.id)
        return {"same": g.user.id == g.get_user().id == g.identity.user_id, "name": g.user.name}

    ana = register(app, username="ana", name="Ana")
    chief = make_admin_of(app, "chief@example.com")
    assert ana.get("/mine").get_json() == {"same": True, "name": "Ana"}
    database = state_of(app).database
    assert database is not None
    assert type(seen[0]) is database.key_type
    assert ana.id == (str(seen[0]) if kind is uuid_key else seen[0])

    assert ana.get("/auth/me").get_json()["id"] == ana.id
    assert ana.call("PATCH", "/auth/me", {"name": "Ana B"}).get_json()["name"] == "Ana B"
    assert ana.post("/auth/validate-token").get_json()["user_id"] == ana.id
    assert ana.refresh().get_json()["user_id"] == ana.id
    assert log_in(app).id == ana.id
    assert ana.get("/auth/me/logins").get_json()["count"] == 2
    assert {each["id"] for each in ana.get("/auth/users").get_json()["results"]} == {ana.id, chief.id}
    assert ana.get(f"/auth/users/{chief.id}").get_json()["id"] == chief.id
    assert ana.post("/auth/logout").status_code == 204
    again = log_in(app)
    assert chief.call("PATCH", f"/auth/users/{ana.id}", {"active": False}).status_code == 200
    refused(again.get("/auth/me"), 401, "token-revoked")
    assert chief.call("DELETE", "/auth/me").status_code == 204


def make_admin_of(app: Flask, email: str) -> Any:
    chief = register(app, email)
    with in_database(app) as (db, rows):
        rows_of = db.session.query(rows.User).filter_by(email=email).one()
        rows_of.is_admin = True
        db.session.commit()
    return chief


@pytest.mark.parametrize("kind", [int_key, big_key, uuid_key, text_key, dataclass, bare])
def test_only_the_one_form_of_a_key_is_a_persons(kind: Kind) -> None:
    app = host(kind)
    ana = register(app)
    assert ana.get(f"/auth/users/{ana.id}").status_code == 200
    forms = [
        f"0{ana.id}",
        f"%20{ana.id}",
        f"{ana.id}%20",
        f"+{ana.id}",
        f"{{{ana.id}}}",
        "x",
        f"{ana.id}/"[:-1] + "%00",
    ]
    if kind is uuid_key:
        forms += [str(ana.id).upper(), str(ana.id).replace("-", "")]
    for form in forms:
        refused(ana.get(f"/auth/users/{form}"), 404, "not-found")


@pytest.mark.parametrize("kind", [int_key, uuid_key, text_key])
def test_the_column_of_a_login_has_the_type_of_the_users_key(kind: Kind) -> None:
    with in_database(host(kind)) as (_, rows):
        (column,) = rows.User.__table__.primary_key.columns
        assert type(rows.Login.__table__.c.user_id.type) is type(column.type)


def test_a_model_of_three_columns_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    app = host(bare)
    app.add_url_rule("/mine", "mine", Auth.auth_required(lambda: g.user.email))
    ana = register(app)
    assert ana.given["user"] == {"id": ana.id, "email": "ana@example.com"}
    assert ana.get("/mine").text == "ana@example.com"
    assert ana.get("/auth/me").get_json() == {"id": ana.id, "email": "ana@example.com"}
    assert ana.get("/auth/users").get_json()["results"] == [{"id": ana.id}]
    assert ana.call("PATCH", "/auth/me", {"email": "ana@new.example"}).status_code == 200
    assert ana.call("PUT", "/auth/me", {"email": "ana@example.com"}).status_code == 200
    assert log_in(app).id == ana.id
    for field in ("username", "name", "active", "is_admin"):
        new = {"email": "ben@example.com", "password": PASSWORD, field: "x"}
        assert refused(app.test_client().post("/auth/register", json=new), 422, "invalid-fields")[
            "errors"
        ] == {field: ["Unknown field."]}
    who = {"username": "ana@example.com", "password": PASSWORD}
    refused(app.test_client().post("/auth/login", json=who), 422, "invalid-fields")
    refused(ana.call("PATCH", "/auth/users/1", {"active": False}), 403, "forbidden-scope")
    assert ana.call("DELETE", "/auth/me").status_code == 204


def test_a_model_without_active_has_nobody_to_deactivate() -> None:
    auth = LinkedAuth(db=(db := new_db()), user_model=bare(db))
    auth.user_scopes(lambda user: ["admin:users"])
    ana = register(make_app(auth))
    refused(ana.call("PATCH", f"/auth/users/{ana.id}", {"active": False}), 409, "conflict")
    assert ana.get("/auth/me").status_code == 200


def test_without_a_column_is_admin_nobody_holds_an_admin_scope() -> None:
    app = host(bare)
    ana = register(app)
    refused(ana.call("PATCH", f"/auth/users/{ana.id}", {"active": False}), 403, "forbidden-scope")


@pytest.mark.parametrize("kind", [int_key, uuid_key, dataclass])
def test_the_hosts_rows_belong_to_g_user(kind: Kind) -> None:
    db = new_db()
    Person = kind(db)
    auth = LinkedAuth(db=db, user_model=Person)

    class Post(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "post"
        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id = mapped_column(ForeignKey(Person.__table__.c.id))

    app = make_app(auth)

    @app.post("/posts")
    @Auth.auth_required
    def create() -> dict[str, Any]:
        post = Post()
        post.owner_id = g.user.id
        db.session.add(post)
        db.session.commit()
        return {"id": post.id, "mine": post.owner_id == g.get_user().id}

    ana = register(app)
    assert ana.post("/posts").get_json() == {"id": 1, "mine": True}


def test_whose_rows_the_host_keeps_cannot_be_deleted(postgresql_url: str) -> None:
    db = new_db()
    Person = int_key(db)
    auth = LinkedAuth(db=db, user_model=Person)

    class Post(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "post"
        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id: Mapped[int] = mapped_column(ForeignKey("person.id"))

    app = make_app(auth, database=postgresql_url)
    ana = register(app)
    with in_database(app):
        db.session.add(Post(owner_id=ana.id))
        db.session.commit()
    refused(ana.call("DELETE", "/auth/me"), 409, "conflict")
    assert ana.get("/auth/me").status_code == 200
    assert ana.refresh().status_code == 200
    with in_database(app):
        db.session.query(Post).delete()
        db.session.commit()
    assert ana.call("DELETE", "/auth/me").status_code == 204


# Migrations.


@pytest.fixture
def kept_logging() -> Iterator[None]:
    """Alembic's env.py configures logging for its whole process, and disables the loggers that there are."""
    root = logging.getLogger()
    loggers = [
        each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)
    ]
    before = [
        (each, each.disabled, each.level, list(each.handlers), each.propagate) for each in [root, *loggers]
    ]
    yield
    for each, disabled, level, handlers, propagate in before:
        each.disabled, each.level, each.handlers, each.propagate = disabled, level, handlers, propagate
    logging.Logger.manager._clear_cache()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [int_key, uuid_key])
@pytest.mark.filterwarnings(
    "ignore:.get_engine.:DeprecationWarning"
)  # in the env.py that Flask-Migrate writes
def test_flask_migrate_sees_our_tables_and_finds_no_drift(
    kind: Kind, database_url: str, tmp_path: Path, kept_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    import flask_migrate
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    db = new_db()
    auth = LinkedAuth(db=db, user_model=kind(db))
    app = bare_app(database=database_url, bcrypt_cost=4, rate_limits=None)
    db.init_app(app)
    auth.init_app(app)
    flask_migrate.Migrate(app, db, directory=str(tmp_path / "migrations"))

    def differences() -> list[Any]:
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return list(compare_metadata(context, db.metadata))

    with app.app_context():
        flask_migrate.init()
        flask_migrate.migrate(message="ours")
        (script,) = (tmp_path / "migrations" / "versions").glob("*.py")
        for table in ("person", "login", "signing_key", "revocation", "revocation_counter"):
            assert f"create_table('{table}'" in script.read_text()
        assert ("Uuid()" in script.read_text()) == (kind is uuid_key)
        assert len(differences()) >= 5
        flask_migrate.upgrade()
        assert differences() == []
    ana = register(app)
    assert ana.get("/auth/me").status_code == 200
    assert ana.post("/auth/logout-all").status_code == 204
    refused(ana.get("/auth/me"), 401, "token-revoked")
    with app.app_context():
        db.session.remove()
        flask_migrate.downgrade(revision="base")
        assert len(differences()) >= 5
        db.session.remove()
        db.engine.dispose()

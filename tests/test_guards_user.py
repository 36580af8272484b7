"""What a guard leaves on `g`: the identity, the token, and a person who costs a query only when looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, g
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from flask_linked_auth import Auth, Identity, LinkedAuth, current_identity, current_user
from tests.tiny import Person, bare_app, edit, in_database, make_app, refused, register, state_of, statements


@pytest.fixture
def app() -> Flask:
    return make_app()


def guarded(app: Flask, view: Any) -> None:
    app.add_url_rule("/", "home", Auth.auth_required(view))


def test_a_view_that_looks_at_nobody_costs_no_query(app: Flask) -> None:
    guarded(app, lambda: {"id": g.user.id, "same": g.user.id == g.identity.user_id == current_user.id})
    ana = register(app)
    ana.get("/")
    with statements(app) as sent:
        assert ana.get("/").get_json() == {"id": ana.id, "same": True}
    assert sent == []


def test_a_view_that_looks_at_the_person_costs_one(app: Flask) -> None:
    guarded(app, lambda: [g.user.email, g.user.name, g.get_user().email, g.user["email"], current_user.name])
    ana = register(app, name="Ana")
    ana.get("/")
    with statements(app) as sent:
        assert ana.get("/").get_json() == [
            "ana@example.com",
            "Ana",
            "ana@example.com",
            "ana@example.com",
            "Ana",
        ]
    assert len(sent) == 1
    assert sent[0].startswith("SELECT")


def test_the_first_sight_of_a_token_costs_no_more_than_a_poll(database_url: str) -> None:
    app = make_app(database=database_url, revocation_interval=60)
    guarded(app, lambda: "in")
    ana = register(app)
    assert ana.get("/").text == "in"
    ben = register(app, "ben@example.com")
    with statements(app) as sent:
        for _ in range(3):
            assert ben.get("/").text == "in"
    assert sent == []


def test_everything_can_be_read_by_attribute_and_by_key(app: Flask) -> None:
    def view() -> dict[str, Any]:
        assert isinstance(g.identity, Identity)
        return {
            "identity": [g.identity.user_id, g.identity["user_id"], current_identity.user_id],
            "kind": [g.identity.kind, g.identity["kind"], g.identity.method],
            "user": [g.user.username, g.user["username"]],
            "token": [g.token.sub, g.token["sub"]],
            "login": [g.identity.login_id == g.token.sid, g.identity.authenticated_at == g.token.auth_time],
            "app": g.app,
        }

    guarded(app, view)
    ana = register(app, username="ana")
    assert ana.get("/").get_json() == {
        "identity": [ana.id] * 3,
        "kind": ["user", "user", "token"],
        "user": ["ana", "ana"],
        "token": [str(ana.id)] * 2,
        "login": [True, True],
        "app": None,
    }


def test_what_is_not_there_is_an_error_of_the_usual_kind(app: Flask) -> None:
    def view() -> list[str]:
        found = []
        for look in (
            lambda: g.user.nothing,
            lambda: g.user["nothing"],
            lambda: g.token.nothing,
            lambda: g.token["nothing"],
            lambda: g.identity.nothing,
            lambda: g.identity["nothing"],
            lambda: g.identity["__class__"],
        ):
            with pytest.raises((AttributeError, KeyError)) as caught:
                look()
            found.append(caught.type.__name__)
        return found

    guarded(app, view)
    found = register(app).get("/").get_json()
    assert found == [
        "AttributeError",
        "KeyError",
        "AttributeError",
        "KeyError",
        "AttributeError",
        "KeyError",
        "KeyError",
    ]


def test_the_token_and_the_identity_cannot_be_changed_by_a_view(app: Flask) -> None:
    def view() -> str:
        with pytest.raises(TypeError):
            g.token["sub"] = "2"
        with pytest.raises(AttributeError):
            g.token.sub = "2"
        with pytest.raises(AttributeError):
            g.identity.user_id = 2
        return str(g.identity.user_id)

    guarded(app, view)
    ana = register(app)
    assert ana.get("/").text == str(ana.id)
    assert ana.get("/").text == str(ana.id)  # the remembered token is shared by all its requests


def test_get_user_gives_the_row_itself_for_use_with_the_orm(app: Flask) -> None:
    def view() -> dict[str, Any]:
        user = g.get_user()
        rows, db = state_of(app).database.rows, state_of(app).database.db  # type: ignore[union-attr]
        assert type(user) is rows.User
        assert user is g.get_user() is g.user.row()
        assert user in db.session
        user.name = "Changed"
        db.session.commit()
        return {"name": db.session.get(rows.User, user.id).name}

    guarded(app, view)
    ana = register(app, name="Ana")
    assert ana.get("/").get_json() == {"name": "Changed"}
    assert ana.get("/auth/me").get_json()["name"] == "Changed"


def test_a_column_set_on_g_user_is_set_on_the_row(app: Flask) -> None:
    def view() -> str:
        g.user.name = "By proxy"
        state_of(app).database.db.session.commit()  # type: ignore[union-attr]
        return ""

    guarded(app, view)
    ana = register(app)
    ana.get("/")
    assert ana.get("/auth/me").get_json()["name"] == "By proxy"


def test_a_person_detached_by_the_view_is_loaded_again(app: Flask) -> None:
    def view() -> list[str]:
        before = g.user.email
        state_of(app).database.db.session.remove()  # type: ignore[union-attr]
        return [before, g.user.email, g.get_user().name]

    guarded(app, view)
    assert register(app, name="Ana").get("/").get_json() == ["ana@example.com", "ana@example.com", "Ana"]


def test_a_person_who_is_gone_meanwhile_is_refused_when_looked_at(app: Flask) -> None:
    guarded(app, lambda: g.user.email)
    ana = register(app)
    assert ana.get("/").text == "ana@example.com"
    edit(app, "User", active=False)  # by a bulk statement, which nobody hears of
    refused(ana.get("/"), 401, "user-unknown")
    with in_database(app) as (db, rows):
        db.session.execute(rows.Login.__table__.delete())
        db.session.execute(rows.User.__table__.delete())
        db.session.commit()
    refused(ana.get("/"), 401, "user-unknown")


@dataclass
class Numbered:
    """Something else that has an id, such as a post."""

    id: int


def test_a_person_is_equal_to_the_row_whatever_the_key_is_called() -> None:
    db = SQLAlchemy()

    class Person(db.Model):  # type: ignore[name-defined,misc]
        key: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(String(254), unique=True)
        password_hash: Mapped[str] = mapped_column(String(128))

    app = make_app(LinkedAuth(db=db, user_model=Person))
    guarded(app, lambda: {"same": g.user == g.get_user() and g.user != Person(key=g.user.id)})
    assert register(app).get("/").get_json() == {"same": True}


def test_two_looks_at_one_person_are_equal_and_tell_nothing_by_accident(app: Flask) -> None:
    def view() -> dict[str, Any]:
        other = type(g.user)(state_of(app), g.user.id)
        stranger = type(g.user)(state_of(app), 99)
        row = g.get_user()
        return {
            "equal": g.user == other and g.user == row and hash(g.user) == hash(other),
            "strange": g.user in (stranger, g.user.id, None, Numbered(id=g.user.id), type(row)(id=g.user.id)),
            "proxies": g.user == current_user and row == g.user,
            "repr": repr(g.user),
            "row": repr(row),
        }

    guarded(app, view)
    ana = register(app)
    seen = ana.get("/").get_json()
    assert (seen["equal"], seen["strange"], seen["proxies"]) == (True, False, True)
    assert seen["repr"] == f"<user {ana.id}>"
    assert seen["row"] == f"<User {ana.id}>"


def test_private_names_are_not_asked_of_the_row(app: Flask) -> None:
    import copy

    def view() -> str:
        with pytest.raises(AttributeError):
            g.user.__wrapped__  # noqa: B018
        assert not hasattr(g.user, "__html__")
        with pytest.raises(AttributeError):
            copy.copy(g.user)  # it belongs to its request
        return ""

    guarded(app, view)
    ana = register(app)
    with statements(app) as sent:
        ana.get("/")
    assert sent == []


def test_a_service_without_people_knows_only_their_keys() -> None:
    app = bare_app()
    LinkedAuth(app, parts=[])
    seen: list[Any] = []

    def view() -> str:
        seen.append(g.user.id)
        assert g.get_user() is None
        with pytest.raises(AttributeError, match=r"only g\.user\.id is known"):
            g.user.email  # noqa: B018
        return "in"

    guarded(app, view)
    with app.app_context():
        token = Auth.generate_token("42")
    assert Person(app, {"access_token": token}).get("/").text == "in"
    assert seen == ["42"]

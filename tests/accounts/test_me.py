"""One's own account: read, replaced, changed and deleted, by its owner only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.tiny import PASSWORD, Person, edit, in_database, log_in, make_app, refused, register, told

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app, username="ana", name="Ana")


def test_one_sees_ones_own_account_whole(ana: Person) -> None:
    body = ana.get("/auth/me").get_json()
    created, modified = body.pop("created_at"), body.pop("modified_at")
    assert body == {
        "id": ana.id,
        "email": "ana@example.com",
        "username": "ana",
        "name": "Ana",
        "email_verified": False,
        "active": True,
        "is_admin": False,
    }
    for moment in (created, modified):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/me"),
        ("PUT", "/auth/me"),
        ("PATCH", "/auth/me"),
        ("DELETE", "/auth/me"),
        ("POST", "/auth/me/password"),
        ("GET", "/auth/me/logins"),
        ("DELETE", "/auth/me/logins/x"),
        ("GET", "/auth/users"),
        ("GET", "/auth/users/1"),
        ("PATCH", "/auth/users/1"),
        ("POST", "/auth/logout-all"),
    ],
)
def test_nobody_gets_at_it_without_a_token(app: Flask, ana: Person, method: str, path: str) -> None:
    refused(app.test_client().open(path, method=method, json={}), 401, "token-missing")
    refused(ana.call(method, path, {}, headers={"Authorization": "Bearer a.b.c"}), 401, "token-invalid")


def test_one_changes_some_of_it(ana: Person) -> None:
    assert ana.call("PATCH", "/auth/me", {"name": " Ana Maria "}).get_json()["name"] == "Ana Maria"
    body = ana.call("PATCH", "/auth/me", {"username": "AnaMaria"}).get_json()
    assert (body["username"], body["name"], body["email"]) == ("anamaria", "Ana Maria", "ana@example.com")
    assert ana.call("PATCH", "/auth/me", {"username": None}).get_json()["username"] is None
    assert ana.call("PATCH", "/auth/me", {}).status_code == 200
    assert ana.get("/auth/me").get_json()["name"] == "Ana Maria"


def test_one_replaces_all_of_it(ana: Person) -> None:
    body = ana.call("PUT", "/auth/me", {"email": "ana@example.com", "name": "A"}).get_json()
    assert (body["email"], body["username"], body["name"]) == ("ana@example.com", None, "A")
    refused(ana.call("PUT", "/auth/me", {"name": "A"}), 422, "invalid-fields")


def test_without_recovery_a_new_address_is_at_once_the_one_to_log_in_with() -> None:
    app = make_app(recovery=False)
    ana = register(app)
    body = ana.call("PATCH", "/auth/me", {"email": "Ana@New.example"}).get_json()
    assert body["email"] == "ana@new.example"
    assert log_in(app, "ana@new.example").id == ana.id
    old = {"email": "ana@example.com", "password": PASSWORD}
    refused(app.test_client().post("/auth/login", json=old), 401, "invalid-credentials")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_moving_the_account_to_another_address_wants_a_recent_login(
    app: Flask, ana: Person, method: str
) -> None:
    edit(app, "Login", authenticated_at=1_700_000_000)
    old = Person(app, ana.refresh().get_json())
    assert old.call(method, "/auth/me", {"email": "ANA@example.com", "name": "A"}).status_code == 200
    answer = old.call(method, "/auth/me", {"email": "thief@example.com"})
    refused(answer, 401, "login-too-old")
    assert answer.headers["WWW-Authenticate"].endswith("max_age=900")
    assert old.get("/auth/me").get_json()["email"] == "ana@example.com"


def test_how_recent_is_a_setting() -> None:
    from time import time

    app = make_app(freshness=100)
    ana = register(app)
    edit(app, "Login", authenticated_at=int(time()) - 200)
    old = Person(app, ana.refresh().get_json())
    answer = old.call("DELETE", "/auth/me")
    refused(answer, 401, "login-too-old")
    assert "max_age=100" in answer.headers["WWW-Authenticate"]
    assert log_in(app).call("DELETE", "/auth/me").status_code == 204


@pytest.mark.parametrize(
    "field",
    [
        "is_admin",
        "active",
        "id",
        "password",
        "password_hash",
        "created_at",
        "modified_at",
        "scopes",
        "nothing",
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_nothing_else_of_it_can_be_set(app: Flask, ana: Person, method: str, field: str) -> None:
    before = ana.get("/auth/me").get_json()
    body = {"email": "ana@example.com", "username": "ana", "name": "Ana", field: True}
    assert refused(ana.call(method, "/auth/me", body), 422, "invalid-fields")["errors"] == {
        field: ["Unknown field."]
    }
    assert ana.get("/auth/me").get_json() == before
    assert ana.call(method, "/auth/me", {k: v for k, v in body.items() if k != field}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "x"}, "email"),
        ({"email": None}, "email"),
        ({"email": ""}, "email"),
        ({"username": "a b"}, "username"),
        ({"username": ""}, "username"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x" * 129}, "name"),
    ],
)
def test_a_bad_value_changes_nothing(ana: Person, body: dict[str, Any], field: str) -> None:
    complaint = refused(ana.call("PATCH", "/auth/me", {"name": "Changed", **body}), 422, "invalid-fields")
    assert complaint["errors"].keys() == {field}
    assert ana.get("/auth/me").get_json()["name"] == "Ana"


def test_what_is_somebody_elses_is_taken(app: Flask, ana: Person) -> None:
    ben = register(app, "ben@example.com", username="ben")
    for body in ({"email": "ANA@example.com"}, {"username": "Ana"}):
        answer = ben.call("PATCH", "/auth/me", body)
        assert refused(answer, 409, "taken")["errors"] == {next(iter(body)): ["Is already taken."]}
    mine = {"email": "BEN@example.com", "username": "BEN", "name": "Ben"}
    assert ben.call("PUT", "/auth/me", mine).status_code == 200  # what is one's own is not taken


def test_a_change_is_told_with_the_names_of_what_changed(app: Flask, ana: Person) -> None:
    with told(app) as heard:
        ana.call("PATCH", "/auth/me", {"name": "Ana", "username": "anna"})
        ana.call("PATCH", "/auth/me", {"name": "Ana"})
        ana.call("PATCH", "/auth/me", {"name": 7})
    assert heard == [("user.changed", {"user_id": ana.id, "fields": ["username"]})]


def test_one_deletes_ones_own_account_and_nothing_of_it_works_any_more(app: Flask, ana: Person) -> None:
    ben, phone = register(app, "ben@example.com"), log_in(app)
    answer = ana.call("DELETE", "/auth/me")
    assert (answer.status_code, answer.data) == (204, b"")
    for person in (ana, phone):
        refused(person.get("/auth/me"), 401, "token-revoked")
        refused(person.refresh(), 401, "refresh-token-invalid")
    login = {"email": "ana@example.com", "password": PASSWORD}
    refused(app.test_client().post("/auth/login", json=login), 401, "invalid-credentials")
    with in_database(app) as (db, rows):
        assert db.session.query(rows.User).count() == 1
        assert db.session.query(rows.Login).filter_by(user_id=ana.id).count() == 0
    assert ben.get("/auth/me").status_code == 200
    assert ben.get("/auth/users").get_json()["count"] == 1


def test_who_gets_the_key_of_somebody_deleted_gets_nothing_of_theirs(app: Flask, ana: Person) -> None:
    assert ana.call("DELETE", "/auth/me").status_code == 204
    new = register(app, "new@example.com", name="New")
    assert new.id == ana.id  # SQLite gives the number again
    assert new.get("/auth/me").get_json()["name"] == "New"
    refused(ana.get("/auth/me"), 401, "token-revoked")
    refused(ana.refresh(), 401, "refresh-token-invalid")


def test_deleting_wants_a_recent_login(app: Flask, ana: Person) -> None:
    edit(app, "Login", authenticated_at=1_700_000_000)
    old = Person(app, ana.refresh().get_json())
    refused(old.call("DELETE", "/auth/me"), 401, "login-too-old")
    assert old.get("/auth/me").status_code == 200

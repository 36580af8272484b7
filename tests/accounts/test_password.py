"""Changing one's password: it takes the current one, and ends every login but the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.tiny import (
    OTHER_PASSWORD,
    PASSWORD,
    Person,
    in_database,
    log_in,
    make_app,
    refused,
    register,
    told,
)

if TYPE_CHECKING:
    from flask import Flask

CHANGE = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app, username="kettleworth", name="Ana")


def test_a_new_password_ends_every_login_and_opens_a_new_one(app: Flask, ana: Person) -> None:
    phone, ben = log_in(app), register(app, "ben@example.com")
    answer = ana.post("/auth/me/password", CHANGE)
    assert answer.status_code == 200
    anew = Person(app, answer.get_json())
    assert anew.given.keys() == {
        "token",
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "user_id",
    }
    assert anew.id == ana.id
    for person in (ana, phone):
        refused(person.get("/auth/me"), 401, "token-revoked")
        refused(person.refresh(), 401, "refresh-token-invalid")
    assert anew.get("/auth/me").status_code == 200
    assert anew.refresh().status_code == 200
    assert anew.get("/auth/me/logins").get_json()["count"] == 1
    assert ben.get("/auth/me").status_code == 200
    old = {"email": "ana@example.com", "password": PASSWORD}
    refused(app.test_client().post("/auth/login", json=old), 401, "invalid-credentials")
    assert log_in(app, password=OTHER_PASSWORD).id == ana.id


@pytest.mark.parametrize("current", ["wrong", "", PASSWORD + " ", PASSWORD.upper(), "x" * 60_000])
def test_a_wrong_current_password_changes_nothing(app: Flask, ana: Person, current: str) -> None:
    answer = ana.post("/auth/me/password", {**CHANGE, "current_password": current})
    assert refused(answer, 422, "invalid-fields")["errors"] == {"current_password": ["Is not right."]}
    assert ana.get("/auth/me").status_code == 200
    assert log_in(app).id == ana.id


@pytest.mark.parametrize(
    "new",
    [
        "short",
        "",
        "passwordpassword",
        "aaaaaaaaaaaaaaaaaaaa",
        "kettleworth-kettleworth",
        "ana@example.com-12",
        "x" * 2000,
    ],
)
def test_a_new_password_must_be_as_good_as_a_first_one(app: Flask, ana: Person, new: str) -> None:
    answer = ana.post("/auth/me/password", {**CHANGE, "new_password": new})
    assert refused(answer, 422, "invalid-fields")["errors"].keys() == {"new_password"}
    assert log_in(app).id == ana.id


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"new_password": OTHER_PASSWORD},
        {"current_password": PASSWORD},
        {**CHANGE, "user_id": 2},
        {**CHANGE, "new_password": None},
        {**CHANGE, "current_password": 7},
    ],
)
def test_a_body_of_another_shape_is_refused(ana: Person, body: dict[str, Any]) -> None:
    refused(ana.post("/auth/me/password", body), 422, "invalid-fields")
    assert ana.get("/auth/me").status_code == 200


def test_guessing_the_current_password_is_limited() -> None:
    app = make_app(rate_limits={"login-failures": "2/minute"})
    ana = register(app)
    wrong = {**CHANGE, "current_password": "wrong"}
    assert [ana.post("/auth/me/password", wrong).status_code for _ in range(3)] == [422, 422, 429]
    refused(ana.post("/auth/me/password", CHANGE), 429, "too-many-requests")
    ben = register(app, "ben@example.com")
    assert ben.post("/auth/me/password", CHANGE).status_code == 200


def test_a_change_is_told_in_its_order(app: Flask, ana: Person) -> None:
    with told(app) as heard:
        ana.post("/auth/me/password", {**CHANGE, "current_password": "wrong"})
        ana.post("/auth/me/password", CHANGE)
    assert [name for name, _ in heard] == ["password.changed", "user.logged-in"]
    assert heard[0][1] == {"user_id": ana.id}


def test_a_password_set_by_the_host_through_the_orm_ends_every_login(app: Flask, ana: Person) -> None:
    from flask_linked_auth.accounts.passwords import hash_password

    with in_database(app) as (db, rows):
        db.session.get_one(rows.User, ana.id).password_hash = hash_password(OTHER_PASSWORD, cost=4)
        db.session.commit()
    refused(ana.get("/auth/me"), 401, "token-revoked")
    refused(ana.refresh(), 401, "refresh-token-invalid")
    assert log_in(app, password=OTHER_PASSWORD).get("/auth/me").status_code == 200


def test_a_change_that_the_host_rolls_back_ends_nothing(app: Flask, ana: Person) -> None:
    with in_database(app) as (db, rows):
        db.session.get_one(rows.User, ana.id).password_hash = "another"
        db.session.flush()
        db.session.rollback()
        db.session.get_one(rows.User, ana.id).name = "Changed"
        db.session.commit()
    assert ana.get("/auth/me").get_json()["name"] == "Changed"
    assert ana.refresh().status_code == 200

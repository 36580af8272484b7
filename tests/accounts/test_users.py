"""The people of a service: names for everybody, everything and the power to deactivate for `admin:users`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.tiny import PASSWORD, Person, in_database, log_in, make_admin, make_app, refused, register, told

if TYPE_CHECKING:
    from flask import Flask

KNOWN = {"id", "username", "name"}
WHOLE = KNOWN | {"email", "email_verified", "active", "is_admin", "created_at", "modified_at"}


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app, username="ana", name="Ana")


@pytest.fixture
def chief(app: Flask) -> Person:
    return make_admin(register(app, "chief@example.com", name="Chief"))


def test_everybody_sees_names_and_nothing_more(ana: Person, chief: Person) -> None:
    body = ana.get("/auth/users").get_json()
    assert (body["count"], body["next"], body["previous"]) == (2, None, None)
    assert all(each.keys() == KNOWN for each in body["results"])
    assert ana.get(f"/auth/users/{chief.id}").get_json() == {
        "id": chief.id,
        "username": None,
        "name": "Chief",
    }
    assert ana.get(f"/auth/users/{ana.id}").get_json().keys() == KNOWN  # the whole of oneself is at /me


def test_an_administrator_sees_everything_but_the_hash(ana: Person, chief: Person) -> None:
    body = chief.get("/auth/users").get_json()
    assert all(each.keys() == WHOLE for each in body["results"])
    assert chief.get(f"/auth/users/{ana.id}").get_json()["email"] == "ana@example.com"


def test_the_list_comes_in_pages_in_a_steady_order(app: Flask, ana: Person) -> None:
    for n in range(4):
        register(app, f"p{n}@example.com")
    path, seen = "/auth/users?page_size=2", []
    while path:
        body = ana.get(path).get_json()
        assert body["count"] == 5
        seen += [each["id"] for each in body["results"]]
        path = body["next"]
    assert seen == [1, 2, 3, 4, 5]
    past = ana.get("/auth/users?page=9").get_json()
    assert (past["results"], past["next"], past["count"]) == ([], None, 5)


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=x",
        "page=",
        "page=1.5",
        "page=1&page=2",
        "page_size=0",
        "page_size=101",
        "page=%EF%BC%91",
        "page=99999999999",
        "page=10000001",
        "page=1e3",
        "page=%2B1",
        "page=+1",
        "page_size=999999999999999999999",
    ],
)
def test_a_page_that_cannot_be_is_malformed(ana: Person, query: str) -> None:
    assert ana.get("/auth/users?page=1&page_size=100").status_code == 200
    body = refused(ana.get(f"/auth/users?{query}"), 400, "malformed-request")
    assert body["errors"].keys() == {query.split("=", maxsplit=1)[0]}


IMPOSSIBLE = [
    "0",
    "99",
    "-1",
    "01",
    "+1",
    "%201",
    "1_0",
    "1.0",
    "x",
    "%EF%BC%91",
    "%00",
    "9" * 15,
    "9" * 19,
    "9" * 40,
    str(2**31),
    str(2**63),
]


def test_a_person_who_cannot_be_is_not_found(database_url: str) -> None:
    ana = make_admin(register(make_app(database=database_url)))
    assert ana.get("/auth/users/1").status_code == 200
    for odd in IMPOSSIBLE:
        refused(ana.get(f"/auth/users/{odd}"), 404, "not-found")
        refused(ana.call("PATCH", f"/auth/users/{odd}", {"active": False}), 404, "not-found")


def test_deactivating_ends_everything_of_a_person(app: Flask, ana: Person, chief: Person) -> None:
    phone = log_in(app)
    with told(app) as heard:
        answer = chief.call("PATCH", f"/auth/users/{ana.id}", {"active": False})
    assert answer.status_code == 200
    assert (answer.get_json()["active"], answer.get_json().keys()) == (False, WHOLE)
    assert heard == [("user.deactivated", {"user_id": ana.id})]
    for person in (ana, phone):
        refused(person.get("/auth/me"), 401, "token-revoked")
        refused(person.refresh(), 401, "refresh-token-invalid")
    login = {"email": "ana@example.com", "password": PASSWORD}
    refused(app.test_client().post("/auth/login", json=login), 401, "invalid-credentials")
    refused(app.test_client().post("/auth/register", json=login), 409, "taken")
    assert chief.get("/auth/me").status_code == 200
    assert chief.get(f"/auth/users/{ana.id}").get_json()["active"] is False


def test_who_is_let_in_again_logs_in_anew(app: Flask, ana: Person, chief: Person) -> None:
    chief.call("PATCH", f"/auth/users/{ana.id}", {"active": False})
    with told(app) as heard:
        assert chief.call("PATCH", f"/auth/users/{ana.id}", {"active": True}).get_json()["active"] is True
        assert chief.call("PATCH", f"/auth/users/{ana.id}", {"active": True}).status_code == 200
    assert heard == [("user.reactivated", {"user_id": ana.id})]
    refused(ana.get("/auth/me"), 401, "token-revoked")
    refused(ana.refresh(), 401, "refresh-token-invalid")
    assert log_in(app).get("/auth/me").status_code == 200


def test_others_may_not_deactivate_anybody_not_even_themselves(ana: Person, chief: Person) -> None:
    for person in (ana, chief):
        body = refused(
            ana.call("PATCH", f"/auth/users/{person.id}", {"active": False}), 403, "forbidden-scope"
        )
        assert body["scope"] == "admin:users"
    assert ana.get("/auth/me").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"active": None},
        {"active": "false"},
        {"active": 0},
        {"active": "no"},
        {"active": []},
        {"is_admin": True},
        {"active": False, "is_admin": True},
        {"active": True, "name": "x"},
        {"active": False, "password_hash": "x"},
    ],
)
def test_an_administrator_sets_nothing_else(ana: Person, chief: Person, body: dict[str, Any]) -> None:
    refused(chief.call("PATCH", f"/auth/users/{ana.id}", body), 422, "invalid-fields")
    assert ana.get("/auth/me").status_code == 200


def test_a_host_that_deactivates_through_the_orm_ends_everything_too(app: Flask, ana: Person) -> None:
    with in_database(app) as (db, rows):
        db.session.get_one(rows.User, ana.id).active = False
        db.session.commit()
    refused(ana.get("/auth/me"), 401, "token-revoked")
    refused(ana.refresh(), 401, "refresh-token-invalid")


def test_a_host_that_deletes_through_the_orm_ends_everything_too(app: Flask, ana: Person) -> None:
    with in_database(app) as (db, rows):
        db.session.delete(db.session.get_one(rows.User, ana.id))
        db.session.commit()
    refused(ana.get("/auth/me"), 401, "token-revoked")
    refused(ana.refresh(), 401, "refresh-token-invalid")


def test_a_script_outside_any_request_of_the_host_is_heard_by_the_processes(tmp_path: Path) -> None:
    app = make_app(database=f"sqlite:///{tmp_path / 'script.db'}", revocation_interval=0)
    ana = register(app)
    with in_database(app) as (db, rows):
        engine = db.engine
    from sqlalchemy.orm import Session

    with Session(engine) as session:
        session.get_one(rows.User, ana.id).active = False
        session.commit()
    refused(ana.get("/auth/me"), 401, "token-revoked")


@pytest.mark.parametrize("deed", ["deactivate", "delete"])
def test_another_process_hears_of_it(tmp_path: Path, deed: str) -> None:
    url = f"sqlite:///{tmp_path / 'two.db'}"
    here, there = (make_app(database=url, revocation_interval=0) for _ in range(2))
    ana, chief = register(here), make_admin(register(here, "chief@example.com"))
    assert ana.elsewhere(there).get("/auth/me").status_code == 200
    if deed == "deactivate":
        assert chief.call("PATCH", f"/auth/users/{ana.id}", {"active": False}).status_code == 200
    else:
        assert ana.call("DELETE", "/auth/me").status_code == 204
    refused(ana.elsewhere(there).get("/auth/me"), 401, "token-revoked")
    refused(ana.elsewhere(there).refresh(), 401, "refresh-token-invalid")

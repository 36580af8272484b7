"""The list of one's logins: which devices there are, and ending one of them."""

from __future__ import annotations

import re
from time import time
from typing import TYPE_CHECKING

import pytest

from tests.tiny import Person, edit, in_database, log_in, make_app, refused, register

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


def logins(person: Person, query: str = "") -> list[dict[str, object]]:
    body = person.get(f"/auth/me/logins{query}").get_json()
    assert body.keys() == {"count", "next", "previous", "results"}
    assert isinstance(body["results"], list)
    return body["results"]


def login_id(person: Person) -> str:
    return str(person.post("/auth/validate-token").get_json()["login_id"])


def test_each_login_is_listed_with_its_device_and_the_one_that_asks_is_marked(
    app: Flask, ana: Person
) -> None:
    edit(app, "Login", created_at=int(time()) - 100)
    phone = log_in(app, headers={"User-Agent": "Phone/2"}, environ_base={"REMOTE_ADDR": "192.0.2.5"})
    register(app, "ben@example.com")
    listed = logins(phone)
    assert [each["current"] for each in listed] == [True, False]
    mine = listed[0]
    assert mine.keys() == {"id", "device", "address", "created_at", "last_seen_at", "expires_at", "current"}
    assert (mine["id"], mine["device"], mine["address"]) == (login_id(phone), "Phone/2", "192.0.2.5")
    for name in ("created_at", "last_seen_at", "expires_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(mine[name]))
    assert [each["current"] for each in logins(ana)] == [True, False]  # the newest comes after one's own


def test_nothing_secret_is_in_the_list(app: Flask, ana: Person) -> None:
    ana = Person(app, ana.refresh().get_json())
    text = ana.get("/auth/me/logins").text
    with in_database(app) as (db, rows):
        row = db.session.query(rows.Login).one()
        secrets = [row.family, row.current, row.previous, row.salt]
    assert not [each for each in secrets if each in text]


def test_what_is_over_is_not_listed(app: Flask, ana: Person) -> None:
    phone, tablet = log_in(app), log_in(app)
    assert len(logins(ana)) == 3
    phone.post("/auth/logout")
    assert len(logins(ana)) == 2
    with in_database(app) as (db, rows):
        db.session.get_one(rows.Login, login_id(tablet)).expires_at = int(time()) - 1
        db.session.commit()
    assert [each["id"] for each in logins(ana)] == [login_id(ana)]


def test_a_refresh_shows_when_the_device_was_last_seen(app: Flask, ana: Person) -> None:
    edit(app, "Login", last_seen_at=1_700_000_000)
    assert logins(ana)[0]["last_seen_at"] == "2023-11-14T22:13:20Z"
    ana.refresh()
    assert logins(ana)[0]["last_seen_at"] != "2023-11-14T22:13:20Z"


def test_one_ends_a_login_of_ones_own(app: Flask, ana: Person) -> None:
    phone = log_in(app)
    answer = ana.call("DELETE", f"/auth/me/logins/{login_id(phone)}")
    assert (answer.status_code, answer.data) == (204, b"")
    refused(phone.get("/auth/me"), 401, "token-revoked")
    refused(phone.refresh(), 401, "refresh-token-invalid")
    assert ana.get("/auth/me").status_code == 200
    refused(ana.call("DELETE", f"/auth/me/logins/{login_id(ana)}x"), 404, "not-found")


def test_one_cannot_end_what_is_over_or_somebody_elses(app: Flask, ana: Person) -> None:
    ben = register(app, "ben@example.com")
    phone = log_in(app)
    target = login_id(phone)
    refused(ben.call("DELETE", f"/auth/me/logins/{target}"), 404, "not-found")
    assert phone.get("/auth/me").status_code == 200
    assert ana.call("DELETE", f"/auth/me/logins/{target}").status_code == 204
    refused(ana.call("DELETE", f"/auth/me/logins/{target}"), 404, "not-found")


IMPOSSIBLE = ["1", "0", "-1", "%00", "a%00b", "%ff", "x" * 3000, "'%20OR%201=1", "..%2f..", "%F0%9F%A6%9C"]


def test_an_id_that_cannot_be_is_not_found(database_url: str) -> None:
    ana = register(make_app(database=database_url))
    for odd in IMPOSSIBLE:
        refused(ana.call("DELETE", f"/auth/me/logins/{odd}"), 404, "not-found")
    assert ana.get("/auth/me").status_code == 200


def test_the_list_comes_in_pages(app: Flask, ana: Person) -> None:
    for _ in range(4):
        log_in(app)
    body = ana.get("/auth/me/logins?page_size=2&page=2").get_json()
    assert (body["count"], len(body["results"])) == (5, 2)
    assert body["next"] == "/auth/me/logins?page=3&page_size=2"
    assert body["previous"] == "/auth/me/logins?page=1&page_size=2"


def test_a_token_outside_any_login_marks_none(app: Flask, ana: Person) -> None:
    from flask_linked_auth import Auth

    with app.app_context():
        loose = Person(app, {"access_token": Auth.generate_token(ana.id)})
    assert [each["current"] for each in logins(loose)] == [False]


def test_old_logins_are_pruned_as_new_ones_are_made(app: Flask, ana: Person) -> None:
    for _ in range(3):
        log_in(app)
    edit(app, "Login", expires_at=int(time()) - 1)
    log_in(app)
    with in_database(app) as (db, rows):
        assert db.session.query(rows.Login).count() == 1

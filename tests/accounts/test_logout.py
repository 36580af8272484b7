"""Logging out: this login or all of them, for this process at once and for others within the interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import Auth
from tests.tiny import Person, bearer, challenge, log_in, make_app, refused, register, told

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


def test_logging_out_ends_this_login_and_no_other(app: Flask, ana: Person) -> None:
    other = log_in(app)
    answer = ana.post("/auth/logout")
    assert (answer.status_code, answer.data) == (204, b"")
    gone = ana.get("/auth/me")
    refused(gone, 401, "token-revoked")
    assert challenge(gone) == "invalid_token"
    refused(ana.refresh(), 401, "refresh-token-invalid")
    assert other.get("/auth/me").status_code == 200
    assert other.get("/auth/me/logins").get_json()["count"] == 1


def test_every_access_token_of_the_login_ends_with_it(app: Flask, ana: Person) -> None:
    again = Person(app, ana.refresh().get_json())
    assert again.post("/auth/logout").status_code == 204
    refused(ana.get("/auth/me"), 401, "token-revoked")
    refused(again.get("/auth/me"), 401, "token-revoked")


def test_a_refresh_token_in_the_body_does_as_well(app: Flask, ana: Person) -> None:
    body = {"refresh_token": ana.refresh_token}
    assert app.test_client().post("/auth/logout", json=body).status_code == 204
    refused(ana.get("/auth/me"), 401, "token-revoked")
    assert app.test_client().post("/auth/logout", json=body).status_code == 204  # it has ended: so be it


def test_a_former_refresh_token_does_too(app: Flask, ana: Person) -> None:
    again = Person(app, ana.refresh().get_json())
    assert (
        app.test_client().post("/auth/logout", json={"refresh_token": ana.refresh_token}).status_code == 204
    )
    refused(again.refresh(), 401, "refresh-token-invalid")


@pytest.mark.parametrize("token", ["", "x", "fla_rt_" + "A" * 22 + "." + "A" * 43])
def test_an_unknown_refresh_token_tells_nothing_and_ends_nothing(app: Flask, ana: Person, token: str) -> None:
    assert app.test_client().post("/auth/logout", json={"refresh_token": token}).status_code == 204
    assert ana.get("/auth/me").status_code == 200


def test_one_must_say_what_to_end(app: Flask, ana: Person) -> None:
    refused(app.test_client().post("/auth/logout"), 401, "token-missing")
    refused(app.test_client().post("/auth/logout", json={}), 401, "token-missing")
    refused(ana.post("/auth/logout", json={"refresh_token": None}), 422, "invalid-fields")
    refused(ana.post("/auth/logout", json={"all": True}), 422, "invalid-fields")
    refused(ana.post("/auth/logout", headers=bearer("a.b.c")), 401, "token-invalid")
    refused(
        app.test_client().post("/auth/logout", data="x", content_type="text/plain"),
        415,
        "unsupported-media-type",
    )
    assert ana.post("/auth/logout", json={}).status_code == 204


def test_who_logged_out_is_not_logged_in_any_more(ana: Person) -> None:
    assert ana.post("/auth/logout").status_code == 204
    refused(ana.post("/auth/logout"), 401, "token-revoked")


def test_a_token_without_a_login_can_be_given_up(app: Flask, ana: Person) -> None:
    with app.app_context():
        one, other = (Person(app, {"access_token": Auth.generate_token(ana.id)}) for _ in range(2))
    assert one.get("/auth/me").status_code == 200
    assert one.post("/auth/logout").status_code == 204
    refused(one.get("/auth/me"), 401, "token-revoked")
    assert other.get("/auth/me").status_code == 200
    assert ana.get("/auth/me").status_code == 200


def test_logging_out_everywhere_ends_every_login_of_this_person(app: Flask, ana: Person) -> None:
    phone, ben = log_in(app), register(app, "ben@example.com")
    with app.app_context():
        loose = Person(app, {"access_token": Auth.generate_token(ana.id)})
    assert ben.get("/auth/me").status_code == 200
    answer = phone.post("/auth/logout-all")
    assert (answer.status_code, answer.data) == (204, b"")
    for person in (ana, phone, loose):
        refused(person.get("/auth/me"), 401, "token-revoked")
    refused(ana.refresh(), 401, "refresh-token-invalid")
    assert ben.get("/auth/me").status_code == 200
    anew = log_in(app)
    assert anew.get("/auth/me").status_code == 200
    assert anew.refresh().status_code == 200


def test_logging_out_everywhere_wants_a_token(app: Flask) -> None:
    refused(app.test_client().post("/auth/logout-all"), 401, "token-missing")


def test_what_ended_is_told(app: Flask, ana: Person) -> None:
    login_id = ana.post("/auth/validate-token").get_json()["login_id"]
    with told(app) as heard:
        ana.post("/auth/logout")
    assert heard == [("user.logged-out", {"user_id": ana.id, "login_id": login_id})]
    with told(app) as heard:
        log_in(app).post("/auth/logout-all")
    assert heard[-1] == ("user.logged-out", {"user_id": ana.id, "login_id": None})


ENDS: dict[str, Any] = {
    "logout": lambda ana: ana.post("/auth/logout"),
    "logout by refresh token": lambda ana: ana.client.post(
        "/auth/logout", json={"refresh_token": ana.refresh_token}
    ),
    "logout everywhere": lambda ana: ana.post("/auth/logout-all"),
    "deleting the account": lambda ana: ana.call("DELETE", "/auth/me"),
    "a new password": lambda ana: ana.post(
        "/auth/me/password",
        {"current_password": "violet-kettle-harbour-93", "new_password": "amber-lantern-meadow-48"},
    ),
    "ending it in the list": lambda ana: ana.call(
        "DELETE", "/auth/me/logins/" + ana.post("/auth/validate-token").get_json()["login_id"]
    ),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_another_process_hears_of_it_at_once_when_it_asks_every_time(tmp_path: Path, end: Any) -> None:
    url = f"sqlite:///{tmp_path / 'two.db'}"
    here, there = (make_app(database=url, revocation_interval=0) for _ in range(2))
    ana, ben = register(here), register(here, "ben@example.com")
    for person in (ana, ben):
        assert person.elsewhere(there).get("/auth/me").status_code == 200
    assert end(ana).status_code in {200, 204}
    refused(ana.get("/auth/me"), 401, "token-revoked")
    refused(ana.elsewhere(there).get("/auth/me"), 401, "token-revoked")
    assert ben.elsewhere(there).get("/auth/me").status_code == 200

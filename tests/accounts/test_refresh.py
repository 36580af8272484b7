"""Refresh tokens: they rotate, a lost answer can be asked for again, and a stolen one ends its login."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.tiny import (
    OTHER_SECRET,
    SECRET,
    Person,
    challenge,
    edit,
    in_database,
    log_in,
    make_app,
    refused,
    register,
    told,
)

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


def exchanged(person: Person, token: str | None = None) -> Person:
    """The same person after an exchange that succeeds."""
    answer = person.refresh(token)
    assert answer.status_code == 200, answer.text
    return Person(person.app, answer.get_json())


def a_minute_passes(app: Flask) -> None:
    edit(app, "Login", rotated_at=int(time()) - 60)


def test_a_refresh_token_is_exchanged_for_new_tokens(app: Flask, ana: Person) -> None:
    again = exchanged(ana)
    assert again.given.keys() == {
        "token",
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "user_id",
    }
    assert again.id == ana.id
    assert again.refresh_token != ana.refresh_token
    assert again.access != ana.access
    assert again.get("/auth/me").status_code == 200
    assert exchanged(exchanged(again)).get("/auth/me").status_code == 200


def test_an_exchange_stays_in_the_same_login(ana: Person) -> None:
    again = exchanged(ana)
    one, other = (person.post("/auth/validate-token").get_json()["login_id"] for person in (ana, again))
    assert one == other
    assert ana.get("/auth/me/logins").get_json()["count"] == 1


def test_only_hashes_are_stored(app: Flask, ana: Person) -> None:
    again = exchanged(ana)
    with in_database(app) as (db, rows):
        row = db.session.query(rows.Login).one()
        stored = " ".join(str(getattr(row, column.key)) for column in rows.Login.__table__.columns)
    for token in (ana.refresh_token, again.refresh_token):
        handle, secret = token.removeprefix("fla_rt_").split(".")
        assert handle not in stored
        assert secret not in stored


def test_who_lost_the_answer_gets_the_same_successor_again(app: Flask, ana: Person) -> None:
    again = [exchanged(ana) for _ in range(3)]
    assert len({each.refresh_token for each in again}) == 1
    assert exchanged(again[0]).get("/auth/me").status_code == 200


def test_after_the_window_the_same_is_theft_and_ends_the_login(app: Flask, ana: Person) -> None:
    thief = exchanged(ana)
    other = log_in(app)
    a_minute_passes(app)
    with told(app) as heard:
        answer = ana.refresh()
    refused(answer, 401, "refresh-token-reused")
    assert challenge(answer) == "invalid_token"
    login_id = heard[0][1]["login_id"]
    assert heard == [
        ("user.logged-out", {"user_id": ana.id, "login_id": login_id}),
        ("token.reused", {"user_id": ana.id, "login_id": login_id}),
    ]
    refused(thief.refresh(), 401, "refresh-token-invalid")
    refused(thief.get("/auth/me"), 401, "token-revoked")
    refused(ana.get("/auth/me"), 401, "token-revoked")
    assert other.get("/auth/me").status_code == 200  # other devices are none of the thief's
    assert exchanged(other)


def test_a_token_older_than_the_last_is_theft_at_once(ana: Person) -> None:
    second = exchanged(ana)
    third = exchanged(second)
    refused(ana.refresh(), 401, "refresh-token-reused")
    refused(third.refresh(), 401, "refresh-token-invalid")


def test_theft_is_told_once(app: Flask, ana: Person) -> None:
    exchanged(exchanged(ana))
    refused(ana.refresh(), 401, "refresh-token-reused")
    with told(app) as heard:
        refused(ana.refresh(), 401, "refresh-token-invalid")
    assert heard == []


def test_without_a_window_the_first_retry_is_theft() -> None:
    app = make_app(refresh_retry_window=0)
    ana = register(app)
    assert exchanged(ana)
    edit(app, "Login", rotated_at=int(time()) - 1)
    refused(ana.refresh(), 401, "refresh-token-reused")


def test_nobody_ends_a_login_by_guessing_its_id_or_a_secret(app: Flask, ana: Person) -> None:
    login_id = ana.post("/auth/validate-token").get_json()["login_id"]
    handle = ana.refresh_token.removeprefix("fla_rt_").split(".")[0]
    assert handle != login_id
    for token in (f"fla_rt_{login_id}.{'A' * 43}", f"fla_rt_{'B' * 22}.{'A' * 43}"):
        refused(ana.refresh(token), 401, "refresh-token-invalid")
    assert exchanged(ana)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: "",
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token.upper(),
        lambda token: token.replace("fla_rt_", "fla_at_"),
        lambda token: token.replace(".", "-"),
        lambda token: token + "=",
        lambda token: "\u0430" + token,
        lambda token: "x" * 60_000,
    ],
)
def test_what_is_no_refresh_token_is_refused(ana: Person, spoil: Any) -> None:
    answer = ana.client.post("/auth/refresh", json={"refresh_token": spoil(ana.refresh_token)})
    refused(answer, 401, "refresh-token-invalid")
    assert exchanged(ana)


def test_an_access_token_is_no_refresh_token_and_the_reverse(ana: Person) -> None:
    assert ana.get("/auth/me").status_code == 200
    refused(ana.refresh(ana.access), 401, "refresh-token-invalid")
    refused(
        ana.get("/auth/me", headers={"Authorization": f"Bearer {ana.refresh_token}"}), 401, "token-invalid"
    )


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": None}, {"refresh_token": 7}, {"refresh_token": ["x"]}]
)
def test_a_body_of_another_shape_is_refused(app: Flask, body: dict[str, Any]) -> None:
    refused(app.test_client().post("/auth/refresh", json=body), 422, "invalid-fields")


def test_an_extra_field_is_refused(ana: Person) -> None:
    body = {"refresh_token": ana.refresh_token, "scope": "admin:users"}
    refused(ana.client.post("/auth/refresh", json=body), 422, "invalid-fields")
    assert exchanged(ana)


def test_the_access_token_need_not_be_good_any_more(app: Flask, ana: Person) -> None:
    headers = {"Authorization": "Bearer expired.by.now"}
    answer = app.test_client().post(
        "/auth/refresh", json={"refresh_token": ana.refresh_token}, headers=headers
    )
    assert answer.status_code == 200


# Time.


def test_an_unused_refresh_token_expires(app: Flask, ana: Person) -> None:
    edit(app, "Login", expires_at=int(time()) - 1)
    refused(ana.refresh(), 401, "refresh-token-invalid")


def test_each_exchange_prolongs_the_login() -> None:
    app = make_app(refresh_lifetime=1000, login_lifetime=100_000)
    ana = register(app)
    edit(app, "Login", expires_at=int(time()) + 5)
    exchanged(ana)
    with in_database(app) as (db, rows):
        assert 990 < db.session.query(rows.Login).one().expires_at - time() <= 1000


def test_a_login_ends_however_often_it_was_prolonged() -> None:
    app = make_app(refresh_lifetime=1000, login_lifetime=5000)
    ana = register(app)
    begun = int(time()) - 4900
    edit(app, "Login", created_at=begun)
    again = exchanged(ana)
    with in_database(app) as (db, rows):
        assert db.session.query(rows.Login).one().expires_at == begun + 5000
    edit(app, "Login", created_at=begun - 200)
    refused(again.refresh(), 401, "refresh-token-invalid")


def test_a_login_shorter_than_its_refresh_token_counts() -> None:
    app = make_app(refresh_lifetime=1000, login_lifetime=50)
    register(app)
    with in_database(app) as (db, rows):
        assert db.session.query(rows.Login).one().expires_at - time() <= 50


def test_the_moment_of_authentication_stays_that_of_the_login(app: Flask, ana: Person) -> None:
    edit(app, "Login", authenticated_at=1_700_000_000)
    again = exchanged(ana)
    refused(again.call("DELETE", "/auth/me"), 401, "login-too-old")


# Ends.


def test_a_refresh_token_ends_with_its_login(app: Flask, ana: Person) -> None:
    ben, cleo = log_in(app), log_in(app)
    assert ana.post("/auth/logout").status_code == 204
    refused(ana.refresh(), 401, "refresh-token-invalid")
    assert ben.post("/auth/logout-all").status_code == 204
    refused(cleo.refresh(), 401, "refresh-token-invalid")


def test_a_refresh_token_revoked_in_the_retry_window_is_dead(ana: Person) -> None:
    # django-oauth-toolkit #1816: the grace window must not bring back what was revoked.
    again = exchanged(ana)
    assert again.post("/auth/logout").status_code == 204
    refused(ana.refresh(), 401, "refresh-token-invalid")
    refused(again.refresh(), 401, "refresh-token-invalid")


def test_a_person_deactivated_behind_our_back_gets_no_new_tokens(app: Flask, ana: Person) -> None:
    edit(app, "User", active=False)
    refused(ana.refresh(), 401, "refresh-token-invalid")
    edit(app, "User", active=True)
    assert ana.refresh().status_code == 200  # a bulk statement ended nothing: that takes auth.revoke(user)


def test_a_person_deleted_behind_our_back_gets_no_new_tokens(app: Flask, ana: Person) -> None:
    with in_database(app) as (db, rows):
        db.session.execute(rows.User.__table__.delete())
        db.session.commit()
    refused(ana.refresh(), 401, "refresh-token-invalid")


# Restarts and new secrets.


def test_a_restart_in_between_forgets_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'restart.db'}"
    ana = register(make_app(database=url))
    again = exchanged(ana.elsewhere(make_app(database=url)))
    retried = exchanged(ana.elsewhere(make_app(database=url)))
    assert retried.refresh_token == again.refresh_token
    last = exchanged(again.elsewhere(make_app(database=url)))
    # Keycloak CVE-2026-9802: a restart made rotated tokens valid again.
    refused(ana.elsewhere(make_app(database=url)).refresh(), 401, "refresh-token-reused")
    refused(last.elsewhere(make_app(database=url)).refresh(), 401, "refresh-token-invalid")


def test_a_new_secret_logs_nobody_out(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'secret.db'}"
    ana = register(make_app(database=url))
    again = exchanged(ana)
    new = make_app(database=url, secret=OTHER_SECRET, secret_fallbacks=[SECRET])
    assert ana.elsewhere(new).get("/auth/me").status_code == 200
    assert exchanged(ana.elsewhere(new)).refresh_token == again.refresh_token  # the retry, over the change
    assert exchanged(again.elsewhere(new)).get("/auth/me").status_code == 200


def test_a_retry_over_a_change_of_secret_without_fallback_is_refused_and_ends_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'secret.db'}"
    ana = register(make_app(database=url))
    again = exchanged(ana)
    new = make_app(database=url, secret=OTHER_SECRET)
    refused(ana.elsewhere(new).refresh(), 401, "refresh-token-invalid")
    assert exchanged(again.elsewhere(new))


def test_exchanges_are_limited_by_address() -> None:
    app = make_app(rate_limits={"refresh": "2/minute"})
    ana = exchanged(exchanged(register(app)))
    answer = ana.refresh()
    refused(answer, 429, "too-many-requests")
    elsewhere = app.test_client().post(
        "/auth/refresh",
        json={"refresh_token": ana.refresh_token},
        environ_base={"REMOTE_ADDR": "192.0.2.1"},
    )
    assert elsewhere.status_code == 200

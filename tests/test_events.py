"""What is told: each signal once, with its facts, after the commit; to the audit log without a secret."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from flask import Flask, has_app_context

from flask_linked_auth import LinkedAuth, signals
from flask_linked_auth.events import tell
from tests.tiny import (
    OTHER_PASSWORD,
    PASSWORD,
    SECRET,
    Person,
    bearer,
    edit,
    in_database,
    log_in,
    logged,
    make_admin,
    make_app,
    refused,
    register,
    told,
)


@pytest.fixture
def app() -> Flask:
    return make_app()


def test_every_signal_is_public_and_has_its_event() -> None:
    public = set(signals.__all__)
    assert {getattr(signals, name).name for name in public} == set(signals.BY_EVENT)
    assert len(public) == 26


def test_a_registration_tells_of_the_account_and_of_its_first_login(app: Flask) -> None:
    with told(app) as heard:
        ana = register(app)
    login_id = ana.post("/auth/validate-token").get_json()["login_id"]
    device = {"address": "127.0.0.1", "device": heard[1][1]["device"]}
    assert heard == [
        ("user.registered", {"user_id": ana.id}),
        ("user.logged-in", {"user_id": ana.id, "login_id": login_id, **device}),
    ]
    assert heard[1][1]["device"].startswith("Werkzeug/")


def test_a_login_and_a_refresh_tell_of_themselves(app: Flask) -> None:
    register(app)
    with told(app) as heard:
        ana = log_in(app, headers={"User-Agent": "Phone"}, environ_base={"REMOTE_ADDR": "192.0.2.3"})
        again = Person(app, ana.refresh().get_json())
    login_id = again.post("/auth/validate-token").get_json()["login_id"]
    assert heard == [
        (
            "user.logged-in",
            {"user_id": ana.id, "login_id": login_id, "address": "192.0.2.3", "device": "Phone"},
        ),
        ("login.refreshed", {"user_id": ana.id, "login_id": login_id}),
    ]


@pytest.mark.parametrize("identifier", ["ana@example.com", "nobody@example.com", "ANA@example.com", "a b"])
def test_a_failed_login_says_what_was_typed_and_not_whether_it_exists(app: Flask, identifier: str) -> None:
    register(app)
    with told(app) as heard:
        app.test_client().post("/auth/login", json={"email": identifier, "password": "wrong"})
    assert heard == [("login.failed", {"identifier": identifier, "address": "127.0.0.1"})]


def test_deleting_tells_of_it(app: Flask) -> None:
    ana = register(app)
    with told(app) as heard:
        ana.call("DELETE", "/auth/me")
    assert heard == [("user.deleted", {"user_id": ana.id})]


def test_what_did_not_happen_is_not_told(app: Flask) -> None:
    ana = register(app)
    with told(app) as heard:
        refused(
            app.test_client().post("/auth/register", json={"email": "ana@example.com", "password": PASSWORD}),
            409,
            "taken",
        )
        refused(ana.refresh("fla_rt_x"), 401, "refresh-token-invalid")
        refused(ana.call("PATCH", "/auth/me", {"email": "x"}), 422, "invalid-fields")
        app.test_client().post("/auth/logout", json={"refresh_token": "x"})
        ana.get("/auth/me")
    assert heard == []


def test_a_receiver_sees_what_is_committed(app: Flask) -> None:
    seen: list[Any] = []

    @signals.user_registered.connect_via(app)
    def count(sender: Flask, user_id: Any) -> None:
        assert has_app_context()
        with in_database(sender) as (db, rows):
            db.session.rollback()  # what was not committed would be gone
            seen.append((sender, db.session.get(rows.User, user_id).email))

    register(app)
    assert seen == [(app, "ana@example.com")]


def test_each_app_hears_of_its_own() -> None:
    auth = LinkedAuth()
    blue, red = make_app(auth), make_app(auth)
    with told(blue) as heard_of_blue, told(red) as heard_of_red:
        register(blue)
    assert len(heard_of_blue) == 2
    assert heard_of_red == []


def test_a_receiver_that_raises_changes_nothing_and_hides_nothing_from_the_next(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def broken(sender: Flask, **facts: Any) -> None:
        heard.append("broken")
        raise ZeroDivisionError("in the receiver")

    def sound(sender: Flask, **facts: Any) -> None:
        heard.append("sound")

    signals.user_registered.connect(broken, app)
    signals.user_registered.connect(sound, app)
    ana = register(app)  # 201 all the same
    assert sorted(heard) == ["broken", "sound"]
    assert ana.get("/auth/me").status_code == 200
    assert "A receiver of the signal user.registered raised" in caplog.text
    assert "in the receiver" in caplog.text


def test_a_receiver_may_be_async(app: Flask) -> None:
    pytest.importorskip("asgiref")
    heard: list[Any] = []

    @signals.user_registered.connect_via(app)
    async def later(sender: Flask, user_id: Any) -> None:
        heard.append(user_id)

    ana = register(app)
    assert heard == [ana.id]


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    records = [record for record in caplog.records if record.name == "flask_linked_auth.audit"]
    return [json.loads(record.getMessage()) for record in records]


def test_the_audit_log_has_a_line_for_each_event(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flask_linked_auth.audit")
    ana = register(app)
    ana.post("/auth/logout-all")
    app.test_client().post("/auth/login", json={"email": "ana@example.com", "password": "wrong"})
    found = lines(caplog)
    assert [line["event"] for line in found] == [
        "user.registered",
        "user.logged-in",
        "user.logged-out",
        "login.failed",
    ]
    assert found[0] == {"event": "user.registered", "user_id": ana.id}
    assert found[3] == {"event": "login.failed", "address": "127.0.0.1"}


def test_what_was_typed_as_a_name_is_in_no_log_because_it_may_be_a_password(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app.test_client().post("/auth/login", json={"username": PASSWORD, "password": "ana@example.com"})
    assert lines(caplog)[-1]["event"] == "login.failed"
    assert PASSWORD not in logged(caplog.records)


@pytest.mark.parametrize(
    "evil", ["a\nuser.deleted", "a\rb", "a\x1b[2Jb", "a\u2028b", "a\u202eb", 'a","event":"x']
)
def test_nobody_forges_a_line_of_the_audit_log(
    app: Flask, caplog: pytest.LogCaptureFixture, evil: str
) -> None:
    caplog.set_level(logging.INFO)
    with app.app_context():
        tell("user.logged-in", user_id=1, login_id="x", address="", device=evil)
    (record,) = (record for record in caplog.records if record.name == "flask_linked_auth.audit")
    text = record.getMessage()
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["device"] == evil


def test_a_whole_life_leaves_no_secret_in_any_log_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = make_app(algorithm="ES256")
    secrets = [SECRET, PASSWORD, OTHER_PASSWORD, "wrong-and-secret-password"]
    with app.app_context():
        ana = register(app, username="ana")
        people = [ana, log_in(app), Person(app, ana.refresh().get_json())]
        client = app.test_client()
        client.post("/auth/login", json={"email": "ana@example.com", "password": secrets[3]})
        client.post("/auth/login", json={"email": secrets[3], "password": secrets[3]})
        for person in people:
            client.get("/auth/me", headers=bearer(person.access + "x"))
            client.get("/auth/me", headers={"api-token": person.access, "Authorization": "Basic x"})
        edit(app, "Login", rotated_at=1)
        refused(ana.refresh(), 401, "refresh-token-reused")
        anew = log_in(app)
        change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        people += [anew, Person(app, anew.post("/auth/me/password", change).get_json())]
        refused(people[-1].post("/auth/me/password", {**change, "new_password": "x"}), 422, "invalid-fields")
        make_admin(people[-1]).call("PATCH", f"/auth/users/{ana.id}", {"active": False})
        result = app.test_cli_runner().invoke(args=["linked-auth", "keys", "rotate", "--after", "0"])
        assert result.exit_code == 0
        with in_database(app) as (db, rows):
            secrets += [row.sealed for row in db.session.query(rows.SigningKey)]
            secrets += [row.password_hash for row in db.session.query(rows.User)]
    for person in people:
        secrets += [
            person.access,
            person.access.split(".")[2],
            person.refresh_token,
            person.refresh_token.split(".")[1],
        ]
    text = logged(caplog.records)
    assert "user.logged-in" in text
    assert [secret for secret in secrets if secret in text] == []

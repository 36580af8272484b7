"""Whether mail to a person's address reaches them: asked at registration, noted once they follow the link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import Mail
from flask_linked_auth.testing import Clock, captured_mail
from tests.tiny import (
    OTHER_PASSWORD,
    PASSWORD,
    Person,
    in_database,
    log_in,
    make_app,
    refused,
    register,
    token_in,
    told,
)

if TYPE_CHECKING:
    from flask import Flask

Mails = list[Mail]


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


def follow(app: Flask, token: str) -> Any:
    return app.test_client().post("/auth/email/verify", json={"token": token})


def is_verified(ana: Person) -> Any:
    return log_in(ana.app, ana.given["user"]["email"]).get("/auth/me").get_json()["email_verified"]


def test_who_registers_is_mailed_a_link_that_verifies_the_address(app: Flask, captured_mail: Mails) -> None:
    ana = register(app, name="Ana <b>")
    assert ana.given["user"]["email_verified"] is False
    assert ana.get("/auth/me").status_code == 200  # the account works before
    (mail,) = captured_mail
    assert (mail.to, mail.purpose) == ("ana@example.com", "verify-email")
    assert f"http://localhost:5000/account/verify?token={token_in(mail)}" in mail.text.splitlines()
    assert "Ana" not in mail.text + mail.html  # a name would be a way to write to strangers in our name
    with told(app) as heard:
        answer = follow(app, token_in(mail))
    assert (answer.status_code, answer.get_json()) == (
        200,
        {"email": "ana@example.com", "email_verified": True},
    )
    assert heard == [("email.verified", {"user_id": ana.id})]
    assert is_verified(ana) is True
    refused(follow(app, token_in(mail)), 400, "invalid-link")


def test_the_mail_is_sent_again_on_request_until_it_is_done(
    app: Flask, ana: Person, captured_mail: Mails
) -> None:
    answer = ana.post("/auth/me/email/verification")
    assert (answer.status_code, answer.get_json()) == (
        202,
        {"email": "ana@example.com", "email_verified": False},
    )
    ana.post("/auth/me/email/verification")
    assert len(captured_mail) == 2
    first, second = map(token_in, captured_mail)
    assert follow(app, first).status_code == 200
    refused(follow(app, second), 400, "invalid-link")
    answer = ana.post("/auth/me/email/verification")
    assert (answer.status_code, answer.get_json()["email_verified"]) == (200, True)
    assert len(captured_mail) == 2


def test_the_link_lasts_a_day_so_that_one_may_read_mail_tomorrow(
    app: Flask, captured_mail: Mails, moving_clock: Clock
) -> None:
    for email in ("ana@example.com", "ben@example.com"):
        register(app, email)
    moving_clock.advance(23 * 3600)
    assert follow(app, token_in(captured_mail[0])).status_code == 200
    moving_clock.advance(3601)
    refused(follow(app, token_in(captured_mail[1])), 400, "invalid-link")
    assert "within 24 hours" in captured_mail[0].text


def test_the_link_survives_a_new_password_because_it_gives_nothing_away(
    app: Flask, captured_mail: Mails
) -> None:
    ana = register(app)
    ana.post("/auth/me/password", {"current_password": PASSWORD, "new_password": OTHER_PASSWORD})
    assert captured_mail[-1].purpose == "password-changed"
    assert follow(app, token_in(captured_mail[0])).status_code == 200


def test_the_link_verifies_no_address_but_the_one_it_was_mailed_to(app: Flask, captured_mail: Mails) -> None:
    ana = register(app)
    with in_database(app) as (db, rows):
        db.session.get_one(rows.User, ana.id).email = "ana@new.example"
        db.session.commit()
    refused(follow(app, token_in(captured_mail[0])), 400, "invalid-link")


@pytest.mark.parametrize("purpose", ["reset-password", "change-email"])
def test_a_link_for_something_else_verifies_nothing(app: Flask, ana: Person, purpose: str) -> None:
    with captured_mail(app) as mails:
        if purpose == "reset-password":
            app.test_client().post("/auth/password/forgot", json={"email": "ana@example.com"})
            refused(follow(app, token_in(mails[0])), 400, "invalid-link")
        else:
            ana.call("PATCH", "/auth/me", {"email": "ana@new.example"})
            body = {"token": token_in(mails[0]), "new_password": OTHER_PASSWORD}
            refused(app.test_client().post("/auth/password/reset", json=body), 400, "invalid-link")
    assert is_verified(ana) is False


def test_a_verification_link_resets_no_password(app: Flask, captured_mail: Mails) -> None:
    register(app)
    body = {"token": token_in(captured_mail[0]), "new_password": OTHER_PASSWORD}
    refused(app.test_client().post("/auth/password/reset", json=body), 400, "invalid-link")


def test_an_address_that_the_host_sets_is_not_verified_unless_it_says_so(
    app: Flask, captured_mail: Mails
) -> None:
    ana = register(app)
    follow(app, token_in(captured_mail[0]))
    with in_database(app) as (db, rows):
        user = db.session.get_one(rows.User, ana.id)
        user.name = "Ana"
        db.session.commit()
        assert user.email_verified is True
        user.email, user.email_verified = "ana@new.example", True
        db.session.commit()
        assert user.email_verified is True
        user.email = "ana@newer.example"
        db.session.commit()
        assert user.email_verified is False


def test_without_recovery_a_changed_address_is_not_verified() -> None:
    app = make_app(recovery=False)
    ana = register(app)
    with in_database(app) as (db, rows):
        db.session.get_one(rows.User, ana.id).email_verified = True
        db.session.commit()
    body = ana.call("PATCH", "/auth/me", {"email": "ana@new.example"}).get_json()
    assert (body["email"], body["email_verified"]) == ("ana@new.example", False)
    assert "pending_email" not in body


def test_no_more_than_a_few_mails_go_to_one_address() -> None:
    app = make_app(rate_limits={"recovery-mails": "2/hour", "recovery": None})
    with captured_mail(app) as mails:
        ana = register(app)
        assert ana.post("/auth/me/email/verification").status_code == 202
        answer = ana.post("/auth/me/email/verification")
    refused(answer, 429, "too-many-requests")
    assert len(mails) == 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_a_link_is_used_by_post_alone(app: Flask, ana: Person, method: str) -> None:
    assert app.test_client().open("/auth/email/verify", method=method).status_code == 405
    assert app.test_client().open("/auth/password/reset", method=method).status_code == 405


def test_asking_for_the_mail_wants_a_login(app: Flask) -> None:
    refused(app.test_client().post("/auth/me/email/verification"), 401, "token-missing")

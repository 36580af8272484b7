"""Somebody forgot a password: a link by mail, a new password, and nothing of the old is good any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_linked_auth import LinkedAuth, Mail, OneTimeLinkMixin
from flask_linked_auth.accounts.recovery_flows import peek
from flask_linked_auth.testing import Clock, captured_mail
from tests.tiny import (
    OTHER_PASSWORD,
    PASSWORD,
    Person,
    edit,
    in_database,
    log_in,
    make_admin,
    make_app,
    refused,
    register,
    state_of,
    token_in,
    told,
)

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

Mails = list[Mail]


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app, name="Ana")


def forget(app: Flask, email: str = "ana@example.com", **options: Any) -> TestResponse:
    return app.test_client().post("/auth/password/forgot", json={"email": email}, **options)


def reset(app: Flask, token: str, password: str = OTHER_PASSWORD) -> TestResponse:
    body = {"token": token, "new_password": password}
    return app.test_client().post("/auth/password/reset", json=body)


def a_link(app: Flask) -> str:
    """The token that ana was mailed just now."""
    with captured_mail(app) as mails:
        assert forget(app).status_code == 202
    return token_in(mails[-1])


def test_who_forgot_a_password_gets_a_link_and_chooses_another(
    app: Flask, ana: Person, captured_mail: Mails
) -> None:
    answer = forget(app)
    assert answer.status_code == 202
    assert answer.get_json().keys() == {"message"}
    (mail,) = captured_mail
    assert (mail.to, mail.purpose, mail.language) == ("ana@example.com", "reset-password", "en")
    assert mail.subject == "Choose a new password for tiny"
    link = f"http://localhost:5000/account/reset?token={token_in(mail)}"
    assert link in mail.text.splitlines()
    assert f'<a href="{link}">' in mail.html
    assert "within 1 hour" in mail.text

    answer = reset(app, token_in(mail))
    assert (answer.status_code, answer.data) == (204, b"")
    assert log_in(app, password=OTHER_PASSWORD).id == ana.id
    old = {"email": "ana@example.com", "password": PASSWORD}
    refused(app.test_client().post("/auth/login", json=old), 401, "invalid-credentials")


def test_a_reset_ends_every_login_and_is_told_by_mail(app: Flask, ana: Person, captured_mail: Mails) -> None:
    phone = log_in(app)
    assert reset(app, a_link(app)).status_code == 204
    for person in (ana, phone):
        refused(person.get("/auth/me"), 401, "token-revoked")
        refused(person.refresh(), 401, "refresh-token-invalid")
    assert [(mail.purpose, mail.to) for mail in captured_mail] == [("password-changed", "ana@example.com")]
    assert "fla_" not in captured_mail[0].text + captured_mail[0].html


def test_it_is_told_what_happened(app: Flask, ana: Person) -> None:
    with told(app) as heard:
        token = a_link(app)
    assert heard == [("password.reset-asked", {"user_id": ana.id})]
    with told(app) as heard:
        reset(app, token)
        reset(app, token)
    assert heard == [
        ("password.reset", {"user_id": ana.id}),
        ("password.changed", {"user_id": ana.id}),
        ("email.verified", {"user_id": ana.id}),
    ]


def test_a_link_works_once_and_takes_the_others_with_it(app: Flask, ana: Person) -> None:
    first, second, third = a_link(app), a_link(app), a_link(app)
    assert len({first, second, third}) == 3
    assert reset(app, second).status_code == 204
    for token in (first, second, third):
        refused(reset(app, token, PASSWORD), 400, "invalid-link")
    with in_database(app) as (db, rows):
        assert db.session.query(rows.OneTimeLink).count() == 0


def test_a_password_that_is_refused_leaves_the_link_good(app: Flask, ana: Person) -> None:
    token = a_link(app)
    for weak in ("short", "ana@example.com", "aaaaaaaaaaaaaaaaaaaa", "x" * 1025):
        body = refused(reset(app, token, weak), 422, "invalid-fields")
        assert body["errors"].keys() == {"new_password"}
    assert ana.get("/auth/me").status_code == 200
    assert reset(app, token).status_code == 204


def test_a_link_lives_as_long_as_the_setting_says(moving_clock: Clock) -> None:
    app = make_app(link_lifetime=600)
    register(app)
    early, late = a_link(app), a_link(app)
    moving_clock.advance(595)
    assert reset(app, early).status_code == 204
    late = a_link(app)
    moving_clock.advance(601)
    refused(reset(app, late, PASSWORD), 400, "invalid-link")


def test_a_link_can_be_looked_at_without_using_it_up(app: Flask, ana: Person) -> None:
    token = a_link(app)
    state = state_of(app)
    accounts = state.parts["accounts"]
    with app.app_context():
        for _ in range(3):
            assert peek(state, accounts, token, "reset-password") == "ana@example.com"
        assert peek(state, accounts, token, "verify-email") is None
        assert peek(state, accounts, token + "x", "reset-password") is None
    assert reset(app, token).status_code == 204
    with app.app_context():
        assert peek(state, accounts, token, "reset-password") is None


def _new_password(ana: Person) -> None:
    change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert ana.post("/auth/me/password", change).status_code == 200


def _new_hash_by_statement(ana: Person) -> None:
    edit(ana.app, "User", password_hash="$2b$04$abcdefghijklmnopqrstuu" + "." * 31)


def _new_hash_by_the_orm(ana: Person) -> None:
    with in_database(ana.app) as (db, rows):
        db.session.get_one(rows.User, ana.id).password_hash = "!"
        db.session.commit()


def _new_address(ana: Person) -> None:
    with captured_mail(ana.app) as mails:
        ana.call("PATCH", "/auth/me", {"email": "ana@new.example"})
    answer = ana.client.post("/auth/email/verify", json={"token": token_in(mails[0])})
    assert answer.status_code == 200


def _new_address_by_statement(ana: Person) -> None:
    edit(ana.app, "User", email="ana@new.example")


def _deactivated(ana: Person) -> None:
    chief = make_admin(register(ana.app, "chief@example.com"))
    assert chief.call("PATCH", f"/auth/users/{ana.id}", {"active": False}).status_code == 200


def _deactivated_and_back(ana: Person) -> None:
    _deactivated(ana)
    with in_database(ana.app) as (db, rows):
        db.session.get_one(rows.User, ana.id).active = True
        db.session.commit()


def _deactivated_by_statement(ana: Person) -> None:
    edit(ana.app, "User", active=False)


def _deleted(ana: Person) -> None:
    assert ana.call("DELETE", "/auth/me").status_code == 204


def _deleted_and_the_key_given_again(ana: Person) -> None:
    _deleted(ana)
    assert register(ana.app).id == ana.id  # SQLite gives the number again


def _deleted_by_statement_and_the_key_given_again(ana: Person) -> None:
    with in_database(ana.app) as (db, rows):
        db.session.execute(rows.User.__table__.delete())
        db.session.commit()
        assert db.session.query(rows.OneTimeLink).count() > 0  # SQLite enforces no foreign key by default
    assert register(ana.app).id == ana.id


@pytest.mark.parametrize(
    "deed",
    [
        _new_password,
        _new_hash_by_statement,
        _new_hash_by_the_orm,
        _new_address,
        _new_address_by_statement,
        _deactivated,
        _deactivated_and_back,
        _deactivated_by_statement,
        _deleted,
        _deleted_and_the_key_given_again,
        _deleted_by_statement_and_the_key_given_again,
    ],
)
def test_a_link_is_void_once_the_account_is_not_what_it_was_made_for(
    app: Flask, ana: Person, deed: Any
) -> None:
    token = a_link(app)
    deed(ana)
    refused(reset(app, token, "copper-lantern-meadow-58"), 400, "invalid-link")


def test_a_thief_who_asked_for_another_address_has_nothing_after_a_reset(app: Flask) -> None:
    """The unexpired change of address: somebody registers with the address of another, and waits."""
    with captured_mail(app) as mails:
        thief = register(app, "ana@example.com")
        answer = thief.call("PATCH", "/auth/me", {"email": "thief@evil.example"})
        assert answer.get_json()["pending_email"] == "thief@evil.example"
    waiting = [token_in(mail) for mail in mails if mail.to == "thief@evil.example"]
    assert len(waiting) == 1
    assert reset(app, a_link(app)).status_code == 204  # the owner of the address takes the account
    refused(app.test_client().post("/auth/email/verify", json={"token": waiting[0]}), 400, "invalid-link")
    refused(thief.refresh(), 401, "refresh-token-invalid")
    ana = log_in(app, password=OTHER_PASSWORD)
    body = ana.get("/auth/me").get_json()
    assert (body["email"], body["email_verified"]) == ("ana@example.com", True)


def test_who_is_locked_out_by_wrong_tries_logs_in_after_a_reset() -> None:
    app = make_app(rate_limits={"login-failures": "2/hour"})
    register(app)
    wrong = {"email": "ana@example.com", "password": "wrong"}
    for status in (401, 401, 429):
        assert app.test_client().post("/auth/login", json=wrong).status_code == status
    assert reset(app, a_link(app)).status_code == 204
    log_in(app, password=OTHER_PASSWORD)


def test_nothing_but_hashes_is_stored(app: Flask, ana: Person) -> None:
    token = a_link(app)
    with in_database(app) as (db, rows):
        stored = [
            row for row in db.session.scalars(select(rows.OneTimeLink)) if row.purpose == "reset-password"
        ]
        (row,) = stored
        values = [str(getattr(row, column.key)) for column in rows.OneTimeLink.__table__.columns]
        assert all(token not in value and token[7:] not in value for value in values)
        hashed = db.session.get_one(rows.User, ana.id).password_hash
        assert all(hashed not in value for value in values)
        assert (len(row.id), len(row.bound_to)) == (64, 64)


def test_old_links_go_as_new_ones_are_written(app: Flask, ana: Person) -> None:
    for _ in range(3):
        a_link(app)
    edit(app, "OneTimeLink", expires_at=1_700_000_000)
    a_link(app)
    with in_database(app) as (db, rows):
        assert db.session.query(rows.OneTimeLink).count() == 1


@pytest.mark.parametrize("email", ["", "ana", "x" * 300 + "@example.com"])
def test_what_is_no_address_is_said_to_be_none(app: Flask, email: str) -> None:
    assert refused(forget(app, email), 422, "invalid-fields")["errors"].keys() == {"email"}


def test_the_mail_is_in_the_language_of_who_asked(app: Flask, ana: Person, captured_mail: Mails) -> None:
    forget(app, headers={"Accept-Language": "es-MX,es;q=0.9"})
    forget(app, headers={"Accept-Language": "xx"})
    assert [mail.language for mail in captured_mail] == ["es", "en"]


def test_without_recovery_there_is_none_of_it() -> None:
    app = make_app(recovery=False)
    with captured_mail(app) as mails:
        ana = register(app)
        for path in ("password/forgot", "password/reset", "email/verify", "me/email/verification"):
            refused(ana.post(f"/auth/{path}", {"email": "ana@example.com"}), 404, "not-found")
    assert mails == []


class Base(DeclarativeBase):
    pass


def test_a_host_brings_its_own_table_of_links_and_a_user_with_little_in_it() -> None:
    db = SQLAlchemy(model_class=Base)

    class Member(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "member"
        key: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: "ana")
        email: Mapped[str] = mapped_column(String(254), unique=True)
        password_hash: Mapped[str] = mapped_column(String(128))

    class MemberLink(OneTimeLinkMixin, Base):
        __tablename__ = "member_link"
        __user_model__ = Member

    auth = LinkedAuth(db=db, user_model=Member, OneTimeLink=MemberLink)
    app = make_app(auth)
    with captured_mail(app) as mails:
        ana = register(app)
        assert mails == []  # there is nothing to note a verification in
        refused(ana.post("/auth/me/email/verification"), 409, "conflict")
        ana.call("PATCH", "/auth/me", {"email": "ana@new.example"})
        forget(app)
    assert [mail.purpose for mail in mails] == ["change-email", "email-change-asked", "reset-password"]
    with in_database(app) as (_, rows):
        assert rows.OneTimeLink is MemberLink
        assert "one_time_link" not in db.metadata.tables
    assert reset(app, token_in(mails[-1])).status_code == 204
    log_in(app, password=OTHER_PASSWORD)

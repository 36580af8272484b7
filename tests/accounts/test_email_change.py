"""A new e-mail address: wanted by who is logged in, told to the old one, in force once the new one has confirmed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import Mail
from flask_linked_auth.accounts.recovery_flows import pending_email
from flask_linked_auth.testing import Clock, captured_mail
from tests.tiny import (
    OTHER_PASSWORD,
    PASSWORD,
    Person,
    edit,
    log_in,
    make_app,
    refused,
    register,
    state_of,
    token_in,
    told,
)

if TYPE_CHECKING:
    from flask import Flask

Mails = list[Mail]
NEW = "ana@new.example"


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app, name="Ana")


def confirm(app: Flask, token: str) -> Any:
    return app.test_client().post("/auth/email/verify", json={"token": token})


def ask(ana: Person, email: str = NEW) -> str:
    """The token that was mailed to the new address."""
    with captured_mail(ana.app) as mails:
        answer = ana.call("PATCH", "/auth/me", {"email": email})
    assert answer.status_code == 200, answer.text
    return token_in(mails[0])


def test_an_address_changes_when_the_new_one_confirms_it(
    app: Flask, ana: Person, captured_mail: Mails
) -> None:
    body = ana.call("PATCH", "/auth/me", {"email": "Ana@NEW.example", "name": "Ana Maria"}).get_json()
    assert (body["email"], body["pending_email"], body["name"]) == ("ana@example.com", NEW, "Ana Maria")
    link, notice = captured_mail
    assert (link.to, link.purpose) == (NEW, "change-email")
    assert f"http://localhost:5000/account/email/confirm?token={token_in(link)}" in link.text.splitlines()
    assert (notice.to, notice.purpose) == ("ana@example.com", "email-change-asked")
    assert "fla_" not in notice.text + notice.html
    assert "new.example" not in notice.text + notice.html  # the old one may be a stranger's, mistyped once
    log_in(app, "ana@example.com")
    with told(app) as heard:
        answer = confirm(app, token_in(link))
    assert (answer.status_code, answer.get_json()) == (200, {"email": NEW, "email_verified": True})
    assert heard == [
        ("user.changed", {"user_id": ana.id, "fields": ["email"]}),
        ("email.changed", {"user_id": ana.id}),
    ]
    assert [(mail.to, mail.purpose) for mail in captured_mail[2:]] == [("ana@example.com", "email-changed")]
    assert ana.get("/auth/me").get_json()["email"] == NEW  # the logins go on
    assert log_in(app, NEW).id == ana.id
    old = {"email": "ana@example.com", "password": PASSWORD}
    refused(app.test_client().post("/auth/login", json=old), 401, "invalid-credentials")
    refused(confirm(app, token_in(link)), 400, "invalid-link")


def test_replacing_all_of_it_waits_too(app: Flask, ana: Person) -> None:
    body = ana.call("PUT", "/auth/me", {"email": NEW, "name": "A"}).get_json()
    assert (body["email"], body["pending_email"], body["name"]) == ("ana@example.com", NEW, "A")


def test_the_address_that_one_has_is_no_change(app: Flask, ana: Person, captured_mail: Mails) -> None:
    body = ana.call("PATCH", "/auth/me", {"email": "ANA@example.com"}).get_json()
    assert "pending_email" not in body
    assert captured_mail == []


def test_the_account_page_knows_what_is_pending(app: Flask, ana: Person, moving_clock: Clock) -> None:
    with app.app_context():
        assert pending_email(state_of(app), ana.id) is None
        ask(ana)
        assert pending_email(state_of(app), ana.id) == NEW
        moving_clock.advance(3601)
        assert pending_email(state_of(app), ana.id) is None
        ask(log_in(app))
        edit(app, "User", password_hash="!")
        assert pending_email(state_of(app), ana.id) is None


def test_only_the_last_wish_counts(app: Flask, ana: Person) -> None:
    first, second = ask(ana, "first@example.com"), ask(ana, "second@example.com")
    refused(confirm(app, first), 400, "invalid-link")
    assert confirm(app, second).get_json()["email"] == "second@example.com"


def test_an_address_of_somebody_else_is_taken_at_once(app: Flask, ana: Person, captured_mail: Mails) -> None:
    register(app, NEW)
    captured_mail.clear()
    answer = ana.call("PATCH", "/auth/me", {"email": NEW, "name": "Changed"})
    assert refused(answer, 409, "taken")["errors"] == {"email": ["Is already taken."]}
    assert captured_mail == []
    assert ana.get("/auth/me").get_json()["name"] == "Ana"


def test_an_address_that_was_taken_meanwhile_is_taken_at_the_end(app: Flask, ana: Person) -> None:
    token = ask(ana)
    ben = register(app, NEW)
    for _ in range(2):
        assert refused(confirm(app, token), 409, "taken")["errors"] == {"email": ["Is already taken."]}
    assert ana.get("/auth/me").get_json()["email"] == "ana@example.com"
    assert ben.call("DELETE", "/auth/me").status_code == 204
    assert confirm(app, token).status_code == 200


def test_two_who_want_the_same_address_do_not_both_get_it(app: Flask, ana: Person) -> None:
    ben = register(app, "ben@example.com")
    of_ana, of_ben = ask(ana), ask(ben)
    assert confirm(app, of_ben).status_code == 200
    refused(confirm(app, of_ana), 409, "taken")


def test_after_a_change_the_old_address_resets_nothing(app: Flask, ana: Person) -> None:
    with captured_mail(app) as mails:
        app.test_client().post("/auth/password/forgot", json={"email": "ana@example.com"})
    assert confirm(app, ask(ana)).status_code == 200
    body = {"token": token_in(mails[0]), "new_password": OTHER_PASSWORD}
    refused(app.test_client().post("/auth/password/reset", json=body), 400, "invalid-link")


def test_a_new_password_stops_a_change_that_one_did_not_ask_for(app: Flask, ana: Person) -> None:
    token = ask(ana)
    ana.post("/auth/me/password", {"current_password": PASSWORD, "new_password": OTHER_PASSWORD})
    refused(confirm(app, token), 400, "invalid-link")


def test_a_stale_login_asks_for_nothing(app: Flask, ana: Person, captured_mail: Mails) -> None:
    edit(app, "Login", authenticated_at=1_700_000_000)
    old = Person(app, ana.refresh().get_json())
    refused(old.call("PATCH", "/auth/me", {"email": NEW}), 401, "login-too-old")
    assert captured_mail == []


def test_nobody_floods_a_mailbox_with_wishes() -> None:
    app = make_app(rate_limits={"recovery-mails": "2/hour", "recovery": "5/minute"})
    ana = register(app)
    with captured_mail(app) as mails:
        answers = [ana.call("PATCH", "/auth/me", {"email": NEW}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert sum(mail.to == NEW for mail in mails) == 2
    with captured_mail(app) as mails:
        answers = [ana.call("PATCH", "/auth/me", {"email": f"a{n}@new.example"}) for n in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    refused(answers[-1], 429, "too-many-requests")
    assert len([mail for mail in mails if mail.purpose == "change-email"]) == 2


def test_using_up_the_limit_of_other_mails_does_not_keep_the_warning_from_the_owner() -> None:
    app = make_app(rate_limits={"recovery-mails": "1/hour", "recovery": None})
    ana = register(app)
    with captured_mail(app) as mails:
        for _ in range(3):
            app.test_client().post("/auth/password/forgot", json={"email": "ana@example.com"})
        ana.call("PATCH", "/auth/me", {"email": NEW})
        (link,) = (mail for mail in mails if mail.to == NEW)
        assert confirm(app, token_in(link)).status_code == 200
    to_the_old = [mail.purpose for mail in mails if mail.to == "ana@example.com"]
    assert to_the_old == ["reset-password", "email-change-asked", "email-changed"]

"""The account pages that mail has to do with: a forgotten password, confirming an address, moving to another."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

import pytest

from flask_linked_auth import Mail
from tests.tiny import OTHER_PASSWORD, PASSWORD, Person, edit, make_app, register, token_in
from tests.visitor import Visitor

if TYPE_CHECKING:
    from flask import Flask

Mails = list[Mail]
NEW = "ana@new.example"
BAD_LINK = "This link is not valid any more"


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


@pytest.fixture
def visitor(app: Flask, ana: Person) -> Visitor:
    """Ana's browser, where she is logged in."""
    visitor = Visitor(app)
    visitor.log_in()
    return visitor


def path_in(mail: Mail) -> str:
    """The path of the link in a mail: what the person follows."""
    (link,) = [word for word in mail.text.split() if token_in(mail) in word]
    assert link.startswith("http://localhost:5000/")
    return link.removeprefix("http://localhost:5000")


def asked(app: Flask, email: str = "ana@example.com") -> Visitor:
    """Somebody who has asked for a new password."""
    visitor = Visitor(app)
    visitor.open("/account/login")
    visitor.open("/account/forgot")
    visitor.send(email=email)
    return visitor


def test_a_forgotten_password_is_replaced_by_a_mailed_link(
    app: Flask, ana: Person, visitor: Visitor, captured_mail: Mails
) -> None:
    forgetful = asked(app)
    assert (forgetful.path, forgetful.page.notice) == (
        "/account/login",
        "If there is an account with this address, a mail with a link is on its way.",
    )
    link = path_in(captured_mail[-1])
    assert link.startswith("/account/reset?token=fla_ot_")
    for _ in range(3):  # mail scanners open links too, and use none up
        assert forgetful.open(link).heading == "Choose a new password"
    page = forgetful.send(new_password="short", new_password_again="short")
    assert (forgetful.status, page.complaint("new_password")[:6]) == (422, "Use at")
    page = forgetful.send(new_password=OTHER_PASSWORD, new_password_again=OTHER_PASSWORD)
    assert page.notice == "Your password is changed. Log in with the new one."
    assert visitor.open("/account").heading == "Log in"  # every login has ended
    assert forgetful.log_in(password=OTHER_PASSWORD).heading == "Your account"
    assert forgetful.open(link).heading == BAD_LINK
    assert forgetful.status == 400
    assert "/account/forgot" in forgetful.page.links


def test_nobody_learns_who_has_an_account(app: Flask, ana: Person, captured_mail: Mails) -> None:
    known, unknown = asked(app), asked(app, "eve@example.com")
    assert len(captured_mail) == 1
    assert (known.status, known.page.text) == (unknown.status, unknown.page.text)


def test_what_is_no_address_is_complained_about(app: Flask) -> None:
    page = asked(app, "ana").page
    assert page.complaint("email") == "Not a valid e-mail address."


@pytest.mark.parametrize("page", ["reset", "verify", "email/confirm"])
@pytest.mark.parametrize("token", ["", "x", "fla_ot_" + "A" * 43, "a\x00b", "é"])
def test_a_link_that_is_none_says_so(app: Flask, page: str, token: str) -> None:
    visitor = Visitor(app)
    shown = visitor.open(f"/account/{page}", query_string={"token": token})
    assert (visitor.status, shown.heading) == (400, BAD_LINK)
    assert not shown.forms


def test_an_address_is_confirmed_by_a_button_on_the_page_of_the_link(
    app: Flask, visitor: Visitor, captured_mail: Mails
) -> None:
    page = visitor.open("/account")
    assert "not confirmed yet" in page.text
    page = visitor.send("/account/email/verification")
    assert page.notice == "A mail with a link is on its way."
    link = path_in(captured_mail[-1])
    assert "ana@example.com" in visitor.open(link).text
    assert "not confirmed yet" in visitor.open("/account").text
    visitor.open(link)
    page = visitor.send()
    assert (visitor.path, page.notice) == ("/account", "Your e-mail address is confirmed.")
    assert "not confirmed yet" not in page.text
    assert visitor.open(link).heading == BAD_LINK


def test_a_link_is_followed_in_another_browser_too(app: Flask, ana: Person, captured_mail: Mails) -> None:
    ana.post("/auth/me/email/verification")
    phone = Visitor(app)
    phone.open(path_in(captured_mail[-1]))
    page = phone.send()
    assert (phone.path, page.notice) == ("/account/login", "Your e-mail address is confirmed.")


def test_an_address_is_changed_once_the_new_one_has_confirmed_it(
    app: Flask, visitor: Visitor, captured_mail: Mails
) -> None:
    visitor.open("/account/email")
    page = visitor.send(email=NEW)
    assert page.notice == "A mail with a link is on its way to the new address."
    assert f"It will be {NEW} as soon as you open the link" in page.text
    assert "ana@example.com" in page.text
    link = path_in(next(mail for mail in captured_mail if mail.to == NEW))
    visitor.open(link)
    page = visitor.send()
    assert page.notice == "Your e-mail address is changed."
    assert NEW in page.text
    assert "ana@example.com" not in page.text


def test_an_address_that_is_taken_is_not_wished_for(app: Flask, visitor: Visitor) -> None:
    register(app, "ben@example.com")
    visitor.open("/account/email")
    page = visitor.send(email="ben@example.com")
    assert (visitor.status, page.complaint("email")) == (409, "Is already taken.")
    assert page.field("email")["value"] == "ben@example.com"


def grow_old(app: Flask) -> None:
    """Let half a day go by since every login."""
    edit(app, "Login", authenticated_at=int(time()) - 12 * 3600)
    app.extensions["linked_auth"].parts["accounts"].browser.memory.forget()


def test_an_old_login_leads_to_the_login_and_back_before_an_address_changes(
    app: Flask, visitor: Visitor
) -> None:
    grow_old(app)
    page = visitor.open("/account/email")
    assert visitor.path == "/account/login?next=/account/email&again=1"
    assert "give the password of ana@example.com once more" in page.text
    assert page.field("identifier")["value"] == "ana@example.com"
    page = visitor.send("/account/login", password=OTHER_PASSWORD)
    assert "give the password of ana@example.com once more" in page.text
    page = visitor.send("/account/login", password=PASSWORD)
    assert (visitor.path, page.heading) == ("/account/email", "New e-mail address")
    grow_old(app)
    visitor.send(email=NEW)
    assert visitor.path.startswith("/account/login?next=/account/email")
    assert visitor.open("/account/password").heading == "Change your password"  # which asks for the old one


def test_where_mail_is_off_nothing_leads_to_it() -> None:
    app = make_app(recovery=False)
    visitor = Visitor(app)
    assert not [link for link in visitor.open("/account/login").links if "forgot" in link]
    for path in ("forgot", "reset?token=x", "verify?token=x", "email/confirm?token=x"):
        visitor.open(f"/account/{path}")
        assert visitor.status == 404, path
    page = visitor.register()
    assert page.notice == "Welcome! Your account is made."
    assert "/account/email/verification" not in page.forms
    visitor.open("/account/email")
    page = visitor.send(email=NEW)
    assert page.notice == "Your changes are saved."
    assert NEW in page.text

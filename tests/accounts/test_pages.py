"""The account pages, as people walk through them: registering, logging in, one's own account, and leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import LinkedAuth
from tests.accounts.test_own_user_model import new_db, uuid_key
from tests.tiny import (
    OTHER_PASSWORD,
    PASSWORD,
    Person,
    in_database,
    log_in,
    make_app,
    register,
    told,
)
from tests.visitor import Visitor

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app, username="ana", name="Ana")


@pytest.fixture
def visitor(app: Flask, ana: Person) -> Visitor:
    """Ana's browser, where she is logged in."""
    visitor = Visitor(app)
    visitor.log_in()
    assert visitor.path == "/account"
    return visitor


# Coming in


def test_who_is_not_logged_in_is_led_to_the_login_and_from_there_to_an_account(app: Flask) -> None:
    visitor = Visitor(app)
    page = visitor.open("/account/logins")
    assert (visitor.path, page.heading) == ("/account/login?next=/account/logins", "Log in")
    register_link = next(link for link in page.links if "register" in link)
    visitor.open(register_link)
    page = visitor.send(
        email="Ana@Example.com", username="Ana", name="Ana", password=PASSWORD, password_again=PASSWORD
    )
    assert (visitor.path, page.heading) == ("/account/logins", "Your logins")  # where she wanted to go
    assert page.notice.startswith("Welcome!")
    assert page.title.startswith("Welcome!")
    assert visitor.open("/account").notice == ""  # told once
    assert "ana@example.com" in visitor.page.text
    assert visitor.page.field("username")["value"] == "ana"


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(app: Flask) -> None:
    visitor = Visitor(app)
    visitor.open("/account/register")
    page = visitor.send(email="nobody", username="an a", password=PASSWORD, password_again=PASSWORD)
    assert visitor.status == 422
    assert page.complaint("email") == "Not a valid e-mail address."
    assert page.complaint("username").startswith("A user name has")
    assert page.complaint("password") == ""
    assert page.errors[0] == "Please correct what is marked."
    assert page.errors[1] == "E-mail address: Not a valid e-mail address."
    assert {"#email", "#username"} < set(page.links)
    assert page.title.startswith("Please correct what is marked.")
    assert (page.field("email")["value"], page.field("username")["value"]) == ("nobody", "an a")
    assert PASSWORD not in visitor.answer.text
    assert 'role="alert" tabindex="-1" autofocus' in visitor.answer.text


def test_a_form_that_is_sent_empty_says_what_is_wanted(app: Flask) -> None:
    visitor = Visitor(app)
    visitor.open("/account/register")
    page = visitor.send()
    assert visitor.status == 422
    wanted = [name for name in ("email", "username", "name", "password") if page.complaint(name)]
    assert wanted == ["email", "password"]
    assert page.complaint("email") == "Please fill this in."


def test_a_password_is_typed_twice_without_seeing_it(app: Flask) -> None:
    visitor = Visitor(app)
    visitor.open("/account/register")
    page = visitor.send(email="ana@example.com", password=PASSWORD, password_again=OTHER_PASSWORD)
    assert (visitor.status, page.complaint("password_again")) == (422, "The two passwords differ.")
    visitor.send(
        email="ana@example.com", password=PASSWORD, password_again=None
    )  # a host left that field out
    assert visitor.path == "/account"


def test_a_weak_password_is_complained_about(app: Flask) -> None:
    visitor = Visitor(app)
    page = visitor.register(password="password12345678")
    assert visitor.status == 422
    assert page.complaint("password")


def test_an_address_that_is_taken_is_said_to_be(app: Flask, ana: Person) -> None:
    visitor = Visitor(app)
    page = visitor.register(name="Another")
    assert visitor.status == 409
    assert page.errors == ["Please correct what is marked.", "E-mail address: Is already taken."]
    assert page.field("name")["value"] == "Another"


@pytest.mark.parametrize("name", ["ana@example.com", "ANA@Example.com", "ana", "Ana"])
def test_one_logs_in_by_address_or_user_name(app: Flask, ana: Person, name: str) -> None:
    visitor = Visitor(app)
    visitor.log_in(name)
    assert (visitor.path, visitor.page.heading) == ("/account", "Your account")


def test_a_wrong_password_and_an_unknown_person_look_the_same(app: Flask, ana: Person) -> None:
    visitor, pages = Visitor(app), []
    for name, password in (("ana", OTHER_PASSWORD), ("eve", PASSWORD), ("\x00", PASSWORD)):
        page = visitor.log_in(name, password)
        pages.append((visitor.status, page.text.replace(name, "…")))
        assert page.field("identifier")["value"] == name
        assert "value" not in page.field("password")
    assert pages[0] == pages[1]
    assert pages[0][0] == 401
    assert "The e-mail address or the password is not right." in pages[0][1]
    assert pages[2][0] == 422


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/account/password", "/account/password"),
        ("/account/logins?page=1", "/account/logins?page=1"),
        ("//evil.example/x", "/account"),
        ("https://evil.example/", "/account"),
        ("/\\evil.example", "/account"),
        ("\\\\evil.example", "/account"),
        ("javascript:alert(1)", "/account"),
    ],
)
def test_a_login_goes_on_to_where_one_wanted_but_never_out_of_the_site(
    app: Flask, ana: Person, wanted: str, reached: str
) -> None:
    visitor = Visitor(app)
    visitor.open("/account/login", query_string={"next": wanted})
    visitor.send("/account/login", identifier="ana", password=PASSWORD)
    assert visitor.path == reached
    visitor = Visitor(app)
    visitor.open("/account/login")
    visitor.send("/account/login", identifier="ana", password=PASSWORD, next=wanted)
    assert visitor.path == reached


def test_who_is_logged_in_is_told_so_at_the_login_and_one_login_follows_the_other(
    app: Flask, ana: Person, visitor: Visitor
) -> None:
    register(app, "ben@example.com")
    page = visitor.open("/account/login")
    assert "You are logged in as ana@example.com." in page.text
    visitor.send(identifier="ben@example.com", password=PASSWORD)
    assert "ben@example.com" in visitor.page.text
    assert len(ana.get("/auth/me/logins").get_json()["results"]) == 1  # the browser's has ended


def test_a_login_is_not_prolonged_but_made_anew(app: Flask, visitor: Visitor) -> None:
    before = visitor.client.get_cookie("linked_auth_tiny")
    visitor.log_in()
    after = visitor.client.get_cookie("linked_auth_tiny")
    assert before
    assert after
    assert before.value != after.value
    visitor.client.set_cookie("linked_auth_tiny", before.value)
    assert visitor.open("/account").heading == "Log in"


def test_one_logs_out_by_a_button_and_not_by_a_link(app: Flask, visitor: Visitor) -> None:
    page = visitor.open("/account/logout")
    assert page.heading == "Log out"
    assert visitor.open("/account").heading == "Your account"
    with told(app) as heard:
        page = visitor.send("/account/logout")  # the button in the head of each page
    assert [name for name, _ in heard] == ["user.logged-out"]
    assert (visitor.path, page.notice) == ("/account/login", "You are logged out.")
    assert visitor.client.get_cookie("linked_auth_tiny") is None
    assert visitor.open("/account").heading == "Log in"
    assert visitor.open("/account/logout").heading == "Log in"


def test_a_login_that_was_ended_elsewhere_is_over_in_the_browser(
    app: Flask, ana: Person, visitor: Visitor
) -> None:
    ana.post("/auth/logout-all")
    page = visitor.open("/account/password")
    assert (visitor.path, page.heading) == ("/account/login?next=/account/password", "Log in")


def test_a_deactivated_person_is_out(app: Flask, ana: Person, visitor: Visitor) -> None:
    with in_database(app) as (db, rows):
        db.session.get_one(rows.User, ana.id).active = False
        db.session.commit()
    assert visitor.open("/account").heading == "Log in"
    assert visitor.log_in().errors == ["The e-mail address or the password is not right."]


# One's own account


def test_names_are_changed_and_taken_away(app: Flask, ana: Person, visitor: Visitor) -> None:
    page = visitor.send("/account", name="Ana María", username="")
    assert page.notice == "Your changes are saved."
    assert page.field("name")["value"] == "Ana María"
    me = ana.get("/auth/me").get_json()
    assert (me["name"], me["username"], me["email"]) == ("Ana María", None, "ana@example.com")


def test_a_field_that_a_host_leaves_out_stays_as_it_is(app: Flask, ana: Person, visitor: Visitor) -> None:
    visitor.send("/account", name=None, username="anna", is_admin="1", email="eve@example.com")
    me = ana.get("/auth/me").get_json()
    assert (me["name"], me["username"], me["email"], me["is_admin"]) == (
        "Ana",
        "anna",
        "ana@example.com",
        False,
    )


def test_a_user_name_that_is_taken_is_not_given_twice(app: Flask, visitor: Visitor) -> None:
    register(app, "ben@example.com", username="ben")
    page = visitor.send("/account", username="ben", name="Anne")
    assert (visitor.status, page.complaint("username")) == (409, "Is already taken.")
    assert (page.field("username")["value"], page.field("name")["value"]) == ("ben", "Anne")
    assert "ana@example.com" in page.text


def test_a_new_password_logs_everybody_out_but_this_browser(
    app: Flask, ana: Person, visitor: Visitor
) -> None:
    visitor.open("/account/password")
    page = visitor.send(
        current_password=PASSWORD, new_password=OTHER_PASSWORD, new_password_again=OTHER_PASSWORD
    )
    assert page.notice == "Your password is changed, and you are logged out everywhere else."
    assert visitor.path == "/account"
    assert ana.get("/auth/me").status_code == 401
    assert len(log_in(app, password=OTHER_PASSWORD).get("/auth/me/logins").get_json()["results"]) == 2


def test_the_current_password_must_be_right(app: Flask, visitor: Visitor) -> None:
    visitor.open("/account/password")
    page = visitor.send(
        current_password=OTHER_PASSWORD, new_password=OTHER_PASSWORD, new_password_again=OTHER_PASSWORD
    )
    assert (visitor.status, page.complaint("current_password")) == (422, "Is not right.")
    log_in(app)


def test_one_sees_ones_logins_and_ends_one(app: Flask, visitor: Visitor) -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    other = log_in(app, headers={"User-Agent": firefox}, environ_base={"REMOTE_ADDR": "192.0.2.5"})
    page = visitor.open("/account/logins")
    assert "Firefox on Linux" in page.text
    assert "192.0.2.5" in page.text
    assert page.text.count("this browser") == 1
    ends = [action for action in page.forms if action.endswith("/end")]
    assert len(ends) == 2  # not this browser, which has its own button
    login_id = other.post("/auth/validate-token").get_json()["login_id"]
    page = visitor.send(f"/account/logins/{login_id}/end")
    assert page.notice == "That login is ended."
    assert "Firefox" not in page.text
    assert other.get("/auth/me").status_code == 401


def test_one_ends_all_other_logins(app: Flask, ana: Person, visitor: Visitor) -> None:
    phone, ben = log_in(app), register(app, "ben@example.com")
    visitor.open("/account/logins")
    page = visitor.send("/account/logins/end-others")
    assert page.notice == "Every other login is ended."
    assert not [action for action in page.forms if "/logins/" in action]
    assert [each.get("/auth/me").status_code for each in (ana, phone, ben)] == [401, 401, 200]
    assert visitor.open("/account").heading == "Your account"


def test_nobody_ends_a_login_of_somebody_else(app: Flask, visitor: Visitor) -> None:
    ben = register(app, "ben@example.com")
    login_id = ben.post("/auth/validate-token").get_json()["login_id"]
    token = visitor.open("/account/logins").csrf_token
    for each in (login_id, "nothing", "a%00b", "x" * 200):
        answer = visitor.client.post(f"/account/logins/{each}/end", data={"csrf_token": token})
        assert answer.status_code == 404
        assert "There is nothing at this address." in answer.text
    assert ben.get("/auth/me").status_code == 200


def test_many_logins_are_shown_by_page(app: Flask, visitor: Visitor) -> None:
    for _ in range(21):
        log_in(app)
    page = visitor.open("/account/logins")
    (older,) = [link for link in page.links if "page=2" in link]
    assert len([action for action in page.forms if action.endswith("/end")]) >= 19
    page = visitor.open(older)
    assert [link for link in page.links if "page=1" in link]


def test_an_account_is_deleted_with_its_password(app: Flask, visitor: Visitor) -> None:
    page = visitor.open("/account/delete")
    assert "ana@example.com" in page.text
    page = visitor.send(current_password=OTHER_PASSWORD)
    assert (visitor.status, page.complaint("current_password")) == (422, "Is not right.")
    page = visitor.send(current_password=PASSWORD)
    assert (visitor.path, page.notice) == ("/account/login", "Your account is deleted.")
    assert visitor.log_in().errors == ["The e-mail address or the password is not right."]
    assert visitor.open("/account").heading == "Log in"


# What can be switched off, and other models


def test_where_registration_is_closed_no_form_is_shown() -> None:
    visitor = Visitor(make_app(registration=False))
    assert not [link for link in visitor.open("/account/login").links if "register" in link]
    page = visitor.open("/account/register")
    assert (visitor.status, page.heading) == (403, "Registration is closed")
    assert not [action for action in page.forms if "register" in action]


def test_without_pages_there_are_none() -> None:
    app = make_app(pages=False)
    assert app.test_client().get("/account/login").status_code == 404
    assert "linked_auth_pages" not in app.blueprints


def test_the_pages_live_where_the_host_wants_them() -> None:
    visitor = Visitor(make_app(pages_prefix="/me/page"))
    visitor.open("/me/page")
    assert visitor.path == "/me/page/login?next=/me/page"
    visitor.open("/me/page/register")
    visitor.send(email="ana@example.com", password=PASSWORD, password_again=PASSWORD)
    assert visitor.path == "/me/page"
    assert "/me/page/static/linked_auth.css" in visitor.answer.text


def test_below_a_script_root_every_address_has_it(app: Flask, ana: Person) -> None:
    client = app.test_client()
    answer = client.get("/account", base_url="http://localhost/blog")
    assert answer.location == "/blog/account/login?next=/blog/account"
    page = client.get("/account/login", base_url="http://localhost/blog").text
    assert 'href="/blog/account/static/linked_auth.css' in page
    assert 'action="/blog/account/login"' in page


def lean(db: Any) -> type[Any]:
    class Member(db.Model):  # type: ignore[misc]
        __tablename__ = "member"
        number = db.mapped_column(db.Integer, primary_key=True)
        email = db.mapped_column(db.String(254), unique=True)
        password_hash = db.mapped_column(db.String(128))

    return Member


@pytest.mark.parametrize("model", [lean, uuid_key])
def test_every_page_fits_the_hosts_own_model(model: Any) -> None:
    db = new_db()
    visitor = Visitor(make_app(LinkedAuth(db=db, user_model=model(db))))
    page = visitor.open("/account/register")
    assert ("username" in str(page.forms)) == (model is uuid_key)
    page = visitor.register()
    assert page.notice.startswith("Welcome! Your account is made.")
    assert ("not confirmed yet" in page.text) == (model is uuid_key)
    for path in ("", "/password", "/logins", "/email", "/delete", "/logout", "/login"):
        assert visitor.open(f"/account{path}").heading, path
        assert visitor.status == 200, path
    assert visitor.open("/account/login").field("identifier")["type"] == (
        "email" if model is lean else "text"
    )
    visitor.open("/account/delete")
    assert visitor.send(current_password=PASSWORD).notice == "Your account is deleted."


# Too often


def test_too_many_tries_are_told_so() -> None:
    app = make_app(rate_limits={"login-failures": "2/hour"})
    register(app)
    visitor = Visitor(app)
    for _ in range(2):
        visitor.log_in(password=OTHER_PASSWORD)
    page = visitor.log_in()
    assert visitor.status == 429
    assert page.errors == ["There were too many tries. Please try again in 60 minutes."]
    assert 3500 < int(visitor.answer.headers["Retry-After"]) <= 3600
    assert page.field("identifier")["value"] == "ana@example.com"

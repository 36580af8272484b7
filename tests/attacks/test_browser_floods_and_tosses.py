"""What a neighbouring host, or anybody with an account, might do to browsers, workers and mailboxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth.testing import captured_mail
from tests.browsers import SAME_ORIGIN, Browser, open_site
from tests.tiny import OTHER_PASSWORD, PASSWORD, Person, log_in, make_app, refused, register
from tests.visitor import Visitor

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse


@pytest.fixture
def app() -> Flask:
    return open_site(make_app())


@pytest.fixture
def browser(app: Flask) -> Browser:
    register(app)
    browser = Browser(app)
    browser.log_in()
    return browser


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x1c", "\x0b", "\u3000".encode().decode("latin-1")])
def test_a_cookie_whose_name_only_begins_with_a_space_is_another(browser: Browser, space: str) -> None:
    """Chromium lets a neighbouring host set it, since `__Host-` is not how it begins."""
    ((name, value),) = browser.cookies().items()

    def with_cookies(text: str) -> TestResponse:
        return browser.app.test_client(use_cookies=False).get("/who", headers={"Cookie": text, **SAME_ORIGIN})

    assert with_cookies(f"{name}={value}").status_code == 200
    refused(with_cookies(f"{space}{name}={value}"), 401, "token-missing")
    refused(with_cookies(f"a=b; {space}{name}={value}; c=d"), 401, "token-missing")
    # And it does not log out the one whose cookie it is.
    assert with_cookies(f"{name}={value}; {space}{name}={'x' * 43}").status_code == 200


@pytest.mark.parametrize("path", ["/auth/logout-all", "/auth/me/password", "/who"])
def test_a_form_of_very_many_fields_is_not_taken_apart(browser: Browser, path: str) -> None:
    """It would take a worker for half a minute, and a gigabyte of its memory."""
    flood = "&".join(f"a{number}=" for number in range(200_000))
    options: dict[str, Any] = {"data": flood, "content_type": "application/x-www-form-urlencoded"}
    refused(browser.open("POST", path, **options), 413, "too-large")


def test_a_token_in_a_header_is_looked_at_alone(browser: Browser) -> None:
    options: dict[str, Any] = {"data": {"csrf_token": browser.token()}}
    assert browser.open("POST", "/who", **options).status_code == 200
    refused(
        browser.open("POST", "/who", headers={"X-CSRF-Token": "x", **SAME_ORIGIN}, **options),
        403,
        "csrf-failed",
    )


def test_a_strangers_mailbox_is_not_filled_by_changing_ones_own_password() -> None:
    app = make_app(rate_limits={})
    with captured_mail(app) as mails:
        person = register(app, "stranger@example.com")
        passwords = [PASSWORD, OTHER_PASSWORD]
        for number in range(9):
            body = {"current_password": passwords[number % 2], "new_password": passwords[(number + 1) % 2]}
            answer = person.post("/auth/me/password", body)
            assert answer.status_code == 200
            person = Person(app, answer.get_json())
    assert sum(mail.purpose == "password-changed" for mail in mails) == 5


@pytest.mark.parametrize(
    ("path", "field", "taken"),
    [("/account/email", "email", "ben@example.com"), ("/account", "username", "ben")],
)
def test_the_pages_tell_no_more_often_than_registering_who_has_an_account(
    path: str, field: str, taken: str
) -> None:
    app = make_app(rate_limits={"register": "5/minute"})
    register(app, "ben@example.com", username="ben")
    register(app, username="ana")
    visitor = Visitor(app)
    visitor.open("/account/login")
    visitor.log_in()
    statuses = []
    for _ in range(5):
        visitor.open(path)
        visitor.send(**{field: taken})
        statuses.append(visitor.status)
    assert statuses == [409, 409, 409, 429, 429]


def test_a_used_up_limit_does_not_tell_either() -> None:
    app = make_app(rate_limits={"recovery": "1/minute"})
    register(app, "ben@example.com")
    ana = register(app)
    answers = [
        ana.call("PATCH", "/auth/me", {"email": email}) for email in ("new@example.com", "ben@example.com")
    ]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert log_in(app).id == ana.id


def test_the_account_may_be_written_with_a_slash(app: Flask) -> None:
    answer = app.test_client().get("/account/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")

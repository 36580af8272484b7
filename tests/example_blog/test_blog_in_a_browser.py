"""The blog in a browser: its page knows who is logged in, takes posts by a form, and a lost password is replaced."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from example_blog.database import db
from example_blog.posts import Post
from tests.browsers import SAME_ORIGIN
from tests.example_blog.walker import PASSWORD
from tests.visitor import Visitor

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from flask_linked_auth import Mail
    from flask_linked_auth.testing import LoginUser, MakeUser
    from tests.example_blog.walker import Person

NEW_PASSWORD = "seven lamps under water"
POST = {"title": "On walking home", "content": "It takes an hour.\r\nOr two."}


@pytest.fixture
def browser(login_user: LoginUser, make_user: MakeUser) -> FlaskClient:
    """Ana's browser, where she is logged in."""
    return login_user(make_user("ana@example.com", name="Ana <b>"), cookie=True)


def posts(blog: Flask) -> list[tuple[str, str, str]]:
    with blog.app_context():
        return [(post.title, post.content, post.owner.email) for post in db.session.query(Post)]


def test_a_stranger_reads_and_is_shown_the_way_in(blog: Flask, ada: Person) -> None:
    ada.write("Hello <b>", "Some\nlines")
    page = Visitor(blog).open("/")
    assert "Hello <b>" in page.text
    assert "Ada, " in page.text
    assert page.forms == {}
    assert "Log in to write here" in page.text
    assert "Logged in" not in page.text


def test_somebody_logs_in_writes_and_logs_out(blog: Flask, ada: Person) -> None:
    visitor = Visitor(blog)
    visitor.open("/account/login?next=/")
    page = visitor.send("/account/login", identifier=ada.email, password=PASSWORD)
    assert visitor.path == "/"
    assert "Logged in as Ada" in page.text
    page = visitor.send("/", title=POST["title"], content=POST["content"])
    post_id = visitor.path.removeprefix("/#post-")
    assert page.ids[f"post-{post_id}"].startswith("On walking home It takes an hour. Or two. Ada, ")
    assert (
        ada.call("GET", f"/api/v1/blogposts/{post_id}").get_json()["content"] == "It takes an hour.\nOr two."
    )
    visitor.send("/account/logout")
    assert "Logged in" not in visitor.open("/").text


def test_what_cannot_be_published_is_shown_again_with_what_is_wrong(
    blog: Flask, browser: FlaskClient
) -> None:
    answer = browser.post("/", data={"title": " ", "content": "<i>Kept</i>"})
    assert answer.status_code == 422
    assert 'aria-describedby="title-complaint"' in answer.text
    assert "Must not be blank." in answer.text
    assert "&lt;i&gt;Kept&lt;/i&gt;</textarea>" in answer.text
    for wrong in ({}, {"title": "x"}, {"title": "a\nb", "content": "x"}, {"title": "x", "content": "a\0b"}):
        assert browser.post("/", data=wrong).status_code == 422
    assert posts(blog) == []


def test_the_name_of_who_is_logged_in_is_text_and_no_cache_keeps_it(browser: FlaskClient) -> None:
    page = browser.get("/")
    assert "Ana &lt;b&gt;" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "Cookie" in page.headers["Vary"]


def test_another_site_cannot_publish_in_the_name_of_who_is_logged_in(
    blog: Flask, browser: FlaskClient
) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://other.example.com"},
        {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": ""},
    ):
        answer = browser.post("/", data=POST, headers=headers)
        assert answer.status_code == 403
        assert POST["title"] not in answer.text  # one more click would publish it
    assert posts(blog) == []


def test_a_form_that_is_too_old_is_shown_again_and_can_be_sent(blog: Flask, browser: FlaskClient) -> None:
    page = browser.post("/", data=POST, headers={"X-CSRF-Token": "old"})
    assert page.status_code == 403
    assert 'value="On walking home"' in page.text
    (token,) = set(re.findall(r'name="linked_auth_csrf" value="([^"]+)"', page.text))
    again = browser.post("/", data=POST | {"linked_auth_csrf": token}, headers={"X-CSRF-Token": ""})
    assert again.status_code == 303
    assert posts(blog) == [("On walking home", "It takes an hour.\nOr two.", "ana@example.com")]


def test_whose_login_is_over_is_led_to_it(blog: Flask) -> None:
    answer = blog.test_client().post("/", data=POST, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.location) == (303, "/account/login?next=/")
    assert posts(blog) == []


def test_a_bad_token_is_told_so_on_the_page_as_everywhere(blog: Flask) -> None:
    answer = blog.test_client().get("/", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.get_json()["slug"]) == (401, "token-invalid")


def test_who_forgot_the_password_gets_in_again_by_a_mailed_link(
    blog: Flask, ada: Person, captured_mail: list[Mail]
) -> None:
    visitor = Visitor(blog)
    visitor.open("/account/forgot")
    visitor.send(email=ada.email)
    (mail,) = captured_mail
    assert (mail.to, mail.purpose) == (ada.email, "reset-password")
    (link,) = re.findall(r"http://localhost:5000(/account/reset\?token=[\w-]+)", mail.text)
    visitor.open(link)
    visitor.send(new_password=NEW_PASSWORD, new_password_again=NEW_PASSWORD)
    assert captured_mail[-1].purpose == "password-changed"
    assert ada.call("GET", "/api/v1/users/me").status_code == 401  # every login has ended
    visitor.log_in(ada.email, PASSWORD)
    assert visitor.status == 401
    visitor.log_in(ada.email, NEW_PASSWORD)
    assert "Logged in as Ada" in visitor.open("/").text

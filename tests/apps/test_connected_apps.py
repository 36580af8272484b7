"""The page of the apps that one has agreed to, and the one on which an agreement is withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flask_linked_auth.apps import changes
from tests.apps.asking import accepted, add_app, agree, ask_for, asking_app, deed
from tests.browsers import SAME_ORIGIN
from tests.tiny import Person, bearer, register, statements
from tests.visitor import Visitor

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return asking_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app, name="Ana")


@pytest.fixture
def visitor(ana: Person) -> Visitor:
    visitor = Visitor(ana.app)
    visitor.log_in()
    return visitor


def test_the_account_leads_there(visitor: Visitor) -> None:
    page = visitor.open("/account")
    assert page.links.count("/account/apps") == 2  # in the navigation, and on the page
    assert visitor.open("/account/apps").heading == "Your apps"
    assert 'href="/account/apps" aria-current="page"' in visitor.answer.text
    assert "No app may use your account." in visitor.page.text


def test_it_wants_a_person_at_the_browser(app: Flask, ana: Person) -> None:
    for path in ("/account/apps", "/account/apps/billing/withdraw"):
        answer = app.test_client().get(path, headers=bearer(ana.access))
        assert (answer.status_code, answer.location) == (303, f"/account/login?next={path}")


def test_it_tells_what_each_app_may_do(app: Flask, ana: Person, visitor: Visitor) -> None:
    add_app(app, "aardvark", required=(), optional=("read:user",), description="Eats ants.")
    agree(ana, "billing", "write:posts")
    agree(ana, "aardvark")
    page = visitor.open("/account/apps")
    assert page.text.index("Aardvark") < page.text.index("Billing")
    assert "Eats ants." in page.text
    assert "Read posts : See all that you have written." in page.text
    assert "Write posts" in page.text
    assert "Read tracks" not in page.text
    assert "know who you are" in page.text
    assert page.text.count("up to date") == 2
    assert "/v1/auth/authorize/billing?next=/account/apps" in page.links


def test_it_says_which_app_asks_for_something_else_by_now(app: Flask, ana: Person, visitor: Visitor) -> None:
    agree(ana)
    ask_for(app, required=("read:posts", "read:user"), optional=())
    page = visitor.open("/account/apps")
    assert "asks for something else" in page.text
    assert "See what changed" in page.text
    assert visitor.open("/v1/auth/authorize/billing?next=/account/apps").heading == "Allow Billing?"
    visitor.path = "/v1/auth/authorize/billing"
    assert "up to date" in visitor.send().text
    assert accepted(ana) == {"read:posts", "read:user"}


@pytest.mark.parametrize(
    ("change", "words"),
    [({"active": False}, "switched off"), ({"needs_agreement": False}, "needs no agreement")],
)
def test_an_app_with_nothing_to_agree_to_can_only_be_withdrawn_from(
    app: Flask, ana: Person, visitor: Visitor, change: dict[str, bool], words: str
) -> None:
    agree(ana)
    deed(app, changes.change_app, "billing", **change)
    page = visitor.open("/account/apps")
    assert words in page.text
    assert not any("authorize" in link for link in page.links)
    page = visitor.open("/account/apps/billing/withdraw")
    assert ("changes nothing about that" in page.text) == ("needs_agreement" in change)
    visitor.send()
    assert accepted(ana) is None


def test_withdrawing_says_what_it_means_and_waits_for_the_button(
    app: Flask, ana: Person, visitor: Visitor
) -> None:
    add_app(app, "other")
    agree(ana)
    agree(ana, "other")
    page = visitor.open("/account/apps/billing/withdraw")
    assert page.heading == "Withdraw what Billing may do"
    assert "cannot see you here or do anything in your name" in page.text
    assert "/account/apps" in page.links
    assert accepted(ana) == {"read:posts"}
    page = visitor.send()
    assert (visitor.path, page.notice) == ("/account/apps", "The app may not use your account any more.")
    assert "Billing" not in page.text
    assert (accepted(ana), accepted(ana, "other")) == (None, {"read:posts"})


@pytest.mark.parametrize("slug", ["billing", "nobody", "%00", "%ED%A0%80"])
def test_there_is_nothing_to_withdraw_from_what_was_not_agreed_to(visitor: Visitor, slug: str) -> None:
    path = f"/account/apps/{slug}/withdraw"
    assert visitor.open(path).heading == "Not found"
    assert visitor.status == 404
    token = visitor.page.csrf_token
    assert visitor.client.post(path, data={"csrf_token": token}, headers=SAME_ORIGIN).status_code == 404


def test_another_site_withdraws_nothing(ana: Person, visitor: Visitor) -> None:
    agree(ana)
    data = {"csrf_token": visitor.open("/account/apps/billing/withdraw").csrf_token}
    path, client = "/account/apps/billing/withdraw", visitor.client
    assert client.post(path, data=data, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post(path, data={"csrf_token": "x"}, headers=SAME_ORIGIN).status_code == 403
    assert accepted(ana) == {"read:posts"}


def test_many_apps_come_by_page_for_the_same_few_queries(app: Flask, ana: Person, visitor: Visitor) -> None:
    agree(ana)
    visitor.open("/account/apps")
    with statements(app) as few:
        visitor.open("/account/apps")
    for number in range(22):
        add_app(app, f"app-{number:02}")
        agree(ana, f"app-{number:02}", "read:tracks")
    with statements(app) as many:
        page = visitor.open("/account/apps")
    assert len(many) <= len(few) + 1  # the feed may ask in between
    assert page.text.count("Withdraw") == 20
    assert page.links[-1] == "/account/apps?page=2&page_size=20"
    page = visitor.open(page.links[-1])
    assert page.text.count("Withdraw") == 3
    assert page.links[-1] == "/account/apps?page=1&page_size=20"


def test_pages_of_the_account_are_of_one_house(visitor: Visitor) -> None:
    visitor.open("/account/apps")
    assert visitor.answer.headers["Cache-Control"] == "no-store"
    assert visitor.answer.headers["X-Frame-Options"] == "DENY"
    assert "form-action 'self';" in visitor.answer.headers["Content-Security-Policy"]
    answer = visitor.client.post("/account/apps", headers=SAME_ORIGIN)
    assert (answer.status_code, answer.mimetype) == (405, "text/html")
    assert visitor.open("/account/apps/").heading == "Your apps"
    assert visitor.open("/account/apps?page=x").heading == "Malformed request"

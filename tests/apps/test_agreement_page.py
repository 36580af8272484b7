"""The page on which a person agrees to what a linked app asks for, or does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_linked_auth.apps import changes
from tests.apps.asking import (
    BACK,
    accepted,
    add_app,
    agree,
    ask_for,
    asking_app,
    deed,
    standing,
)
from tests.browsers import SAME_ORIGIN
from tests.tiny import Person, bearer, edit, in_database, log_in, register, told
from tests.visitor import Visitor, read

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

PAGE = "/v1/auth/authorize/billing"


@pytest.fixture
def app() -> Flask:
    return asking_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app, name="Ana")


@pytest.fixture
def visitor(ana: Person) -> Visitor:
    """Ana's browser, where she is logged in."""
    visitor = Visitor(ana.app)
    visitor.log_in()
    return visitor


def send(visitor: Visitor, /, **typed: str | None) -> TestResponse:
    """Fill in the form of the page and send it; the answer, wherever that leads."""
    form = visitor.page.forms[PAGE]
    kept = {n: f["value"] for n, f in form.items() if f["type"] == "hidden" or "checked" in f}
    data = {name: text for name, text in {**kept, **typed}.items() if text is not None}
    return visitor.client.post(PAGE, data=data, headers=SAME_ORIGIN)


def switches(visitor: Visitor) -> dict[str, bool]:
    """The optional scopes of the page, and whether they are switched on."""
    form = visitor.page.forms[PAGE]
    return {n.removeprefix("scope-"): "checked" in f for n, f in form.items() if n.startswith("scope-")}


def outcome(answer: TestResponse) -> str:
    """What the app is told, after the rest of the address was found to be right."""
    assert answer.status_code == 303
    parts = urlsplit(str(answer.location))
    assert parts._replace(query="").geturl() == BACK
    told = parse_qs(parts.query)
    assert told.keys() == {"app", "status"}
    assert told["app"] == ["tiny"]
    return told["status"][0]


# What it shows


def test_who_is_not_logged_in_logs_in_first_and_comes_back(app: Flask, ana: Person) -> None:
    visitor = Visitor(app)
    visitor.open(f"{PAGE}?next=/account/apps")
    assert visitor.path == "/account/login?next=/v1/auth/authorize/billing?next%3D/account/apps"
    page = visitor.send(identifier="ana@example.com", password="violet-kettle-harbour-93")
    assert (visitor.path, page.heading) == (f"{PAGE}?next=/account/apps", "Allow Billing?")


def test_a_header_does_not_say_who_it_is(app: Flask, ana: Person) -> None:
    """Whoever holds a token could otherwise agree in the person's place, with no page in between."""
    client = app.test_client()
    for headers in (bearer(ana.access), {"api-token": ana.access}):
        answer = client.get(PAGE, headers=headers)
        assert (answer.status_code, answer.location) == (303, f"/account/login?next={PAGE}")
        assert client.post(PAGE, headers=headers).status_code == 303
    assert accepted(ana) is None


def test_required_scopes_are_locked_and_optional_ones_switched_on_at_first(visitor: Visitor) -> None:
    page = visitor.open(PAGE)
    assert visitor.status == 200
    assert page.heading == "Allow Billing?"
    assert "ana@example.com" in page.text
    assert "See all that you have written." in page.text
    assert visitor.answer.text.count("checked disabled") == 1
    assert switches(visitor) == {"read:tracks": True, "write:posts": True}
    assert page.field("shown")["value"] == "read:posts"
    assert "billing.example.com" in page.text


def test_it_is_not_stored_not_framed_and_may_post_on_to_the_app(visitor: Visitor) -> None:
    visitor.open(PAGE)
    headers = visitor.answer.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://billing.example.com;" in policy
    visitor.open("/account")
    assert "form-action 'self';" in visitor.answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("slug", ["nobody", "free", "off", "%00", "a" * 5000, "%ED%A0%80", "Billing"])
def test_an_app_that_does_not_ask_is_a_page_that_says_so(visitor: Visitor, slug: str) -> None:
    app = visitor.client.application
    add_app(app, "free", needs_agreement=False)
    add_app(app, "off", active=False)
    page = visitor.open(f"/v1/auth/authorize/{slug}")
    assert visitor.status == 404
    assert page.heading == "No app to allow"
    assert "asks for your agreement" in page.text
    assert page.links[-1] == "/account/apps"
    answer = visitor.client.post(
        f"/v1/auth/authorize/{slug}", data={"csrf_token": page.csrf_token}, headers=SAME_ORIGIN
    )
    assert answer.status_code == 404


def test_errors_under_its_path_are_pages_too(visitor: Visitor) -> None:
    for path in ("/v1/auth/authorize", "/v1/auth/authorize/billing/more"):
        assert visitor.open(path).heading == "Not found"
        assert visitor.status == 404
    answer = visitor.client.put(PAGE, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert answer.mimetype == "text/html"


def test_an_app_that_asks_for_nothing_may_know_who_one_is(app: Flask, visitor: Visitor, ana: Person) -> None:
    ask_for(app, required=(), optional=())
    assert "nothing more than to know who you are" in visitor.open(PAGE).text
    assert outcome(send(visitor)) == "authorized"
    assert accepted(ana) == set()


def test_words_of_operators_are_words_and_no_markup(app: Flask, visitor: Visitor) -> None:
    deed(app, changes.change_app, "billing", name="<b>Bill</b>", description='"><script>%s</script>')
    visitor.open(PAGE)
    assert "<b>" not in visitor.answer.text
    assert "<script>" not in visitor.answer.text
    assert visitor.page.heading == "Allow <b>Bill</b>?"


def test_it_speaks_spanish(ana: Person) -> None:
    visitor = Visitor(ana.app, **{"Accept-Language": "es"})
    visitor.open("/account/login")
    visitor.send(identifier="ana@example.com", password="violet-kettle-harbour-93")
    page = visitor.open(PAGE)
    assert (page.language, page.heading) == ("es", "¿Permitir Billing?")
    assert visitor.open("/v1/auth/authorize/nobody").heading == "Ninguna aplicación que permitir"


# Yes


def test_who_accepts_is_sent_back_and_the_choice_is_stored(app: Flask, visitor: Visitor, ana: Person) -> None:
    visitor.open(PAGE)
    with told(app) as heard:
        assert outcome(send(visitor, **{"scope-write:posts": None})) == "authorized"
    assert accepted(ana) == {"read:posts", "read:tracks"}
    found = standing(ana)
    assert found is not None
    assert found.up_to_date
    assert [event for event, _ in heard] == ["agreement.accepted"]
    assert heard[0][1]["user_id"] == ana.id
    assert sorted(heard[0][1]["scopes"]) == ["read:posts", "read:tracks"]


def test_the_last_choice_is_what_it_shows_the_next_time(visitor: Visitor) -> None:
    visitor.open(PAGE)
    send(visitor, **{"scope-write:posts": None})
    page = visitor.open(PAGE)
    assert switches(visitor) == {"read:tracks": True, "write:posts": False}
    assert "You allowed this on" in page.text
    assert page.buttons[-1] == "Save"


def test_scopes_that_came_since_are_new_and_not_chosen(app: Flask, visitor: Visitor, ana: Person) -> None:
    agree(ana, "billing", "read:tracks")
    edit(app, "AppScope", added_at=1_700_000_000)
    edit(app, "Agreement", agreed_at=1_700_000_001)
    assert "New" not in visitor.open(PAGE).text
    ask_for(app, required=("read:posts", "read:user"), optional=("read:tracks", "write:tracks"))
    page = visitor.open(PAGE)
    assert switches(visitor) == {"read:tracks": True, "write:tracks": False}
    assert {name for name, words in page.ids.items() if words.endswith("New")} == {
        "name-read:user",
        "name-write:tracks",
    }
    assert "It asks for something else than what you allowed" in page.text
    assert outcome(send(visitor)) == "authorized"
    assert accepted(ana) == {"read:posts", "read:user", "read:tracks"}
    assert "New" not in visitor.open(PAGE).text


def test_what_came_in_the_very_second_of_the_agreement_is_new_too(
    app: Flask, visitor: Visitor, ana: Person
) -> None:
    agree(ana, "billing", "read:tracks")
    ask_for(app, required=("read:posts",), optional=("read:tracks", "write:tracks"))
    edit(app, "Agreement", agreed_at=1_700_000_000)
    edit(app, "AppScope", added_at=1_700_000_000)
    page = visitor.open(PAGE)
    assert [name for name, words in page.ids.items() if words.endswith("New")] == ["name-write:tracks"]


@pytest.mark.parametrize(
    "more",
    [
        {"scope-read:user": "on"},  # defined, and asked for by another app
        {"scope-admin:users": "on"},
        {"scope-": "on", "scope-read:posts read:user": "on"},
        {"read:user": "on", "scopes": "read:user", "scope-\U0001f600": "on"},
    ],
)
def test_only_what_the_app_asks_for_can_be_stored(
    app: Flask, visitor: Visitor, ana: Person, more: dict[str, str]
) -> None:
    add_app(app, "other", required=("read:user",), optional=())
    visitor.open(PAGE)
    assert outcome(send(visitor, **more)) == "authorized"
    assert accepted(ana) == {"read:posts", "read:tracks", "write:posts"}
    assert accepted(ana, "other") is None


def test_a_required_scope_that_the_person_was_not_shown_is_not_agreed_to(
    app: Flask, visitor: Visitor, ana: Person
) -> None:
    visitor.open(PAGE)
    old = visitor.page
    ask_for(app, required=("read:posts", "read:user"), optional=("read:tracks",))
    answer = send(visitor)
    assert answer.status_code == 409
    page = read(answer.text)
    assert "needs more than this page showed you" in page.errors[0]
    assert page.field("shown")["value"] == "read:posts read:user"
    assert accepted(ana) is None
    visitor.page = old
    assert send(visitor, shown=None).status_code == 409  # nor by a form that does not say what it showed
    visitor.page = page
    assert outcome(send(visitor)) == "authorized"
    assert accepted(ana) == {"read:posts", "read:user", "read:tracks"}


def test_an_app_that_needs_less_than_was_shown_gets_less(app: Flask, visitor: Visitor, ana: Person) -> None:
    visitor.open(PAGE)
    ask_for(app, required=(), optional=("read:tracks",))
    assert outcome(send(visitor)) == "authorized"
    assert accepted(ana) == {"read:tracks"}


def test_another_person_at_the_same_browser_agrees_for_themselves(
    app: Flask, visitor: Visitor, ana: Person
) -> None:
    visitor.open(PAGE)
    send(visitor)
    visitor.open("/account/logout")
    visitor.send()
    ben = register(app, "ben@example.com")
    visitor.log_in("ben@example.com")
    visitor.open(PAGE)
    send(visitor, **{"scope-write:posts": None, "scope-read:tracks": None})
    assert accepted(ana) == {"read:posts", "read:tracks", "write:posts"}
    assert accepted(ben) == {"read:posts"}


# No


def test_who_rejects_is_sent_back_and_nothing_is_stored(visitor: Visitor, ana: Person) -> None:
    page = visitor.open(PAGE)
    assert f"{BACK}?app=tiny&status=rejected" in page.links
    assert outcome(send(visitor, decision="reject")) == "rejected"
    assert accepted(ana) is None


def test_to_reject_leaves_an_older_agreement_as_it_is(visitor: Visitor, ana: Person) -> None:
    agree(ana, "billing", "read:tracks")
    page = visitor.open(PAGE)
    assert "Leave it as it is" in page.text
    assert outcome(send(visitor, decision="reject", **{"scope-write:posts": "on"})) == "rejected"
    assert accepted(ana) == {"read:posts", "read:tracks"}


# Who sends it


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_another_site_cannot_agree_for_a_person(
    visitor: Visitor, ana: Person, headers: dict[str, str], status: int
) -> None:
    """Cross-site request forgery, even with a token that somehow leaked."""
    data = {"csrf_token": visitor.open(PAGE).csrf_token, "shown": "read:posts"}
    assert visitor.client.post(PAGE, data=data, headers=headers).status_code == status
    assert accepted(ana) is None


@pytest.mark.parametrize("token", [None, "", "x" * 65, "é"])
def test_without_a_token_of_this_browser_nothing_is_agreed_to(
    visitor: Visitor, ana: Person, token: str | None
) -> None:
    visitor.open(PAGE)
    answer = send(visitor, csrf_token=token, **{"scope-write:posts": None})
    assert answer.status_code == 403
    page = read(answer.text)
    assert "This form was too old" in page.errors[0]
    visitor.page = page
    assert switches(visitor) == {"read:tracks": True, "write:posts": False}  # what was chosen is still there
    assert accepted(ana) is None


def test_the_token_of_another_login_does_not_count(app: Flask, visitor: Visitor, ana: Person) -> None:
    register(app, "ben@example.com")
    ben = Visitor(app)
    ben.log_in("ben@example.com")
    token = ben.open(PAGE).csrf_token
    visitor.open(PAGE)
    assert send(visitor, csrf_token=token).status_code == 403
    assert accepted(ana) is None


def test_a_person_who_is_gone_or_logged_out_agrees_to_nothing(
    app: Flask, visitor: Visitor, ana: Person
) -> None:
    visitor.open(PAGE)
    ana.post("/auth/logout-all")
    answer = send(visitor)
    assert (answer.status_code, answer.location) == (303, f"/account/login?next={PAGE}")
    ana = log_in(app)
    visitor = Visitor(app)
    visitor.log_in()
    visitor.open(PAGE)
    assert ana.call("DELETE", "/auth/me").status_code == 204
    assert send(visitor).location == f"/account/login?next={PAGE}"
    with in_database(app) as (db, rows):
        assert db.session.query(rows.Agreement).count() == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"csrf_token=a&csrf_token=b", 400),
        (b"%00=%00&scope-read:tracks=%00&shown=%ff%fe", 403),
        (b"a" * 70_000, 413),
        (b"scope-read:tracks=on&" * 2000, 400),
        (b"{}", 403),
    ],
)
def test_a_strange_form_is_refused_by_a_page(visitor: Visitor, ana: Person, body: bytes, status: int) -> None:
    visitor.open(PAGE)
    answer = visitor.client.post(
        PAGE, data=body, headers=SAME_ORIGIN, content_type="application/x-www-form-urlencoded"
    )
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    json = visitor.client.post(PAGE, json={"scopes": ["read:posts"]}, headers=SAME_ORIGIN)
    assert (json.status_code, json.mimetype) == (415, "text/html")
    assert accepted(ana) is None


def test_a_nul_in_a_choice_is_a_complaint(visitor: Visitor, ana: Person) -> None:
    visitor.open(PAGE)
    assert send(visitor, **{"scope-read:tracks": "on\x00"}).status_code == 422
    assert send(visitor, shown="read:posts\x00").status_code == 422
    assert accepted(ana) is None


# Where it leads


@pytest.mark.parametrize(
    ("url", "led_to"),
    [
        (
            "https://a.example/cb?team=7&x=a+b%20c",
            "https://a.example/cb?team=7&x=a+b%20c&app=tiny&status=authorized",
        ),
        ("https://a.example", "https://a.example?app=tiny&status=authorized"),
        ("https://a.example/cb?", "https://a.example/cb?app=tiny&status=authorized"),
        (
            "http://localhost:8000/cb?status=old&app=x&b",
            "http://localhost:8000/cb?b&app=tiny&status=authorized",
        ),
    ],
)
def test_the_apps_own_query_is_kept(visitor: Visitor, url: str, led_to: str) -> None:
    deed(visitor.client.application, changes.change_app, "billing", redirect_url=url)
    visitor.open(PAGE)
    assert send(visitor).location == led_to


def test_an_app_without_an_address_is_told_of_on_a_page_of_ours(app: Flask, visitor: Visitor) -> None:
    deed(app, changes.change_app, "billing", redirect_url=None)
    visitor.open(PAGE)
    visitor.send(decision="reject")
    assert (visitor.path, visitor.page.notice) == ("/account/apps", "Nothing was changed.")
    visitor.open(PAGE)
    page = visitor.send()
    assert (visitor.path, page.notice) == (
        "/account/apps",
        "Your choice is saved. What the app may do stands below.",
    )
    assert "Billing" in page.text


def test_a_page_of_ours_that_led_there_is_come_back_to(visitor: Visitor) -> None:
    page = visitor.open(f"{PAGE}?next=/account/apps")
    assert "/account/apps" in page.links
    assert "billing.example.com" not in page.text
    visitor.path = PAGE
    page = visitor.send()
    assert (visitor.path, page.notice) == (
        "/account/apps",
        "Your choice is saved. What the app may do stands below.",
    )


@pytest.mark.parametrize("there", ["//evil.example", "https://evil.example", "/\\evil.example", "/a//b"])
def test_no_address_of_another_site_is_come_back_to(visitor: Visitor, there: str) -> None:
    """An open redirect (CVE-2021-32618, CVE-2023-49438)."""
    visitor.open(f"{PAGE}?next={there}")
    assert "evil" not in visitor.answer.text
    assert outcome(send(visitor, next=there)) == "authorized"


def test_a_host_moves_the_page(ana: Person) -> None:
    app: Any = asking_app(agreement_path="/allow", pages_prefix="/me")
    visitor = Visitor(app)
    visitor.open("/allow/billing")
    assert visitor.path == "/me/login?next=/allow/billing"
    assert visitor.client.get(PAGE).status_code == 404

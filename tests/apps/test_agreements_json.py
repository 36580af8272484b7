"""What one agreed to, as JSON: listed, shown, withdrawn as a whole and scope by scope."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from flask_linked_auth.apps import changes
from tests.apps.asking import accepted, add_app, agree, ask_for, asking_app, deed
from tests.browsers import SAME_ORIGIN
from tests.tiny import Person, refused, register, told
from tests.visitor import Visitor

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return asking_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


@pytest.fixture
def ben(app: Flask) -> Person:
    return register(app, "ben@example.com")


def test_agreements_are_listed_by_page_in_the_order_of_the_names(app: Flask, ana: Person) -> None:
    empty = {"count": 0, "next": None, "previous": None, "results": []}
    assert ana.get("/auth/agreements").get_json() == empty
    for slug in ("zebra", "aardvark"):
        add_app(app, slug)
        agree(ana, slug, "write:posts")
    agree(ana)
    ask_for(app, "zebra", required=(), optional=("read:tracks",))
    first = ana.get("/auth/agreements?page_size=2").get_json()
    assert (first["count"], first["previous"]) == (3, None)
    rest = ana.get(first["next"]).get_json()
    assert rest["next"] is None
    shown = [*first["results"], *rest["results"]]
    assert [each["app"] for each in shown] == ["aardvark", "billing", "zebra"]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", each.pop("agreed_at")) for each in shown)
    assert shown[0] == {
        "app": "aardvark",
        "name": "Aardvark",
        "up_to_date": True,
        "scopes": ["read:posts", "write:posts"],
    }
    assert shown[2] == {"app": "zebra", "name": "Zebra", "up_to_date": False, "scopes": []}


def test_the_older_list_is_bare(app: Flask, ana: Person) -> None:
    add_app(app, "aardvark")
    agree(ana)
    agree(ana, "aardvark")
    ask_for(app, required=("read:posts",), optional=())
    answer = ana.get("/v1/auth/appuseragreement")
    assert answer.get_json() == [
        {"app": "aardvark", "up_to_date": True},
        {"app": "billing", "up_to_date": False},
    ]
    assert answer.headers["Cache-Control"] == "no-store"
    refused(ana.post("/v1/auth/appuseragreement"), 405, "method-not-allowed")
    refused(app.test_client().get("/v1/auth/appuseragreement"), 401, "token-missing")


def test_one_agreement_is_shown(ana: Person) -> None:
    agree(ana, "billing", "read:tracks")
    answer = ana.get("/auth/agreements/billing")
    body = answer.get_json()
    assert (body["name"], body["scopes"], body["up_to_date"]) == (
        "Billing",
        ["read:posts", "read:tracks"],
        True,
    )
    assert answer.headers["Cache-Control"] == "no-store"


def test_withdrawing_one_leaves_the_others_and_other_people_alone(
    app: Flask, ana: Person, ben: Person
) -> None:
    add_app(app, "other")
    for person in (ana, ben):
        agree(person)
    agree(ana, "other")
    with told(app) as heard:
        answer = ana.call("DELETE", "/auth/agreements/billing")
    assert (answer.status_code, answer.data) == (204, b"")
    assert heard[0][0] == "agreement.withdrawn"
    assert heard[0][1]["user_id"] == ana.id
    assert accepted(ana) is None
    assert accepted(ana, "other") == accepted(ben) == {"read:posts"}
    refused(ana.call("DELETE", "/auth/agreements/billing"), 404, "not-found")
    refused(ana.get("/auth/agreements/billing"), 404, "not-found")


def test_one_optional_scope_is_withdrawn(app: Flask, ana: Person) -> None:
    agree(ana, "billing", "read:tracks", "write:posts")
    with told(app) as heard:
        assert ana.call("DELETE", "/auth/agreements/billing/scopes/read:tracks").status_code == 204
    assert accepted(ana) == {"read:posts", "write:posts"}
    assert heard[0][1]["scopes"] == ["read:tracks"]
    assert ana.get("/auth/agreements/billing").get_json()["up_to_date"] is True


def test_a_scope_that_the_app_needs_goes_with_all_of_it_only(ana: Person) -> None:
    agree(ana, "billing", "read:tracks")
    body = refused(ana.call("DELETE", "/auth/agreements/billing/scopes/read:posts"), 409, "conflict")
    assert "Withdraw the whole agreement" in body["detail"]
    assert accepted(ana) == {"read:posts", "read:tracks"}


@pytest.mark.parametrize("scope", ["write:posts", "read:user", "nope", "read:posts read:tracks", "%00", "é"])
def test_what_was_not_accepted_cannot_be_withdrawn(ana: Person, scope: str) -> None:
    agree(ana, "billing", "read:tracks")
    refused(ana.call("DELETE", f"/auth/agreements/billing/scopes/{scope}"), 404, "not-found")
    assert accepted(ana) == {"read:posts", "read:tracks"}


@pytest.mark.parametrize("slug", ["nobody", "%00", "x" * 3000, "%ED%A0%80", "' OR 1=1 --"])
def test_an_app_that_is_not_there_is_like_one_that_one_has_not_agreed_to(ana: Person, slug: str) -> None:
    wanted = refused(ana.get("/auth/agreements/billing"), 404, "not-found")
    for method, path in (("GET", slug), ("DELETE", slug), ("DELETE", f"{slug}/scopes/read:posts")):
        assert refused(ana.call(method, f"/auth/agreements/{path}"), 404, "not-found") == wanted


def test_an_app_that_was_switched_off_or_needs_nothing_any_more_is_still_shown(
    app: Flask, ana: Person
) -> None:
    agree(ana)
    deed(app, changes.change_app, "billing", active=False, needs_agreement=False)
    assert ana.get("/auth/agreements").get_json()["count"] == 1
    assert ana.call("DELETE", "/auth/agreements/billing").status_code == 204


def test_unknown_paths_and_methods_are_ours(ana: Person) -> None:
    refused(ana.get("/auth/agreements/billing/more/and/more"), 404, "not-found")
    assert refused(ana.post("/auth/agreements"), 405, "method-not-allowed")
    refused(ana.call("PUT", "/auth/agreements/billing"), 405, "method-not-allowed")
    refused(ana.get("/auth/agreements?page=0"), 400, "malformed-request")


def test_a_browser_needs_the_csrf_token_to_withdraw(app: Flask, ana: Person) -> None:
    agree(ana)
    visitor = Visitor(app)
    visitor.log_in()
    path, client = "/auth/agreements/billing", visitor.client
    assert client.get(path, headers=SAME_ORIGIN).status_code == 200
    refused(client.delete(path, headers=SAME_ORIGIN), 403, "csrf-failed")
    token = visitor.open("/account").csrf_token
    cross = {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": token}
    refused(client.delete(path, headers=cross), 403, "csrf-failed")
    assert accepted(ana) == {"read:posts"}
    assert client.delete(path, headers={**SAME_ORIGIN, "X-CSRF-Token": token}).status_code == 204


def test_in_spanish(ana: Person) -> None:
    answer = ana.get("/auth/agreements/billing", headers={"Accept-Language": "es"})
    assert answer.get_json()["detail"] == "No tienes ningún acuerdo con esta aplicación."

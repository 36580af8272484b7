"""Agreements, ours and theirs: the other service's calls for a person stand and fall with what the person allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.peers.test_their_calls import refused, told
from tests.visitor import Visitor

if TYPE_CHECKING:
    from tests.peers.linked import Linked, Linking

PAGE = "/v1/auth/authorize/academy"


@pytest.fixture
def asking(linking: Linking) -> Linked:
    """The site needs an agreement here: to read posts, and to write them if people like."""
    linked = linking(needs_agreement=True, redirect_url="https://academy.example/back?from=us")
    linked.scopes(["read:posts"], ["write:posts", "read:user"])
    return linked


def visitor_of(linked: Linked, name: str = "ana") -> Visitor:
    """The person at a browser, on the page of the agreement."""
    visitor = Visitor(linked.pair.app)
    visitor.log_in(linked.email(name))
    visitor.open(PAGE)
    assert visitor.status == 200, visitor.answer.text
    return visitor


def decide(visitor: Visitor, **fields: str | None) -> str:
    """Send the form of the page: where the browser is sent to. None leaves a switch off."""
    data = {"csrf_token": visitor.page.csrf_token, "shown": visitor.page.field("shown")["value"]} | fields
    kept = {name: text for name, text in data.items() if text is not None}
    answer = visitor.client.post(PAGE, data=kept, headers={"Origin": "http://localhost"})
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def test_a_person_agrees_on_our_page_and_they_may(asking: Linked) -> None:
    ana = asking.person()
    asking.knows(ana, 41)
    problem = refused(asking.called("GET", "/posts/function", user=41), 403, "agreement-not-accepted")
    assert problem["agreement_url"].endswith(PAGE)

    visitor = visitor_of(asking)
    back = decide(visitor, **{"scope-write:posts": "on"})
    assert back == f"https://academy.example/back?from=us&app={asking.pair.name}&status=authorized"
    for view in ("function", "async", "jwt", "other", "both"):
        assert told(asking.called("GET", f"/posts/{view}", user=41))["known"] == ana.id
    # What was not chosen is not allowed; nor is anybody else spoken for.
    refused(asking.called("GET", "/v1/auth/app/user/", user=41), 403, "agreement-not-accepted")
    refused(asking.called("GET", "/posts/function", user=42), 403, "agreement-not-accepted")

    decide(visitor, **{"scope-read:user": "on"})
    refused(asking.called("GET", "/posts/other", user=41), 403, "agreement-not-accepted")
    listed = told(asking.called("GET", "/v1/auth/app/user/", user=41))
    assert [each["id"] for each in listed] == [ana.id]  # type: ignore[index]


def test_a_person_withdraws_and_they_may_not_any_more(asking: Linked) -> None:
    ana = asking.person()
    asking.knows(ana, 41)
    decide(visitor_of(asking), **{"scope-write:posts": "on"})
    assert told(asking.called("GET", "/posts/both", user=41))["sub"] == "41"
    answer = ana.call("DELETE", "/auth/agreements/academy/scopes/write:posts")
    assert answer.status_code == 204
    refused(asking.called("GET", "/posts/both", user=41), 403, "agreement-not-accepted")
    assert asking.called("GET", "/posts/function", user=41)["status"] == 200
    assert ana.call("DELETE", "/auth/agreements/academy").status_code == 204
    for how in ("sync", "async"):
        answer = asking.called("GET", "/posts/function", user=41, how=how)
        refused(answer, 403, "agreement-not-accepted")
    # For itself it has what it requires, whoever agreed to whatever.
    assert asking.called("GET", "/posts/function")["status"] == 200
    refused(asking.called("GET", "/posts/other"), 403, "forbidden-scope")


def test_it_asks_for_more_and_people_are_asked_again(asking: Linked) -> None:
    ana = asking.person()
    asking.knows(ana, 41)
    decide(visitor_of(asking))
    asking.scopes(["read:posts", "write:posts"], ["read:user"])
    assert ana.get("/v1/auth/appuseragreement").get_json() == [{"app": "academy", "up_to_date": False}]
    # A scope that was added after the agreement does not count; what was agreed to still does.
    refused(asking.called("GET", "/posts/other", user=41), 403, "agreement-not-accepted")
    assert asking.called("GET", "/posts/function", user=41)["status"] == 200
    decide(visitor_of(asking))
    assert asking.called("GET", "/posts/both", user=41)["status"] == 200
    assert ana.get("/v1/auth/appuseragreement").get_json() == [{"app": "academy", "up_to_date": True}]


def test_optional_scopes_work_whether_one_or_several(asking: Linked) -> None:
    """Over there one that was agreed is refused, and two are a server error."""
    choices = [["write:posts"], ["read:user"], ["write:posts", "read:user"]]
    for number, chosen in enumerate(choices, 41):
        asking.knows(asking.person(f"p{number}"), number)
        decide(visitor_of(asking, f"p{number}"), **{f"scope-{each}": "on" for each in chosen})
        for scope, path in (("write:posts", "/posts/both"), ("read:user", "/v1/auth/app/user/")):
            answer = asking.called("GET", path, user=number)
            assert answer["status"] == (200 if scope in chosen else 403)


def test_the_form_stores_nothing_that_it_never_asked_for(asking: Linked) -> None:
    ana = asking.person()
    decide(visitor_of(asking), **{"scope-admin:all": "on", "admin:all": "on", "scope-write:posts": "on"})
    (agreed,) = ana.get("/auth/agreements").get_json()["results"]
    assert set(agreed["scopes"]) == {"read:posts", "write:posts"}


def test_an_agreement_is_that_of_the_person_not_of_the_number(asking: Linked) -> None:
    """Their person with the number of our Ana is Ben, who has not agreed."""
    ana, ben = asking.person("ana"), asking.person("ben")
    asking.knows(ben, ana.id)
    asking.knows(ana, 4100)
    asking.agrees(ana)
    refused(asking.called("GET", "/posts/function", user=ana.id), 403, "agreement-not-accepted")
    assert told(asking.called("GET", "/posts/function", user=4100))["known"] == ana.id
    # And a number that means nobody here has agreed to nothing, though ours of that number has.
    refused(asking.called("GET", "/posts/function", user=ben.id), 403, "agreement-not-accepted")


# Theirs.


def test_a_person_agrees_on_their_page_and_we_may(linking: Linking) -> None:
    there = {"require_an_agreement": True, "required": ["read:posts"], "optional": ["write:posts"]}
    linked = linking(there=there)
    # They look agreements up by our number of the person (mistake of the package), so it has to be theirs too.
    ana = linked.person_there()

    def call(view: str, **options: Any) -> tuple[int, Any]:
        answer = linked.calls("GET", f"/posts/{view}", ana, **options)
        return answer.status_code, answer.json().get("detail")

    for how in ("sync", "async"):
        assert call("function", how=how) == (400, "agreement-not-accepted")
    assert linked.academy.agrees(ana, linked.pair.name, {}).status_code == 302
    for view in ("function", "class", "async", "jwt"):
        assert call(view) == (200, None)
    assert call("other") == (401, "forbidden-scope")
    assert call("other", how="async") == (401, "forbidden-scope")


def test_both_sides_ask(asking: Linked) -> None:
    """Each side's agreement is its own: neither opens the other's views."""
    row = {"require_an_agreement": True, "required": ["read:posts"]}
    asking.there(**row)
    there, here = asking.person_there(), asking.person()
    asking.knows(here, there)
    asking.agrees(here)
    assert asking.called("GET", "/posts/function", user=there)["status"] == 200
    assert asking.calls("GET", "/posts/function", there).json() == {"detail": "agreement-not-accepted"}
    assert asking.academy.agrees(there, asking.pair.name, {}).status_code == 302
    assert asking.calls("GET", "/posts/function", there).status_code == 200

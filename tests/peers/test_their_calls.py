"""The Django package's own client calls a live app of ours: what our guards admit, and what they tell the view."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import pytest

from flask_linked_auth.links.keys import ALGORITHMS
from tests.peers.flask_pair import METHODS
from tests.peers.linked import BOTH_WAYS

if TYPE_CHECKING:
    from tests.peers.linked import Linked, Linking

BY_TOKEN, BY_SIGNATURE = ["function", "async", "jwt"], ["function", "async", "signature", "async-signature"]


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """What the view answered."""
    assert answer["status"] == 200, answer
    found: dict[str, Any] = json.loads(answer["body"])
    return found


def refused(answer: dict[str, Any], status: int, slug: str) -> dict[str, Any]:
    """The problem that was answered."""
    body: dict[str, Any] = json.loads(answer["body"])
    assert (answer["status"], body["slug"]) == (status, slug), answer
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    return body


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_its_token_opens_our_views(linking: Linking, algorithm: str) -> None:
    linked = linking(algorithm)
    ana = linked.person()
    linked.knows(ana, 41)
    for user, how in itertools.product([None, 41], ["sync", "async"]):
        for view, method in zip([*BY_TOKEN, "function", "async"], METHODS, strict=True):
            sent: dict[str, Any] = {} if method == "GET" else {"json": {"a": [1, "é"]}}
            answer = linked.called(
                method, f"/posts/{view}?get_user=1", how=how, user=user, params={"q": "ä b"}, **sent
            )
            assert told(answer) == {
                "app": "academy",
                "sub": None if user is None else "41",
                "user": None if user is None else {"id": ana.id, "email": linked.email("ana")},
                "known": None if user is None else ana.id,
                "kind": "app",
                "by": "link",
                "params": {"get_user": ["1"], "q": ["ä b"]},
                "data": sent.get("json"),
            }
    refused(linked.called("GET", "/posts/signature"), 401, "authorization-header-forbidden-schema")


#: Method, what its client was given, and the body that the view is to get.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "GET": ("GET", {}),
    "GET with params": ("GET", {"params": {"q": "1", "name": "José 'O'"}}),
    "GET with params as lists": ("GET", {"params": {"q": ["1", "2"]}}),
    "POST without a body": ("POST", {}),
    "POST of JSON": ("POST", {"json": {"a": 1, "b": [None, True, 2.5, "é'\""], "c": {}}}),
    "POST of JSON with params": ("POST", {"json": {"a": 1}, "params": {"q": "1"}}),
    "POST of a form": ("POST", {"data": {"a": "1", "b": "José"}}),
    "PUT of JSON": ("PUT", {"json": {"a": 1}}),
    "PATCH of a list": ("PATCH", {"json": [{"a": 1}, 2]}),
    "DELETE": ("DELETE", {}),
}


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_its_signature_opens_our_views_where_the_row_allows_it(linking: Linking, algorithm: str) -> None:
    linked = linking(algorithm, accepts=BOTH_WAYS)
    calls = itertools.product(["sync", "async"], CALLS.values())
    for number, (how, (method, given)) in enumerate(calls):
        view = BY_SIGNATURE[number % len(BY_SIGNATURE)]
        found = told(linked.called(method, f"/posts/{view}", how=how, mode="signature", **given))
        assert (found["app"], found["sub"], found["user"]) == ("academy", None, None)
        assert (found["kind"], found["by"]) == ("app", "signature")
        assert found["params"] == parse_qs(urlencode(given.get("params", {}), doseq=True))
        assert found["data"] == given.get("json")
    refused(
        linked.called("GET", "/posts/jwt", mode="signature"),
        401,
        "authorization-header-forbidden-schema",
    )


@pytest.mark.parametrize("accepts", [["link"], ["link", "signature"]])
def test_its_signature_is_refused_where_the_row_does_not(linking: Linking, accepts: list[str]) -> None:
    linked = linking(accepts=accepts)
    for view in BY_SIGNATURE:
        answer = linked.called("POST", f"/posts/{view}", mode="signature", json={"a": 1})
        refused(answer, 401, "authorization-header-forbidden-strategy")
    assert told(linked.called("POST", "/posts/function", json={"a": 1}))["by"] == "link"


def test_a_row_may_allow_nothing_else_than_its_signature(linking: Linking) -> None:
    linked = linking(accepts=["legacy-signature"])
    refused(linked.called("GET", "/posts/function"), 401, "authorization-header-forbidden-strategy")
    assert told(linked.called("GET", "/posts/function", mode="signature"))["by"] == "signature"


def test_its_client_relays_our_answer(linked: Linked) -> None:
    """`proxy=True` over there: our answer, a refusal too, reaches whoever asked the site."""
    answer = linked.called("GET", "/posts/function", proxy=True)
    assert told(answer)["app"] == "academy"
    linked.change(ceiling=["read:posts"])
    refused(linked.called("GET", "/posts/other", proxy=True), 403, "forbidden-scope")


def test_a_one_time_token_tells_it_once_who_somebody_is(linking: Linking) -> None:
    linked = linking(accepts=BOTH_WAYS)
    ana, path = linked.person(), "/v1/auth/app/token"
    for given in ({}, {"mode": "signature"}, {"how": "async"}):
        introduced = ana.post("/v1/auth/me/app/academy/token")
        assert introduced.status_code == 201, introduced.text
        token = introduced.get_json()["token"]
        found = told(linked.called("POST", path, json={"token": token}, **given))
        assert (found["user_id"], found["email"]) == (ana.id, linked.email("ana"))
        refused(linked.called("POST", path, json={"token": token}, **given), 401, "invalid-token")
    refused(linked.called("POST", path, json={}), 400, "token-not-provided")
    linked.change(needs_agreement=True)
    linked.scopes(["read:token"])
    token = {"token": "fla_it_" + "x" * 43}
    refused(linked.called("POST", path, json=token), 403, "from-external-app")

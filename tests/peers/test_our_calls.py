"""Our own client calls the real Django package's views: by its JWT, and by its signatures."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import Service
from flask_linked_auth.links.keys import ALGORITHMS
from tests.peers.flask_pair import METHODS

if TYPE_CHECKING:
    from tests.peers.linked import Linking

VIEWS = ["function", "class", "async", "jwt"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_we_open_its_views_by_a_token(linking: Linking, algorithm: str) -> None:
    linked = linking(algorithm)
    for user, how in itertools.product([None, 7], ["sync", "async"]):
        for view, method in zip([*VIEWS, "async"], METHODS, strict=True):
            sent: dict[str, Any] = {} if method == "GET" else {"json": {"a": [1, "é"]}}
            answer = linked.calls(method, f"/posts/{view}", user, how=how, params={"q": "ä b"}, **sent)
            assert answer.status_code == 200, answer.text
            assert answer.json() | {"given": ...} == {
                "app": linked.pair.name,
                "sub": user,
                "user": None,
                "given": ...,
                "params": {"q": ["ä b"]},
                "data": sent.get("json", {}),
            }
    assert linked.calls("GET", "/posts/signature", 7).json() == {"detail": "unknown-auth-schema"}


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "GET": ("GET", {}),
    "GET with params": ("GET", {"params": {"q": ["1", "2"], "name": "José 'O'"}}),
    "GET with a header": ("GET", {"headers": {"X-A": "b"}}),
    "POST without a body": ("POST", {}),
    "POST of JSON": ("POST", {"json": {"a": 1, "b": [None, True, 2.5, "é'\""], "c": {}}}),
    "POST of JSON with params": ("POST", {"json": {"a": 1}, "params": {"q": "1"}}),
    "POST of a form": ("POST", {"data": {"a": ["1", "2"], "b": "José"}}),
    "PUT of JSON": ("PUT", {"json": {"a": 1}}),
    "PATCH of a list": ("PATCH", {"json": [{"a": 1}, 2]}),
    "DELETE": ("DELETE", {}),
}


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_we_open_its_views_by_its_signature(linking: Linking, algorithm: str) -> None:
    """What its own client can only do with a JSON body."""
    linked = linking(algorithm)
    calls = itertools.product(["sync", "async"], CALLS.items())
    for number, (how, (name, (method, given))) in enumerate(calls):
        view = "/posts/signature" if number % 2 else "/posts/async-signature"
        answer = linked.calls(method, view, how=how, mode="signature", **given)
        assert (answer.status_code, answer.json().get("app")) == (200, linked.pair.name), name
        if "json" in given:
            assert answer.json()["data"] == given["json"]


def test_the_row_may_say_that_we_sign(linking: Linking) -> None:
    linked = linking(dialect="legacy-signature", there={"strategy": "SIGNATURE"})
    for view in ("function", "class", "async", "signature"):
        answer = linked.calls("POST", f"/posts/{view}", json={"a": 1})
        assert (answer.status_code, answer.json().get("app")) == (200, linked.pair.name), answer.text
    with pytest.raises(ValueError, match="speaks for no person"):
        linked.calls("GET", "/posts/function", 7)
    assert linked.calls("GET", "/posts/function", 7, mode="jwt").json() == {
        "detail": "authorization-header-forbidden-strategy"
    }


@pytest.mark.parametrize("stream", [False, True])
def test_we_relay_its_answer(linking: Linking, stream: bool) -> None:
    linked = linking()
    with linked.pair.app.test_request_context():
        with Service("academy", 7, proxy=True) as there:
            answer = there.get("/posts/function", params={"q": "1"}, stream=stream)
        assert (answer.status_code, answer.get_json()["sub"]) == (200, 7)
        assert answer.headers["Service"] == "academy"
        with Service("academy", proxy=True) as there:
            refused = there.get("/posts/signature")
        assert (refused.status_code, refused.get_json()) == (401, {"detail": "unknown-auth-schema"})

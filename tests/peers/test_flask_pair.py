"""The live Flask app is there, its guards hold, and the Django package's client reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.peers.flask_pair import GUARDED, Pair
from tests.tiny import bearer, register

if TYPE_CHECKING:
    from tests.peers.academy import Academy


def test_a_person_is_admitted_and_a_stranger_is_not(pair: Pair) -> None:
    ana = register(pair.app)
    for view in GUARDED:
        assert pair.ask("GET", f"/posts/{view}").status_code == 401
    answer = pair.ask("POST", "/posts/function?q=1", bearer(ana.access), json={"a": 1})
    assert (answer.status_code, answer.json()["kind"]) == (200, "user")
    assert (answer.json()["params"], answer.json()["data"]) == ({"q": ["1"]}, {"a": 1})


@pytest.mark.parametrize("mode", ["jwt", "signature"])
@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_service_that_it_does_not_know_is_refused(
    academy: Academy, pair: Pair, how: str, mode: str
) -> None:
    academy.has_app(pair.name, app_url=pair.address)
    for view in GUARDED:
        answer = academy.calls(pair.name, "POST", f"/posts/{view}", how=how, mode=mode, json={"a": 1}, user=3)
        assert answer["status"] == 401
        assert answer["headers"]["Content-Type"] == "application/problem+json"

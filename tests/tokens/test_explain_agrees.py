"""`flask linked-auth explain` on every false token of test_claims_refused.py: it agrees with the guard, and says why.

The tests of that file run again, with another `refused`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import Auth
from flask_linked_auth.attempts import Attempt
from flask_linked_auth.errors import InvalidToken, Problem
from flask_linked_auth.explain import explain
from flask_linked_auth.testing import moving_clock
from flask_linked_auth.tokens.ring import Held
from tests.tiny import make_app, state_of
from tests.tokens import test_claims_refused as cases

if TYPE_CHECKING:
    from flask import Flask

    from flask_linked_auth.tokens.keys import Key

#: What no header is, and what measures the time that `verify` takes.
_NOT_ASKED = ("test_what_is_no_text", "test_a_huge_text", "test_the_shape_check")

for _name, _case in list(vars(cases).items()):
    if (
        _name.startswith("test_")
        and not _name.startswith(_NOT_ASKED)
        and " refused(" in inspect.getsource(_case)
    ):
        globals()[_name] = _case


@pytest.fixture(scope="module")
def app() -> Flask:
    app = make_app(secret=cases.SECRET, issuer=cases.CLAIMS["iss"], access_lifetime=3600)

    @app.get("/guarded")
    @Auth.auth_required
    def guarded() -> Any:
        return {}

    return app


@pytest.fixture(autouse=True)
def _ask_both(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refused(token: str, *keys: Key) -> InvalidToken | None:
        hold(app, keys or (cases.KEY,))
        return compare(app, token)

    with moving_clock(app) as clock:
        clock.ahead = cases.NOW - time.time()
        monkeypatch.setattr(cases, "refused", refused)
        yield


def hold(app: Flask, keys: tuple[Key, ...]) -> None:
    """Let the app have exactly these keys."""
    ring = state_of(app).ring
    ring._static = tuple(Held(key) for key in keys)
    ring.mark_stale()
    state_of(app).verifier.forget()


def guard(app: Flask, token: str) -> dict[str, Any] | None:
    """What the guard says to a token: the problem, None for none."""
    if token.isascii() and token.isprintable():
        answer = app.test_client().get("/guarded", headers={"Authorization": f"Bearer {token}"})
        return None if answer.status_code == 200 else dict(answer.get_json())
    with app.app_context():  # no client sends this
        try:
            state_of(app).readers["bearer"](token)
        except Problem as problem:
            return {"slug": problem.slug, "detail": str(problem.detail)}
        return None


def compare(app: Flask, token: str) -> InvalidToken | None:
    verdict = explain(app, Attempt({"Authorization": f"Bearer {token}"}))
    bare = token.rstrip(" \t\r\n")  # as a server takes off what stands around a header's value
    said = guard(app, bare)
    failed = [step for step in verdict.steps if step.good is False]
    words = "\n".join([*(step.words for step in verdict.steps), *verdict.conclusion()])
    if said is None:
        assert bare != token
        assert verdict.problem is None
        assert failed == []
        return None
    assert verdict.problem is not None
    assert (verdict.problem.slug, verdict.problem.detail) == (said["slug"], said["detail"])
    assert len(failed) == 1, words
    assert failed[0].name != "guard", "the steps do not explain it"
    after = verdict.steps[verdict.steps.index(failed[0]) + 1 :]
    assert all(step.name == "it says" for step in after)
    signature = token.rpartition(".")[2]
    assert len(signature) < 12 or signature not in words
    assert all(each.isprintable() for each in words.split("\n"))
    assert isinstance(verdict.problem, InvalidToken)
    return verdict.problem

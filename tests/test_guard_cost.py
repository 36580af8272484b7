"""What a guard costs, in queries and function calls, which are the same on any machine; times are in benchmarks/."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g

from benchmarks.guards import (
    Case,
    calls_of,
    crowd,
    db,
    fill,
    guards,
    host,
    measure,
    ours,
    queries_of,
    show,
    token_for,
)
from flask_linked_auth import Auth, scope
from flask_linked_auth.errors import InvalidToken
from tests.tiny import state_of

#: Over the open view: what the guard and the view itself call. A few more than there are now, for other releases.
PYTHON_CALLS, C_CALLS = 14, 14
Make = Callable[..., Flask]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes apps of the benchmark's, each on a database of its own with ten users."""
    made: list[Flask] = []

    def make(*, users: int = 10, revoked: int = 0, **settings: Any) -> Flask:
        # Asking what is new is a query of its own, and has tests of its own below.
        settings = {"REVOCATION_INTERVAL": 60} | settings
        app = ours(f"sqlite:///{tmp_path / f'{len(made)}.db'}", **settings)
        made.append(app)
        fill(app, users=users, revoked=revoked)
        return app

    yield make
    for app in made:
        dispose(app)


def dispose(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


def case(app: Flask, path: str, *tokens: str) -> Case:
    """Requests of a view with these tokens in turn, after one that loads the signing keys and the feed."""
    bearers = [f"Bearer {token}" for token in tokens or [token_for(app, 7)]]
    case = Case(path, app, path, cycle(bearers))
    for _ in bearers:
        case.request()
    return case


def added(app: Flask, path: str, *tokens: str) -> tuple[int, int]:
    """How many Python and C functions more than the open view this one calls."""
    (python, c), (less_python, less_c) = case(app, path, *tokens).calls(), case(app, "/open").calls()
    return python - less_python, c - less_c


def test_a_token_seen_before_costs_no_query_and_few_calls(make: Make) -> None:
    app = make()
    seen = case(app, "/guarded")
    assert [queries_of(seen.request) for _ in range(20)] == [0] * 20
    python, c = added(app, "/guarded")
    assert 0 < python <= PYTHON_CALLS
    assert 0 < c <= C_CALLS


def test_a_token_at_first_sight_costs_no_query(make: Make) -> None:
    app = make()
    case(app, "/guarded")  # the process has its keys
    new = Case("", app, "/guarded", (f"Bearer {token_for(app, 7)}" for _ in range(20)))
    assert [queries_of(new.request) for _ in range(20)] == [0] * 20


def test_the_user_touched_costs_one_select(make: Make) -> None:
    app = make()

    @app.get("/twice")
    @Auth.auth_required
    def twice() -> str:
        assert g.get_user().email == g.user.email == g.user["email"]
        return "ok"

    for path in ("/user", "/twice"):
        touched = case(app, path)
        assert [queries_of(touched.request) for _ in range(5)] == [1] * 5


def test_only_the_users_key_is_free(make: Make) -> None:
    app = make()

    @app.get("/key")
    @Auth.auth_required
    def key() -> str:
        assert g.user.id == g.identity.user_id == 7
        return "ok" if g.user and repr(g.user) else ""

    assert queries_of(case(app, "/key").request) == 0


def test_scopes_cost_no_query_unless_they_are_for_administrators(make: Make) -> None:
    app = make()

    @app.get("/either")
    @scope(["read:posts", "admin:users"], any_of=True)
    def either() -> str:
        return "ok"

    assert queries_of(case(app, "/scope").request) == 0
    python, _ = added(app, "/scope")
    assert python <= 2 * PYTHON_CALLS
    assert queries_of(case(app, "/either").request) == 1


def test_the_extension_adds_nothing_to_an_open_view(make: Make, tmp_path: Path) -> None:
    app = make()
    bare = host(f"sqlite:///{tmp_path / '0.db'}")
    with_it, without = case(app, "/open"), Case("", bare, "/open", repeat("Bearer x"))
    try:
        assert all(mine <= bare for mine, bare in zip(with_it.calls(), without.calls(), strict=True))
        assert queries_of(with_it.request) == 0
    finally:
        dispose(bare)


def test_the_revocation_check_is_a_look_up_however_much_was_revoked(make: Make) -> None:
    few, many = make(revoked=1), make(revoked=20_000)
    assert queries_of(case(many, "/guarded").request) == 0
    assert added(few, "/guarded") == added(many, "/guarded")


@pytest.mark.parametrize("interval", [0, 60])
def test_what_others_revoked_is_asked_once_an_interval_whoever_calls(make: Make, interval: int) -> None:
    app = make(REVOCATION_INTERVAL=interval)
    tokens = [token_for(app, user) for user in range(1, 6)]
    calls = case(app, "/guarded", *tokens)
    assert [queries_of(calls.request) for _ in tokens] == [0 if interval else 1] * len(tokens)


def test_the_cost_does_not_grow_with_users_and_tokens(make: Make) -> None:
    small, large = make(users=10), make(users=5000)
    tokens = [token_for(large, user) for user in range(1, 2001)]
    for path in ("/guarded", "/user"):
        assert added(small, path) == added(large, path, *tokens)


def test_a_memory_of_size_0_verifies_each_time(make: Make) -> None:
    python, _ = added(make(TOKEN_CACHE_SIZE=0), "/guarded")
    assert python > 2 * PYTHON_CALLS


def remembered(app: Flask) -> int:
    verifier = state_of(app).verifier
    return len(verifier._young) + len(verifier._old)


def test_a_bad_token_is_not_remembered(make: Make) -> None:
    app = make()
    with app.app_context():
        for _ in range(100):
            # The last character but three: any of its bits is a bit of the signature.
            token = token_for(app, 7)
            bad = token[:-4] + ("A" if token[-4] != "A" else "B") + token[-3:]
            with pytest.raises(InvalidToken):
                Auth.decode_token(bad)
    assert remembered(app) == 0


@pytest.mark.proof
def test_the_memory_stays_bounded(make: Make) -> None:
    app = make(
        TOKEN_CACHE_SIZE=40
    )  # turned over a hundred times by what follows, as a large one would be by more
    bearer = state_of(app).readers["bearer"]
    kept = token_for(app, 7)
    with app.app_context():
        for n in range(2000):
            bearer(token_for(app, n % 10 + 1))
            if n % 5 == 0:
                bearer(kept)
            assert remembered(app) <= 40
    seen = Case("", app, "/guarded", repeat(f"Bearer {kept}"))
    python, _ = calls_of(seen.request)  # what is in use stays: it is not verified again
    assert python - case(app, "/open").calls()[0] <= PYTHON_CALLS


def test_the_benchmark_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("flask_jwt_extended")
    cases, token = guards(tmp_path, f"sqlite:///{tmp_path / 'bench.db'}", million=100, tokens=60)
    cases += crowd(tmp_path, 100)
    show("added", measure(cases, token, rounds=2))
    for app in {id(each.app): each.app for case in cases for each in (case, case.over) if each}.values():
        dispose(app)
    queries = {
        line.split("|")[1].strip(): int(line.split("|")[5])
        for line in capsys.readouterr().out.splitlines()[3:]
    }
    assert queries["seen before"] == queries["first sight"] == queries["@scope"] == 0
    assert queries["user touched"] == queries["decorator written by hand (decode, SELECT)"] == 1
    assert queries["Flask-JWT-Extended, user and blocklist"] == 2
    assert len(queries) == len(cases)

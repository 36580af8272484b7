"""An unknown person, a wrong password, a deactivated person: the same answer, by the same work."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import bcrypt
import pytest
from sqlalchemy import event, update

from tests.faults.lab import PASSWORD, log_in, register, running

PEOPLE = {
    "known": ("ada@example.com", "not-the-password"),
    "unknown": ("nobody@example.com", PASSWORD),
    "deactivated": ("bea@example.com", PASSWORD),
    "deactivated, wrong": ("bea@example.com", "not-the-password"),
    "unusable hash": ("cat@example.com", PASSWORD),
    "empty hash": ("dan@example.com", PASSWORD),
    "no address": ("nobody", PASSWORD),
    "unknown, endless": ("nobody@example.com", "x" * 10_000),
    "known, endless": ("ada@example.com", "x" * 10_000),
    "known, empty": ("ada@example.com", ""),
}


@pytest.fixture
def app(database_url: str) -> Iterator[Any]:
    with running(database_url) as made:
        auth = made.extensions["lab"]
        for name in ("ada", "bea", "cat", "dan"):
            register(made, f"{name}@example.com")
        with made.app_context():
            changes = {"bea": {"active": False}, "cat": {"password_hash": "!"}, "dan": {"password_hash": ""}}
            for name, values in changes.items():
                auth.db.session.execute(
                    update(auth.User).where(auth.User.email == f"{name}@example.com").values(values)
                )
            auth.db.session.commit()
        log_in(made)
        yield made


def _try(app: Any, who: str) -> Any:
    email, password = PEOPLE[who]
    return app.test_client().post("/auth/login", json={"email": email, "password": password})


def test_every_failure_is_the_same_byte_for_byte(app: Any) -> None:
    answers = {who: _try(app, who) for who in PEOPLE}
    assert {answer.status_code for answer in answers.values()} == {401}
    assert len({answer.data for answer in answers.values()}) == 1
    assert len({tuple(answer.headers) for answer in answers.values()}) == 1


def test_every_failure_takes_one_hash_of_the_set_cost_and_the_same_statements(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[bytes] = []
    statements: list[str] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        hashes.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    monkeypatch.setattr(bcrypt, "hashpw", lambda *_: pytest.fail("nothing is hashed for a failure"))
    with app.app_context():
        engine = app.extensions["lab"].db.engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    seen = {}
    for who in PEOPLE:
        hashes.clear(), statements.clear()
        _try(app, who)
        assert len(hashes) == 1, who
        assert hashes[0].split(b"$")[2] == b"04", who
        seen[who] = list(statements)
    assert {len(each) for each in seen.values()} == {1}
    # A name that can be no address is looked for as a user name: another column, the same work.
    assert len({tuple(each) for who, each in seen.items() if who != "no address"}) <= 2


def test_the_right_password_still_works(app: Any) -> None:
    """So that the test above does not pass because all logins fail."""
    assert log_in(app)["user_id"]


@pytest.mark.proof
def test_the_time_tells_nothing(postgresql_url: str) -> None:
    """Interleaved tries at a cost at which the hash is most of the work.

    By their fastest quarter, since a busy machine only ever adds time; and what tells people apart does so each time,
    so one series of four without a difference will do.
    """
    who = {"known": ("ada@example.com", "not-the-password"), "unknown": ("nobody@example.com", PASSWORD)}
    with running(postgresql_url, bcrypt_cost=9) as app:
        register(app)
        client = app.test_client()

        def series() -> float:
            taken: dict[str, list[float]] = {name: [] for name in who}
            for _ in range(80):
                for name, (email, password) in who.items():
                    start = time.perf_counter()
                    client.post("/auth/login", json={"email": email, "password": password})
                    taken[name].append(time.perf_counter() - start)
            fast = [statistics.quantiles(each[10:], n=4)[0] for each in taken.values()]
            return max(fast) / min(fast)

        assert any(series() < 1.2 for _ in range(4))

"""Fifty people want the same address in one moment: one gets it, and the others hear 409."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.faults.lab import (
    PASSWORD,
    at_once,
    at_once_over,
    create_tables,
    dispose,
    log_in,
    make_app,
    running,
    served,
)

WANTED = {"email": "ada@example.com", "password": PASSWORD}


def _try(app: Any) -> Any:
    return app.test_client().post("/auth/register", json=WANTED)


def _count(app: Any, row: str) -> int:
    auth = app.extensions["lab"]
    with app.app_context():
        return int(auth.db.session.scalar(select(func.count()).select_from(getattr(auth.rows, row))))


def _check(statuses: list[int]) -> None:
    assert Counter(statuses) == {201: 1, 409: len(statuses) - 1}


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_one_address_by_fifty_threads_on_postgresql(postgresql_url: str, isolation: str) -> None:
    with running(postgresql_url, engine={"isolation_level": isolation}) as app:
        answers = at_once(50, lambda _: _try(app))
        _check([answer.status_code for answer in answers])
        assert (_count(app, "User"), _count(app, "Login")) == (1, 1)
        log_in(app)


def test_one_address_by_fifty_threads_with_the_default_limits_and_cost(database_url: str) -> None:
    with running(database_url, bcrypt_cost=12, rate_limits={"register": "60/minute;300/hour"}) as app:
        answers = at_once(50, lambda _: _try(app))
        _check([answer.status_code for answer in answers])
        assert all(
            answer.json["errors"] == {"email": ["Is already taken."]}
            for answer in answers
            if answer.status_code == 409
        )
        assert _count(app, "User") == 1


def test_one_user_name_by_many_addresses(database_url: str) -> None:
    with running(database_url) as app:

        def attempt(number: int) -> int:
            wanted = {**WANTED, "email": f"ada{number}@example.com", "username": "ada"}
            return app.test_client().post("/auth/register", json=wanted).status_code

        statuses = at_once(12, attempt)
        # Different addresses do not wait for each other, so some may find every hashing slot taken.
        assert Counter(statuses)[201] == 1
        assert set(statuses) <= {201, 409, 503}
        assert _count(app, "User") == 1


def test_changing_to_one_address_at_once(database_url: str) -> None:
    with running(database_url) as app:
        tokens = [
            app.test_client()
            .post("/auth/register", json={"email": f"p{number}@example.com", "password": PASSWORD})
            .json["token"]
            for number in range(10)
        ]

        def move(number: int) -> int:
            headers = {"Authorization": f"Bearer {tokens[number]}"}
            wanted = {"email": "one@example.com"}
            return app.test_client().patch("/auth/me", json=wanted, headers=headers).status_code

        assert Counter(at_once(10, move)) == {200: 1, 409: 9}


@pytest.mark.proof
@pytest.mark.parametrize("cost", [4, 12])
def test_one_address_over_four_workers(database_url: str, tmp_path: Path, cost: int) -> None:
    app = create_tables(make_app(database_url))
    try:
        with served(tmp_path, database_url, workers=4, threads=16, bcrypt_cost=cost) as server:
            answers = at_once_over(server, 50, "POST", "/auth/register", WANTED)
            _check([answer.status for answer in answers])
            assert (_count(app, "User"), _count(app, "Login")) == (1, 1)
    finally:
        dispose(app)

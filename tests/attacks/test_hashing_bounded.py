"""Many logins at once take a bounded share of the machine: the rest hears 503 at once, other views stay quick."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.faults.lab import (
    PASSWORD,
    at_once,
    bearer,
    create_tables,
    dispose,
    log_in,
    make_app,
    register,
    running,
    served,
)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Any]:
    with running(f"sqlite:///{tmp_path / 'test.db'}", hashes_at_once=2) as made:
        yield made


def test_never_more_hashes_at_a_time_than_set(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(app)
    running_now, most, lock = [0], [0], threading.Lock()
    real = bcrypt.checkpw

    def slow(password: bytes, hashed: bytes) -> bool:
        with lock:
            running_now[0] += 1
            most[0] = max(most[0], running_now[0])
        time.sleep(0.3)
        try:
            return real(password, hashed)
        finally:
            with lock:
                running_now[0] -= 1

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    taken: list[float] = []

    def deed(number: int) -> Any:
        start = time.monotonic()
        email = "ada@example.com" if number % 2 else "nobody@example.com"
        answer = app.test_client().post("/auth/login", json={"email": email, "password": PASSWORD})
        taken.append(time.monotonic() - start)
        return answer

    answers = at_once(40, deed)
    statuses = Counter(answer.status_code for answer in answers)
    assert most[0] == 2
    assert set(statuses) <= {200, 401, 503}  # chance decides who is among the few that get in
    assert len(set(statuses)) > 1
    assert statuses[503] >= 30
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json["slug"] == "unavailable"
    assert max(taken) < 5
    monkeypatch.setattr(bcrypt, "checkpw", real)
    log_in(app)  # every slot was given back


def test_a_slot_is_given_back_after_a_failure(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(app)
    real = bcrypt.checkpw

    def broken(password: bytes, hashed: bytes) -> bool:
        raise MemoryError

    monkeypatch.setattr(bcrypt, "checkpw", broken)
    for _ in range(5):
        answer = app.test_client().post(
            "/auth/login", json={"email": "ada@example.com", "password": PASSWORD}
        )
        assert answer.status_code == 500
        assert "MemoryError" not in answer.text
    monkeypatch.setattr(bcrypt, "checkpw", real)
    log_in(app)


@pytest.mark.proof
def test_two_hundred_logins_at_once_leave_other_views_quick(database_url: str, tmp_path: Path) -> None:
    """At the default cost, over a real server: while logins wait their turn, `me` is answered."""
    app = create_tables(make_app(database_url))
    token = register(app)["token"]
    dispose(app)
    credentials = {"email": "ada@example.com", "password": PASSWORD}
    with served(tmp_path, database_url, threads=240, bcrypt_cost=12, hashes_at_once=1) as server:
        server.call("POST", "/auth/login", credentials)
        done = threading.Event()
        waits: list[float] = []

        def deed(number: int) -> Any:
            if number < 200:
                return server.call("POST", "/auth/login", credentials)
            while not done.is_set():
                answer = server.call("GET", "/auth/me", token=token)
                assert answer.status == 200
                waits.append(answer.seconds)
                time.sleep(0.02)
            return None

        def stop() -> None:
            time.sleep(6)
            done.set()

        threading.Thread(target=stop, daemon=True).start()
        answers = at_once(202, deed)[:200]
        statuses = Counter(answer.status for answer in answers)
        assert set(statuses) == {200, 503}
        assert len(waits) > 20
        assert server.call("POST", "/auth/login", credentials).status == 200
        assert app.test_client().get("/guarded", headers=bearer(token)).status_code == 200
    dispose(app)

"""While keys change, no good token is refused; a key taken back is void at once, also where it was just seen."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

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
    wait_until,
)


def _rotate(app: Any, *arguments: str) -> str:
    result = app.test_cli_runner().invoke(args=["linked-auth", "keys", "rotate", *arguments])
    assert result.exit_code == 0, result.output
    return str(result.output)


def _kids(app: Any) -> list[str]:
    output = app.test_cli_runner().invoke(args=["linked-auth", "keys", "list"]).output
    return [line.split("\t")[0] for line in output.splitlines()]


def _status(app: Any, token: str) -> int:
    return int(app.test_client().get("/guarded", headers=bearer(token)).status_code)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_three_rotations_under_load_refuse_nobody(url: str, algorithm: str) -> None:
    """Two processes' worth of apps: one makes tokens and keys, the other meets what the first one made."""
    settings = {"algorithm": algorithm, "revocation_interval": 0.1}
    with running(url, **settings) as app:
        other = make_app(url, **settings)
        bodies = [register(app, f"p{number}@example.com") for number in range(4)]
        seen: list[int] = []
        done = threading.Event()

        def hammer(number: int) -> None:
            body = bodies[number]
            while not done.is_set():
                seen.append(_status(other if number % 2 else app, body["token"]))
                answer = app.test_client().post(
                    "/auth/refresh", json={"refresh_token": body["refresh_token"]}
                )
                seen.append(answer.status_code)
                body = answer.json
                seen.append(_status(other, body["token"]))

        def rotations(_: int) -> None:
            try:
                for after in ("0", "1", "0"):
                    time.sleep(0.5)
                    _rotate(app, "--after", after)
                time.sleep(1)
            finally:
                done.set()

        at_once(5, lambda number: rotations(0) if number == 4 else hammer(number))
        assert set(Counter(seen)) == {200}, Counter(seen)
        assert len(seen) > 100
        dispose(other)


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_many_first_requests_at_once_find_the_keys(url: str, algorithm: str) -> None:
    with running(url, algorithm=algorithm) as app:
        tokens = [register(app)["token"]]
        _rotate(app, "--after", "0")
        tokens += [log_in(app)["token"] for _ in range(3)]
        for _ in range(5):
            young = make_app(url, algorithm=algorithm)
            assert at_once(16, lambda number, young=young: _status(young, tokens[number % 4])) == [200] * 16
            dispose(young)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_many_first_logins_at_once_make_one_key(url: str, algorithm: str) -> None:
    with running(url) as app:
        register(app)
        young = make_app(url, algorithm=algorithm, hashes_at_once=16)
        tokens = at_once(8, lambda _: log_in(young)["token"])
        assert [_status(young, token) for token in tokens] == [200] * 8
        assert len([kid for kid in _kids(young) if kid.startswith("k-")]) == 1
        dispose(young)


def test_asymmetric_keys_work_in_memory() -> None:
    with running("sqlite://", algorithm="ES256") as app:
        tokens = [register(app)["token"], log_in(app)["token"]]
        assert [_status(app, token) for token in tokens * 2] == [200] * 4


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_a_key_taken_back_is_void_everywhere_within_the_interval(database_url: str, algorithm: str) -> None:
    settings = {"algorithm": algorithm, "revocation_interval": 0.1}
    with running(database_url, **settings) as app:
        _rotate(app, "--after", "0")
        register(app)
        token = log_in(app)["token"]
        kid = next(kid for kid in reversed(_kids(app)) if kid.startswith("k-"))
        other = make_app(database_url, **settings)
        assert (_status(app, token), _status(other, token)) == (200, 200)
        _rotate(app, "--after", "0", "--retire", kid)
        assert _status(app, token) == 401
        time.sleep(0.15)
        assert _status(other, token) == 401
        again = log_in(app)["token"]
        assert (_status(app, again), _status(other, again)) == (200, 200)
        dispose(other)


def test_after_the_only_key_was_taken_back_the_next_one_signs_early(url: str) -> None:
    """A third key, of which nobody was told, would be refused elsewhere."""
    settings = {"algorithm": "ES256", "revocation_interval": 0.1}
    with running(url, **settings) as app:
        token = register(app)["token"]
        other = make_app(url, **settings)
        assert _status(other, token) == 200
        (kid,) = [kid for kid in _kids(app) if kid.startswith("k-")]
        _rotate(app, "--after", "300", "--retire", kid)
        time.sleep(0.15)
        assert (_status(app, token), _status(other, token)) == (401, 401)
        for _ in range(3):
            again = log_in(app)["token"]
            assert (_status(app, again), _status(other, again)) == (200, 200)
        assert len([kid for kid in _kids(app) if kid.startswith("k-")]) == 2
        dispose(other)


@pytest.mark.proof
@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_rotations_over_four_workers(postgresql_url: str, tmp_path: Path, algorithm: str) -> None:
    app = create_tables(make_app(postgresql_url, algorithm=algorithm))
    emails = [f"p{number}@example.com" for number in range(8)]
    tokens = {email: register(app, email)["token"] for email in emails}
    with served(tmp_path, postgresql_url, workers=4, threads=8, algorithm=algorithm) as server:
        seen: list[int] = []
        done = threading.Event()

        def hammer(number: int) -> None:
            email, step = emails[number], 0
            while not done.is_set():
                step += 1
                seen.append(server.call("GET", "/guarded", token=tokens[email]).status)
                if step % 5 == 0:
                    answer = server.call("POST", "/auth/login", {"email": email, "password": PASSWORD})
                    assert answer.status == 200, answer.body
                    tokens[email] = answer.json["token"]

        def rotations(_: int) -> None:
            try:
                for after in ("2", "0", "1"):
                    time.sleep(3)
                    _rotate(app, "--after", after)
                time.sleep(3)
            finally:
                done.set()

        at_once(9, lambda number: rotations(0) if number == 8 else hammer(number))
        assert set(Counter(seen)) == {200}, Counter(seen)
        assert len(seen) > 500
    dispose(app)


def test_a_process_that_only_logs_people_in_learns_of_new_keys(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask_linked_auth.tokens.keystore import KeyStore

    monkeypatch.setattr(KeyStore, "max_age", 0.2)
    with running(url) as app:
        register(app)
        other = make_app(url)
        before = log_in(other)["token"]
        _rotate(app, "--after", "0")
        wait_until(lambda: log_in(other)["token"].split(".")[0] != before.split(".")[0], 5)
        dispose(other)

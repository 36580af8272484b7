"""The database goes away: 503 with Retry-After, no guard passes blindly, nothing half-written, back by itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, make_url, select

from tests.faults.lab import (
    PASSWORD,
    Cable,
    at_once,
    bearer,
    cable,
    create_tables,
    dispose,
    log_in,
    make_app,
    register,
    running,
    served,
    wait_until,
)

INTERVAL, PATIENCE = 0.2, 1.0
ENGINE = {"pool_timeout": 3, "connect_args": {"connect_timeout": 2}}


@pytest.fixture
def wire(postgresql_url: str) -> Iterator[tuple[Cable, str]]:
    """A cable to PostgreSQL, and the address at its near end."""
    url = make_url(postgresql_url)
    with cable(str(url.host), url.port or 5432) as made:
        near = url.set(host="127.0.0.1", port=made.port).update_query_dict({"sslmode": "disable"})
        yield made, near.render_as_string(hide_password=False)


@pytest.fixture
def app(wire: tuple[Cable, str]) -> Iterator[Any]:
    with running(wire[1], engine=ENGINE, revocation_interval=INTERVAL, revocation_patience=PATIENCE) as made:
        yield made


def _requests(body: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    token = bearer(body["token"])
    credentials = {"email": "ada@example.com", "password": PASSWORD}
    return [
        ("POST", "/auth/register", {"json": {**credentials, "email": "eve@example.com"}}),
        ("POST", "/auth/login", {"json": credentials}),
        ("POST", "/auth/refresh", {"json": {"refresh_token": body["refresh_token"]}}),
        ("POST", "/auth/logout", {"json": {"refresh_token": body["refresh_token"]}}),
        ("POST", "/auth/logout", {"headers": token}),
        ("POST", "/auth/logout-all", {"headers": token}),
        ("POST", "/auth/validate-token", {"headers": token}),
        ("GET", "/auth/me", {"headers": token}),
        ("PATCH", "/auth/me", {"headers": token, "json": {"name": "Ada"}}),
        ("PUT", "/auth/me", {"headers": token, "json": {"email": "ada@example.com"}}),
        ("DELETE", "/auth/me", {"headers": token}),
        ("GET", "/auth/me/logins", {"headers": token}),
        ("DELETE", "/auth/me/logins/x", {"headers": token}),
        ("GET", "/auth/users", {"headers": token}),
        ("GET", "/auth/users/1", {"headers": token}),
        ("GET", "/guarded", {"headers": token}),
        ("GET", "/named", {"headers": token}),
    ]


def _check_unavailable(answer: Any) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    assert "postgres" not in answer.text.lower()


def _is_up(app: Any, token: str) -> bool:
    client = app.test_client()
    named = client.get("/named", headers=bearer(token)).status_code
    login = client.post("/auth/login", json={"email": "ada@example.com", "password": PASSWORD}).status_code
    return (named, login) == (200, 200)


def _emails(app: Any) -> list[str]:
    auth = app.extensions["lab"]
    with app.app_context():
        return sorted(auth.db.session.scalars(select(auth.User.email)))


def test_every_endpoint_without_a_database(wire: tuple[Cable, str], app: Any) -> None:
    body = register(app)
    wire[0].cut()
    time.sleep(PATIENCE + INTERVAL)
    for method, path, options in _requests(body):
        start = time.monotonic()
        answer = app.test_client().open(path, method=method, **options)
        _check_unavailable(answer)
        assert time.monotonic() - start < 5, path
    assert app.test_client().get("/open").status_code == 200
    assert app.test_client().get("/guarded", headers=bearer("x.y.z")).status_code == 401
    assert app.test_client().get("/guarded").status_code == 401
    wire[0].mend()
    assert wait_until(lambda: _is_up(app, body["token"]), 5) < 5
    assert _emails(app) == ["ada@example.com"]
    assert app.test_client().get("/guarded", headers=bearer(body["token"])).status_code == 200


def test_a_known_token_is_good_for_the_patience_and_not_longer(wire: tuple[Cable, str], app: Any) -> None:
    token = register(app)["token"]

    def status() -> int:
        return app.test_client().get("/guarded", headers=bearer(token)).status_code

    assert status() == 200
    wire[0].cut()
    start, seen = time.monotonic(), []
    while (age := time.monotonic() - start) < PATIENCE + 2:
        seen.append((age, status()))
        time.sleep(0.005)
    assert Counter(code for age, code in seen if age < PATIENCE - INTERVAL)[200] > 10
    late = Counter(code for age, code in seen if age > PATIENCE + 2 * INTERVAL)
    assert set(late) == {503}, late
    wire[0].mend()
    assert wait_until(lambda: status() == 200, 5) < 5


def test_guards_in_many_threads_behind_a_frozen_database(wire: tuple[Cable, str], app: Any) -> None:
    token = register(app)["token"]
    assert app.test_client().get("/guarded", headers=bearer(token)).status_code == 200
    wire[0].freeze()
    time.sleep(PATIENCE + INTERVAL)

    def guarded(_: int) -> tuple[int, float]:
        start = time.monotonic()
        status = app.test_client().get("/guarded", headers=bearer(token)).status_code
        return status, time.monotonic() - start

    for _ in range(2):
        outcomes = at_once(20, guarded)
        assert {status for status, _ in outcomes} == {503}
        assert max(seconds for _, seconds in outcomes) < 6
    # Once it is known, nobody waits for it any more but the one that asks.
    assert sorted(seconds for _, seconds in outcomes)[15] < 0.5
    wire[0].mend()
    assert wait_until(lambda: guarded(0)[0] == 200, 10) < 5


def test_logins_and_registrations_behind_a_frozen_database(wire: tuple[Cable, str], app: Any) -> None:
    body = register(app)
    wire[0].freeze()
    start = time.monotonic()
    outcomes = at_once(
        6,
        lambda number: app.test_client().post(
            "/auth/login" if number % 2 else "/auth/register",
            json={"email": "ada@example.com" if number % 2 else "eve@example.com", "password": PASSWORD},
        ),
    )
    for answer in outcomes:
        _check_unavailable(answer)
    assert time.monotonic() - start < 12
    wire[0].mend()
    assert wait_until(lambda: _is_up(app, body["token"]), 5) < 5
    assert _emails(app) == ["ada@example.com"]


def test_a_cut_in_the_middle_of_a_registration_leaves_nothing(wire: tuple[Cable, str], app: Any) -> None:
    """Cut before each statement in turn; the account exists whole, or not at all."""
    body = register(app)
    auth = app.extensions["lab"]
    with app.app_context():
        engine = auth.db.engine
    countdown = [0]

    def count(*_: Any) -> None:
        countdown[0] -= 1
        if countdown[0] == 0:
            wire[0].cut()

    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", count)
    outcomes = []
    for nth in range(1, 12):
        email = f"eve{nth}@example.com"
        time.sleep(0.01)
        countdown[0] = nth
        answer = app.test_client().post("/auth/register", json={"email": email, "password": PASSWORD})
        fell = countdown[0] <= 0
        countdown[0] = 0
        wire[0].mend()
        wait_until(lambda: _is_up(app, body["token"]), 5)
        outcomes.append((nth, answer.status_code, fell))
        with app.app_context():
            users = auth.db.session.scalars(select(auth.User.id).where(auth.User.email == email)).all()
            logins = auth.db.session.scalar(
                select(func.count()).select_from(auth.rows.Login).where(auth.rows.Login.user_id.in_(users))
            )
        if answer.status_code == 201:
            assert (len(users), logins) == (1, 1)
        else:
            _check_unavailable(answer)
            assert (len(users), logins) == (0, 0)
    assert {status for _, status, _ in outcomes} == {201, 503}, outcomes


def test_a_connection_that_died_in_the_pool_costs_no_request(wire: tuple[Cable, str], app: Any) -> None:
    body = register(app)
    for _ in range(3):
        wire[0].cut()
        wire[0].mend()
        assert app.test_client().get("/named", headers=bearer(body["token"])).status_code == 200
        log_in(app)


def test_an_app_that_starts_without_a_database_comes_up_by_itself(wire: tuple[Cable, str], app: Any) -> None:
    body = register(app)
    wire[0].cut()
    young = make_app(wire[1], engine=ENGINE, revocation_interval=INTERVAL, revocation_patience=PATIENCE)
    try:
        client = young.test_client()
        for _ in range(5):
            _check_unavailable(client.get("/guarded", headers=bearer(body["token"])))
        _check_unavailable(
            client.post("/auth/login", json={"email": "ada@example.com", "password": PASSWORD})
        )
        wire[0].mend()
        assert wait_until(lambda: _is_up(young, body["token"]), 5) < 5
    finally:
        dispose(young)


@pytest.mark.proof
def test_fifty_requests_a_second_through_an_outage(wire: tuple[Cable, str], tmp_path: Path) -> None:
    app = create_tables(make_app(wire[1], engine=ENGINE))
    tokens = [register(app, f"p{number}@example.com")["token"] for number in range(4)]
    settings = {"revocation_interval": INTERVAL, "revocation_patience": PATIENCE}
    made: dict[str, int] = {}
    seen: list[tuple[float, str, int, float]] = []
    with served(tmp_path, wire[1], workers=2, threads=16, **settings) as server:
        begin = time.monotonic()

        def load(number: int) -> None:
            step = 0
            while (age := time.monotonic() - begin) < 16:
                step += 1
                if number == 0:
                    email = f"new{step}@example.com"
                    answer = server.call("POST", "/auth/register", {"email": email, "password": PASSWORD})
                    made[email] = answer.status
                elif number == 1:
                    email = f"p{step % 4}@example.com"
                    answer = server.call("POST", "/auth/login", {"email": email, "password": PASSWORD})
                else:
                    answer = server.call(
                        "GET", "/guarded" if number % 2 else "/named", token=tokens[step % 4]
                    )
                if answer.status == 503:
                    assert int(answer.headers["Retry-After"]) >= 1
                seen.append((age, "guarded" if number > 1 else "deed", answer.status, answer.seconds))
                time.sleep(0.1)

        def weather(_: int) -> None:
            time.sleep(4)
            wire[0].cut()
            time.sleep(6)
            wire[0].mend()

        at_once(9, lambda number: weather(0) if number == 8 else load(number))
    assert {status for _, _, status, _ in seen} <= {200, 201, 503}, Counter(
        status for _, _, status, _ in seen
    )
    assert {status for age, _, status, _ in seen if 5 + PATIENCE < age < 9.5} == {503}
    assert {status for age, _, status, _ in seen if age > 15} <= {200, 201}
    assert max(seconds for *_, seconds in seen) < 6
    existing = set(_emails(app))
    for email, status in made.items():
        # A cut exactly at the commit leaves it open whether it happened; any other 503 means it did not.
        assert status != 201 or email in existing
    lost = [email for email, status in made.items() if status == 503 and email in existing]
    assert len(lost) <= 1
    dispose(app)

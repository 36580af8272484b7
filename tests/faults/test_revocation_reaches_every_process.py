"""What one process ends, every other refuses within the interval: with many writers, late readers, and after a fork."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from flask_linked_auth.transactions import commit
from tests.faults.lab import (
    Server,
    at_once,
    at_once_over,
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

WRITERS, EACH = 16, 6
INTERVAL = 0.2
SETTLED = 2 * INTERVAL + 0.2  # while one thread asks, others go on with an answer of up to two intervals ago


@pytest.fixture
def app(database_url: str) -> Iterator[Any]:
    with running(database_url, revocation_interval=INTERVAL) as made:
        yield made


@pytest.fixture
def elsewhere(app: Any, database_url: str, tmp_path: Path) -> Iterator[Server]:
    """The same service in a process of its own."""
    with served(tmp_path, database_url, threads=16, revocation_interval=INTERVAL) as server:
        yield server


def _tokens(app: Any, people: int, each: int) -> list[list[dict[str, Any]]]:
    found = []
    for number in range(people):
        email = f"p{number}@example.com"
        found.append([register(app, email), *(log_in(app, email) for _ in range(each - 1))])
    return found


def _statuses(server: Server, tokens: list[str]) -> list[int]:
    def look(part: int) -> list[int]:
        return [server.call("GET", "/guarded", token=token).status for token in tokens[part::8]]

    return [status for part in at_once(8, look) for status in part]


def test_a_second_process_misses_none_of_many_writers(app: Any, elsewhere: Server) -> None:
    """Slow writers hold what they revoked for a while before they commit, so the commits come out of order."""
    people = _tokens(app, WRITERS, EACH)
    tokens = [body["token"] for bodies in people for body in bodies]
    assert set(_statuses(elsewhere, tokens)) == {200}

    def write(number: int) -> None:
        client, mine = app.test_client(), people[number]
        for step, body in enumerate(mine[:-1]):
            kind = (number + step) % 3
            if kind == 0:
                assert client.post("/auth/logout", headers=bearer(body["token"])).status_code == 204
            elif kind == 1:
                path = f"/auth/me/logins/{_login_id(app, body)}"
                assert client.delete(path, headers=bearer(mine[-1]["token"])).status_code == 204
            else:

                def slowly(transaction: Any, body: dict[str, Any] = body) -> None:
                    transaction.revoke("login", _login_id(app, body))
                    time.sleep(random.uniform(0, 0.05))

                with app.app_context():
                    commit(app.extensions["linked_auth"], slowly)
            elsewhere.call("GET", "/guarded", token=mine[-1]["token"])

    at_once(WRITERS, write)
    time.sleep(SETTLED)
    ended = [body["token"] for bodies in people for body in bodies[:-1]]
    alive = [bodies[-1]["token"] for bodies in people]
    assert set(_statuses(elsewhere, ended)) == {401}
    assert set(_statuses(elsewhere, alive)) == {200}
    with app.app_context():
        rows = app.extensions["lab"].rows
        session = app.extensions["lab"].db.session
        seqs = list(session.scalars(select(rows.Revocation.seq).order_by(rows.Revocation.seq)))
        assert seqs == list(range(1, WRITERS * (EACH - 1) + 1))
        assert session.scalar(select(rows.RevocationCounter.n)) == seqs[-1]


def _login_id(app: Any, body: dict[str, Any]) -> str:
    import jwt

    return str(jwt.decode(body["token"], options={"verify_signature": False})["sid"])


def test_each_way_to_end_logins_reaches_the_other_process(app: Any, elsewhere: Server) -> None:
    people = _tokens(app, 5, 2)
    pairs = [[body["token"] for body in bodies] for bodies in people]
    assert set(_statuses(elsewhere, [token for pair in pairs for token in pair])) == {200}
    client = app.test_client()
    client.post("/auth/logout-all", headers=bearer(pairs[0][0]))
    change = {"current_password": "violet-kettle-harbour-93", "new_password": "copper-lantern-meadow-58"}
    changed = client.post("/auth/me/password", json=change, headers=bearer(pairs[1][0]))
    client.delete("/auth/me", headers=bearer(pairs[2][0]))
    auth = app.extensions["lab"]
    with app.app_context():
        auth.db.session.get(auth.User, people[3][0]["user_id"]).active = False
        auth.db.session.commit()
        auth.revoke(people[4][0]["user_id"])
    time.sleep(SETTLED)
    assert set(_statuses(elsewhere, [token for pair in pairs for token in pair])) == {401}
    assert elsewhere.call("GET", "/guarded", token=changed.json["token"]).status == 200
    assert elsewhere.call("GET", "/guarded", token=log_in(app, "p0@example.com")["token"]).status == 200
    # And within the process of the deed, at once.
    for pair in pairs:
        assert client.get("/guarded", headers=bearer(pair[0])).status_code == 401


def test_a_token_first_seen_after_its_end_was_heard_of_is_refused(app: Any, elsewhere: Server) -> None:
    bodies = _tokens(app, 1, 3)[0]
    assert elsewhere.call("GET", "/guarded", token=bodies[0]["token"]).status == 200
    app.test_client().post("/auth/logout", headers=bearer(bodies[1]["token"]))
    time.sleep(SETTLED)
    assert elsewhere.call("GET", "/guarded", token=bodies[0]["token"]).status == 200  # it has polled now
    assert elsewhere.call("GET", "/guarded", token=bodies[1]["token"]).status == 401
    assert elsewhere.call("GET", "/guarded", token=bodies[2]["token"]).status == 200


def test_an_interval_of_zero_asks_every_time(database_url: str) -> None:
    with running(database_url, revocation_interval=0) as app:
        other = make_app(database_url, revocation_interval=0)
        for number in range(5):
            email = f"p{number}@example.com"
            token = register(app, email)["token"]
            assert other.test_client().get("/guarded", headers=bearer(token)).status_code == 200
            app.test_client().post("/auth/logout", headers=bearer(token))
            assert other.test_client().get("/guarded", headers=bearer(token)).status_code == 401
        dispose(other)


def test_a_rolled_back_revocation_revokes_nothing_and_leaves_no_gap(app: Any) -> None:
    body = register(app)

    def fails(transaction: Any) -> None:
        transaction.revoke("login", _login_id(app, body))
        transaction.number_revocations()
        raise ZeroDivisionError

    with app.app_context(), pytest.raises(ZeroDivisionError):
        commit(app.extensions["linked_auth"], fails)
    assert app.test_client().get("/guarded", headers=bearer(body["token"])).status_code == 200
    app.test_client().post("/auth/logout", headers=bearer(body["token"]))
    assert app.test_client().get("/guarded", headers=bearer(body["token"])).status_code == 401
    with app.app_context():
        rows = app.extensions["lab"].rows
        assert list(app.extensions["lab"].db.session.scalars(select(rows.Revocation.seq))) == [1]


def test_everything_that_was_ended_stays_so_after_a_restart(database_url: str) -> None:
    with running(database_url) as app:
        ada, bea = register(app, "ada@example.com"), register(app, "bea@example.com")
        client = app.test_client()
        second = client.post("/auth/refresh", json={"refresh_token": ada["refresh_token"]}).json
        third = client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]}).json
        client.post("/auth/logout-all", headers=bearer(bea["token"]))
    young = make_app(database_url)
    client = young.test_client()
    assert client.get("/guarded", headers=bearer(bea["token"])).status_code == 401
    assert client.post("/auth/refresh", json={"refresh_token": bea["refresh_token"]}).status_code == 401
    assert client.get("/guarded", headers=bearer(third["token"])).status_code == 200
    # The retry of the last token is still understood, that of an older one still ends the login.
    retried = client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})
    assert retried.json["refresh_token"] == third["refresh_token"]
    reused = client.post("/auth/refresh", json={"refresh_token": ada["refresh_token"]})
    assert reused.json["slug"] == "refresh-token-reused"
    dispose(young)
    old = make_app(database_url)
    assert (
        old.test_client().post("/auth/refresh", json={"refresh_token": third["refresh_token"]}).status_code
        == 401
    )
    assert old.test_client().get("/guarded", headers=bearer(third["token"])).status_code == 401
    dispose(old)


def test_a_newcomer_with_the_key_of_a_deleted_person_gets_nothing_of_theirs(database_url: str) -> None:
    """SQLite gives the key of the last row again; here PostgreSQL is made to."""
    with running(database_url) as app:
        client, auth = app.test_client(), app.extensions["lab"]
        old: list[dict[str, Any]] = []
        for number in range(3):
            body = register(app, "ada@example.com")
            assert body["user_id"] == 1
            for each in old:
                assert client.get("/guarded", headers=bearer(each["token"])).status_code == 401
                refreshed = client.post("/auth/refresh", json={"refresh_token": each["refresh_token"]})
                assert refreshed.status_code == 401
            assert client.get("/guarded", headers=bearer(body["token"])).json == {"id": 1}
            logins = client.get("/auth/me/logins", headers=bearer(body["token"])).json
            assert logins["count"] == 1
            if number == 2:
                break
            assert client.delete("/auth/me", headers=bearer(body["token"])).status_code == 204
            old.append(body)
            if database_url.startswith("postgresql"):
                with app.app_context(), auth.db.engine.begin() as connection:
                    connection.execute(text("""ALTER SEQUENCE user_id_seq RESTART WITH 1"""))
    young = make_app(database_url)
    for each in old:
        assert young.test_client().get("/guarded", headers=bearer(each["token"])).status_code == 401
    assert young.test_client().get("/guarded", headers=bearer(body["token"])).status_code == 200
    dispose(young)


@pytest.mark.parametrize(
    "used", [pytest.param(False, marks=pytest.mark.proof), True], ids=["fresh", "used before the fork"]
)
def test_workers_forked_from_a_loaded_app(postgresql_url: str, tmp_path: Path, used: bool) -> None:
    app = create_tables(make_app(postgresql_url))
    bodies = _tokens(app, 1, 8)[0]
    preload = bodies[0]["token"] if used else "app"
    with served(
        tmp_path, postgresql_url, workers=2, threads=8, preload=preload, revocation_interval=INTERVAL
    ) as server:
        for _ in range(3):
            answers = at_once(
                24, lambda number: server.call("GET", "/named", token=bodies[number % 8]["token"])
            )
            assert {answer.status for answer in answers} == {200}, server.log.read_text()[-3000:]
        app.test_client().post("/auth/logout", headers=bearer(bodies[0]["token"]))
        time.sleep(SETTLED)
        answers = at_once_over(server, 24, "GET", "/guarded", token=bodies[0]["token"])
        assert {answer.status for answer in answers} == {401}
        pids = {server.call("GET", "/open").json["pid"] for _ in range(60)}
        assert len(pids) > 1
    dispose(app)


@pytest.mark.proof
def test_four_workers_miss_none_of_many_writers(postgresql_url: str, tmp_path: Path) -> None:
    app = create_tables(make_app(postgresql_url))
    people = _tokens(app, WRITERS, 8)
    ended = [body["token"] for bodies in people for body in bodies[:-1]]
    with served(tmp_path, postgresql_url, workers=4, threads=8, revocation_interval=INTERVAL) as server:
        for _ in range(4):
            assert set(_statuses(server, ended)) == {200}
        at_once(
            WRITERS,
            lambda number: [
                server.call("POST", "/auth/logout", token=body["token"]) for body in people[number][:-1]
            ],
        )
        wait_until(lambda: server.call("GET", "/guarded", token=ended[-1]).status == 401, 2)
        time.sleep(SETTLED)
        for _ in range(6):
            assert set(_statuses(server, ended)) == {401}
    dispose(app)

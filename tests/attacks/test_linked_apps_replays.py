"""A signed request counts once: from fifty threads, across workers, after a restart, on every store; or 503."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth.apps import changes, keys
from flask_linked_auth.links.keys import dump_key, generate_key
from flask_linked_auth.links.link import Link
from flask_linked_auth.links.nonces import DatabaseNonces, RedisNonces
from flask_linked_auth.links.one_time import one_time_token
from flask_linked_auth.transactions import Transaction, commit
from tests.faults.lab import at_once, bearer, create_tables, dispose, make_app, register, running, served
from tests.tiny import refused, state_of, statements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

USERS = "/v1/auth/app/user"
MANY = 50


def _link(app: Flask) -> Link:
    """The service that the app is for `billing`, which may call in every dialect."""
    made = {use: generate_key("HS256") for use in ("link", "signature", "legacy-signature")}

    def deed(transaction: Transaction) -> None:
        known = [{"slug": each, "description": "For linked apps."} for each in ("read:user", "read:token")]
        changes.define_scopes(transaction, known)
        row = changes.register_app(transaction, "billing", needs_agreement=False, accepts=list(made))
        for use, key in made.items():
            stored = keys.NewKey(key.algorithm, dump_key(key), key.id)
            keys.add_key(transaction, row, f"{use.partition('-')[0]}_in", stored)

    with app.app_context():
        commit(state_of(app), deed)
    return Link("billing", "lab", "https://lab.example", None, keys=made)


def _headers(link: Link, dialect: Any = "signature", method: str = "GET", **more: Any) -> dict[str, str]:
    url = more.pop("url", f"https://lab.example{USERS}")
    signed = link.sign(method, url, body=None, dialect=dialect, **more)
    return {**signed, "Host": "lab.example"}


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("redis", marks=pytest.mark.redis),
    ]
)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """A service that keeps its nonces there."""
    database, store = f"sqlite:///{tmp_path / 'test.db'}", "database://"
    if request.param == "postgresql":
        database = request.getfixturevalue("postgresql_url")
    if request.param == "redis":
        store = request.getfixturevalue("redis_url")
    with running(database, nonce_store=store) as made:
        yield made


@pytest.mark.parametrize("dialect", ["signature", "legacy-signature"])
def test_of_fifty_at_once_one_counts(app: Flask, dialect: str) -> None:
    headers = _headers(_link(app), dialect)
    answers = at_once(MANY, lambda _: app.test_client().get(USERS, headers=headers))
    statuses = [each.status_code for each in answers]
    assert statuses.count(200) == 1, statuses
    # A busy SQLite may ask to come again; it never lets a second one pass.
    assert set(statuses) <= {200, 401, 503}
    refused(app.test_client().get(USERS, headers=headers), 401, "replayed")


def test_a_one_time_token_is_spent_once_of_many_at_once(database_url: str) -> None:
    with running(database_url) as app:
        link, ada = _link(app), register(app)
        with app.app_context():
            token = one_time_token(ada["user_id"])
        url = "https://lab.example/v1/auth/app/token"
        headers = _headers(link, "link", "POST", url=url)
        spend = app.test_client
        answers = at_once(
            20, lambda _: spend().post("/v1/auth/app/token", json={"token": token}, headers=headers)
        )
        statuses = [each.status_code for each in answers]
        assert statuses.count(200) == 1, statuses


def test_four_workers_and_a_restart_agree(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    app = create_tables(make_app(url))
    link = _link(app)
    dispose(app)
    headers = _headers(link)
    for restarted in (False, True):
        with served(tmp_path, url, workers=1 if restarted else 4, threads=4) as server:
            answers = at_once(24, lambda _: server.call("GET", USERS, **headers))
            statuses = [each.status for each in answers]
            assert statuses.count(200) == (0 if restarted else 1), statuses
            assert set(statuses) <= {200, 401, 503}
            assert server.call("GET", USERS, **_headers(link)).status == 200


def test_without_redis_signed_requests_wait_and_jwts_go_on(tmp_path: Path) -> None:
    with running(f"sqlite:///{tmp_path / 'test.db'}", nonce_store="redis://127.0.0.1:1/0") as app:
        link = _link(app)
        start = time.monotonic()
        body = refused(app.test_client().get(USERS, headers=_headers(link)), 503, "unavailable")
        assert "came before" in body["detail"]
        assert time.monotonic() - start < 8
        assert app.test_client().get(USERS, headers=_headers(link, "link")).status_code == 200


def test_used_nonces_do_not_pile_up(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the life of a worker is, and with several that tidy up at once."""
    monkeypatch.setattr("flask_linked_auth.links.nonces._PRUNE_EVERY", 30)
    with running(database_url) as app:
        database, over = state_of(app).database_in_use(), time.time() - 100

        def work(worker: int) -> None:
            with app.app_context():
                for life in range(10):
                    nonces = DatabaseNonces(database)
                    assert all(nonces.use("key", f"{worker} {life} {n}", until=over) for n in range(25))

        at_once(2, work)
        with app.app_context():
            assert len(database.read(database.rows.UsedNonce.__table__.select())) < 2 * 10 * 25


def test_a_host_whose_clock_is_ahead_forgets_no_nonce_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_linked_auth.links.nonces._PRUNE_EVERY", 1)
    with running(f"sqlite:///{tmp_path / 'test.db'}") as app, app.app_context():
        nonces, until = DatabaseNonces(state_of(app).database_in_use()), time.time() + 5
        assert nonces.use("key", "nonce", until=until)
        with monkeypatch.context() as ahead:
            ahead.setattr("flask_linked_auth.links.nonces.time", lambda: until + 30)
            assert nonces.use("key", "another", until=until + 60)
        assert not nonces.use("key", "nonce", until=until)


@pytest.mark.redis
def test_redis_forgets_by_itself(redis_url: str) -> None:
    nonces = RedisNonces(redis_url)
    with closing(nonces._redis):
        assert nonces.use("key", "nonce", until=time.time() + 30)
        (name,) = nonces._redis.keys("*")
        assert b"nonce:" in name
        assert 60 <= nonces._redis.ttl(name) <= 120
        assert not nonces.use("key", "nonce", until=time.time() + 30)
        assert nonces.use("ke", "y\0nonce", until=time.time() + 30)


def test_what_is_refused_costs_no_query_beyond_one_for_the_name(tmp_path: Path) -> None:
    with running(f"sqlite:///{tmp_path / 'test.db'}") as app:
        link, client = _link(app), app.test_client()
        assert client.get(USERS, headers=_headers(link)).status_code == 200
        for dialect in ("link", "signature", "legacy-signature"):
            stranger = Link("stranger", "lab", "https://lab.example", None, keys=link.keys)
            weak = Link("billing", "lab", "https://lab.example", None, keys={dialect: generate_key("HS256")})
            client.get(USERS, headers=_headers(stranger, dialect))
            with statements(app) as sent:
                for liar in (stranger, weak):
                    assert client.get(USERS, headers=_headers(liar, dialect)).status_code == 401
            assert sent == []
        assert client.get(USERS, headers=bearer("x" * 9000)).status_code == 401

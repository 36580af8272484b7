"""A person, a post, a connection that is gone between two steps of one request: an answer, never a 500."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time
from typing import Any

import bcrypt
import pytest
from flask import Flask, g
from sqlalchemy import create_engine, text

from flask_linked_auth import Auth, LinkedAuth
from flask_linked_auth.startup import kept_secret
from tests.tiny import PASSWORD, bearer, edit, in_database, log_in, logged, make_app, refused, register


def process(url: str, **settings: Any) -> Flask:
    """Another process of the same service."""
    return make_app(LinkedAuth(), database=url, **settings)


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


def test_who_is_deleted_elsewhere_is_unknown_here(url: str) -> None:
    here, elsewhere = process(url, revocation_interval=60), process(url)
    ana = register(elsewhere)
    assert ana.elsewhere(here).get("/auth/me").status_code == 200
    assert ana.call("DELETE", "/auth/me").status_code == 204
    there = ana.elsewhere(here)
    refused(there.call("PATCH", "/auth/me", {"name": "Ana"}), 401, "user-unknown")
    refused(there.call("DELETE", "/auth/me"), 401, "user-unknown")
    refused(there.call("PUT", "/auth/me", {"email": "ana@example.com"}), 401, "user-unknown")


def test_who_is_deleted_while_the_password_is_checked_is_not_logged_in(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, elsewhere = process(url), process(url)
    ana, real = register(app), bcrypt.checkpw

    def checks(password: bytes, hashed: bytes) -> bool:
        assert ana.elsewhere(elsewhere).call("DELETE", "/auth/me").status_code == 204
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", checks)
    credentials = {"email": "ana@example.com", "password": PASSWORD}
    refused(app.test_client().post("/auth/login", json=credentials), 401, "invalid-credentials")


def test_a_generation_that_lapsed_does_not_refuse_those_who_come_back(url: str) -> None:
    app, elsewhere = process(url), process(url, revocation_interval=0)
    ana = register(app)
    assert ana.elsewhere(elsewhere).get("/auth/me").status_code == 200
    assert ana.post("/auth/logout-all").status_code == 204
    edit(app, "Revocation", expires_at=int(time()) - 1000)
    assert log_in(app).elsewhere(elsewhere).get("/auth/me").status_code == 200  # it hears of the logout
    assert app.test_cli_runner().invoke(args=["linked-auth", "prune"]).exit_code == 0
    back = log_in(app)
    assert back.elsewhere(elsewhere).get("/auth/me").status_code == 200


def test_a_statement_that_fails_shows_nobodys_data_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = process(f"sqlite:///{tmp_path / 'test.db'}")
    with in_database(app) as (db, rows):
        table = rows.User.__tablename__
        db.session.execute(
            text(f"CREATE TRIGGER no BEFORE INSERT ON \"{table}\" BEGIN SELECT RAISE(ABORT, 'a bug'); END")
        )
        db.session.commit()
    with caplog.at_level(logging.DEBUG):
        answer = app.test_client().post(
            "/auth/register", json={"email": "secret.ana@example.com", "password": PASSWORD}
        )
    refused(answer, 500, "internal-error")
    log = logged(caplog.records)
    assert "IntegrityError" in log
    assert "in register" in log  # where it was
    assert "secret.ana" not in log
    assert "$2b$" not in log


def test_a_database_that_takes_no_writes_is_out_of_reach(postgresql_url: str) -> None:
    app = process(postgresql_url)
    name = postgresql_url.rpartition("/")[2]
    with in_database(app) as (db, _):
        db.session.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
        db.session.commit()
        db.engine.dispose()
    answer = app.test_client().post("/auth/register", json={"email": "a@example.com", "password": PASSWORD})
    refused(answer, 503, "unavailable")


def test_a_number_that_the_column_cannot_hold_is_nobody(url: str) -> None:
    app = process(url)
    register(app)
    with app.app_context():
        token = Auth.generate_token(2**62)
    for path in ("/auth/me", "/auth/me/logins", "/auth/users"):
        assert app.test_client().get(path, headers=bearer(token)).status_code < 500, path
    refused(app.test_client().get("/auth/me", headers=bearer(token)), 401, "user-unknown")


def test_a_connection_that_the_database_closes_after_the_view_spoils_no_answer(postgresql_url: str) -> None:
    app = process(postgresql_url)
    database = app.extensions["sqlalchemy"]

    @app.get("/cut")
    @Auth.auth_required
    def cut() -> dict[str, Any]:
        name = g.user.email
        pid = database.session.scalar(text("SELECT pg_backend_pid()"))
        other = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
        with other.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        other.dispose()
        return {"name": name}

    token = register(app).access
    answer = app.test_client().get("/cut", headers=bearer(token))
    assert (answer.status_code, answer.get_json()) == (200, {"name": "ana@example.com"})
    assert app.test_client().get("/auth/me", headers=bearer(token)).status_code == 200


def test_processes_that_start_together_agree_on_a_secret(tmp_path: Path) -> None:
    for attempt in range(20):
        apps = [Flask("dev", instance_path=str(tmp_path / str(attempt))) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            secrets = set(pool.map(kept_secret, apps))
        assert len(secrets) == 1
        assert len(secrets.pop()) >= 48
        assert [each.name for each in (tmp_path / str(attempt)).iterdir()] == ["linked_auth_secret"]


def test_a_logout_with_a_content_type_and_no_body_is_a_logout() -> None:
    app = make_app()
    ana = register(app)
    assert ana.post("/auth/logout", headers={"Content-Type": "application/json"}).status_code == 204
    refused(ana.get("/auth/me"), 401, "token-revoked")

"""Many exchange one refresh token in one moment: nobody is locked out, no family forks, and no thief profits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.faults.lab import (
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
)

DATABASES = ["sqlite", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


@pytest.fixture(
    params=[DATABASES[0], *(pytest.param(each, marks=pytest.mark.postgresql) for each in DATABASES[1:])]
)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """The app on SQLite, and on PostgreSQL at each level of isolation."""
    if request.param == "sqlite":
        url, engine = f"sqlite:///{tmp_path / 'test.db'}", {}
    else:
        url, engine = request.getfixturevalue("postgresql_url"), {"isolation_level": request.param}
    with running(url, engine=engine) as made:
        yield made


def _refresh(app: Any, token: str) -> Any:
    return app.test_client().post("/auth/refresh", json={"refresh_token": token})


def _logins(app: Any) -> list[Any]:
    auth = app.extensions["lab"]
    with app.app_context():
        return list(auth.db.session.scalars(select(auth.rows.Login)))


def _later(app: Any, seconds: int) -> None:
    """As if the last exchange had been so long ago."""
    auth = app.extensions["lab"]
    with app.app_context():
        row = auth.rows.Login
        auth.db.session.execute(update(row).values(rotated_at=row.rotated_at - seconds))
        auth.db.session.commit()


def test_fifty_refreshes_of_one_token_give_one_successor(app: Any) -> None:
    token = register(app)["refresh_token"]
    for _ in range(2):
        answers = at_once(50, lambda _, token=token: _refresh(app, token))
        assert [answer.status_code for answer in answers] == [200] * 50
        successors = {answer.json["refresh_token"] for answer in answers}
        assert len(successors) == 1
        assert successors != {token}
        access = [answer.json["access_token"] for answer in answers]
        assert len(set(access)) == 50
        for each in access[::10]:
            assert app.test_client().get("/guarded", headers=bearer(each)).status_code == 200
        (token,) = successors
    assert _refresh(app, token).status_code == 200
    assert [login.ended_at for login in _logins(app)] == [None]


def test_a_stolen_token_ends_the_login_although_its_owner_refreshes_meanwhile(app: Any) -> None:
    body = register(app)
    stolen = body["refresh_token"]
    second = _refresh(app, stolen).json["refresh_token"]
    third = _refresh(app, second).json
    _later(app, 30)
    answers = at_once(20, lambda number: _refresh(app, stolen if number % 2 else third["refresh_token"]))
    assert {answer.status_code for answer in answers[1::2]} == {401}
    assert {answer.status_code for answer in answers[::2]} <= {200, 401}
    (login,) = _logins(app)
    assert login.ended_at is not None
    handed_out = {answer.json["refresh_token"] for answer in answers[::2] if answer.status_code == 200}
    assert len(handed_out) <= 1
    for token in (stolen, second, third["refresh_token"], *handed_out):
        assert _refresh(app, token).status_code == 401
    given = [answer.json["access_token"] for answer in answers if answer.status_code == 200]
    for access in (body["access_token"], third["access_token"], *given):
        assert app.test_client().get("/guarded", headers=bearer(access)).status_code == 401
    # Nobody is locked out for good.
    assert app.test_client().get("/guarded", headers=bearer(log_in(app)["token"])).status_code == 200


def test_the_last_token_is_good_again_only_within_its_window(app: Any) -> None:
    first = register(app)["refresh_token"]
    second = _refresh(app, first).json["refresh_token"]
    _later(app, 9)
    assert _refresh(app, first).json["refresh_token"] == second
    _later(app, 3)
    answer = _refresh(app, first)
    assert (answer.status_code, answer.json["slug"]) == (401, "refresh-token-reused")
    assert _refresh(app, second).status_code == 401


def test_a_logout_amid_refreshes_wins(app: Any) -> None:
    body = register(app)
    token = body["refresh_token"]

    def deed(number: int) -> Any:
        if number == 10:
            return app.test_client().post("/auth/logout", json={"refresh_token": token})
        return _refresh(app, token)

    answers = at_once(21, deed)
    assert answers[10].status_code == 204
    assert {answer.status_code for answer in answers} <= {200, 204, 401}
    for answer in answers:
        if answer.status_code == 200:
            assert _refresh(app, answer.json["refresh_token"]).status_code == 401
            assert app.test_client().get("/guarded", headers=bearer(answer.json["token"])).status_code == 401


def test_a_password_change_amid_logins_and_refreshes_leaves_only_its_own_login(app: Any) -> None:
    body = register(app)
    changed = {"current_password": "violet-kettle-harbour-93", "new_password": "copper-lantern-meadow-58"}

    def deed(number: int) -> Any:
        client = app.test_client()
        if number == 6:
            return client.post("/auth/me/password", json=changed, headers=bearer(body["token"]))
        if number % 2:
            return _refresh(app, body["refresh_token"])
        return client.post(
            "/auth/login", json={"email": "ada@example.com", "password": changed["current_password"]}
        )

    answers = at_once(13, deed)
    assert answers[6].status_code == 200, answers[6].text
    assert {answer.status_code for answer in answers} <= {200, 401}
    assert len([login for login in _logins(app) if login.ended_at is None]) == 1
    assert app.test_client().get("/guarded", headers=bearer(answers[6].json["token"])).status_code == 200
    for number, answer in enumerate(answers):
        if number != 6 and answer.status_code == 200:
            assert app.test_client().get("/guarded", headers=bearer(answer.json["token"])).status_code == 401
            assert _refresh(app, answer.json["refresh_token"]).status_code == 401
    assert _refresh(app, answers[6].json["refresh_token"]).status_code == 200


@pytest.mark.proof
def test_fifty_refreshes_over_four_workers(database_url: str, tmp_path: Path) -> None:
    app = create_tables(make_app(database_url))
    try:
        token = register(app)["refresh_token"]
        with served(tmp_path, database_url, workers=4, threads=16) as server:
            for _ in range(5):
                answers = at_once_over(server, 50, "POST", "/auth/refresh", {"refresh_token": token})
                assert [answer.status for answer in answers] == [200] * 50
                (token,) = {answer.json["refresh_token"] for answer in answers}
            access = answers[0].json["access_token"]
            assert server.call("GET", "/guarded", token=access).status == 200
    finally:
        dispose(app)

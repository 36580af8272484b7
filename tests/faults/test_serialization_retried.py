"""What PostgreSQL refuses to serialise (40001, 40P01) is tried again; after seven more tries it is 503, never 500."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select, text

from flask_linked_auth.transactions import commit
from tests.faults.lab import PASSWORD, at_once, bearer, log_in, register, running


@pytest.mark.parametrize("code", ["40001", "40P01"])
@pytest.mark.parametrize(("failures", "status"), [(1, 200), (7, 200), (8, 503)])
def test_the_deed_is_tried_eight_times(postgresql_url: str, code: str, failures: int, status: int) -> None:
    """The server itself raises the error, in a trigger."""
    with running(postgresql_url) as app:
        token = register(app)["refresh_token"]
        db = app.extensions["lab"].db
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(text("CREATE SEQUENCE tries"))
            connection.execute(
                text(
                    "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                    f" IF nextval('tries') <= {failures} THEN"
                    f" RAISE EXCEPTION 'again' USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$"
                )
            )
            connection.execute(
                text("CREATE TRIGGER fail BEFORE UPDATE ON login FOR EACH ROW EXECUTE FUNCTION fail()")
            )
        answer = app.test_client().post("/auth/refresh", json={"refresh_token": token})
        assert answer.status_code == status
        if status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.content_type == "application/problem+json"
        with app.app_context():
            assert db.session.scalar(text("SELECT last_value FROM tries")) == min(failures + 1, 8)


def test_a_real_deadlock_is_resolved(postgresql_url: str) -> None:
    with running(postgresql_url) as app:
        register(app, "ada@example.com")
        register(app, "bea@example.com")
        auth = app.extensions["lab"]
        meet = threading.Barrier(2)

        def deed(number: int) -> None:
            tries = 0

            def crosswise(transaction: Any) -> None:
                nonlocal tries
                tries += 1
                emails = ["ada@example.com", "bea@example.com"][:: 1 if number else -1]
                for step, email in enumerate(emails):
                    user = transaction.session.scalars(
                        select(auth.User).where(auth.User.email == email).with_for_update()
                    ).one()
                    user.name = f"{user.name}{number}"
                    transaction.session.flush()
                    if step == 0 and tries == 1:
                        meet.wait(10)

            with app.app_context():
                commit(app.extensions["linked_auth"], crosswise)

        at_once(2, deed)
        with app.app_context():
            names = set(auth.db.session.scalars(select(auth.User.name)))
        assert names <= {"01", "10"}
        assert len(names) == 1


def test_logins_of_one_person_under_serializable(postgresql_url: str) -> None:
    with running(postgresql_url, engine={"isolation_level": "SERIALIZABLE"}, hashes_at_once=8) as app:
        register(app)
        tokens = []

        def deed(_: int) -> int:
            answer = app.test_client().post(
                "/auth/login", json={"email": "ada@example.com", "password": PASSWORD}
            )
            if answer.status_code == 200:
                tokens.append(answer.json["token"])
            return answer.status_code

        statuses = at_once(12, deed)
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) >= 6
        for token in tokens:
            assert app.test_client().get("/guarded", headers=bearer(token)).status_code == 200
        log_in(app)

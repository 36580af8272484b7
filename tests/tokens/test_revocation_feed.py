"""The revocation feed: heard at once here and soon elsewhere, and what happens when it cannot be read."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from flask_linked_auth import Auth
from flask_linked_auth.tokens import revocation
from tests.tiny import Person, in_database, log_in, make_app, refused, register, state_of, statements

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'feed.db'}"


def moved(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the monotonic clock of the feed run ahead, of where a moving clock has left it."""
    monkeypatch.undo()
    now = revocation.monotonic
    monkeypatch.setattr(revocation, "monotonic", lambda: now() + seconds)


def break_feed(app: Flask) -> None:
    with in_database(app) as (db, _rows):
        db.session.execute(text("ALTER TABLE revocation RENAME TO elsewhere"))
        db.session.commit()


def mend_feed(app: Flask) -> None:
    with in_database(app) as (db, _rows):
        db.session.execute(text("ALTER TABLE elsewhere RENAME TO revocation"))
        db.session.commit()


def test_this_process_hears_at_once_whatever_the_interval(url: str) -> None:
    app = make_app(database=url, revocation_interval=60)
    ana = register(app)
    assert ana.get("/auth/me").status_code == 200
    ana.post("/auth/logout")
    refused(ana.get("/auth/me"), 401, "token-revoked")


def test_another_process_hears_within_the_interval(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = (make_app(database=url, revocation_interval=5) for _ in range(2))
    ana = register(here)
    assert ana.elsewhere(there).get("/auth/me").status_code == 200
    ana.post("/auth/logout")
    assert ana.elsewhere(there).get("/auth/me").status_code == 200  # not yet: that is what an interval means
    moved(monkeypatch, 5.1)
    refused(ana.elsewhere(there).get("/auth/me"), 401, "token-revoked")


def test_with_a_short_interval_it_hears_without_anybody_helping(url: str) -> None:
    here, there = (make_app(database=url, revocation_interval=0.1) for _ in range(2))
    ana = register(here)
    assert ana.elsewhere(there).get("/auth/me").status_code == 200
    ana.post("/auth/logout-all")
    clock.sleep(0.15)
    refused(ana.elsewhere(there).get("/auth/me"), 401, "token-revoked")


def test_a_process_that_starts_later_knows_what_was_revoked_before(url: str) -> None:
    here = make_app(database=url)
    ana, ben = register(here), register(here, "ben@example.com")
    ana.post("/auth/logout")
    ben.post("/auth/logout-all")
    late = make_app(database=url)
    refused(ana.elsewhere(late).get("/auth/me"), 401, "token-revoked")
    refused(ben.elsewhere(late).get("/auth/me"), 401, "token-revoked")


def test_one_poll_serves_every_guard_of_the_interval(url: str) -> None:
    app = make_app(database=url, revocation_interval=60)
    app.add_url_rule("/x", "x", Auth.auth_required(lambda: "in"))
    ana = register(app)
    with statements(app) as sent:
        for _ in range(20):
            assert ana.get("/x").text == "in"
    assert len(sent) <= 1
    asking = make_app(database=url, revocation_interval=0)
    asking.add_url_rule("/x", "x", Auth.auth_required(lambda: "in"))
    assert ana.elsewhere(asking).get("/x").text == "in"
    with statements(asking) as sent:
        for _ in range(5):
            assert ana.elsewhere(asking).get("/x").text == "in"
    assert len(sent) == 5
    assert all("revocation" in each for each in sent)


def test_entries_are_numbered_in_the_order_of_their_commits(url: str) -> None:
    app = make_app(database=url)
    people = [register(app, f"p{n}@example.com") for n in range(4)]
    for person in people:
        person.post("/auth/logout-all")
        log_in(app, f"p{people.index(person)}@example.com").post("/auth/logout")
    with in_database(app) as (db, rows):
        entries = db.session.query(rows.Revocation).order_by(rows.Revocation.seq).all()
        assert [entry.seq for entry in entries] == list(range(1, 9))
        assert [entry.kind for entry in entries] == ["user", "login"] * 4
        assert db.session.query(rows.RevocationCounter).one().n == 8
        remembered = entries[0].expires_at - clock.time()
    assert 900 <= remembered <= 900 + 70  # as long as an access token lives, and a little


def test_several_revocations_in_one_transaction_are_numbered_together(url: str) -> None:
    app = make_app(database=url)
    people = [register(app, f"p{n}@example.com") for n in range(3)]
    with in_database(app) as (db, rows):
        for user in db.session.query(rows.User):
            user.active = False
        db.session.commit()
        assert [entry.seq for entry in db.session.query(rows.Revocation).order_by(rows.Revocation.seq)] == [
            1,
            2,
            3,
        ]
    for person in people:
        refused(person.get("/auth/me"), 401, "token-revoked")


def test_what_is_rolled_back_is_not_revoked(url: str) -> None:
    app = make_app(database=url, revocation_interval=0)
    ana = register(app)
    with in_database(app) as (db, rows):
        db.session.get_one(rows.User, ana.id).active = False
        db.session.flush()
        db.session.rollback()
        db.session.commit()
        assert db.session.query(rows.Revocation).count() == 0
    assert ana.get("/auth/me").status_code == 200


def test_a_revocation_in_a_savepoint_counts_when_all_is_committed(url: str) -> None:
    app = make_app(database=url, revocation_interval=0)
    ana = register(app)
    with in_database(app) as (db, rows):
        with db.session.begin_nested():
            db.session.get_one(rows.User, ana.id).active = False
        db.session.commit()
        assert db.session.query(rows.Revocation).count() == 1
    refused(ana.get("/auth/me"), 401, "token-revoked")


@pytest.mark.parametrize("memory", [True, False])
def test_a_revocation_in_a_savepoint_that_is_rolled_back_counts_for_nothing(url: str, memory: bool) -> None:
    app = make_app(database="sqlite://" if memory else url, revocation_interval=0)
    ana, ben = register(app), register(app, "ben@example.com")
    with in_database(app) as (db, rows):
        db.session.get_one(rows.User, ben.id).active = False
        db.session.flush()
        savepoint = db.session.begin_nested()
        db.session.get_one(rows.User, ana.id).active = False
        db.session.flush()
        savepoint.rollback()
        db.session.get_one(rows.User, ana.id).name = "Still here"
        db.session.commit()
        assert {entry.subject for entry in db.session.query(rows.Revocation)} <= {str(ana.id), str(ben.id)}
    refused(ben.get("/auth/me"), 401, "token-revoked")
    assert log_in(app).get("/auth/me").status_code == 200  # nobody is locked out by what did not happen


def test_a_session_of_the_hosts_own_is_heard_too(url: str) -> None:
    app = make_app(database=url, revocation_interval=0)
    ana = register(app)
    with in_database(app) as (db, rows), Session(db.engine) as session:
        session.delete(session.get_one(rows.User, ana.id))
        session.commit()
    refused(ana.get("/auth/me"), 401, "token-revoked")


def test_a_token_made_after_a_revocation_is_not_born_revoked(url: str) -> None:
    here, there = (make_app(database=url, revocation_interval=0) for _ in range(2))
    ana = register(here)
    for _ in range(3):
        ana.post("/auth/logout-all")
        refused(ana.get("/auth/me"), 401, "token-revoked")
        ana = log_in(here)
        assert ana.get("/auth/me").status_code == 200
        assert ana.elsewhere(there).get("/auth/me").status_code == 200


def test_in_memory_nothing_is_polled_and_the_hosts_transaction_is_left_alone() -> None:
    app = make_app(revocation_interval=0)
    app.add_url_rule("/x", "x", Auth.auth_required(lambda: "in"))
    ana = register(app)
    with in_database(app) as (db, rows):
        db.session.add(rows.User(email="x@example.com", password_hash="-"))
        db.session.flush()
        with statements(app) as sent:
            assert ana.get("/x").text == "in"
        assert sent == []
        db.session.commit()
        assert db.session.query(rows.User).count() == 2


# What is over is forgotten.


def test_old_entries_are_pruned_as_new_ones_are_written(url: str) -> None:
    app = make_app(database=url)
    ana = register(app)
    with in_database(app) as (db, rows):
        old = [{"seq": n, "kind": "jti", "subject": str(n), "expires_at": 1} for n in range(1, 64)]
        db.session.execute(rows.Revocation.__table__.insert(), old)
        db.session.add(rows.RevocationCounter(id=1, n=63))
        db.session.commit()
    ana.post("/auth/logout")
    with in_database(app) as (db, rows):
        assert [entry.seq for entry in db.session.query(rows.Revocation)] == [64]


def test_a_process_forgets_what_no_token_can_stand_on_any_more(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(database=url, revocation_interval=0)
    ana, ben = register(app), register(app, "ben@example.com")
    ana.post("/auth/logout")
    ben.post("/auth/logout-all")
    feed = state_of(app).verifier.feed
    assert feed is not None
    refused(ana.get("/auth/me"), 401, "token-revoked")
    assert (len(feed._revoked), len(feed._generations)) == (1, 1)
    moved(monkeypatch, 3600)
    later = revocation.time() + 3600
    monkeypatch.setattr("flask_linked_auth.tokens.revocation.time", lambda: later)
    assert log_in(app).get("/auth/me").status_code == 200
    assert (len(feed._revoked), len(feed._generations)) == (0, 0)


# When it cannot be read.


def test_a_feed_that_fails_is_forgiven_for_the_patience_and_then_closed(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(database=url, revocation_interval=1, revocation_patience=10)
    app.add_url_rule("/x", "x", Auth.auth_required(lambda: "in"))
    ana, ben = register(app), register(app, "ben@example.com")
    ben.post("/auth/logout")
    assert ana.get("/x").text == "in"
    break_feed(app)
    moved(monkeypatch, 5)
    assert ana.get("/x").text == "in"  # what is known goes on
    refused(ben.get("/x"), 401, "token-revoked")
    moved(monkeypatch, 15)
    answer = ana.get("/x")
    refused(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    refused(ana.get("/x"), 503, "unavailable")  # and stays closed between two questions
    refused(ana.post("/auth/validate-token"), 503, "unavailable")
    assert app.test_client().get("/auth/jwks").status_code == 200  # what needs no feed is open
    mend_feed(app)
    moved(monkeypatch, 20)
    assert ana.get("/x").text == "in"
    words = [record.getMessage() for record in caplog.records if "feed" in record.getMessage()]
    assert len(words) == 2  # one line when it went, one when it came back
    assert "cannot be read" in words[0]
    assert "can be read again" in words[1]


def test_without_patience_a_failing_feed_is_closed_at_once(url: str) -> None:
    app = make_app(database=url, revocation_interval=0, revocation_patience=0)
    app.add_url_rule("/x", "x", Auth.auth_required(lambda: "in"))
    ana = register(app)
    assert ana.get("/x").text == "in"
    break_feed(app)
    clock.sleep(0.01)
    refused(ana.get("/x"), 503, "unavailable")
    mend_feed(app)
    assert ana.get("/x").text == "in"


def test_a_process_that_never_could_read_it_lets_nobody_in(url: str) -> None:
    ana = register(make_app(database=url))
    fresh = make_app(database=url)
    fresh.add_url_rule("/x", "x", Auth.auth_required(lambda: "in"))
    break_feed(fresh)
    refused(ana.elsewhere(fresh).get("/x"), 503, "unavailable")
    mend_feed(fresh)
    clock.sleep(0.01)
    state = state_of(fresh).verifier.feed
    assert state is not None
    state.due = state._ask_at = 0.0  # the second between two questions is over
    assert ana.elsewhere(fresh).get("/x").text == "in"


def test_revoking_one_thing_leaves_the_others(url: str) -> None:
    app = make_app(database=url, revocation_interval=0)
    ana = register(app)
    with app.app_context():
        tokens: list[Any] = [Auth.generate_token(ana.id) for _ in range(3)]
    loose = [Person(app, {"access_token": token}) for token in tokens]
    assert [person.get("/auth/me").status_code for person in loose] == [200, 200, 200]
    loose[1].post("/auth/logout")
    assert [person.get("/auth/me").status_code for person in loose] == [200, 401, 200]
    ana.post("/auth/logout")
    assert [person.get("/auth/me").status_code for person in loose] == [200, 401, 200]
    loose[0].post("/auth/logout-all")
    assert [person.get("/auth/me").status_code for person in loose] == [401, 401, 401]

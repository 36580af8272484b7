"""Tracks: one's own only, in order, with moments that make sense, and one running at most."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from flask import g
from sqlalchemy import event, text
from sqlalchemy.exc import StatementError

from example_timetracker import tracks
from example_timetracker.database import db
from example_timetracker.track_routes import NOBODY, _person
from example_timetracker.tracks import Track
from flask_linked_auth.errors import Forbidden
from tests.example_blog.walker import problem
from tests.example_timetracker.test_tracker_activities import just_before_writing
from tests.example_timetracker.walker import TRACKS, Person

if TYPE_CHECKING:
    from flask import Flask

    from flask_linked_auth.testing import LoginUser

NINE, TEN, ELEVEN = (f"2026-03-01T{hour:02}:00:00Z" for hour in (9, 10, 11))


def ago(**by: float) -> str:
    return (datetime.now(UTC) - timedelta(**by)).isoformat()


def test_a_track_from_adding_to_deleting(ada: Person) -> None:
    reading, walking = ada.activity("Reading"), ada.activity("Walking")
    made = ada.call(
        "POST", TRACKS, {"activity": reading, "description": "Chapter 3", "start": NINE, "end": TEN}
    )
    assert made.status_code == 201
    track = made.get_json()
    assert track == {
        "id": track["id"],
        "user": ada.id,
        "activity": reading,
        "activity_name": "Reading",
        "description": "Chapter 3",
        "start": NINE,
        "end": TEN,
        "running": False,
        "seconds": 3600,
    }
    path = made.headers["Location"]
    assert path == f"/api/tracks/{track['id']}"
    assert ada.get(path) == ada.get(path + "/") == track
    changed = ada.call("PATCH", path, {"end": ELEVEN, "activity": walking})
    assert changed.status_code == 200
    assert changed.get_json() == track | {
        "end": ELEVEN,
        "seconds": 7200,
        "activity": walking,
        "activity_name": "Walking",
    }
    assert ada.call("PATCH", path, {}).get_json() == changed.get_json()
    replaced = ada.call("PUT", path, {"activity": reading, "start": NINE, "end": NINE})
    assert replaced.get_json() == track | {"description": "", "end": NINE, "seconds": 0}
    assert ada.get(path) == replaced.get_json()
    deleted = ada.call("DELETE", path)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert "Content-Type" not in deleted.headers
    problem(ada.call("GET", path), 404, "not-found")


def test_put_empties_what_is_not_given(ada: Person) -> None:
    track = ada.track(ada.activity(), NINE, TEN, description="x")
    replaced = ada.call("PUT", f"{TRACKS}{track['id']}", {"activity": track["activity"]}).get_json()
    assert replaced == track | {"description": "", "start": None, "end": None, "seconds": None}
    problem(ada.call("PUT", f"{TRACKS}{track['id']}", {"start": NINE}), 422, "invalid-fields")


def test_somebody_elses_tracks_are_not_there(ada: Person, grace: Person, staff: Person) -> None:
    path = f"{TRACKS}{ada.track(ada.activity(), NINE)['id']}"
    before = ada.get(path)
    for other in (grace, staff):
        assert other.get(TRACKS)["count"] == 0
        assert other.get(f"{TRACKS}summary") == {"seconds": 0, "activities": [], "running": None}
        for method, where, body in (
            ("GET", path, None),
            ("PUT", path, {"activity": before["activity"]}),
            ("PATCH", path, {"description": "x"}),
            ("DELETE", path, None),
            ("POST", f"{path}/start", None),
            ("POST", f"{path}/stop", None),
        ):
            theirs = problem(other.call(method, where, body), 404, "not-found")
            missing = other.call(method, where.replace(path, f"{TRACKS}999"), body)
            assert problem(missing, 404, "not-found") == theirs
    after = ada.get(path)
    assert after | {"seconds": 0} == before | {"seconds": 0}


def test_whose_a_track_is_follows_from_the_login(ada: Person, grace: Person) -> None:
    key = ada.activity()
    path = f"{TRACKS}{ada.track(key, NINE, TEN)['id']}"
    for field in ("user", "user_id", "id", "activity_name", "seconds", "running", "nonsense"):
        body = {"activity": key, field: grace.id}
        for method, where in (("POST", TRACKS), ("PUT", path), ("PATCH", path)):
            answer = problem(ada.call(method, where, body), 422, "invalid-fields")
            assert answer["errors"].keys() == {field}
    assert grace.get(TRACKS)["count"] == 0


def test_the_list_is_paged_in_an_order_that_stays(ada: Person) -> None:
    key = ada.activity()
    first = ada.track(key, NINE, TEN)["id"]
    planned = ada.track(key)["id"]
    long = ada.track(key, NINE, ELEVEN)["id"]
    running = ada.track(key, ago(minutes=5))["id"]
    same = ada.track(key, NINE, TEN)["id"]
    newer_plan = ada.track(key)["id"]
    pages, where = [], f"{TRACKS}?page_size=2"
    while where:
        pages.append(ada.get(where))
        where = pages[-1]["next"]
    assert [len(page["results"]) for page in pages] == [2, 2, 2]
    ids = [track["id"] for page in pages for track in page["results"]]
    assert ids == [running, newer_plan, planned, long, same, first]
    assert {page["count"] for page in pages} == {6}
    previous = ada.get(pages[2]["previous"])
    assert [track["id"] for track in previous["results"]] == ids[2:4]


def test_the_list_takes_two_queries_however_long_it_is(tracker: Flask, ada: Person) -> None:
    for n in range(5):
        ada.track(ada.activity(f"Activity {n}"), NINE, TEN)
    with tracker.app_context():
        engine = db.engine
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert len(ada.get(TRACKS)["results"]) == 5
    assert len(asked) == 2


# What may be sent


MOMENTS = [
    ("2026-03-01T10:30:00+01:00", "2026-03-01T09:30:00Z"),
    ("2026-03-01T00:30:00-11:30", "2026-03-01T12:00:00Z"),
    ("2026-03-01t09:30:00z", "2026-03-01T09:30:00Z"),
    ("2026-03-01 09:30Z", "2026-03-01T09:30:00Z"),
    ("2026-03-01T09:30:00.999999Z", "2026-03-01T09:30:00Z"),
    ("2026-03-01T09:30:00.123456789+00:00", "2026-03-01T09:30:00Z"),
    ("2024-02-29T23:59:59-00:00", "2024-02-29T23:59:59Z"),
]


def test_moments_come_with_a_zone_and_are_kept_in_utc(tracker: Flask, ada: Person) -> None:
    key = ada.activity()
    for given, kept in MOMENTS:
        track = ada.track(key, given, "2026-12-01T00:00:00Z")
        assert track["start"] == kept
        assert ada.get(f"{TRACKS}{track['id']}")["start"] == kept
    with tracker.app_context():
        if db.engine.dialect.name == "sqlite":  # which compares texts
            stored = list(db.session.scalars(text("SELECT started_at FROM tracks ORDER BY id")))
            assert stored == [kept.replace("T", " ").replace("Z", ".000000") for _, kept in MOMENTS]


NO_MOMENTS: list[tuple[Any, str]] = [
    ("2026-03-01T09:30:00", "Must say its time zone"),
    ("2026-03-01 09:30", "Must say its time zone"),
    ("2026-03-01", "Must say its time zone"),
    ("yesterday", "Must be a moment such as"),
    ("", "Must be a moment such as"),
    ("09:30Z", "Must be a moment such as"),
    ("2026-W10-1T09:30:00Z", "Must be a moment such as"),
    ("2026-03-01T09:30:00Z ", "Must be a moment such as"),
    ("2026-03-01T09:30:00Z\n", "Must be a moment such as"),
    ("\uff12\uff10\uff12\uff16-03-01T09:30:00Z", "Must be a moment such as"),
    (1772357400, "Must be a moment such as"),
    (True, "Must be a moment such as"),
    (["2026-03-01T09:30:00Z"], "Must be a moment such as"),
    ("2026-02-30T09:30:00Z", "There is no such day or time."),
    ("2026-03-01T24:30:00Z", "There is no such day or time."),
    ("2026-03-01T09:30:60Z", "There is no such day or time."),
    ("2026-03-01T09:30:00+24:00", "There is no such day or time."),
    ("0000-01-01T00:00:00Z", "There is no such day or time."),
    ("0001-01-01T00:00:00+14:00", "Must lie in the years 1970 to 2199."),
    ("9999-12-31T23:59:59-12:00", "Must lie in the years 1970 to 2199."),
]


def test_moments_that_are_none_are_refused_and_why(ada: Person) -> None:
    key = ada.activity()
    for given, complaint in NO_MOMENTS:
        for field in ("start", "end"):
            answer = ada.call("POST", TRACKS, {"activity": key, "start": NINE, field: given})
            errors = problem(answer, 422, "invalid-fields")["errors"]
            assert errors.keys() == {field}
            assert errors[field][0].startswith(complaint)
    assert ada.get(TRACKS)["count"] == 0


def test_an_end_comes_after_a_start(ada: Person) -> None:
    key = ada.activity()
    track = ada.track(key, TEN, ELEVEN)
    path = f"{TRACKS}{track['id']}"
    for method, where, body, complaint in (
        ("POST", TRACKS, {"activity": key, "start": TEN, "end": NINE}, tracks.END_FIRST),
        ("POST", TRACKS, {"activity": key, "end": NINE}, tracks.NO_START),
        ("POST", TRACKS, {"activity": key, "start": None, "end": NINE}, tracks.NO_START),
        # The same moment in another zone is not later.
        (
            "POST",
            TRACKS,
            {"activity": key, "start": TEN, "end": "2026-03-01T10:30:00+01:00"},
            tracks.END_FIRST,
        ),
        ("PUT", path, {"activity": key, "start": TEN, "end": NINE}, tracks.END_FIRST),
        ("PUT", path, {"activity": key, "end": NINE}, tracks.NO_START),
        ("PATCH", path, {"end": NINE}, tracks.END_FIRST),
        ("PATCH", path, {"start": "2026-03-01T11:00:01Z"}, tracks.END_FIRST),
        ("PATCH", path, {"start": None}, tracks.NO_START),
    ):
        answer = problem(ada.call(method, where, body), 422, "invalid-fields")
        assert answer["errors"] == {"end": [complaint]}
    assert ada.get(path) == track
    assert ada.get(TRACKS)["count"] == 1
    assert ada.call("PATCH", path, {"start": NINE, "end": NINE}).status_code == 200


def test_activities_that_are_none(ada: Person) -> None:
    track = ada.track(ada.activity())
    path = f"{TRACKS}{track['id']}"
    for activity in (999, 0, -1, 10**9, 2**31, 2**63, 10**18, "1", 1.5, True, None, [1], {}):
        for method, where in (("POST", TRACKS), ("PUT", path), ("PATCH", path)):
            answer = problem(ada.call(method, where, {"activity": activity}), 422, "invalid-fields")
            assert answer["errors"].keys() == {"activity"}
    assert ada.get(TRACKS)["results"] == [track]


def test_a_description_is_kept_as_it_was_written(ada: Person) -> None:
    written = "<script>alert(1)</script>\r\n\t'; DROP TABLE tracks; -- {{ 7 * 7 }} 🦦 uq_tracks_running"
    key = ada.activity()
    answer = ada.call("POST", TRACKS, {"activity": key, "description": written})
    assert answer.get_json()["description"] == written
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    # Words in a row are not taken for the name of the rule that it breaks.
    wrong = ada.call("POST", TRACKS, {"activity": 999, "description": written})
    assert problem(wrong, 422, "invalid-fields")["errors"].keys() == {"activity"}
    long = ada.call("POST", TRACKS, {"activity": key, "description": "x" * 2001})
    assert problem(long, 422, "invalid-fields")["errors"].keys() == {"description"}


# Running, starting, stopping


def test_a_track_without_an_end_runs_until_it_is_stopped(ada: Person) -> None:
    track = ada.track(ada.activity(), ago(minutes=10))
    assert track["running"]
    assert 600 <= track["seconds"] < 630
    stopped = ada.post(f"{TRACKS}{track['id']}/stop")
    assert not stopped["running"]
    assert 600 <= stopped["seconds"] < 630
    assert abs(datetime.fromisoformat(stopped["end"]) - datetime.now(UTC)) < timedelta(seconds=30)
    problem(ada.call("POST", f"{TRACKS}{track['id']}/stop"), 409, "conflict")
    problem(ada.call("POST", f"{TRACKS}{track['id']}/start"), 409, "conflict")
    assert ada.get(f"{TRACKS}{track['id']}") == stopped


def test_a_planned_track_is_started_and_what_ran_before_stops(ada: Person) -> None:
    key = ada.activity()
    before = ada.track(key, ago(minutes=10))
    planned = ada.track(key)
    assert (planned["running"], planned["seconds"]) == (False, None)
    problem(ada.call("POST", f"{TRACKS}{planned['id']}/stop"), 409, "conflict")
    started = ada.post(f"{TRACKS}{planned['id']}/start")
    assert started["running"]
    assert ada.get(f"{TRACKS}{before['id']}")["end"] == started["start"]
    problem(ada.call("POST", f"{TRACKS}{planned['id']}/start"), 409, "conflict")


def test_writing_a_second_running_track_is_refused(ada: Person, grace: Person) -> None:
    key = ada.activity()
    running = ada.track(key, ago(minutes=10))
    done = ada.track(key, NINE, TEN)
    path = f"{TRACKS}{done['id']}"
    for method, where, body in (
        ("POST", TRACKS, {"activity": key, "start": NINE}),
        ("PATCH", path, {"end": None}),
        ("PUT", path, {"activity": key, "start": NINE}),
    ):
        problem(ada.call(method, where, body), 409, "conflict")
    assert ada.get(path) == done
    assert ada.get(TRACKS)["count"] == 2
    assert grace.track(key, NINE)["running"]  # others are no obstacle
    ada.call("PATCH", f"{TRACKS}{running['id']}", {"end": ago(minutes=1)})
    assert ada.call("PATCH", path, {"end": None}).status_code == 200


def test_a_track_that_starts_later_lasts_no_time_yet(ada: Person) -> None:
    track = ada.track(ada.activity(), ago(hours=-1))
    assert (track["running"], track["seconds"]) == (True, 0)
    stopped = ada.post(f"{TRACKS}{track['id']}/stop")
    assert stopped["end"] == stopped["start"] == track["start"]


def test_of_many_starts_at_once_one_track_runs(tracker: Flask, ada: Person) -> None:
    key = ada.activity()
    running = ada.track(key, ago(minutes=10))
    planned = [ada.track(key)["id"] for _ in range(6)]
    gate, statuses = threading.Barrier(len(planned)), list[int]()
    headers = {"Authorization": ada.client.environ_base["HTTP_AUTHORIZATION"]}

    def begin(track_id: int) -> None:
        client = tracker.test_client()
        gate.wait()
        statuses.append(client.post(f"{TRACKS}{track_id}/start", headers=headers).status_code)

    threads = [threading.Thread(target=begin, args=(each,)) for each in planned]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == len(planned)
    assert set(statuses) <= {200, 409, 503}  # 503: SQLite was busy
    assert 200 in statuses
    rows = ada.get(TRACKS)["results"]
    assert sum(row["running"] for row in rows) == 1
    assert sum(row["start"] is not None for row in rows) == 1 + statuses.count(200)
    assert ada.get(f"{TRACKS}{running['id']}")["end"] is not None


# The summary


def test_the_summary_counts_what_was_spent_on_each_activity(ada: Person, grace: Person) -> None:
    reading, walking, baking = (ada.activity(name) for name in ("Reading", "Walking", "Baking"))
    ada.track(reading, NINE, TEN)
    ada.track(reading, TEN, "2026-03-01T10:00:08Z")
    ada.track(walking, NINE, ELEVEN)
    ada.track(baking)  # planned
    grace.track(baking, NINE, TEN)
    assert ada.get(f"{TRACKS}summary") == {
        "seconds": 7200 + 3608,
        "activities": [
            {"activity": walking, "name": "Walking", "seconds": 7200, "tracks": 1},
            {"activity": reading, "name": "Reading", "seconds": 3608, "tracks": 2},
        ],
        "running": None,
    }
    for key, tracked in ((baking, 1), (reading, 3)):
        running = ada.track(key, ago(seconds=100))
        summary = ada.get(f"{TRACKS}summary")
        assert summary["running"] | {"seconds": 0} == running | {"seconds": 0}
        (one,) = [each for each in summary["activities"] if each["activity"] == key]
        assert one["tracks"] == tracked
        assert 100 <= one["seconds"] - (3608 if key == reading else 0) < 130
        assert summary["seconds"] == sum(each["seconds"] for each in summary["activities"])
        ada.call("DELETE", f"{TRACKS}{running['id']}")


def test_the_summary_takes_two_queries(tracker: Flask, ada: Person) -> None:
    for n in range(4):
        ada.track(ada.activity(f"Activity {n}"), NINE, TEN)
    ada.track(ada.activity(), NINE)
    with tracker.app_context():
        engine = db.engine
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert len(ada.get(f"{TRACKS}summary")["activities"]) == 5
    assert len(asked) == 2


# Who may


CALLS = [
    ("GET", TRACKS, "read:tracks"),
    ("GET", f"{TRACKS}summary", "read:tracks"),
    ("GET", f"{TRACKS}1", "read:tracks"),
    ("POST", TRACKS, "write:tracks"),
    ("PUT", f"{TRACKS}1", "write:tracks"),
    ("PATCH", f"{TRACKS}1", "write:tracks"),
    ("DELETE", f"{TRACKS}1", "write:tracks"),
    ("POST", f"{TRACKS}1/start", "write:tracks"),
    ("POST", f"{TRACKS}1/stop", "write:tracks"),
]


@pytest.mark.parametrize(("method", "path", "needed"), CALLS)
def test_each_endpoint_wants_its_scope(
    tracker: Flask, ada: Person, login_user: LoginUser, method: str, path: str, needed: str
) -> None:
    other = {"read:tracks": "write:tracks", "write:tracks": "read:tracks"}[needed]
    sent: dict[str, Any] = {"method": method, "json": {"activity": 1}}
    problem(tracker.test_client().open(path, **sent), 401, "token-missing")
    refused = problem(login_user(ada.email, scopes=[other]).open(path, **sent), 403, "forbidden-scope")
    assert refused["scope"] == needed
    admitted = login_user(ada.email, scopes=[needed]).open(path, **sent)
    assert admitted.status_code not in {401, 403}


def test_an_app_that_speaks_for_nobody_here_has_no_tracks(tracker: Flask) -> None:
    with tracker.test_request_context():
        g.user, g.get_user = None, lambda: None
        with pytest.raises(Forbidden, match=NOBODY.detail):
            _person()


def test_a_person_whom_the_calling_app_has_to_be_asked_for(tracker: Flask, ada: Person) -> None:
    with tracker.test_request_context():
        from example_timetracker.people import User

        g.user, g.get_user = None, lambda: db.session.get(User, ada.id)
        assert _person() == ada.id


# What happens meanwhile


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PATCH", "", 404), ("PUT", "", 404), ("POST", "/stop", 404), ("DELETE", "", 204)],
)
def test_a_track_that_is_deleted_in_the_meantime(
    make_sqlite: Flask, login_sqlite: Person, method: str, path: str, status: int
) -> None:
    # On PostgreSQL the row is locked, and the deletion waits.
    ada = login_sqlite
    track = ada.track(ada.activity(), NINE)
    just_before_writing(make_sqlite, "DELETE FROM tracks")
    body = {"activity": track["activity"], "description": "x"} if method in {"PUT", "PATCH"} else None
    assert ada.call(method, f"{TRACKS}{track['id']}{path}", body).status_code == status


@pytest.fixture
def make_sqlite(make_tracker: Any, tmp_path: Any) -> Flask:
    app: Flask = make_tracker(DATABASE_TEST_URL=f"sqlite:///{tmp_path / 'one.db'}")
    with app.app_context():
        db.create_all()
    return app


@pytest.fixture
def login_sqlite(make_sqlite: Flask) -> Person:
    from tests.example_timetracker.walker import join

    return join(make_sqlite, "Ada")


def test_a_person_who_is_deleted_in_the_meantime_is_401(tracker: Flask, ada: Person) -> None:
    key = ada.activity()
    just_before_writing(tracker, "DELETE FROM users")
    problem(ada.call("POST", TRACKS, {"activity": key}), 401, "user-unknown")


def test_an_activity_that_is_deleted_in_the_meantime(tracker: Flask, ada: Person) -> None:
    key = ada.activity()
    just_before_writing(tracker, "DELETE FROM activities")
    answer = ada.call("POST", TRACKS, {"activity": key})
    assert problem(answer, 422, "invalid-fields")["errors"] == {"activity": ["There is no such activity."]}


# The table itself


@pytest.mark.parametrize(
    ("start", "end"), [(None, "2026-03-01 09:00:00+00:00"), (TEN, "2026-03-01 09:00:00+00:00")]
)
def test_the_table_itself_refuses_an_end_that_does_not_fit(
    tracker: Flask, ada: Person, start: str | None, end: str
) -> None:
    """Two changes at once, each of which is good by itself, could make one."""
    track = ada.track(ada.activity(), NINE, ELEVEN)
    with tracker.app_context():
        row = db.session.get_one(Track, track["id"])
        row.start = None if start is None else datetime.fromisoformat(start)
        row.end = datetime.fromisoformat(end)
        # As `save` sees it: past its own look at the two.
        with pytest.raises(Exception, match="ck_tracks_end_after_start") as refused:
            db.session.flush()
        found = tracks._problem_of(refused.value, ada.id)  # type: ignore[arg-type]
        assert found.errors == {"end": [tracks.END_FIRST]}


def test_a_moment_without_a_zone_never_gets_to_the_database(tracker: Flask, ada: Person) -> None:
    key = ada.activity()
    with tracker.app_context():
        db.session.add(Track(user_id=ada.id, activity_id=key, start=datetime(2026, 3, 1, 9)))  # noqa: DTZ001
        with pytest.raises(StatementError, match="time zone"):
            db.session.flush()


def test_rows_say_what_they_are(tracker: Flask, ada: Person) -> None:
    key = ada.activity()
    ada.track(key, description="Chapter 3")
    ada.track(key)
    with tracker.app_context():
        rows = db.session.scalars(tracks.tracks_of(ada.id).order_by(Track.id)).all()
        assert [str(row) for row in rows] == ["Reading: Chapter 3", "Reading"]
        assert set(rows[0].user.entries) == set(rows[0].activity.entries) == set(rows)

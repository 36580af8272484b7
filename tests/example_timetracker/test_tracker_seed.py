"""`flask seed`: believable people and tracks, made once, and not where the world could log in as them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from example_blog.seed import read_people
from example_timetracker import activities, track_routes
from example_timetracker.activities import Activity
from example_timetracker.database import db
from example_timetracker.people import User
from example_timetracker.seed import read_seed
from example_timetracker.tracks import Track
from flask_linked_auth.accounts.passwords import complaints
from tests.example_blog.walker import run

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.example_timetracker.conftest import Make

SECRET = "q3Zt8vLm1xRw6yKc9pHd2sNf5bGj7eUa"


def counts(app: Flask) -> list[int]:
    with app.app_context():
        queries = (select(func.count()).select_from(each) for each in (User, Activity, Track))
        return [db.session.execute(query).scalar_one() for query in queries]


def log_in(app: Flask, person: dict[str, str]) -> FlaskClient:
    client = app.test_client()
    login = client.post("/auth/login", json={key: person[key] for key in ("email", "password")})
    assert login.status_code == 200
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {login.get_json()['token']}"
    return client


def test_it_prints_accounts_that_one_can_log_in_with_and_they_have_tracks(tracker: Flask) -> None:
    printed = run(tracker, "seed")
    running = 0
    for person in read_seed()["people"]:
        assert person["email"] in printed
        assert person["password"] in printed
        summary = log_in(tracker, person).get("/api/tracks/summary").get_json()
        assert 3600 < summary["seconds"] < 8 * 3600
        running += summary["running"] is not None
    assert running == 1
    assert "http://localhost:5001/auth/login" in printed


def test_somebody_has_planned_something_and_somebody_administers() -> None:
    people = read_seed()["people"]
    assert any("hours_ago" not in track for person in people for track in person["tracks"])
    assert sum(person.get("is_admin", False) for person in people) == 1


def test_they_are_the_people_of_the_blog() -> None:
    kept = ("name", "email", "password")
    tracking = [{key: person[key] for key in kept} for person in read_seed()["people"]]
    assert tracking == [{key: person[key] for key in kept} for person in read_people()]


def test_a_second_time_it_adds_nothing_and_changes_nothing(tracker: Flask) -> None:
    run(tracker, "seed")
    client = log_in(tracker, read_seed()["people"][1])
    tracks = client.get("/api/tracks/").get_json()["results"]
    assert client.delete(f"/api/tracks/{tracks[0]['id']}").status_code == 204
    before = counts(tracker)
    assert "Added 0 people and 0 tracks" in run(tracker, "seed")
    assert counts(tracker) == before


def test_everything_is_such_as_the_service_itself_accepts() -> None:
    data = read_seed()
    names = {activity["name"] for activity in data["activities"]}
    for activity in data["activities"]:
        given = {key: activity[key] for key in ("name", "description") if key in activity}
        assert activities.schema.validate(given) == {}
        assert activity["creator"] in {person["email"] for person in data["people"]}
    for person in data["people"]:
        context = [person["name"], person["email"], "timetracker"]
        assert complaints(person["password"], min_length=15, context=context) == []
        for track in person["tracks"]:
            assert track["activity"] in names
            given = {"activity": 1, "description": track["description"]}
            assert track_routes.schema.validate(given) == {}


def test_not_in_production_unless_forced(make_tracker: Make, database_url: str) -> None:
    world = make_tracker(
        "production",
        DATABASE_URL=database_url,
        LINKED_AUTH_ISSUER="https://time.example.com",
        LINKED_AUTH_SECRET=SECRET,
    )
    run(world, "db", "upgrade")
    refused = world.test_cli_runner().invoke(args=["seed"])
    assert refused.exit_code == 1
    assert "public" in refused.output
    assert counts(world) == [0, 0, 0]
    assert "Added 4 people" in run(world, "seed", "--force")


def test_without_tables_it_says_what_to_do_first(empty_tracker: Flask) -> None:
    refused = empty_tracker.test_cli_runner().invoke(args=["seed"])
    assert refused.exit_code == 1
    assert "db upgrade" in refused.output

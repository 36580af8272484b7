"""Activities: who reads, adds, changes and deletes them, and that no track is lost with one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from example_timetracker.database import db
from tests.example_blog.walker import problem
from tests.example_timetracker.walker import ACTIVITIES, TRACKS, Person

if TYPE_CHECKING:
    from flask import Flask

    from flask_linked_auth.testing import LoginUser


def test_an_activity_from_adding_to_deleting(ada: Person, grace: Person) -> None:
    made = ada.call("POST", ACTIVITIES, {"name": "  Reading ", "description": "Books\nmostly"})
    assert made.status_code == 201
    activity = made.get_json()
    assert activity == {
        "id": activity["id"],
        "creator": ada.id,
        "name": "Reading",
        "description": "Books\nmostly",
    }
    path = made.headers["Location"]
    assert path == f"/api/activities/{activity['id']}"
    for anybody in (ada, grace):
        assert anybody.get(path) == activity
        assert anybody.get(path + "/") == activity
    changed = ada.call("PATCH", path, {"name": "Novels"})
    assert (changed.status_code, changed.get_json()) == (200, activity | {"name": "Novels"})
    replaced = ada.call("PUT", path, {"name": "Books"}).get_json()
    assert replaced == activity | {"name": "Books", "description": ""}
    assert grace.get(path) == replaced
    deleted = ada.call("DELETE", path)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert "Content-Type" not in deleted.headers
    problem(ada.call("GET", path), 404, "not-found")


def test_the_list_is_paged_by_name(ada: Person, grace: Person) -> None:
    for who, name in ((ada, "walking"), (grace, "Baking"), (ada, "Reading"), (grace, "Reading")):
        who.activity(name)
    first = ada.get(f"{ACTIVITIES}?page_size=3")
    assert first.keys() == {"count", "next", "previous", "results"}
    second = ada.get(first["next"])
    assert ada.get(second["previous"]) == first
    listed = [(each["name"], each["creator"]) for page in (first, second) for each in page["results"]]
    assert listed == [
        ("Baking", grace.id),
        ("Reading", ada.id),
        ("Reading", grace.id),
        ("walking", ada.id),
    ]
    assert (first["count"], first["previous"], second["next"]) == (4, None, None)


def test_its_creator_and_staff_change_and_delete_it_and_nobody_else(
    ada: Person, grace: Person, staff: Person
) -> None:
    path = f"{ACTIVITIES}{ada.activity()}"
    before = ada.get(path)
    for method, body in (("PUT", {"name": "x"}), ("PATCH", {"name": ""}), ("DELETE", None)):
        problem(grace.call(method, path, body), 403, "forbidden")
        problem(grace.call(method, f"{ACTIVITIES}999", body), 404, "not-found")
    assert grace.get(path) == before
    assert staff.call("PATCH", path, {"name": "Edited"}).get_json()["creator"] == ada.id
    assert staff.call("DELETE", path).status_code == 204


def test_strangers_neither_read_nor_write(tracker: Flask, ada: Person) -> None:
    path, anybody = f"{ACTIVITIES}{ada.activity()}", tracker.test_client()
    for method, where in (
        ("GET", "/api/"),
        ("GET", ACTIVITIES),
        ("POST", ACTIVITIES),
        ("GET", path),
        ("PUT", path),
        ("PATCH", path),
        ("DELETE", path),
        ("GET", f"{ACTIVITIES}999"),
    ):
        problem(anybody.open(where, method=method, json={"name": "x"}), 401, "token-missing")
    assert ada.get(path)["name"] == "Reading"


def test_a_token_that_may_do_something_else_only_does_not_read_them(
    ada: Person, login_user: LoginUser
) -> None:
    other = login_user(ada.email, scopes=["write:tracks"])
    answer = other.get(ACTIVITIES)
    assert problem(answer, 403, "forbidden-scope")["scope"] == "read:tracks"
    assert login_user(ada.email, scopes=["read:tracks"]).get(ACTIVITIES).status_code == 200


def test_an_activity_with_tracks_stays(ada: Person, grace: Person, staff: Person) -> None:
    key = ada.activity()
    track = grace.track(key)
    for who in (ada, staff):
        problem(who.call("DELETE", f"{ACTIVITIES}{key}"), 409, "conflict")
    assert grace.get(f"{TRACKS}{track['id']}")["activity_name"] == "Reading"
    grace.call("DELETE", f"{TRACKS}{track['id']}")
    assert ada.call("DELETE", f"{ACTIVITIES}{key}").status_code == 204


def test_who_leaves_takes_tracks_along_and_leaves_activities_to_the_staff(
    tracker: Flask, ada: Person, grace: Person, staff: Person
) -> None:
    key = ada.activity()
    ada.track(key)
    kept = grace.track(key)
    with tracker.app_context():
        db.session.execute(text("DELETE FROM users WHERE id = :id"), {"id": ada.id})
        db.session.commit()
        assert list(db.session.scalars(text("SELECT id FROM tracks"))) == [kept["id"]]
    assert grace.get(f"{ACTIVITIES}{key}")["creator"] is None
    problem(grace.call("PATCH", f"{ACTIVITIES}{key}", {"name": "x"}), 403, "forbidden")
    assert staff.call("PATCH", f"{ACTIVITIES}{key}", {"name": "x"}).status_code == 200


NO_ACTIVITIES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"name"}),
    ({"name": " \t"}, {"name"}),
    ({"name": "two\nlines"}, {"name"}),
    ({"name": "x" * 101, "description": "y" * 2001}, {"name", "description"}),
    ({"name": None, "description": None}, {"name", "description"}),
    ({"name": 1, "description": ["y"]}, {"name", "description"}),
    ({"name": "x", "creator": 1}, {"creator"}),
    ({"name": "x", "id": 1, "nonsense": 2}, {"id", "nonsense"}),
]


def test_what_is_no_activity_is_refused_by_field(ada: Person) -> None:
    path = f"{ACTIVITIES}{ada.activity()}"
    for body, fields in NO_ACTIVITIES:
        for method, where in (("POST", ACTIVITIES), ("PUT", path)):
            answer = ada.call(method, where, body)
            assert problem(answer, 422, "invalid-fields")["errors"].keys() == fields
    assert ada.get(ACTIVITIES)["count"] == 1


def test_the_longest_name_in_any_script_and_a_blank_description(ada: Person) -> None:
    made = ada.post(ACTIVITIES, {"name": "猫" * 100, "description": ""})
    assert (made["name"], made["description"]) == ("猫" * 100, "")


@pytest.mark.parametrize(("method", "status"), [("PATCH", 404), ("PUT", 404), ("DELETE", 204)])
def test_one_that_is_deleted_in_the_meantime(tracker: Flask, ada: Person, method: str, status: int) -> None:
    path = f"{ACTIVITIES}{ada.activity()}"
    just_before_writing(tracker, "DELETE FROM activities")
    assert ada.call(method, path, None if method == "DELETE" else {"name": "x"}).status_code == status


def test_who_is_deleted_in_the_meantime_is_401(tracker: Flask, ada: Person) -> None:
    just_before_writing(tracker, "DELETE FROM users")
    problem(ada.call("POST", ACTIVITIES, {"name": "x"}), 401, "user-unknown")


def just_before_writing(tracker: Flask, statement: str) -> None:
    """Let somebody else run this statement once, between the next view's reading and its writing."""
    with tracker.app_context():
        engine = db.engine

    def meddle(*_: Any) -> None:
        with engine.begin() as other:
            other.execute(text(statement))

    event.listen(db.session, "before_flush", meddle, once=True)

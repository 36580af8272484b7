"""Whatever is sent to the time tracker's own endpoints, the answer is a refusal in the one shape, and never a 5xx."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.example_blog.test_blog_bad_input import MALFORMED
from tests.example_blog.walker import problem
from tests.example_timetracker.walker import ACTIVITIES, TRACKS

if TYPE_CHECKING:
    from flask import Flask

    from tests.example_timetracker.conftest import Make
    from tests.example_timetracker.walker import Person

NO_KEYS = [
    *("0", "01", "\uff11", "-1", "1.5", "1e3", "x", "%00", "1%00", "2147483647", "2147483648"),
    *("9" * 30, "9" * 4_500, "%2e%2e", "1/2", "summary/1", "1/restart"),
]
NOBODY_LISTENS = "postgresql://postgres@127.0.0.1:1/time"


@pytest.fixture
def places(ada: Person) -> list[tuple[str, str]]:
    """Where a body is read, by which method."""
    key = ada.activity()
    activity, track = f"{ACTIVITIES}{key}", f"{TRACKS}{ada.track(key)['id']}"
    changed = [(method, path) for path in (activity, track) for method in ("PUT", "PATCH")]
    return [("POST", ACTIVITIES), ("POST", TRACKS), *changed]


def test_bodies_that_cannot_be_read(ada: Person, places: list[tuple[str, str]]) -> None:
    for body in MALFORMED.values():
        for method, path in places:
            answer = ada.call(method, path, data=body, content_type="application/json")
            problem(answer, 400, "malformed-request")


def test_bodies_that_are_too_large_or_that_another_site_could_post(
    ada: Person, places: list[tuple[str, str]]
) -> None:
    for method, path in places:
        large = json.dumps({"name": "x", "description": "y" * 70_000})
        problem(ada.call(method, path, data=large, content_type="application/json"), 413, "too-large")
        for kind in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = ada.call(method, path, data='{"name": "x"}', content_type=kind)
            problem(answer, 415, "unsupported-media-type")


def test_starting_and_stopping_read_no_body(ada: Person) -> None:
    path = f"{TRACKS}{ada.track(ada.activity())['id']}"
    for deed in ("start", "stop"):
        answer = ada.call("POST", f"{path}/{deed}", data=b"\xff{", content_type="text/plain")
        assert answer.status_code == 200


def test_values_of_every_wrong_type(ada: Person, places: list[tuple[str, str]]) -> None:
    for value in (True, 1.5, -(2**63), [], ["x"], {}, {"x": 1}):
        for method, path in places:
            names = ("name", "description") if path.startswith(ACTIVITIES) else ("activity", "start", "end")
            for name in names:
                good = {"name": "x"} if path.startswith(ACTIVITIES) else {"activity": 1}
                answer = ada.call(method, path, good | {name: value})
                assert problem(answer, 422, "invalid-fields")["errors"].keys() == {name}


def test_addresses_of_nothing(ada: Person) -> None:
    ada.track(ada.activity())
    for each in NO_KEYS:
        for collection in (ACTIVITIES, TRACKS):
            for method in ("GET", "PUT", "PATCH", "DELETE"):
                body = {"description": "x"} if method in {"PUT", "PATCH"} else None
                answer = ada.call(method, f"{collection}{each}", body)
                if each == "1/restart" or "/" not in each:
                    problem(answer, 404, "not-found")
                assert answer.status_code in {404, 405}
        for deed in ("start", "stop"):
            problem(ada.call("POST", f"{TRACKS}{each}/{deed}"), 404, "not-found")
    assert ada.get(TRACKS)["count"] == ada.get(ACTIVITIES)["count"] == 1


def test_pages_that_are_none(ada: Person) -> None:
    for collection in (ACTIVITIES, TRACKS):
        for name in ("page", "page_size"):
            for value in ("0", "-1", "1.5", "x", "", "%00", "%EF%BC%91", "9" * 30, f"1&{name}=2", "[1]"):
                answer = ada.call("GET", f"{collection}?{name}={value}")
                assert problem(answer, 400, "malformed-request")["errors"].keys() == {name}
        assert ada.get(f"{collection}?page=10000000&page_size=100")["results"] == []


def test_parameters_nobody_asked_for_change_nothing(ada: Person, grace: Person) -> None:
    grace.track(ada.activity())
    assert ada.get(f"{TRACKS}?user={grace.id}&user_id={grace.id}&sort=password_hash")["count"] == 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", TRACKS, "POST"),
        ("PUT", ACTIVITIES, "POST"),
        ("POST", f"{TRACKS}1", "DELETE"),
        ("GET", f"{TRACKS}1/stop", "POST"),
        ("POST", f"{TRACKS}summary", "GET"),
        ("POST", "/api/", "GET"),
        ("POST", "/health", "GET"),
        ("DELETE", "/", "POST"),
        ("TRACE", TRACKS, "GET"),
    ],
)
def test_methods_that_a_path_has_not(tracker: Flask, method: str, path: str, allowed: str) -> None:
    answer = tracker.test_client().open(path, method=method)
    problem(answer, 405, "method-not-allowed")
    assert allowed in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/api/v1/", "/api/people/", "/admin", "/static/../config.py", "/start"])
def test_paths_that_are_none(tracker: Flask, path: str) -> None:
    problem(tracker.test_client().get(path), 404, "not-found")


def test_the_root_says_what_there_is(ada: Person) -> None:
    collections = ada.get("/api/")
    assert collections == ada.get("/api") == {"activities": ACTIVITIES, "tracks": TRACKS}
    answer = ada.call("GET", "/api/", headers={"Host": "evil.example.com"})
    assert "evil" not in answer.text
    for path in collections.values():
        assert ada.get(path)["count"] == 0


def test_health(tracker: Flask) -> None:
    answer = tracker.test_client().get("/health")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_its_database_it_asks_to_come_again(make_tracker: Make) -> None:
    app = make_tracker(DATABASE_TEST_URL=NOBODY_LISTENS)
    client = app.test_client()
    answer = client.get("/health")
    problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"].isdigit()
    assert "127.0.0.1" not in answer.text
    assert client.get("/").status_code == 200

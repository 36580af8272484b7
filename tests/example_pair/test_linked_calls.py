"""Whom the time tracker answers when a linked app calls: the person it calls for, as far as that person is known."""

from __future__ import annotations

from typing import Any

import pytest

from tests.example_pair.house import MAREN, House, Visitor

TRACKS, SUMMARY = "/api/tracks/", "/api/tracks/summary"


@pytest.fixture(scope="module")
def maren(house: House) -> Any:
    """Her id at the blog; she has let the blog in."""
    visitor = Visitor(house, *MAREN).log_in(house.tracker)
    visitor.allow()
    sent = {"email": MAREN[0], "password": MAREN[1]}
    return house.blog.app.test_client().post("/auth/login", json=sent).get_json()["user_id"]


def refused(answer: Any, status: int, slug: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["slug"]) == (status, slug), answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("mode", [None, "jwt", "signature"])
def test_one_sees_ones_own_tracks_and_no_others(house: House, maren: Any, mode: Any) -> None:
    found = house.blog.call("timetracker", maren, TRACKS, mode=mode).json()
    assert found["count"] == 8
    (owner,) = {each["user"] for each in found["results"]}
    mine = {each["id"] for each in found["results"]}
    assert house.blog.call("timetracker", maren, f"{TRACKS}{min(mine)}", mode=mode).json()["user"] == owner
    others = min({1, *range(1, 22)} - mine)
    refused(house.blog.call("timetracker", maren, f"{TRACKS}{others}", mode=mode), 404, "not-found")


def test_nothing_may_be_written_that_was_not_allowed(house: House, maren: Any) -> None:
    for method, path in (("POST", TRACKS), ("DELETE", f"{TRACKS}1"), ("POST", f"{TRACKS}1/stop")):
        answer = house.blog.call("timetracker", maren, path, method, json={"activity": 1})
        refused(answer, 403, "forbidden-scope")
    # Activities are added by people only, whatever an app may do.
    answer = house.blog.call("timetracker", maren, "/api/activities/", "POST", json={"name": "Swimming"})
    refused(answer, 401, "authorization-header-forbidden-schema")


def test_what_one_allows_beside_is_allowed(house: House, maren: Any) -> None:
    change = ["linked-auth", "app", "change", "blog", "--optional", "write:tracks"]
    house.tracker.run(*change)
    answer = house.blog.call("timetracker", maren, TRACKS, "POST", json={"activity": 1})
    assert refused(answer, 403, "agreement-not-accepted")["person_known"] is True
    Visitor(house, *MAREN).log_in(house.tracker).send(
        f"{house.tracker.address}/v1/auth/authorize/blog", **{"scope-write:tracks": "on"}
    )
    answer = house.blog.call("timetracker", maren, TRACKS, "POST", json={"activity": 1})
    assert answer.status_code == 201, answer.text
    assert house.blog.call("timetracker", maren, answer.headers["Location"], "DELETE").status_code == 204


def test_a_service_that_speaks_for_itself_has_no_tracks(house: House) -> None:
    answer = house.blog.call("timetracker", None, SUMMARY)
    assert "on behalf of a person" in refused(answer, 403, "forbidden")["detail"]
    assert house.blog.call("timetracker", None, "/api/activities/").status_code == 200


def test_somebody_who_is_not_known_there_sees_nothing(house: House) -> None:
    body = refused(house.blog.call("timetracker", 4711, SUMMARY), 403, "agreement-not-accepted")
    assert body["person_known"] is False


def test_where_no_agreement_is_needed_the_view_finds_out_who_it_is(house: House) -> None:
    """`g.user` is nobody at first; `g.get_user()` asks the blog, and joins by the verified address."""
    house.tracker.run("linked-auth", "app", "change", "blog", "--no-agreement")
    try:
        email = house.newcomer(house.blog, house.tracker)
        for service in (house.blog, house.tracker):
            house.verify(service, email)
        sent = {"email": email, "password": Visitor(house, email).password}
        key = house.blog.app.test_client().post("/auth/login", json=sent).get_json()["user_id"]
        assert house.blog.call("timetracker", key, SUMMARY).json()["seconds"] == 0
        answer = house.blog.call("timetracker", key, TRACKS, "POST", json={"activity": 1})
        assert answer.status_code == 201, answer.text
        people = house.tracker.run("linked-auth", "people", "list", "blog")
        assert f"{key}\t{answer.json()['user']}\thealthy" in people
        # And who is nobody at the blog either stays nobody.
        refused(house.blog.call("timetracker", 4711, SUMMARY), 403, "forbidden")
    finally:
        house.tracker.run("linked-auth", "app", "change", "blog", "--agreement")


def test_the_blog_tells_the_time_tracker_of_its_people_and_lets_it_do_nothing_else(house: House) -> None:
    people = house.tracker.call("blog", None, "/v1/auth/app/user/")
    assert MAREN[0] in {each["email"] for each in people.json()}
    # Posts are written by people of the blog only.
    answer = house.tracker.call(
        "blog", None, "/api/v1/blogposts/", "POST", json={"title": "x", "content": "y"}
    )
    assert answer.status_code == 401

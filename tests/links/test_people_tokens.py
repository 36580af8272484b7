"""One-time tokens for linked apps, and one's own profile sent to them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_linked_auth.link_errors import AppNotFound
from flask_linked_auth.links.one_time import one_time_token
from tests.links.both_sides import Running, acquaint, running
from tests.tiny import Person, edit, in_database, refused

TOKEN, MINE = "/v1/auth/app/token", "/v1/auth/me/app"


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[Running]:
    with running("blog", tmp_path, revocation_interval=0) as service:
        yield service


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Running]:
    with running("tracker", tmp_path, revocation_interval=0) as service:
        yield service


@pytest.fixture
def house(blog: Running, tracker: Running) -> tuple[Running, Running]:
    acquaint(blog, tracker, needs_agreement=False)
    return blog, tracker


def token_for(service: Running, person: Person, app: str | None = None) -> str:
    with service.app.app_context():
        return one_time_token(person.id, app)


def spend(tracker: Running, blog: Running, token: Any) -> tuple[int, Any]:
    answer = tracker.call(blog, TOKEN, method="POST", json={"token": token})
    assert "no-store" in answer.headers["Cache-Control"]
    return answer.status_code, answer.json()


def test_a_token_tells_once_who_somebody_is(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    ana = blog.person()
    token = token_for(blog, ana)
    status, body = spend(tracker, blog, token)
    assert status == 200
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", body.pop("expires_at"))
    assert body == {"token": token, "token_type": "one_time", "user_id": ana.id, "email": "ana@example.com"}
    status, body = spend(tracker, blog, token)
    assert (status, body["slug"]) == (401, "invalid-token")


def test_of_many_at_once_one_learns_it(database_url: str, tmp_path: Path, tracker: Running) -> None:
    with running("blog", tmp_path, database=database_url) as blog:
        acquaint(blog, tracker, needs_agreement=False)
        token, found = token_for(blog, blog.person()), []
        spending = [
            threading.Thread(target=lambda: found.append(spend(tracker, blog, token)[0])) for _ in range(8)
        ]
        for each in spending:
            each.start()
        for each in spending:
            each.join()
    assert sorted(found) == [200] + [401] * 7


def test_only_its_hash_is_stored(house: tuple[Running, Running]) -> None:
    blog, _ = house
    token = token_for(blog, blog.person())
    assert token.startswith("fla_it_")
    with in_database(blog.app) as (db, rows):
        (row,) = db.session.query(rows.OneTimeToken).all()
        assert re.fullmatch(r"[0-9a-f]{64}", row.id)


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": None}, {"token": 7}, {"token": ["x"]}])
def test_no_token_is_400(house: tuple[Running, Running], body: Any) -> None:
    blog, tracker = house
    answer = tracker.call(blog, TOKEN, method="POST", json=body)
    assert (answer.status_code, answer.json()["slug"]) == (400, "token-not-provided")


@pytest.mark.parametrize(
    "token", ["x", "fla_it_" + "a" * 43, "fla_it_\u0000", "fla_rt_" + "a" * 43, "é" * 5000]
)
def test_an_unknown_token_is_401(house: tuple[Running, Running], token: str) -> None:
    blog, tracker = house
    status, body = spend(tracker, blog, token)
    assert (status, body["slug"]) in {(401, "invalid-token"), (400, "malformed-request")}
    assert (status == 400) == ("\0" in token)


def test_an_expired_one_is_401(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    token = token_for(blog, blog.person())
    edit(blog.app, "OneTimeToken", expires_at=1)
    assert spend(tracker, blog, token)[0] == 401


def test_one_of_somebody_who_is_gone_is_401(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    token = token_for(blog, blog.person())
    edit(blog.app, "User", active=False)
    assert spend(tracker, blog, token)[0] == 401


def test_one_for_another_app_is_401_and_not_used_up(house: tuple[Running, Running], tmp_path: Path) -> None:
    blog, tracker = house
    with running("billing", tmp_path) as billing:
        acquaint(blog, billing, needs_agreement=False)
        token = token_for(blog, blog.person(), "billing")
        assert spend(tracker, blog, token)[0] == 401
        assert spend(billing, blog, token)[0] == 200


def test_an_app_that_needs_an_agreement_may_not(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, required=("read:token",))
    status, body = spend(tracker, blog, token_for(blog, blog.person()))
    assert (status, body["slug"]) == (403, "from-external-app")


def test_a_person_gets_one_for_one_app(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    ana = blog.person()
    given = ana.post(f"{MINE}/tracker/token")
    assert given.status_code == 201
    body = given.get_json()
    assert body["expires_in"] == 600
    assert spend(tracker, blog, body["token"])[1]["user_id"] == ana.id
    refused(ana.client.post(f"{MINE}/tracker/token"), 401, "token-missing")
    refused(ana.post(f"{MINE}/nobody/token"), 404, "not-found")


def test_a_token_for_an_unknown_app_or_for_nobody(house: tuple[Running, Running]) -> None:
    blog, _ = house
    with blog.app.app_context():
        with pytest.raises(AppNotFound):
            one_time_token(1, "nobody")
        with pytest.raises(ValueError, match="key"):
            one_time_token("x")


# One's own profile.


def test_a_profile_is_pushed_and_the_other_side_takes_note(blog: Running, tracker: Running) -> None:
    acquaint(tracker, blog, needs_agreement=False, joins_by_email=True)
    here, there = blog.person(), tracker.person()
    assert here.post(f"{MINE}/tracker/sync").status_code == 204
    assert tracker.people_of("blog") == {str(here.id): there.id}


def test_what_the_body_of_a_push_says_is_not_believed(blog: Running, tracker: Running) -> None:
    # A JWT does not cover the body: whoever has caught one could else become anybody.
    acquaint(tracker, blog, needs_agreement=False, joins_by_email=True)
    here = blog.person("mallory@example.com")
    tracker.person("victim@example.com")
    body = {"id": here.id, "username": "v", "email": "victim@example.com", "email_verified": True}
    answer = blog.call(tracker, "/v1/auth/app/user", str(here.id), method="POST", json=body)
    assert (answer.status_code, answer.json()["slug"]) == (404, "user-not-found")
    assert tracker.people_of("blog") == {}


def test_a_push_for_nobody_is_400(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    assert tracker.call(blog, "/v1/auth/app/user", method="POST", json={}).status_code == 400


def test_an_app_that_needs_an_agreement_is_sent_nothing(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker)
    refused(blog.person().post(f"{MINE}/tracker/sync"), 403, "external-app")


def test_an_app_that_refuses_or_is_away(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    ana = blog.person()
    body = refused(ana.post(f"{MINE}/tracker/sync"), 409, "conflict")
    assert "404" in body["detail"]
    blog.change(tracker, address="http://127.0.0.1:9")
    refused(ana.post(f"{MINE}/tracker/sync"), 503, "unavailable")
    edit(blog.app, "LinkedApp", address=None)
    blog.change(tracker, name="changed")
    refused(ana.post(f"{MINE}/tracker/sync"), 404, "not-found")
    refused(ana.post(f"{MINE}/App_x/sync"), 404, "not-found")

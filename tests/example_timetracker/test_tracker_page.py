"""The page in a browser without JavaScript: people start and stop what they do, and nobody else does it for them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text

from example_timetracker.database import db
from example_timetracker.pages import clock, words
from example_timetracker.tracks import Track
from tests.browsers import SAME_ORIGIN
from tests.example_blog.walker import PASSWORD, problem
from tests.example_timetracker.test_tracker_activities import just_before_writing
from tests.example_timetracker.walker import TRACKS, Person, join
from tests.visitor import Shown, Visitor, read

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from flask_linked_auth.testing import LoginUser

LOGIN = "/account/login?next=/"


@pytest.fixture
def browser(ada: Person, login_user: LoginUser) -> FlaskClient:
    """Ada's browser, where she is logged in."""
    return login_user(ada.email, cookie=True)


def rows(tracker: Flask) -> list[tuple[str, str, bool]]:
    with tracker.app_context():
        query = select(Track).order_by(Track.id)
        return [(row.activity.name, row.description, row.running) for row in db.session.scalars(query)]


def ago(**by: float) -> str:
    return (datetime.now(UTC) - timedelta(**by)).isoformat()


def test_a_stranger_is_shown_the_way_in(tracker: Flask, ada: Person) -> None:
    ada.track(ada.activity("Secret meeting"))
    visitor = Visitor(tracker)
    page = visitor.open("/")
    assert page.heading == "What did you spend your time on?"
    assert page.forms == {}
    assert "Secret meeting" not in page.text
    assert {LOGIN, "/account/register?next=/"} <= set(page.links)
    for link in page.links:
        assert tracker.test_client().get(link).status_code in {200, 308} or link.startswith("#")


def test_somebody_makes_an_account_and_tracks_a_day(tracker: Flask) -> None:
    """Without a line of script."""
    visitor = Visitor(tracker)
    visitor.open("/account/register?next=/")
    chosen_password = {"password": PASSWORD, "password_again": PASSWORD}
    page = visitor.send("/account/register", email="ada@example.com", **chosen_password)
    assert (visitor.path, page.heading) == ("/", "Your time")
    assert "There are no activities yet" in page.text
    page = press(visitor, deed="add", name="  Reading ")
    assert re.fullmatch(r"/\?activity=\d+", visitor.path)
    assert "There are none yet." in page.text
    chosen = visitor.path.partition("=")[2]
    page = press(visitor, deed="start", activity=chosen, description=" Chapter 3 ")
    assert visitor.path == "/"
    assert "Running Reading Chapter 3 since" in page.text
    assert rows(tracker) == [("Reading", "Chapter 3", True)]
    (running,) = re.findall(r'name="track" value="(\d+)"', visitor.answer.text)
    page = press(visitor, deed="stop", track=running)
    assert rows(tracker) == [("Reading", "Chapter 3", False)]
    assert "Running" not in page.text
    assert "Reading Chapter 3" in page.text
    visitor.send("/account/logout")
    assert "Chapter 3" not in visitor.open("/").text


def press(visitor: Visitor, **typed: str) -> Shown:
    """Send the form of the page, as its button would."""
    token = re.search(r'name="linked_auth_csrf" value="([^"]+)"', visitor.answer.text)
    assert token is not None
    visitor.page.forms["/"] = {}  # several forms lead there: only what is typed counts
    return visitor.send("/", linked_auth_csrf=token[1], **typed)


def test_the_columns_and_the_rows(ada: Person, browser: FlaskClient) -> None:
    key = ada.activity("Reading <b>")
    ada.track(key, "2026-03-01T09:00:00Z", "2026-03-01T09:08:59Z", description="Notes <i>\nand more")
    ada.track(key, "2026-02-28T23:30:00Z", "2026-03-01T01:35:00Z")
    ada.track(key, description="Later")
    running = ada.track(key, ago(minutes=8))
    page = browser.get("/")
    assert re.findall(r'scope="col">(\w+)<', page.text) == ["Activity", "Description", "Duration"]
    assert "<b>" not in page.text
    text = read(page.text).text
    for each in ("8 min", "2 h 5 min", "Notes <i> and more", "Planned Reading <b> Later Not started Start"):
        assert each in text
    assert "Sunday, 1 March 2026" in text
    (shown,) = re.findall(r'role="timer" data-seconds="(\d+)">0:(\d\d):(\d\d)<', page.text)
    assert 480 <= int(shown[0]) == int(shown[1]) * 60 + int(shown[2]) < 510
    assert f'name="track" value="{running["id"]}"' in page.text
    headings = ("Running", "Planned", "Sunday")
    assert sorted(headings, key=text.index) == list(headings)


def test_the_rows_are_paged(ada: Person, browser: FlaskClient) -> None:
    key = ada.activity()
    for n in range(23):
        ada.track(key, f"2026-03-01T{n:02}:00:00Z", f"2026-03-01T{n:02}:08:00Z", description=f"Nr {n};")
    first = browser.get("/").text
    assert "Nr 22;" in first
    assert "Nr 2;" not in first
    (older,) = re.findall(r'href="([^"]+)">Older<', first)
    second = browser.get(older.replace("&amp;", "&")).text
    assert "Nr 2;" in second
    assert ">Newer<" in second
    assert ">Older<" not in second
    assert "There are no tracks on this page." in browser.get("/?page=9").text
    problem(browser.get("/?page=x"), 400, "malformed-request")


def test_starting_stops_what_runs_and_a_double_click_starts_once(
    tracker: Flask, ada: Person, browser: FlaskClient
) -> None:
    reading, walking = ada.activity("Reading"), ada.activity("Walking")
    form = {"deed": "start", "activity": str(reading), "description": "Chapter 3"}
    for _ in range(2):
        assert browser.post("/", data=form).location == "/"
    assert rows(tracker) == [("Reading", "Chapter 3", True)]
    browser.post("/", data=form | {"activity": str(walking)})
    assert rows(tracker) == [("Reading", "Chapter 3", False), ("Walking", "Chapter 3", True)]
    page = browser.get("/").text
    (lately, others) = re.findall(r"<optgroup.*?</optgroup>", page, re.DOTALL)
    assert re.findall(r"<option[^>]*>(\w+)<", lately)[0] in {"Reading", "Walking"}
    assert "<option" not in others


def test_a_planned_track_is_started_and_stopped_by_its_button(
    tracker: Flask, ada: Person, browser: FlaskClient
) -> None:
    track = ada.track(ada.activity())
    for deed, running in (("resume", True), ("stop", False), ("stop", False)):
        answer = browser.post("/", data={"deed": deed, "track": str(track["id"])})
        assert (answer.status_code, answer.location) == (303, "/")
        assert rows(tracker) == [("Reading", "", running)]
    again = browser.post("/", data={"deed": "resume", "track": str(track["id"])})
    assert again.status_code == 409
    assert "This track has been started before." in again.text


def test_an_activity_that_is_there_is_not_added_again(ada: Person, browser: FlaskClient) -> None:
    key = ada.activity("Reading")
    answer = browser.post("/", data={"deed": "add", "name": " reading"})
    assert answer.location == f"/?activity={key}"
    assert f'<option value="{key}" selected>' in browser.get(answer.location).text
    assert ada.get("/api/activities/")["count"] == 1


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"deed": "start"}, "activity"),
        ({"deed": "start", "activity": "x"}, "activity"),
        ({"deed": "start", "activity": "9" * 30}, "activity"),
        ({"deed": "start", "activity": "999", "description": "Kept"}, "activity"),
        ({"deed": "start", "activity": "1", "description": "a\0b"}, "description"),
        ({"deed": "start", "activity": "1", "description": "x" * 2001}, "description"),
        ({"deed": "add"}, "name"),
        ({"deed": "add", "name": "a\0b"}, "name"),
        ({"deed": "add", "name": "x" * 101}, "name"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_is_kept(
    tracker: Flask, ada: Person, browser: FlaskClient, form: dict[str, str], field: str
) -> None:
    ada.activity()
    answer = browser.post("/", data=form)
    assert answer.status_code == 422
    page = read(answer.text)
    assert page.ids[f"{field}-complaint"]
    assert len(re.findall(r'aria-invalid="true"', answer.text)) == 1
    assert re.search(rf'id="{field}"[^>]*aria-describedby="[^"]*{field}-complaint"', answer.text)
    assert 'value="Kept"' in answer.text or "description" not in form or field == "description"
    assert rows(tracker) == []


def test_forms_that_no_page_of_ours_has(
    tracker: Flask, ada: Person, grace: Person, browser: FlaskClient
) -> None:
    theirs = grace.track(ada.activity(), ago(minutes=5))
    for form in ({}, {"deed": "delete"}, {"track": "1"}):
        problem(browser.post("/", data=form), 400, "malformed-request")
    for deed in ("stop", "resume"):
        for track in ("", "x", "999", str(theirs["id"])):
            answer = browser.post("/", data={"deed": deed, "track": track})
            assert answer.status_code == 404
            assert "There is no such track." in answer.text
    assert grace.get(f"{TRACKS}{theirs['id']}")["running"]


def test_another_site_cannot_start_or_stop_anything(
    tracker: Flask, ada: Person, browser: FlaskClient
) -> None:
    track = ada.track(ada.activity(), ago(minutes=5))
    for form in (
        {"deed": "stop", "track": str(track["id"])},
        {"deed": "add", "name": "Theirs"},
        {"deed": "start", "activity": str(track["activity"]), "description": "Theirs"},
    ):
        for headers in (
            {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"},
            {"Sec-Fetch-Site": "same-site", "Origin": "https://other.example.com"},
        ):
            answer = browser.post("/", data=form, headers=headers)
            assert answer.status_code == 403
            assert "Theirs" not in answer.text  # one more click would do it
            assert "To your tracks" in answer.text
    assert rows(tracker) == [("Reading", "", True)]


def test_a_form_that_is_too_old_is_shown_again_and_can_be_sent(
    tracker: Flask, ada: Person, browser: FlaskClient
) -> None:
    form = {"deed": "start", "activity": str(ada.activity()), "description": "Kept"}
    page = browser.post("/", data=form, headers={"X-CSRF-Token": "old"})
    assert page.status_code == 403
    assert 'value="Kept"' in page.text
    assert "the form was too old" in page.text
    token = re.findall(r'name="linked_auth_csrf" value="([^"]+)"', page.text)[-1]
    again = browser.post("/", data=form | {"linked_auth_csrf": token}, headers={"X-CSRF-Token": ""})
    assert again.status_code == 303
    assert rows(tracker) == [("Reading", "Kept", True)]


def test_whose_login_is_over_is_led_to_it(tracker: Flask, ada: Person, browser: FlaskClient) -> None:
    form = {"deed": "start", "activity": str(ada.activity())}
    answer = tracker.test_client().post("/", data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.location) == (303, LOGIN)
    just_before_writing(tracker, "DELETE FROM users")
    answer = browser.post("/", data=form)
    assert (answer.status_code, answer.location) == (303, LOGIN)
    assert rows(tracker) == []


def test_a_bad_token_is_told_so_on_the_page_as_everywhere(tracker: Flask) -> None:
    answer = tracker.test_client().get("/", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.get_json()["slug"]) == (401, "token-invalid")


def test_the_page_runs_nothing_but_its_own_script_and_no_cache_keeps_it(
    tracker: Flask, ada: Person, browser: FlaskClient
) -> None:
    ada.track(ada.activity(), ago(minutes=5))
    for page in (browser.get("/"), tracker.test_client().get("/")):
        assert not re.search(r"<style|style=|\son\w+=|javascript:|https?://(?!localhost)", page.text)
        assert re.findall(r"<script[^>]*>[^<]*</script>", page.text) == [
            '<script src="/static/tracker.js" defer></script>'
        ]
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "'unsafe-" not in policy
        for path in re.findall(r'(?:src|href)="(/[^"]*(?:static|icon)[^"]*)"', page.text):
            with tracker.test_client().get(path) as asset:
                assert asset.status_code == 200
    assert browser.get("/").headers["Cache-Control"] == "no-store"
    assert "Cookie" in browser.get("/").headers["Vary"]


def test_a_table_that_is_gone_leaves_a_page_that_says_so(tracker: Flask, browser: FlaskClient) -> None:
    with tracker.app_context():
        db.session.execute(text("DROP TABLE tracks"))
        db.session.commit()
    page = browser.get("/")
    assert page.status_code == 200
    assert "cannot be read at the moment" in page.text


def test_the_account_pages_lead_back(tracker: Flask, ada: Person) -> None:
    join(tracker, "Grace")
    visitor = Visitor(tracker)
    assert "/" in visitor.open("/account/login").links
    visitor.log_in("grace@example.com", PASSWORD)
    assert "/" in visitor.page.links


@pytest.mark.parametrize(
    ("seconds", "read_as", "counted"),
    [
        (0, "0 s", "0:00:00"),
        (59, "59 s", "0:00:59"),
        (60, "1 min", "0:01:00"),
        (539, "8 min", "0:08:59"),
        (3600, "1 h", "1:00:00"),
        (7500, "2 h 5 min", "2:05:00"),
        (360_000, "100 h", "100:00:00"),
    ],
)
def test_durations_are_read_and_counted(seconds: int, read_as: str, counted: str) -> None:
    assert (words(seconds), clock(seconds)) == (read_as, counted)

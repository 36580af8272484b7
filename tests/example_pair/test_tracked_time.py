"""The blog's account page and the time tracker, linked as by `make demo`: what people see, and who they have to be."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.example_pair.house import INES, MAREN, House, Visitor
from tests.links.neighbour import running

ALLOW = "Allow the blog to read your tracked time"


@pytest.fixture
def maren(house: House) -> Visitor:
    return Visitor(house, *MAREN).log_in(house.blog, house.tracker)


def test_from_the_account_to_the_agreement_and_back_and_gone_again(house: House, maren: Visitor) -> None:
    assert ALLOW in maren.words()
    assert f'href="{house.tracker.address}/v1/auth/authorize/blog"' in maren.account()
    assert maren.allow() == f"{house.blog.address}/account?app=timetracker&status=authorized"
    shown = maren.words()
    assert "Walking 3 h 19 min" in shown
    assert "In all 6 h" in shown
    assert "Running for 2" in shown
    assert "Writing, How to read a timetable" in shown
    assert "Reading 30 min" in shown
    assert ALLOW not in shown
    assert f'href="{house.tracker.address}/account/apps"' in maren.account()
    maren.withdraw()
    gone = maren.words()
    assert ALLOW in gone
    assert "min" not in gone


def test_who_says_no_is_led_back_and_shown_nothing(house: House, maren: Visitor) -> None:
    page = maren.get(f"{house.tracker.address}/v1/auth/authorize/blog")
    assert f"{house.blog.address}/account?app=timetracker&amp;status=rejected" in page.text
    assert ALLOW in maren.words()


def test_staff_are_known_because_the_operator_said_who_they_are(house: House) -> None:
    ines = Visitor(house, *INES).log_in(house.blog, house.tracker)
    assert ALLOW in ines.words()
    ines.allow()
    assert "Keeping the place tidy 1 h 6 min" in ines.words()


def test_a_newcomer_is_told_what_is_missing_and_is_known_after_agreeing(house: House) -> None:
    ana = Visitor(house, house.newcomer(house.blog)).log_in(house.blog)
    told = ana.words()
    assert "does not know you yet" in told
    assert ana.email in told
    assert "here you have not" in told
    there = house.tracker.app.test_client()
    sent = {"email": ana.email, "password": ana.password}
    assert there.post("/auth/register", json=sent).status_code == 201
    ana.log_in(house.tracker).allow()
    assert "does not know you yet" in ana.words()  # with an address that nobody has verified
    house.verify(house.tracker, ana.email)
    ana.allow()
    assert "does not know you yet" in ana.words()
    house.verify(house.blog, ana.email)
    assert "here you have not" not in ana.words()
    ana.allow()
    assert "You have tracked no time yet." in ana.words()


def test_nobody_is_taken_for_the_staff_by_their_address(house: House) -> None:
    """Somebody changes their address at the blog to that of a staff member of the time tracker."""
    email = house.newcomer(house.blog, house.tracker)
    for service in (house.blog, house.tracker):
        house.verify(service, email)
    house.tracker.run("linked-auth", "user", "set-admin", email)
    boss = Visitor(house, email).log_in(house.blog, house.tracker)
    boss.allow()
    assert "does not know you yet" in boss.words()


def test_without_the_link_it_says_so(house: House, maren: Visitor) -> None:
    house.blog.app.config["TIMETRACKER"] = "nobody"
    try:
        assert "are not linked" in maren.words()
    finally:
        house.blog.app.config["TIMETRACKER"] = "timetracker"


def test_when_the_time_tracker_has_let_go_of_the_blog_it_says_so(house: House, maren: Visitor) -> None:
    house.tracker.run("linked-auth", "app", "change", "blog", "--inactive")
    try:
        assert "are not linked" in maren.words()
    finally:
        house.tracker.run("linked-auth", "app", "change", "blog", "--active")
    house.tracker.run("linked-auth", "app", "change", "blog", "--ceiling", "write:tracks")
    try:
        assert "does not let this blog read" in maren.words()
    finally:
        house.tracker.run("linked-auth", "app", "change", "blog", "--no-ceiling")
    assert ALLOW in maren.words()


def _elsewhere(house: House, address: str) -> None:
    house.blog.run("linked-auth", "app", "change", "timetracker", "--address", address)


@pytest.fixture
def at_home(house: House) -> Any:
    yield
    _elsewhere(house, house.tracker.address)


def test_when_nobody_answers_the_page_is_there_all_the_same(
    house: House, maren: Visitor, at_home: None
) -> None:
    _elsewhere(house, "http://127.0.0.1:1")
    assert "does not answer at the moment" in maren.words()


def test_a_time_tracker_that_hangs_keeps_nobody_waiting_for_long(
    house: House, maren: Visitor, at_home: None
) -> None:
    with running() as slow:
        slow.answer = lambda arrived: time.sleep(4) or (200, {}, b"{}")  # type: ignore[func-returns-value]
        _elsewhere(house, slow.address)
        began = time.monotonic()
        assert "does not answer at the moment" in maren.words()
        assert time.monotonic() - began < 4
        assert len(slow.arrived) == 1  # and it is not asked again


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, JSON, b"[]"), "does not answer"),
        ((200, {"Content-Type": "text/html"}, b"<h1>Welcome</h1>"), "does not answer"),
        ((200, JSON, b'{"seconds": -1, "activities": [], "running": null}'), "does not answer"),
        ((200, JSON, b'{"seconds": 1, "activities": [{"name": 1}], "running": null}'), "does not answer"),
        ((200, JSON, b'{"seconds": 1, "activities": "many", "running": 7}'), "does not answer"),
        ((200, JSON, b"[" * 100_000), "does not answer"),
        ((302, {"Location": "https://elsewhere.example.com/"}, b""), "does not answer"),
        ((500, JSON, b"{}"), "does not answer"),
        ((503, {"Retry-After": "60"}, b""), "does not answer"),
        ((404, JSON, b'{"slug": "not-found"}'), "does not answer"),
        ((401, JSON, b'{"slug": "app-not-found"}'), "are not linked"),
        ((403, JSON, b'{"slug": ["x"]}'), "does not let this blog read"),
        ((200, JSON, b'{"seconds": 59, "activities": [], "running": null, "more": 1}'), "no time yet"),
    ],
)
def test_whatever_the_time_tracker_answers(
    house: House, maren: Visitor, at_home: None, answer: Any, words: str
) -> None:
    with running() as other:
        other.answers(answer)
        _elsewhere(house, other.address)
        assert words in maren.words()


@pytest.mark.parametrize(
    "url",
    ["https://evil.example.com/v1/auth/authorize/blog", "javascript:alert(1)", 7, "{}.evil.example.com/"],
)
def test_the_page_leads_to_no_other_site_whatever_it_is_told(
    house: House, maren: Visitor, at_home: None, url: Any
) -> None:
    with running() as other:
        said = url.format(other.address) if isinstance(url, str) else url
        body = f'{{"slug": "agreement-not-accepted", "agreement_url": {said!r}}}'.replace("'", '"')
        other.answers((403, JSON, body.encode()))
        _elsewhere(house, other.address)
        assert f'href="{other.address}/v1/auth/authorize/blog"' in maren.account()
        assert "evil" not in maren.account()


def test_what_people_write_stays_text(house: House, maren: Visitor, at_home: None) -> None:
    told = b'{"seconds": 60, "activities": [{"name": "<script>x</script>", "seconds": 60}], "running": null}'
    with running() as other:
        other.answers((200, JSON, told))
        _elsewhere(house, other.address)
        assert "&lt;script&gt;" in maren.account()
        assert "<script" not in maren.account()

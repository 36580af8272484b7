"""The page of the time tracker, for those with a script and those without, by keyboard, on any screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from example_timetracker import create_app
from example_timetracker.database import db
from tests.browser.served import Site, serve
from tests.example_blog.walker import run
from tests.tiny import SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import OpenWindow
    from tests.browser.window import Window

WHO, PASSWORD = "maren@example.com", "quiet ferries leave at noon"  # by seed.toml; a track of hers is running


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The time tracker with what `flask seed` puts into it, on a port of its own."""
    monkeypatch.setenv("DATABASE_TEST_URL", f"sqlite:///{tmp_path / 'time.db'}")
    monkeypatch.setenv("LINKED_AUTH_SECRET", SECRET)
    app = create_app("testing")
    run(app, "db", "upgrade")
    run(app, "seed")
    with serve(app) as port:
        yield Site(app, port)
    with app.app_context():
        db.engine.dispose()


def at_home(open_window: OpenWindow, tracker: Site, **options: object) -> Window:
    window = open_window(at=tracker, **options).open("/account/login?next=/")
    return window.fill(identifier=WHO, password=PASSWORD).press("Log in")


def _refused(window: Window) -> None:
    window.page.locator("summary").click()
    window.fill(name=" ").press("Add")
    assert window.complaint("name") == "Must not be blank."


@pytest.mark.parametrize("room", ["stranger", "home", "refused", "paged"])
def test_the_page_has_no_barriers_and_room_for_all_its_words(
    open_window: OpenWindow, tracker: Site, room: str
) -> None:
    window = open_window(at=tracker).open("/") if room == "stranger" else at_home(open_window, tracker)
    if room == "refused":
        _refused(window)
    elif room == "paged":
        window.open("/?page=2&page_size=3")
    found = {"light": window.barriers()}
    for width in (320, 360, 1280):
        window.page.set_viewport_size({"width": width, "height": 800})
        found[f"{width}"] = window.too_wide()
        found[f"barriers at {width}"] = window.barriers()
        window.shoot(f"tracker-{room}", width)
    window.page.emulate_media(color_scheme="dark")
    found["dark"] = window.barriers("color-contrast")
    window.page.set_viewport_size({"width": 1280, "height": 800})
    window.page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
    found["large letters"] = window.too_wide()
    assert {name: each for name, each in found.items() if each} == {}


def test_the_seconds_are_counted(open_window: OpenWindow, tracker: Site) -> None:
    window = at_home(open_window, tracker)
    counter = window.page.get_by_role("timer")
    first = counter.inner_text()
    assert re.fullmatch(r"0:2[5-9]:\d\d", first)
    expect(counter).not_to_have_text(first)
    assert first < counter.inner_text() < "0:30:00"


def test_a_day_without_javascript(open_window: OpenWindow, tracker: Site) -> None:
    window = at_home(open_window, tracker, java_script_enabled=False)
    counter = window.page.get_by_role("timer")
    assert re.fullmatch(r"0:2[5-9]:\d\d", counter.inner_text())
    window.page.get_by_label("Activity", exact=True).select_option("Walking")
    window.fill(description="Home").press("Start")
    assert window.page.locator(".running").inner_text().startswith("Walking\tHome")
    expect(counter).to_have_count(1)
    window.press("Stop Walking: Home")
    expect(counter).to_have_count(0)
    window.page.locator("summary").click()
    window.fill(name="Swimming").press("Add")
    assert window.page.get_by_label("Activity", exact=True).locator(":checked").inner_text() == "Swimming"


def test_a_track_is_started_and_stopped_by_keyboard_alone(open_window: OpenWindow, tracker: Site) -> None:
    window = at_home(open_window, tracker)
    keyboard = window.page.keyboard
    window.tab_to("Stop").hit("Enter")
    expect(window.page.get_by_role("timer")).to_have_count(0)
    window.tab_to("Description")
    keyboard.type("Home")
    window.hit("Enter")
    assert "Home" in window.page.locator(".running").inner_text()
    window.tab_to("Add an activity")
    keyboard.press("Enter")
    window.tab_to("Name")
    keyboard.type("Swimming")
    window.hit("Enter")
    assert window.page.get_by_label("Activity", exact=True).locator(":checked").inner_text() == "Swimming"

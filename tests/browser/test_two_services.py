"""One's tracked time on the blog's account page: allowed at the time tracker, and withdrawn there, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.served import Site
from tests.example_pair.house import MAREN, House, living_house

if TYPE_CHECKING:
    from tests.browser.conftest import OpenWindow
    from tests.browser.window import Window

ALLOW = "Allow the blog to read your tracked time"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with living_house(tmp_path_factory.mktemp("house")) as house:
        yield house


def at_the_account(open_window: OpenWindow, house: House, **options: object) -> Window:
    window = open_window(at=Site(house.blog.app, house.blog.port), **options)
    return window.log_in(*MAREN)


def tracked(window: Window) -> str:
    """What the account page says about tracked time."""
    part = window.page.get_by_role("region", name="Tracked time")
    return " ".join(part.inner_text().split())


def look(window: Window, name: str) -> dict[str, list[str]]:
    """What is wrong with the page: barriers, and what has no room; pictures are taken."""
    found = {"light": window.barriers()}
    for width in (320, 360, 1280):
        window.page.set_viewport_size({"width": width, "height": 800})
        found[f"{width}"] = window.too_wide()
        window.shoot(f"time-{name}", width)
    window.page.emulate_media(color_scheme="dark")
    found["dark"] = window.barriers("color-contrast")
    window.page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
    found["large letters"] = window.too_wide()
    window.page.evaluate("() => { document.documentElement.style.fontSize = ''; }")
    window.page.emulate_media(color_scheme="light")
    return {name: each for name, each in found.items() if each}


@pytest.mark.parametrize("script", [True, False])
def test_the_walk_from_the_account_to_the_agreement_and_back(
    open_window: OpenWindow, house: House, script: bool
) -> None:
    window = at_the_account(open_window, house, java_script_enabled=script)
    assert ALLOW in tracked(window)
    window.follow(ALLOW)  # at the time tracker nobody is logged in yet
    assert window.page.url.startswith(f"{house.tracker.address}/account/login?next=")
    window.fill(identifier=MAREN[0], password=MAREN[1]).press("Log in")
    assert window.heading == "Allow Blog?"
    assert "See your tracked time" in window.text
    window.press("Allow")
    assert window.page.url == f"{house.blog.address}/account?app=timetracker&status=authorized"
    assert "Walking 3 h 19 min" in tracked(window)
    assert "Running for" in tracked(window)

    window.follow("Change or withdraw that")
    assert window.page.url == f"{house.tracker.address}/account/apps"
    window.follow("Withdraw").press("Withdraw")
    assert window.notice == "The app may not use your account any more."
    window.open("/account")
    assert ALLOW in tracked(window)
    assert "3 h 19 min" not in tracked(window)


def test_who_does_not_allow_it_comes_back_to_the_account(open_window: OpenWindow, house: House) -> None:
    window = at_the_account(open_window, house).follow(ALLOW)
    window.fill(identifier=MAREN[0], password=MAREN[1]).press("Log in").follow("Do not allow")
    assert window.page.url == f"{house.blog.address}/account?app=timetracker&status=rejected"
    assert ALLOW in tracked(window)


def test_every_state_of_it_has_no_barriers_and_room_for_all_its_words(
    open_window: OpenWindow, house: House
) -> None:
    window = at_the_account(open_window, house)
    found = {"allow": look(window, "allow")}
    window.follow(ALLOW).fill(identifier=MAREN[0], password=MAREN[1]).press("Log in")
    found["agreement"] = look(window, "agreement")
    window.press("Allow")
    found["shown"] = look(window, "shown")
    window.open(f"{house.tracker.address}/account/apps")
    found["apps"] = look(window, "apps")
    window.follow("Withdraw").press("Withdraw")
    house.blog.run("linked-auth", "app", "change", "timetracker", "--address", "http://127.0.0.1:1")
    found["down"] = look(window.open("/account"), "down")
    house.blog.run("linked-auth", "app", "change", "timetracker", "--address", house.tracker.address)
    newcomer = open_window(at=Site(house.blog.app, house.blog.port)).log_in(house.newcomer(house.blog))
    assert "does not know you yet" in tracked(newcomer)
    found["unknown"] = look(newcomer, "unknown")
    assert {name: each for name, each in found.items() if each} == {}

"""Chromium, and a site for it to visit. `make browser` runs these tests, `make test` does not.

They want Debian's Chromium (its path, or another's, in LINKED_AUTH_TEST_CHROMIUM), Playwright's driver and axe-core.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.browser.served import PATIENCE, Site, serve_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.window import Window

CHROMIUM = os.environ.get("LINKED_AUTH_TEST_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",  # which root cannot have; only our own pages are opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
OpenWindow = Callable[..., "Window"]


def _missing(what: str) -> NoReturn:
    if "browser" in os.environ.get("LINKED_AUTH_TEST_REQUIRE", "").split():
        pytest.fail(f"browser is required (LINKED_AUTH_TEST_REQUIRE), and {what} is missing", pytrace=False)
    pytest.skip(f"browser: {what} is missing")


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Browser]]:
    """Starts Chromium."""
    if not Path(CHROMIUM).exists():
        _missing(CHROMIUM)
    if not AXE.exists():
        _missing("axe-core (npm ci --prefix tests/browser)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright")
    with sync_playwright() as playwright:
        yield partial(
            playwright.chromium.launch,
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            timeout=3 * PATIENCE * 1000,
        )


@pytest.fixture(scope="session")
def chromium(launch: Callable[..., Browser]) -> Iterator[Browser]:
    browser = launch()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site that all share; each brings people of their own."""
    with serve_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def open_window(chromium: Browser, site: Site) -> Iterator[OpenWindow]:
    """Opens a window of a browser of its own, with other cookies. At the end, Chromium must not have complained."""
    from tests.browser.window import Window

    opened: list[Window] = []

    def open_one(at: Site = site, **options: Any) -> Window:
        given = {"locale": "en-GB", "reduced_motion": "reduce", "viewport": {"width": 1280, "height": 800}}
        context = chromium.new_context(**{**given, **options})
        opened.append(Window(context.new_page(), at))
        return opened[-1]

    yield open_one
    troubles = [trouble for each in opened for trouble in each.troubles]
    for each in opened:
        each.context.close()
    assert troubles == []


@pytest.fixture
def window(open_window: OpenWindow) -> Window:
    """A wide window of a light desktop, in English."""
    return open_window()

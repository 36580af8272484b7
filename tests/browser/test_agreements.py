"""Agreeing to a linked app and withdrawing, from one origin to the other and back, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask import Flask, request

from tests.browser.served import serve, serve_site

if TYPE_CHECKING:
    from tests.browser.conftest import OpenWindow
    from tests.browser.served import Site
    from tests.browser.window import Window

#: What the account pages allow, and the agreement page would not get along with.
STRICT = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'"


def _app() -> Flask:
    app = Flask("billing")

    @app.get("/linked")
    def linked() -> str:
        said = " ".join(f"{name}={value}" for name, value in request.args.items())
        return f'<!doctype html><html lang="en"><title>Billing</title><h1>Billing: {said}</h1>'

    return app


@pytest.fixture(scope="module")
def billing() -> Iterator[str]:
    """Where the app lives: at another origin, and for a browser even at another site."""
    with serve(_app()) as port:
        yield f"http://127.0.0.1:{port}"


def test_who_agrees_comes_back_to_the_app_at_its_own_origin(window: Window, site: Site, billing: str) -> None:
    slug = site.add_app("Billing", redirect_url=f"{billing}/linked?team=7")
    email = site.make_person()
    window.open(f"/v1/auth/authorize/{slug}")
    assert window.path.startswith("/account/login?next=")
    window.fill(identifier=email, password="violet-kettle-harbour-93").press("Log in")
    assert window.heading == "Allow Billing?"
    window.page.get_by_role("switch", name="Write posts").uncheck()
    window.press("Allow")
    assert window.page.url == f"{billing}/linked?team=7&app=notebook&status=authorized"
    assert window.heading == "Billing: team=7 app=notebook status=authorized"

    window.open(f"/v1/auth/authorize/{slug}")
    assert window.page.get_by_role("switch", name="Read posts").is_disabled()
    assert window.page.get_by_role("switch", name="Read posts").is_checked()
    assert not window.page.get_by_role("switch", name="Write posts").is_checked()
    window.follow("Leave it as it is")
    assert window.heading == "Billing: team=7 app=notebook status=rejected"


def test_the_policy_of_the_other_pages_would_keep_the_browser_from_it(
    open_window: OpenWindow, tmp_path: Path, billing: str
) -> None:
    """If Chromium ever stops asking `form-action` at redirects, the exception for this page can go."""
    with serve_site(tmp_path, policy=STRICT) as site:
        slug = site.add_app("Billing", redirect_url=f"{billing}/linked")
        window = open_window(site)
        window.log_in(site.make_person()).open(f"/v1/auth/authorize/{slug}")
        window.page.get_by_role("button", name="Allow", exact=True).click()
        window.page.wait_for_timeout(500)
        assert window.page.url.startswith(site.origin)
        assert any("form-action" in each for each in window.troubles)
        window.troubles.clear()


def test_agreeing_and_withdrawing_by_keyboard_without_javascript(open_window: OpenWindow, site: Site) -> None:
    slug = site.add_app("Billing", redirect_url=None)
    window = open_window(java_script_enabled=False)
    window.log_in(site.make_person()).open(f"/v1/auth/authorize/{slug}")
    window.page.get_by_role("switch", name="Read tracks").focus()
    window.page.keyboard.press("Space")
    window.page.get_by_role("button", name="Allow", exact=True).focus()
    window.hit("Enter")
    assert (window.path, window.notice) == (
        "/account/apps",
        "Your choice is saved. What the app may do stands below.",
    )
    assert "Write posts" in window.text
    assert "Read tracks" not in window.text
    window.follow("Withdraw")
    assert window.heading == "Withdraw what Billing may do"
    window.press("Withdraw")
    assert window.notice == "The app may not use your account any more."
    assert "No app may use your account." in window.text


def test_every_stop_of_the_tab_key_is_seen(open_window: OpenWindow, site: Site) -> None:
    slug = site.add_app("Billing", redirect_url=None)
    window = open_window(viewport={"width": 320, "height": 500})
    window.log_in(site.make_person()).open("/account").tab_to("Apps").hit("Enter")
    assert window.heading == "Your apps"
    window.open(f"/v1/auth/authorize/{slug}")
    window.tab_to("Read tracks").tab_to("Write posts").tab_to("Allow").tab_to("Do not allow").hit("Enter")
    assert window.notice == "Nothing was changed."


def test_it_is_asked_in_spanish_too(open_window: OpenWindow, site: Site) -> None:
    slug = site.add_app("Facturas")
    window = open_window(locale="es-MX")
    email = site.make_person()
    window.open(f"/v1/auth/authorize/{slug}").fill(identifier=email, password="violet-kettle-harbour-93")
    window.press("Iniciar sesión")
    assert window.heading == "¿Permitir Facturas?"
    assert window.barriers() == []
    window.page.set_viewport_size({"width": 320, "height": 800})
    assert window.too_wide() == []

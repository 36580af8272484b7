"""The pages for those who have no mouse, no JavaScript, no English, bad eyes, a screen reader, or a small screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.rooms import ROOMS
from tests.tiny import OTHER_PASSWORD, PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import OpenWindow
    from tests.browser.served import Site
    from tests.browser.window import Window

WIDTHS = (320, 360, 1280)


# Every page


@pytest.mark.parametrize("room", ROOMS)
def test_a_page_has_no_barriers_and_room_for_all_its_words(window: Window, site: Site, room: str) -> None:
    ROOMS[room](window, site)
    page, found = window.page, {"light": window.barriers()}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        found[f"{width}"] = window.too_wide()
        window.shoot(room, width)
    page.emulate_media(color_scheme="dark")
    found["dark"] = window.barriers("color-contrast")
    # A window of 1280 at a zoom of 200 % has room for 640, and so has one in which only the letters are larger.
    page.set_viewport_size({"width": 640, "height": 400})
    found["zoomed"] = window.too_wide()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
    found["large letters"] = window.too_wide()
    assert {name: each for name, each in found.items() if each} == {}


def test_dark_is_dark_and_light_is_light(window: Window) -> None:
    window.open("/account/login")
    shades = {}
    for scheme in ("light", "dark"):
        window.page.emulate_media(color_scheme=scheme)
        colour = window.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        shades[scheme] = sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
    assert shades["dark"] < 150 < 600 < shades["light"]


def test_without_colours_of_its_own_a_page_still_shows_fields_buttons_and_the_focus(window: Window) -> None:
    window.page.emulate_media(forced_colors="active")
    window.open("/account/login").tab_to("E-mail address").tab_to("Password").tab_to("Log in")
    borders = window.page.eval_on_selector_all(
        "input:not([type=hidden]), button", "all => all.map(each => getComputedStyle(each).borderTopWidth)"
    )
    assert borders == ["1px"] * 3


# By keyboard


def test_an_account_is_made_used_and_left_by_keyboard_alone(window: Window, site: Site) -> None:
    email, keyboard = site.new_email(), window.page.keyboard
    window.open("/account/login").tab_to("Skip to the content").tab_to("Make an account").hit("Enter")
    window.tab_to("E-mail address")
    keyboard.type("ana")
    window.hit("Enter")

    assert window.focused()["tag"] == "div"  # the summary of what is wrong
    assert window.focused()["words"].startswith("Please correct what is marked.")
    window.tab_to("Password: ")
    keyboard.press("Enter")  # its link leads to the field
    assert window.focused()["words"] == "Password"
    keyboard.type(PASSWORD)
    window.tab_to("The password once more")
    keyboard.type(PASSWORD)
    window.hit("Enter").tab_to("E-mail address: ")
    keyboard.press("Enter")
    keyboard.press("Control+a")
    keyboard.type(email)
    for label in ("Password", "The password once more"):  # a page never holds a password
        window.tab_to(label)
        keyboard.type(PASSWORD)
    window.tab_to("Make the account").hit("Space")
    assert (window.path, window.notice[:8]) == ("/account", "Welcome!")

    window.tab_to("Name")
    keyboard.type("Ana")
    window.tab_to("Save").hit("Enter")
    assert window.value("name") == "Ana"
    window.tab_to("Password").hit("Enter")
    for label, words in (
        ("Current password", PASSWORD),
        ("New password", OTHER_PASSWORD),
        ("The password once more", OTHER_PASSWORD),
    ):
        window.tab_to(label)
        keyboard.type(words)
    window.hit("Enter")
    assert window.notice.startswith("Your password is changed")
    window.tab_to("Log out").hit("Space")
    assert window.notice == "You are logged out."


def test_every_stop_of_the_tab_key_is_seen_on_a_phone_too(open_window: OpenWindow, site: Site) -> None:
    window = open_window(viewport={"width": 320, "height": 500})
    window.log_in(site.make_person(name="Ana")).tab_to("Delete the account").hit("Enter")
    window.tab_to("Skip to the content")
    window.page.keyboard.press("Enter")
    window.tab_to("Your password").tab_to("Delete the account for good").tab_to("Keep the account").hit(
        "Enter"
    )
    assert window.path == "/account"


# Without JavaScript


def test_nothing_needs_javascript(open_window: OpenWindow, site: Site) -> None:
    window, email = open_window(java_script_enabled=False), site.new_email()
    window.open("/account/register").fill(email="ana").press("Make the account")
    assert "Please correct what is marked." in window.error
    window.fill(email=email, password=PASSWORD, password_again=PASSWORD).press("Make the account")
    window.fill(name="Ana").press("Save")
    assert window.notice == "Your changes are saved."
    window.open(site.link_in_mail(email, "verify-email")).press("Confirm the address")
    assert window.notice == "Your e-mail address is confirmed."
    window.press("Log out")
    window.log_in(email).open("/account/delete")
    window.fill(current_password=PASSWORD).press("Delete the account for good")
    assert window.notice == "Your account is deleted."


# In Spanish


def test_who_reads_spanish_gets_pages_and_mail_in_spanish(open_window: OpenWindow, site: Site) -> None:
    window, email = open_window(locale="es-MX"), site.new_email()
    window.open("/account/login")
    assert _language(window.page) == "es"
    assert window.heading == "Iniciar sesión"
    window.press("Iniciar sesión")
    assert window.barriers() == []
    window.follow("Crear una cuenta").fill(email=email, password=PASSWORD, password_again=PASSWORD)
    window.press("Crear la cuenta")
    assert (window.path, window.heading) == ("/account", "Tu cuenta")
    assert "Correo electrónico" in window.text
    window.page.set_viewport_size({"width": 320, "height": 800})
    assert window.too_wide() == []
    window.shoot("spanish", 320)
    mail = site.mailbox.wait_for(email, "verify-email")
    assert mail.language == "es"
    assert 'lang="es"' in mail.html
    assert _language(window.open("/auth/errors").page) == "es"


def _language(page: Page) -> str | None:
    return page.locator("html").get_attribute("lang")

"""What other sites cannot do to a person's account, however they ask Chromium; and the API's own page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from flask import Flask, request

from tests.browser.served import Site, serve, serve_site
from tests.tiny import OTHER_PASSWORD, PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import OpenWindow
    from tests.browser.window import Window

# The same host on another port is the same site: the cookie comes along, and only its origin gives it away.
NEIGHBOURS = ("localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def evil() -> Iterator[int]:
    """The port of a site that frames whatever `frame` names, and has a form that posts `fields` to `action`."""
    app = Flask("evil")

    @app.get("/frame")
    def frame() -> str:
        return (
            f'<!doctype html><title>Win!</title><iframe src="{request.args["address"]}" width="600"></iframe>'
        )

    @app.get("/form")
    def form() -> str:
        fields = "".join(
            f'<input type="hidden" name="{name}" value="{value}">'
            for name, value in request.args.items()
            if name != "action"
        )
        action = request.args["action"]
        return f'<!doctype html><form method="post" action="{action}">{fields}<button>Win!</button></form>'

    with serve(app) as port:
        yield port


@pytest.mark.parametrize(
    "path", ["/account", "/account/login", "/account/delete", "/auth/docs", "/auth/errors"]
)
def test_no_other_site_frames_a_page(window: Window, site: Site, evil: int, path: str) -> None:
    window.log_in(site.make_person())
    own = f"http://localhost:{evil}/frame?address={site.origin}/"
    assert window.open(own).page.frame_locator("iframe").locator("h1").inner_text() == "Welcome"
    window.open(f"http://localhost:{evil}/frame?address={site.origin}{path}")
    (frame,) = window.page.frames[1:]
    assert frame.url == "chrome-error://chromewebdata/"
    assert "frame-ancestors 'none'" in window.troubles.pop()


@pytest.mark.parametrize("host", NEIGHBOURS)
def test_a_form_of_another_site_changes_nothing(window: Window, site: Site, evil: int, host: str) -> None:
    email = site.make_person(name="Ana")
    window.log_in(email)
    form = f"http://{host}:{evil}/form?action={site.origin}"
    window.open(f"{form}/account&name=Eva").press("Win!")
    assert "This was sent from another site, so nothing was done." in window.text
    window.open(
        f"{form}/account/password&current_password={PASSWORD}&new_password={OTHER_PASSWORD}"
        f"&new_password_again={OTHER_PASSWORD}"
    ).press("Win!")
    window.open(f"{form}/account/logout").press("Win!")
    window.open("/account")
    assert (window.path, window.value("name")) == ("/account", "Ana")


@pytest.mark.parametrize("host", NEIGHBOURS)
def test_nobody_is_logged_in_by_a_form_of_another_site(
    window: Window, site: Site, evil: int, host: str
) -> None:
    email = site.make_person()
    form = f"http://{host}:{evil}/form?action={site.origin}/account/login"
    window.open(f"{form}&identifier={email}&password={PASSWORD}").press("Win!")
    assert window.error == "This was sent from another site, so nothing was done."
    assert window.value("identifier") == ""  # one more click must not send what a stranger filled in
    assert window.open("/account").heading == "Log in"


def test_a_link_on_another_site_leads_to_an_account_and_its_forms_work(
    window: Window, site: Site, evil: int
) -> None:
    window.log_in(site.make_person(name="Ana"))
    window.open(f"http://127.0.0.1:{evil}/frame?address={site.origin}/")
    with window.page.expect_navigation():
        window.page.evaluate("address => { location.href = address; }", f"{site.origin}/account")
    assert window.value("name") == "Ana"
    window.fill(name="Ana María").press("Save")
    assert window.notice == "Your changes are saved."


def test_the_cookie_is_for_no_script_and_for_this_host_alone(window: Window, site: Site) -> None:
    window.log_in(site.make_person())
    cookie = window.cookies()["__Host-linked_auth_notebook"]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
    assert (cookie["domain"], cookie["path"]) == ("localhost", "/")
    assert "linked_auth" not in window.page.evaluate("() => document.cookie")


def test_a_host_with_a_strict_policy_of_its_own_has_whole_pages(
    open_window: OpenWindow, tmp_path: Path
) -> None:
    with serve_site(tmp_path, policy="default-src 'self'; base-uri 'none'; form-action 'self'") as strict:
        window = open_window(strict)
        email = strict.make_person(name="Ana")
        window.log_in(email).fill(name="Ana María").press("Save")
        assert window.notice == "Your changes are saved."
        button = window.page.get_by_role("button", name="Save")
        assert button.evaluate("it => getComputedStyle(it).backgroundColor") == "rgb(31, 95, 191)"
        assert window.troubles == []
        window.open("/auth/docs").page.get_by_role("heading", name="notebook").wait_for()
        assert all(
            "data:" in each for each in window.troubles
        )  # Swagger UI's icons, which this policy forgoes
        window.troubles.clear()


# The API's own pages


def test_on_the_page_of_the_api_one_logs_in_and_calls_an_endpoint(window: Window, site: Site) -> None:
    email, page = site.make_person(), window.open("/auth/docs").page
    login = page.locator("#operations-Account-login, .opblock-post").filter(has_text="/auth/login").first
    login.get_by_role("button").first.click()
    login.locator("textarea").fill(f'{{"email": "{email}", "password": "{PASSWORD}"}}')
    with page.expect_response("**/auth/login") as answer:
        login.get_by_role("button", name="Execute").click()
    assert answer.value.status == 200

    me = page.locator(".opblock-get").filter(has_text="/auth/me").first
    me.get_by_role("button").first.click()
    with page.expect_response("**/auth/me") as answer:
        me.get_by_role("button", name="Execute").click()
    assert (answer.value.status, answer.value.json()["email"]) == (200, email)
    me.locator(".live-responses-table").get_by_text(email).wait_for()
    # The rest of the page is Swagger UI's; what is around it is ours.
    assert window.barriers("landmark-no-duplicate-main", "landmark-main-is-top-level", "document-title") == []
    window.shoot("docs", 1280)


def test_on_the_page_of_the_api_the_login_of_the_browser_counts(window: Window, site: Site) -> None:
    email = site.make_person(name="Ana")
    page = window.log_in(email).open("/auth/docs").page
    logout = page.locator(".opblock-post").filter(has_text="/auth/logout").first
    logout.get_by_role("button").first.click()
    with page.expect_response("**/auth/logout") as answer:
        logout.get_by_role("button", name="Execute").click()
    assert answer.value.status == 204
    assert window.open("/account").heading == "Log in"


def test_the_type_of_an_error_leads_to_its_explanation(window: Window, site: Site) -> None:
    refused = site.app.test_client().get("/auth/me").get_json()
    window.open(refused["type"])
    assert window.heading == "Errors"
    heading = window.page.locator(":target")
    assert heading.inner_text() == refused["slug"]
    assert 0 <= (heading.bounding_box() or {"y": -1})["y"] < 200

"""Everything that a person does with their account, in Chromium, from registering to leaving."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.browser.served import Site, serve_site
from tests.tiny import OTHER_PASSWORD, PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.browser.conftest import OpenWindow
    from tests.browser.window import Window


# Coming in


def test_who_wants_to_read_notes_registers_and_gets_to_them_and_confirms_the_address(
    window: Window, site: Site
) -> None:
    email = site.new_email()
    window.open("/notes")
    assert (window.path, window.heading) == ("/account/login?next=/notes", "Log in")
    window.follow("Make an account")
    window.fill(email=email, name="Ana", password=PASSWORD, password_again=PASSWORD)
    window.press("Make the account")
    assert (window.path, window.heading) == ("/notes", f"Notes of {email}")

    window.open("/account")
    assert window.notice.startswith("Welcome! Your account is made.")
    assert "not confirmed yet" in window.text
    link = site.link_in_mail(email, "verify-email")
    window.open(link)
    assert window.heading == "Confirm your address"
    assert "not confirmed yet" in window.open("/account").text  # to open it is not enough
    window.open(link).press("Confirm the address")
    assert (window.path, window.notice) == ("/account", "Your e-mail address is confirmed.")
    assert "not confirmed yet" not in window.text
    window.page.reload()
    assert window.notice == ""  # it is told once


def test_what_is_wrong_in_a_registration_stands_in_the_summary_and_at_its_field(
    window: Window, site: Site
) -> None:
    taken = site.make_person()
    window.open("/account/register").fill(email="ana", password="short", password_again="other")
    window.press("Make the account")
    assert (window.path, window.value("email")) == ("/account/register", "ana")
    assert (window.value("password"), window.value("password_again")) == ("", "")
    assert window.error.startswith("Please correct what is marked.")
    window.fill(email=taken, password=PASSWORD, password_again=PASSWORD).press("Make the account")
    assert window.complaint("email") in window.error
    window.page.get_by_role("alert").get_by_role("link").click()
    assert window.focused()["words"].startswith("E-mail address")


def test_a_wrong_password_is_told_and_the_right_one_leads_to_where_one_wanted_to_go(
    window: Window, site: Site
) -> None:
    email = site.make_person()
    window.open("/notes").fill(identifier=email, password=OTHER_PASSWORD).press("Log in")
    assert window.error == "The e-mail address or the password is not right."
    assert (window.value("identifier"), window.value("password")) == (email, "")
    window.fill(password=PASSWORD).press("Log in")
    assert window.path == "/notes"


def test_the_login_leads_to_no_other_site(window: Window, site: Site) -> None:
    email = site.make_person()
    window.open("/account/login?next=//127.0.0.1:1/evil").fill(identifier=email, password=PASSWORD)
    window.press("Log in")
    assert (window.path, window.page.url.startswith(site.origin)) == ("/account", True)


# One's own account


def test_a_person_changes_their_names_and_logs_in_by_the_user_name(window: Window, site: Site) -> None:
    email = site.make_person(name="Ana")
    window.log_in(email)
    username = email.partition("@")[0]
    window.fill(name="Ana María Núñez", username=username.upper()).press("Save")
    assert window.notice == "Your changes are saved."
    assert (window.value("name"), window.value("username")) == ("Ana María Núñez", username)
    window.press("Log out")
    window.log_in(username)


def test_an_address_is_changed_once_the_link_that_went_to_it_is_opened(window: Window, site: Site) -> None:
    old, new = site.make_person(), site.new_email()
    window.log_in(old).follow("Change it")
    window.fill(email=new).press("Change the e-mail address")
    assert window.notice == "A mail with a link is on its way to the new address."
    assert f"It will be {new} as soon as you open the link" in window.text
    assert site.mailbox.wait_for(old, "email-change-asked").text.count("token=") == 0

    window.open(site.link_in_mail(new, "change-email"))
    assert f"your account has the address {new}" in window.text
    window.press("Take the new address")
    assert window.notice == "Your e-mail address is changed."
    assert new in window.text
    assert old not in window.text
    site.mailbox.wait_for(old, "email-changed")
    window.press("Log out")
    window.log_in(new)


def test_a_person_ends_the_login_of_another_browser_and_then_all_others(
    window: Window, open_window: OpenWindow, site: Site
) -> None:
    email = site.make_person()  # which is a login too, of the program that registered
    window.log_in(email)
    at_work = open_window(user_agent="Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0")
    at_work.log_in(email)

    window.follow("Logins")
    assert "Chrome on Linux this browser" in window.text
    assert window.page.get_by_role("listitem").filter(has_text="Firefox on Windows").count() == 1
    with window.page.expect_navigation():
        row = window.page.get_by_role("listitem").filter(has_text="Firefox on Windows")
        row.get_by_role("button").click()
    assert window.notice == "That login is ended."
    assert "Firefox" not in window.text
    at_work.open("/notes")
    assert (at_work.path, at_work.heading) == ("/account/login?next=/notes", "Log in")

    at_work.log_in(email)
    window.open("/account/logins").press("End all but this one")
    assert window.notice == "Every other login is ended."
    assert window.page.get_by_role("button", name="End it").count() == 0
    at_work.open("/account")
    assert at_work.heading == "Log in"


def test_a_new_password_logs_out_every_other_browser(
    window: Window, open_window: OpenWindow, site: Site
) -> None:
    email = site.make_person()
    elsewhere = open_window()
    elsewhere.log_in(email)
    window.log_in(email).follow("Password")
    window.fill(
        current_password=OTHER_PASSWORD, new_password=OTHER_PASSWORD, new_password_again=OTHER_PASSWORD
    )
    window.press("Change the password")
    assert window.complaint("current_password")
    window.fill(current_password=PASSWORD, new_password=OTHER_PASSWORD, new_password_again=OTHER_PASSWORD)
    window.press("Change the password")
    assert window.notice == "Your password is changed, and you are logged out everywhere else."
    assert window.open("/notes").heading == f"Notes of {email}"
    assert elsewhere.open("/notes").heading == "Log in"
    elsewhere.log_in(email, OTHER_PASSWORD)


# Recovery


def test_who_forgot_the_password_chooses_another_by_the_link_in_the_mail(
    window: Window, open_window: OpenWindow, site: Site
) -> None:
    email = site.make_person()
    thief = open_window()
    thief.log_in(email)
    window.open("/account/login").follow("Forgot the password?")
    window.fill(email=email).press("Send the link")
    told = "If there is an account with this address, a mail with a link is on its way."
    assert (window.path, window.notice) == ("/account/login", told)

    link = site.link_in_mail(email, "reset-password")
    window.open(link).fill(new_password="short", new_password_again="short").press("Save the new password")
    assert window.complaint("new_password")
    window.fill(new_password=OTHER_PASSWORD, new_password_again=OTHER_PASSWORD).press("Save the new password")
    assert window.notice == "Your password is changed. Log in with the new one."
    site.mailbox.wait_for(email, "password-changed")
    assert thief.open("/account").heading == "Log in"
    window.log_in(email, OTHER_PASSWORD)
    assert window.open(link).heading == "This link is not valid any more"


def test_a_stranger_to_the_site_is_told_the_same_about_a_forgotten_password(window: Window) -> None:
    window.open("/account/forgot").fill(email="nobody@example.com").press("Send the link")
    assert window.notice == "If there is an account with this address, a mail with a link is on its way."


def test_a_link_whose_time_is_over_says_so_and_leads_to_a_new_one(window: Window, site: Site) -> None:
    email = site.make_person()
    window.open("/account/forgot").fill(email=email).press("Send the link")
    window.open(site.link_in_mail(email, "reset-password"))
    site.let_links_expire()
    window.fill(new_password=OTHER_PASSWORD, new_password_again=OTHER_PASSWORD).press("Save the new password")
    assert "it is too old" in window.text
    window.follow("Ask for a new link")
    assert window.path == "/account/forgot"


# Leaving


def test_after_logging_out_the_back_button_shows_nothing_of_the_account(
    launch: Callable[..., Browser], site: Site
) -> None:
    from tests.browser.window import Window

    email = site.make_person()
    # As people have it: Playwright switches off the memory of pages as they were.
    with launch(ignore_default_args=["--disable-back-forward-cache"]) as browser:
        window = Window(browser.new_page(), site)
        window.log_in(email).follow("Logins")
        assert window.cookies()
        window.press("Log out")
        assert (window.path, window.notice) == ("/account/login", "You are logged out.")
        assert not [name for name in window.cookies() if name.startswith("__Host-linked_auth_")]
        window.page.go_back()
        assert window.heading == "Log in"
        assert email not in window.page.content()
        assert "this browser" not in window.text


def test_an_account_is_deleted_with_the_password_and_for_good(window: Window, site: Site) -> None:
    email = site.make_person()
    window.log_in(email).follow("Delete the account")
    assert email in window.text
    window.fill(current_password=OTHER_PASSWORD).press("Delete the account for good")
    assert window.complaint("current_password")
    window.fill(current_password=PASSWORD).press("Delete the account for good")
    assert (window.path, window.notice) == ("/account/login", "Your account is deleted.")
    window.fill(identifier=email, password=PASSWORD).press("Log in")
    assert window.error == "The e-mail address or the password is not right."


# What goes wrong


def test_a_form_that_became_too_old_is_shown_again_and_then_goes_through(window: Window, site: Site) -> None:
    email = site.make_person()
    window.open("/account/login")
    window.context.clear_cookies()
    window.fill(identifier=email, password=PASSWORD).press("Log in")
    assert window.error.startswith("This form was too old, so nothing was done.")
    assert window.value("identifier") == email
    window.fill(password=PASSWORD).press("Log in")
    assert window.path == "/account"


def test_a_form_of_one_login_does_not_go_through_in_the_next(window: Window, site: Site) -> None:
    ana, eva = site.make_person(), site.make_person(name="Eva")
    window.log_in(ana)
    other_tab = type(window)(window.context.new_page(), site)
    other_tab.open("/account").press("Log out")
    other_tab.log_in(eva)
    window.fill(name="Ana").press("Save")
    assert window.error.startswith("This form was too old")
    assert other_tab.open("/account").value("name") == "Eva"
    assert other_tab.troubles == []


def test_an_address_where_nothing_is_has_a_page_that_leads_back(window: Window) -> None:
    window.open("/account/nothing")
    assert window.text.count("There is nothing at this address.") == 1
    window.follow("Log in")
    assert window.heading == "Log in"


def test_too_many_tries_are_told_with_the_time_to_wait(open_window: OpenWindow, tmp_path: Path) -> None:
    with serve_site(tmp_path, rate_limits={"login-failures": "2/hour"}) as strict:
        window = open_window(strict)
        email = strict.make_person()
        window.open("/account/login")
        for _ in range(3):
            window.fill(identifier=email, password=OTHER_PASSWORD).press("Log in")
        assert "There were too many tries. Please try again in" in window.error
        assert window.value("identifier") == email

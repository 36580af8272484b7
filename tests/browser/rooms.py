"""Every page and every state of it that looks different, and how one gets there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.apps import asking
from tests.browser.served import Site
from tests.tiny import PASSWORD

if TYPE_CHECKING:
    from tests.browser.window import Window

Room = Callable[["Window", Site], object]
#: An address that needs more room than a phone has.
LONG = "maria-del-carmen.fernandez-de-la-vega-y-rodriguez.{}@department-of-correspondence.example.com"


def _wrong_login(window: Window, site: Site) -> None:
    window.open("/account/login?next=/notes").fill(identifier="ana@example.com", password="x").press("Log in")


def _wrong_registration(window: Window, site: Site) -> None:
    window.open("/account/register").fill(email="ana", username="Ä b", password="a", password_again="b")
    window.press("Make the account")


def _link_mailed(window: Window, site: Site) -> None:
    window.open("/account/forgot").fill(email="nobody@example.com").press("Send the link")


def _reset(window: Window, site: Site) -> None:
    email = site.make_person()
    window.open("/account/forgot").fill(email=email).press("Send the link")
    window.open(site.link_in_mail(email, "reset-password"))


def _wrong_reset(window: Window, site: Site) -> None:
    _reset(window, site)
    window.fill(new_password="password password", new_password_again="b").press("Save the new password")


def _verify(window: Window, site: Site) -> None:
    window.open(site.link_in_mail(site.make_person(), "verify-email"))


def _confirm_email(window: Window, site: Site) -> None:
    email, new = site.make_person(), site.new_email()
    window.log_in(email).open("/account/email").fill(email=new).press("Change the e-mail address")
    window.open(site.link_in_mail(new, "change-email"))


def _welcome(window: Window, site: Site) -> None:
    window.open("/account/register").fill(email=site.new_email(), password=PASSWORD, password_again=PASSWORD)
    window.press("Make the account")


def _pending_email(window: Window, site: Site) -> None:
    window.log_in(site.make_person(email=LONG.format(site.new_email().partition("@")[0])))
    window.open("/account/email").fill(email=LONG.format(site.new_email().partition("@")[0]))
    window.press("Change the e-mail address")


def _wrong_profile(window: Window, site: Site) -> None:
    window.log_in(site.make_person(name="Ana")).fill(username="Ä b", name="x" * 300).press("Save")


def _logins(window: Window, site: Site) -> None:
    email = site.make_person(email=LONG.format(site.new_email().partition("@")[0]))
    for agent in ("a-program-of-my-own-with-a-very-long-name/" + "1" * 60, "curl/8.1", ""):
        sent = {"email": email, "password": PASSWORD}
        site.app.test_client().post("/auth/login", json=sent, headers={"User-Agent": agent})
    window.log_in(email).open("/account/logins")


def _wrong_password(window: Window, site: Site) -> None:
    _logged_in("/account/password")(window, site)
    window.fill(current_password="x", new_password="y", new_password_again="z").press("Change the password")


def _wrong_deletion(window: Window, site: Site) -> None:
    _logged_in("/account/delete")(window, site)
    window.fill(current_password="x").press("Delete the account for good")


def _connected(window: Window, site: Site) -> str:
    """Somebody has agreed to three apps; the slug of one that asks for more since."""
    window.log_in(site.make_person())
    names = ("Billing", "Time tracker of the department of correspondence", "Weather")
    slugs = [site.add_app(name, optional=("read:tracks", "write:posts")) for name in names]
    for slug in slugs:
        window.open(f"/v1/auth/authorize/{slug}?next=/account/apps").press("Allow")
    asking.ask_for(
        site.app, slugs[1], required=("read:posts", "write:tracks"), optional=("read:tracks", "read:user")
    )
    asking.ask_for(site.app, slugs[2], required=(), optional=())
    return slugs[1]


def _agreement(window: Window, site: Site) -> None:
    slug = site.add_app("Billing", description="Sends the invoices for what you have worked on.")
    window.log_in(site.make_person()).open(f"/v1/auth/authorize/{slug}")


def _agreement_anew(window: Window, site: Site) -> None:
    window.open(f"/v1/auth/authorize/{_connected(window, site)}?next=/account/apps")


def _agreement_outdated(window: Window, site: Site) -> None:
    slug = site.add_app("Billing", redirect_url=None)
    window.log_in(site.make_person()).open(f"/v1/auth/authorize/{slug}")
    asking.ask_for(site.app, slug, required=("read:posts", "write:posts"), optional=("read:tracks",))
    window.press("Allow")


def _apps(window: Window, site: Site) -> None:
    _connected(window, site)
    window.open("/account/apps")


def _withdraw(window: Window, site: Site) -> None:
    window.open(f"/account/apps/{_connected(window, site)}/withdraw")


def _at(path: str) -> Room:
    return lambda window, site: window.open(path)


def _logged_in(path: str) -> Room:
    return lambda window, site: window.log_in(site.make_person(name="Ana")).open(path)


ROOMS: dict[str, Room] = {
    "login": _at("/account/login?next=/notes"),
    "login-wrong": _wrong_login,
    "login-logged-in": _logged_in("/account/login"),
    "register": _at("/account/register"),
    "register-wrong": _wrong_registration,
    "forgot": _at("/account/forgot"),
    "link-mailed": _link_mailed,
    "reset": _reset,
    "reset-wrong": _wrong_reset,
    "verify": _verify,
    "confirm-email": _confirm_email,
    "invalid-link": _at("/account/reset?token=x"),
    "nothing": _at("/account/nothing"),
    "welcome": _welcome,
    "pending-email": _pending_email,
    "profile-wrong": _wrong_profile,
    "email": _logged_in("/account/email"),
    "logins": _logins,
    "password": _logged_in("/account/password"),
    "password-wrong": _wrong_password,
    "logout": _logged_in("/account/logout"),
    "delete": _logged_in("/account/delete"),
    "delete-wrong": _wrong_deletion,
    "agreement": _agreement,
    "agreement-anew": _agreement_anew,
    "agreement-outdated": _agreement_outdated,
    "agreement-none": _logged_in("/v1/auth/authorize/nobody"),
    "apps": _apps,
    "apps-none": _logged_in("/account/apps"),
    "withdraw": _withdraw,
    "errors": _at("/auth/errors"),
}

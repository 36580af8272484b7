"""The account pages: what the JSON endpoints do, for people in front of a browser. No JavaScript is needed."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, send_from_directory
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, PrefixLoader

from ..errors import NotFound, RegistrationClosed
from ..guards import public
from ..http import catch_all, load, page as page_of
from ..transactions import commit
from . import flows, forms, login as logins, recovery_flows
from .browser import check_csrf, clear_cookie, device, network_address, set_cookie
from .devices import device_name
from .rendering import (
    BLUEPRINT,
    answered,
    argument,
    done,
    guard_pages,
    next_page,
    onward,
    page_url,
    people,
    recent_people,
    sent,
    show,
    who,
)
from .state import mine

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config import AccountSettings

__all__ = ["make_pages"]

HERE = Path(__file__).parents[1]
TEMPLATES = HERE / "templates" / "linked_auth"


# Coming in, and leaving


@public
def login() -> Response:
    """Log in by e-mail address or user name and password; then back to `next`."""
    state, accounts = mine()
    form, again = forms.login(accounts), bool(argument("again"))
    if again and who() is not None:
        form.values["identifier"] = g.user.email

    def deed(typed: dict[str, str]) -> Response:
        tokens = flows.log_in(
            state, accounts, typed["identifier"], typed["password"], device=device(), cookie=True
        )
        return set_cookie(onward(next_page() or page_url("profile")), tokens)

    return answered(form, "login", deed, next=next_page(), again=again)


@public
def register() -> Response:
    """Make an account, and log in."""
    state, accounts = mine()
    if not accounts.settings.registration:
        raise RegistrationClosed

    def deed(typed: dict[str, str]) -> Response:
        profile = load(accounts.schemas.registration, typed)
        password = profile.pop("password")
        tokens, user = flows.register(state, accounts, profile, password, device=device(), cookie=True)
        notice = "welcome-mailed" if user.get("email_verified") is False and _mails() else "welcome"
        return set_cookie(done(notice, next_page() or page_url("profile")), tokens)

    return answered(forms.registration(accounts), "register", deed, next=next_page())


@public
def logout() -> Response:
    """End the login of this browser: by POST, since a link on any page would do for a GET."""
    state, identity = mine()[0], who()
    if identity is None:
        return onward(page_url("login"))

    def deed(_: dict[str, str]) -> Response:
        commit(state, lambda each: logins.end(each, identity.user_id, str(identity.login_id)))
        return clear_cookie(done("logged-out", page_url("login")))

    return answered(forms.Form(), "logout", deed)


# One's own account


def _mails() -> bool:
    return mine()[1].settings.recovery


@people
def profile() -> Response:
    """One's e-mail address and names, and the way to everything else."""
    state, accounts = mine()
    user_id = g.identity.user_id
    form = forms.profile(accounts, g.get_user())

    def deed(typed: dict[str, str]) -> Response:
        empty = {"username": None, "name": ""}
        given = {name: typed.get(name, empty[name]) for name in form.fields if name in form.values}
        wanted = load(accounts.schemas.profile, given, partial=True)
        recovery_flows.change_profile(state, accounts, user_id, wanted, address=network_address())
        return done("saved", page_url("profile"))

    return answered(
        form,
        "profile",
        deed,
        verified=getattr(g.get_user(), "email_verified", None),
        pending_email=recovery_flows.pending_email(state, user_id) if _mails() else None,
    )


@public
def to_profile() -> Response:
    """The account's address with a slash after it."""
    return onward(page_url("profile"))


@recent_people
def email() -> Response:
    """Change one's e-mail address, after a recent login: whoever finds an open browser must not take the account."""
    state, accounts = mine()

    def deed(typed: dict[str, str]) -> Response:
        wanted = load(accounts.schemas.profile, typed, partial=True)
        same = wanted["email"] == g.get_user().email
        recovery_flows.change_profile(state, accounts, g.identity.user_id, wanted, address=network_address())
        return done("email-mailed" if _mails() and not same else "saved", page_url("profile"))

    return answered(forms.email(), "email", deed)


@people
def send_verification() -> Response:
    """Mail the link that confirms one's e-mail address once more."""
    state, accounts = mine()
    sent()
    check_csrf()
    mailed = recovery_flows.send_verification(state, accounts, g.identity.user_id, address=network_address())
    return done("verification-mailed" if mailed else "email-confirmed", page_url("profile"))


@people
def password() -> Response:
    """Change one's password: every login ends, and this browser gets a new one."""
    state, accounts = mine()

    def deed(typed: dict[str, str]) -> Response:
        tokens = flows.change_password(
            state, accounts, g.identity.user_id, typed, device=device(), cookie=True
        )
        return set_cookie(done("password-changed", page_url("profile")), tokens)

    return answered(forms.password(accounts), "password", deed)


@people
def delete() -> Response:
    """Delete one's account, confirmed by the password, which is better than any recent login."""
    state, accounts = mine()

    def deed(typed: dict[str, str]) -> Response:
        flows.delete(state, accounts, g.identity.user_id, typed["current_password"], device=device())
        return clear_cookie(done("deleted", page_url("login")))

    return answered(forms.deletion(), "delete", deed)


# One's logins


def _shown_login(row: Any) -> dict[str, Any]:
    dumped = mine()[1].schemas.login_row.dump(row)
    return {**dumped, "name": device_name(row.device), "current": row.id == g.identity.login_id}


def _list_of_logins(deed: Callable[[dict[str, str]], Response] | None = None) -> Response:
    """The list; or what `deed` answers, and the list again if it is refused."""
    row = mine()[0].database_in_use().rows.Login
    going_on = logins.going_on(row, g.identity.user_id, now=time())
    found = page_of(going_on, logins.in_order(row, mine=g.identity.login_id), _shown_login)
    shown = {"logins": found["results"], "count": found["count"]}
    if deed is None:
        return show("logins", **shown, next_page=found["next"], previous_page=found["previous"])
    return answered(forms.Form(), "logins", deed, **shown, next_page=None, previous_page=None)


@people
def list_logins() -> Response:
    """Where one is logged in, by page, the newest first."""
    return _list_of_logins()


@people
def end_login(login_id: str) -> Response:
    """End one of one's logins."""

    def deed(_: dict[str, str]) -> Response:
        if not flows.end_login(mine()[0], g.identity.user_id, login_id):
            raise NotFound
        return done("login-ended", page_url("logins"))

    return _list_of_logins(deed)


@people
def end_others() -> Response:
    """End all of one's logins but this one."""
    state, _ = mine()

    def deed(_: dict[str, str]) -> Response:
        keep = str(g.identity.login_id)
        commit(state, lambda each: logins.end_others(each, g.identity.user_id, keep))
        return done("others-ended", page_url("logins"))

    return _list_of_logins(deed)


# Where they are


@public
def asset(filename: str) -> Response:
    """The stylesheet."""
    return send_from_directory(HERE / "static", filename)


class _Pages(Blueprint):
    """Its templates also go by `linked_auth/original/…`, so that a host's `linked_auth/login.html` can extend ours."""

    jinja_loader: BaseLoader = PrefixLoader(
        {
            "linked_auth": ChoiceLoader(
                [FileSystemLoader(TEMPLATES), PrefixLoader({"original": FileSystemLoader(TEMPLATES)})]
            )
        }
    )


def make_pages(settings: AccountSettings) -> Blueprint:
    """The pages under `settings.pages_prefix`."""
    blueprint = _Pages(BLUEPRINT, __name__, url_prefix=settings.pages_prefix)
    rules: list[tuple[str, str, Any]] = [
        ("", "profile", profile),
        ("/login", "login", login),
        ("/register", "register", register),
        ("/logout", "logout", logout),
        ("/email", "email", email),
        ("/password", "password", password),
        ("/delete", "delete", delete),
    ]
    if settings.recovery:
        from .recovery_pages import RULES

        rules += RULES
    for rule, endpoint, view in rules:
        _add(blueprint, rule, endpoint, view, "GET", "POST")
    _add(blueprint, "/", "to_profile", to_profile, "GET")
    _add(blueprint, "/logins", "logins", list_logins, "GET")
    _add(blueprint, "/logins/end-others", "end_others", end_others, "POST")
    _add(blueprint, "/logins/<login_id>/end", "end_login", end_login, "POST")
    if settings.recovery:
        _add(blueprint, "/email/verification", "send_verification", send_verification, "POST")
    _add(blueprint, "/static/<filename>", "static", asset, "GET")
    catch_all(blueprint)
    guard_pages(blueprint)
    return blueprint


def _add(blueprint: Blueprint, rule: str, endpoint: str, view: Any, *methods: str) -> None:
    blueprint.add_url_rule(
        rule, endpoint, view, methods=methods, provide_automatic_options=False, strict_slashes=False
    )

"""The pages about linked apps: the one on which people agree to an app, and the one of what they agreed to so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, url_for

from ..accounts.forms import Form
from ..accounts.rendering import POLICY, answered, done, guard_pages, next_page, onward, people, show
from ..accounts.state import FurtherPage
from ..catalogs import _
from ..errors import NotFound
from ..http import catch_all, page as page_of
from ..transactions import Transaction, commit
from . import agreements, forms
from .changes import find_app
from .redirects import form_targets, host_of, with_outcome
from .schemas import moment
from .state import mine

if TYPE_CHECKING:
    from flask import Flask

    from ..accounts.state import AccountsState
    from ..config import AppSettings
    from .agreements import Asked, Standing

__all__ = ["add_pages"]

AGREEMENT, CONNECTED = "linked_auth_agreement", "linked_auth_connected"

_APPS = FurtherPage(f"{CONNECTED}.apps", _("Apps"), _("Apps that may use your account"), _("See your apps"))
_NOTICES = {
    "agreement-saved": _("Your choice is saved. What the app may do stands below."),
    "agreement-unchanged": _("Nothing was changed."),
    "agreement-withdrawn": _("The app may not use your account any more."),
}


# The agreement page


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a decision leads: to the page of ours that asked for it (`own`), to the app, or to the list of apps."""

    own: str | None
    to_app: str | None

    def address(self, status: str) -> str:
        """The address for an outcome, `authorized` or `rejected`."""
        if self.own is None and self.to_app is not None:
            return with_outcome(self.to_app, app=mine()[0].settings.name, status=status)
        return self.own or url_for(_APPS.endpoint)

    def go(self, status: str) -> Response:
        """Send the browser there; a page of ours tells what was done, the app is told."""
        if self.own is None and self.to_app is not None:
            return onward(self.address(status))
        notice = "agreement-saved" if status == "authorized" else "agreement-unchanged"
        return done(notice, self.address(status))


@people
def agreement(slug: str) -> Response:
    """What an app asks for, and the person's answer. Only the browser's cookie says who that is, never a header."""
    reading = Transaction(mine()[0])
    app = _asking(reading, slug)
    if app is None:
        return show("no_agreement", status=404)
    asked = agreements.scopes_asked(reading, app)
    standing = agreements.standing_of(reading, app, g.identity.user_id)
    way = _Way(next_page(), app.redirect_url)
    policy = POLICY.replace("form-action 'self'", f"form-action {form_targets(app.redirect_url)}")
    response = answered(
        forms.agreement(asked, standing),
        "agreement",
        _decision(app.id, way),
        next=way.own,
        back_to=None if way.own is not None else host_of(way.to_app),
        reject_url=None if way.own is None and way.to_app is None else way.address("rejected"),
        **_told(app, asked, standing),
    )
    response.headers["Content-Security-Policy"] = policy
    return response


def _asking(reading: Transaction, slug: str) -> Any:
    """The app; None for one that is not there, is switched off, or needs no agreement."""
    try:
        app = find_app(reading, slug)
    except NotFound:
        return None
    return app if app.active and app.needs_agreement else None


def _decision(app_id: str, way: _Way) -> Callable[[dict[str, str]], Response]:
    """What is done with the form of the page."""

    def deed(typed: dict[str, str]) -> Response:
        if typed.get("decision") == "reject":
            return way.go("rejected")
        shown, accepted, user_id = (
            typed.get("shown", "").split(),
            forms.accepted_in(typed),
            g.identity.user_id,
        )

        def save(transaction: Transaction) -> None:
            app = find_app(transaction, app_id)
            agreements.agree(transaction, app, user_id, accepted=accepted, shown=shown)

        commit(mine()[0], save)
        return way.go("authorized")

    return deed


def _told(app: Any, asked: list[Asked], standing: Standing | None) -> dict[str, Any]:
    """What the template tells. Plain values: a row could be gone by the time that the form is shown again."""
    return {
        "app": {"slug": app.slug, "name": app.name, "description": app.description},
        "agreed_on": None if standing is None else moment(standing.agreed_at)[:10],
        "up_to_date": standing is not None and standing.up_to_date,
        "required": [each for each in asked if each.required],
        "optional": [each for each in asked if not each.required],
        "new": {each.slug for each in asked if forms.is_new(each, standing)},
        "switch_of": forms.switch_of,
    }


# Connected apps


@people
def apps() -> Response:
    """The apps that one has agreed to, by page, by their names."""
    reading = Transaction(mine()[0])
    rows, user_id = reading.rows, g.identity.user_id
    found = page_of(agreements.agreements_of(rows, user_id), agreements.in_order(rows), lambda row: row)
    connected = agreements.beside_their_apps(reading, found["results"])
    accepted = {scope for each in connected for scope in each.scopes}
    return show(
        "apps",
        connected=[(each, moment(each.agreed_at)[:10]) for each in connected],
        scopes=agreements.words_of_scopes(reading, accepted),
        next_page=found["next"],
        previous_page=found["previous"],
    )


@people
def withdraw(slug: str) -> Response:
    """Take an agreement back, after having been told what that means."""
    state, user_id = mine()[0], g.identity.user_id
    reading = Transaction(state)
    app = find_app(reading, slug)
    if agreements.standing_of(reading, app, user_id) is None:
        raise NotFound
    app_id, told = app.id, {"slug": app.slug, "name": app.name, "needs_agreement": app.needs_agreement}

    def deed(_typed: dict[str, str]) -> Response:
        commit(state, lambda each: agreements.withdraw(each, find_app(each, app_id), user_id))
        return done("agreement-withdrawn", url_for(_APPS.endpoint))

    return answered(Form(), "withdraw", deed, app=told)


# Where they are


def add_pages(app: Flask, accounts: AccountsState, settings: AppSettings) -> None:
    """Add the pages to those of the accounts, by which people log in and whose looks they have."""
    if accounts.browser is None:
        raise RuntimeError("Without the pages of the accounts there are none about apps.")
    accounts.browser.further.append(_APPS)
    accounts.browser.notices.update(_NOTICES)
    asked = Blueprint(AGREEMENT, __name__, url_prefix=settings.agreement_path)
    _add(asked, "/<slug>", "agreement", agreement)
    catch_all(asked)
    connected = Blueprint(CONNECTED, __name__, url_prefix=accounts.settings.pages_prefix)
    _add(connected, "/apps", "apps", apps, methods=("GET",))
    _add(connected, "/apps/<slug>/withdraw", "withdraw", withdraw)
    for blueprint in (asked, connected):
        guard_pages(blueprint)
        app.register_blueprint(blueprint)


def _add(
    blueprint: Blueprint, rule: str, endpoint: str, view: Any, *, methods: tuple[str, ...] = ("GET", "POST")
) -> None:
    blueprint.add_url_rule(
        rule, endpoint, view, methods=methods, provide_automatic_options=False, strict_slashes=False
    )

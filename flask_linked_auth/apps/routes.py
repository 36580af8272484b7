"""The JSON endpoints about what one agreed to, for people with our own token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, g, jsonify

from ..errors import NotFound
from ..guards import Auth
from ..http import catch_all, guard_errors, page
from ..transactions import Transaction, commit
from . import agreements, described
from .changes import find_app
from .schemas import shown
from .state import mine

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from ..config import AppSettings

__all__ = ["make_blueprints"]


@described.list_agreements
@Auth.auth_required
def list_agreements() -> ResponseReturnValue:
    """What one allowed linked apps to do, by the names of the apps."""
    reading = Transaction(mine()[0])
    rows = reading.rows
    found = page(
        agreements.agreements_of(rows, g.identity.user_id), agreements.in_order(rows), lambda row: row
    )
    listed = agreements.beside_their_apps(reading, found["results"])
    return {**found, "results": [shown(each) for each in listed]}


def _app(transaction: Transaction, slug: str) -> Any:
    """The app; what one has agreed to is said of it, and not whether it is there."""
    try:
        return find_app(transaction, slug)
    except NotFound:
        raise NotFound("You have no agreement with this app.") from None


@described.show_agreement
@Auth.auth_required
def show_agreement(slug: str) -> ResponseReturnValue:
    """What one allowed one linked app to do."""
    reading = Transaction(mine()[0])
    standing = agreements.standing_of(reading, _app(reading, slug), g.identity.user_id)
    if standing is None:
        raise NotFound("You have no agreement with this app.")
    return shown(standing)


@described.withdraw_agreement
@Auth.auth_required
def withdraw_agreement(slug: str) -> ResponseReturnValue:
    """Take back all that one allowed a linked app to do, at once."""

    def deed(transaction: Transaction) -> bool:
        return agreements.withdraw(transaction, _app(transaction, slug), g.identity.user_id)

    if not commit(mine()[0], deed):
        raise NotFound("You have no agreement with this app.")
    return "", 204


@described.withdraw_scope
@Auth.auth_required
def withdraw_scope(slug: str, scope: str) -> ResponseReturnValue:
    """Take one scope back that an app can do without.

    409 for one that the app needs.
    """

    def deed(transaction: Transaction) -> bool:
        app = _app(transaction, slug)
        return agreements.withdraw_scope(transaction, app, g.identity.user_id, scope)

    if not commit(mine()[0], deed):
        raise NotFound("You have not accepted this scope for this app.")
    return "", 204


@described.list_agreed_apps
@Auth.auth_required
def list_agreed_apps() -> ResponseReturnValue:
    """The apps that one has agreed to, as the Django package lists them.

    All of them, and not by page.
    """
    found = agreements.standings(Transaction(mine()[0]), g.identity.user_id)
    return jsonify([{"app": each.app.slug, "up_to_date": each.up_to_date} for each in found])


def make_blueprints(settings: AppSettings, prefix: str) -> list[Blueprint]:
    """The endpoints under `<prefix>/agreements`, and the older list beside the agreement page."""
    own = Blueprint("linked_auth_agreements", __name__, url_prefix=f"{prefix}/agreements")
    _add(own, "GET", "", list_agreements)
    _add(own, "GET", "/<slug>", show_agreement)
    _add(own, "DELETE", "/<slug>", withdraw_agreement)
    _add(own, "DELETE", "/<slug>/scopes/<scope>", withdraw_scope)
    beside = settings.agreement_path.rpartition("/")[0]
    older = Blueprint("linked_auth_agreed_apps", __name__, url_prefix=f"{beside}/appuseragreement")
    _add(older, "GET", "", list_agreed_apps)
    for blueprint in (own, older):
        catch_all(blueprint)
        guard_errors(blueprint)
    return [own, older]


def _add(blueprint: Blueprint, method: str, rule: str, view: Any) -> None:
    blueprint.add_url_rule(
        rule, None, view, methods=[method], provide_automatic_options=False, strict_slashes=False
    )

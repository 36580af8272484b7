"""The form of the agreement page: the scopes that one may choose, as switches. No request in here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ..accounts.forms import Field, Form
from ..catalogs import Text, _

if TYPE_CHECKING:
    from .agreements import Asked, Standing

__all__ = ["accepted_in", "agreement", "is_new", "switch_of"]

_SWITCH = "scope-"


def switch_of(scope: str) -> str:
    """The name of the field by which an optional scope is chosen."""
    return _SWITCH + scope


def agreement(asked: Collection[Asked], standing: Standing | None) -> Form:
    """The optional scopes: all of them chosen on the first time, afterwards those of the last choice.

    `decision` is "reject" for no; `shown` has the required scopes of which the person was told.
    """
    optional = [each for each in asked if not each.required]
    switches = [Field(switch_of(each.slug), Text(each.name), "checkbox", required=False) for each in optional]
    chosen = {
        switch_of(each.slug): "on" for each in optional if standing is None or each.slug in standing.scopes
    }
    told = Field("shown", _("What the app needs"), "hidden", required=False)
    decision = Field("decision", _("Your decision"), "hidden", required=False)
    return Form(*switches, told, decision, values=chosen)


def accepted_in(typed: Mapping[str, str]) -> frozenset[str]:
    """The optional scopes that were chosen."""
    return frozenset(name.removeprefix(_SWITCH) for name in typed if name.startswith(_SWITCH))


def is_new(scope: Asked, standing: Standing | None) -> bool:
    """Whether the app has asked for a scope only since the person agreed.

    Within the same second it is new if the agreement is out of date and does not have it.
    """
    if standing is None or standing.up_to_date or scope.added_at < standing.agreed_at:
        return False
    return scope.added_at > standing.agreed_at or scope.slug not in standing.scopes

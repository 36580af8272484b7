"""Which of our people a linked app may see, as queries over indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, false, literal, select

from ..tokens.access import key_reader

if TYPE_CHECKING:
    from sqlalchemy import Select

    from ..apps.registry import AppRecord
    from ..database import Database

__all__ = ["FILTERS", "visible_people"]

FILTERS = ("id", "email", "username")
SCOPE = "read:user"


def visible_people(
    database: Database, app: AppRecord, filters: Mapping[str, str], *, only: Any | None = None
) -> Select[Any]:
    """The active people whom `app` may see, in the order of their keys.

    `only` is the one for whom it calls. For an app that people must agree to, those who have, to being seen too: what
    they agreed to before `read:user` was among it does not count. `filters` are texts; who cannot be is nobody.
    """
    rows = database.rows
    user = rows.User
    key = user.__mapper__.primary_key[0]
    query, order = select(user), key
    if app.facts.needs_agreement:
        agreed = rows.Agreement
        # In spaces, so that no scope is found in the name of another.
        scopes = literal(" ") + agreed.scopes + literal(" ")
        order = agreed.user_id  # the same, and the order of the index
        query = query.join(agreed, order == key).where(
            agreed.app_id == app.id, scopes.contains(f" {SCOPE} ", autoescape=True)
        )
    if hasattr(user, "active"):
        query = query.where(user.active.is_(True))
    if only is not None:
        query = query.where(key == only)
    for name, text in filters.items():
        query = query.where(_is(database, name, text))
    return query.order_by(order)


def _is(database: Database, name: str, text: str) -> Any:
    user = database.rows.User
    if "\x00" in text:  # PostgreSQL cannot even be asked for it
        return false()
    if name == "id":
        try:
            key = key_reader(database.key_type)(text)
        except ValueError:
            return false()
        # As a large number: one that the column is too small for would be an error in PostgreSQL, and is nobody.
        return user.__mapper__.primary_key[0] == (literal(key, BigInteger) if isinstance(key, int) else key)
    by_email = user.email.in_({text, text.lower()})
    if name == "email":
        return by_email
    if not hasattr(user, "username"):
        return by_email  # which is what apps are told in its place
    named = user.username.in_({text, text.lower()})
    return named | (user.username.is_(None) & by_email)

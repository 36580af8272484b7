"""One-time tokens: a person brings one to a linked app, which learns by it, once, who the person is here."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from ..link_errors import AppNotFound, SpentToken
from ..tokens.issuing import key_of
from ..tokens.refresh import hashed
from ..transactions import commit_apart
from .state import mine

if TYPE_CHECKING:
    from ..transactions import Transaction

__all__ = ["one_time_token", "prune_expired", "spend"]

PREFIX = "fla_it_"  # so that secret scanners know it
_FORM = re.compile(r"fla_it_[A-Za-z0-9_-]{43}", re.ASCII)


def one_time_token(user: Any, app: str | None = None) -> str:
    """A token that tells a linked app once who `user` is: a row, `g.user` or a key.

    `app` is the slug of the only app that may spend it; None for any that needs no agreement. It is good for
    `LINKED_AUTH_ONE_TIME_TOKEN_LIFETIME` seconds, and committed when this returns. Raises AppNotFound, and ValueError
    for what is no person.
    """
    state, links = mine()
    key, app_id = key_of(state, user), None
    if app is not None:
        found = links.apps.registry.find(app)
        if found is None:
            raise AppNotFound(f"There is no linked app {app!r}.")
        app_id = found.id
    token = PREFIX + secrets.token_urlsafe(32)

    def deed(transaction: Transaction) -> None:
        expires_at = transaction.now + links.settings.one_time_token_lifetime
        row = transaction.rows.OneTimeToken
        transaction.session.add(row(id=hashed(token), user_id=key, app_id=app_id, expires_at=expires_at))

    commit_apart(state, deed)
    return token


def spend(transaction: Transaction, token: str, *, app_id: str) -> tuple[Any, int]:
    """The key of the token's person, and until when it was good (Unix seconds). It is used up. Raises SpentToken.

    A token for another app is not used up by this one.
    """
    if not _FORM.fullmatch(token):
        raise SpentToken
    row = transaction.rows.OneTimeToken
    good = (row.id == hashed(token)) & (row.expires_at > transaction.now)
    good &= row.app_id.is_(None) | (row.app_id == app_id)
    found = transaction.session.execute(select(row.user_id, row.expires_at).where(good)).first()
    # Of two at once, the database lets one delete it.
    used = delete(row).where(good).execution_options(synchronize_session=False)
    if found is None or not transaction.session.execute(used).rowcount:  # type: ignore[attr-defined]
        raise SpentToken
    return found.user_id, found.expires_at


def prune_expired(transaction: Transaction, at_most: int, *, row: str) -> int:
    """Delete up to `at_most` rows of a class whose time is over; how many there were."""
    model = getattr(transaction.rows, row)
    over = (
        select(model.id).where(model.expires_at < transaction.now).order_by(model.expires_at).limit(at_most)
    )
    ids = list(transaction.session.scalars(over.with_for_update(skip_locked=True)))
    if ids:
        gone = delete(model).where(model.id.in_(ids)).execution_options(synchronize_session=False)
        transaction.session.execute(gone)
    return len(ids)

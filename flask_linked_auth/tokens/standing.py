"""What the host does to its users by the ORM, noticed: deactivating, deleting, setting another password or address."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flask import current_app, has_app_context
from sqlalchemy import delete, event, inspect, update
from sqlalchemy.orm import object_session

from .revocation import Ledger

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ..state import State
    from .models import Rows

__all__ = ["watch_users"]

#: Outside an app nobody knows how long access tokens live, so a revocation is kept for the longest they may.
_LONGEST = 7 * 24 * 60 * 60 + 120


def watch_users(rows: Rows) -> None:
    """From now on, a person deactivated, deleted or given another password through the ORM loses all logins."""

    def changed(_: Any, connection: Connection, user: Any) -> None:
        state = inspect(user)
        turned = "active" in state.attrs and state.attrs.active.history.has_changes()
        if (turned and not user.active) or state.attrs.password_hash.history.has_changes():
            _end(rows, connection, user, keep_rows=True)
        elif turned:  # guards remember of the people of linked apps that they are not active
            _announce(rows, connection, user)

    def deleted(_: Any, connection: Connection, user: Any) -> None:
        _end(rows, connection, user, keep_rows=False)

    event.listen(rows.User, "before_update", _unverify, propagate=True)
    event.listen(rows.User, "after_update", changed, propagate=True)
    event.listen(rows.User, "before_delete", deleted, propagate=True)


def _unverify(_: Any, connection: Connection, user: Any) -> None:  # noqa: ARG001 - SQLAlchemy's signature
    """A new address is not verified because the former one was, unless whoever sets it says so."""
    state = inspect(user)
    known = "email" in state.attrs and "email_verified" in state.attrs
    # Not by its history, which does not show that it was set to what it is already.
    said = "email_verified" in state.committed_state
    if known and not said and state.attrs.email.history.has_changes():
        user.email_verified = False


def _end(rows: Rows, connection: Connection, user: Any, *, keep_rows: bool) -> None:
    key, now, logins = inspect(user).identity[0], int(time.time()), rows.Login.__table__
    if keep_rows:
        if "OneTimeLink" in rows:
            connection.execute(delete(rows.OneTimeLink).where(rows.OneTimeLink.user_id == key))
        going_on = (logins.c.user_id == key) & logins.c.ended_at.is_(None)
        connection.execute(update(logins).where(going_on).values(ended_at=now))
    else:
        # Not left to foreign keys: SQLite does not enforce them by default, and it may give the key to a newcomer.
        for model in rows.of_people():
            connection.execute(delete(model.__table__).where(model.__table__.c.user_id == key))
    _announce(rows, connection, user)


def _announce(rows: Rows, connection: Connection, user: Any) -> None:
    """Let every process know: tokens made so far are refused, and what is kept of this person is read anew."""
    key, now, session = inspect(user).identity[0], int(time.time()), object_session(user)
    state: State | None = current_app.extensions.get("linked_auth") if has_app_context() else None
    retention = _LONGEST if state is None else state.retention
    if session is not None:
        ledger = Ledger.of(session, rows, None if state is None else state.verifier.feed, flushing=True)
        ledger.add(connection, "user", str(key), now + retention)

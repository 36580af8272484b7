"""Who is who on the other side: the person of ours whom a linked app means by an id of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, true

from ..errors import UnknownUser
from ..tokens.memory import Memory

if TYPE_CHECKING:
    from ..database import Database
    from ..tokens.revocation import Feed

__all__ = ["KnownPeople", "person_subject"]


def person_subject(app_id: str, external_id: str) -> str:
    """The subject in the feed of who an app's id is here."""
    return f"{app_id}:{external_id}"


@dataclass(frozen=True, slots=True)
class _Known:
    user_id: Any
    active: bool


class KnownPeople:
    """The table of linked people as a process knows it; looked up by an index, once, until it changes."""

    def __init__(self, database: Database, feed: Feed, *, size: int, lifetime: float) -> None:
        self._database = database
        self._known: Memory[tuple[str, str], _Known | None] = Memory(
            feed, self._read, size=size, lifetime=lifetime
        )

    def find(self, app_id: str, external_id: str) -> Any | None:
        """The key of the person whom the app calls `external_id`, None if we don't know.

        Raises UnknownUser for one who was deactivated, and Unavailable.
        """
        known = self._known.get((app_id, external_id))
        if known is None:
            return None
        if not known.active:
            raise UnknownUser("This person has no account any more.")
        return known.user_id

    def _read(self, key: tuple[str, str]) -> tuple[_Known | None, tuple[str, ...]]:
        app_id, external_id = key
        subject = f"person:{person_subject(app_id, external_id)}"
        if not 0 < len(external_id) <= 255 or "\x00" in external_id:
            return None, (subject,)
        row, user = self._database.rows.LinkedPerson, self._database.rows.User
        active = user.active if hasattr(user, "active") else true()
        found = self._database.read(
            select(row.user_id, active.label("active"))
            .join(user, user.__mapper__.primary_key[0] == row.user_id)
            .where(row.app_id == app_id, row.external_id == external_id)
        )
        if not found:
            return None, (subject,)
        return _Known(found[0].user_id, bool(found[0].active)), (subject, f"user:{found[0].user_id}")

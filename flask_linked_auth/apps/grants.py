"""Which scopes a linked app has, alone or on behalf of a person; remembered until an agreement or the app changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ..tokens.memory import Memory

if TYPE_CHECKING:
    from ..database import Database
    from ..tokens.revocation import Feed
    from .registry import AppRecord

__all__ = ["Agreed", "Grants", "agreement_subject", "effective"]


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a person agreed to for an app: the version of its scopes by then, and the scopes."""

    version: int
    scopes: frozenset[str]


def effective(app: AppRecord, agreed: Agreed | None, *, on_behalf: bool) -> frozenset[str]:
    """The scopes of an app: those within its ceiling that it requires or this person accepted.

    Without a person those that are required. A scope that was added after the person agreed is not covered, and one
    that the app does not ask for any more is not kept. An app that needs no agreement has its ceiling.
    """
    if not app.facts.needs_agreement:
        return app.limit
    if not on_behalf:
        return app.required & app.limit
    if agreed is None:
        return frozenset()
    return agreed.scopes & (app.required | app.optional) & app.limit


def agreement_subject(app_id: str, user_id: Any) -> str:
    """The subject in the feed of what a person agreed to for an app."""
    return f"{app_id}:{user_id}"


class Grants:
    """The agreements as a process knows them."""

    def __init__(self, database: Database, feed: Feed, *, size: int, lifetime: float) -> None:
        self._database = database
        self._known: Memory[tuple[str, Any], Agreed | None] = Memory(
            feed, self._read, size=size, lifetime=lifetime
        )

    def of(self, app: AppRecord, user_id: Any, *, on_behalf: bool) -> frozenset[str]:
        """The scopes that `app` has now, for a person if it speaks `on_behalf` of one.

        `user_id` is None for somebody whom we don't know, who cannot have agreed. Raises Unavailable.
        """
        needed = app.facts.needs_agreement and on_behalf and user_id is not None
        return effective(app, self.agreed(app.id, user_id) if needed else None, on_behalf=on_behalf)

    def agreed(self, app_id: str, user_id: Any) -> Agreed | None:
        """What this person agreed to for this app, None if nothing. Raises Unavailable."""
        return self._known.get((app_id, user_id))

    def _read(self, key: tuple[str, Any]) -> tuple[Agreed | None, tuple[str, ...]]:
        row = self._database.rows.Agreement
        query = select(row.version, row.scopes).where(row.app_id == key[0], row.user_id == key[1])
        found = self._database.read(query)
        agreed = Agreed(found[0].version, frozenset(found[0].scopes.split())) if found else None
        subject = agreement_subject(*key)
        return agreed, (f"agreement:{subject}", f"app:{key[0]}", f"user:{key[1]}")

"""The linked apps as a process knows them: each read once, with its keys and scopes, until something changes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ..errors import SealingError
from ..identity import CallingApp
from ..tokens.memory import Memory

if TYPE_CHECKING:
    from ..database import Database
    from ..sealing import Sealer
    from ..tokens.revocation import Feed

__all__ = ["AppRecord", "HeldKey", "Registry", "key_context"]

log = logging.getLogger("flask_linked_auth")

_SIZE = 2000  # apps that a process remembers, unknown names included

#: Makes of (key id, algorithm, secret) what a dialect works with.
KeyLoader = Callable[[str, str, bytes], Any]


@dataclass(frozen=True, slots=True, repr=False)
class HeldKey:
    """A key of an app, ready for use. Moments are Unix seconds."""

    key_id: str
    algorithm: str
    key: Any
    active_from: int
    expires_at: int | None

    def is_accepted(self, now: float) -> bool:
        """Whether what it signed counts: also before it signs itself, since clocks differ."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, repr=False)
class AppRecord:
    """A linked app with all that a guard or a call needs; never changed."""

    facts: CallingApp
    version: int
    required: frozenset[str]
    optional: frozenset[str]
    limit: frozenset[str]  # scopes that it can have at most
    users_path: str
    joins_by_email: bool
    keys: Mapping[str, tuple[HeldKey, ...]]  # by use, the newest first

    @property
    def id(self) -> str:
        """The client id."""
        return self.facts.id

    @property
    def slug(self) -> str:
        """The readable name."""
        return self.facts.slug

    @property
    def depends(self) -> tuple[str, ...]:
        """The subjects of the feed after whose change it must be read anew."""
        return (f"app:{self.slug}", f"app:{self.id}", "scopes:all")

    def accepted(self, use: str, now: float) -> list[HeldKey]:
        """The keys whose work counts, the newest first."""
        return [held for held in self.keys.get(use, ()) if held.is_accepted(now)]

    def retired(self, use: str, now: float) -> list[HeldKey]:
        """The keys whose time is over, as long as they are kept."""
        return [held for held in self.keys.get(use, ()) if not held.is_accepted(now)]

    def signing(self, use: str, now: float) -> HeldKey | None:
        """The key that signs now, None if there is none."""
        active = [held for held in self.accepted(use, now) if held.active_from <= now]
        return active[0] if active else None

    def keys_change(self, now: float) -> float:
        """The next moment at which the time of a key begins or is over; infinity if there is none."""
        every = [held for keys in self.keys.values() for held in keys]
        moments = [each for held in every for each in (held.active_from, held.expires_at) if each is not None]
        return min((each for each in moments if each > now), default=math.inf)


class Registry:
    """Looks linked apps up. `loaders` say, by dialect, what its keys are made into."""

    def __init__(self, database: Database, sealer: Sealer, feed: Feed, *, lifetime: float) -> None:
        self._database, self._sealer = database, sealer
        self._known: Memory[str, AppRecord | None] = Memory(feed, self._read, size=_SIZE, lifetime=lifetime)
        self.loaders: dict[str, KeyLoader] = {}

    def find(self, name: str) -> AppRecord | None:
        """The active app with this slug or client id, or None. Raises Unavailable."""
        return self._known.get(name)

    def _read(self, name: str) -> tuple[AppRecord | None, tuple[str, ...]]:
        rows, unknown = self._database.rows, (f"app:{name}",)
        if not 0 < len(name) <= 50 or "\x00" in name:
            return None, unknown
        app = rows.LinkedApp.__table__
        found = self._database.read(select(app).where((app.c.slug == name) | (app.c.id == name)))
        if not found or not found[0].active:
            return None, unknown
        row, keys, of_app = found[0], rows.AppKey.__table__, rows.AppScope.__table__
        held = self._database.read(select(keys).where(keys.c.app_id == row.id))
        scopes = self._database.read(
            select(of_app.c.scope, of_app.c.required).where(of_app.c.app_id == row.id)
        )
        registered = frozenset(each.slug for each in self._database.read(select(rows.Scope.slug)))
        record = AppRecord(
            facts=_facts(row, held),
            version=row.agreement_version,
            required=frozenset(each.scope for each in scopes if each.required),
            optional=frozenset(each.scope for each in scopes if not each.required),
            limit=registered if row.ceiling is None else frozenset(row.ceiling.split()),
            users_path=row.users_path,
            joins_by_email=row.joins_by_email,
            keys=self._opened(held),
        )
        return record, record.depends

    def _opened(self, rows: Sequence[Any]) -> Mapping[str, tuple[HeldKey, ...]]:
        keys: dict[str, list[HeldKey]] = {}
        for row in sorted(rows, key=_age, reverse=True):
            load = self.loaders.get(row.use.rpartition("_")[0])
            if load is None:
                continue  # the part that this key is for is not in use
            try:
                key = load(row.key_id, row.algorithm, self._sealer.open(row.sealed, key_context(row.id)))
            except (SealingError, ValueError):
                log.error("A key of a linked app cannot be opened: was LINKED_AUTH_SECRET replaced?")  # noqa: TRY400
                continue
            held = HeldKey(row.key_id, row.algorithm, key, row.active_from, row.expires_at)
            keys.setdefault(row.use, []).append(held)
        return MappingProxyType({use: tuple(each) for use, each in keys.items()})


def _age(row: Any) -> tuple[Any, ...]:
    # Of two from the same second the one that has an end is the one that was replaced.
    return row.active_from, row.expires_at is None, row.created_at, row.id


def key_context(row_id: str) -> str:
    """What the sealed secret of an app key is bound to."""
    return f"app_key:{row_id}"


def _facts(row: Any, keys: Sequence[Any]) -> CallingApp:
    now = time()
    ours = [k for k in keys if k.use.endswith("_in") and (k.expires_at is None or k.expires_at > now)]
    newest = max(ours, key=lambda each: each.active_from, default=None)
    return CallingApp(
        id=row.id,
        slug=row.slug,
        name=row.name,
        address=row.address,
        webhook_url=row.webhook_url,
        redirect_url=row.redirect_url,
        needs_agreement=row.needs_agreement,
        dialect=row.dialect,
        accepts=tuple(row.accepts.split()),
        algorithm="" if newest is None else newest.algorithm,
    )

"""The signing keys in the database: their private halves sealed, one row each, overlapping while they rotate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from ..errors import SealingError
from ..storage import storage_errors
from .keys import Key, dump, generate, load
from .revocation import Feed, Ledger, in_memory
from .ring import Held

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

    from ..sealing import Sealer
    from .models import Rows

__all__ = ["KeyStore"]

log = logging.getLogger("flask_linked_auth")


class KeyStore:
    """The key source of a service with a database."""

    # The revocation feed tells of new keys, but only guards read it: a process that just logs people in does not.
    max_age: float | None = 10.0
    pause = 0.2

    def __init__(self, db: SQLAlchemy, rows: Rows, sealer: Sealer, *, feed: Feed) -> None:
        self._db, self._rows, self._sealer, self._feed = db, rows, sealer, feed
        self._unwritten: list[Held] = []

    def load(self) -> Sequence[Held]:
        """Every key that can be opened. One sealed by a key we no longer have is left out, and its tokens are void.

        Raises Unavailable if the database is out of reach, InternalError if the table is missing.
        """
        held = list(self._unwritten)
        with storage_errors():
            rows = self._select()
        for row in rows:
            try:
                held.append(Held(self._open(row), row.active_from, row.accepted_until))
            except SealingError:
                log.error("The signing key %s cannot be opened: was LINKED_AUTH_SECRET replaced?", row.kid)  # noqa: TRY400
        return held

    def _select(self) -> Sequence[Any]:
        columns = self._rows.SigningKey.__table__.c
        query = select(
            columns.kid, columns.algorithm, columns.sealed, columns.active_from, columns.accepted_until
        )
        if in_memory(self._db):  # its one connection carries the host's transaction, so read inside that
            return self._db.session.execute(query).all()
        with self._db.engine.connect() as connection:
            return connection.execute(query).all()

    def _open(self, row: Any) -> Key:
        return load(row.kid, row.algorithm, self._sealer.open(row.sealed, _context(row.kid)))

    def create(self, algorithm: str) -> Held:
        """Make a key that is active at once, in a transaction of its own."""
        key, now = generate(algorithm), int(time())
        held = Held(key, now)
        if in_memory(self._db):  # this process is the only one, and committing would commit for the host
            self._unwritten.append(held)
            return held
        with self._db.engine.begin() as connection:
            connection.execute(self._rows.SigningKey.__table__.insert().values(**self._values(key, now, now)))
        return held

    def add(self, algorithm: str, *, active_from: int) -> Held:
        """Make a key that becomes active at `active_from` (Unix seconds), in the session's transaction."""
        key, session = generate(algorithm), self._db.session()
        starts = set(session.scalars(select(self._rows.SigningKey.active_from)))
        while active_from in starts:  # of two that begin in one second neither would follow the other
            active_from += 1
        session.execute(
            self._rows.SigningKey.__table__.insert().values(**self._values(key, int(time()), active_from))
        )
        self.announce(key.kid, until=active_from)
        return Held(key, active_from)

    def retire(self, kid: str) -> bool:
        """Accept this key no more, from the commit on; whether there was one."""
        session, now = self._db.session(), int(time())
        row = session.get(self._rows.SigningKey, kid)
        if row is None:
            return False
        row.accepted_until = now
        self.announce(kid, until=now)
        return True

    def announce(self, kid: str, *, until: int) -> None:
        """Tell every process, with the commit, that the ring has changed."""
        session = self._db.session()
        Ledger.of(session, self._rows, self._feed).add(
            session, "keys", kid, max(until, int(time())) + 24 * 60 * 60
        )

    def reencrypt(self) -> int:
        """Seal anew, in the session's transaction, what is not sealed by the newest key; how many there were."""
        done = 0
        for row in self._db.session().scalars(select(self._rows.SigningKey)):
            if not self._sealer.is_current(row.sealed):
                secret = self._sealer.open(row.sealed, _context(row.kid))
                row.sealed = self._sealer.seal(secret, _context(row.kid))
                done += 1
        return done

    def _values(self, key: Key, now: int, active_from: int) -> dict[str, Any]:
        sealed = self._sealer.seal(dump(key), _context(key.kid))
        return {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "sealed": sealed,
            "created_at": now,
            "active_from": active_from,
        }


def _context(kid: str) -> str:
    return f"signing_key:{kid}"

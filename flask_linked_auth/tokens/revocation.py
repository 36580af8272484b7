"""What was revoked: written in the deed's own transaction, polled by every process, kept in memory for the guards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, event, func, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ..errors import RevokedToken, Unavailable

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session, SessionTransaction

    from ..identity import Verified
    from .models import Rows

__all__ = ["Feed", "Ledger", "generation_of", "in_memory"]

log = logging.getLogger("flask_linked_auth")

_LEDGER = "linked_auth_ledger"
_KEYS = "keys"  # the feed's word for "the key ring has changed"
#: Kinds of what has changed and must be read anew; the others are revoked.
_CHANGES = frozenset({"agreement", "app", "person", "scopes"})
_PRUNE_EVERY, _PRUNE_AT_MOST = 64, 500
_GRACE = 180  # seconds that a row outlives its use, so that each process forgets it before the table does


def in_memory(db: SQLAlchemy) -> bool:
    """Whether the database is an in-memory SQLite one, whose only connection is the host's own."""
    url = db.engine.url
    return url.get_backend_name() == "sqlite" and (
        url.database in (None, "", ":memory:") or "mode=memory" in str(url)
    )


def generation_of(connection: Connection | Session, rows: Rows, subject: str) -> int:
    """The generation that a new token of this user must carry, in order not to be born revoked."""
    row = rows.Revocation
    newest = select(func.max(row.seq)).where(row.kind == "user", row.subject == subject)
    return connection.execute(newest).scalar() or 0


class Feed:
    """What this process knows to be revoked. `due` is when to ask again, on the monotonic clock."""

    def __init__(self, db: SQLAlchemy, rows: Rows, *, interval: float, patience: float) -> None:
        self.due = 0.0
        self._db, self._rows = db, rows
        self._interval, self._patience = interval, patience
        self._limit = max(patience, 2 * interval)
        self._good = float("-inf")
        self._ask_at = 0.0
        self._failing = False
        self._lock = threading.Lock()
        self._last = self._keys = 0
        self._forget_at = 0.0
        self._revoked: dict[str, int] = {}
        self._generations: dict[str, tuple[int, int]] = {}
        self._changed: dict[
            str, tuple[int, int, int]
        ] = {}  # when it was heard of, until when it counts, its number
        self._applying = threading.Lock()
        self.seen = 0  # how many changes this process has heard of
        self.on_new_keys: Callable[[], None] = lambda: None

    def check(self, entry: Verified) -> bool:
        """Raise RevokedToken if anything that `entry` stands on was revoked, Unavailable if nobody can tell.

        True means that the keys have changed just now, or what the token was read from, so it must be read again.
        """
        keys = self._keys
        if monotonic() >= self.due:
            self.refresh()
        if self._revoked and not self._revoked.keys().isdisjoint(entry.subjects):
            raise RevokedToken("This token's login has ended.")
        if self._generations:
            known = self._generations.get(entry.user)
            # Once it has lapsed it may have been pruned, and new tokens start from 0 again.
            if known is not None and known[0] > entry.generation and known[1] >= time():
                raise RevokedToken("This person's logins have ended.")
        if entry.since < self.seen and entry.depends and self.overtaken(entry.since, entry.depends):
            return True
        return keys != self._keys

    def overtaken(self, since: int, depends: tuple[str, ...]) -> bool:
        """Whether any of these subjects (`kind:subject`) has changed, for all this process has heard after `since`.

        Not by the numbers of the feed: what another process has changed may be heard of after an own change with a
        higher number, and what was read between the two would be kept.
        """
        changed = self._changed
        return any((known := changed.get(each)) is not None and known[0] > since for each in depends)

    def refresh(self) -> None:
        """Ask for what is new. One thread asks; the others wait only if the last answer is too old to go on with."""
        age = monotonic() - self._good
        if self._failing and age > self._patience:
            wait = 0.0  # fail closed at once instead of queueing behind a connection that times out
        else:
            wait = max(self._patience, 1.0) if age > 2 * self._interval and not self._failing else 0.0
        if not self._lock.acquire(wait > 0, wait or -1):
            self._tolerate()
            return
        try:
            if monotonic() >= self._ask_at:
                self._ask()
        finally:
            self._lock.release()
        if self._failing:
            self._tolerate()

    def _tolerate(self) -> None:
        if monotonic() - self._good > self._limit:
            raise Unavailable("Whether this token was revoked cannot be found out right now.")

    def _ask(self) -> None:
        try:
            if in_memory(self._db):
                self.due = float("inf")  # this process is the only one, and hears of everything at once
                news: list[Any] = []
            else:
                news = self._read()
        except SQLAlchemyError as error:
            if not self._failing:
                log.warning("The revocation feed cannot be read: %s", getattr(error, "orig", None) or error)
            self._failing = True
            self._ask_at = monotonic() + min(self._interval, 1.0)
            # After the patience it is always due: else every guard between two questions would let people pass.
            self.due = min(self._ask_at, self._good + self._limit)
            return
        if self._failing:
            log.warning("The revocation feed can be read again.")
        for seq, kind, subject, expires_at in news:
            self.apply(seq, kind, subject, expires_at)
            self._last = seq
        self._failing = False
        self._good = monotonic()
        self.due = self._ask_at = max(self.due, self._good + self._interval)
        self._forget()

    def _read(self) -> list[Any]:
        row = self._rows.Revocation
        query = select(row.seq, row.kind, row.subject, row.expires_at).where(row.seq > self._last)
        with self._db.engine.connect() as connection:
            return list(connection.execute(query.order_by(row.seq)).all())

    def apply(self, seq: int, kind: str, subject: str, expires_at: int) -> None:
        """Take one entry to heart: from the poll, or straight from a commit of this process."""
        if kind in _CHANGES or kind == "user":
            self._note(seq, f"{kind}:{subject}", expires_at)
        if kind == "user":
            self._generations[subject] = (max(seq, self._generations.get(subject, (0, 0))[0]), expires_at)
        elif kind == _KEYS:
            self.on_new_keys()
            self._keys += 1
        elif kind not in _CHANGES:
            self._revoked[f"{kind}:{subject}"] = expires_at

    def _note(self, seq: int, name: str, expires_at: int) -> None:
        with self._applying:
            if (
                self._changed.get(name, (0, 0, 0))[2] < seq
            ):  # else its own commit told of it, before the poll did
                # In this order: whoever reads with the new count must find what was changed.
                self._changed[name] = (self.seen + 1, expires_at, seq)
                self.seen += 1

    def _forget(self) -> None:
        if monotonic() < self._forget_at:
            return
        self._forget_at, now = monotonic() + 60, time()
        for subject in [s for s, until in list(self._revoked.items()) if until < now]:
            self._revoked.pop(subject, None)
        for subject in [s for s, (_, until) in list(self._generations.items()) if until < now]:
            self._generations.pop(subject, None)
        for subject in [s for s, (_, until, _) in list(self._changed.items()) if until < now]:
            self._changed.pop(subject, None)


class Ledger:
    """The revocations of one session's transaction, numbered as its last statement before the commit.

    Ids alone would not do: they commit out of order, and a poll would miss those that come late. The counter row
    makes the order of the numbers that of the commits.
    """

    def __init__(self, session: Session, rows: Rows, feed: Feed | None) -> None:
        self._rows, self._feed = rows, feed
        self._pending: list[tuple[str, str, int]] = []
        self._written: list[dict[str, Any]] = []
        self._closing = self._undone = False
        event.listen(session, "before_commit", self._before_commit)
        event.listen(session, "after_commit", self._after_commit)
        event.listen(session, "after_rollback", self._after_rollback)
        event.listen(session, "after_soft_rollback", self._after_savepoint)

    @classmethod
    def of(cls, session: Session, rows: Rows, feed: Feed | None, *, flushing: bool = False) -> Ledger:
        """The session's ledger, opened at the first revocation; `flushing` says that this comes from a flush."""
        ledger: Ledger | None = session.info.get(_LEDGER)
        if ledger is None:
            ledger = session.info[_LEDGER] = cls(session, rows, feed)
            ledger._closing = flushing  # it may be the flush of the commit, whose before_commit has passed
        return ledger

    def add(self, connection: Connection | Session, kind: str, subject: str, expires_at: int) -> None:
        """Revoke `subject` when the transaction commits; `expires_at` is when no token can stand on it any more."""
        self._pending.append((kind, subject, expires_at))
        if self._closing:  # the commit is already flushing: there is no later moment
            self.write(connection)

    def _before_commit(self, session: Session) -> None:
        if session.in_nested_transaction():
            return
        session.flush()
        self._closing = True
        self.write(session)
        if self._undone:
            self._keep_what_is_there(session)

    def _keep_what_is_there(self, session: Session) -> None:
        """Forget what a savepoint took back: its number may be given again, or be above every number there is."""
        row = self._rows.Revocation
        query = select(row.seq, row.kind, row.subject).where(
            row.seq.in_([each["seq"] for each in self._written])
        )
        there = {tuple(each) for each in session.execute(query)}
        self._written = [e for e in self._written if (e["seq"], e["kind"], e["subject"]) in there]

    def write(self, connection: Connection | Session) -> None:
        """Number and write what was added so far."""
        if not self._pending:
            return
        entries, self._pending = self._pending, []
        last = self._advance(connection, len(entries))
        self._written += [
            {"seq": last - len(entries) + 1 + i, "kind": kind, "subject": subject, "expires_at": expires_at}
            for i, (kind, subject, expires_at) in enumerate(entries)
        ]
        connection.execute(insert(self._rows.Revocation.__table__), self._written[-len(entries) :])
        if last // _PRUNE_EVERY > (last - len(entries)) // _PRUNE_EVERY:
            prune_revocations(connection, self._rows, at_most=_PRUNE_AT_MOST)

    def _advance(self, connection: Connection | Session, by: int) -> int:
        table = self._rows.RevocationCounter.__table__
        advance = update(table).where(table.c.id == 1).values(n=table.c.n + by)
        if not connection.execute(advance).rowcount:  # type: ignore[attr-defined]
            try:
                with connection.begin_nested():
                    connection.execute(insert(table).values(id=1, n=0))
            except IntegrityError:
                pass  # another process made the row first
            connection.execute(advance)
        return int(connection.execute(select(table.c.n).where(table.c.id == 1)).scalar_one())

    def _after_commit(self, session: Session) -> None:
        if session.in_nested_transaction():
            return
        written, self._written = self._written, []
        self._closing = self._undone = False
        for entry in written:
            if self._feed is not None:
                self._feed.apply(**entry)

    def _after_rollback(self, session: Session) -> None:
        if session.in_nested_transaction():
            return
        self._pending, self._written = [], []
        self._closing = self._undone = False

    def _after_savepoint(self, session: Session, ended: SessionTransaction) -> None:
        self._undone = self._undone or ended.nested


def prune_revocations(connection: Connection | Session, rows: Rows, *, at_most: int) -> int:
    """Delete up to `at_most` entries that can be forgotten; how many there were."""
    table = rows.Revocation.__table__
    old = (
        select(table.c.seq)
        .where(table.c.expires_at < int(time()) - _GRACE)
        .order_by(table.c.seq)
        .limit(at_most)
    )
    seqs = list(connection.execute(old).scalars())
    if seqs:
        connection.execute(delete(table).where(table.c.seq.in_(seqs)))
    return len(seqs)

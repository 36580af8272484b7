"""Where the nonces of signed requests are kept, so that none counts twice: the database, Redis, or this process."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from time import time
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ..errors import SettingsError, Unavailable
from ..storage import storage_problem
from ..tokens.revocation import in_memory

if TYPE_CHECKING:
    from ..database import Database

__all__ = ["NonceStore", "nonce_store"]

log = logging.getLogger("flask_linked_auth")

_PRUNE_EVERY = 256
_PRUNE_AT_MOST = 1000
_LONGER = 60  # seconds: a host whose clock is behind admits a signature when it is over for the others


class NonceStore(Protocol):
    """Remembers nonces until their signatures' window has closed."""

    def use(self, key: str, nonce: str, *, until: float) -> bool:
        """Take this nonce of a key, once: False if it was taken before. `until` is in Unix seconds.

        Raises Unavailable when nobody can tell: a signed request is refused then, since it might be a replay.
        """


def nonce_store(address: str, database: Database) -> NonceStore:
    """The store of the setting `nonce_store`. Raises SettingsError for a Redis without its package."""
    if address == "memory://":
        return MemoryNonces()
    return DatabaseNonces(database) if address == "database://" else RedisNonces(address)


def _name(key: str, nonce: str) -> str:
    return hashlib.sha256(f"{key}\0{nonce}".encode()).hexdigest()


class MemoryNonces:
    """In this process: for a service that has only one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[str, float] = {}
        self._tidy_at = 0.0

    def use(self, key: str, nonce: str, *, until: float) -> bool:
        """As NonceStore says; never Unavailable."""
        name, now = f"{key}\0{nonce}", time()
        with self._lock:
            if now >= self._tidy_at:
                self._used = {each: end for each, end in self._used.items() if end > now}
                self._tidy_at = now + 60
            if name in self._used:
                return False
            self._used[name] = until
        return True


class DatabaseNonces:
    """In the database, in a transaction of its own: the request's may still be rolled back."""

    def __init__(self, database: Database) -> None:
        # Counted from anywhere, since a worker may not live for long enough to come round.
        self._database, self._count = database, random.randrange(_PRUNE_EVERY)  # noqa: S311 - nothing secret
        self._alone = MemoryNonces()  # an in-memory database is of one process, which can remember by itself

    def use(self, key: str, nonce: str, *, until: float) -> bool:
        """As NonceStore says."""
        if in_memory(self._database.db):
            return self._alone.use(key, nonce, until=until)
        table = self._database.rows.UsedNonce.__table__
        try:
            with self._database.db.engine.begin() as connection:
                self._count += 1
                if self._count % _PRUNE_EVERY == 0:
                    self._prune(connection)
                connection.execute(
                    insert(table).values(id=_name(key, nonce), expires_at=int(until) + _LONGER)
                )
        except IntegrityError:
            return False
        except SQLAlchemyError as error:
            raise _away(storage_problem(error), error) from error
        return True

    def _prune(self, connection: Any) -> None:
        table = self._database.rows.UsedNonce.__table__
        over = select(table.c.id).where(table.c.expires_at < int(time())).order_by(table.c.expires_at)
        over = over.limit(_PRUNE_AT_MOST).with_for_update(skip_locked=True)  # two at once wait for neither
        connection.execute(delete(table).where(table.c.id.in_(list(connection.execute(over).scalars()))))


def _away(problem: Exception | None, error: Exception) -> Exception:
    if isinstance(problem, Unavailable):
        return Unavailable("Whether this request came before cannot be found out right now.", retry_after=2)
    return problem or error


class RedisNonces:
    """In Redis, by one command that is atomic and forgets by itself."""

    def __init__(self, address: str) -> None:
        try:
            import redis
        except ImportError:
            raise SettingsError(
                "LINKED_AUTH_NONCE_STORE names a Redis: pip install 'flask-linked-auth[redis]'"
            ) from None
        self._errors: type[Exception] = redis.RedisError
        self._redis: Any = redis.Redis.from_url(address, socket_timeout=2, socket_connect_timeout=2)

    def use(self, key: str, nonce: str, *, until: float) -> bool:
        """As NonceStore says."""
        lasts = max(1, int(until - time()) + _LONGER)
        try:
            return bool(self._redis.set(f"linked-auth:nonce:{_name(key, nonce)}", 1, nx=True, ex=lasts))
        except self._errors as error:
            log.warning("The nonces in Redis are out of reach: %s", type(error).__name__)
            raise Unavailable(
                "Whether this request came before cannot be found out right now.", retry_after=2
            ) from None

"""What a database raises: which of it is worth another try, what to answer to it, and how to log it."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
    TimeoutError as PoolTimeout,
)

from .errors import InternalError, MalformedRequest, Problem, Unavailable

__all__ = ["described", "may_retry", "storage_errors", "storage_problem"]

log = logging.getLogger("flask_linked_auth")

_SERIALIZATION = frozenset({"40001", "40P01"})
_MISSING = frozenset({"42P01", "42703"})  # a table, a column
_MISSING_IN_SQLITE = re.compile(r"no such (table|column)|has no column named")
_AWAY = frozenset({"25006", "57P01", "57P02", "57P03"})  # only a replica left, shutting down, starting up
_SQLITE_BUSY = 5


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)


def may_retry(error: DBAPIError) -> bool:
    """Whether the database only asks to be asked again."""
    busy = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == _SQLITE_BUSY
    return busy or _sqlstate(error) in _SERIALIZATION


def storage_problem(error: Exception) -> Problem | None:
    """The answer to a failure of the database that is nobody's bug, or None.

    503; 500 when its tables are missing; 400 for a value that it cannot hold.
    """
    if isinstance(error, DBAPIError) and (
        _sqlstate(error) in _MISSING or _MISSING_IN_SQLITE.search(str(error.orig))
    ):
        log.error(
            "A table or column is missing: run `flask db upgrade` (or `flask linked-auth create-tables`)."
        )
        return InternalError()
    if isinstance(error, DataError):
        log.warning("The database cannot hold a value: %s", type(error.orig).__name__)
        return MalformedRequest("A value is outside of what can be stored.")
    lost = isinstance(error, DBAPIError) and (error.connection_invalidated or _sqlstate(error) in _AWAY)
    if lost or isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        if isinstance(error, DBAPIError) and may_retry(error):
            log.warning("The database was too busy: %s", type(error).__name__)
            return Unavailable("Too much is going on at once. Try again shortly.", retry_after=1)
        log.warning("The database is out of reach: %s", type(error).__name__)
        return Unavailable("The database is out of reach right now.", retry_after=2)
    return None


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise what `storage_problem` says in place of what the database raises (which `commit` itself has to see)."""
    try:
        yield
    except SQLAlchemyError as error:
        raise storage_problem(error) or error from error


def described(error: BaseException) -> str:
    """A bug for the log: where it happened, and its words unless a database wrote them, which quote people's data."""
    quoting = False
    step: BaseException | None = error
    while step is not None:
        quoting = quoting or isinstance(step, StatementError)
        step = step.__cause__ or step.__context__
    if not quoting:
        return "".join(traceback.format_exception(error))
    statement = getattr(error, "statement", None)
    state = _sqlstate(error) if isinstance(error, DBAPIError) else None
    told = [
        f"{type(error).__name__} (SQLSTATE {state}) at {statement}\n",
        *traceback.format_tb(error.__traceback__),
    ]
    return "".join(told)

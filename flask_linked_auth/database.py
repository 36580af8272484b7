"""The host's database, and its connections at the end of a request and in forked processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from sqlalchemy import inspect
from sqlalchemy.exc import DataError, DBAPIError

from .errors import UnknownUser
from .storage import storage_errors, storage_problem
from .tokens.access import key_reader
from .tokens.models import Rows, user_key
from .tokens.revocation import in_memory

if TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

__all__ = ["Database", "let_go_quietly", "part_at_forks"]


@dataclass(frozen=True, slots=True)
class Database:
    """The host's database with the rows in it that are ours or that it gave us."""

    db: SQLAlchemy
    rows: Rows

    @property
    def key_type(self) -> type[Any]:
        """The Python type of a user's key."""
        return cast("type[Any]", user_key(self.rows.User).type.python_type)

    def read(self, query: Any) -> Sequence[Any]:
        """The rows that `query` finds in what is committed, outside the host's transaction. Raises Unavailable.

        An in-memory database has one connection only, so there it is read inside that transaction.
        """
        with storage_errors():
            if in_memory(self.db):
                plain = query.execution_options(autoflush=False)
                return list(self.db.session.execute(plain).all())
            with self.db.engine.connect() as connection:
                return list(connection.execute(query).all())

    def load_user(self, user_id: Any) -> Any | None:
        """The active person with this key, from the session if it is there, or None. Raises Unavailable."""
        try:
            user = self.db.session.get(self.rows.User, user_id)
        except DataError:  # a number that the column is too small for; the transaction is lost anyway
            self.db.session.rollback()
            return None
        except DBAPIError as error:
            raise storage_problem(error) or error from error
        return user if user is not None and getattr(user, "active", True) else None

    def user(self, user_id: Any) -> Any:
        """The same, or UnknownUser."""
        user = self.load_user(user_id)
        if user is None:
            raise UnknownUser("This person has no account any more.")
        return user

    def key_of(self, user: Any) -> Any:
        """The primary key of a user row, None for one that has not been written yet."""
        identity = inspect(user).identity
        return None if identity is None else identity[0]

    def find(self, text: str) -> Any | None:
        """The person whose key this is the text of, also one who is not active, or None."""
        try:
            return self.db.session.get(self.rows.User, key_reader(self.key_type)(text))
        except (ValueError, DataError):  # the latter for a number that the column is too small for
            self.db.session.rollback()
            return None

    def is_detached(self, row: Any) -> bool:
        """Whether the row has lost its session, so that reading an unloaded attribute would fail."""
        return inspect(row).session is None


_parting: WeakSet[Flask] = WeakSet()


def let_go_quietly(app: Flask, db: SQLAlchemy) -> None:
    """Let the session's connection be given back also when the database has closed it.

    Flask-SQLAlchemy's own teardown function, in whose place this comes, would raise outside of every error handler,
    and the server would answer 500 in place of the answer that was ready.
    """

    def let_go(error: BaseException | None) -> None:  # noqa: ARG001 - Flask's signature
        try:
            db.session.remove()
        except DBAPIError:
            db.session().invalidate()
            db.session.registry.clear()

    functions = app.teardown_appcontext_funcs
    # In its place instead of before it, or each request of every view would pay for both.
    functions[:] = [each for each in functions if getattr(each, "__self__", None) is not db]
    functions.append(let_go)


def part_at_forks(app: Flask) -> None:
    """From now on, a forked child (a worker of a preloaded app) opens database connections of its own.

    On one connection two processes would read each other's answers.
    """
    _parting.add(app)


def _part() -> None:
    for app in list(_parting):
        with app.app_context():
            db: SQLAlchemy = app.extensions["sqlalchemy"]
            if not in_memory(db):  # that one lives in its connection, of which the child has a copy
                db.engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_part)

"""The app under test: what the extension holds for it, the context that a test works in, and who is meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

# Loaded by pytest in every project of an environment: nothing else is imported before a fixture is used.
if TYPE_CHECKING:
    from flask import Flask

    from .state import State

__all__ = ["context_of", "key_in", "person_meant", "refuse_outside_testing", "state_under_test"]


def refuse_outside_testing(app: Flask) -> None:
    """Raise RuntimeError outside testing: whoever can do what is done here can be anybody."""
    if not app.testing:
        raise RuntimeError(
            "flask_linked_auth.testing is refused here, because app.testing is False: it logs in anybody without a"
            " password. Set TESTING = True in the configuration that your tests use, and nowhere else."
        )


def state_under_test(app: Flask) -> State:
    """The extension's state. Raises RuntimeError outside testing."""
    refuse_outside_testing(app)
    from .globals import state_of

    return state_of(app)


@contextmanager
def context_of(app: Flask) -> Iterator[None]:
    """The app context that the test is in, so that its session and its uncommitted rows count; else a new one."""
    from flask import current_app, has_app_context

    if has_app_context() and current_app == app:
        yield
    else:
        with app.app_context():
            yield


def person_meant(state: State, user: Any) -> tuple[Any, bool]:
    """The key of the person that a row, a key, an e-mail address or a user name means, and whether they are active.

    Raises LookupError for nobody.
    """
    from .accounts.login import credentials_of, find_credentials, normal_identifier
    from .tokens.access import key_reader

    database = state.database_in_use()
    session, model, found = database.db.session(), database.rows.User, None
    key = key_in(user)
    if isinstance(key, str):
        found = find_credentials(session, model, normal_identifier(key), typed=key)
        with suppress(ValueError):
            key = key_reader(database.key_type)(key)
    if found is None and isinstance(key, database.key_type):
        found = credentials_of(session, model, key)
    if found is None:
        raise LookupError(f"There is nobody with the e-mail address, user name or id {key!r}.")
    return found.user_id, found.active


def key_in(user: Any) -> Any:
    """The key of a row or of `g.user`; anything else is a key itself. Raises LookupError for a row without one."""
    if not hasattr(user, "__mapper__"):
        return getattr(user, "id", user)  # of `g.user`
    from sqlalchemy import inspect

    identity = inspect(user).identity
    if identity is None:
        raise LookupError("This user is not in the database yet: add it to the session and commit first.")
    return identity[0]

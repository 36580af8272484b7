"""One deed, one transaction, one commit: with retries where the database asks for them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError

from .events import tell
from .storage import may_retry
from .tokens.refresh import end_logins
from .tokens.revocation import Ledger

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from .state import State

__all__ = ["Transaction", "commit", "commit_apart"]

T = TypeVar("T")

_TRIES = 8
_PATIENCE = 4  # seconds after which no new try is begun: SQLite itself waits before it says that it is busy


class Transaction:
    """What a deed works with: the session, the moment (`now`, Unix seconds), and what it tells and revokes."""

    def __init__(self, state: State, session: Session | None = None) -> None:
        self.state = state
        database = state.database_in_use()
        self.rows = database.rows
        self.session: Session = database.db.session() if session is None else session
        self.now = int(time.time())
        self.told: list[tuple[str, dict[str, Any]]] = []

    def tell(self, event: str, **facts: Any) -> None:
        """Tell `event` once this is committed."""
        self.told.append((event, facts))

    def revoke(self, kind: str, subject: str) -> None:
        """Revoke every access token that stands on `subject`, from the commit on."""
        ledger = Ledger.of(self.session, self.rows, self.state.verifier.feed)
        ledger.add(self.session, kind, subject, self.now + self.state.retention)

    def changed(self, kind: str, subject: str) -> None:
        """Have every process read anew, from the commit on, what it keeps of `kind` (`app`, `agreement`, `person`)."""
        self.revoke(kind, subject)

    def revoke_user(self, user_id: Any) -> None:
        """End every login of a person, and revoke every access token made so far."""
        end_logins(self.session, self.rows.Login, now=self.now, user_id=user_id)
        self.revoke("user", str(user_id))

    def number_revocations(self) -> None:
        """Number what was revoked now instead of at the commit, so that a token made after this outlives it."""
        Ledger.of(self.session, self.rows, self.state.verifier.feed).write(self.session)

    def key_of(self, user: Any) -> Any:
        """The key of a user row that has been flushed."""
        return self.state.database_in_use().key_of(user)


def commit(state: State, deed: Callable[[Transaction], T], *, session: Session | None = None) -> T:
    """Run `deed` and commit. What the database could not serialise is tried again, up to seven times.

    It is done in the session of the host, or in the one that is given. Raises what the deed raises, after a rollback.
    """
    give_up = time.monotonic() + _PATIENCE
    for left in reversed(range(_TRIES)):
        transaction = Transaction(state, session)
        try:
            result = deed(transaction)
            transaction.session.commit()
        except DBAPIError as error:
            transaction.session.rollback()
            if not left or not may_retry(error) or time.monotonic() > give_up:
                raise
            # Longer each time, and not all at once: up to 1.3 s for the last.
            time.sleep(random.uniform(0.2, 1) * 0.01 * 2 ** (_TRIES - left))  # noqa: S311
        except BaseException:
            transaction.session.rollback()
            raise
        else:
            for event, facts in transaction.told:
                tell(event, **facts)
            return result
    raise AssertionError("unreachable")


def commit_apart(state: State, deed: Callable[[Transaction], T]) -> T:
    """`commit` in a session of its own, for a deed in the midst of a view: what that has begun is not committed.

    An in-memory database has one connection only, so there it is.
    """
    with state.database_in_use().db.session.session_factory() as session:
        return commit(state, deed, session=session)

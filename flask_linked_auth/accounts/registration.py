"""Making an account, changing it, and leaving."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from ..catalogs import _
from ..errors import Conflict, Taken, Unavailable, UnknownUser
from .models import is_active

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ..transactions import Transaction

__all__ = ["Reservations", "change", "delete", "refuse_taken", "register", "set_active", "set_admin"]

_UNIQUE = ("email", "username")


class Reservations:
    """One registration at a time for each e-mail address in this process, so that of many only one is hashed for."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, email: str) -> Iterator[None]:
        """Wait for the turn of this address. Raises Unavailable if it does not come in 5 seconds."""
        with self._guard:
            lock, waiting = self._held.get(email, (threading.Lock(), 0))
            self._held[email] = (lock, waiting + 1)
        taken = False
        try:
            taken = lock.acquire(timeout=5)
            if not taken:
                raise Unavailable("Too many registrations of one address at once.")
            yield
        finally:
            if taken:
                lock.release()
            with self._guard:
                lock, waiting = self._held.pop(email)
                if waiting > 1:
                    self._held[email] = (lock, waiting - 1)


def refuse_taken(
    session: Session, model: type[Any], wanted: Mapping[str, Any], *, besides: Any = None
) -> None:
    """Raise Taken if the e-mail address or user name in `wanted` belongs to a person other than `besides` (a key)."""
    key = model.__mapper__.primary_key[0]
    for field in _UNIQUE:
        if wanted.get(field) is None or not hasattr(model, field):
            continue
        owner = session.execute(select(key).where(getattr(model, field) == wanted[field]).limit(1)).scalar()
        if owner is not None and owner != besides:
            raise Taken("Somebody else has it.", errors={field: [_("Is already taken.")]})


def register(
    transaction: Transaction, profile: Mapping[str, Any], *, password_hash: str, is_admin: bool = False
) -> Any:
    """Add a user and return its row. Raises Taken; of simultaneous ones the database lets one through.

    Raises Conflict for an administrator if the model has none.
    """
    session, model = transaction.session, transaction.rows.User
    if is_admin:
        _check_admins(model)
    refuse_taken(session, model, profile)
    values = {**profile, "password_hash": password_hash}
    if is_admin:
        values["is_admin"] = True
    user = model(**values)
    session.add(user)
    _flush(transaction, profile)
    transaction.tell("user.registered", user_id=transaction.key_of(user))
    return user


def _flush(transaction: Transaction, wanted: Mapping[str, Any], *, besides: Any = None) -> None:
    try:
        transaction.session.flush()
    except StaleDataError:
        raise UnknownUser("This person has no account any more.") from None
    except IntegrityError:
        transaction.session.rollback()
        refuse_taken(transaction.session, transaction.rows.User, wanted, besides=besides)
        raise  # a constraint of the host's own


def change(transaction: Transaction, user_id: Any, profile: Mapping[str, Any]) -> Any:
    """Set these fields of a user and return its row. Raises Taken, UnknownUser."""
    user = _find(transaction, user_id)
    changed = [field for field, value in profile.items() if getattr(user, field) != value]
    refuse_taken(transaction.session, transaction.rows.User, profile, besides=user_id)
    for field in changed:
        setattr(user, field, profile[field])
    _flush(transaction, profile, besides=user_id)
    if changed:
        transaction.tell("user.changed", user_id=user_id, fields=changed)
    return user


def _find(transaction: Transaction, user_id: Any) -> Any:
    user = transaction.session.get(transaction.rows.User, user_id)
    if user is None:
        raise UnknownUser("This person has no account any more.")
    return user


def set_active(transaction: Transaction, user: Any, *, active: bool) -> None:
    """Deactivate a person, which ends all logins, or let them in again.

    Raises UnknownUser, and Conflict if the model cannot.
    """
    if not hasattr(user, "active"):
        raise Conflict("The user model of this service has no column 'active'.")
    if is_active(user) != active:
        user.active = active
        _flush(transaction, {})
        event = "user.reactivated" if active else "user.deactivated"
        transaction.tell(event, user_id=transaction.key_of(user))


def set_admin(transaction: Transaction, user: Any, *, admin: bool) -> None:
    """Give a person the `admin:` scopes, or take them away. Raises UnknownUser, and Conflict if the model cannot."""
    _check_admins(user)
    if bool(user.is_admin) != admin:
        user.is_admin = admin
        _flush(transaction, {})
        transaction.tell("user.changed", user_id=transaction.key_of(user), fields=["is_admin"])


def _check_admins(model: Any) -> None:
    if not hasattr(model, "is_admin"):
        raise Conflict("The user model of this service has no column 'is_admin'.")


def delete(transaction: Transaction, user_id: Any) -> None:
    """Delete a person. Raises UnknownUser, and Conflict if rows of the host's still point to them."""
    transaction.session.delete(_find(transaction, user_id))
    try:
        transaction.session.flush()
    except StaleDataError:
        raise UnknownUser("This person has no account any more.") from None
    except IntegrityError:
        transaction.session.rollback()
        raise Conflict("Other records still belong to this person.") from None
    transaction.tell("user.deleted", user_id=user_id)

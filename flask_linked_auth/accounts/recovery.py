"""Mailed links: made, looked at, used once. To reset a password, to verify an address, to move to another one.

A token is `fla_ot_<secret>`; only its hash is stored, with a hash of the state of the account that it was made for:
once the password or the address is another one, it is void. A link that is used, and what is overtaken by that, is
deleted. Every deed here writes the person's row first, so that those at work on one account wait for each other.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..errors import InvalidLink
from ..tokens.refresh import hashed
from .models import is_active
from .registration import refuse_taken

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ..tokens.models import Rows
    from ..transactions import Transaction

__all__ = [
    "CHANGE",
    "RESET",
    "VERIFY",
    "Link",
    "Person",
    "change_email",
    "find_link",
    "make_link",
    "pending_email",
    "person_of",
    "person_with",
    "prune_links",
    "reset_password",
    "verify_email",
]

RESET, VERIFY, CHANGE = "reset-password", "verify-email", "change-email"

PREFIX = "fla_ot_"
_FORM = re.compile(r"fla_ot_[A-Za-z0-9_-]{43}", re.ASCII)
_PRUNE_AT_MOST = 20


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """What a link is bound to; `verified` is None where the user model has no such column."""

    user_id: Any
    email: str
    password_hash: str | None
    active: bool
    verified: bool | None


@dataclass(frozen=True, slots=True, repr=False)
class Link:
    """A link that is good, the address that it was mailed to, and its person as they are now."""

    id: str
    purpose: str
    email: str
    person: Person


def person_of(session: Session, model: type[Any], user_id: Any) -> Person | None:
    """The person with this key."""
    return _person(session, model, model.__mapper__.primary_key[0] == user_id)


def person_with(session: Session, model: type[Any], *forms: str) -> Person | None:
    """The person with this e-mail address, in any of these forms of it."""
    return _person(session, model, model.email.in_(forms))


def _person(session: Session, model: type[Any], condition: Any) -> Person | None:
    columns = [model.__mapper__.primary_key[0].label("user_id"), model.email, model.password_hash]
    columns += [getattr(model, name) for name in ("active", "email_verified") if hasattr(model, name)]
    row = session.execute(select(*columns).where(condition).limit(1)).first()
    if row is None:
        return None
    verified = getattr(row, "email_verified", None)
    return Person(row.user_id, row.email, row.password_hash, is_active(row), verified)


def _bond(person: Person, purpose: str, email: str) -> str:
    """What a link stands on. One that only verifies an address gives nothing away, and survives a new password."""
    state: list[str | None] = [purpose, str(person.user_id), person.email, email]
    state += [] if purpose == VERIFY else [person.password_hash]
    return hashed(json.dumps(state))


def make_link(transaction: Transaction, person: Person, purpose: str, *, email: str, lifetime: int) -> str:
    """Write a link that is to be mailed to `email`, and return its token."""
    session, row = transaction.session, transaction.rows.OneTimeLink
    prune_links(session, row, now=transaction.now, at_most=_PRUNE_AT_MOST)
    if purpose == CHANGE:
        _forget(transaction, person.user_id, CHANGE)  # only the last address that they want counts
    token = PREFIX + secrets.token_urlsafe(32)
    values = {"id": hashed(token), "purpose": purpose, "user_id": person.user_id, "email": email}
    values |= {"bound_to": _bond(person, purpose, email), "expires_at": transaction.now + lifetime}
    session.execute(insert(row).values(values))
    return token


def find_link(session: Session, rows: Rows, token: str, purpose: str, *, now: int) -> Link | None:
    """The link with this token, if it is good for this purpose now. It is not used up."""
    if not _FORM.fullmatch(token):
        return None
    row = rows.OneTimeLink
    query = select(row.id, row.user_id, row.email, row.bound_to).where(row.id == hashed(token))
    found = session.execute(query.where(row.purpose == purpose, row.expires_at > now)).first()
    person = None if found is None else person_of(session, rows.User, found.user_id)
    if found is None or person is None or not person.active:
        return None
    if not hmac.compare_digest(found.bound_to, _bond(person, purpose, found.email)):
        return None
    return Link(found.id, purpose, found.email, person)


def reset_password(transaction: Transaction, link: Link, new_hash: str) -> None:
    """Set the password by a mailed link, end every login, and void every other link. Raises InvalidLink.

    Whoever opened the link reads the mail of the address, so that it is verified too.
    """
    model, person = transaction.rows.User, link.person
    _write(transaction, link, {model.password_hash: new_hash, **_verified(model)})
    _use_up(transaction, link)
    transaction.revoke_user(person.user_id)
    transaction.tell("password.reset", user_id=person.user_id)
    transaction.tell("password.changed", user_id=person.user_id)
    if person.verified is False:
        transaction.tell("email.verified", user_id=person.user_id)


def verify_email(transaction: Transaction, link: Link) -> None:
    """Note that mail to a person's address reaches them. Raises InvalidLink."""
    _write(transaction, link, {transaction.rows.User.email_verified: True})
    _use_up(transaction, link, VERIFY)
    transaction.tell("email.verified", user_id=link.person.user_id)


def change_email(transaction: Transaction, link: Link) -> None:
    """Move a person to the address that the link was mailed to. Raises InvalidLink, and Taken."""
    model, person, wanted = transaction.rows.User, link.person, {"email": link.email}
    refuse_taken(transaction.session, model, wanted, besides=person.user_id)
    try:
        _write(transaction, link, {model.email: link.email, **_verified(model)})
    except IntegrityError:  # taken in between
        transaction.session.rollback()
        refuse_taken(transaction.session, model, wanted, besides=person.user_id)
        raise
    _use_up(transaction, link)
    transaction.tell("user.changed", user_id=person.user_id, fields=["email"])
    transaction.tell("email.changed", user_id=person.user_id)


def _verified(model: type[Any]) -> dict[Any, Any]:
    return {model.email_verified: True} if hasattr(model, "email_verified") else {}


def _write(transaction: Transaction, link: Link, values: Mapping[Any, Any]) -> None:
    """Write the person's row if it is still what the link stands on: of many, the database lets one through."""
    model, person = transaction.rows.User, link.person
    query = update(model).where(
        model.__mapper__.primary_key[0] == person.user_id, model.email == person.email
    )
    if link.purpose != VERIFY:
        query = query.where(model.password_hash == person.password_hash)
    # Not through a loaded row, whose new hash or address would be noticed as the host's own doing.
    done = transaction.session.execute(
        query.values(dict(values)).execution_options(synchronize_session=False)
    )
    if not done.rowcount:  # type: ignore[attr-defined]
        raise InvalidLink


def _use_up(transaction: Transaction, link: Link, purpose: str | None = None) -> None:
    """Delete this link, and the person's other ones (of this purpose). Raises InvalidLink if it was used."""
    row = transaction.rows.OneTimeLink
    used = delete(row).where(row.id == link.id, row.expires_at > transaction.now)
    if not transaction.session.execute(used.execution_options(synchronize_session=False)).rowcount:  # type: ignore[attr-defined]
        raise InvalidLink
    _forget(transaction, link.person.user_id, purpose)


def _forget(transaction: Transaction, user_id: Any, purpose: str | None) -> None:
    row = transaction.rows.OneTimeLink
    query = delete(row).where(row.user_id == user_id)
    if purpose is not None:
        query = query.where(row.purpose == purpose)
    transaction.session.execute(query.execution_options(synchronize_session=False))


def pending_email(session: Session, rows: Rows, user_id: Any, *, now: int) -> str | None:
    """The address that a person wants and has not confirmed yet."""
    row, person = rows.OneTimeLink, person_of(session, rows.User, user_id)
    query = select(row.email, row.bound_to).where(row.user_id == user_id, row.purpose == CHANGE)
    for found in session.execute(query.where(row.expires_at > now)):
        if person is not None and found.bound_to == _bond(person, CHANGE, found.email):
            return str(found.email)
    return None


def prune_links(session: Session, model: type[Any], *, now: int, at_most: int) -> int:
    """Delete up to `at_most` links whose time is over; how many there were."""
    over = select(model.id).where(model.expires_at < now).order_by(model.expires_at).limit(at_most)
    ids = list(session.scalars(over.with_for_update(skip_locked=True)))
    if ids:
        session.execute(delete(model).where(model.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)

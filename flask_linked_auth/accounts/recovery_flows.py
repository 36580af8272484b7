"""What the JSON endpoints and the pages of recovery share: plain values in, one commit, and no request is touched.

Mail goes out by a worker, after the commit. `language` is the tag of the language it is written in; by default that
of the request.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..catalogs import _
from ..errors import Conflict, InvalidFields, InvalidLink, TooManyRequests
from ..throttle import network
from ..transactions import commit
from . import letters, recovery, registration
from .flows import check_password
from .login import normal_identifier
from .recovery import CHANGE, RESET, VERIFY, Link

if TYPE_CHECKING:
    from ..state import State
    from ..tokens.refresh import Device
    from ..transactions import Transaction
    from .state import AccountsState

__all__ = [
    "ask_for_email_change",
    "ask_for_reset",
    "change_profile",
    "confirm",
    "confirm_email_change",
    "peek",
    "pending_email",
    "reset_password",
    "send_verification",
    "verify_email",
]


_LONGEST = 254  # characters of an address (RFC 5321): more is not even brought to its normal form


def ask_for_reset(
    state: State, accounts: AccountsState, email: str, *, address: str, language: str | None = None
) -> None:
    """Mail a link that resets the password to whoever has this e-mail address.

    Whether anybody has it, this neither tells nor takes time to find out. Raises InvalidFields for what is no
    address, and TooManyRequests.
    """
    accounts.throttle.hit("recovery", network(address))
    identifier = normal_identifier(email) if len(email) <= _LONGEST else ""
    if "@" not in identifier:
        raise InvalidFields(
            "Some fields are not valid.", errors={"email": [_("Not a valid e-mail address.")]}
        )
    # The limit of an address is kept silently, and for addresses that nobody has as well.
    if letters.may_mail(accounts, RESET, identifier):
        letters.mail_reset(state, accounts, (identifier, email), language)


def reset_password(
    state: State,
    accounts: AccountsState,
    token: str,
    new_password: str,
    *,
    device: Device,
    language: str | None = None,
) -> None:
    """Set a new password by a mailed link: every login ends, and the person is told by mail.

    Raises InvalidLink, InvalidFields for the password, which leaves the link good, TooManyRequests, and Unavailable.
    """
    accounts.throttle.hit("recovery", network(device.address))
    link, database = _good(state, token, RESET), state.database_in_use()
    profile = accounts.schemas.whole.dump(database.user(link.person.user_id))
    # Or those who wait for their turn keep every connection there is, and the one whose turn it is gets none.
    database.db.session.rollback()
    check_password(state, accounts, new_password, field="new_password", profile=profile)
    with accounts.reservations.hold(f"link {link.id}"):  # of many with one link, only one is hashed for
        link = _good(state, token, RESET)
        new_hash = accounts.hasher.hash(new_password)
        commit(state, lambda deed: recovery.reset_password(deed, link, new_hash))
    # Whoever was locked out by the wrong passwords they tried has the right one now.
    for whose in (link.person.email, f"user:{link.person.user_id}"):
        accounts.throttle.clear("login-failures", whose, network(device.address))
    letters.mail_password_changed(state, accounts, link.person.user_id, language)


def peek(state: State, accounts: AccountsState, token: str, purpose: str) -> str | None:  # noqa: ARG001 - as the others
    """The address that a link was mailed to, if it is good for `purpose`, else None. Looking does not use it up.

    A page that is opened by a link does no more than this: mail scanners open every link.
    """
    link = _find(state, token, purpose)
    return None if link is None else link.email


def verify_email(state: State, accounts: AccountsState, token: str) -> dict[str, Any]:  # noqa: ARG001
    """Verify a person's address by a mailed link: `{email, email_verified}`. Raises InvalidLink."""
    link = _good(state, token, VERIFY)
    commit(state, lambda deed: recovery.verify_email(deed, link))
    return {"email": link.email, "email_verified": True}


def confirm_email_change(
    state: State, accounts: AccountsState, token: str, *, language: str | None = None
) -> dict[str, Any]:
    """Move a person to their new address by a mailed link: `{email, email_verified}`. The old one is told.

    Raises InvalidLink, and Taken if somebody else got the address meanwhile.
    """
    link = _good(state, token, CHANGE)
    commit(state, lambda deed: recovery.change_email(deed, link))
    letters.mail_notice(accounts, "email-changed", to=link.person.email, spoken=language)
    return {"email": link.email, "email_verified": True}


def confirm(state: State, accounts: AccountsState, token: str) -> dict[str, Any]:
    """Do what a link about an address is for, whichever of the two it is. Raises InvalidLink, and Taken."""
    if _find(state, token, CHANGE) is not None:
        return confirm_email_change(state, accounts, token)
    return verify_email(state, accounts, token)


def send_verification(
    state: State, accounts: AccountsState, user_id: Any, *, address: str, language: str | None = None
) -> bool:
    """Mail the link that verifies a person's address once more; False if it is verified already.

    Raises Conflict if the user model cannot note it, TooManyRequests, and UnknownUser.
    """
    database = state.database_in_use()
    if not hasattr(database.rows.User, "email_verified"):
        raise Conflict("The user model of this service has no column 'email_verified'.")
    person = database.user(user_id)
    email, verified = person.email, person.email_verified
    database.db.session.rollback()
    if verified:
        return False
    _count(accounts, user_id, address, VERIFY, email)
    letters.mail_verification(state, accounts, user_id, language)
    return True


def change_profile(
    state: State,
    accounts: AccountsState,
    user_id: Any,
    profile: Mapping[str, Any],
    *,
    address: str,
    language: str | None = None,
) -> dict[str, Any]:
    """Change some of a person's own data: the person, whole. A new e-mail address waits as `pending_email`.

    The edge has seen to it that the login is recent if the address is a new one. Raises Taken, TooManyRequests,
    and UnknownUser.
    """
    database, wanted = state.database_in_use(), dict(profile)
    new = wanted.pop("email", None) if accounts.settings.recovery else None
    person = database.user(user_id)
    old = person.email
    mailed = new is not None and new != old
    renamed = any(
        profile.get(name) not in (None, getattr(person, name, None)) for name in ("email", "username")
    )
    database.db.session.rollback()
    if renamed:
        # Whether it is taken tells who has an account: as often as registering tells it, and no more.
        accounts.throttle.hit("register", network(address))
    if mailed:
        _count(accounts, user_id, address, CHANGE, str(new))
        registration.refuse_taken(database.db.session(), database.rows.User, {"email": new}, besides=user_id)
        database.db.session.rollback()

    def deed(transaction: Transaction) -> tuple[dict[str, Any], str]:
        user = registration.change(transaction, user_id, wanted)
        body, token = dict(accounts.schemas.whole.dump(user)), ""
        if mailed:
            body["pending_email"], token = new, _link_to(transaction, accounts, user_id, str(new))
        return body, token

    body, token = commit(state, deed)
    if mailed:
        letters.mail_change(accounts, old=old, new=str(new), token=token, spoken=language)
    return body


def ask_for_email_change(
    state: State,
    accounts: AccountsState,
    user_id: Any,
    email: str,
    *,
    address: str,
    language: str | None = None,
) -> dict[str, Any]:
    """`change_profile` of nothing but the e-mail address, which must be in its normal form."""
    return change_profile(state, accounts, user_id, {"email": email}, address=address, language=language)


def pending_email(state: State, user_id: Any) -> str | None:
    """The address that a person asked for and has not confirmed yet, for the page that shows their account."""
    database = state.database_in_use()
    return recovery.pending_email(database.db.session(), database.rows, user_id, now=int(time.time()))


def _link_to(transaction: Transaction, accounts: AccountsState, user_id: Any, email: str) -> str:
    person = recovery.person_of(transaction.session, transaction.rows.User, user_id)
    if person is None:
        raise InvalidLink  # deleted in this moment
    lifetime = letters.lifetime_of(accounts, CHANGE)
    return recovery.make_link(transaction, person, CHANGE, email=email, lifetime=lifetime)


def _count(accounts: AccountsState, user_id: Any, address: str, purpose: str, email: str) -> None:
    """Raise TooManyRequests for a person who has too much mailed. Otherwise they could flood any mailbox with it."""
    accounts.throttle.hit("recovery", network(address))
    accounts.throttle.hit("recovery", f"user:{user_id}")
    if not letters.may_mail(accounts, purpose, email):
        raise TooManyRequests("Enough mail was sent to this address for now.", retry_after=600)


def _good(state: State, token: str, purpose: str) -> Link:
    link = _find(state, token, purpose)
    if link is None:
        raise InvalidLink
    return link


def _find(state: State, token: str, purpose: str) -> Link | None:
    database = state.database_in_use()
    session = database.db.session()
    try:
        return recovery.find_link(session, database.rows, token, purpose, now=int(time.time()))
    finally:
        session.rollback()  # nothing stays open in the database while a password is hashed

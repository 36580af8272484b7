"""What the JSON endpoints and the HTML pages share: plain values in, one commit, and no request is touched.

`device.address` is the address that is throttled. With `cookie` the new login is a browser's: its `Tokens` hold
a cookie, and no token that a page could lose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..catalogs import _
from ..errors import InvalidCredentials, InvalidFields, RegistrationClosed
from ..events import tell
from ..throttle import network
from ..transactions import commit
from . import letters, login as logins, registration
from .passwords import complaints
from .recovery import VERIFY

if TYPE_CHECKING:
    from ..state import State
    from ..tokens.refresh import Device
    from ..transactions import Transaction
    from .state import AccountsState

__all__ = ["change_password", "check_password", "delete", "end_login", "log_in", "register"]


def check_password(
    state: State, accounts: AccountsState, password: str, *, field: str, profile: Mapping[str, Any]
) -> None:
    """Raise InvalidFields for a password that NIST SP 800-63B-4 section 3.1.1.2 would not have.

    `profile` is what is known of the person, none of which may be the password; `field` gets the complaints.
    """
    context = [str(each) for each in profile.values() if each] + [state.settings.name]
    wrong = complaints(password, min_length=accounts.settings.password_min_length, context=context)
    if wrong:
        raise InvalidFields("The password is not accepted.", errors={field: wrong})


def register(
    state: State,
    accounts: AccountsState,
    profile: Mapping[str, Any],
    password: str,
    *,
    device: Device,
    cookie: bool = False,
) -> tuple[logins.Tokens, dict[str, Any]]:
    """Make an account and log in: the tokens and the person, whole.

    Raises RegistrationClosed, TooManyRequests, InvalidFields for the password, Taken, and Unavailable.
    """
    if not accounts.settings.registration:
        raise RegistrationClosed
    accounts.throttle.hit("register", network(device.address))
    check_password(state, accounts, password, field="password", profile=profile)
    rows, session = state.database_in_use().rows, state.database_in_use().db.session
    with accounts.reservations.hold(profile["email"]):
        registration.refuse_taken(session(), rows.User, profile)
        session.rollback()  # nothing stays open in the database while the password is hashed
        password_hash = accounts.hasher.hash(password)
        state.ring.signing()

        def deed(transaction: Transaction) -> tuple[logins.Tokens, dict[str, Any]]:
            user = registration.register(transaction, profile, password_hash=password_hash)
            tokens = logins.start(transaction, transaction.key_of(user), device=device, cookie=cookie)
            return tokens, dict(accounts.schemas.whole.dump(user))

        tokens, user = commit(state, deed)
    if accounts.settings.recovery and letters.may_mail(accounts, VERIFY, profile["email"]):
        letters.mail_verification(state, accounts, tokens.user_id)
    return tokens, user


def log_in(
    state: State,
    accounts: AccountsState,
    typed: str,
    password: str,
    *,
    device: Device,
    cookie: bool = False,
) -> logins.Tokens:
    """Log in by e-mail address or user name, whichever was typed.

    Raises InvalidCredentials, the same for whatever was wrong, TooManyRequests, and Unavailable.
    """
    address = network(device.address)
    accounts.throttle.hit("login", address)
    identifier = logins.normal_identifier(typed)
    # Counted before the password is looked at, so that parallel tries cannot outrun the limit, and for the pair of
    # account and address, so that a stranger cannot lock anybody out.
    accounts.throttle.hit("login-failures", identifier, address)
    database = state.database_in_use()
    found = logins.find_credentials(database.db.session(), database.rows.User, identifier, typed=typed)
    database.db.session.rollback()
    # And for the person, who may be named by e-mail address and by user name; for nobody as well, at the same cost.
    whose = f"user:{found.user_id}" if found else f"nobody:{identifier}"
    accounts.throttle.hit("login-failures", whose, address)
    right = accounts.hasher.verify(password, found.password_hash if found else None)
    if found is None or not right or not found.active:
        tell("login.failed", identifier=typed, address=device.address)
        raise InvalidCredentials
    accounts.throttle.clear("login-failures", identifier, address)
    accounts.throttle.clear("login-failures", whose, address)
    new_hash = accounts.hasher.hash(password) if accounts.hasher.needs_rehash(found.password_hash) else None
    state.ring.signing()
    return commit(
        state, lambda deed: logins.log_in(deed, found, device=device, new_hash=new_hash, cookie=cookie)
    )


def change_password(
    state: State,
    accounts: AccountsState,
    user_id: Any,
    body: Mapping[str, str],
    *,
    device: Device,
    cookie: bool = False,
) -> logins.Tokens:
    """Change a person's password, end every login and open a new one. `body` is what `schemas.password` loaded.

    Raises InvalidFields, TooManyRequests, UnknownUser, and InvalidCredentials if somebody else was quicker.
    """
    address, database = network(device.address), state.database_in_use()
    accounts.throttle.hit("login-failures", f"user:{user_id}", address)
    profile = accounts.schemas.whole.dump(database.user(user_id))
    check_password(state, accounts, body["new_password"], field="new_password", profile=profile)
    known = _confirmed(state, accounts, user_id, body["current_password"])
    accounts.throttle.clear("login-failures", f"user:{user_id}", address)
    new_hash = accounts.hasher.hash(body["new_password"])
    state.ring.signing()
    tokens = commit(
        state, lambda deed: logins.change_password(deed, known, new_hash, device=device, cookie=cookie)
    )
    if accounts.settings.recovery:
        letters.mail_password_changed(state, accounts, user_id)
    return tokens


def _confirmed(state: State, accounts: AccountsState, user_id: Any, password: str) -> logins.Credentials:
    """A person who has given their password once more. Raises InvalidFields. Tries are for the caller to count."""
    database = state.database_in_use()
    known = logins.credentials_of(database.db.session(), database.rows.User, user_id)
    database.db.session.rollback()
    right = accounts.hasher.verify(password, known.password_hash if known else None)
    if known is None or not right:
        wrong = {"current_password": [_("Is not right.")]}
        raise InvalidFields("The current password is wrong.", errors=wrong)
    return known


def delete(state: State, accounts: AccountsState, user_id: Any, password: str, *, device: Device) -> None:
    """Delete a person who confirms it by their password, as `current_password`.

    Raises InvalidFields, TooManyRequests, and Conflict if rows of the host's still point to them.
    """
    tries = ("login-failures", f"user:{user_id}", network(device.address))
    accounts.throttle.hit(*tries)
    _confirmed(state, accounts, user_id, password)
    accounts.throttle.clear(*tries)
    commit(state, lambda deed: registration.delete(deed, user_id))


def end_login(state: State, user_id: Any, login_id: str) -> bool:
    """End one of a person's logins; whether it was one of theirs that was going on."""
    # The form is checked first: PostgreSQL cannot even be asked for a NUL.
    possible = re.fullmatch(r"[A-Za-z0-9_-]{1,32}", login_id)
    return possible is not None and commit(state, lambda deed: logins.end(deed, user_id, login_id))

"""Which mail goes out when: each is made and sent by the worker, in the language of whoever caused it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import current_app

from ..errors import TooManyRequests
from ..texts import in_language, language
from ..transactions import commit
from .mail import compose, deliver
from .recovery import CHANGE, RESET, VERIFY, Person, make_link, person_of, person_with

if TYPE_CHECKING:
    from flask import Flask

    from ..state import State
    from ..transactions import Transaction
    from .state import AccountsState

__all__ = [
    "PAGES",
    "lifetime_of",
    "mail_change",
    "mail_notice",
    "mail_password_changed",
    "mail_reset",
    "mail_verification",
    "may_mail",
]

#: Where a mailed link leads to, below `pages_prefix`.
PAGES = {RESET: "/reset", VERIFY: "/verify", CHANGE: "/email/confirm"}

_DAY = 24 * 60 * 60


def may_mail(accounts: AccountsState, purpose: str, email: str) -> bool:
    """Count a mail; whether one more of this kind may go to this address. Nobody's mailbox shall be flooded.

    Each kind counts by itself, or a thief could use up the limit before the owner is warned.
    """
    try:
        accounts.throttle.hit("recovery-mails", purpose, email)
    except TooManyRequests:
        return False
    return True


def lifetime_of(accounts: AccountsState, purpose: str) -> int:
    """For how long a link is good, in seconds."""
    lifetime = accounts.settings.link_lifetime
    return max(lifetime, _DAY) if purpose == VERIFY else lifetime


def mail_reset(state: State, accounts: AccountsState, forms: tuple[str, ...], spoken: str | None) -> None:
    """Mail a link that resets the password to the person with this address, if there is one.

    To the address that is stored, never to the one that was typed: two that look alike, or that a database takes
    for the same, may have different owners (CVE-2019-19844).
    """

    def deed(transaction: Transaction) -> tuple[Person, str] | None:
        person = person_with(transaction.session, transaction.rows.User, *forms)
        if person is None or not person.active:
            return None
        transaction.tell("password.reset-asked", user_id=person.user_id)
        return person, _link(transaction, accounts, person, RESET)

    _mail_link(state, accounts, RESET, deed, spoken)


def mail_verification(state: State, accounts: AccountsState, user_id: Any, spoken: str | None = None) -> None:
    """Mail a link that verifies their address to a person who has not done it yet."""

    def deed(transaction: Transaction) -> tuple[Person, str] | None:
        person = person_of(transaction.session, transaction.rows.User, user_id)
        if person is None or not person.active or person.verified is not False:
            return None
        return person, _link(transaction, accounts, person, VERIFY)

    _mail_link(state, accounts, VERIFY, deed, spoken)


def _mail_link(
    state: State,
    accounts: AccountsState,
    purpose: str,
    deed: Callable[[Transaction], tuple[Person, str] | None],
    spoken: str | None,
) -> None:
    """Let the worker do `deed`, and mail the link that it made, if it made one, to the person it is for."""

    def job(app: Flask, speaks: str) -> None:
        made = commit(state, deed)
        if made is not None:
            _send_link(app, accounts, purpose, to=made[0].email, token=made[1], speaks=speaks)

    _later(accounts, job, spoken)


def mail_change(accounts: AccountsState, *, old: str, new: str, token: str, spoken: str | None) -> None:
    """Mail the link that confirms a new address to it, and tell the old one that it was asked for."""

    def job(app: Flask, speaks: str) -> None:
        _send_link(app, accounts, CHANGE, to=new, token=token, speaks=speaks)

    _later(accounts, job, spoken)
    mail_notice(accounts, "email-change-asked", to=old, spoken=spoken)


def mail_password_changed(
    state: State, accounts: AccountsState, user_id: Any, spoken: str | None = None
) -> None:
    """Tell a person that their password was changed, in case it was not they."""

    def job(app: Flask, speaks: str) -> None:
        database = state.database_in_use()
        person = person_of(database.db.session(), database.rows.User, user_id)
        # Counted, or who registers a stranger's address could fill that mailbox by changing their own password.
        if person is not None and may_mail(accounts, "password-changed", person.email):
            _send(app, "password-changed", to=person.email, speaks=speaks, values={})

    _later(accounts, job, spoken)


def mail_notice(accounts: AccountsState, purpose: str, *, to: str, spoken: str | None) -> None:
    """Mail something that has no link in it. It names no address: the old one may be a stranger's, mistyped once."""
    if may_mail(accounts, purpose, to):
        _later(accounts, lambda app, speaks: _send(app, purpose, to=to, speaks=speaks, values={}), spoken)


def _later(accounts: AccountsState, job: Callable[[Flask, str], None], spoken: str | None) -> None:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    speaks = spoken or language()  # now, since the worker has no request that could tell
    accounts.post.add(app, lambda: job(app, speaks))


def _link(transaction: Transaction, accounts: AccountsState, person: Person, purpose: str) -> str:
    lifetime = lifetime_of(accounts, purpose)
    return make_link(transaction, person, purpose, email=person.email, lifetime=lifetime)


def _send_link(
    app: Flask, accounts: AccountsState, purpose: str, *, to: str, token: str, speaks: str
) -> None:
    values = {
        "token": token,
        "link": _address(app, accounts, purpose, token),
        "lifetime": _duration(lifetime_of(accounts, purpose), speaks),
    }
    _send(app, purpose, to=to, speaks=speaks, values=values)


def _send(app: Flask, purpose: str, *, to: str, speaks: str, values: dict[str, Any]) -> None:
    deliver(app, compose(app, purpose, to=to, language=speaks, values=values))


def _address(app: Flask, accounts: AccountsState, purpose: str, token: str) -> str | None:
    """Where the link leads: to our pages. None without them: the host's template says where.

    From the settings alone. With the Host header, whoever asks would choose where the token goes to.
    """
    if not accounts.settings.pages:
        return None
    issuer = app.extensions["linked_auth"].settings.issuer
    return f"{issuer}{accounts.settings.pages_prefix}{PAGES[purpose]}?token={token}"


def _duration(seconds: int, speaks: str) -> str:
    spoken = in_language(speaks)
    if seconds % 3600 == 0 and seconds < 2 * _DAY:
        return spoken.ngettext("%(num)s hour", "%(num)s hours", seconds // 3600)
    if seconds % _DAY == 0:
        return spoken.ngettext("%(num)s day", "%(num)s days", seconds // _DAY)
    return spoken.ngettext("%(num)s minute", "%(num)s minutes", seconds // 60)

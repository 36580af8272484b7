"""One person of ours is joined to who they are at a linked app, by the address that both sides have verified.

For an app that people must agree to nobody is joined by a call: until somebody is known, the app has no scope for them,
and no view that could ask. So it is done when the person is here, who wants to be known: after agreeing, say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from ..errors import LinkedAuthError
from ..tokens.issuing import key_of
from ..transactions import commit_apart
from .people import join_profiles
from .profiles import ask_address
from .state import mine

if TYPE_CHECKING:
    from ..transactions import Transaction

__all__ = ["join_person"]


def join_person(app: str, user: Any) -> bool:
    """Ask a linked app (its slug or client id) for the person with the verified address of `user`, and link them.

    `user` is a row, `g.user` or a key.
    Whether that is done now: for an app whose row says `joins_by_email` only, and by the same rules as
    `people sync`; not for somebody who is linked already. It is committed when this returns. Raises ValueError for
    what is no person, and Unavailable.
    """
    state, links = mine()
    record, key = links.apps.registry.find(app), key_of(state, user)
    person = state.database_in_use().load_user(key)
    if record is None or not record.joins_by_email:
        return False
    if person is None or not getattr(person, "email_verified", False):
        return False
    try:
        profile = ask_address(links.link_to(record.id), person.email)
    except LinkedAuthError:  # without an address or a key it cannot be asked
        return False
    if profile is None or not profile.email_verified:
        return False

    def deed(transaction: Transaction) -> bool:
        return bool(join_profiles(transaction, record, [profile], only=key))

    try:
        return commit_apart(state, deed)
    except IntegrityError:  # somebody else has linked one of the two meanwhile
        return False

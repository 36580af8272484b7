"""Access tokens for people: in a login or outside any, with what the host's `claims` hook adds."""

from __future__ import annotations

import logging
from time import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..errors import InternalError
from ..globals import UserProxy
from ..hooks import call_hook
from .access import RESERVED_CLAIMS, key_reader, make_claims, signed

if TYPE_CHECKING:
    from ..state import State

__all__ = ["access_token", "generate_token", "key_of"]

log = logging.getLogger("flask_linked_auth")


def access_token(
    state: State, user_id: Any, *, login_id: str | None = None, authenticated_at: int | None = None
) -> str:
    """A signed access token for this user, with the claims that the `claims` hook adds."""
    generation = 0
    if state.database is not None:
        from .revocation import generation_of

        generation = generation_of(state.database.db.session(), state.database.rows, str(user_id))
    claims = make_claims(
        state.settings.issuer,
        str(user_id),
        lifetime=state.tokens.access_lifetime,
        login_id=login_id,
        authenticated_at=int(time()) if authenticated_at is None else authenticated_at,
        generation=generation,
    )
    return signed(claims | _extra_claims(state, user_id), state.ring)


def _extra_claims(state: State, user_id: Any) -> dict[str, Any]:
    hook = state.hooks.get("claims")
    if hook is None:
        return {}
    extra = dict(call_hook(hook, UserProxy(state, user_id)))
    if taken := RESERVED_CLAIMS & extra.keys():
        log.error("The claims hook returned claims that are ours: %s", ", ".join(sorted(taken)))
        raise InternalError
    return extra


def key_of(state: State, user: Any) -> Any:
    """The key of a person, given as their row, as `g.user`, or as the key itself, in its own type or as text.

    Raises ValueError for anything else: a token for nobody, or the end of nobody's logins, would look like success.
    """
    if isinstance(user, UserProxy):
        return user.id
    if state.database is not None and isinstance(user, state.database.rows.User):
        key = state.database.key_of(user)
        if key is None:
            raise ValueError("This person has not been written to the database yet.")
        return key
    if isinstance(user, bool) or not isinstance(user, str | int | UUID):
        raise ValueError(f"A person's row or key is wanted here, not {type(user).__name__}.")
    if state.database is None:
        return str(user)
    try:
        return key_reader(state.database.key_type)(str(user))
    except ValueError as error:
        raise ValueError(f"{user!r} is no key of a person here: {error}.") from None


def generate_token(state: State, user: Any) -> str:
    """An access token outside any login, for a person's row or key.

    Raises ValueError for what is neither, InternalError for a bug in the `claims` hook or a missing table,
    Unavailable if the database or the keys are out of reach, and SettingsError where no key can sign.
    """
    user_id = key_of(state, user)
    if state.database is None:
        return access_token(state, user_id)
    from ..storage import storage_errors

    with storage_errors():
        return access_token(state, user_id)

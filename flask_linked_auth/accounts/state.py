"""What the accounts hold for one app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..globals import current_state

if TYPE_CHECKING:
    from ..catalogs import Text
    from ..config import AccountSettings
    from ..state import State
    from ..throttle import Throttle
    from ..tokens.access import Verifier
    from .mail import Post
    from .passwords import Hasher
    from .registration import Reservations
    from .schemas import Schemas

__all__ = ["AccountsState", "Browser", "FurtherPage", "mine"]


@dataclass(frozen=True, slots=True)
class FurtherPage:
    """A page of another part, for the navigation (`name`) and the overview of the account (`what`, `button`)."""

    endpoint: str
    name: Text
    what: Text
    button: Text


@dataclass(frozen=True, slots=True, repr=False)
class Browser:
    """What browser logins hold for one app: the memory of cookies, and the keys of CSRF tokens, newest first.

    Other parts add the pages to which the account leads, and what those tell once, by a short word.
    """

    memory: Verifier
    csrf_keys: tuple[bytes, ...]
    further: list[FurtherPage] = field(default_factory=list)
    notices: dict[str, Text] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class AccountsState:
    """What the accounts hold for one app."""

    settings: AccountSettings
    schemas: Schemas
    hasher: Hasher
    throttle: Throttle
    reservations: Reservations
    post: Post
    browser: Browser | None


def mine() -> tuple[State, AccountsState]:
    """The state of the extension on the current app, and that of the accounts in it."""
    state = current_state()
    accounts: AccountsState = state.parts["accounts"]
    return state, accounts

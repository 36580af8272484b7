"""Who is calling, as a value, and the arithmetic of scopes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Identity", "Verified", "checked_scopes", "lacking"]

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}")  # a scope-token of RFC 6749 section 3.3


@dataclass(frozen=True, slots=True)
class Identity:
    """The result of authenticating a request. Readable by attribute and by key; holds no secret.

    `user_id` is the local person's key in its own type (int, UUID, str), None for an app that speaks for
    itself. `scopes` are those the credential itself carries, None when it carries no list and the person's own
    count. `login_id` is the device's login, `authenticated_at` when the password was given, in Unix seconds.
    """

    kind: Literal["user", "app"]
    method: Literal["token", "cookie", "oauth", "link", "signature"]
    user_id: Any
    claims: Mapping[str, Any]
    scopes: frozenset[str] | None = None
    app_id: str | None = None
    login_id: str | None = None
    authenticated_at: int = 0

    def __getitem__(self, name: str) -> Any:
        """`identity["user_id"]` is `identity.user_id`. Raises KeyError for any other name."""
        if name not in self.__slots__:
            raise KeyError(name)
        return getattr(self, name)


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified credential: whose it is, until when, and on what it stands (login, token and key can be revoked)."""

    identity: Identity
    expires: float
    subjects: tuple[str, ...]
    user: str
    generation: int


def checked_scopes(scopes: object) -> tuple[str, ...]:
    """`scopes` as a tuple. Raises TypeError unless it is a list or tuple of strings, ValueError if one is bad."""
    if not isinstance(scopes, list | tuple) or not all(isinstance(each, str) for each in scopes):
        raise TypeError("scope() wants a list of strings, such as scope(['read:posts'])")
    for each in scopes:
        if not _SCOPE.fullmatch(each):
            raise ValueError(f"{each!r} is not a scope (RFC 6749 section 3.3)")
    return tuple(scopes)


def lacking(wanted: Iterable[str], held: Collection[str], *, any_of: bool = False) -> tuple[str, ...]:
    """The scopes of `wanted` that `held` lacks; under `any_of` none if one is held, else all of them."""
    missing = tuple(each for each in wanted if each not in held)
    if any_of and len(missing) < len(tuple(wanted)):
        return ()
    return missing

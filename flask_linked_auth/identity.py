"""Who is calling, as a value, and the arithmetic of scopes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["CallingApp", "Identity", "Verified", "checked_scopes", "lacking"]

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}")  # a scope-token of RFC 6749 section 3.3


@dataclass(frozen=True, slots=True)
class CallingApp:
    """A linked app as views see it on `g.app`: readable by attribute and by key, and without any key material.

    `address` is where it lives, None if unknown; `accepts` are the dialects in which it may call. The names that the
    Django package gives to some of these work as well: `app_url`, `require_an_agreement`, `strategy`, `schema`.
    """

    id: str
    slug: str
    name: str
    address: str | None
    webhook_url: str | None
    redirect_url: str | None
    needs_agreement: bool
    dialect: str
    accepts: tuple[str, ...]
    algorithm: str

    @property
    def app_url(self) -> str | None:
        """The same as `address`."""
        return self.address

    @property
    def require_an_agreement(self) -> bool:
        """The same as `needs_agreement`."""
        return self.needs_agreement

    @property
    def strategy(self) -> str:
        """`JWT` or `SIGNATURE`."""
        return "JWT" if self.dialect == "link" else "SIGNATURE"

    @property
    def schema(self) -> str:
        """Always `LINK`."""
        return "LINK"

    def __getitem__(self, name: str) -> Any:
        """`app["slug"]` is `app.slug`. Raises KeyError for any other name."""
        if name.startswith("_") or not hasattr(type(self), name):
            raise KeyError(name)
        return getattr(self, name)


@dataclass(frozen=True, slots=True)
class Identity:
    """The result of authenticating a request. Readable by attribute and by key; holds no secret.

    `user_id` is the local person's key in its own type (int, UUID, str), None for an app that speaks for
    itself. `scopes` are those the credential itself carries, None when it carries no list and the person's own
    count. `login_id` is the device's login, `authenticated_at` when the password was given, in Unix seconds.
    `app` tells about the linked app that calls, if one does; `user_id` is then whom it speaks for, if we know them.
    """

    kind: Literal["user", "app"]
    method: Literal["token", "cookie", "oauth", "link", "signature"]
    user_id: Any
    claims: Mapping[str, Any]
    scopes: frozenset[str] | None = None
    app_id: str | None = None
    login_id: str | None = None
    authenticated_at: int = 0
    app: CallingApp | None = None

    def __getitem__(self, name: str) -> Any:
        """`identity["user_id"]` is `identity.user_id`. Raises KeyError for any other name."""
        if name not in self.__slots__:
            raise KeyError(name)
        return getattr(self, name)


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified credential: whose it is, until when, and on what it stands (login, token and key can be revoked).

    `depends` are further facts that it was read from (`app:…`, `agreement:…`, `person:…`): when this process hears of a
    change of one of them after the feed had `seen` as many as `since`, it is read anew instead of refused.
    """

    identity: Identity
    expires: float
    subjects: tuple[str, ...]
    user: str
    generation: int
    since: int = 0
    depends: tuple[str, ...] = ()


def checked_scopes(scopes: object) -> tuple[str, ...]:
    """`scopes` as a tuple. Raises TypeError unless it is a list or tuple of strings, ValueError if one is bad."""
    if not isinstance(scopes, list | tuple) or not all(isinstance(each, str) for each in scopes):
        raise TypeError("scope() wants a list of strings, such as scope(['read:posts'])")
    for each in scopes:
        if not _SCOPE.fullmatch(each):
            raise ValueError(f"{each!r} is not a scope (RFC 6749 section 3.3)")
    return tuple(scopes)


def lacking(wanted: Collection[str], held: Collection[str], *, any_of: bool = False) -> tuple[str, ...]:
    """The scopes of `wanted` that `held` lacks; under `any_of` none if one is held, else all of them."""
    if isinstance(held, frozenset) and held.issuperset(wanted):
        return ()
    missing = tuple(each for each in wanted if each not in held)
    if any_of and len(missing) < len(wanted):
        return ()
    return missing

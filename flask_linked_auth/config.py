"""Every `LINKED_AUTH_*` setting: a frozen dataclass per part, a sentence per field, read and checked once."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from .errors import SettingsError
from .tokens.keys import ALGORITHMS

__all__ = ["PREFIX", "AccountSettings", "Settings", "TokenSettings", "read_settings", "retention_of"]

PREFIX = "LINKED_AUTH_"
RATE_LIMITS: Mapping[str, str | None] = MappingProxyType(
    {
        "login": "60/minute;600/hour",
        "login-failures": "10/minute;50/hour",
        "recovery": "20/minute;100/hour",
        "recovery-mails": "5/hour",
        "refresh": "120/minute",
        "register": "60/minute;300/hour",
        "validate": "60/minute",
    }
)

Check = Callable[[Any], Any]


def _setting(default: Any, doc: str, check: Check, *, secret: bool = False) -> Any:
    return field(default_factory=lambda: default, repr=not secret, metadata={"doc": doc, "check": check})


def _hint(value: Any, example: str) -> str:
    """What to write in the environment, where every value is read as JSON and falls back to text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f". It got a number; from the environment, write it in quotes: {example}"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a non-empty string" + _hint(value, """'"12"'"""))
    return value


def _slug(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,49}", value):
        words = "must be 1 to 50 of the characters a-z, 0-9, - and _, such as 'blog'"
        raise ValueError(words + _hint(value, """'"2024"'"""))
    return value


def _issuer(value: Any) -> str:
    parts = urlsplit(_text(value))
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an address such as 'https://blog.example.com', without query or fragment")
    return str(value).rstrip("/")


def _url(value: Any) -> str:
    parts = urlsplit(_text(value))
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError("must be an http or https address")
    return str(value)


def _secret(value: Any) -> str:
    if not isinstance(value, str) or len(value.encode("utf-8", "replace")) < 32:
        # RFC 7518 section 3.2: a shorter key than the hash weakens the MAC.
        words = "must be a string of at least 32 bytes, such as `secrets.token_urlsafe(48)` gives"
        raise ValueError(words + _hint(value, """'"…"'"""))
    return value


def _several(check: Check) -> Check:
    def checked(value: Any) -> tuple[Any, ...]:
        if isinstance(value, str) or not isinstance(value, Collection) or isinstance(value, Mapping):
            raise ValueError("must be a list or tuple")
        return tuple(check(each) for each in value)

    return checked


def _maybe(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(
            "must be True or False"
            + ("; from the environment, write true or false" if isinstance(value, str) else "")
        )
    return value


def _number(low: int, high: int) -> Check:
    def checked(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return checked


def _seconds(low: int, high: int) -> Check:
    def checked(value: Any) -> float:
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise ValueError("must be a number of seconds or a timedelta")
        if not low <= seconds <= high:
            raise ValueError(f"must be from {low} to {high} seconds")
        return seconds

    return checked


def _whole_seconds(low: int, high: int) -> Check:
    check = _seconds(low, high)
    return lambda value: int(check(value))


def _one_of(*choices: str) -> Check:
    def checked(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return checked


def _path(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
        raise ValueError("must be a path such as '/auth', without a slash at its end")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping")
    return value


def _jwks(value: Any) -> Mapping[str, Any]:
    if not _mapping(value):  # an empty one would count as none, and the secret would verify instead
        raise ValueError("must be a JWK Set with keys in it")
    return dict(value)


def _rate_limits(value: Any) -> Mapping[str, str | None]:
    if value is None or value is False:
        return MappingProxyType(dict.fromkeys(RATE_LIMITS))
    if isinstance(value, str):
        raise ValueError("must be a mapping or False; from the environment, write false, or JSON")
    for name, rule in _mapping(value).items():
        if name not in RATE_LIMITS:
            raise ValueError(f"has no rule {name!r}; the rules are {', '.join(RATE_LIMITS)}")
        if rule is not None and not isinstance(rule, str):
            raise ValueError(f"wants a string such as '10/minute' or None for {name!r}")
    return MappingProxyType({**RATE_LIMITS, **value})


DAY = 24 * 60 * 60
YEAR = 366 * DAY


@dataclass(frozen=True, slots=True)
class Settings:
    """What every part needs. `name`, `issuer` and `secret` must be given outside debug and testing."""

    name: str = _setting("", "This service's own slug, as other services know it.", _slug)
    issuer: str = _setting(
        "", "This service's public address; `iss` of its tokens, never the Host header.", _issuer
    )
    secret: str = _setting(
        "",
        "At least 32 random bytes: signs HS256 tokens, and seals if no other key is set.",
        _secret,
        secret=True,
    )
    secret_fallbacks: tuple[str, ...] = _setting(
        (),
        "Former secrets, newest first: still verified and opened, never used anew.",
        _several(_secret),
        secret=True,
    )
    encryption_keys: tuple[str, ...] = _setting(
        (),
        "Keys that seal secrets at rest, newest first; without any, derived from the secret.",
        _several(_secret),
        secret=True,
    )
    leeway: int = _setting(
        5, "Clock skew forgiven in `exp`, `nbf` and `iat`, in seconds.", _whole_seconds(0, 60)
    )
    service_header: bool = _setting(False, "Whether our answers carry `Service: <name>`.", _flag)
    docs: bool = _setting(
        True,
        "Whether the API document and the page on which one tries it are served, to anybody.",
        _flag,
    )
    apps_only_scopes: tuple[str, ...] = _setting(
        ("read:token", "read:user", "webhook"), "Scopes that no person ever has.", _several(_text)
    )


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Access and refresh tokens, their keys and their revocation."""

    algorithm: str = _setting(
        "HS256",
        "HS256, or RS256, ES256, EdDSA when sister services must verify without sharing a secret.",
        _one_of(*ALGORITHMS),
    )
    access_lifetime: int = _setting(
        15 * 60, "How long an access token lives, in seconds.", _whole_seconds(1, 7 * DAY)
    )
    refresh_lifetime: int = _setting(
        30 * DAY, "How long an unused refresh token lives, in seconds.", _whole_seconds(1, YEAR)
    )
    login_lifetime: int = _setting(
        180 * DAY,
        "How long one login lasts however often it is refreshed, in seconds.",
        _whole_seconds(1, 10 * YEAR),
    )
    refresh_retry_window: int = _setting(
        10,
        "For how long the last refresh token may be sent again by a client that lost the answer, in seconds.",
        _whole_seconds(0, 60),
    )
    revocation_interval: float = _setting(
        1,
        "How often a process asks what other processes revoked, in seconds; 0 asks every time.",
        _seconds(0, 60),
    )
    revocation_patience: float = _setting(
        10,
        "For how long guards go on when that question fails, in seconds; then they answer 503.",
        _seconds(0, 600),
    )
    token_cache_size: int = _setting(
        20_000, "How many verified tokens a process remembers, at some 2 kB each.", _number(0, 10_000_000)
    )
    jwks: Mapping[str, Any] | None = _setting(
        None, "Guards without a database: the issuer's public keys as a JWK Set.", _maybe(_jwks)
    )
    jwks_url: str | None = _setting(
        None, "Guards without a database: where the issuer publishes its JWK Set.", _maybe(_url)
    )


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Registration, passwords and the account endpoints."""

    prefix: str = _setting("/auth", "Where the account endpoints live.", _path)
    pages: bool = _setting(
        True, "Whether there are HTML pages, and guards read the cookie of who logged in there.", _flag
    )
    pages_prefix: str = _setting("/account", "Where these pages live.", _path)
    registration: bool = _setting(
        True, "Whether anybody may register; otherwise operators make the accounts.", _flag
    )
    password_min_length: int = _setting(
        15,
        "Fewest characters of a password (NIST SP 800-63B-4: 15 as the only factor, 8 beside another).",
        _number(8, 64),
    )
    bcrypt_cost: int = _setting(
        12,
        "The cost of bcrypt, as a power of two; hashes of another cost are upgraded at login.",
        _number(4, 16),
    )
    hashes_at_once: int = _setting(
        max(2, os.cpu_count() or 1),
        "How many passwords a process hashes at a time; the rest waits shortly, then gets 503.",
        _number(1, 64),
    )
    freshness: int = _setting(
        15 * 60,
        "How recent a login must be to change the e-mail address or delete the account, in seconds.",
        _whole_seconds(1, YEAR),
    )
    recovery: bool = _setting(
        True,
        "Whether people reset passwords, verify and change addresses by mail; then a mailer is needed.",
        _flag,
    )
    link_lifetime: int = _setting(
        60 * 60,
        "How long a mailed link is good, in seconds; one that only verifies an address lasts a day at least.",
        _whole_seconds(60, 7 * DAY),
    )
    rate_limits: Mapping[str, str | None] = _setting(
        RATE_LIMITS,
        "Limits by rule, such as {'login': '10/minute;100/hour'}; None lifts a rule, False lifts all.",
        _rate_limits,
    )
    rate_limit_storage: str = _setting(
        "memory://", "Where limits are counted: `memory://` (per process) or `redis://host:port/db`.", _text
    )


def read_settings(config: Mapping[str, Any], classes: Collection[type[Any]]) -> dict[type[Any], Any]:
    """Read every `LINKED_AUTH_*` key of `config` into an instance of each of `classes`.

    Raises SettingsError for a key that belongs to none of them (with the nearest one that does) and for a bad
    value, naming the key and never showing the value.
    """
    known = {PREFIX + each.name.upper(): each for kind in classes for each in fields(kind)}
    values: dict[str, Any] = {}
    for key in sorted(k for k in config if k.startswith(PREFIX)):
        if key not in known:
            raise SettingsError(
                f"{key} is not a setting of flask_linked_auth or of a part that is in use{_guess(key, known)}"
            )
        try:
            values[known[key].name] = known[key].metadata["check"](config[key])
        except ValueError as error:
            raise SettingsError(f"{key} {error}.") from None
    return {
        kind: kind(**{f.name: values[f.name] for f in fields(kind) if f.name in values}) for kind in classes
    }


def _guess(key: str, known: Collection[str]) -> str:
    """The end of the sentence that refuses `key`: what is in the way, or what may have been meant."""
    for part, kind in _PARTS.items():
        if key in {PREFIX + each.name.upper() for each in fields(kind)}:
            return f": it belongs to {part}, which is not listed."
    names = [each.removeprefix(PREFIX) for each in known]  # what all share would make all alike
    wished = key.removeprefix(PREFIX)
    near = [_ELSEWHERE[wished]] if _ELSEWHERE.get(wished) in names else []
    near += difflib.get_close_matches(wished, names, n=1, cutoff=0.8)
    return f". Did you mean {PREFIX}{near[0]}?" if near else "."


_PARTS = {"Accounts()": AccountSettings}
#: What else people call them, often after another library's name.
_ELSEWHERE = {
    "ACCESS_TOKEN_EXPIRES": "ACCESS_LIFETIME",
    "ACCESS_TOKEN_LIFETIME": "ACCESS_LIFETIME",
    "BCRYPT_LOG_ROUNDS": "BCRYPT_COST",
    "BCRYPT_ROUNDS": "BCRYPT_COST",
    "REFRESH_TOKEN_EXPIRES": "REFRESH_LIFETIME",
    "REFRESH_TOKEN_LIFETIME": "REFRESH_LIFETIME",
    "SECRET_KEY": "SECRET",
    "TOKEN_LIFETIME": "ACCESS_LIFETIME",
    "URL_PREFIX": "PREFIX",
}


def retention_of(settings: Settings, tokens: TokenSettings) -> int:
    """For how long a revocation is remembered and a former key accepted, in seconds.

    As long as any access token lives, and a minute for those that were being made meanwhile.
    """
    return tokens.access_lifetime + settings.leeway + 60


def refuse_weak(key: str, secret: str) -> None:
    """Raise SettingsError for a secret that is long enough and still guessable (RFC 8725 section 3.5)."""
    known = r"(change[-_ ]?me|your[-_ ]|secret[-_ ]?key|super[-_ ]?secret|password|insecure)"
    if len(set(secret)) < 8 or re.match(known, secret.lower()):
        raise SettingsError(
            f"{key} is guessable; use random bytes, such as `secrets.token_urlsafe(48)` gives."
        )

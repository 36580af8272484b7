"""Every `LINKED_AUTH_*` setting: a frozen dataclass per part, a sentence per field, read and checked once."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from .errors import SettingsError
from .setting_checks import (
    Check,
    a_flag,
    a_jwks,
    a_mapping,
    a_nonce_store,
    a_number,
    a_path,
    a_secret,
    a_slug,
    a_text,
    a_url,
    an_authority,
    an_issuer,
    maybe,
    one_of,
    seconds,
    several,
    whole_seconds,
)
from .tokens.keys import ALGORITHMS

__all__ = [
    "PREFIX",
    "AccountSettings",
    "AppSettings",
    "LinkSettings",
    "Settings",
    "TokenSettings",
    "read_settings",
    "retention_of",
]

PREFIX = "LINKED_AUTH_"
RATE_LIMITS: Mapping[str, str | None] = MappingProxyType(
    {
        "login": "60/minute;600/hour",
        "login-failures": "10/minute;50/hour",
        "pairing": "10/minute;60/hour",
        "recovery": "20/minute;100/hour",
        "recovery-mails": "5/hour",
        "refresh": "120/minute",
        "register": "60/minute;300/hour",
        "validate": "60/minute",
    }
)


def _setting(default: Any, doc: str, check: Check, *, secret: bool = False) -> Any:
    return field(default_factory=lambda: default, repr=not secret, metadata={"doc": doc, "check": check})


def _rate_limits(value: Any) -> Mapping[str, str | None]:
    if value is None or value is False:
        return MappingProxyType(dict.fromkeys(RATE_LIMITS))
    if isinstance(value, str):
        raise ValueError("must be a mapping or False; from the environment, write false, or JSON")
    for name, rule in a_mapping(value).items():
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

    name: str = _setting("", "This service's own slug, as other services know it.", a_slug)
    issuer: str = _setting(
        "", "This service's public address; `iss` of its tokens, never the Host header.", an_issuer
    )
    secret: str = _setting(
        "",
        "At least 32 random bytes: signs HS256 tokens, and seals if no other key is set.",
        a_secret,
        secret=True,
    )
    secret_fallbacks: tuple[str, ...] = _setting(
        (),
        "Former secrets, newest first: still verified and opened, never used anew.",
        several(a_secret),
        secret=True,
    )
    encryption_keys: tuple[str, ...] = _setting(
        (),
        "Keys that seal secrets at rest, newest first; without any, derived from the secret.",
        several(a_secret),
        secret=True,
    )
    leeway: int = _setting(
        5, "Clock skew forgiven in `exp`, `nbf` and `iat`, in seconds.", whole_seconds(0, 60)
    )
    service_header: bool = _setting(False, "Whether our answers carry `Service: <name>`.", a_flag)
    docs: bool = _setting(
        True,
        "Whether the API document and the page on which one tries it are served, to anybody.",
        a_flag,
    )
    apps_only_scopes: tuple[str, ...] = _setting(
        ("read:token", "read:user", "webhook"), "Scopes that no person ever has.", several(a_text)
    )


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Access and refresh tokens, their keys and their revocation."""

    algorithm: str = _setting(
        "HS256",
        "HS256, or RS256, ES256, EdDSA when sister services must verify without sharing a secret.",
        one_of(*ALGORITHMS),
    )
    access_lifetime: int = _setting(
        15 * 60, "How long an access token lives, in seconds.", whole_seconds(1, 7 * DAY)
    )
    refresh_lifetime: int = _setting(
        30 * DAY, "How long an unused refresh token lives, in seconds.", whole_seconds(1, YEAR)
    )
    login_lifetime: int = _setting(
        180 * DAY,
        "How long one login lasts however often it is refreshed, in seconds.",
        whole_seconds(1, 10 * YEAR),
    )
    refresh_retry_window: int = _setting(
        10,
        "For how long the last refresh token may be sent again by a client that lost the answer, in seconds.",
        whole_seconds(0, 60),
    )
    revocation_interval: float = _setting(
        1,
        "How often a process asks what other processes revoked, in seconds; 0 asks every time.",
        seconds(0, 60),
    )
    revocation_patience: float = _setting(
        10,
        "For how long guards go on when that question fails, in seconds; then they answer 503.",
        seconds(0, 600),
    )
    token_cache_size: int = _setting(
        20_000, "How many verified tokens a process remembers, at some 2 kB each.", a_number(0, 10_000_000)
    )
    jwks: Mapping[str, Any] | None = _setting(
        None, "Guards without a database: the issuer's public keys as a JWK Set.", maybe(a_jwks)
    )
    jwks_url: str | None = _setting(
        None, "Guards without a database: where the issuer publishes its JWK Set.", maybe(a_url)
    )


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Registration, passwords and the account endpoints."""

    prefix: str = _setting("/auth", "Where the account endpoints live.", a_path)
    pages: bool = _setting(
        True, "Whether there are HTML pages, and guards read the cookie of who logged in there.", a_flag
    )
    pages_prefix: str = _setting("/account", "Where these pages live.", a_path)
    registration: bool = _setting(
        True, "Whether anybody may register; otherwise operators make the accounts.", a_flag
    )
    password_min_length: int = _setting(
        15,
        "Fewest characters of a password (NIST SP 800-63B-4: 15 as the only factor, 8 beside another).",
        a_number(8, 64),
    )
    bcrypt_cost: int = _setting(
        12,
        "The cost of bcrypt, as a power of two; hashes of another cost are upgraded at login.",
        a_number(4, 16),
    )
    hashes_at_once: int = _setting(
        max(2, os.cpu_count() or 1),
        "How many passwords a process hashes at a time; the rest waits shortly, then gets 503.",
        a_number(1, 64),
    )
    freshness: int = _setting(
        15 * 60,
        "How recent a login must be to change the e-mail address or delete the account, in seconds.",
        whole_seconds(1, YEAR),
    )
    recovery: bool = _setting(
        True,
        "Whether people reset passwords, verify and change addresses by mail; then a mailer is needed.",
        a_flag,
    )
    link_lifetime: int = _setting(
        60 * 60,
        "How long a mailed link is good, in seconds; one that only verifies an address lasts a day at least.",
        whole_seconds(60, 7 * DAY),
    )
    rate_limits: Mapping[str, str | None] = _setting(
        RATE_LIMITS,
        "Limits by rule, such as {'login': '10/minute;100/hour'}; None lifts a rule, False lifts all.",
        _rate_limits,
    )
    rate_limit_storage: str = _setting(
        "memory://", "Where limits are counted: `memory://` (per process) or `redis://host:port/db`.", a_text
    )


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Linked apps, scopes and agreements."""

    agreement_path: str = _setting(
        "/v1/auth/authorize", "Where the agreement page of an app is, followed by the app's slug.", a_path
    )
    app_cache_size: int = _setting(
        20_000, "How many pairs of app and person a process remembers the scopes of.", a_number(1, 10_000_000)
    )


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Calls between services: what is admitted from others, and how we call them."""

    link_prefix: str = _setting(
        "/v1/auth/app", "Where other services ask for people and set up links.", a_path
    )
    call_max_lifetime: int = _setting(
        60 * 60,
        "How long the JWT of another service's call may be good at most, in seconds.",
        whole_seconds(60, DAY),
    )
    nonce_store: str = _setting(
        "database://",
        "Where the nonces of signed requests are kept: `database://`, `redis://host:port/db`, or `memory://` for a"
        " service of one process.",
        a_nonce_store,
    )
    authorities: tuple[str, ...] = _setting(
        (),
        "Further hosts (with their ports) under which signed requests may reach us, beside that of the issuer.",
        several(an_authority),
    )
    signed_body_limit: int = _setting(
        1024 * 1024, "The largest body of a signed request that is read, in bytes.", a_number(1024, 2**30)
    )
    pairing_lifetime: int = _setting(
        15 * 60, "How long a pairing code is good, in seconds.", whole_seconds(60, DAY)
    )
    one_time_token_lifetime: int = _setting(
        10 * 60,
        "How long a token that tells a linked app who a person is is good, in seconds.",
        whole_seconds(30, DAY),
    )
    key_overlap: int = _setting(
        DAY,
        "For how long a former key of a linked app is accepted after it was rotated, in seconds.",
        whole_seconds(0, 30 * DAY),
    )
    people_page_size: int = _setting(
        100, "How many people one page of the list for linked apps has.", a_number(1, 1000)
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


_PARTS = {"Accounts()": AccountSettings, "Apps()": AppSettings, "Links()": LinkSettings}
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

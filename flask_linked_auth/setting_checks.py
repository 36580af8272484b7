"""What a setting may be: each check returns the value as it is kept, and raises ValueError for all else."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "Check",
    "a_flag",
    "a_jwks",
    "a_mapping",
    "a_nonce_store",
    "a_number",
    "a_path",
    "a_secret",
    "a_slug",
    "a_text",
    "a_url",
    "an_authority",
    "an_issuer",
    "maybe",
    "one_of",
    "seconds",
    "several",
    "whole_seconds",
]

Check = Callable[[Any], Any]


def _hint(value: Any, example: str) -> str:
    """What to write in the environment, where every value is read as JSON and falls back to text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f". It got a number; from the environment, write it in quotes: {example}"


def a_text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a non-empty string" + _hint(value, """'"12"'"""))
    return value


def a_slug(value: Any) -> str:
    """A service's name: `a-z`, `0-9`, `-` and `_`."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,49}", value):
        words = "must be 1 to 50 of the characters a-z, 0-9, - and _, such as 'blog'"
        raise ValueError(words + _hint(value, """'"2024"'"""))
    return value


def an_issuer(value: Any) -> str:
    """An http or https address without query or fragment; a slash at its end is dropped."""
    parts = urlsplit(a_text(value))
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an address such as 'https://blog.example.com', without query or fragment")
    return str(value).rstrip("/")


def a_url(value: Any) -> str:
    """An http or https address."""
    parts = urlsplit(a_text(value))
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError("must be an http or https address")
    return str(value)


def a_secret(value: Any) -> str:
    """A text of at least 32 bytes."""
    if not isinstance(value, str) or len(value.encode("utf-8", "replace")) < 32:
        # RFC 7518 section 3.2: a shorter key than the hash weakens the MAC.
        words = "must be a string of at least 32 bytes, such as `secrets.token_urlsafe(48)` gives"
        raise ValueError(words + _hint(value, """'"…"'"""))
    return value


def several(check: Check) -> Check:
    """A list or tuple of what `check` takes."""

    def checked(value: Any) -> tuple[Any, ...]:
        if isinstance(value, str) or not isinstance(value, Collection) or isinstance(value, Mapping):
            raise ValueError("must be a list or tuple")
        return tuple(check(each) for each in value)

    return checked


def maybe(check: Check) -> Check:
    """None, or what `check` takes."""
    return lambda value: None if value is None else check(value)


def a_flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError(
            "must be True or False"
            + ("; from the environment, write true or false" if isinstance(value, str) else "")
        )
    return value


def a_number(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""

    def checked(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return checked


def seconds(low: int, high: int) -> Check:
    """A number of seconds, or a timedelta."""

    def checked(value: Any) -> float:
        given = value.total_seconds() if isinstance(value, timedelta) else value
        if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
            raise ValueError("must be a number of seconds or a timedelta")
        if not low <= given <= high:
            raise ValueError(f"must be from {low} to {high} seconds")
        return given

    return checked


def whole_seconds(low: int, high: int) -> Check:
    """The same in whole seconds."""
    check = seconds(low, high)
    return lambda value: int(check(value))


def one_of(*choices: str) -> Check:
    """One of these texts."""

    def checked(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return checked


def a_path(value: Any) -> str:
    """A path without a slash at its end."""
    if not isinstance(value, str) or not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
        raise ValueError("must be a path such as '/auth', without a slash at its end")
    return value


def a_nonce_store(value: Any) -> str:
    """`database://`, `memory://`, or the address of a Redis."""
    if value in ("database://", "memory://") or str(value).startswith(("redis://", "rediss://", "unix://")):
        return a_text(value)
    raise ValueError("must be database://, memory:// or the address of a Redis")


def an_authority(value: Any) -> str:
    """A host, with its port if that is not the usual one."""
    if not isinstance(value, str) or not re.fullmatch(
        r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", value
    ):
        raise ValueError("must be hosts such as 'api.example.com' or 'localhost:5001'")
    return value.lower()


def a_mapping(value: Any) -> Mapping[str, Any]:
    """A mapping."""
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping")
    return value


def a_jwks(value: Any) -> Mapping[str, Any]:
    """A JWK Set with keys in it."""
    if not a_mapping(value):  # an empty one would count as none, and the secret would verify instead
        raise ValueError("must be a JWK Set with keys in it")
    return dict(value)

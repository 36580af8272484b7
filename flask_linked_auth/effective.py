"""The settings in effect, where each comes from, and nothing secret among their values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from .config import PREFIX
from .globals import state_of

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["MASK", "Effective", "effective_settings", "masked"]

MASK = "********"
# Up to the last @: a password that was not quoted may hold any of @, / and :.
_IN_ADDRESS = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^:/]*):(?P<password>.*)@", re.IGNORECASE | re.DOTALL
)
_IN_QUERY = re.compile(
    r"(?P<name>[?&;][^=&;\s]*(?:pass|pwd|secret|token|key|sig|code|auth|odbc_connect)[^=&;\s]*=)[^&;\s]*",
    re.IGNORECASE,
)
_DATABASE = "SQLALCHEMY_DATABASE_URI"
_OWN_DATABASE = "sqlite:///linked_auth.db"


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting: its key, its value without what is secret, and where that comes from."""

    key: str
    value: Any
    origin: str


def effective_settings(app: Flask) -> dict[str, list[Effective]]:
    """Every setting by part, those for every app first. Values are plain: texts, numbers, lists, dictionaries."""
    state = state_of(app)
    groups = {"every app": state.settings, "tokens": state.tokens}
    groups |= {name: getattr(part, "settings", None) for name, part in state.parts.items()}
    found = {name: list(_of(each, app)) for name, each in groups.items() if is_dataclass(each)}
    if state.database is not None:
        address = str(app.config[_DATABASE])
        found["database"] = [
            Effective(_DATABASE, masked(address), "default" if address == _OWN_DATABASE else "set")
        ]
    return found


def _of(settings: Any, app: Flask) -> Iterator[Effective]:
    for field in fields(settings):
        key, value = PREFIX + field.name.upper(), getattr(settings, field.name)
        if key in app.config:
            origin = "set"
        else:
            made = not callable(field.default_factory) or value != field.default_factory()
            origin = "made for development" if made else "default"
        yield Effective(key, _hidden(value) if not field.repr else masked(value), origin)


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return MASK if value else ""
    return [_hidden(each) for each in value]


def masked(value: Any) -> Any:
    """A value for people to read: plain, without the passwords and keys that an address may hold."""
    if isinstance(value, str):
        return _IN_QUERY.sub(rf"\g<name>{MASK}", _IN_ADDRESS.sub(rf"\g<scheme>\g<user>:{MASK}@", value))
    if isinstance(value, Mapping):
        return {str(name): masked(each) for name, each in value.items()}
    if isinstance(value, Collection):
        return [masked(each) for each in value]
    return value

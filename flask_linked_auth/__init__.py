"""Accounts, tokens and guards for Flask services that share people. Names are imported when they are first used.

Pytest rewrites the assertions of packages with a plugin and warns if they are loaded already. There are none in here:
PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from . import errors, signals
    from .accounts import Accounts
    from .accounts.mail import Mail
    from .accounts.models import OneTimeLinkMixin, UserMixin
    from .apps import Apps
    from .extension import LinkedAuth
    from .globals import current_identity, current_user
    from .guards import Auth, ascope, public, scope
    from .http import json_errors, page, read_json, uncached
    from .identity import Identity
    from .links import Links
    from .links.client import Service
    from .links.link import Link
    from .openapi import describe
    from .state import Part
    from .tokens.models import LoginMixin

__all__ = [
    "Accounts",
    "Apps",
    "Auth",
    "Identity",
    "Link",
    "LinkedAuth",
    "Links",
    "LoginMixin",
    "Mail",
    "OneTimeLinkMixin",
    "Part",
    "Service",
    "UserMixin",
    "ascope",
    "current_identity",
    "current_user",
    "describe",
    "errors",
    "json_errors",
    "page",
    "public",
    "read_json",
    "scope",
    "signals",
    "uncached",
]


_HOME = {
    "Accounts": "accounts",
    "Apps": "apps",
    "Auth": "guards",
    "Identity": "identity",
    "Link": "links.link",
    "LinkedAuth": "extension",
    "Links": "links",
    "LoginMixin": "tokens.models",
    "Mail": "accounts.mail",
    "OneTimeLinkMixin": "accounts.models",
    "Part": "state",
    "Service": "links.client",
    "UserMixin": "accounts.models",
    "ascope": "guards",
    "current_identity": "globals",
    "current_user": "globals",
    "describe": "openapi",
    "json_errors": "http",
    "page": "http",
    "public": "guards",
    "read_json": "http",
    "scope": "guards",
    "uncached": "http",
}


def __getattr__(name: str) -> Any:
    if name in {"errors", "signals"}:
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

"""The three configurations of the time tracker, read from the environment when an app is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from flask_linked_auth.errors import SettingsError

__all__ = ["DevelopmentConfig", "ProductionConfig", "TestingConfig", "load_config"]


class Config:
    """What the configurations share. `database` is the address to use when the environment names none."""

    database_variable = "DATABASE_URL"
    database = "sqlite:///timetracker.db"  # in the instance folder
    ENVIRONMENT: str

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.PORT = _number(environ, "PORT", 5001)
        self.PROXY_HOPS = _number(environ, "PROXY_HOPS", 0)
        self.SQLALCHEMY_DATABASE_URI = _database_url(environ, self.database_variable) or self.database
        self.SQLALCHEMY_ENGINE_OPTIONS = _engine_options(self.SQLALCHEMY_DATABASE_URI)
        self.LINKED_AUTH_NAME = environ.get("LINKED_AUTH_NAME") or "timetracker"
        self.LINKED_AUTH_ISSUER = environ.get("LINKED_AUTH_ISSUER") or f"http://localhost:{self.PORT}"
        given = {
            "LINKED_AUTH_SECRET": environ.get("LINKED_AUTH_SECRET"),
            "LINKED_AUTH_SECRET_FALLBACKS": _listed(environ, "LINKED_AUTH_SECRET_FALLBACKS"),
            "LINKED_AUTH_ENCRYPTION_KEYS": _listed(environ, "LINKED_AUTH_ENCRYPTION_KEYS"),
            "LINKED_AUTH_RATE_LIMIT_STORAGE": environ.get("REDIS_URL"),
            "LINKED_AUTH_NONCE_STORE": environ.get("REDIS_URL"),
            "LINKED_AUTH_AUTHORITIES": _listed(environ, "LINKED_AUTH_AUTHORITIES"),
        }
        for key, value in given.items():
            if value:  # what is not set keeps the default of flask_linked_auth
                setattr(self, key, value)


class DevelopmentConfig(Config):
    """For one's own machine: a SQLite file in the instance folder, and a secret made and kept there."""

    ENVIRONMENT = "development"
    DEBUG = True


class TestingConfig(Config):
    """For tests: a database in memory, or DATABASE_TEST_URL, with cheap hashes and no rate limits."""

    ENVIRONMENT = "testing"
    TESTING = True
    LINKED_AUTH_BCRYPT_COST = 4
    LINKED_AUTH_RATE_LIMITS = None
    database_variable = "DATABASE_TEST_URL"
    database = "sqlite://"


class ProductionConfig(Config):
    """For the world. Raises SettingsError that names every variable that is missing."""

    ENVIRONMENT = "production"
    LINKED_AUTH_RECOVERY = False  # it sends no mail, and nobody shall wait for some

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        wanted = ("DATABASE_URL", "LINKED_AUTH_ISSUER", "LINKED_AUTH_SECRET")
        missing = [name for name in wanted if not environ.get(name)]
        if missing:
            raise SettingsError(
                f"The time tracker does not start in production without {', '.join(missing)} in the environment."
                " example_timetracker/README.md says what they are and how to make a secret."
            )
        super().__init__(environ)


_BY_NAME: dict[str, type[Config]] = {
    kind.ENVIRONMENT: kind for kind in (DevelopmentConfig, TestingConfig, ProductionConfig)
}


def load_config(name: str) -> Config:
    """The configuration of this name, read from the environment now. Raises SettingsError."""
    if name not in _BY_NAME:
        raise SettingsError(f"There is no configuration {name!r}; APP_ENV is one of {', '.join(_BY_NAME)}.")
    return _BY_NAME[name]()


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise SettingsError(f"{name} must be a whole number.")
    return int(text)


def _listed(environ: Mapping[str, str], name: str) -> list[str]:
    return [each.strip() for each in environ.get(name, "").split(",") if each.strip()]


def _database_url(environ: Mapping[str, str], name: str) -> str | None:
    """The address in this variable, with the driver that we bring: hosts write `postgres://` or `postgresql://`."""
    text = environ.get(name)
    if not text:
        return None
    try:
        url = make_url(text)
    except ArgumentError:
        raise SettingsError(f"{name} is not the address of a database.") from None  # it may hold a password
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


def _engine_options(url: str) -> dict[str, Any]:
    """Answer soon when the database is gone, and find it again when it is back."""
    options: dict[str, Any] = {"hide_parameters": True}  # they would show people's data in the log
    if url.startswith("postgresql"):
        # The last four give up a connection on which nothing comes back, not even an acknowledgement.
        patience = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2}
        patience |= {"connect_timeout": 5, "tcp_user_timeout": 5000}
        options |= {"pool_pre_ping": True, "pool_timeout": 5, "connect_args": patience}
    return options

"""The row classes in use: the host's where it gave one, ours otherwise; made once per `db`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import inspect
from sqlalchemy.orm import DeclarativeBase, Mapper

from .errors import SettingsError
from .tokens.models import (
    LoginMixin,
    RevocationCounterMixin,
    RevocationMixin,
    Rows,
    SigningKeyMixin,
)
from .tokens.standing import watch_users

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

__all__ = ["rows_for"]

_made: WeakKeyDictionary[SQLAlchemy, Rows] = WeakKeyDictionary()


def rows_for(db: SQLAlchemy, given: Mapping[str, type[Any]]) -> Rows:
    """The row classes over `db.metadata`: those `given` by field name, the rest made now or at an earlier call.

    Raises SettingsError for an unknown name, for a host table whose name we would take, and when the same `db`
    was already set up with other classes.
    """
    names = {f.name for f in fields(Rows)}
    for name in given.keys() - names:
        raise SettingsError(
            f"There is no row class {name!r}; those that can be replaced are {', '.join(sorted(names))}."
        )
    if (made := _made.get(db)) is not None:
        for name, model in given.items():
            if getattr(made, name) is not model:
                raise SettingsError(f"This SQLAlchemy object is already in use with another {name} class.")
        return made
    for name, model in given.items():
        _check_mapped(db, name, model)
    base = type("LinkedAuthBase", (DeclarativeBase,), {"metadata": db.metadata})
    user = given.get("User") or _declare_user(base)
    rows: dict[str, Callable[[], type[Any]]] = {
        "Login": lambda: _declare(base, LoginMixin, "login", "pass Login=", __user_model__=user),
        "SigningKey": lambda: _declare(base, SigningKeyMixin, "signing_key", "pass SigningKey="),
        "Revocation": lambda: _declare(base, RevocationMixin, "revocation", "pass Revocation="),
        "RevocationCounter": lambda: _declare(
            base, RevocationCounterMixin, "revocation_counter", "pass RevocationCounter="
        ),
        "OneTimeLink": lambda: _declare_link(base, user),
    }
    _made[db] = Rows(User=user, **{name: given.get(name) or make() for name, make in rows.items()})
    watch_users(_made[db])
    return _made[db]


def _check_mapped(db: SQLAlchemy, name: str, model: Any) -> None:
    """Refuse what is no mapped class, or lies in another metadata: its table would never be made beside ours."""
    argument = "user_model" if name == "User" else name
    mapper = inspect(model, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise SettingsError(f"{argument}= wants a mapped class, such as class {name}({name}Mixin, db.Model).")
    metadata = getattr(mapper.local_table, "metadata", None)
    if not any(metadata is each for each in db.metadatas.values()):
        raise SettingsError(
            f"{argument}={model.__name__} belongs to another SQLAlchemy object: pass the one it was declared with,"
            " as db=."
        )


def _declare_user(base: type[Any]) -> type[Any]:
    from .accounts.models import UserMixin  # a host with its own user needs nothing of ours

    return _declare(base, UserMixin, "user", "pass your model as user_model=")


def _declare_link(base: type[Any], user: type[Any]) -> type[Any]:
    from .accounts.models import OneTimeLinkMixin

    return _declare(base, OneTimeLinkMixin, "one_time_link", "pass OneTimeLink=", __user_model__=user)


def _declare(base: type[Any], mixin: type[Any], table: str, advice: str, **extra: Any) -> type[Any]:
    if table in base.metadata.tables:
        raise SettingsError(
            f"Your metadata already has a table {table!r}; {advice} if it is meant to be used."
        )
    name = mixin.__name__.removesuffix("Mixin")
    return type(name, (mixin, base), {"__tablename__": table, "__module__": __name__, **extra})

"""The row classes in use: the host's where it gave one, ours otherwise; made once per `db`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import inspect
from sqlalchemy.orm import DeclarativeBase, Mapper

from .errors import SettingsError
from .tokens.models import Rows
from .tokens.standing import watch_users

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

__all__ = ["rows_for"]

#: Every row class: the part it belongs to ("" for none), the module of its mixin, and the table that it takes.
_KNOWN: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "User": ("", "accounts.models", "user"),
        "Login": ("", "tokens.models", "login"),
        "SigningKey": ("", "tokens.models", "signing_key"),
        "Revocation": ("", "tokens.models", "revocation"),
        "RevocationCounter": ("", "tokens.models", "revocation_counter"),
        "OneTimeLink": ("accounts", "accounts.models", "one_time_link"),
        "LinkedApp": ("apps", "apps.models", "linked_app"),
        "AppKey": ("apps", "apps.models", "app_key"),
        "Scope": ("apps", "apps.models", "scope"),
        "AppScope": ("apps", "apps.models", "app_scope"),
        "Agreement": ("apps", "apps.models", "agreement"),
        "LinkedPerson": ("links", "links.models", "linked_person"),
        "UsedNonce": ("links", "links.models", "used_nonce"),
        "PairingCode": ("links", "links.models", "pairing_code"),
        "OneTimeToken": ("links", "links.models", "one_time_token"),
    }
)
_made: WeakKeyDictionary[SQLAlchemy, tuple[Rows, type[Any]]] = WeakKeyDictionary()


def rows_for(db: SQLAlchemy, given: Mapping[str, type[Any]], parts: Collection[str]) -> Rows:
    """The row classes over `db.metadata` that `parts` use: those `given` by name, the rest made now or earlier.

    Raises SettingsError for an unknown name, for a host table whose name we would take, and when the same `db`
    was already set up with other classes.
    """
    for name in given.keys() - _KNOWN.keys():
        raise SettingsError(
            f"There is no row class {name!r}; those that can be replaced are {', '.join(sorted(_KNOWN))}."
        )
    made = _made.get(db)
    for name, model in given.items():
        if made is not None and name in made[0] and getattr(made[0], name) is not model:
            raise SettingsError(f"This SQLAlchemy object is already in use with another {name} class.")
        _check_mapped(db, name, model)
    if made is None:
        base = type("LinkedAuthBase", (DeclarativeBase,), {"metadata": db.metadata})
        rows = Rows({"User": given.get("User") or _declare(Rows({}), base, "User")})
    else:
        rows, base = made
    for name, (part, _, _) in _KNOWN.items():
        if name not in rows and (not part or part in parts):
            rows.add(name, given.get(name) or _declare(rows, base, name))
    _made[db] = (rows, base)
    if made is None:
        watch_users(rows)
    return rows


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


def _declare(rows: Rows, base: type[Any], name: str) -> type[Any]:
    _, module, table = _KNOWN[name]
    if table in base.metadata.tables:
        advice = "pass your model as user_model=" if name == "User" else f"pass {name}="
        raise SettingsError(
            f"Your metadata already has a table {table!r}; {advice} if it is meant to be used."
        )
    # Imported only where they are needed: a host with its own user needs nothing of ours.
    mixin = getattr(import_module(f".{module}", __package__), f"{name}Mixin")
    values = {"__tablename__": table, "__module__": __name__}
    owners = {"__user_model__": "User", "__linked_app__": "LinkedApp"}
    extra = {key: getattr(rows, owner) for key, owner in owners.items() if owner in rows}
    return type(name, (mixin, base), {**values, **extra})

"""The database object of the blog, and how it is set up on an app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, event
from sqlalchemy.orm import DeclarativeBase

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["db", "init_database"]

# A constraint with a known name can be changed by a later migration, on SQLite too.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What every row of the blog is."""

    metadata = MetaData(naming_convention=NAMES)


db = SQLAlchemy(model_class=Base)


def init_database(app: Flask) -> None:
    """Set up `db` on an app."""
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _enforce_foreign_keys)


def _enforce_foreign_keys(connection: Any, record: Any) -> None:  # noqa: ARG001 - SQLAlchemy gives both
    connection.execute("PRAGMA foreign_keys = ON")  # SQLite leaves them alone unless asked

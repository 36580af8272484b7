"""The database object of the time tracker, how it is set up on an app, and moments as it keeps them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, MetaData, TypeDecorator, event
from sqlalchemy.orm import DeclarativeBase

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["Moment", "db", "init_database", "now"]

# A constraint with a known name can be changed by a later migration, on SQLite too.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What every row of the time tracker is."""

    metadata = MetaData(naming_convention=NAMES)


class Moment(TypeDecorator[datetime]):
    """A moment, stored in UTC and read with its zone. SQLite drops zones and compares texts, so all must have one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """To the database. Raises ValueError for a moment without a zone, which could be any of 26 hours."""
        if value is not None and value.tzinfo is None:
            raise ValueError("A moment needs a time zone.")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


db = SQLAlchemy(model_class=Base)


def now() -> datetime:
    """The moment, to the second: that is how exactly time is tracked."""
    return datetime.now(UTC).replace(microsecond=0)


def init_database(app: Flask) -> None:
    """Set up `db` on an app."""
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _enforce_foreign_keys)


def _enforce_foreign_keys(connection: Any, record: Any) -> None:  # noqa: ARG001 - SQLAlchemy gives both
    connection.execute("PRAGMA foreign_keys = ON")  # SQLite leaves them alone unless asked

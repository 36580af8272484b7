"""The people of the time tracker: their accounts are those of flask_linked_auth."""

from __future__ import annotations

from flask_linked_auth import UserMixin

from .database import db

__all__ = ["User"]


class User(UserMixin, db.Model):  # type: ignore[name-defined,misc] # Flask-SQLAlchemy's own gap
    """A person. Whoever leaves takes their tracks along, and leaves behind the activities that others use too."""

    __tablename__ = "users"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 # nobody inherits the key of one who left

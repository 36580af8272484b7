"""The people of the time tracker: their accounts are those of flask_linked_auth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_linked_auth import UserMixin, signals
from flask_linked_auth.links.joining import join_person

from .database import db

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["User", "meet_through_apps"]


class User(UserMixin, db.Model):  # type: ignore[name-defined,misc] # Flask-SQLAlchemy's own gap
    """A person. Whoever leaves takes their tracks along, and leaves behind the activities that others use too."""

    __tablename__ = "users"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 # nobody inherits the key of one who left


def meet_through_apps(app: Flask) -> None:
    """Let who agrees to an app be known by it at once, if both sides have verified the same address.

    Else they would wait for the next `people sync`, and wonder why the app is still not let in. Only apps that the
    operator lets join people by e-mail address are asked.
    """

    @signals.agreement_accepted.connect_via(app, weak=False)
    def join(app: Flask, user_id: int, app_id: str, **_facts: Any) -> None:  # noqa: ARG001 - blinker gives both
        join_person(app_id, user_id)

"""The people of the blog: their rows, and the older paths for them, answered by flask_linked_auth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from flask_linked_auth import UserMixin, uncached
from flask_linked_auth.accounts import routes

from .database import db

if TYPE_CHECKING:
    from flask.typing import RouteCallable

__all__ = ["User", "blueprint"]


class User(UserMixin, db.Model):  # type: ignore[name-defined,misc] # Flask-SQLAlchemy's own gap
    """A person. Whoever leaves takes their posts along."""

    __tablename__ = "users"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 # nobody inherits the key of one who left


blueprint = Blueprint("people", __name__)
blueprint.after_request(uncached)  # some of these answers hold tokens

PATHS: list[tuple[str, str, RouteCallable]] = [
    ("POST", "/", routes.register),
    ("POST", "/login", routes.login),
    ("GET", "/", routes.list_users),
    ("GET", "/<user_id>", routes.show_user),
    ("GET", "/me", routes.me),
    ("PUT", "/me", routes.change_me),  # an older client's PUT changes what it is given, and so does PATCH
    ("PATCH", "/me", routes.change_me),
    ("DELETE", "/me", routes.delete_me),
]
for method, path, view in PATHS:
    blueprint.add_url_rule(path, view_func=view, methods=[method], strict_slashes=False)

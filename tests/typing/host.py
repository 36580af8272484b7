"""A typed host: what a type checker must accept, with the types it must see (`make types`; never run)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, assert_type

from flask import Blueprint, Flask
from flask.views import MethodView
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_linked_auth import (
    Accounts,
    Auth,
    Identity,
    LinkedAuth,
    Part,
    UserMixin,
    __version__,
    ascope,
    current_identity,
    errors,
    public,
    scope,
    signals,
)


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class User(UserMixin, db.Model):  # type: ignore[name-defined,misc] # Flask-SQLAlchemy's own gap
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)


auth = LinkedAuth(db=db, user_model=User, parts=[Accounts()])
parts: list[Part] = [Accounts()]
guards_only = LinkedAuth(Flask("guards"), parts=[])
blueprint = Blueprint("posts", __name__)


def create_app() -> Flask:
    app = Flask(__name__)
    db.init_app(app)
    auth.init_app(app)
    Auth.protect(app)
    Auth.protect(blueprint)
    return app


# A guard keeps the view's parameters and what it returns.


@blueprint.get("/posts/<int:number>")
@Auth.auth_required
def read(number: int) -> dict[str, int]:
    return {"number": number}


@Auth.auth_required(fresh=timedelta(minutes=5), optional=True)
def delete(number: int) -> str:
    return str(number)


@scope(["read:posts", "write:posts"], any_of=True)
def listing() -> list[str]:
    return []


@ascope(["read:posts"], mode="jwt")
async def later(number: int) -> int:
    return number


@public
def welcome() -> str:
    return __version__


class Posts(MethodView):
    @Auth.auth_required
    def get(self, number: int) -> int:
        return number


assert_type(read(1), dict[str, int])
assert_type(delete(number=1), str)
assert_type(listing(), list[str])
assert_type(welcome(), str)
assert_type(Posts().get(1), int)
typed_view: Callable[[int], Awaitable[int]] = later

# Tokens and identities.

assert_type(Auth.generate_token(1), str)
assert_type(Auth.generate_token(User(email="ada@example.com")), str)
assert_type(Auth.decode_token("token"), Mapping[str, Any])
assert_type(current_identity, Identity)
assert_type(current_identity.scopes, frozenset[str] | None)


@auth.user_scopes
def scopes_of(user: User) -> list[str]:
    return ["read:posts"]


@auth.claims
async def claims_of(user: User) -> dict[str, str]:
    return {"plan": "free"}


assert_type(scopes_of(User()), list[str])


def answer(error: errors.Problem) -> int:
    return error.status


# What a type checker must refuse: `warn_unused_ignores` makes a missing complaint an error.

read("1")  # type: ignore[arg-type]
scope("read:posts")  # type: ignore[arg-type]
scope(["read:posts"], mode="link")  # type: ignore[arg-type]
Auth.auth_required(fresh="300")  # type: ignore[call-overload]
LinkedAuth(parts=["accounts"])  # type: ignore[list-item]
signals.no_such_signal  # type: ignore[attr-defined] # noqa: B018

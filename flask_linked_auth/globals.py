"""What a view reads: `current_identity`, `current_user`, and the state of the extension on the current app."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flask import g, request
from flask.globals import app_ctx
from werkzeug.local import LocalProxy

from .errors import UnknownUser

if TYPE_CHECKING:
    from flask import Flask

    from .identity import Identity
    from .state import State

__all__ = ["UserProxy", "current_identity", "current_state", "current_user", "publish"]


# Every use of `g`, `current_app` or `request` is a look-up of its own; a guard makes these two.
app_context = app_ctx._get_current_object  # type: ignore[attr-defined]
this_request = request._get_current_object  # type: ignore[attr-defined]


def current_state() -> State:
    """The extension's state on the current app. Raises RuntimeError with advice if there is none."""
    return state_of(app_context().app)


def state_of(app: Flask) -> State:
    """The extension's state on this app. Raises RuntimeError with advice if there is none."""
    state: State | None = app.extensions.get("linked_auth")
    if state is None:
        raise RuntimeError(
            "This app has no LinkedAuth: call LinkedAuth(app), or auth.init_app(app) in your factory,"
            " before the first request."
        )
    return state


class UserProxy:
    """The local person, loaded at the first attribute that is more than `id`. Readable by attribute and by key.

    Equal to the person's row, and to another proxy for the same person. In sets and as keys, use `id`: a row is
    hashed as the host's model does.

    Reading an attribute raises UnknownUser if the person is gone or was deactivated in the meantime, Unavailable if
    the database is out of reach, and AttributeError (by key, KeyError) for a column that the model lacks, and for all
    but `id` in a service without a database.
    """

    __slots__ = ("_row", "_state", "id")
    id: Any

    def __init__(self, state: State, user_id: Any) -> None:
        _set_state(self, state)
        _set_row(self, None)
        _set_id(self, user_id)

    def row(self) -> Any:
        """The mapped object itself, for use with the ORM; one query at most."""
        row, database = self._row, self._state.database
        if database is None:
            raise AttributeError("This service has no users of its own: only g.user.id is known here.")
        if row is None or database.is_detached(row):
            row = database.load_user(self.id)
            if row is None:
                raise UnknownUser("This person has no account any more.")
            _set_row(self, row)
        return row

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in self.__slots__:
            raise AttributeError(name)  # the latter only in a copy that is not filled yet
        return getattr(self.row(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.row(), name, value)

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, UserProxy):
            return bool(other.id == self.id and other._state is self._state)
        database = self._state.database
        # Not whatever has an `id`: a post with the same number is not the person.
        if database is None or not isinstance(other, database.rows.User):
            return NotImplemented
        return bool(database.key_of(other) == self.id)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<user {self.id}>"


# Past __setattr__, which writes to the row; and one is made for each request, so by the shortest way.
_set_state, _set_row, _set_id = (getattr(UserProxy, name).__set__ for name in ("_state", "_row", "id"))


def publish(slots: dict[str, Any], state: State, identity: Identity) -> None:
    """Put a wholly verified identity on `g` (given as its namespace): identity, user, app, token, get_user."""
    user = None if identity.user_id is None else UserProxy(state, identity.user_id)
    slots["identity"] = identity
    slots["user"] = user
    slots["app"] = identity.app
    slots["token"] = identity.claims
    if identity.app is not None and (ask := state.readers_of_people.get(identity.method)) is not None:
        slots["get_user"] = partial(ask, identity)
    else:
        slots["get_user"] = _nobody if user is None or state.database is None else user.row


def publish_nobody(slots: dict[str, Any]) -> None:
    """Put on `g` that the request carries no credential, where that is allowed."""
    slots.update(identity=None, user=None, app=None, token=None, get_user=_nobody)


def _nobody() -> None:
    return None


#: The Identity of the request, or None outside a guard.
current_identity: Identity = LocalProxy(lambda: g.get("identity"))  # type: ignore[assignment]
#: The person of the request as on `g.user`, or None outside a guard.
current_user: Any = LocalProxy(lambda: g.get("user"))

"""The other half of the Django site: a live Flask app on this package, with the same views under our own guards."""

from __future__ import annotations

import functools
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
from flask import Flask, g, request
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_linked_auth import ascope, scope
from tests.tiny import make_app, state_of

if TYPE_CHECKING:
    from flask_linked_auth import LinkedAuth

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
READ = ["read:posts"]


def _person(user: Any) -> dict[str, Any] | None:
    return None if user is None else {"id": user.id, "email": user.email}


def _told(person: Any) -> dict[str, Any]:
    """What a guarded view knows, in the words of `django_site/views.py`."""
    identity, app = g.identity, g.get("app")
    return {
        "app": app and app.slug,
        "sub": g.token and g.token["sub"],
        "user": _person(person),
        "known": g.user and g.user.id,
        "kind": identity.kind,
        "by": identity.method,
        "params": request.args.to_dict(flat=False),
        "data": request.get_json(silent=True),
    }


def _given(app: Any, token: Any) -> dict[str, Any]:
    """All that a view can find on the app that calls, and on its token."""
    names = [name for name in dir(app) if not name.startswith("_")]
    return {"app": {name: str(getattr(app, name)) for name in names}, "shown": [repr(app), repr(token)]}


def _answer() -> dict[str, Any]:
    return _told(g.get_user() if "get_user" in request.args else None)


async def _answer_async() -> dict[str, Any]:
    return _told(await g.get_user() if "get_user" in request.args else None)


#: The view under each guard, by the last part of its path; the same names as at the Django site.
GUARDED: Mapping[str, Callable[..., Any]] = {
    "function": scope(READ)(_answer),
    "async": ascope(READ)(_answer_async),
    "jwt": scope(READ, mode="jwt")(_answer),
    "signature": scope(READ, mode="signature")(_answer),
    "async-signature": ascope(READ, mode="signature")(_answer_async),
    "other": scope(["write:posts"])(_answer),
    "both": scope(["read:posts", "write:posts"])(_answer),
    "given": scope(READ)(_given),
}


def make_pair(name: str, folder: Path, auth: LinkedAuth | None = None, **settings: Any) -> Flask:
    """An app called `name`, with its tables, on a database of its own in the folder."""
    file = folder / f"{name}.db"
    if auth is None and not file.exists():
        shutil.copy(_empty_database(), file)
    app = make_app(auth, database=f"sqlite:///{file}", LINKED_AUTH_NAME=name, **settings)
    for last, view in GUARDED.items():
        app.add_url_rule(f"/posts/{last}", last, view, methods=METHODS)
    return app


@functools.cache
def _empty_database() -> Path:
    """A file with our tables: copying it takes less than making them."""
    file = Path(tempfile.mkdtemp()) / "empty.db"
    app = make_app(database=f"sqlite:///{file}")
    with app.app_context():
        state_of(app).database_in_use().db.engine.dispose()
    return file


class Asked(NamedTuple):
    """A request as it came, and the status of the answer."""

    method: str
    target: str
    status: int


@dataclass
class Pair:
    """A Flask app that listens."""

    app: Flask
    address: str
    asked: list[Asked] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its slug in the eyes of others."""
        return str(self.app.config["LINKED_AUTH_NAME"])

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """One request from outside."""
        return requests.request(method, self.address + path, headers=headers, timeout=60, **options)


@contextmanager
def open_pair(name: str, folder: Path, auth: LinkedAuth | None = None, **settings: Any) -> Iterator[Pair]:
    """The app on a free port of this machine, in threads of this process; it notes what it is asked."""
    asked: list[Asked] = []

    class Noting(WSGIRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            asked.append(Asked(self.command, self.path, int(code)))

    server = make_server("127.0.0.1", 0, Flask("later"), threaded=True, request_handler=Noting)
    address = f"http://127.0.0.1:{server.server_port}"
    server.app = app = make_pair(name, folder, auth, **{"issuer": address, **settings})
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Pair(app, address, asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

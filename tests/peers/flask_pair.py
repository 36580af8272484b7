"""The other half of the Django site: a live Flask app on this package, with the same views under our own guards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from flask import Flask, g, request
from werkzeug.serving import make_server

from flask_linked_auth import ascope, scope
from tests.tiny import make_app

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
        "kind": identity.kind,
        "by": identity.method,
        "params": request.args.to_dict(flat=False),
        "data": request.get_json(silent=True),
    }


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
    "other": scope(["write:posts"])(_answer),
}


def make_pair(name: str, folder: Path, **settings: Any) -> Flask:
    """An app called `name`, with its tables, on a database of its own in the folder."""
    app = make_app(database=f"sqlite:///{folder / name}.db", LINKED_AUTH_NAME=name, **settings)
    for last, view in GUARDED.items():
        app.add_url_rule(f"/posts/{last}", last, view, methods=METHODS)
    return app


@dataclass
class Pair:
    """A Flask app that listens."""

    app: Flask
    address: str

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
def open_pair(name: str, folder: Path, **settings: Any) -> Iterator[Pair]:
    """The app on a free port of this machine, in threads of this process."""
    app = make_pair(name, folder, **settings)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Pair(app, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

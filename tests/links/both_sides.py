"""Two services on ports of their own that know each other, as the tests of links have them."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flask import Flask, g
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from flask_linked_auth import Accounts, LinkedAuth, ascope, scope
from flask_linked_auth.apps import Apps
from flask_linked_auth.apps.agreements import agree
from flask_linked_auth.apps.changes import (
    change_app,
    define_scopes,
    find_app,
    register_app,
    set_app_scopes,
)
from flask_linked_auth.apps.keys import NewKey, add_key
from flask_linked_auth.links import Links
from flask_linked_auth.links.client import Service
from flask_linked_auth.links.keys import Algorithm, LinkKey, dump_key, generate_key
from flask_linked_auth.links.link import Link
from flask_linked_auth.links.people import link_person
from flask_linked_auth.transactions import Transaction, commit
from tests.tiny import Person, edit, in_database, make_app, register, state_of

if TYPE_CHECKING:
    from click.testing import Result

Dialect = Literal["link", "signature"]
SCOPES = [
    {"slug": "read:user", "description": "See who people are."},
    {"slug": "read:token", "description": "Learn who brought a token."},
    {"slug": "read:tracks", "description": "See their tracks."},
]


@functools.cache
def shared() -> LinkedAuth:
    return LinkedAuth(parts=[Accounts(), Apps(), Links()])


@dataclass
class Running:
    """A service that listens."""

    app: Flask
    server: BaseWSGIServer
    name: str

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def run(self, *words: str, typed: str | None = None) -> Result:
        """A command of `flask linked-auth` in this service."""
        return self.app.test_cli_runner().invoke(args=["linked-auth", *words], input=typed)

    def done(self, *words: str, typed: str | None = None) -> str:
        """The output of a command that succeeds."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 0, (result.output, result.exception)
        return str(result.stdout)

    def json(self, *words: str, typed: str | None = None) -> Any:
        """What a command says for programs."""
        return json.loads(self.done(*words, "--json", typed=typed))

    def fails(self, *words: str, typed: str | None = None) -> str:
        """The complaint of a command that fails in a civil way."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 1, (result.output, result.exception)
        assert isinstance(result.exception, SystemExit)
        return str(result.output).partition("Error: ")[2].strip()

    def rows(self, name: str) -> list[Any]:
        """All rows of a class."""
        with in_database(self.app) as (db, rows):
            return list(db.session.query(getattr(rows, name)).all())

    def do(self, deed: Any) -> Any:
        """Run a deed in the service, and commit."""
        with self.app.app_context():
            return commit(state_of(self.app), deed)

    def link_to(self, slug: str) -> Link:
        with self.app.app_context():
            link = state_of(self.app).parts["links"].link_to(slug)
            assert isinstance(link, Link)
            return link

    def person(self, email: str = "ana@example.com", *, verified: bool = True, **more: Any) -> Person:
        """Somebody with an account here; mail to the address reaches them."""
        person = register(self.app, email, **more)
        with in_database(self.app) as (db, rows):
            db.session.get_one(rows.User, person.id).email_verified = verified
            db.session.commit()
        return person

    def call(
        self, other: Running, path: str, user: Any = None, *, method: str = "GET", **options: Any
    ) -> Any:
        """Call the other service, for a person of ours or for this service itself."""
        with Service(self.link_to(other.name), user, mode=options.pop("mode", None)) as there:
            return there.request(method, path, **options)

    def knows(self, other: Running, person: Person, external_id: Any) -> None:
        """Note who this person of ours is over there."""
        self.do(lambda deed: link_person(deed, find_app(deed, other.name), person.id, str(external_id)))

    def agreed(self, other: Running, person: Person, *optional: str) -> None:
        """A person of ours agrees to the other service, as it is now."""
        self.do(lambda deed: agree(deed, find_app(deed, other.name), person.id, accepted=optional))

    def change(self, other: Running, **fields: Any) -> None:
        """Change what the other service is here."""
        self.do(lambda deed: change_app(deed, find_app(deed, other.name), **fields))

    def people_of(self, slug: str) -> dict[str, Any]:
        """Who of the app's people is who here, by their ids."""
        with in_database(self.app) as (db, rows):
            app = db.session.query(rows.LinkedApp).filter_by(slug=slug).one()
            found = db.session.query(rows.LinkedPerson).filter_by(app_id=app.id)
            return {each.external_id: each.user_id for each in found}


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.0"  # no thread waits for a further request when the test is over

    def log(self, *args: Any) -> None:
        pass


@contextmanager
def running(
    name: str, folder: Path, auth: LinkedAuth | None = None, database: str = "", **settings: Any
) -> Iterator[Running]:
    """A service of this name on a free port, which its issuer says; at `/who` it tells for whom it is called."""
    with listening() as server:
        given = {"name": name, "issuer": f"http://127.0.0.1:{server.server_port}", **settings}
        if not database:
            database = f"sqlite:///{folder / name}.db"
            if auth is None and not (folder / f"{name}.db").exists():
                shutil.copy(_empty_database(), folder / f"{name}.db")
        app = make_app(auth or shared(), database=database, **given)
        add_views(app)
        server.app = app
        yield Running(app, server, name)


@contextmanager
def listening(app: Any = None) -> Iterator[BaseWSGIServer]:
    """A server on a free port, for an app that may be set later."""
    server = make_server("127.0.0.1", 0, app or Flask("later"), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@functools.cache
def _empty_database() -> Path:
    """A file with our tables: copying it takes less than making them."""
    file = Path(tempfile.mkdtemp()) / "empty.db"
    app = make_app(shared(), database=f"sqlite:///{file}")
    with app.app_context():
        state_of(app).database_in_use().db.engine.dispose()
    return file


def add_views(app: Flask) -> None:
    def told(row: Any) -> dict[str, Any]:
        known = None if g.user is None else g.user.id
        return {"known": known, "found": None if row is None else row.id}

    @app.get("/who")
    @scope(["read:tracks"])
    def who() -> Any:
        return told(g.get_user())

    @app.get("/who-later")
    @ascope(["read:tracks"])
    async def who_later() -> Any:
        return told(await g.get_user())


def acquaint(
    here: Running,
    there: Running,
    *,
    algorithm: Algorithm = "EdDSA",
    required: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    **fields: Any,
) -> None:
    """Let `here` know `there`, each with keys of its own for calls in both directions; call it once for both sides."""
    here.do(lambda deed: _know(deed, there, required=required, optional=optional, fields=fields))
    there.do(lambda deed: _know(deed, here, required=(), optional=(), fields={"needs_agreement": False}))
    for caller, called in ((here, there), (there, here)):
        for dialect in ("link", "signature"):
            key = generate_key(algorithm)
            caller.do(functools.partial(_add, slug=called.name, use=f"{dialect}_out", key=key))
            public = key if algorithm != "EdDSA" else key.public()
            called.do(functools.partial(_add, slug=caller.name, use=f"{dialect}_in", key=public))


def _know(deed: Transaction, other: Running, *, required: Any, optional: Any, fields: Any) -> None:
    define_scopes(deed, SCOPES)
    app = register_app(deed, other.name, address=other.address, **fields)
    set_app_scopes(deed, app, required=required, optional=optional)


def _add(deed: Transaction, *, slug: str, use: str, key: LinkKey) -> None:
    add_key(deed, find_app(deed, slug), use, NewKey(key.algorithm, dump_key(key), key.id))


__all__ = ["Running", "acquaint", "edit", "running", "shared"]

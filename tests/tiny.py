"""The tiny apps that the tests' stories play on, the people in them, and what an answer must look like."""

from __future__ import annotations

import functools
import logging
import re
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask
from sqlalchemy import event

from flask_linked_auth import LinkedAuth, signals
from flask_linked_auth.state import State

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from flask_sqlalchemy import SQLAlchemy
    from werkzeug.test import TestResponse

    from flask_linked_auth import Mail

PASSWORD = "violet-kettle-harbour-93"
OTHER_PASSWORD = "amber-lantern-meadow-48"
SECRET = "dFh3kQ9-tiny-apps-only-Zx81_vLmPq02sYt7"
OTHER_SECRET = "b7Wq_Lr5-somebody-elses-0eKx93TnVhYcAu"
ISSUER = "http://localhost:5000"
#: No waiting for bcrypt and for limits, where neither is what a test is about.
QUICK: dict[str, Any] = {"LINKED_AUTH_BCRYPT_COST": 4, "LINKED_AUTH_RATE_LIMITS": None}


def bare_app(name: str = "tiny", *, database: str | None = None, **settings: Any) -> Flask:
    """An app under test with settings (`interval=0` stands for LINKED_AUTH_INTERVAL), and no extension yet."""
    app = Flask(name)
    app.testing = True
    app.config["LINKED_AUTH_SECRET"] = SECRET
    if database is not None:
        app.config["SQLALCHEMY_DATABASE_URI"] = database
    for key, value in settings.items():
        app.config[key if key.isupper() else f"LINKED_AUTH_{key.upper()}"] = value
    return app


def make_app(auth: LinkedAuth | None = None, *, database: str = "sqlite://", **settings: Any) -> Flask:
    """An app with accounts; its tables exist."""
    app = bare_app(database=database, **{**QUICK, **settings})
    auth = auth or shared()
    if auth.db is not None and not auth._own_db:
        auth.db.init_app(app)
    auth.init_app(app)
    if auth.db is not None:
        create_tables(app, auth.db)
    return app


@functools.cache
def shared() -> LinkedAuth:
    """One object for every app that needs nothing special: mapping its rows takes longer than a test."""
    return LinkedAuth()


def create_tables(app: Flask, db: SQLAlchemy) -> None:
    """Create what is missing; and close the connections when the app is gone."""
    with app.app_context():
        db.metadata.create_all(db.engine)
        weakref.finalize(app, db.engine.dispose)


def state_of(app: Flask) -> State:
    state = app.extensions["linked_auth"]
    assert isinstance(state, State)
    return state


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Person:
    """Somebody with an account, and what their client was last given."""

    app: Flask
    given: dict[str, Any]

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def id(self) -> Any:
        return self.given["user_id"]

    @property
    def access(self) -> str:
        return str(self.given["access_token"])

    @property
    def refresh_token(self) -> str:
        return str(self.given["refresh_token"])

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        """A request with the access token."""
        headers = {**bearer(self.access), **options.pop("headers", {})}
        return self.client.open(path, method=method, json=json, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("POST", path, json, **options)

    def refresh(self, token: str | None = None) -> TestResponse:
        """Exchange a refresh token, by default the last one given."""
        return self.client.post("/auth/refresh", json={"refresh_token": token or self.refresh_token})

    def elsewhere(self, app: Flask) -> Person:
        """The same client, talking to another process of the same service."""
        return Person(app, self.given)


def register(app: Flask, email: str = "ana@example.com", password: str = PASSWORD, **more: Any) -> Person:
    answer = app.test_client().post("/auth/register", json={"email": email, "password": password, **more})
    assert answer.status_code == 201, answer.text
    return Person(app, answer.get_json())


def log_in(app: Flask, email: str = "ana@example.com", password: str = PASSWORD, **options: Any) -> Person:
    answer = app.test_client().post("/auth/login", json={"email": email, "password": password}, **options)
    assert answer.status_code == 200, answer.text
    return Person(app, answer.get_json())


def make_admin(person: Person) -> Person:
    """The same person, from now on an administrator."""
    with in_database(person.app) as (db, rows):
        db.session.get_one(rows.User, person.id).is_admin = True
        db.session.commit()
    return person


@contextmanager
def in_database(app: Flask) -> Iterator[tuple[SQLAlchemy, Any]]:
    """The database and its row classes, in an app context."""
    database = state_of(app).database
    assert database is not None
    with app.app_context():
        yield database.db, database.rows


def edit(app: Flask, row: str, **values: Any) -> None:
    """Set columns in every row of a class, behind the extension's back: how time is moved."""
    with in_database(app) as (db, rows):
        db.session.execute(getattr(rows, row).__table__.update().values(**values))
        db.session.commit()


def refused(answer: TestResponse, status: int, slug: str) -> dict[str, Any]:
    """Check the one shape of errors, and return the body."""
    body = answer.get_json()
    assert (answer.status_code, body and body.get("slug")) == (status, slug), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(rf"(urn:flask-linked-auth:error:|(/[\w./-]+)?/errors#){slug}", body["type"])
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert ("WWW-Authenticate" in answer.headers) == (status == 401 or slug == "forbidden-scope")
    assert ("Retry-After" in answer.headers) == (status in {429, 503})
    assert "Traceback" not in answer.text
    assert isinstance(body, dict)
    return body


def token_in(mail: Mail) -> str:
    """The one token that a mail holds, in its text and in its HTML."""
    (token,) = set(re.findall(r"fla_ot_[\w-]+", mail.text + mail.html))
    return str(token)


def challenge(answer: TestResponse) -> str:
    """The RFC 6750 error code of the answer's challenge, empty for a bare one."""
    header = answer.headers["WWW-Authenticate"]
    assert header.startswith("Bearer")
    found = re.search(r'error="([^"]+)"', header)
    return found[1] if found else ""


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """Every SQL statement that the app sends meanwhile."""
    database, sent = state_of(app).database, []
    assert database is not None
    with app.app_context():
        engine = database.db.engine

    def sending(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", sending)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", sending)


@contextmanager
def told(app: Flask) -> Iterator[list[tuple[str, Mapping[str, Any]]]]:
    """Every signal that the app sends meanwhile, with its facts."""
    heard: list[tuple[str, Mapping[str, Any]]] = []

    def listener(name: str) -> Any:
        return lambda sender, **facts: heard.append((name, facts))

    receivers = {signal: listener(name) for name, signal in signals.BY_EVENT.items()}
    for signal, receiver in receivers.items():
        signal.connect(receiver, sender=app)
    try:
        yield heard
    finally:
        for signal, receiver in receivers.items():
            signal.disconnect(receiver, sender=app)


def logged(records: list[logging.LogRecord]) -> str:
    """All that a log handler would write, tracebacks included."""
    formatter = logging.Formatter("%(levelname)s %(name)s %(message)s")
    return "\n".join(formatter.format(record) for record in records)

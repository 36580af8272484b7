"""A site as in production, behind a real socket: cookies are Secure, mail goes out by its worker, nothing is inline."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, redirect, request, url_for
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_linked_auth import Auth, LinkedAuth
from flask_linked_auth.errors import Problem, Unauthorized
from flask_linked_auth.http import answer
from tests.apps import asking
from tests.tiny import PASSWORD, SECRET, create_tables, edit

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from flask_linked_auth import Mail

PATIENCE = 20  # seconds, on a busy machine
_numbers = count(1)


@dataclass
class Mailbox:
    """Everybody's mail. The worker writes it, and a test waits for it."""

    mails: list[Mail] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take_in(self, mail: Mail) -> None:
        with self._changed:
            self.mails.append(mail)
            self._changed.notify_all()

    def wait_for(self, to: str, purpose: str) -> Mail:
        """The newest mail of this kind to this address; it is taken out."""

        def newest() -> Mail | None:
            fitting = (mail for mail in reversed(self.mails) if (mail.to, mail.purpose) == (to, purpose))
            return next(fitting, None)

        with self._changed:
            found = self._changed.wait_for(newest, PATIENCE)
            assert found is not None, [(mail.to, mail.purpose) for mail in self.mails]
            self.mails.remove(found)
            return found


@dataclass
class Site:
    """A served app, and its mail."""

    app: Flask
    port: int
    mailbox: Mailbox = field(default_factory=Mailbox)
    host: str = "localhost"

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    def new_email(self) -> str:
        """An address that nobody has yet: the tests share a site."""
        return f"ana{next(_numbers)}@example.com"

    def make_person(self, **profile: Any) -> str:
        """Somebody with an account and PASSWORD, by way of the API: their e-mail address."""
        email = profile.pop("email", None) or self.new_email()
        sent = {"email": email, "password": PASSWORD, **profile}
        made = self.app.test_client().post("/auth/register", json=sent)
        assert made.status_code == 201, made.text
        return str(email)

    def link_in_mail(self, to: str, purpose: str) -> str:
        """The link in the newest mail of this kind."""
        mail = self.mailbox.wait_for(to, purpose)
        (link,) = set(re.findall(r"https?://\S+?token=[\w-]+", mail.text))
        assert link in mail.html
        return str(link)

    def add_app(self, name: str, **fields: Any) -> str:
        """A linked app that asks people for something: its slug, which no other has."""
        slug = f"app-{next(_numbers)}"
        asking.define(self.app)
        asking.add_app(self.app, slug, name=name, **fields)
        return slug

    def let_links_expire(self) -> None:
        edit(self.app, "OneTimeLink", expires_at=0)


class _Silent(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing of each request."""


@contextmanager
def serve(app: Flask) -> Iterator[int]:
    """Any app on a port of its own. To a browser, `127.0.0.1:port` is another site than `localhost:port`."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()


@contextmanager
def serve_site(folder: Path, *, policy: str | None = None, **settings: Any) -> Iterator[Site]:
    """A site with a welcome for anybody and notes for people. `policy` is the host's own CSP, on every answer."""
    app = Flask("notebook")
    with serve(app) as port:
        site = Site(app, port)
        app.config.update(
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'notebook.db'}",
            LINKED_AUTH_NAME="notebook",
            LINKED_AUTH_ISSUER=site.origin,
            LINKED_AUTH_SECRET=SECRET,
            LINKED_AUTH_BCRYPT_COST=4,
            LINKED_AUTH_RATE_LIMITS=None,
        )
        app.config.update({f"LINKED_AUTH_{name.upper()}": value for name, value in settings.items()})
        auth = LinkedAuth(app, mailer=site.mailbox.take_in)
        assert auth.db is not None
        _add_pages(app, policy)
        create_tables(app, auth.db)
        yield site
    with app.app_context():
        auth.db.engine.dispose()


def _add_pages(app: Flask, policy: str | None) -> None:
    @app.get("/")
    def welcome() -> str:
        return '<!doctype html><html lang="en"><title>Welcome</title><h1>Welcome</h1>'

    @app.get("/notes")
    @Auth.auth_required
    def notes() -> str:
        return f'<!doctype html><html lang="en"><title>Notes</title><h1>Notes of {g.user.email}</h1>'

    @app.errorhandler(Unauthorized)
    def to_login(problem: Problem) -> ResponseReturnValue:
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            return redirect(url_for("linked_auth_pages.login", next=request.path), 303)
        return answer(problem)

    if policy is not None:

        @app.after_request
        def strict(response: Response) -> Response:
            response.headers["Content-Security-Policy"] = policy
            return response

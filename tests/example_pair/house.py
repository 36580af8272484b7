"""Both examples on ports of their own, linked by the commands that `make demo` types; and somebody with a browser."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

import example_blog
import example_timetracker
from example_blog.demo import Example, Failed, link, prepare
from flask_linked_auth import Service
from tests.example_blog.conftest import OURS, SECRET
from tests.links.both_sides import listening
from tests.tiny import PASSWORD, edit

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.serving import BaseWSGIServer

MAREN = ("maren@example.com", "quiet ferries leave at noon")  # by seed.toml; a track of hers is running
INES = ("ines@example.com", "tall-ladders-in-the-orchard")  # staff on both sides


@dataclass(frozen=True, eq=False)
class Served(Example):
    """An example that is served from within the tests; its commands are run there too."""

    app: Any = None
    server: Any = None

    def run(self, *arguments: str, quietly: bool = False) -> str:
        done = self.app.test_cli_runner().invoke(args=arguments)
        if done.exit_code:
            raise Failed(done.output)
        return str(done.output)

    def call(self, slug: str, user: Any, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """A signed call of ours to a linked app."""
        with self.app.app_context(), Service(slug, user, mode=options.pop("mode", None)) as there:
            answer: requests.Response = there.request(method, path, **options)
            return answer

    def edit(self, row: str, **values: Any) -> None:
        edit(self.app, row, **values)


@dataclass
class House:
    """Both services, and their people."""

    blog: Served
    tracker: Served
    _made: int = 0

    def newcomer(self, *services: Served) -> str:
        """Somebody who registers at these services, with one e-mail address: the address."""
        self._made += 1
        email = f"newcomer{self._made}@example.com"
        for each in services:
            sent = {"email": email, "name": "Ana", "password": PASSWORD}
            made = each.app.test_client().post("/auth/register", json=sent)
            assert made.status_code == 201, made.text
        return email

    def verify(self, service: Served, email: str) -> None:
        """Mail to the address reaches them."""
        from tests.tiny import in_database

        with in_database(service.app) as (db, rows):
            db.session.query(rows.User).filter_by(email=email).one().email_verified = True
            db.session.commit()


@dataclass
class Visitor:
    """Somebody with a browser that keeps cookies and follows links, as far as tests need one."""

    house: House
    email: str
    password: str = PASSWORD
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False

    def get(self, url: str) -> requests.Response:
        return self.session.get(url, timeout=20)

    def send(self, url: str, **fields: str) -> requests.Response:
        """Fill in the form of a page, and go where that leads."""
        page = self.get(url)
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text)
        origin = "/".join(url.split("/")[:3])
        sent = self.session.post(
            url, data={**dict(found), **fields}, headers={"Origin": origin}, timeout=20, allow_redirects=False
        )
        assert sent.status_code == 303, sent.text
        return self.get(requests.compat.urljoin(url, sent.headers["Location"]))  # type: ignore[attr-defined]

    def log_in(self, *services: Served) -> Visitor:
        for each in services:
            page = self.send(f"{each.address}/account/login", identifier=self.email, password=self.password)
            assert page.url == f"{each.address}/account", page.text
        return self

    def allow(self) -> str:
        """Agree to the blog at the time tracker; where that leads."""
        url = f"{self.house.tracker.address}/v1/auth/authorize/blog"
        return self.send(url).url

    def withdraw(self) -> None:
        self.send(f"{self.house.tracker.address}/account/apps/blog/withdraw")

    def account(self) -> str:
        """The account page of the blog as HTML, the part about tracked time."""
        page = self.get(f"{self.house.blog.address}/account")
        assert page.status_code == 200, page.text
        start, end = page.text.index('aria-labelledby="time-heading"'), page.text.index('id="safety-heading"')
        return page.text[start:end]

    def words(self) -> str:
        """The same as one reads it."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.account().partition(">")[2])).split())


@contextmanager
def living_house(folder: Path) -> Iterator[House]:
    """The examples, migrated, seeded and linked."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        blog = _move_in(stack, patch, folder, example_blog)
        tracker = _move_in(stack, patch, folder, example_timetracker)
        link(blog, tracker)
        yield House(blog, tracker)


def _move_in(stack: ExitStack, patch: pytest.MonkeyPatch, folder: Path, package: Any) -> Served:
    server: BaseWSGIServer = stack.enter_context(listening())
    for name in [each for each in os.environ if each.startswith(OURS) and "_TEST_" not in each]:
        patch.delenv(name)
    patch.setenv("PORT", str(server.server_port))
    patch.setenv("LINKED_AUTH_SECRET", SECRET[::-1] if package is example_blog else SECRET)
    patch.setenv("DATABASE_TEST_URL", f"sqlite:///{folder / package.__name__}.db")
    app: Flask = package.create_app("testing")
    server.app = app
    served = Served(package.__name__, server.server_port, app=app, server=server)
    prepare(served)
    stack.callback(_let_go, package, app)
    return served


def _let_go(package: Any, app: Flask) -> None:
    with app.app_context():
        package.database.db.engine.dispose()

"""The time tracker on an empty database, and people in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from example_timetracker import create_app
from example_timetracker.database import db
from tests.example_timetracker.walker import Person

if TYPE_CHECKING:
    from flask_linked_auth.testing import LoginUser, MakeUser

SECRET = "g7Yw0pQz2rVb9sKd4tXn6mJc8hLf1aEu"
OURS = ("LINKED_AUTH_", "DATABASE_", "PROXY_", "REDIS_", "APP_ENV", "PORT")

Make = Callable[..., Flask]


@pytest.fixture
def make_tracker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """`create_app` under an environment that has only what the test gives; its connections are closed at the end."""
    made: list[Flask] = []

    def make(config_name: str = "testing", **environ: str) -> Flask:
        for name in [each for each in os.environ if each.startswith(OURS)]:
            monkeypatch.delenv(name)
        for name, value in ({"LINKED_AUTH_SECRET": SECRET} | environ).items():
            monkeypatch.setenv(name, value)
        made.append(create_app(config_name))
        return made[-1]

    yield make
    for app in made:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def empty_tracker(make_tracker: Make, database_url: str) -> Flask:
    """The time tracker on a database without any tables, SQLite and PostgreSQL."""
    return make_tracker(DATABASE_TEST_URL=database_url)


@pytest.fixture
def tracker(empty_tracker: Flask) -> Flask:
    """The same with its tables, which test_tracker_migrations.py shows to be those of the migrations."""
    with empty_tracker.app_context():
        db.create_all()
    return empty_tracker


@pytest.fixture
def app(tracker: Flask) -> Flask:
    """What the fixtures of the package are for."""
    return tracker


@pytest.fixture
def ada(login_user: LoginUser, make_user: MakeUser) -> Person:
    return person(login_user, make_user, "ada@example.com", name="Ada")


@pytest.fixture
def grace(login_user: LoginUser, make_user: MakeUser) -> Person:
    return person(login_user, make_user, "grace@example.com", name="Grace")


@pytest.fixture
def staff(login_user: LoginUser, make_user: MakeUser) -> Person:
    return person(login_user, make_user, "ines@example.com", is_admin=True)


def person(login_user: LoginUser, make_user: MakeUser, email: str, **columns: object) -> Person:
    """Somebody who is logged in without a password, where none is needed."""
    user = make_user(email, **columns)
    return Person(login_user(user), user.id, email)

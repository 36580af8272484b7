"""The blog, migrated, on an empty database; and people in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from example_blog import create_app
from example_blog.database import db
from tests.example_blog.walker import Person, join

if TYPE_CHECKING:
    from flask_linked_auth.testing import LoginUser, MakeUser

SECRET = "g7Yw0pQz2rVb9sKd4tXn6mJc8hLf1aEu"
OURS = ("LINKED_AUTH_", "MAIL_", "DATABASE_", "CORS_", "PROXY_", "REDIS_", "JWT_", "APP_ENV", "PORT")

Make = Callable[..., Flask]


@pytest.fixture
def make_blog(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
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
def empty_blog(make_blog: Make, database_url: str) -> Flask:
    """The blog on a database without any tables, SQLite and PostgreSQL."""
    return make_blog(DATABASE_TEST_URL=database_url)


@pytest.fixture
def blog(empty_blog: Flask) -> Flask:
    """The blog on a database with its tables, which test_blog_migrations.py shows to be those of the migrations."""
    with empty_blog.app_context():
        db.create_all()
    return empty_blog


@pytest.fixture
def ada(blog: Flask) -> Person:
    return join(blog, "Ada")


@pytest.fixture
def app(blog: Flask) -> Flask:
    """What the fixtures of the package are for."""
    return blog


@pytest.fixture
def grace(login_user: LoginUser, make_user: MakeUser) -> Person:
    return person(login_user, make_user("grace@example.com", name="Grace"))


@pytest.fixture
def staff(login_user: LoginUser, make_user: MakeUser) -> Person:
    return person(login_user, make_user("ines@example.com", is_admin=True))


def person(login_user: LoginUser, user: Any) -> Person:
    """Somebody who is logged in without a password, where none is needed."""
    client = login_user(user)
    token = client.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return Person(client, user.id, user.email, {"token": token})

"""What linked apps are told about our people: only those they may know of, page by page, and never a hash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_linked_auth.links.client import Service
from tests.links.both_sides import Running, acquaint, running


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[Running]:
    with running("blog", tmp_path) as service:
        yield service


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Running]:
    with running("tracker", tmp_path) as service:
        yield service


def ask(
    caller: Running, called: Running, path: str, *, user: Any = None, method: str = "GET", **options: Any
) -> Any:
    with Service(caller.link_to(called.name), user) as service:
        return service.request(method, path, **options)


USERS = "/v1/auth/app/user"


def test_an_app_of_the_house_sees_everybody(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    ana = blog.person("ana@example.com", name="Ana María Example", username="ana")
    blog.person("bob@example.com", verified=False)
    answer = ask(tracker, blog, USERS)
    assert answer.status_code == 200
    first, second = answer.json()
    assert first.pop("date_joined").endswith("Z")
    assert first == {
        "id": ana.id,
        "email": "ana@example.com",
        "username": "ana",
        "first_name": "Ana",
        "last_name": "María Example",
        "email_verified": True,
        "github": None,
        "profile": None,
    }
    assert (second["username"], second["email_verified"]) == ("bob@example.com", False)
    assert answer.headers["X-Total-Count"] == "2"
    assert answer.headers["Link"] == f'<{USERS}?limit=100&offset=0>; rel="first"'

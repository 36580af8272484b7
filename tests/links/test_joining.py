"""Joining one person by the address that both sides have verified, when that person wants to be known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_linked_auth.links.joining import join_person
from tests.links.both_sides import Running, acquaint, running
from tests.tiny import Person, make_admin


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[Running]:
    with running("blog", tmp_path, revocation_interval=0) as service:
        yield service


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Running]:
    with running("tracker", tmp_path, revocation_interval=0) as service:
        yield service


@pytest.fixture
def house(blog: Running, tracker: Running) -> tuple[Running, Running]:
    """The tracker, which people must let the blog into, and which joins the blog's people by their addresses."""
    acquaint(tracker, blog, required=("read:tracks",), needs_agreement=True, joins_by_email=True)
    return blog, tracker


def join(tracker: Running, person: Person) -> bool:
    with tracker.app.app_context():
        return join_person("blog", person.id)


def call(blog: Running, tracker: Running, person: Person) -> Any:
    return blog.call(tracker, "/who", person.id)


def test_somebody_who_agreed_is_known_once_they_are_joined(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    blog.person("first@example.com")
    there, here = blog.person("Ana@example.com"), tracker.person("ana@example.com")
    tracker.agreed(blog, here)
    told = call(blog, tracker, there)
    assert (told.status_code, told.json()["slug"]) == (403, "agreement-not-accepted")
    assert told.json()["person_known"] is False
    assert join(tracker, here)
    assert call(blog, tracker, there).json() == {"known": here.id, "found": here.id}
    assert tracker.people_of("blog") == {str(there.id): here.id}
    assert not join(tracker, here)  # they are by now


def test_somebody_who_is_known_and_has_not_agreed_is_told_apart(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    there, here = blog.person(), tracker.person()
    assert join(tracker, here)
    told = call(blog, tracker, there)
    assert (told.status_code, told.json()["person_known"]) == (403, True)
    assert told.json()["agreement_url"] == f"{tracker.address}/v1/auth/authorize/blog"


@pytest.mark.parametrize("side", ["here", "there"])
def test_nobody_is_joined_by_an_address_that_only_one_side_has_verified(
    house: tuple[Running, Running], side: str
) -> None:
    blog, tracker = house
    blog.person(verified=side == "there")
    assert not join(tracker, tracker.person(verified=side == "here"))
    assert tracker.people_of("blog") == {}


def test_a_pair_cannot_become_an_administrator_by_claiming_the_address(
    house: tuple[Running, Running],
) -> None:
    blog, tracker = house
    blog.person("root@example.com")
    root = tracker.person("root@example.com")
    make_admin(root)
    assert not join(tracker, root)
    assert tracker.people_of("blog") == {}


def test_only_where_the_operator_allows_it(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    blog.person()
    here = tracker.person()
    tracker.change(blog, joins_by_email=False)
    assert not join(tracker, here)
    tracker.change(blog, joins_by_email=True, active=False)
    assert not join(tracker, here)


def test_who_has_another_address_there_or_is_taken_is_not_joined(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    other, there = blog.person("other@example.com"), blog.person("ana@example.com")
    here, taker = tracker.person("ana@example.com"), tracker.person("taker@example.com")
    assert not join(tracker, taker)
    tracker.knows(blog, taker, there.id)  # an operator said so
    assert not join(tracker, here)
    assert tracker.people_of("blog") == {str(there.id): taker.id}
    assert other.id != there.id


def test_a_pair_that_is_down_joins_nobody(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    blog.person()
    here = tracker.person()
    blog.server.shutdown()
    blog.server.server_close()
    assert not join(tracker, here)
    tracker.change(blog, address=None)
    assert not join(tracker, here)


def test_a_list_that_knows_no_filter_gives_nobody_else(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    there, here = blog.person("ana@example.com"), tracker.person("ana@example.com")
    blog.person("bea@example.com")

    inner = blog.app.wsgi_app

    def without_filter(environ: Any, start_response: Any) -> Any:
        return inner({**environ, "QUERY_STRING": ""}, start_response)

    blog.app.wsgi_app = without_filter  # type: ignore[method-assign]
    assert join(tracker, here)
    assert tracker.people_of("blog") == {str(there.id): here.id}

"""What operators and people do with apps: versions, what is told, several at once, and apps that are gone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth.apps import agreements, changes
from flask_linked_auth.errors import Conflict, InvalidFields, NotFound, Problem, Taken, UnknownUser
from flask_linked_auth.transactions import Transaction, commit
from tests.apps.asking import accepted, add_app, agree, ask_for, asking_app, deed, define, standing
from tests.faults.lab import at_once, running
from tests.tiny import Person, in_database, register, state_of, told

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return asking_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


def version(app: Flask, slug: str = "billing") -> int:
    return int(deed(app, lambda _, row: row.agreement_version, slug))


# Versions


def test_the_version_rises_only_if_somebody_has_agreed_to_the_present_one(app: Flask, ana: Person) -> None:
    assert version(app) == 1
    assert ask_for(app, required=("read:posts",), optional=("read:user",))
    assert version(app) == 1  # nobody has agreed to anything
    agree(ana)
    assert not ask_for(app, required=("read:posts",), optional=("read:user",))
    assert version(app) == 1  # nothing has changed
    assert ask_for(app, required=("read:posts", "read:user"), optional=())
    assert version(app) == 2
    assert ask_for(app, required=("read:posts",), optional=())
    assert version(app) == 2  # nobody has agreed to version 2
    assert not standing(ana).up_to_date  # type: ignore[union-attr]
    agree(ana)
    assert standing(ana).up_to_date  # type: ignore[union-attr]
    assert ask_for(app, required=(), optional=("read:posts",))
    assert version(app) == 3  # another kind of scope is a change too


def test_the_version_of_another_app_stays(app: Flask, ana: Person) -> None:
    add_app(app, "other")
    agree(ana)
    agree(ana, "other")
    ask_for(app, required=(), optional=())
    assert (version(app), version(app, "other")) == (2, 1)
    assert accepted(ana, "other") == {"read:posts"}


@pytest.mark.parametrize("gone", [*itertools.combinations(["read:posts", "read:tracks", "write:posts"], 2)])
def test_scopes_that_are_taken_away_go_from_agreements_whole(
    app: Flask, ana: Person, gone: tuple[str, ...]
) -> None:
    add_app(app, "other", required=("read:posts", "read:tracks", "write:posts"), optional=())
    agree(ana, "billing", "read:tracks", "write:posts")
    agree(ana, "other")
    left = {"read:posts", "read:tracks", "write:posts"} - set(gone)
    ask_for(app, required=(), optional=left)
    assert accepted(ana) == left
    assert accepted(ana, "other") == {"read:posts", "read:tracks", "write:posts"}
    with in_database(app) as (db, rows):
        texts = [row.scopes for row in db.session.query(rows.Agreement)]
    assert all(text == " ".join(text.split()) for text in texts)


def test_a_scope_whose_name_is_within_another_is_told_from_it(app: Flask, ana: Person) -> None:
    words = [{"slug": slug, "name": slug, "description": "."} for slug in ("posts", "d:posts", "read:post")]
    with app.app_context():
        commit(state_of(app), lambda each: changes.define_scopes(each, words))
    ask_for(app, required=("read:posts", "posts", "d:posts", "read:post"), optional=())
    agree(ana)
    ask_for(app, required=("read:posts", "d:posts"), optional=())
    assert accepted(ana) == {"read:posts", "d:posts"}


# What is refused


def test_scopes_that_are_not_defined_or_are_both_are_refused(app: Flask) -> None:
    for required, optional in ((("nope",), ()), (("read:posts",), ("read:posts",))):
        with pytest.raises(InvalidFields):
            ask_for(app, required=required, optional=optional)
    assert version(app) == 1


@pytest.mark.parametrize("name", ["nobody", "", "bil\x00ling", "x" * 5000, "é"])
def test_an_app_that_is_not_there_is_not_found(app: Flask, name: str) -> None:
    with pytest.raises(NotFound):
        deed(app, lambda *_: None, name)


def test_a_slug_is_taken_once(app: Flask) -> None:
    with pytest.raises(Taken):
        add_app(app, "billing")
    with pytest.raises(InvalidFields):
        add_app(app, "tiny")  # our own
    with pytest.raises(InvalidFields):
        add_app(app, "Not a slug")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//evil.example",
        "https://",
        "https://a@evil.example/",
        "https://a.example\\@evil.example/",
        "https://a.example/ b",
        "https://a.example/#x",
        "https://a.example/\n",
        "https://[::1/",
        "https://a.example:port/",
        "https://é.example/",
        7,
    ],
)
def test_no_address_but_a_plain_one_is_led_back_to(app: Flask, url: Any) -> None:
    with pytest.raises(InvalidFields) as caught:
        deed(app, changes.change_app, "billing", redirect_url=url)
    assert set(caught.value.errors) == {"redirect_url"}


def test_who_is_gone_agrees_to_nothing(app: Flask, ana: Person) -> None:
    assert ana.call("DELETE", "/auth/me").status_code == 204
    with pytest.raises(UnknownUser):
        agree(ana)
    with in_database(app) as (db, rows):
        assert db.session.query(rows.Agreement).count() == 0


def test_a_removed_app_is_agreed_to_by_nobody(app: Flask, ana: Person) -> None:
    agree(ana)

    def run(transaction: Transaction) -> Any:
        row = changes.find_app(transaction, "billing")
        changes.remove_app(transaction, row)
        transaction.session.flush()
        return agreements.agree(transaction, row, ana.id, accepted=())

    with app.app_context(), pytest.raises(NotFound):
        commit(state_of(app), run)
    with told(app) as heard:
        deed(app, changes.remove_app, "billing")
    assert [event for event, _ in heard] == ["app.removed"]
    with in_database(app) as (db, rows):
        assert db.session.query(rows.Agreement).count() == 0
        assert db.session.query(rows.AppScope).count() == 0


# What is told


def test_each_deed_tells_of_itself(app: Flask, ana: Person) -> None:
    with told(app) as heard:
        add_app(app, "other")
        deed(app, changes.change_app, "other", name="Other")
        agree(ana, "other", "read:tracks")
        deed(app, agreements.withdraw_scope, "other", ana.id, "read:tracks")
        deed(app, agreements.withdraw, "other", ana.id)
        deed(app, agreements.withdraw, "other", ana.id)  # nothing is there any more, and nothing told
    assert [event for event, _ in heard] == [
        "app.registered",
        "app.scopes-changed",
        "app.changed",
        "agreement.accepted",
        "agreement.withdrawn",
        "agreement.withdrawn",
    ]
    assert heard[2][1]["fields"] == ["name"]
    assert heard[4][1]["scopes"] == ["read:tracks"]
    assert heard[5][1]["scopes"] == ["read:posts"]


def test_agreeing_again_does_not_add_a_row(app: Flask, ana: Person) -> None:
    agree(ana, "billing", "read:tracks")
    agree(ana, "billing", "write:posts")
    assert accepted(ana) == {"read:posts", "write:posts"}
    with in_database(app) as (db, rows):
        assert db.session.query(rows.Agreement).count() == 1


# Several at once


@pytest.fixture
def busy(database_url: str) -> Iterator[Any]:
    with running(database_url) as made:
        define(made)
        add_app(made)
        yield made


def outcome(what: Any, *args: Any, **options: Any) -> str:
    """How a deed went."""
    try:
        return str(deed(*args[:1], what, *args[1:], **options))
    except Problem as problem:
        return problem.slug


def test_agreeing_twice_in_one_moment_makes_one_agreement(busy: Any) -> None:
    ana = register(busy)
    at_once(8, lambda number: agree(ana, "billing", *(("read:tracks",) if number % 2 else ())))
    assert accepted(ana) in ({"read:posts"}, {"read:posts", "read:tracks"})
    with in_database(busy) as (db, rows):
        assert db.session.query(rows.Agreement).count() == 1


def test_who_agrees_while_the_app_changes_agrees_to_what_it_was_or_to_what_it_is(busy: Any) -> None:
    """Never to the new version with the old scopes: they would not be asked for what is new."""
    people = [register(busy, f"p{number}@example.com") for number in range(6)]
    wide, narrow = ("read:posts", "read:user"), ("read:posts",)
    for turn in range(4):
        required = wide if turn % 2 == 0 else narrow

        def run(number: int, required: tuple[str, ...] = required) -> None:
            if number == len(people):
                ask_for(busy, required=required, optional=())
            else:
                agree(people[number])

        at_once(len(people) + 1, run)
        for person in people:
            found = standing(person)
            assert found is not None
            if found.up_to_date:
                assert found.scopes == set(required)


def test_withdrawing_agreeing_and_taking_scopes_back_at_once_breaks_nothing(busy: Any) -> None:
    ana = register(busy)
    deeds = (
        lambda: outcome(agreements.agree, busy, "billing", ana.id, accepted=("read:tracks",)),
        lambda: outcome(agreements.withdraw, busy, "billing", ana.id),
        lambda: outcome(agreements.withdraw_scope, busy, "billing", ana.id, "read:tracks"),
    )
    outcomes = [each for _ in range(4) for each in at_once(9, lambda number: deeds[number % 3]())]
    assert not {each for each in outcomes if each.islower()} - {"unavailable"}, outcomes
    assert accepted(ana) in (None, {"read:posts"}, {"read:posts", "read:tracks"})


def test_an_account_deleted_while_it_agrees_leaves_no_agreement_behind(busy: Any) -> None:
    for number in range(5):
        ana = register(busy, f"p{number}@example.com")

        def run(which: int, ana: Person = Person(busy, ana.given)) -> str:  # noqa: B008
            if which:
                return outcome(agreements.agree, busy, "billing", ana.id, accepted=())
            return str(ana.call("DELETE", "/auth/me").status_code)

        deleted, agreed = at_once(2, run)
        assert deleted == "204"
        assert agreed.startswith("<") or agreed == "user-unknown"
        with in_database(busy) as (db, rows):
            assert db.session.query(rows.Agreement).count() == 0


def test_conflicts_are_said_in_words() -> None:
    assert issubclass(agreements.AsksForMore, Conflict)
    assert "look again" in agreements.AsksForMore().detail

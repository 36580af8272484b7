"""Apps that ask people for something, and what operators do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_linked_auth.apps import agreements, changes
from flask_linked_auth.transactions import Transaction, commit
from tests.tiny import Person, make_app, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from flask import Flask

    from flask_linked_auth.apps.agreements import Standing

SCOPES = {
    "read:posts": ("Read posts", "See all that you have written."),
    "write:posts": ("Write posts", "Publish in your name."),
    "read:tracks": ("Read tracks", "See what you worked on, and for how long."),
    "write:tracks": ("Write tracks", "Start and stop your clock."),
    "read:user": ("Know you", "See your name and your e-mail address."),
}
BACK = "https://billing.example.com/linked"


def deed(app: Flask, what: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Do a deed with an app of a given slug or client id (the first of `args`), and commit."""

    def run(transaction: Transaction) -> Any:
        return what(transaction, changes.find_app(transaction, args[0]), *args[1:], **options)

    with app.app_context():
        return commit(state_of(app), run)


def define(app: Flask, *scopes: str) -> None:
    """Define these scopes, or all of SCOPES."""
    defined = [
        {"slug": slug, "name": SCOPES[slug][0], "description": SCOPES[slug][1]} for slug in scopes or SCOPES
    ]
    with app.app_context():
        commit(state_of(app), lambda each: changes.define_scopes(each, defined))


def add_app(
    app: Flask,
    slug: str = "billing",
    *,
    required: Collection[str] = ("read:posts",),
    optional: Collection[str] = ("read:tracks", "write:posts"),
    **fields: Any,
) -> str:
    """Register an app that asks for these scopes; its client id."""
    given = {"name": slug.title(), "redirect_url": BACK, **fields}

    def run(transaction: Transaction) -> str:
        row = changes.register_app(transaction, slug, **given)
        changes.set_app_scopes(transaction, row, required=required, optional=optional)
        return str(row.id)

    with app.app_context():
        return commit(state_of(app), run)


def ask_for(
    app: Flask, slug: str = "billing", *, required: Collection[str], optional: Collection[str]
) -> Any:
    """Give an app these scopes and no others."""
    return deed(app, changes.set_app_scopes, slug, required=required, optional=optional)


def agree(person: Person, slug: str = "billing", *accepted: str) -> None:
    """A person agrees, without a page."""
    deed(person.app, agreements.agree, slug, person.id, accepted=accepted)


def standing(person: Person, slug: str = "billing") -> Standing | None:
    """What a person agreed to, by what is committed."""
    app = person.app
    with app.app_context():
        reading = Transaction(state_of(app))
        return agreements.standing_of(reading, changes.find_app(reading, slug), person.id)


def accepted(person: Person, slug: str = "billing") -> set[str] | None:
    """The scopes that a person accepted, None for no agreement."""
    found = standing(person, slug)
    return None if found is None else set(found.scopes)


def asking_app(**settings: Any) -> Flask:
    """A service with every scope defined, and the app `billing`."""
    app = make_app(**settings)
    define(app)
    add_app(app)
    return app

"""`flask seed`: people and posts to try the blog with, from seed.toml."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import inspect, select

from flask_linked_auth.accounts.passwords import hash_password

from .database import db
from .people import User
from .posts import Post

__all__ = ["read_people", "seed"]


def read_people() -> list[dict[str, Any]]:
    """The people of seed.toml, each with their posts."""
    text = Path(__file__).with_name("seed.toml").read_text("utf-8")
    return list(tomllib.loads(text)["people"])


@click.command("seed")
@click.option("--force", is_flag=True, help="In production too, where everybody could look up the passwords.")
@with_appcontext
def seed(force: bool) -> None:
    """Fill the blog with people and posts. Those who are there already stay as they are."""
    if current_app.config["ENVIRONMENT"] == "production" and not force:
        raise click.ClickException(
            "The passwords of these people are public, so this is not for production (--force does it all the same)."
        )
    if not inspect(db.engine).has_table(User.__tablename__):
        raise click.ClickException("The tables are missing. First run: flask --app example_blog db upgrade")
    people = read_people()
    known = set(db.session.scalars(select(User.email)))
    new = [person for person in people if person["email"] not in known]
    posts = [post for person in new for post in _add(person)]
    posts.sort(key=lambda post: post.created_at)
    db.session.add_all(posts)
    db.session.commit()
    click.echo(f"Added {len(new)} people and {len(posts)} posts.")
    _show_accounts(people)


def _add(person: dict[str, Any]) -> list[Post]:
    """Add this person; return their posts, which are yet to be added."""
    accounts = current_app.extensions["linked_auth"].parts["accounts"]
    user = User(
        name=person["name"],
        email=person["email"],
        password_hash=hash_password(person["password"], cost=accounts.settings.bcrypt_cost),
        is_admin=person.get("is_admin", False),
        email_verified=True,  # so that the other example may take them for the same people
    )
    db.session.add(user)
    db.session.flush()
    return [_post(user.id, each) for each in person["posts"]]


def _post(owner_id: int, post: dict[str, Any]) -> Post:
    title = post["title"]
    written = datetime.now(UTC) - timedelta(days=post["days_ago"], minutes=17 * len(title))
    return Post(
        owner_id=owner_id, title=title, content=post["content"], created_at=written, modified_at=written
    )


def _show_accounts(people: list[dict[str, Any]]) -> None:
    width = max(len(person["email"]) for person in people)
    click.echo("\nLog in as one of them:")
    for person in people:
        staff = "  (staff: may change every post)" if person.get("is_admin") else ""
        click.echo(f"  {person['email']:<{width}}  {person['password']}{staff}")
    address, one = current_app.config["LINKED_AUTH_ISSUER"], people[-1]
    click.echo(f"\ncurl {address}/api/v1/users/login -H 'Content-Type: application/json' \\")
    click.echo(f"""  -d '{{"email": "{one["email"]}", "password": "{one["password"]}"}}'""")

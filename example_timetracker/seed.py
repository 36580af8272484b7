"""`flask seed`: people, activities and tracks to try the time tracker with, from seed.toml."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import inspect, select

from flask_linked_auth.accounts.passwords import hash_password

from .activities import Activity
from .database import db, now
from .people import User
from .tracks import Track

__all__ = ["read_seed", "seed"]


def read_seed() -> dict[str, list[dict[str, Any]]]:
    """What is in seed.toml: `activities`, and `people`, each with their tracks."""
    return tomllib.loads(Path(__file__).with_name("seed.toml").read_text("utf-8"))


@click.command("seed")
@click.option("--force", is_flag=True, help="In production too, where everybody could look up the passwords.")
@with_appcontext
def seed(force: bool) -> None:
    """Fill the time tracker with people and what they did. Those who are there already stay as they are."""
    if current_app.config["ENVIRONMENT"] == "production" and not force:
        raise click.ClickException(
            "The passwords of these people are public, so this is not for production (--force does it all the same)."
        )
    if not inspect(db.engine).has_table(User.__tablename__):
        raise click.ClickException(
            "The tables are missing. First run: flask --app example_timetracker db upgrade"
        )
    data = read_seed()
    known = set(db.session.scalars(select(User.email)))
    new = [person for person in data["people"] if person["email"] not in known]
    users = {person["email"]: _add_person(person) for person in new}
    activities = _add_activities(data["activities"])
    rows = [_track(users[person["email"]], activities, each) for person in new for each in person["tracks"]]
    db.session.add_all(rows)
    db.session.commit()
    click.echo(f"Added {len(new)} people and {len(rows)} tracks.")
    _show_accounts(data["people"])


def _add_person(person: dict[str, Any]) -> User:
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
    return user


def _add_activities(listed: list[dict[str, Any]]) -> dict[str, Activity]:
    """The activities by name; those that are missing are added."""
    found = {activity.name: activity for activity in db.session.scalars(select(Activity))}
    keys = {email: key for key, email in db.session.execute(select(User.id, User.email))}
    for each in listed:
        if each["name"] not in found:
            found[each["name"]] = Activity(
                name=each["name"],
                description=each.get("description", ""),
                creator_id=keys.get(each["creator"]),
            )
    db.session.add_all(found.values())
    db.session.flush()
    return found


def _track(user: User, activities: dict[str, Activity], each: dict[str, Any]) -> Track:
    """A track that was so many hours ago. Without `minutes` it is running, without `hours_ago` it is planned."""
    start = now() - timedelta(hours=each["hours_ago"]) if "hours_ago" in each else None
    track = Track(
        user_id=user.id, activity_id=activities[each["activity"]].id, description=each["description"]
    )
    track.start = None if start is None else start.replace(microsecond=0)
    if start is not None and "minutes" in each:
        track.end = start + timedelta(minutes=each["minutes"])
    return track


def _show_accounts(people: list[dict[str, Any]]) -> None:
    width = max(len(person["email"]) for person in people)
    click.echo("\nLog in as one of them:")
    for person in people:
        staff = "  (staff: may change every activity)" if person.get("is_admin") else ""
        click.echo(f"  {person['email']:<{width}}  {person['password']}{staff}")
    address = current_app.config["LINKED_AUTH_ISSUER"]
    one = next(
        person for person in people if any("minutes" not in track for track in person["tracks"])
    )  # whose clock runs
    click.echo(f"\ncurl {address}/auth/login -H 'Content-Type: application/json' \\")
    click.echo(f"""  -d '{{"email": "{one["email"]}", "password": "{one["password"]}"}}'""")

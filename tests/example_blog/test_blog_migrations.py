"""The migrations: they make what the models say, undo it, and leave foreign keys in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from example_blog.database import db
from tests.example_blog.walker import join, run

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

TABLES = {
    *("alembic_version", "blogposts", "login", "one_time_link"),
    *("revocation", "revocation_counter", "signing_key", "users"),
    *("agreement", "app_key", "app_scope", "linked_app", "linked_person"),
    *("one_time_token", "pairing_code", "scope", "used_nonce"),
}


@pytest.fixture
def migrated(empty_blog: Flask) -> Flask:
    run(empty_blog, "db", "upgrade")
    return empty_blog


def tables(app: Flask) -> set[str]:
    with app.app_context():
        return set(inspect(db.engine).get_table_names())


def test_up_and_down_and_up_again(empty_blog: Flask) -> None:
    assert "0003" in run(empty_blog, "db", "upgrade")
    assert tables(empty_blog) == TABLES
    join(empty_blog, "Ada").write()
    assert "0001" in run(empty_blog, "db", "downgrade", "base")
    assert tables(empty_blog) == {"alembic_version"}
    run(empty_blog, "db", "upgrade")
    assert join(empty_blog, "Ada").write()["owner_name"] == "Ada"


def test_upgrading_twice_changes_nothing(migrated: Flask) -> None:
    ada = join(migrated, "Ada")
    assert run(migrated, "db", "upgrade") == ""
    assert ada.call("GET", "/api/v1/users/me").status_code == 200


def test_the_models_ask_for_nothing_that_the_migrations_do_not_make(migrated: Flask) -> None:
    with migrated.app_context(), db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), db.metadata) == []


def test_then_there_is_no_migration_to_write(migrated: Flask, tmp_path: Path) -> None:
    said = run(migrated, "db", "migrate", "--version-path", str(tmp_path))
    assert "already" in said
    assert not list(tmp_path.glob("*.py"))


def test_people_of_an_earlier_version_are_kept_through_the_later_steps(empty_blog: Flask) -> None:
    run(empty_blog, "db", "upgrade", "0001")
    moment = "2026-03-01 09:30:00.000000"
    rows = {
        "users": {
            "id": 7,
            "email": "ada@example.com",
            "name": "Ada",
            "password_hash": "!",
            "active": True,
            "is_admin": False,
            "created_at": moment,
            "modified_at": moment,
        },
        "blogposts": {
            "id": 9,
            "owner_id": 7,
            "title": "Kept",
            "content": "Here.",
            "created_at": moment,
            "modified_at": moment,
        },
        "login": {
            "id": "l",
            "family": "f",
            "current": "c",
            "created_at": 1,
            "authenticated_at": 1,
            "rotated_at": 1,
            "last_seen_at": 1,
            "expires_at": 9,
            "address": "127.0.0.1",
            "device": "curl",
            "user_id": 7,
        },
    }
    with empty_blog.app_context(), db.engine.begin() as connection:
        for name, row in rows.items():
            names = ", ".join(f":{each}" for each in row)
            connection.execute(text(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({names})"), row)

    def kept() -> list[list[dict[str, Any]]]:
        with empty_blog.app_context(), db.engine.connect() as connection:
            found = [connection.execute(text(f"SELECT * FROM {name}")).mappings() for name in rows]
            return [[dict(row) for row in each] for each in found]

    before = kept()
    run(empty_blog, "db", "upgrade")
    (user,), (post,), (login,) = kept()
    assert (user["email_verified"], login["cookie"]) == (False, None)
    assert user.items() >= before[0][0].items()
    assert (post, login) == (before[1][0], before[2][0] | {"cookie": None})
    run(empty_blog, "db", "downgrade", "0001")
    assert kept() == before


def test_every_constraint_has_the_name_that_a_later_migration_would_look_for(migrated: Flask) -> None:
    with migrated.app_context():
        there = inspect(db.engine)
        for table in TABLES - {"alembic_version"}:
            named = [*there.get_unique_constraints(table), *there.get_foreign_keys(table)]
            assert all(str(each["name"]).startswith(("uq_", "fk_")) for each in named)
            if db.engine.dialect.name != "sqlite":  # which names no key that counts by itself
                assert there.get_pk_constraint(table)["name"] == f"pk_{table}"


def test_foreign_keys_are_in_force_after_a_migration(migrated: Flask) -> None:
    with migrated.app_context():
        if db.engine.dialect.name == "sqlite":
            assert db.session.scalar(text("PRAGMA foreign_keys")) == 1


def test_the_sql_can_be_read_before_it_is_run(empty_blog: Flask) -> None:
    assert "CREATE TABLE blogposts" in run(empty_blog, "db", "upgrade", "--sql")
    assert "DROP TABLE one_time_link" in run(empty_blog, "db", "downgrade", "0002:0001", "--sql")
    assert tables(empty_blog) == set()

"""The migrations: they make what the models say, undo it, and leave foreign keys in force."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from example_timetracker.database import db
from tests.example_blog.walker import problem, run
from tests.example_timetracker.walker import TRACKS, join

if TYPE_CHECKING:
    from flask import Flask

TABLES = {
    *("activities", "alembic_version", "login", "one_time_link"),
    *("revocation", "revocation_counter", "signing_key", "tracks", "users"),
    *("agreement", "app_key", "app_scope", "linked_app", "linked_person"),
    *("one_time_token", "pairing_code", "scope", "used_nonce"),
}
MIGRATIONS = Path(__file__).resolve().parents[2] / "example_timetracker" / "migrations"
START = "2026-03-01T09:00:00Z"


@pytest.fixture
def migrated(empty_tracker: Flask) -> Flask:
    run(empty_tracker, "db", "upgrade")
    return empty_tracker


def tables(app: Flask) -> set[str]:
    with app.app_context():
        return set(inspect(db.engine).get_table_names())


def test_up_and_down_and_up_again(empty_tracker: Flask) -> None:
    assert "0002" in run(empty_tracker, "db", "upgrade")
    assert tables(empty_tracker) == TABLES
    ada = join(empty_tracker, "Ada")
    ada.track(ada.activity(), START)
    assert "0001" in run(empty_tracker, "db", "downgrade", "base")
    assert tables(empty_tracker) == {"alembic_version"}
    run(empty_tracker, "db", "upgrade")
    ada = join(empty_tracker, "Ada")
    assert ada.track(ada.activity(), START)["start"] == START


def test_upgrading_twice_changes_nothing(migrated: Flask) -> None:
    ada = join(migrated, "Ada")
    assert run(migrated, "db", "upgrade") == ""
    assert ada.get("/auth/me")["name"] == "Ada"


def test_the_models_ask_for_nothing_that_the_migrations_do_not_make(migrated: Flask) -> None:
    with migrated.app_context(), db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), db.metadata) == []


def test_then_there_is_no_migration_to_write(migrated: Flask, tmp_path: Path) -> None:
    said = run(migrated, "db", "migrate", "--version-path", str(tmp_path))
    assert "already" in said
    assert not list(tmp_path.glob("*.py"))


def test_a_migration_that_is_written_does_not_import_our_code(migrated: Flask, tmp_path: Path) -> None:
    copy = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    with migrated.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE tracks RENAME TO lost"))
    run(migrated, "db", "migrate", "--directory", str(copy), "--rev-id", "9999")
    (script,) = (copy / "versions").glob("9999*.py")
    assert '"ended_at", sa.DateTime(timezone=True)' in script.read_text("utf-8").replace("'", '"')
    assert "example_timetracker" not in script.read_text("utf-8")


def test_the_migrated_tables_keep_their_rules(migrated: Flask) -> None:
    """`compare_metadata` looks neither at checks nor at the condition of an index."""
    ada = join(migrated, "Ada")
    key = ada.activity()
    for _ in range(2):
        ada.track(key)
        ada.track(key, START, START)
    ada.track(key, START)
    problem(ada.call("POST", TRACKS, {"activity": key, "start": START}), 409, "conflict")
    with migrated.app_context():
        there = inspect(db.engine)
        (check,) = there.get_check_constraints("tracks")
        assert check["name"] == "ck_tracks_end_after_start"
        indexes = {index["name"]: index["column_names"] for index in there.get_indexes("tracks")}
        assert indexes == {
            "ix_tracks_activity_id": ["activity_id"],
            "ix_tracks_user_id": ["user_id", "ended_at"],
            "uq_tracks_running": ["user_id"],
        }


def test_every_constraint_has_the_name_that_a_later_migration_would_look_for(migrated: Flask) -> None:
    with migrated.app_context():
        there = inspect(db.engine)
        for table in TABLES - {"alembic_version"}:
            unique = [
                each for each in there.get_unique_constraints(table) if not each.get("duplicates_index")
            ]
            named = [*unique, *there.get_foreign_keys(table)]
            assert all(str(each["name"]).startswith(("uq_", "fk_")) for each in named)
            if db.engine.dialect.name != "sqlite":  # which names no key that counts by itself
                assert there.get_pk_constraint(table)["name"] == f"pk_{table}"


def test_foreign_keys_are_in_force_after_a_migration(migrated: Flask) -> None:
    with migrated.app_context():
        if db.engine.dialect.name == "sqlite":
            assert db.session.scalar(text("PRAGMA foreign_keys")) == 1


def test_the_sql_can_be_read_before_it_is_run(empty_tracker: Flask) -> None:
    assert "CREATE TABLE tracks" in run(empty_tracker, "db", "upgrade", "--sql")
    assert "DROP TABLE tracks" in run(empty_tracker, "db", "downgrade", "0001:base", "--sql")
    assert tables(empty_tracker) == set()

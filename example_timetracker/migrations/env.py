"""Run the migrations on the database of the app. Flask-Migrate calls this."""

from contextlib import contextmanager

import click
from alembic import context
from flask import current_app

from example_timetracker.database import Moment

extension = current_app.extensions["migrate"]
database = extension.db


def tell(step, **_):
    verb = "Upgraded to" if step.is_upgrade else "Downgraded from"
    click.echo(f"{verb} {step.up_revision.revision}: {step.up_revision.doc}")


def leave_out_nothing(migration, revision, directives):  # noqa: ARG001 - as Alembic calls it
    """`flask db migrate` shall not write a step in which nothing is done."""
    asked = getattr(context.config.cmd_opts, "autogenerate", False)
    if asked and directives[0].upgrade_ops.is_empty():
        directives[:] = []
        click.echo("The tables are those of the models already.")


def as_in_sql(kind, value, autogenerate):  # noqa: ARG001 - as Alembic calls it
    """A migration shall not change with our code, so it names the type that the database knows."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(value, Moment) else False


def run_offline():
    """Print the SQL instead of running it (`flask db upgrade --sql`)."""
    url = database.engine.url.render_as_string(hide_password=False)
    context.configure(
        url=url, target_metadata=database.metadata, literal_binds=True, **extension.configure_args
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online():
    with database.engine.connect() as connection, foreign_keys_off(connection):
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            on_version_apply=tell,
            process_revision_directives=leave_out_nothing,
            render_item=as_in_sql,
            **extension.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


@contextmanager
def foreign_keys_off(connection):
    """On SQLite, a table is changed by making a new one and dropping the old, which would delete what refers to it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")


if context.is_offline_mode():
    run_offline()
else:
    run_online()

"""`flask linked-auth app …` and `scopes …`: what an operator does with linked apps, as far as no key is concerned."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from flask.cli import AppGroup
from sqlalchemy import select

from ..console import as_json, commit_deed, moment, plain_errors, rows_of_text, show_json
from .changes import (
    DIALECTS,
    change_app,
    define_scopes,
    find_app,
    register_app,
    remove_app,
    set_app_scopes,
)

if TYPE_CHECKING:
    from ..transactions import Transaction

__all__ = ["app_group", "facts_of", "scopes_group", "scopes_of", "terms", "terms_given"]

C = TypeVar("C", bound=Callable[..., Any])

app_group = AppGroup("app", help="Linked apps: other services, and whatever else is no person and calls us.")
scopes_group = AppGroup("scopes", help="The scopes that linked apps can have.")

#: What an app may do here, said alike wherever an app is made.
_TERMS = [
    click.option("--required", multiple=True, metavar="SCOPE", help="A scope that it requires; repeatable."),
    click.option(
        "--optional", multiple=True, metavar="SCOPE", help="A scope that people may add; repeatable."
    ),
    click.option(
        "--ceiling", multiple=True, metavar="SCOPE", help="It has no other scopes than these; repeatable."
    ),
    click.option(
        "--agreement/--no-agreement",
        "needs_agreement",
        default=None,
        help="Whether people have to agree first [default: they do]; without, it has every scope of its ceiling.",
    ),
    click.option(
        "--join-by-email/--no-join-by-email",
        "joins_by_email",
        default=None,
        help="Whether its people are taken for ours by an address that both sides have verified [default: no].",
    ),
]
_FACTS = [
    click.option("--name", help="What people read on the page of the agreement."),
    click.option("--description", help="The same, in a sentence or two."),
    click.option("--address", metavar="URL", help="Where it lives, for our calls."),
    click.option("--users-path", metavar="PATH", help="Where it tells of its people."),
    click.option("--webhook-url", metavar="URL", help="Where it wants to be told what happened."),
    click.option("--redirect-url", metavar="URL", help="Where the page of the agreement leads back to."),
    click.option("--dialect", type=click.Choice(DIALECTS), help="In which we call it [default: link]."),
    click.option(
        "--accept",
        "accepts",
        type=click.Choice(DIALECTS),
        multiple=True,
        help="In which it may call us; repeatable [default: link and signature].",
    ),
]


def terms(command: C) -> C:
    """Let a command take what an app may do here; `terms_given` reads it."""
    for option in reversed(_TERMS):
        command = option(command)
    return command


def _facts(command: C) -> C:
    for option in reversed(_FACTS):
        command = option(command)
    return terms(command)


def terms_given(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of an app among the options that were given, and its scopes if any were."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    scopes: dict[str, Any] = {
        name: list(given.pop(name)) for name in ("required", "optional") if name in given
    }
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return fields, scopes


def _put(transaction: Transaction, app: Any, scopes: Mapping[str, Any]) -> None:
    if scopes:
        present = scopes_of(transaction, app)
        set_app_scopes(transaction, app, **{**present, **scopes})


def scopes_of(transaction: Transaction, app: Any) -> dict[str, list[str]]:
    """The scopes of an app: `required` and `optional`."""
    row = transaction.rows.AppScope
    query = select(row.scope, row.required).where(row.app_id == app.id).order_by(row.scope)
    found = transaction.session.execute(query).all()
    return {
        "required": [each.scope for each in found if each.required],
        "optional": [each.scope for each in found if not each.required],
    }


@app_group.command("create")
@click.argument("slug")
@_facts
@as_json
@plain_errors
def create_app(slug: str, as_json: bool, **options: Any) -> None:
    """Make a linked app. Two Flask services are better linked by `app invite` and `link`, which also give them keys.

    Example: flask linked-auth app create billing --address https://billing.example.com --no-agreement
    """
    fields, scopes = terms_given(options)

    def deed(transaction: Transaction) -> dict[str, Any]:
        app = register_app(transaction, slug, **fields)
        _put(transaction, app, scopes)
        return facts_of(transaction, app)

    facts = commit_deed(deed)
    show_json(facts) if as_json else click.echo(
        f"Created app {facts['slug']}, client id {facts['client_id']}."
    )


@app_group.command("change")
@click.argument("slug")
@_facts
@click.option("--active/--inactive", default=None, help="Whether it may call, and be called.")
@click.option("--no-scopes", is_flag=True, help="Take every scope away that is not given beside this.")
@click.option("--no-ceiling", is_flag=True, help="Let it have every scope there is.")
@as_json
@plain_errors
def alter_app(slug: str, as_json: bool, no_scopes: bool, no_ceiling: bool, **options: Any) -> None:
    """Change a linked app: what is given, and nothing else. People have to agree anew to scopes that are added.

    Example: flask linked-auth app change billing --required read:user --optional read:posts
    """
    fields, scopes = terms_given(options)
    if no_ceiling:
        fields["ceiling"] = None
    if no_scopes:
        scopes = {"required": [], "optional": [], **scopes}
    if not fields and not scopes:
        raise click.UsageError("Say what shall be changed; --help lists what can be.")

    def deed(transaction: Transaction) -> dict[str, Any]:
        app = find_app(transaction, slug)
        if fields:
            change_app(transaction, app, **fields)
        _put(transaction, app, scopes)
        return facts_of(transaction, app)

    facts = commit_deed(deed)
    show_json(facts) if as_json else click.echo(f"Changed app {facts['slug']}.")


@app_group.command("list")
@as_json
@plain_errors
def list_apps(as_json: bool) -> None:
    """List the linked apps: slug, client id, address, standing. Example: flask linked-auth app list"""

    def deed(transaction: Transaction) -> list[dict[str, Any]]:
        row = transaction.rows.LinkedApp
        return [
            facts_of(transaction, app) for app in transaction.session.scalars(select(row).order_by(row.slug))
        ]

    found = commit_deed(deed)
    if as_json:
        show_json(found)
        return
    for facts in found:
        marks = [] if facts["active"] else ["inactive"]
        marks += [] if facts["needs_agreement"] else ["no agreement"]
        click.echo("\t".join([facts["slug"], facts["client_id"], facts["address"] or "-", *marks]))


@app_group.command("show")
@click.argument("slug")
@as_json
@plain_errors
def show_app(slug: str, as_json: bool) -> None:
    """Show a linked app with its scopes and keys; never a secret. Example: flask linked-auth app show billing"""
    facts = commit_deed(lambda transaction: facts_of(transaction, find_app(transaction, slug)))
    if as_json:
        show_json(facts)
        return
    keys = facts.pop("keys")
    yes = {True: "yes", False: "no"}
    shown = {
        name.replace("_", " "): yes[value] if isinstance(value, bool) else value
        for name, value in facts.items()
    }
    if facts["ceiling"] is None:
        shown["ceiling"] = "every scope"
    for line in rows_of_text(shown):
        click.echo(line)
    for key in keys:
        end = key["expires_at"] or "-"
        click.echo("\t".join(["key", key["use"], key["algorithm"], key["id"] or "-", key["state"], end]))


def facts_of(transaction: Transaction, app: Any) -> dict[str, Any]:
    """An app for the eyes of an operator; of its keys all but the keys."""
    row = transaction.rows.AppKey
    keys = transaction.session.scalars(
        select(row).where(row.app_id == app.id).order_by(row.use, row.created_at)
    )
    return {
        "slug": app.slug,
        "client_id": app.id,
        "name": app.name,
        "description": app.description or "",
        "address": app.address,
        "users_path": app.users_path,
        "webhook_url": app.webhook_url,
        "redirect_url": app.redirect_url,
        "dialect": app.dialect,
        "accepts": app.accepts.split(),
        "needs_agreement": app.needs_agreement,
        "agreement_version": app.agreement_version,
        "joins_by_email": app.joins_by_email,
        "ceiling": None if app.ceiling is None else app.ceiling.split(),
        **scopes_of(transaction, app),
        "active": app.active,
        "created_at": moment(app.created_at),
        "keys": [_facts_of_key(key, transaction.now) for key in keys],
    }


def _facts_of_key(key: Any, now: int) -> dict[str, Any]:
    state = "next" if key.active_from > now else "active"
    if key.expires_at is not None:
        state = "retired" if key.expires_at <= now else "ending"
    return {
        "use": key.use,
        "algorithm": key.algorithm,
        "id": key.key_id,
        "state": state,
        "expires_at": None if key.expires_at is None else moment(key.expires_at),
    }


@app_group.command("remove")
@click.argument("slug")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@plain_errors
def delete_app(slug: str, yes: bool, as_json: bool) -> None:
    """Remove a linked app with its keys, agreements and people. Example: flask linked-auth app remove billing --yes"""
    if not yes:
        click.confirm(f"Remove {slug} with its keys, agreements and people?", abort=True)
    commit_deed(lambda transaction: remove_app(transaction, find_app(transaction, slug)))
    show_json({"removed": slug}) if as_json else click.echo(f"Removed app {slug}.")


@scopes_group.command("list")
@as_json
@plain_errors
def list_scopes(as_json: bool) -> None:
    """List the scopes there are: slug, name, description. Example: flask linked-auth scopes list"""

    def deed(transaction: Transaction) -> list[dict[str, Any]]:
        row = transaction.rows.Scope
        return [
            {"slug": s.slug, "name": s.name, "description": s.description, "apps_only": s.apps_only}
            for s in transaction.session.scalars(select(row).order_by(row.slug))
        ]

    found = commit_deed(deed)
    if as_json:
        show_json(found)
        return
    for each in found:
        marks = ["apps only"] if each["apps_only"] else []
        click.echo("\t".join([each["slug"], each["name"], each["description"], *marks]))


@scopes_group.command("set")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
@plain_errors
def set_scopes(file: Path, as_json: bool) -> None:
    """Define scopes, and those of apps, by a file of TOML or JSON; what is not in it stays.

    It has a table `scopes`, in which a slug has a description, or a table with `description`, `name` and `apps_only`;
    and may have a table `apps`, in which a slug has `required` and `optional`.
    Example: flask linked-auth scopes set scopes.toml
    """
    document = _read(file)
    scopes, apps = list(_scopes_in(document)), _table(document, "apps")

    def deed(transaction: Transaction) -> list[str]:
        define_scopes(transaction, scopes)
        return [slug for slug, wanted in apps.items() if _set_scopes_of(transaction, slug, wanted)]

    changed = commit_deed(deed)
    if as_json:
        show_json({"scopes": [each["slug"] for each in scopes], "changed_apps": changed})
        return
    click.echo(f"Defined {len(scopes)} scopes; changed apps: {', '.join(changed) or 'none'}.")


def _set_scopes_of(transaction: Transaction, slug: str, wanted: Any) -> bool:
    if not isinstance(wanted, Mapping) or wanted.keys() - {"required", "optional"}:
        raise click.ClickException(f"apps.{slug}: a table with required and optional, each a list of scopes.")
    lists = {name: wanted.get(name, []) for name in ("required", "optional")}
    for name, scopes in lists.items():
        if not isinstance(scopes, list) or not all(isinstance(each, str) for each in scopes):
            raise click.ClickException(f"apps.{slug}.{name}: a list of scopes.")
    app = find_app(transaction, slug)
    return set_app_scopes(transaction, app, required=lists["required"], optional=lists["optional"])


def _read(file: Path) -> Mapping[str, Any]:
    try:
        text = file.read_text("utf-8")
        document = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise click.ClickException(f"{file}: {error}") from None
    if not isinstance(document, Mapping) or document.keys() - {"scopes", "apps"}:
        raise click.ClickException(f"{file}: only the tables scopes and apps can stand in it.")
    return document


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, Mapping):
        raise click.ClickException(f"{name}: this is no table.")
    return table


def _scopes_in(document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for slug, said in _table(document, "scopes").items():
        if isinstance(said, str):
            yield {"slug": slug, "description": said}
        elif isinstance(said, Mapping) and not said.keys() - {"name", "description", "apps_only"}:
            yield {"slug": slug, **said}
        else:
            raise click.ClickException(
                f"scopes.{slug}: a text, or a table with description, name, apps_only."
            )

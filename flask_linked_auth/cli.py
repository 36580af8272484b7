"""`flask linked-auth ...`: people, keys, who can reach what, and tidying up."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from .console import commit_deed, find_person, moment, plain_errors
from .globals import current_state
from .guards import access_of

if TYPE_CHECKING:
    from .accounts.state import AccountsState
    from .state import Part, State
    from .tokens.keystore import KeyStore
    from .tokens.ring import Held
    from .transactions import Transaction

__all__ = ["group", "group_of"]

group = AppGroup("linked-auth", help="Accounts, keys and guards of flask_linked_auth.")
user_group = AppGroup("user", help="The people of this service.")
keys_group = AppGroup("keys", help="The keys that sign tokens.")
group.add_command(user_group)
group.add_command(keys_group)


def group_of(parts: Iterable[Part]) -> click.Group:
    """`flask linked-auth` for an app with these parts."""
    commands: dict[str, click.Command] = dict(group.commands)
    for command in (each for part in parts for each in part.commands()):
        name = command.name or ""
        commands[name] = _joined(commands.get(name), command)
    return AppGroup(group.name, help=group.help, commands=commands)


def _joined(former: click.Command | None, command: click.Command) -> click.Command:
    """Two parts may add to one group: what a linked app is, and the keys of it."""
    if isinstance(former, click.Group) and isinstance(command, click.Group):
        return AppGroup(former.name, help=former.help, commands={**former.commands, **command.commands})
    return command


def _accounts() -> tuple[State, AccountsState]:
    state = current_state()
    if "accounts" not in state.parts:
        raise click.ClickException("The part Accounts() is not in use here.")
    return state, state.parts["accounts"]


def _find(text: str) -> Any:
    _accounts()
    return find_person(text)


def _checked_password(password: str, profile: dict[str, Any]) -> str:
    from .accounts.flows import check_password

    state, accounts = _accounts()
    check_password(state, accounts, password, field="password", profile=profile)
    return accounts.hasher.hash(password)


@user_group.command("create")
@click.argument("email")
@click.option("--username", help="A user name, where the model has one.")
@click.option("--name", help="What people call them.")
@click.option("--admin", is_flag=True, help="Give the admin: scopes.")
@click.password_option(help="Asked for if not given; an option can be read by others on this machine.")
@plain_errors
def create_user(email: str, username: str | None, name: str | None, admin: bool, password: str) -> None:
    """Make an account. Example: flask linked-auth user create ada@example.com --admin"""
    from .accounts.registration import register
    from .http import load

    _, accounts = _accounts()
    given = {"email": email, "username": username, "name": name, "password": password}
    profile = load(accounts.schemas.registration, {k: v for k, v in given.items() if v is not None})
    password_hash = _checked_password(profile.pop("password"), profile)

    def deed(transaction: Transaction) -> Any:
        user = register(transaction, profile, password_hash=password_hash, is_admin=admin)
        return transaction.key_of(user)

    click.echo(f"Created user {commit_deed(deed)} ({profile['email']}).")


@user_group.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@plain_errors
def list_users(limit: int) -> None:
    """List people: id, e-mail address, user name, standing. Example: flask linked-auth user list --limit 20"""
    from sqlalchemy import select

    database = _accounts()[0].database_in_use()
    model = database.rows.User
    for user in database.db.session.scalars(
        select(model).order_by(model.__mapper__.primary_key[0]).limit(limit)
    ):
        marks = [] if getattr(user, "active", True) else ["deactivated"]
        marks += ["admin"] if getattr(user, "is_admin", False) else []
        columns = [str(database.key_of(user)), user.email, getattr(user, "username", None) or "-", *marks]
        click.echo("\t".join(columns))


@user_group.command("deactivate")
@click.argument("person")
@plain_errors
def deactivate_user(person: str) -> None:
    """Deactivate a person and end all their logins. Example: flask linked-auth user deactivate ada@example.com"""
    _set_active(person, active=False)
    click.echo("Deactivated; all logins have ended.")


@user_group.command("activate")
@click.argument("person")
@plain_errors
def activate_user(person: str) -> None:
    """Let a deactivated person in again. Example: flask linked-auth user activate ada@example.com"""
    _set_active(person, active=True)
    click.echo("Active again.")


def _set_active(person: str, *, active: bool) -> None:
    from .accounts.registration import set_active

    commit_deed(lambda transaction: set_active(transaction, _find(person), active=active))


@user_group.command("set-admin")
@click.argument("person")
@click.option("--remove", is_flag=True, help="Take the admin: scopes away.")
@plain_errors
def set_admin(person: str, remove: bool) -> None:
    """Give a person the admin: scopes, or take them away. Example: flask linked-auth user set-admin ada --remove"""
    from .accounts import registration

    commit_deed(lambda transaction: registration.set_admin(transaction, _find(person), admin=not remove))
    click.echo("No administrator any more." if remove else "An administrator now.")


@user_group.command("set-password")
@click.argument("person")
@click.password_option(help="Asked for if not given; an option can be read by others on this machine.")
@plain_errors
def set_password(person: str, password: str) -> None:
    """Set a person's password and end all their logins. Example: flask linked-auth user set-password ada"""
    _, accounts = _accounts()
    new_hash = _checked_password(password, accounts.schemas.whole.dump(_find(person)))

    def deed(transaction: Transaction) -> None:
        user = _find(person)
        user.password_hash = new_hash  # the change itself ends the logins
        transaction.tell("password.changed", user_id=transaction.key_of(user))

    commit_deed(deed)
    click.echo("Password set; all logins have ended.")


@keys_group.command("list")
@plain_errors
def list_keys() -> None:
    """List the signing keys: id, algorithm, state, from when, until when. Example: flask linked-auth keys list"""
    now = time.time()
    for held in current_state().ring.held():
        start = "settings" if held.active_from == 0 else moment(held.active_from)
        end = "-" if held.accepted_until is None else moment(held.accepted_until)
        click.echo("\t".join([held.key.kid, held.key.algorithm, held.status(now), start, end]))


@keys_group.command("rotate")
@click.option(
    "--after", type=click.IntRange(0), help="Seconds until it signs [default: 10, or 300 if asymmetric]."
)
@click.option("--retire", metavar="KID", help="Stop accepting this key now: tokens that it signed are void.")
@plain_errors
def rotate_keys(after: int | None, retire: str | None) -> None:
    """Make a new signing key. Former ones are accepted for as long as their tokens live.

    Others can learn the new key before it signs. Example: flask linked-auth keys rotate
    """
    state = current_state()
    store, algorithm = _store(state), state.tokens.algorithm
    wait = (10 if algorithm == "HS256" else 300) if after is None else after
    active_from = int(time.time()) + wait

    def deed(transaction: Transaction) -> Held:
        if retire is not None and not store.retire(retire):
            raise click.ClickException(f"There is no key {retire!r} in the database.")
        held = store.add(algorithm, active_from=active_from)
        transaction.tell("key.rotated", kid=held.key.kid, active_from=held.active_from)
        return held

    made = commit_deed(deed)
    click.echo(f"Key {made.key.kid} signs from {moment(made.active_from)} on.")


@keys_group.command("reencrypt")
@plain_errors
def reencrypt_keys() -> None:
    """Seal every secret with the newest of LINKED_AUTH_ENCRYPTION_KEYS. Example: flask linked-auth keys reencrypt"""
    state = current_state()
    store = _store(state)

    def deed(transaction: Transaction) -> int:
        return store.reencrypt() + sum(part.reencrypt(transaction) for part in state.listed)

    click.echo(f"Sealed anew: {commit_deed(deed)}.")


def _store(state: State) -> KeyStore:
    if state.store is None:
        raise click.ClickException("This service has no database, so its keys are in its settings.")
    return state.store


@group.command("routes")
@click.option("--all", "everything", is_flag=True, help="Also views without any guard.")
@with_appcontext
def show_routes(everything: bool) -> None:
    """Print who can reach what; with status 1 if a guard guards nothing. Example: flask linked-auth routes --all"""
    from .misplaced import serves_unguarded

    rows, misplaced = [], set()
    for rule in sorted(current_app.url_map.iter_rules(), key=lambda r: r.rule):
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            view = current_app.view_functions[rule.endpoint]
            if getattr(view, "__module__", None) == "flask_linked_auth.http":
                continue  # the rule that answers 404 under our prefixes reaches nothing
            access = access_of(view, method)
            protected = _is_protected(rule.endpoint)
            who = str(access) if access else ("people" if protected else "anyone (no guard)")
            if serves_unguarded(current_app, rule.endpoint):
                misplaced.add(rule.endpoint)
                who += "  <- the guard stands above the route, so it guards nothing"
            elif access is None and not protected and not everything:
                continue
            rows.append((method, rule.rule, who))
    width = max((len(rule) for _, rule, _ in rows), default=0)
    for method, rule_text, who in rows:
        click.echo(f"{method:<7} {rule_text:<{width}}  {who}")
    if misplaced:
        names = ", ".join(sorted(misplaced))
        raise click.ClickException(f"Put the route decorator on top of the guard: {names}.")


def _is_protected(endpoint: str) -> bool:
    from .guards import is_protected

    return is_protected(current_app, endpoint)


@group.command("prune")
@plain_errors
def prune() -> None:
    """Delete what is over: logins, revocations, and what the parts keep. Example, nightly: flask linked-auth prune"""
    from .tokens.refresh import prune_logins
    from .tokens.revocation import prune_revocations

    def logins(transaction: Transaction, at_most: int) -> int:
        return prune_logins(transaction.session, transaction.rows.Login, now=transaction.now, at_most=at_most)

    def revocations(transaction: Transaction, at_most: int) -> int:
        return prune_revocations(transaction.session, transaction.rows, at_most=at_most)

    deeds = {"logins": logins, "revocations": revocations}
    for part in current_state().listed:
        deeds.update(part.prunes())
    for what, deed in deeds.items():
        total = 0
        while done := commit_deed(functools.partial(deed, at_most=1000)):
            total += done
        click.echo(f"Deleted {total} {what}.")


@group.command("create-tables")
@plain_errors
def create_tables() -> None:
    """Create the tables that are missing, for an app without migrations. Example: flask linked-auth create-tables"""
    database = current_state().database_in_use()
    database.db.metadata.create_all(database.db.engine)
    click.echo("The tables are there.")


@group.command("config")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@plain_errors
def show_settings(as_json: bool) -> None:
    """Print every setting in effect and where it comes from; secrets are masked. Example: flask linked-auth config"""
    from .effective import effective_settings

    found = effective_settings(current_app)
    if as_json:
        parts = {
            part: {each.key: {"value": each.value, "from": each.origin} for each in settings}
            for part, settings in found.items()
        }
        click.echo(json.dumps(parts, indent=2, default=str))
        return
    width = max(len(each.key) for settings in found.values() for each in settings)
    for part, settings in found.items():
        click.echo(f"{part}:")
        for each in settings:
            click.echo(f"  {each.key:<{width}}  {_value(each.value)}  ({each.origin})")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{name}: {_value(each)}" for name, each in value.items()]
    if isinstance(value, list):
        return ", ".join(_value(each) for each in value) or "none"
    return "none" if value in (None, "") else str(value)


# A cookie may begin with a dash, and is no option then.
@group.command("explain", context_settings={"ignore_unknown_options": True})
@click.argument("credential", required=False)
@click.option(
    "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of the request; repeatable."
)
@click.option(
    "--curl", metavar="COMMAND", help="The whole request, as a curl command; - reads it from the input."
)
@click.option("--for", "target", metavar="VIEW", help="Ask this view's guard: an endpoint, or 'POST /posts'.")
@plain_errors
def explain_credential(
    credential: str | None, headers: tuple[str, ...], curl: str | None, target: str | None
) -> None:
    """Say step by step why a token, a header or a request is admitted or refused (then with status 1).

    CREDENTIAL is read from the input for `-`: others can see the options of a running command.
    Example: flask linked-auth explain "Bearer $TOKEN" --for "POST /posts"
    """
    from .attempts import attempt_of
    from .explain import explain, view_of

    given = [text for text in (credential, "\n".join(headers), curl) if text]
    if len(given) != 1:
        raise click.UsageError("Give a token, or --header, or --curl.")
    text = sys.stdin.read() if given[0] == "-" else given[0]
    try:
        attempt = attempt_of(text)
        view = view_of(current_app, attempt, target)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    verdict = explain(current_app, attempt, view)
    marks = {True: "ok", False: "NO", None: "--"}
    for step in verdict.steps:
        click.echo(f"{marks[step.good]}  {step.name:<10}  {step.words}")
    for line in verdict.conclusion():
        click.echo(line)
    if verdict.problem is not None:
        sys.exit(1)

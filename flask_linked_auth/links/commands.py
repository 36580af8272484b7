"""`flask linked-auth people …`, `sign-jwt` and `sign-request`: who is who, and calls to try a link with."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import click
from flask.cli import AppGroup, with_appcontext
from sqlalchemy import select

from ..apps.changes import find_app
from ..console import as_json, commit_deed, find_person, moment, plain_errors, show_json
from .link import DIALECTS
from .people import Progress, check_people, link_person, sync_people, unlink_person
from .state import mine
from .wire import sign_jwt

if TYPE_CHECKING:
    from ..apps.registry import AppRecord
    from ..transactions import Transaction
    from .link import Link

__all__ = ["commands"]

people_group = AppGroup("people", help="Who the people of a linked app are here.")


def commands() -> Sequence[click.Command]:
    """All commands of links."""
    from .pairing_commands import app_group, link_services

    return (people_group, sign_token, sign_call, link_services, app_group)


def _record(slug: str) -> AppRecord:
    app = mine()[1].apps.registry.find(slug)
    if app is None:
        raise click.ClickException(f"There is no linked app {slug!r}, or it is not active.")
    return app


def _link(slug: str) -> Link:
    try:
        return mine()[1].link_to(_record(slug).id)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


# People.


@people_group.command("list")
@click.argument("slug")
@click.option(
    "--status", type=click.Choice(["healthy", "not-found", "unchecked"]), help="Only those of this standing."
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@as_json
@plain_errors
def list_people(slug: str, status: str | None, limit: int, as_json: bool) -> None:
    """List who an app's people are here: their id, ours, standing. Example: flask linked-auth people list billing"""

    def deed(transaction: Transaction) -> list[dict[str, Any]]:
        row = transaction.rows.LinkedPerson
        query = select(row).where(row.app_id == find_app(transaction, slug).id).order_by(row.id).limit(limit)
        if status is not None:
            query = query.where(row.status == status)
        return [
            {
                "external_id": each.external_id,
                "user_id": str(each.user_id),
                "status": each.status,
                "checked_at": None if each.checked_at is None else moment(each.checked_at),
            }
            for each in transaction.session.scalars(query)
        ]

    found = commit_deed(deed)
    if as_json:
        show_json(found)
        return
    for each in found:
        click.echo(
            "\t".join([each["external_id"], each["user_id"], each["status"], each["checked_at"] or "-"])
        )


@people_group.command("link")
@click.argument("slug")
@click.argument("person")
@click.argument("external_id")
@plain_errors
def link_one(slug: str, person: str, external_id: str) -> None:
    """Say who somebody is to an app, by its id. Example: flask linked-auth people link billing ada@example.com 41"""

    def deed(transaction: Transaction) -> None:
        user = find_person(person)
        link_person(transaction, find_app(transaction, slug), transaction.key_of(user), external_id)

    commit_deed(deed)
    click.echo("Linked.")


@people_group.command("unlink")
@click.argument("slug")
@click.argument("external_id")
@plain_errors
def unlink_one(slug: str, external_id: str) -> None:
    """Take one of an app's people for nobody here any more. Example: flask linked-auth people unlink billing 41"""
    if not commit_deed(lambda deed: unlink_person(deed, find_app(deed, slug), external_id)):
        raise click.ClickException(f"Nobody here is {external_id!r} of {slug}.")
    click.echo("Unlinked.")


@people_group.command("sync")
@click.argument("slugs", metavar="SLUG...", nargs=-1, required=True)
@click.option("--start", type=click.IntRange(0), default=0, help="Go on after so many of the app's people.")
@click.option(
    "--trust-addresses",
    is_flag=True,
    help="You vouch that the app verifies e-mail addresses though it does not say so, as the Django package does not.",
)
@as_json
@plain_errors
def sync(slugs: tuple[str, ...], start: int, trust_addresses: bool, as_json: bool) -> None:
    """Link an app's people to ours by verified e-mail addresses, for apps with --join-by-email. Nobody is made.

    It can be stopped and run again, also twice at once. Example: flask linked-auth people sync billing academy
    """

    def steps(app: AppRecord, link: Link) -> Iterator[Progress]:
        if not app.joins_by_email:
            words = "its people are not to be joined by e-mail address: see `app change --join-by-email`."
            raise click.ClickException(f"{app.slug}: {words}")
        return sync_people(app, link, start=start, trust_addresses=trust_addresses)

    _each(slugs, steps, "linked", as_json=as_json)


@people_group.command("check")
@click.argument("slugs", metavar="SLUG...", nargs=-1, required=True)
@as_json
@plain_errors
def check(slugs: tuple[str, ...], as_json: bool) -> None:
    """Ask apps whether they still have the people who are linked. Example: flask linked-auth people check billing"""
    _each(slugs, check_people, "healthy", as_json=as_json)


def _each(
    slugs: Sequence[str], steps: Callable[[AppRecord, Link], Iterator[Progress]], word: str, *, as_json: bool
) -> None:
    """Work through one app after the other, with a bar on the terminal, and say how it ended."""
    outcome = {}
    for slug in slugs:
        seen = done = 0
        with ExitStack() as shown:
            bar = None
            for step in steps(_record(slug), _link(slug)):
                seen, done = seen + step.size, done + step.done
                if bar is None and step.total and not as_json and sys.stderr.isatty():
                    bar = shown.enter_context(
                        click.progressbar(length=step.total, label=slug, file=sys.stderr)
                    )
                if bar is not None:
                    bar.update(step.size)
        outcome[slug] = {"seen": seen, word: done}
        if not as_json:
            click.echo(f"{slug}: {seen} people, {done} {word}.")
    if as_json:
        show_json(outcome)


# Signing.


@click.command("sign-jwt")
@click.argument("slug")
@click.argument("person", required=False)
@click.option("--path", default=None, help="What to ask for [default: the people of the app].")
@click.option("--reverse", is_flag=True, help="As the app calls us, for its person; wants a shared secret.")
@as_json
@plain_errors
@with_appcontext
def sign_token(slug: str, person: str | None, path: str | None, reverse: bool, as_json: bool) -> None:
    """Print a curl line that calls an app by JWT, for one of our people or for this service.

    Example: flask linked-auth sign-jwt billing ada@example.com --path /invoices
    """
    app = _record(slug)
    if reverse:
        headers, address = _reversed(app, person or ""), mine()[1].issuer
    else:
        link = _link(slug)
        url = link.address + (path or link.users_path)
        headers, address = _signed(link, "GET", url, subject=_subject(person), dialect="link"), link.address
    _show_call("GET", address + (path or app.users_path), headers, None, as_json=as_json)


def _reversed(app: AppRecord, subject: str) -> dict[str, str]:
    """The header of a call that the app would make, as far as its key is ours as well."""
    _, links = mine()
    keys = [held.key for held in app.accepted("link_in", time())]
    key = next((each for each in keys if each.signing is not None), None)
    if key is None:
        raise click.ClickException(
            f"We hold no key that signs for {app.slug}, only one that verifies: run it there."
        )
    try:
        token = sign_jwt(
            key, sender=app.slug, receiver=links.name, subject=subject, issuer=app.facts.address or ""
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    return {"Authorization": token}


@click.command("sign-request")
@click.argument("slug")
@click.argument("person", required=False)
@click.option("--method", default="GET", show_default=True, help="The method of the request.")
@click.option("--path", default=None, help="What to ask for [default: the people of the app].")
@click.option("--params", metavar="JSON", help="""The query, such as '{"q": "x"}'.""")
@click.option("--data", metavar="JSON", help="The body.")
@click.option(
    "--header", "more", multiple=True, metavar="'NAME: VALUE'", help="A further header; repeatable."
)
@click.option("--dialect", type=click.Choice(DIALECTS[1:]), help="[default: whichever there is a key for].")
@as_json
@plain_errors
@with_appcontext
def sign_call(slug: str, person: str | None, as_json: bool, **given: Any) -> None:
    """Print a curl line that calls an app by signed request, good once and for a minute.

    Example: flask linked-auth sign-request billing --method POST --path /invoices --data '{"sum": 12}'
    """
    link = _link(slug)
    keys = [each for each in DIALECTS[1:] if each in link.keys]
    dialect = given["dialect"] or (keys[0] if keys else "signature")
    query = _query(given["params"])
    url = link.address + quote(given["path"] or link.users_path, safe="/:@!$&'()*+,;=-._~%") + query
    body = None if given["data"] is None else json.dumps(_json("--data", given["data"])).encode()
    method = given["method"].upper()
    headers = dict(_header(text) for text in given["more"])
    headers |= {} if body is None else {"Content-Type": "application/json"}
    headers |= _signed(link, method, url, subject=_subject(person), dialect=dialect, body=body)
    _show_call(method, url, headers, body, as_json=as_json)


def _signed(link: Link, method: str, url: str, *, subject: str, **more: Any) -> dict[str, str]:
    body = more.pop("body", None)
    kind = None if body is None else "application/json"
    try:
        return link.sign(method, url, body=body, subject=subject, content_type=kind, **more)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _subject(person: str | None) -> str:
    if not person:
        return ""
    user = find_person(person)
    return str(mine()[0].database_in_use().key_of(user))


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{option} is not JSON: {error}") from None


def _query(text: str | None) -> str:
    if text is None:
        return ""
    params = _json("--params", text)
    if not isinstance(params, Mapping):
        raise click.ClickException("--params is not a JSON object.")
    return f"?{urlencode(params, doseq=True)}" if params else ""


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable():
        raise click.ClickException(f"{text!r} is no header such as 'Accept: text/plain'.")
    return name.strip(), value.strip()


def _show_call(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, as_json: bool
) -> None:
    words = ["curl"] + ([] if method == "GET" else ["-X", method])
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}" if value else f"{name};"]
    words += [] if body is None else ["--data-raw", body.decode()]
    line = shlex.join([*words, url])
    if as_json:
        show_json({"method": method, "url": url, "headers": dict(headers), "curl": line})
    else:
        click.echo(line)

"""`flask linked-auth link`, and of `app` what has to do with keys: `invite`, `keys`, `rotate`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from flask.cli import AppGroup, with_appcontext
from requests import RequestException
from sqlalchemy import select

from ..apps.changes import change_app, find_app, register_app, set_app_scopes
from ..apps.commands import scopes_of, terms, terms_given
from ..apps.keys import USES as EVERY_USE, NewKey, replace_key
from ..console import as_json, commit_deed, plain_errors, show_json
from ..errors import LinkedAuthError, NotFound
from .announced import activate, drop_prepared, prepare, retire_former
from .asking import post_json
from .client import Service
from .codes import read_code, text_of
from .django import new_shared, put_shared, snippet
from .keys import ALGORITHMS, dump_key, key_from_hex
from .pairing import Terms, invite, is_private, make_offer, take_answer
from .schemas import Answered
from .state import mine

if TYPE_CHECKING:
    from ..transactions import Transaction
    from .codes import Code
    from .keys import Algorithm

__all__ = ["app_group", "link_services"]

app_group = AppGroup("app")
DEFAULT_PREFIX = "/v1/auth/app"


def _uuid_note() -> str | None:
    """What an operator must know where our ids cannot travel to the Django package."""
    kind = mine()[0].database_in_use().key_type
    if kind is int:
        return None
    return (
        f"Note: the ids of people here are {kind.__name__}s, and the Django package takes numbers only. Calls to it"
        " can be made for this service itself, not for a person."
    )


# Pairing.


@app_group.command("invite")
@click.argument("slug")
@click.option("--address", metavar="URL", help="Only for a service that lives there.")
@click.option("--insecure", is_flag=True, help="It may live at an http address, away from this machine.")
@terms
@as_json
@plain_errors
def invite_app(slug: str, address: str | None, insecure: bool, as_json: bool, **options: Any) -> None:
    """Make a code by which the operator of another service links it with this one. SLUG is that service's own name.

    The options say what it may do here. The code is good once, and for LINKED_AUTH_PAIRING_LIFETIME seconds.
    Example: flask linked-auth app invite tracker --required read:user
    """
    _, links = mine()
    fields, scopes = terms_given(options)
    given = Terms(fields, scopes, insecure=insecure)
    lifetime = links.settings.pairing_lifetime

    def deed(transaction: Transaction) -> Code:
        _refuse_bad_terms(transaction, slug, given)
        return invite(transaction, slug, given, lifetime=lifetime, address=address and address.rstrip("/"))

    code = commit_deed(deed)
    prefix = links.settings.link_prefix
    command = f"flask linked-auth link {links.issuer}" + (
        "" if prefix == DEFAULT_PREFIX else f" --prefix {prefix}"
    )
    if as_json:
        show_json({"code": code.shown, "address": links.issuer, "prefix": prefix, "expires_in": lifetime})
        return
    click.echo(f"Within {lifetime // 60} minutes, have this run where {slug} is:\n\n  {command}\n")
    click.echo(f"It asks for the code: {code.shown}")


def _refuse_bad_terms(transaction: Transaction, slug: str, given: Terms) -> None:
    """Try what will be done when the code is used, and undo it: now there is somebody to be told."""
    with transaction.session.begin_nested() as trial:
        app = _found(transaction, slug)
        if app is None:
            app = register_app(transaction, slug, **given.fields)
        else:
            change_app(transaction, app, **given.fields)
        if given.scopes:
            set_app_scopes(transaction, app, **{**scopes_of(transaction, app), **given.scopes})
        trial.rollback()
    transaction.told.clear()


def _found(transaction: Transaction, slug: str) -> Any | None:
    try:
        return find_app(transaction, slug)
    except NotFound:
        return None


@click.command("link")
@click.argument("url")
@click.option("--code", help="Asked for if not given; an option can be read by others on this machine.")
@click.option("--prefix", default=DEFAULT_PREFIX, show_default=True, help="Its LINKED_AUTH_LINK_PREFIX.")
@click.option(
    "--address", metavar="URL", help="Where this service is for the other one [default: the issuer]."
)
@click.option(
    "--algorithm", type=click.Choice(ALGORITHMS), help="Of the keys [default: EdDSA; for Django HS512]."
)
@click.option("--insecure", is_flag=True, help="Over http, though others may listen.")
@click.option("--replace", is_flag=True, help="Also if there is an app of its name that lives elsewhere.")
@click.option(
    "--django", metavar="SLUG", help="The service runs the Django package, and this is its app_name."
)
@click.option(
    "--old-signatures", is_flag=True, help="With --django: sign as the package does, instead of by JWT."
)
@terms
@as_json
@plain_errors
@with_appcontext
def link_services(url: str, as_json: bool, **options: Any) -> None:
    """Link this service and the one at URL: both get keys and know each other. Its operator has a code for it.

    The code comes from `flask linked-auth app invite` over there. The last options say what the other service may do
    here. If it fails half-way, run it again. Example: flask linked-auth link https://blog.example.com --no-agreement
    """
    how = {name: options.pop(name) for name in _HOW}
    fields, scopes = terms_given(options)
    given = Terms(fields, scopes, insecure=how["insecure"], replace=how["replace"])
    url = url.rstrip("/")
    if not (how["insecure"] or is_private(url)):
        raise click.ClickException(
            "This is an http address: who listens in between reads all. See --insecure."
        )
    if how["django"]:
        _link_django(url, given, how, as_json=as_json)
    else:
        _link_flask(url, given, how, as_json=as_json)


_HOW = ("code", "prefix", "address", "algorithm", "insecure", "replace", "django", "old_signatures")


def _link_flask(url: str, given: Terms, how: Mapping[str, Any], *, as_json: bool) -> None:
    _, links = mine()
    try:
        code = read_code(how["code"] or click.prompt("Pairing code", err=True))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    address = (how["address"] or links.issuer).rstrip("/")
    algorithm: Algorithm = how["algorithm"] or "EdDSA"
    if algorithm != "EdDSA" and not is_private(url):
        raise click.ClickException("Shared secrets are only exchanged over https. Take EdDSA.")
    lifetime = links.settings.pairing_lifetime
    offered = commit_deed(
        lambda deed: make_offer(deed, code, to=url, address=address, algorithm=algorithm, lifetime=lifetime)
    )
    body = {"code": code.handle, "offer": offered.text, "proof": text_of(code.prove(offered.text.encode()))}
    status, value = post_json(f"{url}{how['prefix']}/pair", body, timeout=(5.0, 30.0))
    if status != 200 or Answered().validate(value or {}):
        raise click.ClickException(_why(url, status, value))
    name = commit_deed(lambda deed: take_answer(deed, code, offered, said=value, terms=given, to=url))
    if as_json:
        show_json({"linked": name, "address": url})
        return
    click.echo(f"Linked with {name} at {url}. See what it may do here: flask linked-auth app show {name}")


def _why(url: str, status: int, value: Any) -> str:
    if status == 0:
        return f"{url} does not answer."
    detail = value.get("detail") if isinstance(value, Mapping) else None
    if isinstance(detail, str) and detail.isprintable():
        return f"{url} says: {detail[:500]}"
    return f"{url} answers with status {status}. Does a service with Links() run there?"


def _link_django(url: str, given: Terms, how: Mapping[str, Any], *, as_json: bool) -> None:
    algorithm: Algorithm = how["algorithm"] or "HS512"
    if how["old_signatures"] and algorithm == "EdDSA":
        raise click.ClickException("The old signatures are HMACs: take HS256 or HS512.")
    shared = new_shared(algorithm)
    uses = ("link", "legacy") if how["old_signatures"] else ("link",)
    fields = {**given.fields, "address": url, "accepts": ["link"]}
    if how["old_signatures"]:
        fields |= {"dialect": "legacy-signature", "accepts": ["link", "legacy-signature"]}

    def deed(transaction: Transaction) -> None:
        app = _found(transaction, how["django"])
        if app is None:
            app = register_app(transaction, how["django"], **fields)
        elif given.replace:
            change_app(transaction, app, **fields)
        else:
            raise click.ClickException(
                f"There is an app {app.slug} already. See --replace, and `app rotate`."
            )
        if given.scopes:
            set_app_scopes(transaction, app, **{**scopes_of(transaction, app), **given.scopes})
        put_shared(transaction, app, shared, dialects=uses)

    commit_deed(deed)
    _tell_django(snippet(shared, legacy=how["old_signatures"]), as_json=as_json)


def _tell_django(text: str, *, as_json: bool) -> None:
    note = _uuid_note()
    if as_json:
        show_json({"run": text, "note": note})
        return
    click.echo(
        "Run this over there, in `python manage.py shell`. It holds the key of the link, shown only now:\n"
    )
    click.echo(text)
    if note:
        click.echo(f"\n{note}")


# Keys.


@app_group.command("rotate")
@click.argument("slug")
@click.option("--now", "at_once", is_flag=True, help="The former keys end at once: somebody may have them.")
@click.option(
    "--activate", "only_activate", is_flag=True, help="The other side has been given the new key by hand."
)
@as_json
@plain_errors
def rotate(slug: str, at_once: bool, only_activate: bool, as_json: bool) -> None:
    """Replace the keys by which we call an app. A service that was linked by a code is told by itself.

    The former keys are accepted for LINKED_AUTH_KEY_OVERLAP seconds more, so that no call fails. For the Django package
    it prints what to run there; then run it again with --activate. Example: flask linked-auth app rotate billing
    """
    _, links = mine()
    overlap = 0 if at_once else links.settings.key_overlap
    paired = commit_deed(lambda deed: "signature_out" in _uses(deed, slug))
    if only_activate:
        done = commit_deed(lambda deed: _activate(deed, slug, overlap=overlap))
    elif paired:
        _announce(slug, overlap=overlap)
        done = commit_deed(lambda deed: activate(deed, find_app(deed, slug)))
    else:
        _tell_django(commit_deed(lambda deed: _renew(deed, slug)), as_json=as_json)
        if not as_json:
            click.echo(f"\nThen: flask linked-auth app rotate {slug} --activate")
        return
    if not done:
        raise click.ClickException(f"There is no new key of {slug} to be activated.")
    show_json({"rotated": done}) if as_json else click.echo(f"Rotated: {', '.join(done)}.")


def _uses(transaction: Transaction, slug: str) -> set[str]:
    app, row = find_app(transaction, slug), transaction.rows.AppKey
    query = select(row.use).where(row.app_id == app.id, row.expires_at.is_(None))
    uses = set(transaction.session.scalars(query))
    if not uses:
        raise click.ClickException(f"{slug} has no keys: link it first.")
    return uses


def _announce(slug: str, *, overlap: int) -> None:
    """Tell the other side of our next keys, by a call that the present ones sign."""
    link = mine()[1].link_to(slug)
    prepared = commit_deed(lambda deed: prepare(deed, find_app(deed, slug)))
    if not is_private(link.address) and any(key.algorithm != "EdDSA" for key in prepared.keys.values()):
        raise click.ClickException("Shared secrets are only exchanged over https.")
    path = link.users_path.rstrip("/").removesuffix("/user") + "/keys"
    with Service(link, mode="signature") as there:
        try:
            answer = there.post(path, json={**prepared.told(), "overlap": overlap}, allow_redirects=False)
        except (RequestException, LinkedAuthError) as error:
            raise click.ClickException(f"{slug} does not answer ({type(error).__name__}). {_AGAIN}") from None
    if answer.status_code != 204:
        raise click.ClickException(
            f"{slug} has not taken the new keys: status {answer.status_code}. {_AGAIN}"
        )


_AGAIN = "The present keys stay in use; run it again."


def _activate(transaction: Transaction, slug: str, *, overlap: int) -> list[str]:
    app = find_app(transaction, slug)
    done = activate(transaction, app)
    for use in done:
        incoming = f"{use.removesuffix('_out')}_in"
        retire_former(transaction, app, incoming, after=overlap)
    return done


def _renew(transaction: Transaction, slug: str) -> str:
    app, row = find_app(transaction, slug), transaction.rows.AppKey
    dialects = tuple(each for each in ("link", "legacy") if f"{each}_out" in _uses(transaction, slug))
    ours = (
        select(row)
        .where(row.app_id == app.id, row.use == f"{dialects[0]}_out")
        .order_by(row.created_at.desc())
    )
    algorithm = transaction.session.scalars(ours.limit(1)).one().algorithm
    drop_prepared(transaction, app)
    shared = new_shared(algorithm)
    put_shared(transaction, app, shared, dialects=dialects, later=True)
    return snippet(shared, legacy=app.dialect == "legacy-signature")


@app_group.command("set-key")
@click.argument("slug")
@click.option("--use", "uses", type=click.Choice(EVERY_USE), multiple=True, required=True, help="Repeatable.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), required=True, help="Of the key.")
@click.option("--public", metavar="HEX", default="", help="What only verifies: the hex of a PEM.")
@click.option("--id", "key_id", default="", help="By which both sides name it; signed requests need one.")
@plain_errors
def set_key(slug: str, uses: tuple[str, ...], algorithm: Any, public: str, key_id: str) -> None:
    """Store a key that was made elsewhere, as hex in the form of the Django package; the secret half is asked for.

    The former keys of these uses end after LINKED_AUTH_KEY_OVERLAP seconds.
    Example: flask linked-auth app set-key academy --use link_in --use link_out --algorithm HS512 < key.hex
    """
    private = "" if public and algorithm == "EdDSA" else _secret()
    try:
        key = key_from_hex(algorithm, private=private, public=public, id=key_id)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    for use in uses:
        if (key.signing if use.endswith("_out") else key.verifying) is None:
            raise click.ClickException(f"A key that only verifies is of no use as {use}.")

    def deed(transaction: Transaction) -> None:
        app = find_app(transaction, slug)
        for use in uses:
            new = NewKey(algorithm, dump_key(key), key_id)
            replace_key(transaction, app, use, new, overlap=mine()[1].settings.key_overlap)

    commit_deed(deed)
    click.echo(f"Stored for {', '.join(uses)}.")


def _secret() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("The secret half, in hex", hide_input=True))
    return sys.stdin.read().strip()

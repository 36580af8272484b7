"""For those who test services that are linked: linked apps, clients that call as they would, and links both ways.

Plain functions; `testing.py` has the fixtures. All of it is refused unless `app.testing` is set. PYTEST_DONT_REWRITE:
there is no assert in here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from .testing_state import context_of, key_in, person_meant, state_under_test

# Loaded by pytest in every project of an environment: nothing else is imported before a fixture is used.
if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from .links.keys import Algorithm, LinkKey
    from .links.link import Dialect, Link
    from .links.outgoing import Mode
    from .state import State
    from .transactions import Transaction

__all__ = ["address_under_test", "link_services", "linked_app", "service_client"]

BOTH: tuple[Dialect, ...] = ("link", "signature")
_FIRST_ID = 1_000_001


def linked_app(
    app: Flask,
    slug: str,
    *,
    scopes: Collection[str] = (),
    optional: Collection[str] = (),
    dialects: Sequence[Dialect] = BOTH,
    algorithm: Algorithm = "HS256",
    **fields: Any,
) -> Any:
    """Add a linked app to `app`, with keys for calls in both directions, and return its row.

    `scopes` are those that it requires, `optional` those that a person may accept besides. They are registered, and
    so is every scope that a guard of the app asks for. It may call by each of the `dialects`, and is called by the
    first. `fields` are further columns, such as `needs_agreement` (True), `ceiling` (None: every scope there is),
    `address` (`http://<slug>.test`), `webhook_url`, `name`.

    Raises InvalidFields for what such an app cannot have, Taken for a slug in use, RuntimeError outside testing.
    """
    state = _state_with_links(app)
    from .apps.changes import set_app_scopes
    from .links.keys import generate_key
    from .transactions import commit

    fields = {"address": f"http://{slug}.test", **fields}
    keys = {dialect: generate_key(algorithm) for dialect in dialects}

    def deed(transaction: Transaction) -> Any:
        _define(transaction, {*scopes, *optional, *_guarding(app)})
        row = _register(transaction, slug, fields, keys_in=keys, keys_out=keys)
        set_app_scopes(transaction, row, required=scopes, optional=optional)
        return row

    with context_of(app):
        row = commit(state, deed)
        state.database_in_use().db.session().refresh(row)  # readable after this context as well
    return row


def _state_with_links(app: Flask) -> State:
    state = state_under_test(app)
    if "links" not in state.parts:
        raise RuntimeError("This app has no linked apps: list the parts Apps() and Links() in LinkedAuth.")
    return state


def _guarding(app: Flask) -> Iterator[str]:
    """The scopes that the guards of an app ask for, as far as a linked app could have them."""
    from .apps.changes import checked_scope
    from .errors import InvalidFields
    from .guards import access_of

    for rule in app.url_map.iter_rules():
        for method in rule.methods or ():
            access = access_of(app.view_functions[rule.endpoint], method)
            for scope in () if access is None else (name for each in access.each for name in each.scopes):
                try:
                    yield checked_scope(scope)
                except InvalidFields:
                    continue  # for people only, then


def _define(transaction: Transaction, scopes: Collection[str]) -> None:
    """Register what is not registered yet; what the app says of its scopes stays."""
    from sqlalchemy import select

    from .apps.changes import define_scopes

    present = set(transaction.session.scalars(select(transaction.rows.Scope.slug)))
    new = sorted(set(scopes) - present)
    define_scopes(transaction, [{"slug": each, "description": f"{each}, for tests"} for each in new])


def _register(
    transaction: Transaction,
    slug: str,
    fields: dict[str, Any],
    *,
    keys_in: dict[Dialect, LinkKey],
    keys_out: dict[Dialect, LinkKey],
) -> Any:
    from .apps.changes import register_app
    from .apps.keys import NewKey, add_key
    from .links.keys import dump_key
    from .links.state import USE

    dialects = list(keys_in)
    row = register_app(transaction, slug, **{"accepts": dialects, "dialect": dialects[0], **fields})
    for way, keys in (("in", keys_in), ("out", keys_out)):
        for dialect, key in keys.items():
            # Both halves, also of a pair: here the tests are the other side as well, and have to sign.
            add_key(transaction, row, f"{USE[dialect]}_{way}", NewKey(key.algorithm, dump_key(key), key.id))
    return row


def service_client(
    app: Flask,
    slug: str,
    *,
    user: Any = None,
    mode: Mode | None = None,
    scopes: Collection[str] | None = None,
) -> FlaskClient:
    """A client that calls `app` as the linked app of this slug would: each call is signed, and signed anew.

    It speaks for `user` (a row, a key, an e-mail address or a user name), who is linked if they are not yet, under
    an id that is none of ours; or for the app itself. By a JWT, or with `mode="signature"` by a signature over each
    request. With `scopes` the app holds exactly these, from now on and for whoever calls as it: the person has agreed
    to them; or the app requires them, if it speaks for itself; or they are its ceiling, if it needs no agreement.
    Without `scopes` all of that is left as it is.

    Raises LookupError for an unknown app or person, ValueError for scopes beyond the app's ceiling or a mode that the
    app has no key for, RuntimeError outside testing.
    """
    state = _state_with_links(app)
    from .links.outgoing import Caller
    from .transactions import commit

    with context_of(app):
        subject = commit(state, lambda deed: _stand(deed, slug, user, scopes))
        link = _as_seen_from(state, slug, address_under_test(app) or "http://localhost")
    dialect = Caller(link, subject, mode=mode).dialect
    plain = app.test_client()
    kind: Any = type("ServiceClient", (_Signing, type(plain)), {})
    client: Any = kind(app, app.response_class)
    client.link, client.subject, client.dialect = link, subject, dialect
    client.home = address_under_test(app)
    return client  # type: ignore[no-any-return]


def address_under_test(app: Flask) -> str | None:
    """Where others call this app, if its settings say so: the origin of the issuer, and the application root."""
    if "LINKED_AUTH_ISSUER" not in app.config:
        return None
    parts = urlsplit(app.config["LINKED_AUTH_ISSUER"])
    return f"{parts.scheme}://{parts.netloc}{app.config['APPLICATION_ROOT'].rstrip('/')}"


def _stand(transaction: Transaction, slug: str, user: Any, scopes: Collection[str] | None) -> str:
    """See to the mapping of `user`, and to the scopes; the id by which the app knows the user, "" for nobody."""
    row = _row_of(transaction, slug)
    user_id = None
    if user is not None:
        accounts = "accounts" in transaction.state.parts
        user_id = person_meant(transaction.state, user)[0] if accounts else key_in(user)
    if scopes is not None:
        _define(transaction, scopes)
        _grant(transaction, row, user_id, frozenset(scopes))
    return "" if user_id is None else _external_id(transaction, row, user_id)


def _row_of(transaction: Transaction, slug: str) -> Any:
    from .apps.changes import find_app
    from .errors import NotFound

    try:
        return find_app(transaction, slug)
    except NotFound:
        raise LookupError(f"There is no linked app {slug!r}: linked_app({slug!r}) makes one.") from None


def _grant(transaction: Transaction, row: Any, user_id: Any, scopes: frozenset[str]) -> None:
    """Let the app hold exactly these, for this person or for itself."""
    from .apps.agreements import agree, scopes_asked
    from .apps.changes import change_app, set_app_scopes

    if not row.needs_agreement:
        change_app(transaction, row, ceiling=sorted(scopes))
        return
    if row.ceiling is not None and not scopes <= set(row.ceiling.split()):
        raise ValueError(f"The ceiling of {row.slug} is {row.ceiling!r}, which {sorted(scopes)} goes beyond.")
    asked = {each.slug: each.required for each in scopes_asked(transaction, row)}
    required = scopes if user_id is None else {each for each in asked if asked[each]}
    set_app_scopes(transaction, row, required=required, optional=(scopes | asked.keys()) - required)
    if user_id is not None:
        # Not what the app requires besides: so it is with an agreement that is older than the app's wishes.
        agree(transaction, row, user_id, accepted=scopes).scopes = " ".join(sorted(scopes))


def _external_id(transaction: Transaction, row: Any, user_id: Any) -> str:
    from sqlalchemy import func, select

    from .links.known import person_subject

    people, session = transaction.rows.LinkedPerson, transaction.session
    query = select(people.external_id).where(people.app_id == row.id, people.user_id == user_id)
    known = session.scalar(query)
    if known is not None:
        return str(known)
    # Nobody's id here: a view that takes the app's id of a person for one of ours is found out.
    new = str(_FIRST_ID + (session.scalar(select(func.max(people.id))) or 0))
    session.add(people(app_id=row.id, external_id=new, user_id=user_id, created_at=transaction.now))
    transaction.changed("person", person_subject(row.id, new))
    return new


def _as_seen_from(state: State, slug: str, address: str) -> Link:
    """How a linked app calls us: with the keys that are accepted from it now."""
    from time import time

    from .links.link import DIALECTS, Link
    from .links.state import USE

    record = state.parts["apps"].registry.find(slug)
    if record is None:
        raise LookupError(f"The linked app {slug!r} is not active.")
    keys: dict[Dialect, LinkKey] = {}
    for dialect in DIALECTS:
        accepted = record.accepted(f"{USE[dialect]}_in", time())
        if accepted and accepted[0].key.signing is not None:
            keys[dialect] = accepted[0].key
    first = next((each for each in DIALECTS if each in keys and each in record.facts.accepts), None)
    if first is None:
        raise ValueError(f"There is no key here by which {slug!r} could sign: linked_app() makes them.")
    issuer = record.facts.address or f"http://{slug}.test"
    return Link(slug, state.settings.name, address, keys[first], dialect=first, issuer=issuer, keys=keys)


class _Signing:
    """What makes a test client of Flask's one that signs: in front of whatever class the host chose."""

    link: Link
    subject: str
    dialect: Dialect
    home: str | None
    _made: dict[str, str] = {}  # noqa: RUF012 - replaced, never changed

    def open(self, *args: Any, **options: Any) -> Any:
        """Call the app at the address by which others know it, unless the call says otherwise."""
        named = {"base_url", "subdomain", "url_scheme"} & options.keys()
        if self.home is not None and not named and args and str(args[0])[:1] == "/":
            options["base_url"] = self.home
        return super().open(*args, **options)  # type: ignore[misc]

    def run_wsgi_app(self, environ: dict[str, Any], buffered: bool = False) -> Any:
        """Sign what is about to be sent, unless it brings a credential of its own."""
        for name, value in self._made.items():  # of the call before, if this is where it was redirected to
            if environ.get(name) == value:
                del environ[name]
        if not {"HTTP_AUTHORIZATION", "HTTP_API_TOKEN", "HTTP_SIGNATURE_INPUT"} & environ.keys():
            self._made = self._signed(environ)
            environ.update(self._made)
        return super().run_wsgi_app(environ, buffered)  # type: ignore[misc]

    def _signed(self, environ: dict[str, Any]) -> dict[str, str]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        origin = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}"
        headers = replace(self.link, address=origin).sign(
            environ["REQUEST_METHOD"],
            f"{origin}{quote(environ.get('SCRIPT_NAME', ''))}{environ['RAW_URI']}",
            body=body or None,
            content_type=environ.get("CONTENT_TYPE"),
            subject=self.subject,
            dialect=self.dialect,
        )
        return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}


def link_services(
    one: Flask,
    other: Flask,
    *,
    needs_agreement: bool = False,
    dialects: Sequence[Dialect] = BOTH,
    algorithm: Algorithm = "HS256",
) -> dict[str, Flask]:
    """Link two apps under test, each to the other, and return their addresses as `live_services` takes them.

    Each is a linked app of the other, by its name (`LINKED_AUTH_NAME`), at the origin of its issuer, or where it has
    none at `http://<name>.test`. Calls are signed by the first of the `dialects`, and admitted by each. Every scope
    that a guard of theirs asks for is registered, so that without an agreement the other one holds all of them.

    Raises ValueError for two of the same name, Taken for two that are linked, RuntimeError outside testing.
    """
    from .links.keys import generate_key
    from .transactions import commit

    states = {app: _state_with_links(app) for app in (one, other)}
    names = {app: state.settings.name for app, state in states.items()}
    if len({*names.values()}) < 2:
        raise ValueError(f"Two services of one name, {names[one]!r}: set LINKED_AUTH_NAME in one of them.")
    addresses = {app: address_under_test(app) or f"http://{name}.test" for app, name in names.items()}
    keys = {app: {dialect: generate_key(algorithm) for dialect in dialects} for app in states}

    def introduce(app: Flask, to: Flask) -> None:
        fields = {"address": addresses[app], "needs_agreement": needs_agreement}

        def deed(transaction: Transaction) -> None:
            _define(transaction, set(_guarding(to)))
            _register(transaction, names[app], fields, keys_in=keys[app], keys_out=keys[to])

        with context_of(to):
            commit(states[to], deed)

    introduce(one, to=other)
    introduce(other, to=one)
    return {address: app for app, address in addresses.items()}

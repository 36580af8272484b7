"""What the links hold for one app: who may call, who is who, and how to call others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ..config import RATE_LIMITS
from ..globals import current_state
from ..link_errors import AppNotFound
from ..throttle import Throttle
from ..tokens.access import Verifier
from .incoming import Incoming, Terms
from .keys import load_key
from .known import KnownPeople
from .link import DIALECTS, Dialect, Link
from .nonces import nonce_store
from .signatures import authority_of

if TYPE_CHECKING:
    from flask import Flask

    from ..apps.registry import AppRecord
    from ..apps.state import AppsState
    from ..config import LinkSettings
    from ..state import State

__all__ = ["LinksState", "mine", "set_up"]

#: What the uses of keys call the dialects.
USE: dict[Dialect, str] = {"link": "link", "signature": "signature", "legacy-signature": "legacy"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class _Made(NamedTuple):
    app: AppRecord
    link: Link
    until: float  # Unix seconds: then another key may be the one that signs


@dataclass(frozen=True, slots=True, repr=False)
class LinksState:
    """The settings of this part, what identifies calls, and who is who."""

    settings: LinkSettings
    incoming: Incoming
    people: KnownPeople
    name: str
    issuer: str
    apps: AppsState
    hosts: set[str]  # those that are ours, with their ports
    authorities: Callable[[str], bool]  # whether a host, with its port, is taken for ours
    throttle: Throttle
    made: dict[str, _Made] = field(default_factory=dict)

    def link_to(self, slug: str) -> Link:
        """How to call the linked app of this slug or client id. Raises AppNotFound, and Unavailable."""
        app = self.apps.registry.find(slug)
        if app is None:
            raise AppNotFound(f"There is no linked app {slug!r}.")
        made, now = self.made.get(app.id), time()
        if made is None or made.app is not app or made.until <= now:
            link = link_of(app, me=self.name, issuer=self.issuer)
            made = self.made[app.id] = _Made(app, link, app.keys_change(now))
        return made.link


def link_of(app: AppRecord, *, me: str, issuer: str) -> Link:
    """A linked app as a value that signs calls. Raises AppNotFound for one without an address or a key."""
    now = time()
    signing = {each: app.signing(f"{USE[each]}_out", now) for each in DIALECTS}
    keys = {each: held.key for each, held in signing.items() if held is not None}
    dialect: Dialect = next((each for each in DIALECTS if each == app.facts.dialect), "link")
    if app.facts.address is None:
        raise AppNotFound(f"The linked app {app.slug!r} has no address.")
    return Link(
        me=me,
        slug=app.slug,
        address=app.facts.address,
        key=keys.get(dialect),
        dialect=dialect,
        issuer=issuer,
        webhook_url=app.facts.webhook_url,
        users_path=app.users_path,
        keys=keys,
    )


def set_up(app: Flask, state: State, settings: LinkSettings) -> LinksState:
    """Make what the links hold, and let guards read the credentials of linked apps."""
    database, feed, apps = state.database_in_use(), state.verifier.feed, state.parts["apps"]
    if feed is None:
        raise RuntimeError("A state with a database has a feed.")
    for dialect in USE.values():
        apps.registry.loaders[dialect] = load_key
    lifetime = float(state.tokens.access_lifetime)
    hosts = _hosts(state.settings.issuer, settings)
    people = KnownPeople(database, feed, size=apps.settings.app_cache_size, lifetime=lifetime)
    terms = Terms(
        name=state.settings.name,
        leeway=state.settings.leeway,
        max_lifetime=settings.call_max_lifetime,
        remembered=state.tokens.access_lifetime,
        authorities=_known(app, hosts),
        body_limit=settings.signed_body_limit,
    )
    nonces = nonce_store(settings.nonce_store, database)
    accounts = state.parts.get(
        "accounts"
    )  # whose limits are those of the settings, and may be shared by processes
    incoming = Incoming(terms, feed, registry=apps.registry, grants=apps.grants, people=people, nonces=nonces)
    memory = Verifier(incoming.read_link, feed, state.tokens.token_cache_size)
    state.readers["link"] = memory.identify
    state.readers["signature"] = incoming.read_legacy
    state.signature_readers.append(incoming.read_signed)
    return LinksState(
        settings=settings,
        incoming=incoming,
        people=people,
        name=state.settings.name,
        issuer=state.settings.issuer,
        apps=apps,
        hosts=hosts,
        authorities=terms.authorities,
        throttle=accounts.throttle if accounts else Throttle({"pairing": RATE_LIMITS["pairing"]}),
    )


def _hosts(issuer: str, settings: LinkSettings) -> set[str]:
    """The host of the issuer, and those of the setting."""
    parts = urlsplit(issuer)
    return {authority_of(parts.netloc, parts.scheme), *settings.authorities}


def _known(app: Flask, ours: set[str]) -> Callable[[str], bool]:
    """Whether a signed request for this host is for us.

    A development server without an issuer is known by whatever port it was started on.
    """
    anywhere = (app.debug or app.testing) and "LINKED_AUTH_ISSUER" not in app.config

    def known(authority: str) -> bool:
        if authority in ours or not anywhere:
            return authority in ours
        host = authority.rpartition(":")[0] if authority[-1:].isdigit() and ":" in authority else authority
        return host in _LOOPBACK

    return known


def mine() -> tuple[State, LinksState]:
    """The state of the extension on the current app, and that of the links in it."""
    state = current_state()
    links: LinksState = state.parts["links"]
    return state, links

"""Calls of linked apps: who calls, for whom, and with which scopes, by a JWT or by a signature over the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from time import time
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote_to_bytes, urlsplit

from ..apps.grants import agreement_subject
from ..errors import MalformedRequest, RivalCredentials, TooLarge
from ..globals import this_request
from ..identity import Identity, Verified
from ..link_errors import (
    ForbiddenStrategy,
    MalformedHeader,
    Replayed,
    UnknownApp,
    WrongAppToken,
    WrongLegacyAppToken,
)
from .known import person_subject
from .signatures import Target, authority_of, check_body, read_signature, verify_request
from .wire import LinkClaims, form_of, legacy_body, read_legacy, read_link, verify_jwt, verify_legacy

if TYPE_CHECKING:
    from flask import Request

    from ..apps.grants import Grants
    from ..apps.registry import AppRecord, Registry
    from ..tokens.revocation import Feed
    from .known import KnownPeople
    from .nonces import NonceStore

__all__ = ["Incoming", "Terms"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a call must fit: our name, clock skew and lifetimes in seconds, hosts, and the largest body in bytes."""

    name: str
    leeway: int
    max_lifetime: int
    remembered: int  # for how long a verified JWT is, at most
    authorities: Callable[[str], bool]
    body_limit: int


class Incoming:
    """Identifies the linked app that calls. Everything is authenticated first; scopes always come after that."""

    def __init__(
        self,
        terms: Terms,
        feed: Feed,
        *,
        registry: Registry,
        grants: Grants,
        people: KnownPeople,
        nonces: NonceStore,
    ) -> None:
        self._terms, self._feed = terms, feed
        self._registry, self._grants, self._people, self._nonces = registry, grants, people, nonces

    def read_link(self, credential: str) -> Verified:
        """What the JWT of a call proves. Raises InvalidToken and Unavailable."""
        since, now = self._feed.seen, time()
        slug, token = read_link(credential)
        app = self._app(slug, "link")
        claims = self._verified(
            app,
            "link_in",
            lambda keys: verify_jwt(
                slug,
                token,
                keys,
                receiver=self._terms.name,
                leeway=self._terms.leeway,
                max_lifetime=self._terms.max_lifetime,
            ),
        )
        identity = self._identity(app, "link", claims, subject=claims["sub"])
        # Nobody tells when the end of a key comes; and a second, so that this very request is not too late.
        key_ends = max(app.keys_change(now), now + 1)
        expires = min(claims["exp"] + self._terms.leeway, now + self._terms.remembered, key_ends)
        return Verified(identity, expires, (), "", 0, since, _depends(app, identity))

    def read_signed(self, signature_input: str, has_rival: bool) -> Identity | None:
        """Who signed the request (RFC 9421), None if the signature is for others.

        Raises RivalCredentials if there is another credential as well, InvalidToken, MalformedRequest, TooLarge and
        Unavailable. What was found right counts once.
        """
        call = this_request()
        environ = call.environ
        if (known := self._known(environ)) is not None:  # two guards on one view: the nonce counts once
            return known
        received = read_signature(signature_input, environ.get("HTTP_SIGNATURE"))
        if received is None:
            return None
        if has_rival:
            raise RivalCredentials("The request is signed and carries a token as well: send one of the two.")
        app, now, terms = self._app(received.sender, "signature"), time(), self._terms
        subject, digest = environ.get("HTTP_LINKED_SUBJECT"), environ.get("HTTP_CONTENT_DIGEST")
        verify_request(
            received,
            _key_named(app, received.key_id, now),
            self._target(call),
            subject=subject,
            digest=digest,
            leeway=terms.leeway,
            now=now,
        )
        declared = _has_body(call)
        if declared or digest is not None or environ.get("wsgi.input_terminated"):
            check_body(digest, self._body(call), declared=declared)
        key_id, until = f"{app.facts.id}:signature:{received.key_id}", received.expires + terms.leeway
        if not self._nonces.use(key_id, received.nonce, until=until):
            raise Replayed("This signed request came before.")
        claims = LinkClaims(
            {
                "app": app.facts.slug,
                "sub": subject or None,
                "aud": terms.name,
                "iat": received.created,
                "exp": received.expires,
            }
        )
        identity = self._identity(app, "signature", claims, subject=subject)
        environ[_SIGNED_BY] = (self, identity)
        return identity

    def read_legacy(self, credential: str) -> Identity:
        """Who made a `Signature App=…` of the Django package. It covers neither path nor host, so apps opt in."""
        call = this_request()
        if (known := self._known(call.environ)) is not None:
            return known
        fields = read_legacy(credential)
        app = self._app(fields.app, "legacy-signature")
        try:
            params = form_of(call.query_string.decode())
            body = legacy_body(self._body(call, _MOST_PARSED), call.headers.get("Content-Type", ""))
        except ValueError:
            raise MalformedHeader("This kind of signature covers JSON and forms only.") from None
        claims = self._verified(
            app,
            "legacy_in",
            lambda keys: verify_legacy(
                fields,
                keys,
                method=call.method,
                params=params,
                body=body,
                headers=dict(call.headers),
            ),
        )
        # Its "nonce" is the signature itself.
        if not self._nonces.use(f"{app.facts.id}:legacy", fields.mac, until=fields.closes()):
            raise Replayed("This signed request came before.")
        claims = LinkClaims({**claims, "aud": self._terms.name})
        identity = self._identity(app, "signature", claims, subject=None)
        call.environ[_SIGNED_BY] = (self, identity)
        return identity

    def _known(self, environ: Mapping[str, Any]) -> Identity | None:
        """Who signed this request, if we have found that already; not if another app has, which was asked before us."""
        found, identity = environ.get(_SIGNED_BY, (None, None))
        return identity if found is self else None

    def _app(self, slug: str, dialect: str) -> AppRecord:
        app = self._registry.find(slug)
        if app is None:
            raise UnknownApp("There is no linked app of this name.")
        if dialect not in app.facts.accepts:
            raise ForbiddenStrategy("This app may not call in this way.")
        return app

    def _verified(
        self, app: AppRecord, use: str, verify: Callable[[list[Any]], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """What `verify` says with the keys of this use; a former one is told from a wrong one."""
        now = time()
        try:
            return verify([each.key for each in app.accepted(use, now)])
        except WrongAppToken as error:
            former = [each.key for each in app.retired(use, now)]
            if former:
                try:
                    verify(former)
                except WrongAppToken:
                    raise error from None
                raise WrongLegacyAppToken("This key is not accepted any more.") from None
            raise

    def _identity(
        self,
        app: AppRecord,
        method: Literal["link", "signature"],
        claims: Mapping[str, Any],
        *,
        subject: str | None,
    ) -> Identity:
        """The identity with the scopes by now."""
        app_id = app.facts.id
        user_id = self._people.find(app_id, subject) if subject else None
        scopes = self._grants.of(app, user_id, on_behalf=bool(subject))
        return Identity(
            kind="app",
            method=method,
            user_id=user_id,
            claims=claims,
            scopes=scopes,
            app_id=app_id,
            authenticated_at=int(claims["iat"]),
            app=app.facts,
        )

    def _target(self, call: Request) -> Target:
        environ = call.environ
        authority = authority_of(environ.get("HTTP_HOST", ""), environ["wsgi.url_scheme"])
        if not self._terms.authorities(authority):
            # Signed for another service, and passed on to us by whom it was sent to.
            raise WrongAppToken("The request is signed for another host.")
        return Target(call.method, authority, *_path_and_query(environ))

    def _body(self, call: Request, most: int | None = None) -> bytes:
        limit, environ = min(self._terms.body_limit, most or self._terms.body_limit), call.environ
        if (call.content_length or 0) > limit:
            raise TooLarge
        if call.content_length is None and environ.get("wsgi.input_terminated"):
            # Chunked, so it says nothing of its length: read no more than may be, and keep it for the view.
            body = environ["wsgi.input"].read(limit + 1)
            if len(body) > limit:
                raise TooLarge
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
            call.__dict__.pop("stream", None)
        return call.get_data(cache=True)


#: An old signature covers what the body means, so it is parsed before anybody is known: in bytes, against floods.
_MOST_PARSED = 128 * 1024
_SIGNED_BY = "flask_linked_auth.signed_by"


def _depends(app: AppRecord, identity: Identity) -> tuple[str, ...]:
    """The subjects of the feed on which an identity, scopes included, depends."""
    depends, subject, user_id = app.depends, identity.claims["sub"], identity.user_id
    if subject:
        depends += (f"person:{person_subject(app.id, subject)}",)
    if user_id is not None:
        depends += (f"agreement:{agreement_subject(app.id, user_id)}", f"user:{user_id}")
    return depends


def _key_named(app: AppRecord, key_id: str, now: float) -> Any:
    former = False
    for held in app.keys.get("signature_in", ()):
        if held.key_id == key_id:
            if held.is_accepted(now):
                return held.key
            former = True
    if former:
        raise WrongLegacyAppToken("This key is not accepted any more.")
    raise WrongAppToken("The request is signed by a key that this app does not have.")


def _has_body(call: Request) -> bool:
    """Whether the request says that it has one."""
    environ = call.environ
    if "HTTP_TRANSFER_ENCODING" in environ:
        return True
    return environ.get("CONTENT_LENGTH") not in _NO_LENGTH and bool(call.content_length)


_NO_LENGTH = (None, "", "0")


def _path_and_query(environ: Mapping[str, Any]) -> tuple[str, str]:
    """The path and query as they stood in the request line, in front of any proxy that the app knows of."""
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    path, _, query = raw.partition("?")
    plain = path[:1] == "/" and path.isascii() and "%" not in path and not environ.get("SCRIPT_NAME")
    if plain and path == environ.get("PATH_INFO"):
        return path, query  # as nearly all are: there is only one way to write it
    if not raw.startswith("/") and "://" in raw:  # absolute form (RFC 9112 section 3.2.2)
        try:
            parts = urlsplit(raw)
        except ValueError:
            raise MalformedRequest("The request line holds no address.") from None
        path, query = parts.path or "/", parts.query
    script = environ.get("SCRIPT_NAME", "").encode("latin-1")
    inside = environ.get("PATH_INFO", "").encode("latin-1")
    decoded = unquote_to_bytes(path)
    if path and decoded == script + inside:
        return path, query
    if path and decoded == inside:  # a proxy took the prefix off, and told of it
        return quote(script, safe=_SAFE) + path, query
    if b"%" in inside or b"/./" in inside or b"/../" in inside:
        raise MalformedRequest("The path can be written in several ways, so its signature cannot be checked.")
    return quote(script + inside, safe=_SAFE), environ.get("QUERY_STRING", "")


_SAFE = "/:@!$&'()*+,;=~-._"  # what a path may hold as it is (RFC 3986 section 3.3)

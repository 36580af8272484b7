"""Calls of linked apps: who calls, for whom, and with which scopes, by a JWT or by a signature over the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from time import time
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote_to_bytes, urlsplit

from flask import request

from ..errors import MalformedRequest, RivalCredentials, TooLarge
from ..identity import Identity, Verified
from ..link_errors import (
    ForbiddenStrategy,
    MalformedHeader,
    Replayed,
    UnknownApp,
    WrongAppToken,
    WrongLegacyAppToken,
)
from .signatures import Target, authority_of, check_body, read_signature, verify_request
from .wire import LinkClaims, form_of, legacy_body, read_legacy, read_link, verify_jwt, verify_legacy

if TYPE_CHECKING:
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
        identity, depends = self._identity(app, "link", claims)
        # Not beyond the end of a key, of which the feed does not tell: this one may be by it.
        ends = [each.expires_at for each in app.accepted("link_in", now) if each.expires_at is not None]
        expires = min(claims["exp"] + self._terms.leeway, now + self._terms.remembered, *ends)
        return Verified(identity, expires, (), "", 0, since, depends)

    def read_signed(self, signature_input: str, has_rival: bool) -> Identity | None:
        """Who signed the request (RFC 9421), None if the signature is for others.

        Raises RivalCredentials if there is another credential as well, InvalidToken, MalformedRequest, TooLarge and
        Unavailable. What was found right counts once.
        """
        if (known := self._known()) is not None:  # two guards on one view: the nonce counts once
            return known
        received = read_signature(signature_input, request.headers.get("Signature"))
        if received is None:
            return None
        if has_rival:
            raise RivalCredentials("The request is signed and carries a token as well: send one of the two.")
        app = self._app(received.sender, "signature")
        now = time()
        held = {each.key_id: each.key for each in app.accepted("signature_in", now)}
        if received.key_id not in held:
            if any(each.key_id == received.key_id for each in app.retired("signature_in", now)):
                raise WrongLegacyAppToken("This key is not accepted any more.")
            raise WrongAppToken("The request is signed by a key that this app does not have.")
        subject, digest = request.headers.get("Linked-Subject"), request.headers.get("Content-Digest")
        verify_request(
            received,
            held[received.key_id],
            self._target(),
            subject=subject,
            digest=digest,
            leeway=self._terms.leeway,
            now=now,
        )
        check_body(digest, self._body(), declared=_has_body())
        until = received.closes(self._terms.leeway)
        self._use_once(app, f"signature:{received.key_id}", received.nonce, until=until)
        claims = _claims(app, subject, self._terms.name, received.created, received.expires)
        return self._remembered(app, claims)

    def read_legacy(self, credential: str) -> Identity:
        """Who made a `Signature App=…` of the Django package. It covers neither path nor host, so apps opt in."""
        if (known := self._known()) is not None:
            return known
        fields = read_legacy(credential)
        app = self._app(fields.app, "legacy-signature")
        try:
            params = form_of(request.query_string.decode())
            body = legacy_body(self._body(), request.headers.get("Content-Type", ""))
        except ValueError:
            raise MalformedHeader("This kind of signature covers JSON and forms only.") from None
        claims = self._verified(
            app,
            "legacy_in",
            lambda keys: verify_legacy(
                fields,
                keys,
                method=request.method,
                params=params,
                body=body,
                headers=dict(request.headers),
            ),
        )
        # Its "nonce" is the signature itself.
        self._use_once(app, "legacy", fields.mac, until=fields.closes())
        return self._remembered(app, LinkClaims({**claims, "aud": self._terms.name}))

    def _remembered(self, app: AppRecord, claims: Mapping[str, Any]) -> Identity:
        identity = self._identity(app, "signature", claims)[0]
        request.environ[_SIGNED_BY] = (self, identity)
        return identity

    def _known(self) -> Identity | None:
        """Who signed this request, if we have found that already; not if another app has, which was asked before us."""
        found, identity = request.environ.get(_SIGNED_BY, (None, None))
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
        self, app: AppRecord, method: Literal["link", "signature"], claims: Mapping[str, Any]
    ) -> tuple[Identity, tuple[str, ...]]:
        """The identity with the scopes by now, and the subjects on which they depend."""
        subject, depends = claims["sub"], app.depends
        user_id = None
        if subject:
            user_id = self._people.find(app.id, subject)
            depends += (f"person:{app.id}:{subject}",)
        if user_id is not None:
            depends += (f"agreement:{app.id}:{user_id}", f"user:{user_id}")
        scopes = self._grants.of(app, user_id, on_behalf=bool(subject))
        identity = Identity(
            kind="app",
            method=method,
            user_id=user_id,
            claims=claims,
            scopes=scopes,
            app_id=app.id,
            authenticated_at=int(claims["iat"]),
            app=app.facts,
        )
        return identity, depends

    def _use_once(self, app: AppRecord, key: str, nonce: str, *, until: float) -> None:
        if not self._nonces.use(f"{app.id}:{key}", nonce, until=until):
            raise Replayed("This signed request came before.")

    def _target(self) -> Target:
        authority = _authority()
        if not self._terms.authorities(authority):
            # Signed for another service, and passed on to us by whom it was sent to.
            raise WrongAppToken("The request is signed for another host.")
        path, _, query = _request_target().partition("?")
        return Target(request.method, authority, path, query)

    def _body(self) -> bytes:
        limit = self._terms.body_limit
        if (request.content_length or 0) > limit:
            raise TooLarge
        environ = request.environ
        if request.content_length is None and environ.get("wsgi.input_terminated"):
            # Chunked, so it says nothing of its length: read no more than may be, and keep it for the view.
            body = environ["wsgi.input"].read(limit + 1)
            if len(body) > limit:
                raise TooLarge
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
            request.__dict__.pop("stream", None)
        return request.get_data(cache=True)


_SIGNED_BY = "flask_linked_auth.signed_by"


def _has_body() -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _claims(app: AppRecord, subject: str | None, name: str, created: int, expires: int) -> LinkClaims:
    said = {"app": app.slug, "sub": subject or None, "aud": name, "iat": created, "exp": expires}
    return LinkClaims(said)


def _authority() -> str:
    """The Host header in lower case, without the port that its scheme has by default."""
    return authority_of(request.environ.get("HTTP_HOST", ""), request.environ["wsgi.url_scheme"])


def _request_target() -> str:
    """The path and query as they stood in the request line, in front of any proxy that the app knows of."""
    environ = request.environ
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if not raw.startswith("/") and "://" in raw:  # absolute form (RFC 9112 section 3.2.2)
        try:
            parts = urlsplit(raw)
        except ValueError:
            raise MalformedRequest("The request line holds no address.") from None
        raw = f"{parts.path or '/'}?{parts.query}" if "?" in raw else parts.path or "/"
    path, mark, query = raw.partition("?")
    script = environ.get("SCRIPT_NAME", "").encode("latin-1")
    inside = environ.get("PATH_INFO", "").encode("latin-1")
    decoded = unquote_to_bytes(path)
    if path and decoded == script + inside:
        return path + mark + query
    if path and decoded == inside:  # a proxy took the prefix off, and told of it
        return quote(script, safe=_SAFE) + path + mark + query
    if b"%" in inside or b"/./" in inside or b"/../" in inside:
        raise MalformedRequest("The path can be written in several ways, so its signature cannot be checked.")
    query = environ.get("QUERY_STRING", "")
    return quote(script + inside, safe=_SAFE) + (f"?{query}" if query else "")


_SAFE = "/:@!$&'()*+,;=~-._"  # what a path may hold as it is (RFC 3986 section 3.3)

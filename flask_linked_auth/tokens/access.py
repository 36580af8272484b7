"""Access tokens: made for a person, verified once, then remembered until they expire; and that memory."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable, Mapping
from time import time
from typing import TYPE_CHECKING, Any

from ..errors import ExpiredToken, InvalidToken
from ..identity import Identity, Verified
from .claims import Claims, Expected, sign, verify

if TYPE_CHECKING:
    from ..config import Settings, TokenSettings
    from .revocation import Feed
    from .ring import KeyRing

__all__ = [
    "RESERVED_CLAIMS",
    "TYP",
    "TokenReader",
    "Verifier",
    "audience",
    "expected_of",
    "key_reader",
    "make_claims",
]

TYP = "at+jwt"
RESERVED_CLAIMS = frozenset(
    {
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "sid",
        "gen",
        "auth_time",
        "scope",
        "client_id",
        "typ",
        "app",
    }
)


def audience(issuer: str) -> str:
    """The audience of first-party access tokens, which no other kind of token carries."""
    return f"{issuer}/auth"


def expected_of(settings: Settings, tokens: TokenSettings, *, own: bool) -> Expected:
    """What an access token must be here. Only a service that makes its `own` knows how long they live."""
    return Expected(
        TYP,
        settings.issuer,
        audience(settings.issuer),
        leeway=settings.leeway,
        max_lifetime=tokens.access_lifetime if own else None,
    )


def make_claims(
    issuer: str, subject: str, *, lifetime: int, login_id: str | None, authenticated_at: int, generation: int
) -> dict[str, Any]:
    """The claims of a first-party access token, without those that a hook adds."""
    now = int(time())
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": audience(issuer),
        "iat": now,
        "exp": now + lifetime,
        "jti": secrets.token_urlsafe(12),
        "gen": generation,
        "auth_time": authenticated_at,
    }
    return claims if login_id is None else claims | {"sid": login_id}


def _int_key(text: str) -> int:
    # int() alone would take "+1", " 1", "1_0" and full-width digits for a user's key.
    if not (text.isascii() and text.isdigit()) or str(int(text)) != text or int(text) > 2**63 - 1:
        raise ValueError("not a whole number in its only form")
    return int(text)


def _uuid_key(text: str) -> uuid.UUID:
    key = uuid.UUID(text)
    if str(key) != text:
        raise ValueError("not a UUID in its only form")
    return key


def _text_key(text: str) -> str:
    if "\x00" in text or not 0 < len(text) <= 255:  # PostgreSQL cannot even be asked for a NUL
        raise ValueError("not a text that a database can hold as a key")
    return text


def key_reader(python_type: type[Any]) -> Callable[[str], Any]:
    """The function that reads a user's key from its one text form and raises ValueError for any other."""
    if python_type is int:
        return _int_key
    return _uuid_key if python_type is uuid.UUID else _text_key


class Verifier:
    """The memory of a guard: what `read` made of a credential, kept until it expires or `feed` knows it revoked.

    What was read before costs look-ups in memory, no query and no signature. The memory has two halves; when the
    young one is full it becomes the old one, so it stays bounded and nothing is ever searched.
    """

    def __init__(self, read: Callable[[str], Verified], feed: Feed | None, size: int) -> None:
        self.feed = feed
        self._read = read
        self._half = max(1, size // 2)
        self._size = size
        self._turning = threading.Lock()
        self._young: dict[str, Verified] = {}
        self._old: dict[str, Verified] = {}

    def identify(self, credential: str) -> Identity:
        """The identity that `credential` proves.

        Raises what `read` does, and ExpiredToken, RevokedToken or Unavailable.
        """
        entry = self._young.get(credential)
        if entry is None or entry.expires < time():
            entry = self._recall(credential)
        if self.feed is not None and self.feed.check(entry):
            self._old.pop(credential, None)
            self._young.pop(credential, None)
            return self.identify(credential)
        return entry.identity

    def _recall(self, credential: str) -> Verified:
        young = self._young  # first: what `forget` overtakes must land in a memory that is given up
        entry = self._old.get(credential)
        if entry is None or entry.expires < time():
            entry = self._read(credential)
            if entry.expires < time():
                raise ExpiredToken("This token has expired.")
        if self._size:
            if len(young) >= self._half:
                young = self._turn(young)
            young[credential] = entry
        return entry

    def _turn(self, full: dict[str, Verified]) -> dict[str, Verified]:
        with self._turning:
            if full is not self._young:
                return full
            self._old, self._young = full, {}
            return self._young

    def forget(self) -> None:
        """Read everything anew."""
        with self._turning:
            self._old, self._young = {}, {}


class TokenReader:
    """Verifies an access token, each time it is asked."""

    def __init__(self, ring: KeyRing, expected: Expected, *, read_key: Callable[[str], Any]) -> None:
        self._ring, self._expected, self._read_key = ring, expected, read_key

    def read(self, token: str) -> Verified:
        """What `token` proves. Raises InvalidToken, ExpiredToken, or Unavailable."""
        self._ring.refresh()
        claims = verify(token, self._ring, self._expected)
        try:
            user_id = self._read_key(claims["sub"])
        except ValueError:
            raise InvalidToken("The token's subject is not a user of ours.") from None
        return self._entry(claims, user_id)

    def _entry(self, claims: Claims, user_id: Any) -> Verified:
        scope, login_id = claims.get("scope"), claims.get("sid")
        identity = Identity(
            kind="user",
            method="token",
            user_id=user_id,
            claims=claims,
            scopes=None if scope is None else frozenset(scope.split()),
            login_id=login_id,
            authenticated_at=claims.get("auth_time", claims["iat"]),
        )
        token = f"jti:{claims['jti']}"
        subjects = (token,) if login_id is None else (token, f"login:{login_id}")
        expires = claims["exp"] + self._expected.leeway
        return Verified(identity, expires, subjects, claims["sub"], claims.get("gen", 0))


def signed(claims: Mapping[str, Any], ring: KeyRing) -> str:
    """`claims` as a first-party access token, by the key that is active now."""
    return sign(claims, ring.signing(), typ=TYP)

"""Signed claims (JWT, RFC 7519): `sign` writes a token, `verify` admits it or says why not.

Strict on both sides of PyJWT, which by itself admits padding, UTF-16, duplicate names, a foreign `typ` and
a string as `exp`. Checks are by RFC 8725; whatever the text, only `InvalidToken` and `ExpiredToken` come out.
"""

from __future__ import annotations

import json
import re
import time
from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from jwt import PyJWS
from jwt.exceptions import PyJWTError

from ..errors import ExpiredToken, InvalidToken
from ..strict_json import read_object
from .keys import ALGORITHMS, Key

__all__ = ["Claims", "Expected", "decode_segment", "sign", "split_token", "verify"]

MAX_LENGTH = 8192  # characters of a whole token: more costs us memory before anything is verified
MAX_TIME = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that Python's datetime knows

_STRINGS = ("iss", "sub", "aud", "jti", "sid", "scope", "client_id")
_TIMES = ("exp", "iat", "nbf", "auth_time")
# Keys from the token itself (CVE-2026-27962), extensions (CVE-2025-59420, CVE-2026-32597), unencoded
# payloads (CVE-2026-48525), encryption and compression (CVE-2024-33664): nothing of ours has them.
_REFUSED_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "enc", "zip"})

# Compact form to the letter (RFC 7515 section 7.1): unpadded base64url whose unused last bits are zero, so
# that one token has one text (revoking and caching go by it).
_SEGMENT = r"(?:[\w-]{4})*+(?:[\w-]{2}[AEIMQUYcgkosw048]|[\w-][AQgw])?+"
_COMPACT = re.compile(rf"({_SEGMENT})\.({_SEGMENT})\.({_SEGMENT})", re.ASCII).fullmatch
_TO_STANDARD = str.maketrans("-_", "+/")

_REFRESH = "fla_rt_"  # how the refresh tokens of ours begin

_jws = PyJWS(ALGORITHMS)


class Claims(Mapping[str, Any]):
    """Verified claims, by key and by attribute: `claims["sub"]`, `claims.sub`.

    Read-only at every depth, because one object serves every request that brings the same token.
    """

    __slots__ = ("_claims",)
    _claims: dict[str, Any]

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self._claims = {
            name: _frozen(value) if isinstance(value, list | dict) else value
            for name, value in claims.items()
        }

    def __getitem__(self, name: str) -> Any:
        return self._claims[name]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._claims:
            return self._claims[name]
        raise AttributeError(f"The token has no claim {name!r}.")

    def __contains__(self, name: object) -> bool:
        return name in self._claims

    def get(self, name: str, default: Any = None) -> Any:
        """The claim, or `default`. As every mapping has it, without an exception for each claim that is missing."""
        return self._claims.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    def __repr__(self) -> str:
        return f"Claims({self.as_dict()!r})"

    def as_dict(self) -> dict[str, Any]:
        """A new plain dictionary with plain lists and dictionaries in it, ready for JSON."""
        return {name: _thawed(value) for name, value in self._claims.items()}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must be: its purpose `typ`, its one issuer and its one audience, compared whole.

    `leeway` is in seconds, for every time in the token; `max_lifetime`, in seconds, bounds `exp - iat`.
    `iss`, `aud` and `exp` are always required, the claims in `required` as well.
    """

    typ: str
    issuer: str
    audience: str
    leeway: int = 5
    max_lifetime: int | None = None
    required: tuple[str, ...] = ("sub", "exp", "iat", "jti")


def sign(claims: Mapping[str, Any], key: Key, *, typ: str) -> str:
    """A token with these claims and the header `alg`, `typ`, `kid`.

    Raises ValueError for whatever `verify` would refuse in any circumstances: a claim of a wrong type, NUL
    or a lone surrogate in a text, a number that is not finite, a token over `MAX_LENGTH`.
    """
    if key.signing is None:
        raise ValueError(f"The key {key.kid} only verifies.")
    plain = claims.as_dict() if isinstance(claims, Claims) else dict(claims)
    try:
        payload = json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()
        _check_types(read_object(payload))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"These claims cannot be written as JSON: {error}") from None
    token = _jws.encode(payload, key.signing, key.algorithm, headers={"typ": typ, "kid": key.kid})
    if len(token) > MAX_LENGTH:
        raise ValueError(f"A token of {len(token)} characters; {MAX_LENGTH} are admitted.")
    return token


def verify(token: str, keys: Mapping[str, Key], expected: Expected, *, now: float | None = None) -> Claims:
    """The claims of a token that one of `keys` (by their ids) signed and that is as expected.

    A token without `kid` is admitted only when there is exactly one key. `now` is seconds since 1970, the
    clock by default. Raises ExpiredToken for a token that was good, InvalidToken for all else.
    """
    try:
        header = read_header(token)
        check_purpose(header, expected)
        claims = read_claims(signed_payload(token, key_for(header, keys)))
    except InvalidToken:
        raise
    except (PyJWTError, ValueError, RecursionError):
        raise InvalidToken("The token is malformed or its signature is wrong.") from None
    check_presence(claims, expected)
    check_issuer(claims, expected)
    check_audience(claims, expected)
    check_times(claims, expected, time.time() if now is None else now)
    return Claims(claims)


# The checks, in their order. Besides InvalidToken they raise what `verify` turns into it; `flask linked-auth explain`
# makes them one by one.


def read_header(token: str) -> Mapping[str, Any]:
    """The header of a token that is in compact form to the letter."""
    return _parsed_header(split_token(token)[0])


def split_token(token: str) -> tuple[str, str, str]:
    """Header, payload and signature of a token that is in compact form to the letter; InvalidToken for any other."""
    if not isinstance(token, str) or len(token) > MAX_LENGTH:
        raise InvalidToken("The token is too long.")
    segments = _COMPACT(token)
    if segments is None:
        if not token:
            raise InvalidToken("The token is empty.")
        if token.startswith(_REFRESH):
            raise InvalidToken("This is a refresh token: exchange it for an access token.")
        raise InvalidToken("The token is not three parts of base64url.")
    return segments[1], segments[2], segments[3]


def decode_segment(segment: str) -> bytes:
    """The bytes of a part that `split_token` gave."""
    return a2b_base64(segment.translate(_TO_STANDARD) + "==")


@lru_cache(maxsize=64)
def _parsed_header(segment: str) -> Mapping[str, Any]:
    # All tokens by one key begin alike. Whoever sends others only makes room for them again.
    return MappingProxyType(read_object(decode_segment(segment)))


def check_purpose(header: Mapping[str, Any], expected: Expected) -> None:
    """That the header brings nothing that changes how a token is read, and says what the token is for."""
    if not _REFUSED_HEADERS.isdisjoint(header):
        raise InvalidToken("The token's header brings keys or extensions of its own.")
    if header.get("typ") != expected.typ:
        raise InvalidToken("The token is for another purpose.")


def key_for(header: Mapping[str, Any], keys: Mapping[str, Key]) -> Key:
    """The key that the header names, or the only one if it names none; of the algorithm that the header names."""
    key = None
    if "kid" not in header:
        key = next(iter(keys.values())) if len(keys) == 1 else None
    elif isinstance(kid := header["kid"], str):
        key = keys.get(kid)
    # The key says which algorithm, and the header must agree (CVE-2022-29217, CVE-2026-48523).
    if key is None or header.get("alg") != key.algorithm:
        raise InvalidToken("The token is signed by an unknown key or with another algorithm.")
    return key


def signed_payload(token: str, key: Key) -> bytes:
    """The payload, if `key` signed it."""
    payload: bytes = _jws.decode(token, key.verifying, [key.algorithm])  # a list to choose from of one
    return payload


def read_claims(payload: bytes) -> dict[str, Any]:
    """The claims in a payload, each of the type that it must be."""
    claims = read_object(payload)
    _check_types(claims)
    return claims


def _check_types(claims: Mapping[str, Any]) -> None:
    for name in _STRINGS:
        value = claims.get(name, "")
        # RFC 7519 sections 2 and 4.1 admit a list as `aud` and fractions in times. Ours never have them, and
        # type(...) rather than isinstance(...) because true is an int to Python.
        if type(value) is not str:
            raise ValueError(f"The claim {name} must be a string.")
    for name in _TIMES:
        value = claims.get(name, 0)
        if type(value) is not int or not 0 <= value <= MAX_TIME:
            raise ValueError(f"The claim {name} must be whole seconds since 1970.")
    generation = claims.get("gen", 0)
    if type(generation) is not int or generation < 0:
        raise ValueError("The claim gen must be a whole number.")


def check_presence(claims: Mapping[str, Any], expected: Expected) -> None:
    """That no claim is missing."""
    for name in expected.required:
        if name not in claims:
            raise InvalidToken("The token has no %(name)s.", values={"name": name})


def check_issuer(claims: Mapping[str, Any], expected: Expected) -> None:
    """That the token is by the one issuer (RFC 8725 section 3.8)."""
    if claims.get("iss") != expected.issuer:
        raise InvalidToken("The token is by another issuer.")


def check_audience(claims: Mapping[str, Any], expected: Expected) -> None:
    """That the token is for us (RFC 8725 section 3.9), and speaks for somebody."""
    if claims.get("aud") != expected.audience:
        raise InvalidToken("The token is for another audience.")
    if not claims.get("sub", "-"):
        raise InvalidToken("The token is for nobody.")


def check_times(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    """That the token is valid by now and not for too long. Raises ExpiredToken for one that was."""
    expires = claims.get("exp")
    if expires is None:
        raise InvalidToken("The token never expires.")
    issued = claims.get("iat")
    if (issued or 0) > now + expected.leeway or claims.get("nbf", 0) > now + expected.leeway:
        raise InvalidToken("The token is not valid yet.")
    if expected.max_lifetime is not None and (issued is None or expires - issued > expected.max_lifetime):
        raise InvalidToken("The token lives for too long.")
    if now >= expires + expected.leeway:
        raise ExpiredToken("The token has expired.")


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(part) for part in value)
    return Claims(value) if isinstance(value, dict) else value


def _thawed(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_thawed(part) for part in value]
    return value.as_dict() if isinstance(value, Claims) else value

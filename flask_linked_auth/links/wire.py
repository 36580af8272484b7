"""The formats of the published Django package `linked-services`: its JWT, and its old signature of a request.

What they cannot keep by their nature (the old signature covers neither path nor host) their receiver makes up for.
"""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import product
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple, TypedDict, Unpack
from urllib.parse import parse_qsl, urlencode

from ..errors import InvalidToken
from ..link_errors import (
    BadSchema,
    BadTimestamp,
    ExpiredCredential,
    MalformedHeader,
    UnknownAlgorithm,
    WrongAppToken,
)
from ..strict_json import NoObject, read_json, read_object
from ..tokens.claims import MAX_LENGTH, MAX_TIME, Claims, decode_segment, split_token
from .keys import ALGORITHMS, Hash, LinkKey
from .names import SLUG, check_slug, check_subject, is_subject

__all__ = [
    "Form",
    "LegacyFields",
    "Limits",
    "LinkClaims",
    "More",
    "Times",
    "form_of",
    "legacy_body",
    "read_legacy",
    "read_link",
    "sign_jwt",
    "sign_legacy",
    "verify_jwt",
    "verify_legacy",
]

HASHES: Mapping[str, Hash] = {"HS256": "sha256", "HS512": "sha512", "EdDSA": "sha512"}  # Ed25519 has its own
LIFETIME = 600  # seconds, as the package has it
MAX_LIFETIME = 3600  # seconds: the package sets no end to it
LEEWAY = 5  # seconds
TOLERANCE = 120  # seconds that the date of an old signature may be off, as the package has it
MAX_CREDENTIAL = MAX_LENGTH + 100  # characters: a token and who it is by
MAX_FIELDS_OF_HEADER = 8  # of a credential: none has more than four
MAX_FIELDS = 1000  # of a query or a form
MAX_SIGNED_HEADERS = 32

Query = Mapping[str, Sequence[str]]
_LEGACY_NAMES = ("timestamp", "app", "method", "params", "body", "headers")
_CLAIMS = ("sub", "iss", "app", "aud", "exp", "iat", "typ")
_LINK_FIELDS = frozenset({"App", "Token"})
_LEGACY_FIELDS = frozenset({"App", "Nonce", "SignedHeaders", "Date"})

_field = re.compile(r"([A-Za-z]+)=([!-+\--<>-~]*)").fullmatch
_app = re.compile(SLUG).fullmatch
_mac = re.compile(r"(?:[0-9a-f]{64}){1,2}").fullmatch
_date = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?[+-][0-9]{2}:[0-9]{2}"
).fullmatch
_header_name = re.compile(r"[A-Za-z0-9-]{1,100}").fullmatch
_TO_URL = bytes.maketrans(b"+/", b"-_")


class Times(TypedDict, total=False):
    """`lifetime`, in seconds (600 by default), and `now`, in seconds since 1970 (the clock by default)."""

    lifetime: float
    now: float | None


class More(TypedDict, total=False):
    """`headers` to sign as well, by name, and `now`, in seconds since 1970 (the clock by default)."""

    headers: Mapping[str, str]
    now: float | None


class Limits(TypedDict, total=False):
    """`leeway` (5) and `max_lifetime` (3600) in seconds, and `now`, in seconds since 1970 (the clock by default)."""

    leeway: float
    max_lifetime: float
    now: float | None


# The JWT


def sign_jwt(
    key: LinkKey, *, sender: str, receiver: str, subject: str, issuer: str, **times: Unpack[Times]
) -> str:
    """`Link App=<sender>,Token=<jwt>`, the value of `Authorization`. `subject` is "" for the service itself.

    Raises ValueError for a name, a subject or an issuer that cannot travel, or a key that only verifies.
    """
    now = times.get("now")
    now = time.time() if now is None else now
    check_slug(sender)
    claims = (
        f'{{"sub":{quoted(check_subject(subject))},"iss":{_issuer(issuer)},"app":"{sender}","aud":"{check_slug(receiver)}",'
        f'"exp":{now + times.get("lifetime", LIFETIME):.6f},"iat":{now - 1:.6f},"typ":"JWT"}}'
    )
    signed = _HEADERS[key.algorithm] + _base64url(claims.encode())
    signature = _base64url(key.sign(signed, HASHES[key.algorithm]))
    return f"Link App={sender},Token={signed.decode()}.{signature.decode()}"


@lru_cache(maxsize=64)
def _issuer(text: str) -> str:
    """The issuer as it stands in JSON; every token of a service has the same one."""
    if "\0" in text:
        raise ValueError("NUL in the issuer.")
    text.encode()  # a UnicodeEncodeError, which is a ValueError, for a lone surrogate
    return quoted(text)


def _base64url(data: bytes) -> bytes:
    return b64encode(data).translate(_TO_URL).rstrip(b"=")


_HEADERS = {
    algorithm: _base64url(json.dumps({"alg": algorithm, "typ": "JWT"}, separators=(",", ":")).encode()) + b"."
    for algorithm in ALGORITHMS
}


class LinkClaims(Claims):
    """Whom a call of another service is by, for and about: read-only, by key and by attribute.

    `sub` (None when the service speaks for itself), `iss`, `app`, `aud`, `exp`, `iat` and `typ`; None for what the
    dialect does not say.
    """

    __slots__ = ()

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self._claims = dict(claims)  # texts and numbers only, which cannot be changed


def read_link(credential: str) -> tuple[str, str]:
    """The app and the token of what follows `Link ` in `Authorization`. Raises MalformedHeader and BadSchema."""
    fields = _fields(credential, _LINK_FIELDS)
    return fields["App"], fields["Token"]


def _fields(credential: str, names: frozenset[str]) -> dict[str, str]:
    """The fields of a credential in any order, each once; without the slips of splitting by commas alone."""
    if len(credential) > MAX_CREDENTIAL:
        raise MalformedHeader("The credential is too long.")
    pairs = [_field(part) for part in credential.split(",", MAX_FIELDS_OF_HEADER)]
    fields = {pair[1]: pair[2] for pair in pairs if pair is not None}
    if None in pairs or len(fields) != len(pairs):
        raise MalformedHeader("The credential is not a list of fields, each once.")
    if fields.keys() != names:
        raise BadSchema("The credential has other fields than its scheme.")
    if _app(fields["App"]) is None:
        raise MalformedHeader("The name of the app is no slug.")
    return fields


def verify_jwt(
    app: str, token: str, keys: Sequence[LinkKey], *, receiver: str, **limits: Unpack[Limits]
) -> LinkClaims:
    """The claims of a token that one of the app's `keys` signed, for `receiver`, which is us.

    Raises ExpiredCredential for one that was good, BadTimestamp for one from the future or good for too long,
    UnknownAlgorithm, and WrongAppToken for all else.
    """
    try:
        header, payload, signature = split_token(token)
        algorithm = _algorithm(header)
        _check_signature(token, decode_segment(signature), keys, algorithm)
        claims = read_object(decode_segment(payload))
        _check_types(claims)
    except (WrongAppToken, UnknownAlgorithm):
        raise
    except InvalidToken as error:
        raise WrongAppToken(error.detail) from None
    except (ValueError, RecursionError):
        raise WrongAppToken("The token is malformed or its signature is wrong.") from None
    # Upstream believes the token, so that one pair can act for the people of another.
    if claims["app"] != app:
        raise WrongAppToken("The token is by another app than the header says.")
    if claims["aud"] != receiver:
        raise WrongAppToken("The token is for another service.")
    _check_times(claims, limits)
    return LinkClaims({name: claims.get(name) for name in _CLAIMS} | {"sub": claims["sub"] or None})


@lru_cache(maxsize=64)
def _algorithm(segment: str) -> str:
    """The algorithm that a header names. It may name nothing else: no key, no extension, no other purpose."""
    header = read_object(decode_segment(segment))
    if header.keys() != {"alg", "typ"} or header["typ"] != "JWT":
        raise WrongAppToken("The token's header is not that of a token between services.")
    if header["alg"] not in ALGORITHMS:
        raise UnknownAlgorithm
    return str(header["alg"])


def _check_signature(token: str, signature: bytes, keys: Sequence[LinkKey], algorithm: str) -> None:
    signed = token.rpartition(".")[0].encode()
    for key in keys:
        # The key says which algorithm, and the header must agree (CVE-2022-29217, CVE-2026-48523).
        fits = key.algorithm == algorithm and key.verifying is not None
        if fits and key.verifies(signed, signature, HASHES[algorithm]):
            return
    raise WrongAppToken("The token is signed by an unknown key or with another algorithm.")


def _check_types(claims: Mapping[str, Any]) -> None:
    for name in ("app", "aud"):
        if type(claims.get(name)) is not str:
            raise ValueError(f"The claim {name} must be a string.")
    if not is_subject(claims.get("sub")):
        raise WrongAppToken("The token's subject is not a person's id as text.")
    for name in ("iss", "typ"):
        if type(claims.get(name, "")) is not str:
            raise ValueError(f"The claim {name} must be a string.")
    for name in ("exp", "iat"):
        _check_moment(claims.get(name))
    _check_moment(claims.get("nbf", 0))


def _check_moment(value: object) -> None:
    # Fractions are usual here; `read_object` has refused what is not finite. True is an int to Python, but no type.
    if (type(value) is not float and type(value) is not int) or not 0 <= value <= MAX_TIME:
        raise ValueError("A time in a token must be seconds since 1970.")


def _check_times(claims: Mapping[str, Any], limits: Limits) -> None:
    now, leeway = limits.get("now"), limits.get("leeway", LEEWAY)
    now = time.time() if now is None else now
    if max(claims["iat"], claims.get("nbf", 0)) > now + leeway:
        raise BadTimestamp("The token is not valid yet.")
    if claims["exp"] - claims["iat"] > limits.get("max_lifetime", MAX_LIFETIME):
        raise BadTimestamp("The token lives for too long.")
    if now >= claims["exp"] + leeway:
        raise ExpiredCredential("The token has expired.")


# The old signature


class Form(dict[str, list[str]]):
    """The fields of a form, or of a query: each name with the list of its values, in order."""

    __slots__ = ()


def form_of(text: str) -> Form:
    """A query, or the text of a form. Raises ValueError for broken UTF-8, or over 1000 fields."""
    form = Form()
    for name, value in parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS):
        form.setdefault(name, []).append(value)
    return form


def legacy_body(data: bytes, content_type: str = "") -> Any:
    """A body as the old signature knows it: None for none, a dict or a list of JSON, or a Form.

    Raises ValueError for anything else: a JSON string that reads like a dict would be signed alike.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        return form_of(data.decode())
    if not data:
        return None
    if media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        try:
            body = read_json(data)
        except RecursionError:
            raise ValueError("Nested too deeply.") from None
        if type(body) in {dict, list}:
            return body
        raise NoObject("Neither an object nor a list.")
    raise ValueError("The old signature covers JSON and forms only.")


def sign_legacy(
    key: LinkKey, *, sender: str, method: str, params: Query, body: Any, **more: Unpack[More]
) -> str:
    """`Signature App=<sender>,Nonce=<hmac>,…`, the value of `Authorization`, as the Django package computes it.

    `params` has the list of its values for each name, `body` is what `legacy_body` gives. Raises ValueError for what
    cannot travel, and for a key that only verifies or is no shared secret.
    """
    if key.algorithm == "EdDSA":
        raise ValueError("The old signature is an HMAC: a key for EdDSA cannot make it.")
    headers, now = more.get("headers") or {}, more.get("now")
    if not all(map(_header_name, headers)) or len(headers) > MAX_SIGNED_HEADERS:
        raise ValueError("This is no name of a header, or there are too many.")
    moment = datetime.fromtimestamp(time.time() if now is None else now, UTC).isoformat()
    values = (moment, check_slug(sender), method, str(dict(params)), _as_django(body), str(dict(headers)))
    mac = key.sign(_legacy_text(values), HASHES[key.algorithm]).hex()
    return f"Signature App={sender},Nonce={mac},SignedHeaders={';'.join(headers)},Date={moment}"


def _as_django(body: Any) -> str:
    """What `str(request.data)` is over there."""
    if body is None:
        return "{}"
    return f"<QueryDict: {dict(body)}>" if isinstance(body, Form) else str(body)


def _as_client(body: Any) -> str:
    """What was given to the package's client, as `str` shows it."""
    return _flat(body) if isinstance(body, Form) else str(body)


def _flat(form: Query) -> str:
    """Fields as a client is given them: a value, and a list only where there are several."""
    return str({name: values[0] if len(values) == 1 else values for name, values in form.items()})


def _legacy_text(values: tuple[str, ...]) -> bytes:
    return urlencode(list(zip(_LEGACY_NAMES, values, strict=True))).encode()


class LegacyFields(NamedTuple):
    """An old signature as its header has it; whoever admits it remembers `mac` until `closes`, so that it counts once.

    The header calls the MAC "Nonce". `date` is the text that was signed, `moment` the same in seconds since 1970.
    """

    app: str
    mac: str
    signed_headers: tuple[str, ...]
    date: str
    moment: float

    def __repr__(self) -> str:
        return f"LegacyFields(<of {self.app}, {self.date}>)"

    def closes(self, tolerance: float = TOLERANCE) -> float:
        """When the signature is too old to be admitted again, in seconds since 1970."""
        return self.moment + tolerance


def read_legacy(credential: str) -> LegacyFields:
    """The fields of what follows `Signature ` in `Authorization`.

    Raises MalformedHeader, BadSchema, and BadTimestamp for a date that is none or has no zone.
    """
    fields = _fields(credential, _LEGACY_FIELDS)
    names = tuple(filter(None, fields["SignedHeaders"].split(";", MAX_SIGNED_HEADERS)))
    if _mac(fields["Nonce"]) is None or not all(map(_header_name, names)):
        raise MalformedHeader("The signature is not in hex, or the names of signed headers are none.")
    if len({name.lower() for name in names}) != len(names) or ";".join(names) != fields["SignedHeaders"]:
        raise MalformedHeader("The names of signed headers are not listed once each.")
    return LegacyFields(fields["App"], fields["Nonce"], names, fields["Date"], _moment(fields["Date"]))


def _moment(date: str) -> float:
    # Upstream throws the zone away, so that a date of elsewhere is hours off and a date without one passes.
    try:
        if _date(date) is not None:
            return datetime.fromisoformat(date).timestamp()
    except (ValueError, OverflowError):
        pass
    raise BadTimestamp("The date is not in ISO 8601 with a zone.")


def verify_legacy(
    fields: LegacyFields,
    keys: Sequence[LinkKey],
    *,
    method: str,
    params: Query,
    body: Any,
    headers: Mapping[str, str],
    **limits: Unpack[Limits],
) -> LinkClaims:
    """Who is calling, when one of the app's `keys` signed this request as the package's client or as Django does.

    `params` has the list of its values for each name, `body` is what `legacy_body` gives, `headers` are all that
    arrived. Raises UnknownAlgorithm when the app has keys of pairs only, WrongAppToken, and BadTimestamp for a date
    more than `leeway` (120 s) off. Then `fields.mac` is to be remembered until `fields.closes()`.
    """
    usable = [key for key in keys if key.algorithm != "EdDSA" and key.verifying is not None]
    if keys and not usable:
        raise UnknownAlgorithm
    try:
        signed_headers = _signed_headers(fields.signed_headers, headers)
        shown = product((str(dict(params)), _flat(params)), (_as_django(body), _as_client(body)))
        texts = {
            _legacy_text((fields.date, fields.app, method, query, data, signed_headers))
            for query, data in shown
        }
    except (ValueError, RecursionError):
        raise WrongAppToken("The request holds what no old signature covers.") from None
    mac = bytes.fromhex(fields.mac)
    # Every text is tried with every key: how long it takes says nothing.
    fits = [key.verifies(text, mac, HASHES[key.algorithm]) for key in usable for text in texts]
    if not any(fits):
        raise WrongAppToken("The signature does not fit this request.")
    now, tolerance = limits.get("now"), limits.get("leeway", TOLERANCE)
    if abs(fields.moment - (time.time() if now is None else now)) >= tolerance:
        raise BadTimestamp("The signature is from another time.")
    times = {"iat": fields.moment, "exp": fields.closes(tolerance)}
    return LinkClaims({**dict.fromkeys(_CLAIMS), "app": fields.app, **times})


def _signed_headers(names: Sequence[str], headers: Mapping[str, str]) -> str:
    arrived = {name.lower(): value for name, value in headers.items()} if names else {}
    if not all(name.lower() in arrived for name in names):
        raise ValueError("A header that is said to be signed is not there.")
    return str({name: arrived[name.lower()] for name in names})

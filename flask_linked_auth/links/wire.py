"""The formats of the published Django package `linked-services`: its JWT, and its old signature of a request.

What they cannot keep by their nature (the old signature covers neither path nor host) their receiver makes up for.
"""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, TypedDict, Unpack
from urllib.parse import parse_qsl, urlencode

from ..strict_json import NoObject, read_json
from .keys import ALGORITHMS, Hash, LinkKey
from .names import check_slug, check_subject

__all__ = ["Form", "LegacyRequest", "Times", "form_of", "legacy_body", "sign_jwt", "sign_legacy"]

HASHES: Mapping[str, Hash] = {"HS256": "sha256", "HS512": "sha512", "EdDSA": "sha512"}  # Ed25519 has its own
LIFETIME = 600  # seconds, as the package has it
MAX_FIELDS = 1000  # of a query or a form

_header_name = re.compile(r"[A-Za-z0-9-]{1,100}").fullmatch
_TO_URL = bytes.maketrans(b"+/", b"-_")


class Times(TypedDict, total=False):
    """`lifetime`, in seconds (600 by default), and `now`, in seconds since 1970 (the clock by default)."""

    lifetime: float
    now: float | None


# The JWT


def sign_jwt(
    key: LinkKey, *, sender: str, receiver: str, subject: str, issuer: str, **times: Unpack[Times]
) -> str:
    """`Link App=<sender>,Token=<jwt>`, the value of `Authorization`. `subject` is "" for the service itself.

    Raises ValueError for a name or a subject that cannot travel, or a key that only verifies.
    """
    now = times.get("now")
    now = time.time() if now is None else now
    check_slug(sender)
    claims = (
        f'{{"sub":"{check_subject(subject)}","iss":{quoted(issuer)},"app":"{sender}","aud":"{check_slug(receiver)}",'
        f'"exp":{now + times.get("lifetime", LIFETIME):.6f},"iat":{now - 1:.6f},"typ":"JWT"}}'
    )
    signed = _HEADERS[key.algorithm] + _base64url(claims.encode())
    signature = _base64url(key.sign(signed, HASHES[key.algorithm]))
    return f"Link App={sender},Token={signed.decode()}.{signature.decode()}"


def _base64url(data: bytes) -> bytes:
    return b64encode(data).translate(_TO_URL).rstrip(b"=")


_HEADERS = {
    algorithm: _base64url(json.dumps({"alg": algorithm, "typ": "JWT"}, separators=(",", ":")).encode()) + b"."
    for algorithm in ALGORITHMS
}

# The old signature


class Form(tuple[tuple[str, str], ...]):
    """The fields of a query or of a form, in order, as often as they stand there."""

    __slots__ = ()

    def lists(self) -> dict[str, list[str]]:
        """What Django makes of it: every name with the list of its values."""
        found: dict[str, list[str]] = {}
        for name, value in self:
            found.setdefault(name, []).append(value)
        return found

    def values(self) -> dict[str, Any]:
        """What was given to the package's client: a value, and a list only where there are several."""
        return {name: value if len(value) > 1 else value[0] for name, value in self.lists().items()}


def form_of(text: str) -> Form:
    """A query, or the text of a form. Raises ValueError for broken UTF-8, or over 1000 fields."""
    return Form(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS))


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


@dataclass(frozen=True, slots=True, repr=False)
class LegacyRequest:
    """What the old signature covers: the method, the query, the body as `legacy_body` gives it, and headers by name."""

    method: str
    params: Form
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


def sign_legacy(key: LinkKey, request: LegacyRequest, *, sender: str, now: float | None = None) -> str:
    """`Signature App=<sender>,Nonce=<hmac>,…`, the value of `Authorization`, as the Django package computes it.

    Raises ValueError for what cannot travel, and for a key that only verifies or is no shared secret.
    """
    for name in request.headers:
        if _header_name(name) is None:
            raise ValueError(f"{name!r} is no name of a header.")
    moment = datetime.fromtimestamp(time.time() if now is None else now, UTC).isoformat()
    text = _legacy_text(
        moment, check_slug(sender), request, [str(request.params.lists()), _as_django(request.body)]
    )
    mac = _legacy_sign(key, text).hex()
    return f"Signature App={sender},Nonce={mac},SignedHeaders={';'.join(request.headers)},Date={moment}"


def _as_django(body: Any) -> str:
    """What `str(request.data)` is over there."""
    if body is None:
        return "{}"
    return f"<QueryDict: {body.lists()}>" if isinstance(body, Form) else str(body)


def _as_client(body: Any) -> str:
    """What was given to the package's client, as `str` shows it."""
    return str(body.values()) if isinstance(body, Form) else str(body)


def _legacy_text(moment: str, app: str, request: LegacyRequest, shown: Sequence[str]) -> bytes:
    params, body = shown
    signed = {"timestamp": moment, "app": app, "method": request.method, "params": params, "body": body}
    return urlencode({**signed, "headers": str(dict(request.headers))}).encode()


def _legacy_sign(key: LinkKey, text: bytes) -> bytes:
    if key.algorithm == "EdDSA":
        raise ValueError("The old signature is an HMAC: a key for EdDSA cannot make it.")
    return key.sign(text, HASHES[key.algorithm])

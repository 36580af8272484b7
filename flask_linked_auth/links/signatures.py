"""Signed requests (RFC 9421) by the one profile that we speak: `sign_request` signs, `verify_request` admits.

Everything of the profile is demanded: the same components in the same order, all six parameters, a digest (RFC 9530)
whenever there is a body. `docs/link-signature-vectors.md` has examples for those who write the other side.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict, Unpack

from ..link_errors import BadTimestamp, ExpiredCredential, MalformedHeader, UnknownAlgorithm, WrongAppToken
from .fields import MAX_LENGTH, members
from .names import SLUG, check_slug, check_subject, is_subject

if TYPE_CHECKING:
    from .keys import LinkKey

__all__ = [
    "LABEL",
    "SIGNATURE_ALGORITHMS",
    "TAG",
    "DigestAlgorithm",
    "Received",
    "SignedWhen",
    "Target",
    "Within",
    "authority_of",
    "check_body",
    "check_digest",
    "content_digest",
    "digest_field",
    "read_signature",
    "sign_base",
    "sign_request",
    "signature_base",
    "verify_request",
]

LABEL, TAG = "link", "linked-auth"
LIFETIME = 60  # seconds
MAX_LIFETIME = 300
LEEWAY = 5
SIGNATURE_ALGORITHMS = {"HS256": "hmac-sha256", "HS512": "hmac-sha256", "EdDSA": "ed25519"}
_ALGORITHMS_KNOWN = frozenset(SIGNATURE_ALGORITHMS.values())
DigestAlgorithm = Literal["sha-256", "sha-512"]
_DIGESTS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}

_COMPONENTS = ("@method", "@authority", "@path", "@query", "linked-subject")
_COMPONENTS_WITH_BODY = ("@method", "@authority", "@path", "@query", "content-digest", "linked-subject")
_COVERED = "(" + " ".join(f'"{name}"' for name in _COMPONENTS) + ")"
_COVERED_WITH_BODY = "(" + " ".join(f'"{name}"' for name in _COMPONENTS_WITH_BODY) + ")"

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_KEY_ID = r"[A-Za-z0-9_-]{1,64}"
_NONCE = r"[A-Za-z0-9_-]{22,128}"  # base64url of 16 bytes and more

_nonce = re.compile(_NONCE).fullmatch
_target = re.compile(r"[A-Z][A-Z0-9_-]{0,31} [!-~]+ /[!-~]*").fullmatch
_digest = re.compile(r"sha-256=:[A-Za-z0-9+/]{43}=:|sha-512=:[A-Za-z0-9+/]{86}==:").fullmatch
# Of 32 or 64 bytes, the unused last bits zero, so that one signature has one text.
_BASE64 = r":([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/]{85}[AQgw]==):"
_signature = re.compile(rf"{LABEL}={_BASE64}").fullmatch
_WHOLE = r"(0|[1-9][0-9]{0,14})"
_PARAMETERS = {
    "created": f"created={_WHOLE}",
    "expires": f"expires={_WHOLE}",
    "nonce": f'nonce="({_NONCE})"',
    "keyid": f'keyid="({SLUG})/({_KEY_ID})"',
    "alg": r'alg="([!#-\[\]-~]{1,50})"',
    "tag": f'tag="{TAG}"',
}
_input = re.compile(
    rf"{LABEL}=((?:{re.escape(_COVERED)}|({re.escape(_COVERED_WITH_BODY)}));{';'.join(_PARAMETERS.values())})"
).fullmatch
_is_said = re.compile(rf"(?:\A|,)[ \t]*{LABEL}[ \t]*=").search  # our label, in a field that may be none


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for: method, authority as `authority_of` gives it, raw path, raw query without its "?"."""

    method: str
    authority: str
    path: str
    query: str = ""


class SignedWhen(TypedDict, total=False):
    """`lifetime` in seconds (60), `now` in seconds since 1970 (the clock), `nonce` in base64url (random)."""

    lifetime: int
    now: float | None
    nonce: str | None


class Within(TypedDict, total=False):
    """`leeway` in seconds (5), and `now`, in seconds since 1970 (the clock by default)."""

    leeway: float
    now: float | None


def authority_of(host: str, scheme: str) -> str:
    """A host with its port as `@authority` has it (RFC 9421 section 2.2.3): lower case, without the default port."""
    return host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ":0"))


def content_digest(body: bytes, algorithm: DigestAlgorithm = "sha-256") -> str:
    """The value of `Content-Digest` (RFC 9530 section 2) for a body."""
    return digest_field(_DIGESTS[algorithm](body).digest(), algorithm)


def digest_field(digest: bytes, algorithm: DigestAlgorithm = "sha-256") -> str:
    """The value of `Content-Digest` for a body that was hashed in pieces."""
    return f"{algorithm}=:{b64encode(digest).decode()}:"


# The signing core: any components and any parameters (RFC 9421 sections 2.5 and 3.1).


def signature_base(components: Iterable[tuple[str, str]], parameters: str) -> bytes:
    """What is signed: a line for each component, by its name and its value, and one for the parameters.

    `parameters` is the whole value of `@signature-params`, the list of components included. Raises ValueError for
    anything but ASCII.
    """
    lines = [f'"{name}": {value}\n' for name, value in components]
    return f'{"".join(lines)}"@signature-params": {parameters}'.encode("ascii")


def sign_base(key: LinkKey, base: bytes) -> str:
    """The signature as `Signature` has it: by hmac-sha256 or ed25519, in base64 between colons."""
    return f":{b64encode(key.sign(base, 'sha256')).decode()}:"


# The profile


def sign_request(
    key: LinkKey, target: Target, *, sender: str, subject: str, digest: str | None, **when: Unpack[SignedWhen]
) -> dict[str, str]:
    """The headers that make a request signed; `Content-Digest` is among them when `digest`, its value, is given.

    `subject` is "" for the service itself. Raises ValueError for what cannot be signed so that it is admitted.
    """
    now = when.get("now")
    created = int(time.time() if now is None else now)
    lifetime = when.get("lifetime", LIFETIME)
    given = when.get("nonce")
    nonce = given or secrets.token_urlsafe(16)
    _check_parts(key, target, digest)
    if not 0 < lifetime <= MAX_LIFETIME or (given is not None and _nonce(given) is None):
        raise ValueError(
            f"A lifetime of 1 to {MAX_LIFETIME} seconds and a nonce of 16 bytes or more in base64url."
        )
    covered = _COVERED if digest is None else _COVERED_WITH_BODY
    parameters = (
        f'{covered};created={created};expires={created + lifetime};nonce="{nonce}"'
        f';keyid="{check_slug(sender)}/{key.id}";alg="{SIGNATURE_ALGORITHMS[key.algorithm]}";tag="{TAG}"'
    )
    base = _base(target, check_subject(subject), digest, parameters=parameters)
    headers = {
        "Linked-Subject": subject,
        "Signature-Input": f"{LABEL}={parameters}",
        "Signature": f"{LABEL}={sign_base(key, base)}",
    }
    if digest is not None:
        headers["Content-Digest"] = digest
    return headers


def _base(target: Target, subject: str, digest: str | None, *, parameters: str) -> bytes:
    """What `signature_base` makes of the components of the profile, without going through them one by one."""
    body = "" if digest is None else f'"content-digest": {digest}\n'
    return (
        f'"@method": {target.method}\n"@authority": {target.authority}\n"@path": {target.path}\n'
        f'"@query": ?{target.query}\n{body}"linked-subject": {subject}\n"@signature-params": {parameters}'
    ).encode("ascii")


def _check_parts(key: LinkKey, target: Target, digest: str | None) -> None:
    """That no part can be taken for another or would be refused over there."""
    if not key.id:
        raise ValueError("A key needs an id of its own to sign requests.")
    if _target(f"{target.method} {target.authority} {target.path}?{target.query}") is None:
        raise ValueError(
            "A method in capitals, and an address in ASCII as it is sent: its path begins with a slash."
        )
    if digest is not None and _digest(digest) is None:
        raise ValueError("This is no Content-Digest by sha-256 or sha-512.")


class Received(NamedTuple):
    """A signature under our label, read and not verified yet. Times are in seconds since 1970."""

    sender: str
    key_id: str
    algorithm: str
    created: int
    expires: int
    nonce: str
    digest_covered: bool
    parameters: str
    signature: bytes

    def __repr__(self) -> str:
        return f"Received(<of {self.sender} by {self.key_id}, {self.created} to {self.expires}>)"

    def closes(self, leeway: float = LEEWAY) -> float:
        """Until when the nonce has to be remembered: later the signature is refused anyway."""
        return self.expires + leeway


def read_signature(signature_input: str | None, signature: str | None) -> Received | None:
    """The signature under our label in the two headers, None when our label is in neither.

    Signatures under other labels are skipped, whatever they cover. Raises MalformedHeader when a header is no
    dictionary, is too long or too full, or ours is there twice, by half, or not by the profile; UnknownAlgorithm for
    its `alg`.
    """
    if signature_input is None:
        # Another scheme may use the header `Signature` by itself; half of ours is refused.
        if signature is not None and _is_said(signature[:MAX_LENGTH]):
            raise MalformedHeader("There is a signature, and nothing says what it covers.")
        return None
    usual, encoded = _input(signature_input), _signature(signature or "")
    if usual is None or encoded is None:
        return _among_others(signature_input, signature)
    return _received(usual, usual[1], encoded[1])


def _among_others(signature_input: str, signature: str | None) -> Received | None:
    """As `read_signature`, where there are other labels, or the parameters stand in another order."""
    try:
        inputs = [value for label, value in members(signature_input) if label == LABEL]
        signatures = [value for label, value in members(signature or "none") if label == LABEL]
    except ValueError:
        raise MalformedHeader("The signature's headers are no dictionaries of structured fields.") from None
    if not inputs and not signatures:
        return None
    # One label by policy: a valid signature under another never stands in for this one (RFC 9421 section 7.2.6).
    if len(inputs) != 1 or len(signatures) != 1:
        raise MalformedHeader("The signature must be there once, in both headers.")
    # No value of the profile holds a semicolon, and none of its components has parameters.
    covered, *parameters = inputs[0].split(";")
    by_name = {each.partition("=")[0]: each for each in parameters}
    in_order = ";".join([covered, *(by_name.get(name, "") for name in _PARAMETERS)])
    usual, encoded = _input(f"{LABEL}={in_order}"), _signature(f"{LABEL}={signatures[0]}")
    if usual is None or len(parameters) != len(_PARAMETERS):
        raise MalformedHeader("The signature does not cover what the profile says, or has other parameters.")
    if encoded is None:
        raise MalformedHeader("The signature is not 32 or 64 bytes in base64.")
    return _received(usual, inputs[0], encoded[1])


def _received(usual: re.Match[str], parameters: str, encoded: str) -> Received:
    _all, with_body, created, expires, nonce, sender, key_id, algorithm = usual.groups()
    if algorithm not in _ALGORITHMS_KNOWN:
        raise UnknownAlgorithm
    times = int(created), int(expires)
    raw = a2b_base64(encoded)
    return Received(sender, key_id, algorithm, *times, nonce, with_body is not None, parameters, raw)


def verify_request(
    received: Received,
    key: LinkKey,
    target: Target,
    *,
    subject: str | None,
    digest: str | None,
    **limits: Unpack[Within],
) -> None:
    """That `key`, the one that the sender has under `received.key_id`, signed this request, and that it is in time.

    `subject` is the value of `Linked-Subject`, `digest` that of `Content-Digest`. Raises MalformedHeader for what the
    profile demands and is not there, WrongAppToken, BadTimestamp and ExpiredCredential. Then the nonce is to be
    remembered until `received.closes()`, under the key, and the body to be held against the digest by `check_body`.
    """
    # The algorithm is the key's, and what the request says must agree (RFC 9421 section 7.3.6).
    if (
        received.key_id != key.id
        or received.algorithm != SIGNATURE_ALGORITHMS[key.algorithm]
        or key.verifying is None
    ):
        raise WrongAppToken("The request is signed by another key or with another algorithm.")
    if received.digest_covered != (digest is not None):
        raise MalformedHeader("A signature covers the body's digest if and only if there is a body.")
    if not is_subject(subject):
        raise MalformedHeader("`Linked-Subject` is not a person's id as text, or not there.")
    try:
        base = _base(target, str(subject), digest, parameters=received.parameters)
    except ValueError:
        raise WrongAppToken("The request holds what no signature covers.") from None
    # A value with a line break in it could pass for two components.
    lines = 5 if digest is None else 6
    if base.count(b"\n") != lines or not key.verifies(base, received.signature, "sha256"):
        raise WrongAppToken("The signature does not fit this request.")
    _check_window(received, limits)


def _check_window(received: Received, limits: Within) -> None:
    now, leeway = limits.get("now"), limits.get("leeway", LEEWAY)
    now = time.time() if now is None else now
    if not 0 < received.expires - received.created <= MAX_LIFETIME:
        raise BadTimestamp("The signature is good for too long.")
    if received.created > now + leeway:
        raise BadTimestamp("The signature is from the future.")
    if now >= received.expires + leeway:
        raise ExpiredCredential("The signature has expired.")


# The body (RFC 9530)


def check_body(digest: str | None, body: bytes, *, declared: bool) -> None:
    """That the body is the one of which `digest`, the value of `Content-Digest`, was signed; or that there is neither.

    `declared` says that there is a body: a `Content-Length` above 0, or a `Transfer-Encoding`. Raises MalformedHeader
    when there is one of the two only, or nothing in the digest that we know; WrongAppToken for another body.
    """
    if (body or declared) and digest is None:
        raise MalformedHeader("There is a body and no digest of it.")
    if digest is not None:
        if not body and not declared:
            raise MalformedHeader("There is a digest and no body.")
        check_digest(digest, body)


def check_digest(header: str, body: bytes) -> None:
    """That `Content-Digest` is of this body, by sha-256 or sha-512, or by both. Others beside them are not looked at.

    Raises MalformedHeader when it cannot be read or has neither, WrongAppToken when it is of another body.
    """
    try:
        digests = members(header)
    except ValueError:
        raise MalformedHeader("`Content-Digest` is no dictionary of structured fields.") from None
    known = [(name, value) for name, value in digests if name in _DIGESTS]
    if not known or len(dict(known)) != len(known):
        raise MalformedHeader("`Content-Digest` has neither sha-256 nor sha-512, or one of them twice.")
    for name, value in known:
        expected = f":{b64encode(_DIGESTS[name](body).digest()).decode()}:"
        if not hmac.compare_digest(value, expected):
            raise WrongAppToken("The body is not the one that was signed.")

"""Signed requests (RFC 9421) by the one profile that we speak: `sign_request` signs, `verify_request` admits.

Everything of the profile is demanded: the same components in the same order, all six parameters, a digest (RFC 9530)
whenever there is a body. `docs/link-signature-vectors.md` has examples for those who write the other side.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from .names import check_slug, check_subject

if TYPE_CHECKING:
    from .keys import LinkKey

__all__ = [
    "LABEL",
    "SIGNATURE_ALGORITHMS",
    "TAG",
    "DigestAlgorithm",
    "SignedWhen",
    "Target",
    "authority_of",
    "content_digest",
    "sign_base",
    "sign_request",
    "signature_base",
]

LABEL, TAG = "link", "linked-auth"
LIFETIME = 60  # seconds
MAX_LIFETIME = 300
SIGNATURE_ALGORITHMS = {"HS256": "hmac-sha256", "HS512": "hmac-sha256", "EdDSA": "ed25519"}
DigestAlgorithm = Literal["sha-256", "sha-512"]

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


def authority_of(host: str, scheme: str) -> str:
    """A host with its port as `@authority` has it (RFC 9421 section 2.2.3): lower case, without the default port."""
    return host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ":0"))


def content_digest(body: bytes, algorithm: DigestAlgorithm = "sha-256") -> str:
    """The value of `Content-Digest` (RFC 9530 section 2) for a body."""
    return digest_field(hashlib.new(algorithm.replace("-", ""), body).digest(), algorithm)


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
    base = signature_base(_components(target, check_subject(subject), digest), parameters)
    headers = {
        "Linked-Subject": subject,
        "Signature-Input": f"{LABEL}={parameters}",
        "Signature": f"{LABEL}={sign_base(key, base)}",
    }
    if digest is not None:
        headers["Content-Digest"] = digest
    return headers


def _components(target: Target, subject: str, digest: str | None) -> list[tuple[str, str]]:
    values = [target.method, target.authority, target.path, f"?{target.query}", subject]
    if digest is None:
        return list(zip(_COMPONENTS, values, strict=True))
    return list(zip(_COMPONENTS_WITH_BODY, [*values[:4], digest, subject], strict=True))


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

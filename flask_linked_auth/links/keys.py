"""Keys between two services as values: made, read in the Django package's form, kept, and used.

A key serves every dialect that its row says: as HS256, HS512 or EdDSA in a JWT, as `hmac-sha256` or `ed25519` in a
signed request. The algorithm belongs to the key, never to what it signed.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal, Self, get_args

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import PyJWTError

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Hash",
    "LinkKey",
    "dump_key",
    "generate_key",
    "key_from_hex",
    "load_key",
]

Algorithm = Literal["HS256", "HS512", "EdDSA"]
Hash = Literal["sha256", "sha512"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

SECRET_BYTES_MADE = 64  # what the Django package makes for both of its HMACs
SECRET_BYTES = {"HS256": 32, "HS512": 64}  # RFC 7518 section 3.2: as long as the hash
HALF_BYTES = 32  # of an Ed25519 key (RFC 8032 section 5.1.5)

_id = re.compile(r"[A-Za-z0-9_-]{0,64}").fullmatch
_HAS_SIGNING, _HAS_VERIFYING = 1, 2

# Points of an order up to 8, in every encoding that is decoded to one (the sign bit aside). Under such a "key" one
# signature fits all messages, or one in eight, whoever makes it.
_SMALL_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LinkKey:
    """One key of a link. `id` is ours, "" for a key of the Django package.

    The halves need not belong together: `signing` can be ours and `verifying` theirs. `signing` is None for a key that
    only verifies, `verifying` for one that only signs. Raises ValueError when a half is weak or not for the algorithm.
    """

    id: str
    algorithm: Algorithm
    signing: bytes | Ed25519PrivateKey | None
    verifying: bytes | Ed25519PublicKey | None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or _id(self.id) is None:
            raise ValueError("The id of a key is at most 64 characters of base64url.")
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"{self.algorithm!r} is none of the algorithms {', '.join(ALGORITHMS)}.")
        if self.signing is None and self.verifying is None:
            raise ValueError("A key needs at least one half.")
        if self.algorithm == "EdDSA":
            _check_pair(self.signing, self.verifying)
        else:
            _check_secrets(self.algorithm, self.signing, self.verifying)

    def __repr__(self) -> str:
        return f"LinkKey(<{self.algorithm} {self.id or 'without id'}>)"

    def sign(self, data: bytes, hash_name: Hash) -> bytes:
        """The signature of `data`: an HMAC by this hash, or Ed25519, which has its own.

        Raises ValueError for a key that only verifies.
        """
        signing = self.signing
        if isinstance(signing, bytes):
            return hmac.digest(signing, data, hash_name)
        if signing is None:
            raise ValueError(f"The key {self.id!r} only verifies.")
        return signing.sign(data)

    def verifies(self, data: bytes, signature: bytes, hash_name: Hash) -> bool:
        """Whether `signature` is right for `data`. Raises ValueError for a key that only signs."""
        verifying = self.verifying
        if isinstance(verifying, bytes):
            return hmac.compare_digest(hmac.digest(verifying, data, hash_name), signature)
        if verifying is None:
            raise ValueError(f"The key {self.id!r} only signs.")
        try:
            # Of 64 bytes exactly, with S below the order of the group (RFC 8032 section 5.1.7): OpenSSL sees to both.
            verifying.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def private_hex(self) -> str:
        """The half that signs in the Django package's form: hex of the secret, or of a PEM (PKCS #8); "" for none."""
        if self.signing is None or isinstance(self.signing, bytes):
            return (self.signing or b"").hex()
        return self.signing.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).hex()

    def public_hex(self) -> str:
        """The half that verifies in the Django package's form: hex of a PEM; "" for a shared secret, which has none."""
        if not isinstance(self.verifying, Ed25519PublicKey):
            return ""
        return self.verifying.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).hex()

    def public(self) -> Self:
        """The same key, which now only verifies. Raises ValueError for a shared secret: it has no public half."""
        if not isinstance(self.verifying, Ed25519PublicKey):
            raise ValueError(f"The key {self.id!r} has no public half.")
        return type(self)(self.id, self.algorithm, None, self.verifying)


def generate_key(algorithm: Algorithm) -> LinkKey:
    """A new random key with a random id of 22 characters. Raises ValueError for an unknown algorithm."""
    key_id = secrets.token_urlsafe(16)
    if algorithm == "EdDSA":
        private = Ed25519PrivateKey.generate()
        return LinkKey(key_id, algorithm, private, private.public_key())
    secret = secrets.token_bytes(SECRET_BYTES_MADE)
    return LinkKey(key_id, algorithm, secret, secret)


def key_from_hex(algorithm: Algorithm, *, private: str = "", public: str = "", id: str = "") -> LinkKey:  # noqa: A002
    """A key in the Django package's form; `public` is the other side's half where the two are not one pair.

    Without `public` the key verifies what it signs itself. Raises ValueError when a text is no key for the algorithm.
    """
    if algorithm != "EdDSA":
        if public:
            raise ValueError(f"A key for {algorithm} is a shared secret: it has no public half.")
        secret = _from_hex(private)
        return LinkKey(id, algorithm, secret, secret)
    signing = verifying = None
    try:
        if private:
            signing = serialization.load_pem_private_key(_from_hex(private), password=None)
        if public:
            verifying = serialization.load_pem_public_key(_from_hex(public))
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise ValueError("This is not the hex of a key for EdDSA in PEM.") from None
    if signing is not None and verifying is None:
        verifying = signing.public_key()
    return LinkKey(id, algorithm, signing, verifying)  # type: ignore[arg-type] # it checks what they are


def dump_key(key: LinkKey) -> bytes:
    """Both halves as bytes, not encrypted: seal them."""
    has = bytes([_HAS_SIGNING * (key.signing is not None) + _HAS_VERIFYING * (key.verifying is not None)])
    if isinstance(key.signing, bytes) or isinstance(key.verifying, bytes):
        return has + bytes(key.signing or key.verifying)  # type: ignore[arg-type] # a secret is the same in both
    private = key.signing.private_bytes_raw() if key.signing else b""
    return has + private + (key.verifying.public_bytes_raw() if key.verifying else b"")


def load_key(id: str, algorithm: Algorithm, data: bytes) -> LinkKey:  # noqa: A002
    """The key that `dump_key` gave. Raises ValueError when the bytes are not a key for the algorithm."""
    has, halves = data[0] if data else 0, data[1:]
    signs, verifies = bool(has & _HAS_SIGNING), bool(has & _HAS_VERIFYING)
    wrong = ValueError(f"The bytes of the key {id!r} are not a key for {algorithm}.")
    if has not in {1, 2, 3}:
        raise wrong
    if algorithm != "EdDSA":
        return LinkKey(id, algorithm, halves if signs else None, halves if verifies else None)
    if len(halves) != HALF_BYTES * (signs + verifies):
        raise wrong
    private = Ed25519PrivateKey.from_private_bytes(halves[:HALF_BYTES]) if signs else None
    public = Ed25519PublicKey.from_public_bytes(halves[-HALF_BYTES:]) if verifies else None
    return LinkKey(id, algorithm, private, public)


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise ValueError("This is not hex.") from None  # the text itself may be a secret


def _check_secrets(algorithm: str, signing: object, verifying: object) -> None:
    for secret in (signing, verifying):
        if secret is None:
            continue
        if not isinstance(secret, bytes):
            raise ValueError(f"This is not a shared secret for {algorithm}.")
        if len(secret) < SECRET_BYTES[algorithm]:
            raise ValueError(
                f"A secret for {algorithm} needs {SECRET_BYTES[algorithm]} bytes (RFC 7518 section 3.2)."
            )
        if len(set(secret)) == 1:
            raise ValueError("One byte over and over is no secret.")
        try:
            # A public key used as a shared secret is known to all (CVE-2022-29217).
            HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
        except PyJWTError:
            raise ValueError("This is a key of a pair, not a shared secret.") from None
    if None not in (signing, verifying) and signing != verifying:
        raise ValueError("A shared secret is the same on both sides.")


def _check_pair(signing: object, verifying: object) -> None:
    if not isinstance(signing, Ed25519PrivateKey | None) or not isinstance(
        verifying, Ed25519PublicKey | None
    ):
        raise ValueError("This is not a key for EdDSA.")
    if verifying is not None:
        raw = verifying.public_bytes_raw()
        if raw[:-1] + bytes([raw[-1] & 0x7F]) in _SMALL_ORDER:
            raise ValueError("This public key is a point of small order, for which anybody can sign.")

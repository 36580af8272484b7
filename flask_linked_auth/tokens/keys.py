"""Signing keys as values: made, stored, published. The algorithm belongs to the key, never to the token."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from ..errors import SettingsError

__all__ = ["ALGORITHMS", "Key", "dump", "from_jwks", "generate", "jwks", "load", "secret_key"]

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")

SECRET_BYTES = 32  # RFC 7518 section 3.2: as long as the hash
RSA_BITS_MADE = 3072  # 128 bits of security (OWASP ASVS 5.0, 11.2.3)
# RFC 7518 section 3.3; verifying with a longer one takes so long that it would be an attack.
RSA_BITS_ADMITTED = range(2048, 8193)

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PUBLIC_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_FAMILIES = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One key: its halves are prepared for PyJWT, and `signing` is None for a key that only verifies.

    Raises ValueError when a half is too weak or not for the algorithm.
    """

    kid: str
    algorithm: str
    verifying: Any = field(repr=False)
    signing: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.kid, str) or not self.kid:
            raise ValueError("A key needs an id, a string that is not empty.")
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"{self.algorithm!r} is none of the algorithms {', '.join(ALGORITHMS)}.")
        _check_half(self.algorithm, self.verifying, private=False)
        if self.signing is not None:
            _check_half(self.algorithm, self.signing, private=True)

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The public half as a JWK (RFC 7517, RFC 8037). Raises ValueError for HS256, which has none."""
        if self.algorithm == "HS256":
            raise ValueError("An HS256 key is a shared secret: it has no public half.")
        jwk = _to_jwk(self.verifying)
        members = {name: jwk[name] for name in _PUBLIC_MEMBERS[jwk["kty"]]}
        return {"kty": jwk["kty"], **members, "use": "sig", "alg": self.algorithm, "kid": self.kid}


def secret_key(secret: str) -> Key:
    """The HS256 key that *is* the UTF-8 bytes of a setting. Raises SettingsError when it is too weak."""
    try:
        material = secret.encode()
        # PyJWT refuses PEM, DER and JWK texts here: a public key used as a shared secret is known to all.
        material = HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(material)
        digest = hashlib.sha256(b"flask_linked_auth key id\0" + material).digest()
        return Key("s-" + _base64url(digest[:9]), "HS256", material, material)
    except (ValueError, PyJWTError) as error:
        raise SettingsError(f"LINKED_AUTH_SECRET cannot sign tokens: {error}") from None


def generate(algorithm: str) -> Key:
    """A new random key for one of `ALGORITHMS`, with a random id. Raises ValueError for any other."""
    kid = "k-" + secrets.token_urlsafe(9)
    if algorithm == "HS256":
        material = secrets.token_bytes(SECRET_BYTES)
        return Key(kid, algorithm, material, material)
    private: Any
    if algorithm == "RS256":
        private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS_MADE)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        raise ValueError(f"{algorithm!r} is none of the algorithms {', '.join(ALGORITHMS)}.")
    return Key(kid, algorithm, private.public_key(), private)


def dump(key: Key) -> bytes:
    """The secret half: the bytes of an HS256 secret, else PKCS #8 in DER, not encrypted: seal it.

    Raises ValueError for a key that only verifies.
    """
    if key.signing is None:
        raise ValueError(f"The key {key.kid} only verifies: there is nothing secret to keep.")
    if key.algorithm == "HS256":
        return bytes(key.signing)
    data: bytes = key.signing.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return data


def load(kid: str, algorithm: str, data: bytes) -> Key:
    """The key that `dump` gave. Raises ValueError when the bytes are not a key for the algorithm."""
    if algorithm == "HS256":
        return Key(kid, algorithm, data, data)
    try:
        private: Any = serialization.load_der_private_key(data, password=None)
        return Key(kid, algorithm, private.public_key(), private)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise ValueError(f"The bytes of the key {kid!r} are not a private key for {algorithm}.") from None


def jwks(keys: Iterable[Key]) -> dict[str, list[dict[str, Any]]]:
    """The key set to publish (RFC 7517 section 5): public halves only, shared secrets left out."""
    return {"keys": [key.public_jwk for key in keys if key.algorithm != "HS256"]}


def from_jwks(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """The keys of another service's published key set, for verifying only.

    Raises SettingsError unless every key is public, for signatures, of an algorithm we know, and has an
    id of its own: a set with private parts or shared secrets was published by mistake and is burnt, and
    two keys with one id let a weak one stand in for a strong one.
    """
    members = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(members, list) or not members or not all(isinstance(jwk, Mapping) for jwk in members):
        raise SettingsError('A key set (JWKS) needs a list "keys" with at least one key, each an object.')
    keys: dict[str, Key] = {}
    for position, jwk in enumerate(members, start=1):
        try:
            key = _from_jwk(jwk)
        except (ValueError, PyJWTError) as error:
            raise SettingsError(f"Key {position} of the key set (JWKS) is refused: {error}") from None
        if key.kid in keys:
            raise SettingsError(f"The key set (JWKS) has two keys with the id {key.kid!r}.")
        keys[key.kid] = key
    return tuple(keys.values())


def _from_jwk(jwk: Mapping[str, Any]) -> Key:
    family = jwk.get("kty")
    if family == "oct":
        raise ValueError("it is a shared secret, which must never be published.")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise ValueError("it contains a private part, which must never be published.")
    if not isinstance(family, str) or family not in _PUBLIC_MEMBERS:
        raise ValueError(f'its type "kty" is {family!r}, not RSA, EC or OKP.')
    public = {"kty": family, **{name: jwk.get(name) for name in _PUBLIC_MEMBERS[family]}}
    if not all(isinstance(value, str) for value in public.values()):
        raise ValueError(f"it needs the strings {', '.join(_PUBLIC_MEMBERS[family])}.")
    algorithm = _FAMILIES.get((family, public.get("crv")))
    if algorithm is None:
        raise ValueError(f"its curve {public.get('crv')!r} is not P-256 or Ed25519.")
    if jwk.get("alg", algorithm) != algorithm:
        raise ValueError(f'its "alg" is {jwk["alg"]!r}; a key of this type signs with {algorithm} here.')
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise ValueError('it is not for signatures ("use" must be "sig").')
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not kid:
        raise ValueError('it needs an id "kid", a string that is not empty.')
    return Key(kid, algorithm, _HALVES[algorithm][2].from_jwk(public))


_HALVES: dict[str, tuple[type, type, Any]] = {
    "HS256": (bytes, bytes, HMACAlgorithm),
    "RS256": (rsa.RSAPublicKey, rsa.RSAPrivateKey, RSAAlgorithm),
    "ES256": (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey, ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey, OKPAlgorithm),
}


def _check_half(algorithm: str, half: Any, *, private: bool) -> None:
    fits = isinstance(half, _HALVES[algorithm][1 if private else 0])
    if not fits:
        raise ValueError(f"this is not a {'signing' if private else 'verifying'} key for {algorithm}.")
    if algorithm == "HS256" and len(half) < SECRET_BYTES:
        raise ValueError(f"a shared secret needs {SECRET_BYTES} bytes (RFC 7518 section 3.2).")
    if algorithm == "RS256" and half.key_size not in RSA_BITS_ADMITTED:
        raise ValueError(f"an RSA key of {half.key_size} bits: 2048 to 8192 are admitted.")
    if algorithm == "ES256" and not isinstance(half.curve, ec.SECP256R1):
        raise ValueError(f"ES256 is for the curve P-256, not {half.curve.name}.")


def _to_jwk(half: Any) -> dict[str, Any]:
    for public, _, algorithm in _HALVES.values():
        if isinstance(half, public):
            jwk: dict[str, Any] = algorithm.to_jwk(half, as_dict=True)
            return jwk
    raise ValueError("This is not a public key.")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

"""Pairing codes: how they look, and what proves on either side that one knows them without saying them.

From the code a pair of Ed25519 keys is derived. Who was given the code signs by it; who made the code has kept the
public half only, by which nobody can sign, and which serves to answer so that nobody else could have.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["Code", "answer_mac", "is_proof", "new_code", "read_code", "text_of", "unread"]

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # without what looks alike
_HANDLE, _LENGTH = 5, 25  # characters of 5 bits: 20 of them, or 100 bits, are the secret
_OFFER, _ANSWER = b"linked-auth pairing offer\n", b"linked-auth pairing answer\n"


@dataclass(frozen=True, slots=True, repr=False)
class Code:
    """A pairing code. `handle` finds it and is no secret; `pairing` names what is being done with it."""

    text: str

    @property
    def handle(self) -> str:
        """Its first characters."""
        return self.text[:_HANDLE]

    @property
    def shown(self) -> str:
        """With dashes, to be read out."""
        return "-".join(self.text[i : i + 5] for i in range(0, _LENGTH, 5))

    @property
    def pairing(self) -> str:
        """22 characters of base64url that do not give the code away, the same each time."""
        return text_of(self._hash(b"linked-auth pairing name\n")[:16])

    def verifying(self) -> bytes:
        """The public half of its keys, which is all that is kept of it."""
        return self._key().public_key().public_bytes_raw()

    def prove(self, offer: bytes) -> bytes:
        """The signature over an offer, by the private half."""
        return self._key().sign(_OFFER + offer)

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._hash(b"linked-auth pairing key\n"))

    def _hash(self, purpose: bytes) -> bytes:
        # No slow hash: 100 random bits are not guessed however fast one tries.
        return hashlib.sha256(purpose + self.text.encode()).digest()


def new_code() -> Code:
    """A new random code."""
    return Code("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)))


def read_code(typed: str) -> Code:
    """The code that somebody has typed, with or without dashes. Raises ValueError."""
    text = re.sub(r"[\s-]+", "", typed).lower()
    if not re.fullmatch(f"[{_ALPHABET}]{{{_LENGTH}}}", text):
        raise ValueError("This is no pairing code: 25 letters and digits, as `app invite` prints them.")
    return Code(text)


def is_proof(verifying: bytes, offer: bytes, proof: bytes) -> bool:
    """Whether `proof` is by somebody who knows the code."""
    try:
        Ed25519PublicKey.from_public_bytes(verifying).verify(proof, _OFFER + offer)
    except InvalidSignature:
        return False
    return True


def answer_mac(verifying: bytes, offer: bytes, answer: bytes) -> bytes:
    """What stands beside an answer: only those who know the code, or made it, can compute it."""
    key = hashlib.sha256(_ANSWER + verifying).digest()
    return hmac.digest(key, hashlib.sha256(offer).digest() + answer, "sha256")


def text_of(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unread(text: str) -> bytes:
    """What `text_of` gave. Raises ValueError for any other text."""
    wrong = ValueError("This is not base64url in its only form.")
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise wrong from None
    if text_of(data) != text:
        raise wrong
    return data

"""Secrets at rest: sealed under a named key that can be rotated, and keys derived from one secret by purpose.

AES-256-GCM with a random nonce of 96 bits: one key may seal 2**32 secrets (NIST SP 800-38D section 8.3).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import SealingError, SettingsError

__all__ = ["Sealer", "derive"]

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

_SEALED = re.compile(r"v1\.([A-Za-z0-9_-]{8})\.([A-Za-z0-9_-]+)").fullmatch


def derive(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF-SHA256, RFC 5869): neither the secret nor another purpose's follows."""
    info = b"flask_linked_auth/" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret.encode())


class Sealer:
    """Seals with the first of `keys` (newest first) and opens with any of them.

    A key is any string of at least 32 bytes; its id, kept in what it sealed, is a hash that tells nothing
    of it. `context` (the table, the row, the column) is authenticated: what was sealed in one place does
    not open in another. Raises SettingsError when a key is too short or there is none.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise SettingsError("LINKED_AUTH_ENCRYPTION_KEYS needs at least one key, the newest first.")
        self._ciphers: dict[str, AESGCM] = {}
        for position, key in enumerate(keys, start=1):
            if not isinstance(key, str) or len(key.encode()) < KEY_BYTES:
                raise SettingsError(
                    f"Key {position} of LINKED_AUTH_ENCRYPTION_KEYS must be a string of at least 32 bytes."
                )
            derived = derive(key, "sealing")
            digest = hashlib.sha256(b"flask_linked_auth sealing key id\0" + derived).digest()
            self._ciphers.setdefault(_encode(digest[:6]), AESGCM(derived))
        self._current = next(iter(self._ciphers))

    def __repr__(self) -> str:
        return f"Sealer(<{len(self._ciphers)} keys, the current one is {self._current}>)"

    def seal(self, secret: bytes, context: str) -> str:
        """`v1.<key id>.<nonce and ciphertext in base64url>`, different at each call."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._current]
        return self._prefix + _encode(
            nonce + cipher.encrypt(nonce, secret, self._bound(self._current, context))
        )

    def open(self, sealed: str, context: str) -> bytes:
        """What was sealed for this context.

        Raises SealingError when it was altered or moved, or when its key is gone.
        """
        parts = _SEALED(sealed)
        if parts is None:
            raise SealingError("This is not a sealed secret.")
        key_id, text = parts.groups()
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealingError(f"The key {key_id} is not among LINKED_AUTH_ENCRYPTION_KEYS any more.")
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
        if len(data) < NONCE_BYTES + TAG_BYTES or _encode(data) != text:
            raise SealingError("The sealed secret is cut off or altered.")
        try:
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], self._bound(key_id, context))
        except InvalidTag:
            raise SealingError("The sealed secret was altered, or sealed for another place.") from None

    def is_current(self, sealed: str) -> bool:
        """Whether the newest key sealed it; if not, open it and seal it anew."""
        return sealed.startswith(self._prefix)

    @property
    def _prefix(self) -> str:
        return f"v1.{self._current}."

    @staticmethod
    def _bound(key_id: str, context: str) -> bytes:
        return f"v1.{key_id}.{context}".encode()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

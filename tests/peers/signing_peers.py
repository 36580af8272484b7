"""Two independent implementations of RFC 9421 behind one face: of PyPI, in this process, and of npm, in a Node.

They know nothing of our profile but what is written here: which components are covered, and the parameters.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

if TYPE_CHECKING:
    from tests.peers.node_peer import NodePeer

LABEL = "link"
TAG = "linked-auth"


@dataclass(frozen=True)
class PeerKey:
    """A key that both sides have: a shared secret, or a pair."""

    id: str
    signing: bytes | Ed25519PrivateKey

    @property
    def algorithm(self) -> str:
        return "hmac-sha256" if isinstance(self.signing, bytes) else "ed25519"

    def pem(self, *, private: bool) -> bytes:
        assert isinstance(self.signing, Ed25519PrivateKey)
        if private:
            return self.signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class Message:
    """A request as it goes over the wire, in the form that the PyPI library reads too."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def having(self, **headers: str) -> Message:
        """The same request with other headers (`linked_subject` is Linked-Subject)."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})

    @property
    def components(self) -> list[str]:
        """What the profile covers of it, in its order."""
        digest = ["content-digest"] if "Content-Digest" in self.headers else []
        return ["@method", "@authority", "@path", "@query", *digest, "linked-subject"]


@dataclass(frozen=True)
class Signed:
    """The parameters of a signature."""

    nonce: str = "b0xPZ2ljYWxseS1yYW5kb20tMTY"
    created: int = field(default_factory=lambda: int(time.time()))
    lifetime: int = 60
    tag: str = TAG
    label: str = LABEL
    appended: bool = False  # to a signature that is there

    @property
    def expires(self) -> int:
        return self.created + self.lifetime


class SigningPeer(Protocol):
    name: str

    def sign(self, key: PeerKey, message: Message, signed: Signed) -> Message:
        """The same request, signed."""

    def verify(self, key: PeerKey, message: Message, body: bytes | None = None) -> str:
        """Empty if the signature holds and covers what the profile covers, else why not.

        The one of PyPI also holds the body against its digest; the other looks at headers only.
        """


def digest_of(body: bytes) -> str:
    """RFC 9530, done by hand."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


class PyPI:
    """`http-message-signatures` by Andrey Kislyuk."""

    name = "PyPI"

    def sign(self, key: PeerKey, message: Message, signed: Signed) -> Message:
        from http_message_signatures import HTTPMessageSigner

        copy = replace(message, headers=dict(message.headers))
        HTTPMessageSigner(signature_algorithm=_algorithm(key), key_resolver=_resolver(key)).sign(
            copy,
            key_id=key.id,
            created=datetime.fromtimestamp(signed.created, UTC),
            expires=datetime.fromtimestamp(signed.expires, UTC),
            nonce=signed.nonce,
            tag=signed.tag,
            label=signed.label,
            append_if_signature_exists=signed.appended,
            covered_component_ids=message.components,
            use_existing_digest="Content-Digest" in message.headers,
        )
        return copy

    def verify(self, key: PeerKey, message: Message, body: bytes | None = None) -> str:
        from http_message_signatures import HTTPMessageVerifier, InvalidSignature

        verifier = HTTPMessageVerifier(signature_algorithm=_algorithm(key), key_resolver=_resolver(key))
        try:
            (found,) = verifier.verify(
                message, expect_tag=TAG, expect_label=LABEL, require_components=message.components, body=body
            )
        except InvalidSignature as error:
            return str(error) or repr(error)
        assert found.nonce
        return ""


class Npm:
    """`http-message-signatures` by Daniel Hensby: another library of the same name."""

    name = "npm"

    def __init__(self, node: NodePeer) -> None:
        self.node = node

    def sign(self, key: PeerKey, message: Message, signed: Signed) -> Message:
        params = {
            "created": signed.created,
            "expires": signed.expires,
            "nonce": signed.nonce,
            "tag": signed.tag,
        }
        answer = self._ask("sign", key, message, private=True, label=signed.label, params=params)
        assert "error" not in answer, answer
        return replace(message, headers=answer["headers"])

    def verify(self, key: PeerKey, message: Message, body: bytes | None = None) -> str:
        answer = self._ask("verify", key, message, private=False)
        if "error" in answer:
            return str(answer["error"])
        return "" if answer["verified"] is True else f"not verified: {answer}"

    def _ask(
        self, deed: str, key: PeerKey, message: Message, *, private: bool, **more: Any
    ) -> dict[str, Any]:
        sent = key.signing.hex() if isinstance(key.signing, bytes) else key.pem(private=private).decode()
        return self.node.ask(
            deed=deed,
            algorithm=key.algorithm,
            key=sent,
            keyid=key.id,
            # The library takes the names as Structured Fields strings without their quotes.
            fields=message.components,
            message={"method": message.method, "url": message.url, "headers": message.headers},
            **more,
        )


def _algorithm(key: PeerKey) -> Any:
    from http_message_signatures import algorithms

    return algorithms.HMAC_SHA256 if isinstance(key.signing, bytes) else algorithms.ED25519


def _resolver(key: PeerKey) -> Any:
    """The one key there is; none for another id."""
    from http_message_signatures import MappingKeyResolver

    shared = key.signing if isinstance(key.signing, bytes) else None
    public = shared or key.pem(private=False)
    private = shared or key.pem(private=True)
    return MappingKeyResolver(public_keys={key.id: public}, private_keys={key.id: private})

"""The two libraries agree with each other about the profile, so what they say of us is worth something."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.peers.signing_peers import Message, PeerKey, Signed, SigningPeer, digest_of

KEYS = [
    PeerKey("blog/k1", bytes(range(64))),
    PeerKey("blog/k2", Ed25519PrivateKey.from_private_bytes(b"k" * 32)),
]
GET = Message("GET", "https://Billing.example:443/v1/things?b=2&a=%20x", {"Linked-Subject": ""})
POST = Message("POST", "http://127.0.0.1:8000/v1/things").having(
    linked_subject="17", content_digest=digest_of(b'{"a": 1}')
)
ALGORITHMS = ["hmac-sha256", "ed25519"]


@pytest.mark.parametrize("key", KEYS, ids=ALGORITHMS)
@pytest.mark.parametrize("message", [GET, POST], ids=["GET", "POST"])
def test_each_verifies_what_the_other_signed(
    peers: list[SigningPeer], key: PeerKey, message: Message
) -> None:
    for signer, verifier in itertools.permutations(peers, 2):
        signed = signer.sign(key, message, Signed())
        assert verifier.verify(key, signed) == "", f"{signer.name} -> {verifier.name}: {signed}"
        other = replace(
            key, signing=b"x" * 64 if isinstance(key.signing, bytes) else Ed25519PrivateKey.generate()
        )
        assert verifier.verify(other, signed)
        assert verifier.verify(replace(key, id="blog/k3"), signed)


CHANGES: dict[str, Callable[[Message], Message]] = {
    "method": lambda message: replace(message, method="PUT"),
    "path": lambda message: replace(message, url=message.url.replace("/v1/", "/v2/")),
    "query": lambda message: replace(message, url=f"{message.url}?x=1"),
    "host": lambda message: replace(message, url=message.url.replace("127.0.0.1", "127.0.0.2")),
    "subject": lambda message: message.having(linked_subject="18"),
    "digest": lambda message: message.having(content_digest=digest_of(b"{}")),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("key", KEYS, ids=ALGORITHMS)
def test_each_notices_a_change(peers: list[SigningPeer], key: PeerKey, change: str) -> None:
    for signer, verifier in itertools.product(peers, peers):
        signed = signer.sign(key, POST, Signed())
        assert verifier.verify(key, CHANGES[change](signed)), f"{signer.name} -> {verifier.name}"


def test_each_notices_that_it_is_late(peers: list[SigningPeer]) -> None:
    for signer, verifier in itertools.product(peers, peers):
        old = Signed(created=Signed().created - 100, lifetime=60)
        assert re.search("expired|in the past", verifier.verify(KEYS[0], signer.sign(KEYS[0], GET, old)))

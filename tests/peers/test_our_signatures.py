"""Two implementations of RFC 9421 that are not ours verify what we sign, and we admit what they sign."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from flask_linked_auth.links.keys import LinkKey, generate_key
from flask_linked_auth.links.signatures import Target, authority_of, content_digest, sign_request
from tests.peers.signing_peers import Message, PeerKey, SigningPeer

if TYPE_CHECKING:
    from flask_linked_auth.links.keys import Algorithm

pytestmark = pytest.mark.xdist_group("peers")

ALGORITHMS: list[Algorithm] = ["HS256", "HS512", "EdDSA"]
SUBJECTS = ["", "17", "4e0f9b0e-6a0b-4b6c-9d5e-0f6f3ad1c2b3", "auth0|5f7c"]
BODIES = [None, b'{"a": 1}', bytes(range(256))]
#: Method and address: all that is covered of it is what the peers make of the URL.
PLACES = [
    ("GET", "https://billing.example/"),
    ("GET", "https://Billing.Example:443/v1/things?b=2&a=%20x&b="),
    ("POST", "http://127.0.0.1:8000/v1/things/a%2Fb%25/..%2f?"),
    ("DELETE", "http://[::1]:8000//things;x=1/~me/@here!$&'()*+,=?q=a+b/c?d:e@f"),
]


def _peer_key(key: LinkKey) -> PeerKey:
    assert key.signing is not None
    return PeerKey(f"blog/{key.id}", key.signing)


def _target(message: Message) -> Target:
    parts = urlsplit(message.url)
    return Target(message.method, authority_of(parts.netloc, parts.scheme), parts.path, parts.query)


def _signed(key: LinkKey, message: Message, body: bytes | None, subject: str, **when: Any) -> Message:
    digest = None if body is None else content_digest(body)
    headers = sign_request(key, _target(message), sender="blog", subject=subject, digest=digest, **when)
    return replace(message, headers=headers)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_they_verify_what_we_sign(peer: SigningPeer, algorithm: Algorithm) -> None:
    key = generate_key(algorithm)
    for method, url in PLACES:
        for subject in SUBJECTS:
            for body in BODIES:
                signed = _signed(key, Message(method, url), body, subject)
                assert peer.verify(_peer_key(key), signed) == "", signed

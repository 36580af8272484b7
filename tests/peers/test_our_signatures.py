"""Two implementations of RFC 9421 that are not ours verify what we sign, and we admit what they sign."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from flask_linked_auth.link_errors import (
    BadTimestamp,
    ExpiredCredential,
    LinkRefused,
    MalformedHeader,
    WrongAppToken,
)
from flask_linked_auth.links.keys import LinkKey, generate_key
from flask_linked_auth.links.signatures import (
    Received,
    Target,
    authority_of,
    check_body,
    content_digest,
    read_signature,
    sign_request,
    verify_request,
)
from tests.peers.signing_peers import Message, PeerKey, PyPI, Signed, SigningPeer, digest_of

if TYPE_CHECKING:
    from flask_linked_auth.links.keys import Algorithm
    from flask_linked_auth.links.signatures import DigestAlgorithm


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
THINGS = "http://127.0.0.1:8000/v1/things"


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
                assert peer.verify(_peer_key(key), signed, body) == "", signed


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_the_body_is_held_against_our_digest(pypi: PyPI, algorithm: DigestAlgorithm) -> None:
    key, body = generate_key("EdDSA"), BODIES[2]
    assert body is not None
    message = Message("POST", THINGS)
    digest = content_digest(body, algorithm)
    headers = sign_request(key, _target(message), sender="blog", subject="", digest=digest)
    signed = replace(message, headers=headers)
    assert pypi.verify(_peer_key(key), signed, body) == ""
    assert "igest" in pypi.verify(_peer_key(key), signed, body + b"!")


def _request(method: str, url: str, body: bytes | None, subject: str) -> Message:
    message = Message(method, url).having(linked_subject=subject)
    return message if body is None else message.having(content_digest=digest_of(body))


def _verified(key: LinkKey, message: Message, body: bytes | None = None, **changes: Any) -> Received:
    """What we made of a signed request, with the headers as they come."""
    headers = {name.lower(): value for name, value in message.headers.items()}
    received = read_signature(headers["signature-input"], headers["signature"])
    assert received is not None
    given = {"subject": headers.get("linked-subject"), "digest": headers.get("content-digest"), **changes}
    verify_request(received, key, _target(message), **given)
    check_body(given["digest"], body or b"", declared=body is not None)
    return received


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_we_admit_what_they_sign(peer: SigningPeer, algorithm: Algorithm) -> None:
    key = generate_key(algorithm)
    for method, url in PLACES:
        for subject in SUBJECTS:
            for body in BODIES:
                signed = peer.sign(_peer_key(key), _request(method, url, body, subject), Signed())
                received = _verified(key, signed, body)
                assert (received.sender, received.key_id, received.nonce) == ("blog", key.id, Signed().nonce)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_we_refuse_what_they_sign_for_another_request(peer: SigningPeer, algorithm: Algorithm) -> None:
    key, body = generate_key(algorithm), b'{"a": 1}'
    signed = peer.sign(_peer_key(key), _request("POST", THINGS, body, "17"), Signed())
    _verified(key, signed, body)
    for other in (
        replace(signed, method="PUT"),
        replace(signed, url=THINGS.replace("/v1/", "/v2/")),
        replace(signed, url=f"{THINGS}?x=1"),
        replace(signed, url=THINGS.replace("127.0.0.1", "127.0.0.2")),
        signed.having(linked_subject="18"),
        signed.having(linked_subject=""),
        signed.having(content_digest=digest_of(b"{}")),
    ):
        with pytest.raises(WrongAppToken):
            _verified(key, other, body)
    with pytest.raises(WrongAppToken):
        _verified(key, signed, b'{"a": 2}')
    with pytest.raises(LinkRefused):
        _verified(generate_key(algorithm), signed, body)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_we_refuse_what_they_sign_at_another_time_or_for_another_purpose(
    peer: SigningPeer, algorithm: Algorithm
) -> None:
    key, now = generate_key(algorithm), Signed().created
    message = _request("GET", THINGS, None, "17")
    odd: list[tuple[Signed, type[LinkRefused]]] = [
        (Signed(created=now - 70), ExpiredCredential),
        (Signed(created=now + 60), BadTimestamp),
        (Signed(lifetime=3600), BadTimestamp),
        (Signed(nonce="short"), MalformedHeader),
        (Signed(tag="web-bot-auth"), MalformedHeader),
    ]
    for values, error in odd:
        with pytest.raises(error):
            _verified(key, peer.sign(_peer_key(key), message, values))


def test_we_refuse_what_they_sign_but_for_the_subject_or_the_digest(peer: SigningPeer) -> None:
    key = generate_key("EdDSA")
    less = peer.sign(_peer_key(key), _request("POST", THINGS, None, "17"), Signed())
    with pytest.raises(MalformedHeader):  # a body beside the signature
        _verified(key, less.having(content_digest=digest_of(b"{}")), b"{}")
    with pytest.raises(MalformedHeader):
        _verified(key, less, b"{}")
    with pytest.raises(MalformedHeader):
        _verified(key, less, subject=None)


def test_a_signature_of_theirs_beside_ours_is_left_alone(peer: SigningPeer) -> None:
    ours, theirs = generate_key("HS256"), generate_key("HS256")
    message = _signed(ours, Message("GET", THINGS), None, "17")
    both = peer.sign(_peer_key(theirs), message, Signed(label="sig-of-a-gateway", appended=True))
    assert both.headers["Signature-Input"].count("=(") == 2
    assert _verified(ours, both).key_id == ours.id

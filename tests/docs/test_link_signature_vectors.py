"""The examples of signed requests are what we sign, what we admit, and what anybody computes from the page alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flask_linked_auth.links.keys import LinkKey
from flask_linked_auth.links.signatures import (
    Target,
    authority_of,
    check_body,
    content_digest,
    read_signature,
    sign_request,
    verify_request,
)
from tests.docs.pages import ROOT, blocks_of

PAGE = ROOT / "docs/link-signature-vectors.md"
BLOCKS = [block for block in blocks_of(PAGE) if block.language in {"text", "http"}]
SECRET = bytes.fromhex(BLOCKS[0].text)
PRIVATE, PUBLIC = BLOCKS[1].text.split()
PAIR = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(PRIVATE))
KEYS = {
    "k1": LinkKey("k1", "HS256", SECRET, SECRET),
    "k2": LinkKey("k2", "EdDSA", PAIR, PAIR.public_key()),
}


@dataclass(frozen=True)
class Example:
    """One section: the signature base, and the request taken apart as a server does."""

    base: str
    target: Target
    headers: dict[str, str]
    body: bytes


def read(base: str, request: str) -> Example:
    head, _, body = request.partition("\n\n")
    first, *lines = head.rstrip("\n").split("\n")
    method, address, version = first.split(" ")
    assert version == "HTTP/1.1"
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    scheme = "http" if headers["Host"].startswith("localhost") else "https"
    path, _, query = address.partition("?")
    target = Target(method, authority_of(headers["Host"], scheme), path, query)
    return Example(base.removesuffix("\n"), target, headers, body.removesuffix("\n").encode())


EXAMPLES = [read(a.text, b.text) for a, b in zip(BLOCKS[2::2], BLOCKS[3::2], strict=True)]
SIGNED = ("Content-Digest", "Linked-Subject", "Signature", "Signature-Input")


def parameter(example: Example, name: str) -> str:
    match = re.search(rf';{name}="?([^";]+)', example.headers["Signature-Input"])
    assert match
    return match[1]


def key_of(example: Example) -> LinkKey:
    sender, _, key_id = parameter(example, "keyid").partition("/")
    assert sender == "blog"
    return KEYS[key_id]


def test_the_page_has_both_kinds_of_keys_with_and_without_a_body() -> None:
    assert {(key_of(each).algorithm, bool(each.body)) for each in EXAMPLES} == {
        ("HS256", False),
        ("HS256", True),
        ("EdDSA", False),
        ("EdDSA", True),
    }
    assert PAIR.public_key().public_bytes_raw().hex() == PUBLIC


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.target.method)
def test_we_sign_an_example_byte_for_byte(example: Example) -> None:
    created, expires = int(parameter(example, "created")), int(parameter(example, "expires"))
    digest = example.headers.get("Content-Digest")
    headers = sign_request(
        key_of(example),
        example.target,
        sender="blog",
        subject=example.headers["Linked-Subject"],
        digest=digest,
        now=created,
        lifetime=expires - created,
        nonce=parameter(example, "nonce"),
    )
    assert headers == {name: value for name, value in example.headers.items() if name in SIGNED}
    assert digest in {None, content_digest(example.body), content_digest(example.body, "sha-512")}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.target.method)
def test_we_admit_an_example_and_no_other_body(example: Example) -> None:
    headers, digest = example.headers, example.headers.get("Content-Digest")
    received = read_signature(headers["Signature-Input"], headers["Signature"])
    assert received is not None
    now = received.created + 30
    verify_request(
        received, key_of(example), example.target, subject=headers["Linked-Subject"], digest=digest, now=now
    )
    check_body(digest, example.body, declared="Content-Length" in headers)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.target.method)
def test_the_base_follows_from_the_request_and_the_signature_from_the_base(example: Example) -> None:
    """By the rules on the page, without the code under test."""
    covered = re.findall(r'"([@a-z-]+)"', example.headers["Signature-Input"].partition(")")[0])
    values = {
        "@method": example.target.method,
        "@authority": example.headers["Host"],
        "@path": example.target.path,
        "@query": "?" + example.target.query,
        "content-digest": example.headers.get("Content-Digest", ""),
        "linked-subject": example.headers["Linked-Subject"],
    }
    lines = [f'"{name}": {values[name]}' for name in covered]
    lines.append('"@signature-params": ' + example.headers["Signature-Input"].removeprefix("link="))
    assert "\n".join(lines) == example.base
    signature = base64.b64decode(example.headers["Signature"].removeprefix("link=:").removesuffix(":"))
    if key_of(example).algorithm == "EdDSA":
        PAIR.public_key().verify(signature, example.base.encode())
    else:
        assert signature == hmac.digest(SECRET, example.base.encode(), "sha256")
    if example.body:
        hashed = {
            f"{name}=:{base64.b64encode(hashlib.new(name.replace('-', ''), example.body).digest()).decode()}:"
            for name in ("sha-256", "sha-512")
        }
        assert example.headers["Content-Digest"] in hashed
        assert int(example.headers["Content-Length"]) == len(example.body)

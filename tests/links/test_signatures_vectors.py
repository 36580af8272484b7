"""The examples of RFC 9421 appendix B.2 that our two algorithms can make, by the core that signs our own requests."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, strategies as st

from flask_linked_auth.links import signatures
from flask_linked_auth.links.keys import LinkKey
from flask_linked_auth.links.signatures import (
    Target,
    check_digest,
    content_digest,
    sign_base,
    sign_request,
    signature_base,
)

# RFC 9421 appendix B.1.4, B.1.5 and the request of B.2.
SECRET = base64.b64decode(
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
)
PRIVATE = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""
PUBLIC = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
"""
BODY = b'{"hello": "world"}'
MESSAGE = {
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "@method": "POST",
    "@path": "/foo",
    "@authority": "example.com",
    "content-type": "application/json",
    "content-length": "18",
}
PAIR = LinkKey(
    "test-key-ed25519",
    "EdDSA",
    serialization.load_pem_private_key(PRIVATE, None),  # type: ignore[arg-type]
    serialization.load_pem_public_key(PUBLIC),  # type: ignore[arg-type]
)
HMAC_256 = LinkKey("test-shared-secret", "HS256", SECRET, SECRET)
HMAC_512 = LinkKey("test-shared-secret", "HS512", SECRET, SECRET)

B25 = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
B26 = (
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
CASES = [
    (HMAC_256, B25, ":pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"),
    # A key that the Django package made for HS512 signs requests by hmac-sha256 all the same.
    (HMAC_512, B25, ":pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"),
    (PAIR, B26, ":wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"),
]
BASE_B26 = """"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")\
;created=1618884473;keyid="test-key-ed25519\""""


def base(parameters: str) -> bytes:
    names = parameters.partition(")")[0].strip('(" ').split('" "')
    return signature_base([(name, MESSAGE[name]) for name in names], parameters)


@pytest.mark.parametrize(("key", "parameters", "signature"), CASES, ids=["B.2.5", "B.2.5 HS512", "B.2.6"])
def test_the_rfc_signs_and_so_do_we(key: LinkKey, parameters: str, signature: str) -> None:
    assert sign_base(key, base(parameters)) == signature
    assert key.verifies(base(parameters), base64.b64decode(signature.strip(":")), "sha256")


def test_the_signature_base_is_that_of_the_rfc() -> None:
    assert base(B26).decode() == BASE_B26


def test_our_own_requests_are_signed_by_the_same_core(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def note(key: LinkKey, base: bytes) -> str:
        seen.append(base)
        return sign_base(key, base)

    monkeypatch.setattr(signatures, "sign_base", note)
    target = Target("POST", "example.com", "/foo")
    headers = sign_request(PAIR, target, sender="blog", subject="3", digest=content_digest(BODY))
    assert headers["Signature"] == f"link={sign_base(PAIR, seen[0])}"
    assert seen[0].startswith(b'"@method": POST\n"@authority": example.com\n"@path": /foo\n"@query": ?\n')


# RFC 9421 appendix B.2 and RFC 9530 appendix B: digests of bodies.


def test_digests_are_those_of_the_rfcs() -> None:
    sha_512 = (
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
    )
    assert content_digest(BODY, "sha-512") == sha_512
    check_digest(sha_512, BODY)
    sha_256 = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    assert content_digest(BODY + b"\n") == sha_256
    check_digest(sha_256, BODY + b"\n")


VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40)


@given(st.sampled_from(["GET", "POST", "PATCH"]), VISIBLE, VISIBLE, VISIBLE, VISIBLE, st.none() | VISIBLE)
def test_the_profile_signs_the_base_of_the_rfc(
    method: str, authority: str, path: str, query: str, subject: str, digest: str | None
) -> None:
    """The profile writes its base in one piece, which is quicker; it must be the one that the vectors prove."""
    target, parameters = signatures.Target(method, authority, path, query), '("@method");created=1'
    body = [] if digest is None else [("content-digest", digest)]
    components = [
        ("@method", method),
        ("@authority", authority),
        ("@path", path),
        ("@query", f"?{query}"),
        *body,
        ("linked-subject", subject),
    ]
    base = signatures._base(target, subject, digest, parameters=parameters)
    assert base == signature_base(components, parameters)

"""Keys of links: made, read in the Django package's form, kept; and those that protect nothing are refused."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from flask_linked_auth.links import keys
from flask_linked_auth.links.keys import (
    ALGORITHMS,
    Algorithm,
    LinkKey,
    dump_key,
    generate_key,
    key_from_hex,
    load_key,
)

MESSAGE = b"a message"
ORDER = 2**252 + 27742317777372353535851937790883648493
PAIR = generate_key("EdDSA")
OTHER_PAIR = generate_key("EdDSA")


def fits(signing: LinkKey, verifying: LinkKey) -> bool:
    return verifying.verifies(MESSAGE, signing.sign(MESSAGE, "sha256"), "sha256")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_verifies_what_it_signed_and_nothing_else(algorithm: Algorithm) -> None:
    key, other = generate_key(algorithm), generate_key(algorithm)
    signature = key.sign(MESSAGE, "sha256")
    assert key.verifies(MESSAGE, signature, "sha256")
    assert not key.verifies(MESSAGE + b".", signature, "sha256")
    assert not other.verifies(MESSAGE, signature, "sha256")
    assert key.id != other.id
    assert len(key.id) == 22


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_goes_through_the_packages_form_and_ours(algorithm: Algorithm) -> None:
    key = generate_key(algorithm)
    public = key.public_hex()
    assert fits(key, key_from_hex(algorithm, private=key.private_hex(), public=public, id="x"))
    assert fits(key_from_hex(algorithm, private=key.private_hex()), key)
    loaded = load_key("x", algorithm, dump_key(key))
    assert fits(key, loaded)
    assert fits(loaded, key)
    assert loaded.id == "x"


def test_the_packages_form_is_hex_of_the_secret_and_of_pem() -> None:
    secret = generate_key("HS512")
    assert (len(secret.private_hex()), secret.public_hex()) == (128, "")
    assert bytes.fromhex(PAIR.private_hex()).startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert bytes.fromhex(PAIR.public_hex()).startswith(b"-----BEGIN PUBLIC KEY-----\n")


def test_the_two_halves_may_belong_to_two_services() -> None:
    ours = key_from_hex("EdDSA", private=PAIR.private_hex(), public=OTHER_PAIR.public_hex())
    for key in (ours, load_key("x", "EdDSA", dump_key(ours))):
        assert fits(key, PAIR)
        assert fits(OTHER_PAIR, key)
        assert not fits(key, key)


def test_a_half_does_what_it_can() -> None:
    public = PAIR.public()
    assert fits(PAIR, public)
    assert (public.id, public.private_hex(), public.public_hex()) == (PAIR.id, "", PAIR.public_hex())
    with pytest.raises(ValueError, match="only verifies"):
        public.sign(MESSAGE, "sha256")
    private = LinkKey("x", "EdDSA", PAIR.signing, None)
    assert fits(private, PAIR)
    assert private.public_hex() == ""
    with pytest.raises(ValueError, match="only signs"):
        private.verifies(MESSAGE, b"", "sha256")
    for key in (public, private):
        loaded = load_key("x", "EdDSA", dump_key(key))
        assert (loaded.signing is None, loaded.verifying is None) == (
            key.signing is None,
            key.verifying is None,
        )
        with pytest.raises(ValueError, match="no public half"):
            private.public()
    secret = generate_key("HS256")
    with pytest.raises(ValueError, match="no public half"):
        secret.public()
    half = LinkKey("x", "HS256", None, secret.verifying)
    assert fits(secret, load_key("x", "HS256", dump_key(half)))
    assert load_key("x", "HS256", dump_key(half)).signing is None


@pytest.mark.parametrize("key", [PAIR, generate_key("HS256"), PAIR.public()], ids=["pair", "secret", "half"])
def test_a_key_never_shows_itself(key: LinkKey) -> None:
    assert repr(key) == f"LinkKey(<{key.algorithm} {key.id}>)"
    assert key.id in str(key)
    assert key.private_hex()[-40:] not in repr(key) or not key.private_hex()


def pem(key: Any) -> bytes:
    data: bytes = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data


@pytest.mark.parametrize(
    ("algorithm", "material"),
    [
        ("HS256", {"private": "00ff" * 15 + "01"}),  # 31 bytes
        ("HS512", {"private": "00ff" * 31 + "01"}),
        ("HS256", {"private": ""}),
        ("HS256", {"private": "ab" * 64}),
        ("HS256", {"private": "xy" * 64}),
        ("HS256", {"private": None}),
        ("HS256", {"private": "00ff" * 32, "public": "00ff" * 32}),
        ("HS256", {"private": PAIR.public_hex()}),  # CVE-2022-29217
        ("EdDSA", {}),
        ("EdDSA", {"private": "00ff" * 16}),
        ("EdDSA", {"private": PAIR.public_hex()}),
        ("EdDSA", {"public": PAIR.private_hex()}),
        ("EdDSA", {"public": pem(ec.generate_private_key(ec.SECP256R1()).public_key()).hex()}),
        ("RS256", {"private": "00ff" * 32}),
        ("HS384", {"private": "00ff" * 32}),
        ("HS256", {"private": "00ff" * 32, "id": "a/b"}),
        ("HS256", {"private": "00ff" * 32, "id": "x" * 65}),
        ("HS256", {"private": "00ff" * 32, "id": None}),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(algorithm: Any, material: Any) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        key_from_hex(algorithm, **material)
    assert "ffff" not in str(caught.value)
    assert "00ff00ff" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\4" + b"ab" * 32, b"\3" + b"ab" * 15, b"\1", b"\2" + b"a" * 31]
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bytes_that_are_no_key_are_not_loaded(algorithm: Algorithm, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        load_key("x", algorithm, data)


def test_halves_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="same on both sides"):
        LinkKey("x", "HS256", b"ab" * 32, b"ac" * 32)
    with pytest.raises(ValueError, match="not a shared secret"):
        LinkKey("x", "HS256", PAIR.signing, PAIR.verifying)
    with pytest.raises(ValueError, match="EdDSA"):
        LinkKey("x", "EdDSA", b"ab" * 16, PAIR.verifying)


# Ed25519 to the letter (RFC 8032 section 5.1.7; the cases are those of Wycheproof's eddsa tests)


@pytest.mark.parametrize("times", [1, 2, 8, 15])
def test_an_s_beyond_the_order_is_refused(times: int) -> None:
    signature = PAIR.sign(MESSAGE, "sha256")
    assert PAIR.verifies(MESSAGE, signature, "sha256")
    s = int.from_bytes(signature[32:], "little") + times * ORDER
    assert not PAIR.verifies(MESSAGE, signature[:32] + s.to_bytes(32, "little"), "sha256")


@pytest.mark.parametrize("s", [0, 1, ORDER - 1, ORDER, ORDER + 1, 2**252, 2**255 - 1, 2**256 - 1])
def test_an_s_at_an_edge_is_refused(s: int) -> None:
    signature = PAIR.sign(MESSAGE, "sha256")
    assert not PAIR.verifies(MESSAGE, signature[:32] + s.to_bytes(32, "little"), "sha256")


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 96, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    signature = (PAIR.sign(MESSAGE, "sha256") * 2)[:length]
    assert not PAIR.verifies(MESSAGE, signature, "sha256")
    secret = generate_key("HS256")
    assert not secret.verifies(MESSAGE, (secret.sign(MESSAGE, "sha256") * 4)[:length][:31], "sha256")


@pytest.mark.parametrize("r", [0, 1, 2**255 - 19, 2**255 - 18, 2**256 - 1])
def test_an_r_at_an_edge_is_refused(r: int) -> None:
    signature = PAIR.sign(MESSAGE, "sha256")
    assert not PAIR.verifies(MESSAGE, r.to_bytes(32, "little") + signature[32:], "sha256")


SMALL = sorted(keys._SMALL_ORDER)
NEUTRAL = (1).to_bytes(32, "little")


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("point", SMALL, ids=lambda each: each.hex()[:8])
def test_a_public_key_for_which_anybody_signs_is_refused(point: bytes, sign: int) -> None:
    encoded = point[:-1] + bytes([point[-1] | sign])
    weak = ed25519.Ed25519PublicKey.from_public_bytes(encoded)
    forged = NEUTRAL + bytes(32)  # the same for each message, made without any private key

    def passes(number: int) -> bool:
        try:
            weak.verify(forged, str(number).encode())
        except keys.InvalidSignature:
            return False
        return True

    assert any(passes(number) for number in range(200)), "the attack is real"
    with pytest.raises(ValueError, match="small order"):
        LinkKey("x", "EdDSA", None, weak)
    with pytest.raises(ValueError, match="small order"):
        key_from_hex("EdDSA", public=pem(weak).hex())

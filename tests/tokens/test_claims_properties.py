"""What holds for every token: it comes back as it was signed, and no other text is admitted or does harm."""

from __future__ import annotations

import base64
import hmac
import json
import string
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from flask_linked_auth.errors import InvalidToken
from flask_linked_auth.tokens.claims import Claims, Expected, sign, verify
from flask_linked_auth.tokens.keys import ALGORITHMS, Key, generate, secret_key

NOW = 1_800_000_000
SECRET = "a secret of a test that is long enough"
SECRET_KEY = secret_key(SECRET)
KEYS = {key.kid: key for key in (SECRET_KEY, *(generate(algorithm) for algorithm in ALGORITHMS))}
EXPECTED = Expected("at+jwt", "https://blog.example", "https://blog.example/auth")
CLAIMS: dict[str, Any] = {
    "iss": EXPECTED.issuer,
    "sub": "17",
    "aud": EXPECTED.audience,
    "exp": NOW + 900,
    "iat": NOW,
    "jti": "Zp0yR2Q1tWJ8",
}
TOKENS = [sign(CLAIMS, key, typ="at+jwt") for key in KEYS.values()]
ALPHABET = string.ascii_letters + string.digits + "-_.=+/ \n\0é\u0661"

storable = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | storable,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(storable, inner, max_size=4),
    max_leaves=15,
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
known_names = st.sampled_from(
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "gen", "auth_time", "scope"]
)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes) -> str:
    """A token with a right signature over anything."""
    data = f"{b64(header)}.{b64(payload)}"
    return f"{data}.{b64(hmac.digest(SECRET.encode(), data.encode(), 'sha256'))}"


def verify_or_refuse(token: str, keys: dict[str, Key] | None = None) -> Claims | None:
    """The claims, or None for InvalidToken; any other exception gets through and fails the test."""
    try:
        return verify(token, keys or KEYS, EXPECTED, now=NOW)
    except InvalidToken as error:
        error.headers()["WWW-Authenticate"].encode("ascii")
        return None


@given(st.sampled_from(list(KEYS.values())), st.dictionaries(storable, plain_json, max_size=5))
def test_what_was_signed_comes_back(key: Key, custom: dict[str, Any]) -> None:
    claims = {**custom, **CLAIMS}
    for name in ("nbf", "gen", "auth_time", "sid", "scope", "client_id"):
        claims.pop(name, None)
    read = verify(sign(claims, key, typ="at+jwt"), KEYS, EXPECTED, now=NOW)
    assert read.as_dict() == claims
    assert list(read) == list(claims)


def test_a_token_of_any_length_is_admitted_by_any_signature() -> None:
    """Each way in which a part of the token can end."""
    for number in range(400):
        claims = {**CLAIMS, "jti": "x" * (number % 7) + str(number)}
        assert verify_or_refuse(sign(claims, SECRET_KEY, typ="at+jwt")) is not None


@given(st.dictionaries(known_names | st.text(max_size=5), any_json, max_size=6))
def test_what_can_be_signed_can_be_read_and_the_rest_is_a_value_error(claims: dict[str, Any]) -> None:
    try:
        token = sign(claims, SECRET_KEY, typ="at+jwt")
    except ValueError:
        return
    verify_or_refuse(token)


@settings(max_examples=500)
@given(st.data())
def test_any_change_of_one_character_is_refused(data: st.DataObject) -> None:
    token = data.draw(st.sampled_from(TOKENS))
    position = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.sampled_from(ALPHABET) | st.characters())
    changed = token[:position] + character + token[position + 1 :]
    assert verify_or_refuse(token) is not None
    assert (verify_or_refuse(changed) is not None) == (changed == token)


@pytest.mark.parametrize("token", TOKENS[:2], ids=["HS256", "random HS256"])
def test_every_change_of_one_bit_is_refused(token: str) -> None:
    assert verify_or_refuse(token) is not None
    for position, character in enumerate(token):
        for bit in range(7):
            changed = token[:position] + chr(ord(character) ^ (1 << bit)) + token[position + 1 :]
            assert verify_or_refuse(changed) is None


@given(st.data())
def test_any_insertion_deletion_or_doubling_is_refused(data: st.DataObject) -> None:
    token = data.draw(st.sampled_from(TOKENS))
    start = data.draw(st.integers(0, len(token) - 1))
    end = data.draw(st.integers(start + 1, len(token)))
    piece = data.draw(st.text(st.sampled_from(ALPHABET), min_size=1, max_size=5))
    assert verify_or_refuse(token[:start] + token[end:]) is None
    assert verify_or_refuse(token[:start] + piece + token[start:]) is None
    assert verify_or_refuse(token[:end] + token[start:]) is None


@given(st.text())
@example("..")
@example("\ud800.\ud800.\ud800")
@example("e30.e30.")
@example("bnVsbA.bnVsbA.AA")
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    assert verify_or_refuse(text) is None
    assert verify_or_refuse(text, {SECRET_KEY.kid: SECRET_KEY}) is None


@given(st.lists(st.text(string.ascii_letters + string.digits + "-_", max_size=60), min_size=2, max_size=4))
def test_any_text_of_the_right_alphabet_is_refused(parts: list[str]) -> None:
    assert verify_or_refuse(".".join(parts)) is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_in_header_and_payload_are_refused(header: bytes, payload: bytes) -> None:
    good = json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": SECRET_KEY.kid}).encode()
    assert verify_or_refuse(signed(header, payload)) is None
    assert verify_or_refuse(signed(good, payload)) is None


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "x"]), any_json, max_size=4),
    st.dictionaries(known_names, any_json, max_size=4),
)
def test_any_json_in_header_and_claims_is_read_or_refused(header: Any, claims: Any) -> None:
    """With a right signature: a key that leaked, or a hook of the host's, must not become an error 500."""
    full_header = {"alg": "HS256", "typ": "at+jwt", "kid": SECRET_KEY.kid, **header}
    read = verify_or_refuse(
        signed(json.dumps(full_header).encode(), json.dumps({**CLAIMS, **claims}).encode())
    )
    if read is not None:
        assert full_header["alg"] == "HS256"
        assert full_header["typ"] == "at+jwt"
        assert read.iss == EXPECTED.issuer
        assert read.aud == EXPECTED.audience
        assert type(read.sub) is str
        assert type(read.exp) is int
        json.dumps(read.as_dict(), allow_nan=False, ensure_ascii=False).encode()

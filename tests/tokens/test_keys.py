"""Keys: made, kept, published and read again; the weak, the private and the ambiguous are refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from hypothesis import given, strategies as st

from flask_linked_auth.errors import SettingsError
from flask_linked_auth.tokens.keys import ALGORITHMS, Key, dump, from_jwks, generate, jwks, load, secret_key

SECRET = "a secret of a test that is long enough"
ASYMMETRIC = ("RS256", "ES256", "EdDSA")
KEYS = {algorithm: generate(algorithm) for algorithm in ALGORITHMS}
JWS = jwt.PyJWS()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def signs_for(signing: Key, verifying: Key) -> bool:
    token = JWS.encode(b"payload", signing.signing, signing.algorithm)
    try:
        return bool(JWS.decode(token, verifying.verifying, [verifying.algorithm]) == b"payload")
    except jwt.InvalidTokenError:
        return False


# Vectors of the RFCs

# RFC 7515 appendix A.1, A.2, A.3: the same payload by three keys.
PAYLOAD = b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
HS256_SECRET = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
HS256_TOKEN = (
    f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{b64(PAYLOAD)}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
RS256_JWK = {
    "kty": "RSA",
    "kid": "RFC 7515 A.2",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql"
    "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
    "KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9"
    "iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e": "AQAB",
}
RS256_TOKEN = (
    f"eyJhbGciOiJSUzI1NiJ9.{b64(PAYLOAD)}."
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9u"
    "JdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_e"
    "SN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5"
    "AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
ES256_JWK = {
    "kty": "EC",
    "kid": "RFC 7515 A.3",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ES256_TOKEN = (
    f"eyJhbGciOiJFUzI1NiJ9.{b64(PAYLOAD)}."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
# RFC 8037 appendix A.1, A.2, A.4.
EDDSA_SEED = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
EDDSA_JWK = {
    "kty": "OKP",
    "kid": "RFC 8037 A.2",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
EDDSA_TOKEN = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


@pytest.mark.parametrize(
    ("jwk", "algorithm", "token", "payload"),
    [
        (RS256_JWK, "RS256", RS256_TOKEN, PAYLOAD),
        (ES256_JWK, "ES256", ES256_TOKEN, PAYLOAD),
        (EDDSA_JWK, "EdDSA", EDDSA_TOKEN, b"Example of Ed25519 signing"),
    ],
    ids=["RFC 7515 A.2", "RFC 7515 A.3", "RFC 8037 A.4"],
)
def test_the_public_keys_of_the_rfcs_verify_their_tokens(
    jwk: dict[str, str], algorithm: str, token: str, payload: bytes
) -> None:
    (key,) = from_jwks({"keys": [jwk]})
    assert key.algorithm == algorithm
    assert key.signing is None
    assert JWS.decode(token, key.verifying, [key.algorithm]) == payload
    assert key.public_jwk == {**jwk, "alg": algorithm, "use": "sig"}


def test_the_shared_secret_of_rfc_7515_verifies_its_token() -> None:
    key = load("RFC 7515 A.1", "HS256", unb64(HS256_SECRET))
    assert JWS.decode(HS256_TOKEN, key.verifying, ["HS256"]) == PAYLOAD


def test_the_private_key_of_rfc_8037_signs_its_token() -> None:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(unb64(EDDSA_SEED))
    encoding, shape, none = (
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key = load("RFC 8037 A.1", "EdDSA", private.private_bytes(encoding, shape, none))
    assert JWS.encode(b"Example of Ed25519 signing", key.signing, "EdDSA", {"typ": ""}) == EDDSA_TOKEN
    assert key.public_jwk["x"] == EDDSA_JWK["x"]


# Making and keeping


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_generated_key_signs_what_it_verifies_and_no_other_does(algorithm: str) -> None:
    first, second = generate(algorithm), generate(algorithm)
    assert first.algorithm == algorithm
    assert first.kid != second.kid
    assert signs_for(first, first)
    assert not signs_for(first, second)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_kept_key_comes_back(algorithm: str) -> None:
    key = KEYS[algorithm]
    again = load(key.kid, algorithm, dump(key))
    assert again.kid == key.kid
    assert signs_for(key, again)
    assert signs_for(again, key)
    assert dump(again) == dump(key)


def test_generated_keys_are_strong_enough() -> None:
    assert len(KEYS["HS256"].signing) == 32
    assert KEYS["RS256"].verifying.key_size == 3072
    assert KEYS["ES256"].verifying.curve.name == "secp256r1"


@pytest.mark.parametrize("algorithm", ["none", "HS512", "RS512", "PS256", "ES384", "ed25519", "", "hs256"])
def test_an_unknown_algorithm_is_refused(algorithm: str) -> None:
    with pytest.raises(ValueError, match="none of the algorithms"):
        generate(algorithm)
    with pytest.raises(ValueError, match="none of the algorithms"):
        Key("kid", algorithm, b"x" * 64)
    with pytest.raises(ValueError, match=r"not a private key|none of the algorithms"):
        load("kid", algorithm, b"x" * 64)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_bytes_that_are_not_a_key_for_the_algorithm_are_refused(algorithm: str) -> None:
    others = [dump(KEYS[other]) for other in ALGORITHMS if other != algorithm]
    for data in (b"", b"x", dump(KEYS[algorithm])[:-1], *others):
        with pytest.raises(ValueError, match="not a private key"):
            load("kid", algorithm, data)
    assert load("kid", algorithm, dump(KEYS[algorithm])).kid == "kid"


def test_a_key_that_only_verifies_has_nothing_to_keep() -> None:
    key = KEYS["ES256"]
    with pytest.raises(ValueError, match="only verifies"):
        dump(Key(key.kid, key.algorithm, key.verifying))


def weak_halves() -> list[tuple[str, Any]]:
    return [
        ("HS256", b"x" * 31),
        ("HS256", b""),
        ("HS256", "x" * 64),
        ("RS256", rsa.generate_private_key(65537, 1024).public_key()),
        ("RS256", KEYS["ES256"].verifying),
        ("RS256", KEYS["RS256"].signing),
        ("ES256", ec.generate_private_key(ec.SECP384R1()).public_key()),
        ("ES256", ec.generate_private_key(ec.SECP256K1()).public_key()),
        ("ES256", KEYS["EdDSA"].verifying),
        ("EdDSA", ed448.Ed448PrivateKey.generate().public_key()),
        ("EdDSA", x25519.X25519PrivateKey.generate().public_key()),
        ("EdDSA", b"x" * 32),
        ("HS256", KEYS["RS256"].verifying),
        ("HS256", None),
    ]


def test_a_weak_or_foreign_half_is_refused() -> None:
    for algorithm, half in weak_halves():
        with pytest.raises(ValueError, match=r"\w"):
            Key("kid", algorithm, half)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_foreign_signing_half_is_refused(algorithm: str) -> None:
    verifying = KEYS[algorithm].verifying
    others = [KEYS[other].signing for other in ALGORITHMS if other != algorithm]
    for half in (b"", b"x" * 31, "x" * 64, *others):
        with pytest.raises(ValueError, match=r"not a signing key|32 bytes"):
            Key("kid", algorithm, verifying, half)


@pytest.mark.parametrize("kid", ["", None, 1, b"kid"])
def test_a_key_needs_an_id(kid: Any) -> None:
    with pytest.raises(ValueError, match="id"):
        Key(kid, "HS256", b"x" * 32)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_masked_where_it_is_shown(algorithm: str) -> None:
    key = KEYS[algorithm]
    assert repr(key) == f"Key(kid='{key.kid}', algorithm='{algorithm}')"
    assert repr(key) == str(key) == f"{key}"


def test_a_key_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        KEYS["HS256"].algorithm = "none"  # type: ignore[misc]


# The setting


def test_the_secret_of_the_settings_is_the_key() -> None:
    key = secret_key(SECRET)
    assert key.algorithm == "HS256"
    assert key.signing == key.verifying == SECRET.encode()
    assert JWS.decode(JWS.encode(b"x", key.signing, "HS256"), SECRET, ["HS256"]) == b"x"


def test_the_id_of_a_secret_is_stable_short_and_tells_secrets_apart() -> None:
    assert secret_key(SECRET).kid == secret_key(SECRET).kid
    assert secret_key(SECRET).kid != secret_key(SECRET + "x").kid
    assert secret_key(SECRET).kid.startswith("s-")
    assert len(secret_key(SECRET).kid) == 14


@pytest.mark.parametrize("secret", ["", "x" * 31, "é" * 15, "\ud800" * 32])
def test_a_weak_secret_is_a_settings_error_that_does_not_show_it(secret: str) -> None:
    with pytest.raises(SettingsError, match="LINKED_AUTH_SECRET") as caught:
        secret_key(secret)
    assert not secret or secret not in str(caught.value)


def test_the_length_of_a_secret_is_counted_in_bytes() -> None:
    assert secret_key("é" * 16).signing == "é".encode() * 16


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_public_key_as_secret_is_a_settings_error(algorithm: str) -> None:
    """Whoever knows the public key could sign with it."""
    key = KEYS[algorithm]
    encoding, shape = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    for secret in (key.verifying.public_bytes(encoding, shape).decode(), json.dumps(key.public_jwk)):
        with pytest.raises(SettingsError, match="LINKED_AUTH_SECRET"):
            secret_key(secret)


# Publishing


def test_the_published_set_has_public_halves_only() -> None:
    document = jwks([*KEYS.values(), secret_key(SECRET)])
    assert [jwk["alg"] for jwk in document["keys"]] == list(ASYMMETRIC)
    for jwk in document["keys"]:
        assert jwk["use"] == "sig"
        assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & set(jwk)
    assert json.loads(json.dumps(document)) == document
    assert jwks([KEYS["HS256"]]) == {"keys": []}


def test_a_shared_secret_has_no_public_half() -> None:
    with pytest.raises(ValueError, match="no public half"):
        _ = KEYS["HS256"].public_jwk


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_published_key_verifies_what_its_owner_signs(algorithm: str) -> None:
    (key,) = from_jwks(jwks([KEYS[algorithm]]))
    assert key.kid == KEYS[algorithm].kid
    assert key.algorithm == algorithm
    assert signs_for(KEYS[algorithm], key)
    assert key.public_jwk == KEYS[algorithm].public_jwk


def test_coordinates_have_the_full_length() -> None:
    """RFC 7518 section 6.2.1.2: leading zeros are kept."""
    for _ in range(600):
        jwk = generate("ES256").public_jwk
        assert len(unb64(jwk["x"])) == len(unb64(jwk["y"])) == 32


def test_alg_and_use_may_be_left_out() -> None:
    for algorithm in ASYMMETRIC:
        bare = {
            name: value for name, value in KEYS[algorithm].public_jwk.items() if name not in {"alg", "use"}
        }
        (key,) = from_jwks({"keys": [bare]})
        assert key.algorithm == algorithm


GOOD = {algorithm: KEYS[algorithm].public_jwk for algorithm in ASYMMETRIC}


def private_jwk() -> dict[str, Any]:
    return {**GOOD["ES256"], "d": ES256_JWK["x"]}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        pytest.param([private_jwk()], "private part", id="private half"),
        *(
            pytest.param([{**GOOD["RS256"], name: "AQAB"}], "private part", id=f"private member {name}")
            for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
        ),
        pytest.param([{"kty": "oct", "k": b64(b"x" * 32), "kid": "a"}], "shared secret", id="shared secret"),
        pytest.param(
            [GOOD["ES256"], {"kty": "oct", "k": b64(b"x" * 32), "kid": "a"}], "shared secret", id="mixed set"
        ),
        pytest.param(
            [GOOD["ES256"], {**GOOD["EdDSA"], "kid": GOOD["ES256"]["kid"]}], "two keys", id="same id"
        ),
        pytest.param([GOOD["ES256"], GOOD["ES256"]], "two keys", id="same key twice"),
        pytest.param([{**GOOD["ES256"], "use": "enc"}], "not for signatures", id="for encryption"),
        pytest.param([{**GOOD["ES256"], "use": None}], "not for signatures", id="use null"),
        pytest.param(
            [{**GOOD["ES256"], "key_ops": ["sign"]}], "not for signatures", id="key_ops without verify"
        ),
        pytest.param([{**GOOD["ES256"], "key_ops": "verify"}], "not for signatures", id="key_ops no list"),
        pytest.param([{**GOOD["ES256"], "alg": "HS256"}], '"alg"', id="EC key for HS256"),
        pytest.param([{**GOOD["ES256"], "alg": "none"}], '"alg"', id="alg none"),
        pytest.param([{**GOOD["ES256"], "alg": None}], '"alg"', id="alg null"),
        pytest.param([{**GOOD["ES256"], "alg": ["ES256"]}], '"alg"', id="alg list"),
        pytest.param([{**GOOD["RS256"], "alg": "PS256"}], '"alg"', id="PS256"),
        pytest.param([{**GOOD["RS256"], "alg": "RS512"}], '"alg"', id="RS512"),
        pytest.param([{**GOOD["ES256"], "crv": "P-384"}], "curve", id="P-384"),
        pytest.param([{**GOOD["EdDSA"], "crv": "Ed448"}], "curve", id="Ed448"),
        pytest.param([{**GOOD["EdDSA"], "crv": "X25519"}], "curve", id="X25519"),
        pytest.param([{**GOOD["ES256"], "kid": None}], "kid", id="kid null"),
        pytest.param([{**GOOD["ES256"], "kid": ""}], "kid", id="kid empty"),
        pytest.param([{**GOOD["ES256"], "kid": 1}], "kid", id="kid number"),
        pytest.param([{**GOOD["ES256"], "kty": "XX"}], "kty", id="kty unknown"),
        pytest.param([{**GOOD["ES256"], "kty": ["EC"]}], "kty", id="kty list"),
        pytest.param([{}], "kty", id="empty key"),
        pytest.param([{**GOOD["ES256"], "x": 5}], "strings", id="x number"),
        pytest.param([{**GOOD["ES256"], "x": "AAAA"}], "Key 1", id="x short"),
        pytest.param([{**GOOD["ES256"], "x": "A" * 43}], "Key 1", id="point not on the curve"),
        pytest.param([{**GOOD["ES256"], "x": "é" * 43}], "Key 1", id="x not base64"),
        pytest.param([{**GOOD["EdDSA"], "x": "AAAA"}], "Key 1", id="Ed25519 short"),
        pytest.param([{**GOOD["RS256"], "n": ""}], "Key 1", id="n empty"),
        pytest.param([{**GOOD["RS256"], "n": b64(b"\xff" * 128)}], "Key 1", id="RSA of 1024 bits"),
        pytest.param([{**GOOD["RS256"], "n": b64(b"\xff" * 2048)}], "Key 1", id="RSA of 16384 bits"),
        pytest.param([{**GOOD["RS256"], "e": "AQ"}], "Key 1", id="exponent 1"),
        pytest.param([{**GOOD["RS256"], "e": "Ag"}], "Key 1", id="exponent 2"),
        pytest.param([GOOD["RS256"], {**GOOD["ES256"], "y": "A" * 43}], "Key 2", id="the second is wrong"),
        pytest.param([None], "each an object", id="null"),
        pytest.param(["x"], "each an object", id="text"),
        pytest.param([], "at least one", id="no keys"),
        pytest.param({}, "at least one", id="keys no list"),
        pytest.param(None, "at least one", id="keys null"),
    ],
)
def test_a_key_set_published_wrongly_is_refused(keys: Any, says: str) -> None:
    assert len(from_jwks({"keys": list(GOOD.values())})) == 3
    with pytest.raises(SettingsError, match=says) as caught:
        from_jwks({"keys": keys})
    assert ES256_JWK["x"] not in str(caught.value)


@pytest.mark.parametrize("document", [None, [], "x", 1, {}, {"key": []}])
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(SettingsError, match="key set"):
        from_jwks(document)


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(list(GOOD.values())),
    st.dictionaries(st.sampled_from(["kty", "kid", "alg", "use", "crv", "x", "y", "n", "e"]), any_json),
)
def test_any_json_in_a_key_set_is_read_or_refused(jwk: dict[str, Any], changed: dict[str, Any]) -> None:
    try:
        (key,) = from_jwks({"keys": [{**jwk, **changed}]})
    except SettingsError:
        return
    assert key.algorithm in ASYMMETRIC
    assert key.signing is None


def test_members_that_mean_nothing_to_us_are_ignored() -> None:
    jwk = {**GOOD["ES256"], "x5t": "abc", "exp": 1, "x5c": ["MII"], "key_ops": ["verify"]}
    (key,) = from_jwks({"keys": [jwk], "more": 1})
    assert key.public_jwk == GOOD["ES256"]

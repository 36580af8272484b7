"""Every way known to us of getting a false, foreign or malformed token admitted.

Unless a case says otherwise the signature is right over what was changed: the check under test refuses it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from flask_linked_auth.errors import ExpiredToken, InvalidToken
from flask_linked_auth.tokens.claims import Claims, Expected, sign, verify
from flask_linked_auth.tokens.keys import Key, generate, secret_key

NOW = 1_800_000_000
SECRET = "a secret of a test that is long enough even for the hash of SHA-512"
KEY = secret_key(SECRET)
HEADER: dict[str, Any] = {"alg": "HS256", "typ": "at+jwt", "kid": KEY.kid}
CLAIMS: dict[str, Any] = {
    "iss": "https://blog.example",
    "sub": "17",
    "aud": "https://blog.example/auth",
    "exp": NOW + 900,
    "iat": NOW,
    "jti": "Zp0yR2Q1tWJ8",
    "sid": "c3Vubnk",
    "gen": 0,
    "auth_time": NOW,
    "scope": "read:posts",
}
EXPECTED = Expected("at+jwt", "https://blog.example", "https://blog.example/auth", max_lifetime=3600)
ASYMMETRIC = {algorithm: generate(algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def hs256(data: bytes, secret: bytes = SECRET.encode()) -> bytes:
    return hmac.digest(secret, data, "sha256")


def compact(header: Any = HEADER, claims: Any = CLAIMS, signer: Callable[[bytes], bytes] = hs256) -> str:
    """A compact JWS of whatever is given, made without the code under test and without PyJWT."""
    signed = f"{b64(text(header))}.{b64(text(claims))}"
    return f"{signed}.{b64(signer(signed.encode()))}"


def admit(token: str, *keys: Key, now: float = NOW) -> Claims:
    held = keys or (KEY,)
    return verify(token, {key.kid: key for key in held}, EXPECTED, now=now)


def refused(token: Any, *keys: Key) -> InvalidToken:
    assert admit(compact())["sub"] == "17", "the unchanged token must be admitted"
    with pytest.raises(InvalidToken) as caught:
        admit(token, *keys)
    assert type(caught.value) is InvalidToken
    assert caught.value.status == 401
    return caught.value


def test_the_unchanged_token_is_admitted() -> None:
    claims = admit(compact())
    assert claims.as_dict() == CLAIMS
    assert claims.sub == claims["sub"] == "17"


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_the_unchanged_token_of_each_algorithm_is_admitted(algorithm: str) -> None:
    key = ASYMMETRIC[algorithm]
    assert admit(sign(CLAIMS, key, typ="at+jwt"), KEY, key).sub == "17"


# Algorithms


@pytest.mark.parametrize("signature", ["", "kept"])
@pytest.mark.parametrize("spelling", ["none", "None", "NONE", "nOnE", "none ", " none", "none\0", "", "null"])
def test_alg_none_is_refused_in_every_spelling(spelling: str, signature: str) -> None:
    token = compact({**HEADER, "alg": spelling})
    refused(token if signature else token.rpartition(".")[0] + ".")


@pytest.mark.parametrize("bits", ["384", "512"])
def test_another_hash_with_the_right_secret_is_refused(bits: str) -> None:
    token = compact(
        {**HEADER, "alg": f"HS{bits}"}, signer=lambda data: hmac.digest(SECRET.encode(), data, f"sha{bits}")
    )
    assert jwt.decode(token, SECRET, ["HS" + bits], audience=CLAIMS["aud"], options={"verify_iat": False})
    refused(token)


@pytest.mark.parametrize(
    "alg",
    [
        "hs256",
        "HS256 ",
        "Hs256",
        "HS2560",
        "RS256",
        "ES256",
        "EdDSA",
        "Ed25519",
        "A128KW",
        "dir",
        None,
        256,
        True,
        ["HS256"],
        {"HS256": 1},
        [],
        {},
    ],
    ids=repr,
)
def test_any_other_alg_with_a_right_signature_is_refused(alg: Any) -> None:
    refused(compact({**HEADER, "alg": alg}))


def test_no_alg_is_refused() -> None:
    refused(compact({"typ": "at+jwt", "kid": KEY.kid}))


def public_spellings(key: Key) -> dict[str, bytes]:
    """What an attacker can take for the shared secret: everything that is published of the key."""
    public = key.verifying
    encoding, shape = serialization.Encoding, serialization.PublicFormat
    pem = public.public_bytes(encoding.PEM, shape.SubjectPublicKeyInfo)
    spellings = {
        "PEM": pem,
        "PEM without its last line end": pem.rstrip(),
        "PEM with CRLF": pem.replace(b"\n", b"\r\n"),
        "DER": public.public_bytes(encoding.DER, shape.SubjectPublicKeyInfo),
        "JWK": text(key.public_jwk),
        "JWK, sorted": json.dumps(key.public_jwk, sort_keys=True).encode(),
        "key set": text({"keys": [key.public_jwk]}),
        "kid": key.kid.encode(),
        "nothing": b"",
    }
    if key.algorithm == "RS256":
        spellings["PKCS #1 PEM"] = public.public_bytes(encoding.PEM, shape.PKCS1)
        spellings["PKCS #1 DER"] = public.public_bytes(encoding.DER, shape.PKCS1)
        spellings["n"] = key.public_jwk["n"].encode()
        spellings["n, bytes"] = public.public_numbers().n.to_bytes(384, "big")
    elif key.algorithm == "ES256":
        spellings["point"] = public.public_bytes(encoding.X962, shape.UncompressedPoint)
        spellings["compressed point"] = public.public_bytes(encoding.X962, shape.CompressedPoint)
    else:
        spellings["raw"] = public.public_bytes(encoding.Raw, shape.Raw)
        spellings["OpenSSH"] = public.public_bytes(encoding.OpenSSH, shape.OpenSSH)
    return spellings


@pytest.mark.parametrize(
    ("algorithm", "spelling"),
    [(name, spelling) for name, key in ASYMMETRIC.items() for spelling in public_spellings(key)],
)
@pytest.mark.parametrize("with_kid", [True, False])
def test_a_public_key_as_shared_secret_is_refused(algorithm: str, spelling: str, with_kid: bool) -> None:
    key = ASYMMETRIC[algorithm]
    secret = public_spellings(key)[spelling]
    header = {"alg": "HS256", "typ": "at+jwt"} | ({"kid": key.kid} if with_kid else {})
    token = compact(header, signer=lambda data: hs256(data, secret))
    refused(token, key)
    refused(token, key, KEY)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("kid", ["of the secret", "of the attacker", "missing"])
def test_a_signature_by_somebody_elses_key_pair_is_refused(algorithm: str, kid: str) -> None:
    attacker = generate(algorithm)
    chosen = {"of the secret": KEY.kid, "of the attacker": attacker.kid}.get(kid)
    token = jwt.encode(
        CLAIMS, attacker.signing, algorithm, headers={"typ": "at+jwt"} | ({"kid": chosen} if chosen else {})
    )
    refused(token)
    refused(token, ASYMMETRIC[algorithm])


def test_a_key_under_anothers_id_is_refused() -> None:
    for wanted, key in ASYMMETRIC.items():
        for other in ASYMMETRIC.values():
            if key is not other:
                token = jwt.encode(CLAIMS, key.signing, wanted, headers={"typ": "at+jwt", "kid": other.kid})
                refused(token, *ASYMMETRIC.values())


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256", "PS384", "PS512"])
def test_an_rsa_key_serves_one_algorithm_only(alg: str) -> None:
    key = ASYMMETRIC["RS256"]
    headers = {"typ": "at+jwt", "kid": key.kid}
    refused(jwt.encode(CLAIMS, key.signing, alg, headers=headers), key)
    # The same signature again, under the name that the key admits.
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    relabelled = compact(
        {"alg": "RS256", **headers}, signer=lambda data: key.signing.sign(data, pss, hashes.SHA256())
    )
    refused(relabelled, key)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(b"\0" * 64, id="r = s = 0 (CVE-2022-21449)"),
        pytest.param(b"\0" * 31 + b"\1" + b"\0" * 31 + b"\1", id="r = s = 1"),
        pytest.param(encode_dss_signature(5, 7), id="DER"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff" * 64, id="beyond the order"),
        pytest.param(b"\1" * 63, id="a byte short"),
        pytest.param(b"\1" * 65, id="a byte long"),
    ],
)
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_a_degenerate_signature_is_refused(algorithm: str, signature: bytes) -> None:
    key = ASYMMETRIC[algorithm]
    header = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}
    refused(compact(header, signer=lambda _: signature), key)


def test_an_ecdsa_signature_in_der_is_refused() -> None:
    key = ASYMMETRIC["ES256"]
    signed, _, signature = sign(CLAIMS, key, typ="at+jwt").rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    refused(f"{signed}.{b64(der)}", key)


def test_an_ed25519_signature_with_the_order_added_is_refused() -> None:
    key = ASYMMETRIC["EdDSA"]
    order = 2**252 + 27742317777372353535851937790883648493
    signed, _, signature = sign(CLAIMS, key, typ="at+jwt").rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    second = (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    refused(f"{signed}.{b64(raw[:32] + second)}", key)


# Keys and extensions in the header


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
@pytest.mark.parametrize("kid", [True, False])
def test_a_key_brought_along_is_not_used(algorithm: str, kid: bool) -> None:
    """CVE-2026-27962: the token brings the key that signed it."""
    attacker = generate(algorithm)
    headers = {"typ": "at+jwt", "jwk": attacker.public_jwk} | ({"kid": attacker.kid} if kid else {})
    token = jwt.encode(CLAIMS, attacker.signing, algorithm, headers=headers)
    refused(token)
    refused(token, ASYMMETRIC[algorithm])


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": {"kty": "oct", "k": b64(SECRET.encode())}},
        {"jwk": None},
        {"jku": "https://evil.example/jwks"},
        {"jku": "http://127.0.0.1:1/"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
        {"x5c": []},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": True},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"]},
        {"crit": ["alg"]},
        {"crit": []},
        {"crit": None},
        {"crit": "b64"},
        {"crit": {"b64": True}},
        {"crit": [1]},
        {"crit": [["b64"]]},
        {"crit": True},
        {"b64": True},
        {"b64": False},
        {"b64": None},
        {"b64": "false"},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
    ],
    ids=str,
)
def test_keys_and_extensions_in_the_header_are_refused(extra: dict[str, Any]) -> None:
    refused(compact({**HEADER, **extra}))


def test_an_unencoded_payload_is_refused() -> None:
    """RFC 7797, CVE-2026-48525: the signature is right over the payload as it stands."""
    header = b64(text({**HEADER, "b64": False, "crit": ["b64"]}))
    payload = text(CLAIMS).decode()
    signature = b64(hs256(f"{header}.{payload}".encode()))
    refused(f"{header}.{payload}.{signature}")
    refused(f"{header}..{signature}")


def test_header_members_that_mean_nothing_are_ignored() -> None:
    """RFC 7515 section 4: what is not understood and not critical is ignored."""
    assert admit(compact({**HEADER, "x5t": "abc", "cty": "json", "note": {"a": [1]}})).sub == "17"


@pytest.mark.parametrize(
    "kid",
    [
        None,
        1,
        1.5,
        True,
        [],
        {},
        [KEY.kid],
        {"kid": KEY.kid},
        "",
        "unknown",
        KEY.kid + " ",
        " " + KEY.kid,
        KEY.kid + "\x00",
        KEY.kid.upper(),
        KEY.kid[:-1],
        "�",
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "x' UNION SELECT 'key'--",
        "https://evil.example/k",
        "file:///etc/passwd",
        "$(id)",
        "%00",
        "__class__",
        "0",
        "*",
    ],
    ids=repr,
)
def test_a_kid_that_is_not_exactly_ours_is_refused(kid: Any) -> None:
    refused(compact({**HEADER, "kid": kid}))


def test_without_kid_the_only_key_is_used_and_never_one_of_several() -> None:
    token = compact({"alg": "HS256", "typ": "at+jwt"})
    assert admit(token).sub == "17"
    refused(token, KEY, ASYMMETRIC["EdDSA"])
    refused(token, KEY, secret_key("another secret of a test, long enough"))


def test_without_any_key_nothing_is_admitted() -> None:
    for token in (compact(), compact({"alg": "HS256", "typ": "at+jwt"}), compact({**HEADER, "alg": "none"})):
        with pytest.raises(InvalidToken):
            verify(token, {}, EXPECTED, now=NOW)


# Purpose and recipient


@pytest.mark.parametrize(
    "typ",
    [
        "JWT",
        "jwt",
        "AT+JWT",
        "at+jwt ",
        "at+JWT",
        "application/at+jwt",
        "rt+jwt",
        "reset+jwt",
        "verify+jwt",
        "id+jwt",
        "logout+jwt",
        "app+jwt",
        "secevent+jwt",
        "dpop+jwt",
        "",
        None,
        1,
        True,
        ["at+jwt"],
        {"at+jwt": 1},
    ],
    ids=repr,
)
def test_another_purpose_is_refused(typ: Any) -> None:
    refused(compact({**HEADER, "typ": typ}))


def test_no_purpose_is_refused() -> None:
    refused(compact({"alg": "HS256", "kid": KEY.kid}))


def test_a_token_signed_for_each_other_purpose_is_refused_and_the_reverse() -> None:
    purposes = ("at+jwt", "rt+jwt", "reset+jwt", "verify+jwt", "JWT")
    tokens = {typ: sign(CLAIMS, KEY, typ=typ) for typ in purposes}
    for wanted in purposes:
        expected = Expected(wanted, EXPECTED.issuer, EXPECTED.audience)
        for typ, token in tokens.items():
            if typ == wanted:
                assert verify(token, {KEY.kid: KEY}, expected, now=NOW).sub == "17"
            else:
                with pytest.raises(InvalidToken):
                    verify(token, {KEY.kid: KEY}, expected, now=NOW)


def near_misses(right: str) -> list[Any]:
    return [
        *(
            right + "/",
            right[:-1],
            right + "x",
            right[1:],
            " " + right,
            right + " ",
            right + "\0",
            right + "\n",
        ),
        *(
            right.upper(),
            right.replace("https", "http"),
            right.replace("https", "HTTPS"),
            "",
            "*",
            "https://",
        ),
        *(
            right.replace("example", "examp1e"),
            right.replace("e", "\u0435"),
            right + "#",
            right + "?",
            right + ":443",
        ),
        *([right], [right, "x"], ["x"], [], {}, {right: 1}, None, 1, True, 1.0, [[right]]),
    ]


@pytest.mark.parametrize("audience", [*near_misses(EXPECTED.audience), "https://blog.example"], ids=repr)
def test_an_audience_that_is_not_exactly_ours_is_refused(audience: Any) -> None:
    refused(compact(claims={**CLAIMS, "aud": audience}))


@pytest.mark.parametrize(
    "issuer", [*near_misses(EXPECTED.issuer), "blog.example", "https://evil.example"], ids=repr
)
def test_an_issuer_that_is_not_exactly_ours_is_refused(issuer: Any) -> None:
    """CVE-2024-53861: a part of the issuer was enough."""
    refused(compact(claims={**CLAIMS, "iss": issuer}))


# Shape


def with_signs() -> str:
    """A token each part of which has a `-` or a `_` and needs padding: there is something to spoil."""
    for number in range(100_000):
        header = b64(text({**HEADER, "note": f"?>~{number}"}))
        payload = b64(text({**CLAIMS, "jti": f"?>~~?>{number}"}))
        token = f"{header}.{payload}.{b64(hs256(f'{header}.{payload}'.encode()))}"
        if all(len(part) % 4 and not set("-_").isdisjoint(part) for part in token.split(".")):
            return token
    raise AssertionError


SIGNS = with_signs()


def parts_of(token: str) -> list[str]:
    return token.split(".")


def spoil(position: int, change: Callable[[str], str], *, sign_again: bool) -> str:
    """`SIGNS` with one part changed; signed again over the changed text where that is possible."""
    parts = parts_of(SIGNS)
    parts[position] = change(parts[position])
    if sign_again and position < 2:
        parts[2] = b64(hs256(f"{parts[0]}.{parts[1]}".encode()))
    return ".".join(parts)


def next_in_alphabet(part: str) -> str:
    """The same bytes by another text: one of the unused last bits set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = part[:-1] + alphabet[alphabet.index(part[-1]) + 1]
    pad = "=" * (-len(part) % 4)
    assert base64.urlsafe_b64decode(changed + pad) == base64.urlsafe_b64decode(part + pad)
    return changed


SPOILINGS: dict[str, Callable[[str], str]] = {
    "padding": lambda part: part + "=" * (-len(part) % 4),
    "one padding sign": lambda part: part + "=",
    "much padding": lambda part: part + "====",
    "padding in the middle": lambda part: part[:8] + "=" + part[8:],
    "standard alphabet": lambda part: part.replace("-", "+").replace("_", "/"),
    "percent signs": lambda part: part.replace("-", "%2D").replace("_", "%5F"),
    "full-width letter": lambda part: chr(ord(part[0]) + 0xFEE0) + part[1:],
    "Arabic digit": lambda part: part + "\u0661",
    "letter with a mark": lambda part: part + "é",
    "space at the end": lambda part: part + " ",
    "space at the start": lambda part: " " + part,
    "line end": lambda part: part + "\n",
    "CRLF in the middle": lambda part: part[:4] + "\r\n" + part[4:],
    "tab": lambda part: part[:4] + "\t" + part[4:],
    "no-break space": lambda part: part + "\xa0",
    "zero-width space": lambda part: part[:4] + "\u200b" + part[4:],
    "NUL": lambda part: part + "\0",
    "surrogate": lambda part: part + "\ud800",
    "quotes": lambda part: f'"{part}"',
    "a length that base64 never has": lambda part: part + "A" * ((1 - len(part)) % 4 or 4),
    "unused last bits set": next_in_alphabet,
    "one character": lambda _: "A",
}


@pytest.mark.parametrize("position", [0, 1, 2], ids=["header", "payload", "signature"])
@pytest.mark.parametrize("spoiling", SPOILINGS)
@pytest.mark.parametrize("sign_again", [False, True])
def test_anything_but_canonical_base64url_is_refused(spoiling: str, position: int, sign_again: bool) -> None:
    assert admit(SIGNS).sub == "17"
    try:
        token = spoil(position, SPOILINGS[spoiling], sign_again=sign_again)
    except UnicodeEncodeError:
        token = spoil(position, SPOILINGS[spoiling], sign_again=False)
    assert token != SIGNS
    refused(token)


def test_the_library_alone_would_admit_padding() -> None:
    """Why there is a shape check of our own; when this fails, PyJWT has become stricter."""
    padded = spoil(0, SPOILINGS["padding"], sign_again=True)
    try:
        jwt.PyJWS().decode(padded, SECRET, ["HS256"])
    except jwt.DecodeError:
        pytest.skip("this PyJWT refuses padding by itself")
    refused(padded)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param("", id="nothing"),
        pytest.param(".", id="one dot"),
        pytest.param("..", id="two dots"),
        pytest.param("....", id="four dots"),
        pytest.param("{h}", id="header only"),
        pytest.param("{h}.{p}", id="no signature"),
        pytest.param("{h}.{p}.", id="empty signature"),
        pytest.param("{h}..{s}", id="detached payload"),
        pytest.param(".{p}.{s}", id="empty header"),
        pytest.param("{h}.{p}.{s}.", id="dot at the end"),
        pytest.param(".{h}.{p}.{s}", id="dot at the start"),
        pytest.param("{h}.{p}.{s}.{s}", id="four parts"),
        pytest.param("{h}.{p}.{s}.{s}.{s}", id="five parts, as JWE"),
        pytest.param("{h}.{p}.{s}.{h}.{p}.{s}", id="two tokens"),
        pytest.param("{p}.{h}.{s}", id="swapped"),
        pytest.param("{h}.{p}.{s:.39}", id="signature cut"),
        pytest.param("{h}.{p}.{s}AAAA", id="signature with a tail"),
        pytest.param("Bearer {h}.{p}.{s}", id="with its scheme"),
        pytest.param("{h}.{p}.{s},{h}.{p}.{s}", id="list"),
        pytest.param("{h}.{p}.{s};x", id="parameter"),
        pytest.param("{h}%2E{p}%2E{s}", id="dots as percent signs"),
        pytest.param("{h}\uff0e{p}\uff0e{s}", id="full-width dots"),
        pytest.param("{h}.{p}.{s}\n", id="line end"),
        pytest.param("\ufeff{h}.{p}.{s}", id="BOM"),
        pytest.param('{{"protected":"{h}","payload":"{p}","signature":"{s}"}}', id="flattened JSON"),
        pytest.param(
            '{{"payload":"{p}","signatures":[{{"protected":"{h}","signature":"{s}"}}]}}', id="general JSON"
        ),
        pytest.param(
            '{{"header":{{"alg":"HS256"}},"payload":"{p}","signature":"{s}"}}', id="unprotected header"
        ),
        pytest.param('["{h}.{p}.{s}"]', id="JSON list"),
        pytest.param('"{h}.{p}.{s}"', id="JSON string"),
    ],
)
def test_anything_but_three_parts_is_refused(shape: str) -> None:
    header, payload, signature = parts_of(compact())
    assert admit(f"{header}.{payload}.{signature}").sub == "17"
    refused(shape.format(h=header, p=payload, s=signature))


@pytest.mark.parametrize(
    "thing",
    [None, 1, True, b"bytes", compact().encode(), [compact()], {}, object()],
    ids=lambda it: type(it).__name__,
)
def test_what_is_no_text_is_refused(thing: Any) -> None:
    refused(thing)


def sized(length: int) -> str:
    """A right token of just this many characters, or one fewer."""
    low, high = 0, length
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high)
            if len(compact(claims={**CLAIMS, "x": "x" * middle})) <= length
            else (low, middle - 1)
        )
    return compact(claims={**CLAIMS, "x": "x" * low})


def test_a_token_of_eight_kilobytes_is_admitted_and_a_longer_one_refused() -> None:
    assert 8190 <= len(sized(8192)) <= 8192
    assert admit(sized(8192)).sub == "17"
    longer = sized(8196)
    assert len(longer) > 8192
    refused(longer)


@pytest.mark.parametrize("huge", ["A" * 10_000_000, "." * 10_000_000, "A." * 5_000_000, " " * 10_000_000])
def test_a_huge_text_is_refused_at_once(huge: str) -> None:
    """CVE-2025-61920."""
    started = time.thread_time()
    refused(huge)
    assert time.thread_time() - started < 0.5


def test_the_shape_check_is_linear() -> None:
    started = time.thread_time()
    for tail in ("=", "A.", ".A.", "!"):
        refused("A" * 8190 + tail)
        refused(("AAAA" * 1000 + ".") * 2 + tail)
    assert time.thread_time() - started < 0.5


# Payload and header as JSON


def members(**changed: str) -> bytes:
    """The claims as JSON text, with some values given as raw JSON."""
    raw = {name: json.dumps(value) for name, value in CLAIMS.items()} | changed
    return ("{" + ",".join(f'"{name}":{value}' for name, value in raw.items()) + "}").encode()


PAYLOAD = text(CLAIMS)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(PAYLOAD.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(PAYLOAD.decode().encode("utf-16-le"), id="UTF-16 LE"),
        pytest.param(PAYLOAD.decode().encode("utf-16-be"), id="UTF-16 BE"),
        pytest.param(PAYLOAD.decode().encode("utf-32"), id="UTF-32"),
        pytest.param(PAYLOAD.decode().encode("utf-32-le"), id="UTF-32 LE"),
        pytest.param(b"\xef\xbb\xbf" + PAYLOAD, id="BOM"),
        pytest.param(PAYLOAD[:-1] + b',"x":"\xff"}', id="not UTF-8"),
        pytest.param(PAYLOAD[:-1] + b',"x":"\xe9"}', id="Latin-1"),
        pytest.param(PAYLOAD[:-1] + b',"x":"\xc0\x80"}', id="overlong NUL"),
        pytest.param(PAYLOAD[:-1] + b',"x":"\xed\xa0\x80"}', id="surrogate in UTF-8"),
        pytest.param(b"[" + PAYLOAD + b"]", id="list"),
        pytest.param(json.dumps(PAYLOAD.decode()).encode(), id="string"),
        pytest.param(b"1", id="number"),
        pytest.param(b"null", id="null"),
        pytest.param(b"true", id="true"),
        pytest.param(b"", id="empty"),
        pytest.param(b" ", id="white space"),
        pytest.param(b"{", id="cut"),
        pytest.param(PAYLOAD + b"x", id="tail"),
        pytest.param(PAYLOAD + PAYLOAD, id="two objects"),
        pytest.param(PAYLOAD + b"\0", id="NUL behind"),
        pytest.param(PAYLOAD.replace(b'"', b"'"), id="single quotes"),
        pytest.param(PAYLOAD[:-1] + b",}", id="comma at the end"),
        pytest.param(PAYLOAD[:-1] + b"/* */}", id="comment"),
        pytest.param(PAYLOAD[:-1] + b',"x":"\n"}', id="raw control character"),
        pytest.param(compact().encode(), id="a token in a token"),
    ],
)
def test_a_payload_that_is_no_json_object_in_utf8_is_refused(payload: bytes) -> None:
    refused(compact(claims=payload))


@pytest.mark.parametrize(
    "header",
    [text(HEADER).decode().encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig")]
    + [
        b"[" + text(HEADER) + b"]",
        b'"x"',
        b"1",
        b"null",
        b"{}",
        text(HEADER) + b"x",
        b"\xff",
        b"[]",
        b"{",
        b"[",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_a_header_that_is_no_json_object_in_utf8_is_refused(header: bytes) -> None:
    refused(compact(header))


@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "auth_time", "gen", "sub", "x"])
@pytest.mark.parametrize(
    "number",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        "9" * 5000,
        "-" + "9" * 5000,
        "9" * 21,
        "1e5000",
        "0x10",
        "01",
        "+1",
        ".5",
        "1.",
        "1_000",
        "1" + "0" * 400 + ".5",
    ],
    ids=lambda number: number[:12],
)
def test_a_number_that_is_not_finite_or_endless_is_refused(name: str, number: str) -> None:
    refused(compact(claims=members(**{name: number})))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "9" * 5000])
def test_such_a_number_in_the_header_is_refused(number: str) -> None:
    refused(compact(text(HEADER)[:-1] + f',"x":{number}}}'.encode()))


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    inner = "1" if opening != "[" else ""
    return opening * depth + inner + closing * depth


@pytest.mark.parametrize("depth", [32, 33, 100, 900, 1500, 2900])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"":', "}")])
def test_deep_nesting_is_refused(depth: int, opening: str, closing: str) -> None:
    if depth * len(opening + closing) > 5500:
        depth = 5500 // len(opening + closing)
    deep = nested(depth, opening, closing)
    refused(compact(claims=members(x=deep)))
    refused(compact(text(HEADER)[:-1] + f',"x":{deep}}}'.encode()))
    refused(compact(claims=members(x=deep[: depth * len(opening)])))


def test_moderate_nesting_is_admitted() -> None:
    assert admit(compact(claims=members(x=nested(31)))).sub == "17"
    assert len(admit(compact(claims=members(x="[" + ",".join(["[]"] * 200) + "]"))).x) == 200


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(members()[:-1] + b',"sub":"1"}', id="sub"),
        pytest.param(members()[:-1] + b',"sub":"17"}', id="the same sub"),
        pytest.param(b'{"sub":"1",' + members()[1:], id="sub first"),
        pytest.param(members()[:-1] + b',"exp":99999999999}', id="exp"),
        pytest.param(members()[:-1] + b',"aud":"x"}', id="aud"),
        pytest.param(members()[:-1] + b',"\\u0073ub":"1"}', id="sub with an escape"),
        pytest.param(members()[:-1] + b',"x":{"a":1,"a":2}}', id="within an object"),
        pytest.param(members()[:-1] + b',"":1,"":1}', id="empty names"),
    ],
)
def test_a_name_that_occurs_twice_is_refused(payload: bytes) -> None:
    refused(compact(claims=payload))


@pytest.mark.parametrize(
    "extra", [b'"alg":"HS256"', b'"alg":"none"', b'"typ":"at+jwt"', b'"\\u0061lg":"none"']
)
def test_a_name_that_occurs_twice_in_the_header_is_refused(extra: bytes) -> None:
    refused(compact(text(HEADER)[:-1] + b"," + extra + b"}"))
    refused(compact(b"{" + extra + b"," + text(HEADER)[1:]))


@pytest.mark.parametrize(
    "escape", ["\\u0000", "17\\u0000", "\\ud800", "\\udfff", "\\udc00\\ud800", "x\\ud83dx"]
)
@pytest.mark.parametrize("name", ["sub", "jti", "sid", "scope", "x"])
def test_nul_and_lone_surrogates_are_refused(name: str, escape: str) -> None:
    refused(compact(claims=members(**{name: f'"{escape}"'})))
    refused(compact(claims=members(x=f'{{"a":["{escape}"]}}')))
    refused(compact(claims=members(x=f'{{"{escape}":1}}')))


def test_other_escapes_are_admitted() -> None:
    claims = admit(compact(claims=members(x='"\\u00e9\\ud83d\\ude00\\\\u0000"')))
    assert claims.x == "é😀\\u0000"


# Types and values of claims


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "jti", "sid", "scope", "client_id"])
@pytest.mark.parametrize("value", [17, 17.0, True, False, None, [], ["17"], {}, {"17": 1}], ids=repr)
def test_a_text_that_is_no_string_is_refused(name: str, value: Any) -> None:
    refused(compact(claims={**CLAIMS, name: value}))


@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "auth_time"])
@pytest.mark.parametrize(
    "value",
    [
        str(NOW),
        f"{NOW + 900}",
        "",
        "soon",
        NOW + 0.0,
        NOW + 900.5,
        1e300,
        True,
        False,
        None,
        [],
        [NOW],
        {},
        -1,
        -NOW,
        253402300800,
        2**63,
        -(2**63),
        NOW * 1000,
        "2099-01-01T00:00:00Z",
        f" {NOW}",
        "١٨",
    ],
    ids=repr,
)
def test_a_time_that_is_no_whole_number_of_seconds_is_refused(name: str, value: Any) -> None:
    refused(compact(claims={**CLAIMS, name: value}))


@pytest.mark.parametrize("value", [-1, "0", 0.0, True, False, None, [], {}], ids=repr)
def test_a_generation_that_is_no_natural_number_is_refused(value: Any) -> None:
    refused(compact(claims={**CLAIMS, "gen": value}))


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat", "jti"])
def test_a_missing_claim_is_refused(name: str) -> None:
    refused(compact(claims={key: value for key, value in CLAIMS.items() if key != name}))


def test_issuer_audience_and_expiry_are_required_whatever_the_caller_lists() -> None:
    lax = Expected("at+jwt", EXPECTED.issuer, EXPECTED.audience, required=())
    bare = {name: CLAIMS[name] for name in ("iss", "aud", "exp")}
    assert verify(compact(claims=bare), {KEY.kid: KEY}, lax, now=NOW).as_dict() == bare
    for name in bare:
        with pytest.raises(InvalidToken):
            verify(compact(claims={**bare, name: None}), {KEY.kid: KEY}, lax, now=NOW)
        with pytest.raises(InvalidToken):
            verify(
                compact(claims={key: value for key, value in bare.items() if key != name}),
                {KEY.kid: KEY},
                lax,
                now=NOW,
            )


def test_an_empty_subject_is_refused() -> None:
    refused(compact(claims={**CLAIMS, "sub": ""}))


def test_an_expired_token_is_told_apart_and_leeway_is_exact() -> None:
    token = compact(claims={**CLAIMS, "exp": NOW, "iat": NOW - 900})
    assert admit(token, now=NOW + 4.999).sub == "17"
    for late in (5, 5.001, 6, 10**9):
        with pytest.raises(ExpiredToken):
            admit(token, now=NOW + late)


def test_only_a_token_that_was_good_is_called_expired() -> None:
    old = {**CLAIMS, "exp": NOW - 100, "iat": NOW - 1000}
    with pytest.raises(ExpiredToken):
        admit(compact(claims=old))
    refused(compact(claims={**old, "aud": "https://other.example"}))
    refused(compact(claims={**old, "iss": "https://other.example"}))
    refused(compact({**HEADER, "typ": "rt+jwt"}, old))
    refused(compact(claims=old)[:-4] + "AAAA")


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_token_from_the_future_is_refused_beyond_the_leeway(name: str) -> None:
    assert admit(compact(claims={**CLAIMS, name: NOW + 5})).sub == "17"
    refused(compact(claims={**CLAIMS, name: NOW + 6}))
    refused(compact(claims={**CLAIMS, name: NOW + 800}))


def test_a_lifetime_longer_than_expected_is_refused() -> None:
    assert admit(compact(claims={**CLAIMS, "exp": NOW + 3600})).sub == "17"
    refused(compact(claims={**CLAIMS, "exp": NOW + 3601}))
    refused(compact(claims={**CLAIMS, "exp": 253_402_300_799}))
    unknown = Expected("at+jwt", EXPECTED.issuer, EXPECTED.audience, max_lifetime=3600, required=())
    without = {name: value for name, value in CLAIMS.items() if name != "iat"}
    with pytest.raises(InvalidToken):
        verify(compact(claims=without), {KEY.kid: KEY}, unknown, now=NOW)


def test_the_clock_is_used_when_no_time_is_given() -> None:
    now = int(time.time())
    fresh = compact(claims={**CLAIMS, "iat": now, "exp": now + 60})
    assert verify(fresh, {KEY.kid: KEY}, EXPECTED).sub == "17"
    with pytest.raises(ExpiredToken):
        verify(compact(claims={**CLAIMS, "iat": now - 900, "exp": now - 60}), {KEY.kid: KEY}, EXPECTED)


# Signatures


def test_claims_changed_under_the_old_signature_are_refused() -> None:
    header, _, signature = parts_of(compact())
    for change in ({"sub": "1"}, {"exp": NOW + 901}, {"scope": "admin:users"}, {"gen": 1}):
        refused(f"{header}.{b64(text({**CLAIMS, **change}))}.{signature}")


@pytest.mark.parametrize(
    "secret", [b"", b"secret", b"\0", SECRET.encode()[:-1], SECRET.encode() + b"x", SECRET.upper().encode()]
)
def test_a_wrong_secret_is_refused(secret: bytes) -> None:
    refused(compact(signer=lambda data: hs256(data, secret)))


def test_a_plain_hash_in_place_of_the_signature_is_refused() -> None:
    refused(compact(signer=lambda data: hashlib.sha256(data).digest()))
    refused(compact(signer=lambda data: hashlib.sha256(SECRET.encode() + data).digest()))


def test_nothing_of_the_token_is_repeated_in_the_error() -> None:
    for token in (compact({**HEADER, "kid": "marked-kid"}), compact(claims={**CLAIMS, "aud": "marked-aud"})):
        error = refused(token)
        assert "marked" not in str(error) + error.detail + str(error.headers())


# Reading: claims are shared by requests, so nothing in them can be changed


def test_claims_cannot_be_changed() -> None:
    claims = admit(compact(claims={**CLAIMS, "roles": ["a", {"b": ["c"]}]}))
    assert isinstance(claims, Mapping)
    with pytest.raises(TypeError):
        claims["sub"] = "1"
    with pytest.raises(AttributeError):
        claims.sub = "1"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        claims.new = "1"  # type: ignore[attr-defined]
    assert claims.roles == ("a", claims.roles[1])
    assert claims.roles[1].b == ("c",)
    plain = claims.as_dict()
    plain["roles"][1]["b"].append("d")
    assert claims.as_dict()["roles"] == ["a", {"b": ["c"]}]
    assert json.loads(json.dumps(claims.as_dict())) == {**CLAIMS, "roles": ["a", {"b": ["c"]}]}


def test_claims_are_read_by_key_and_by_attribute() -> None:
    claims = admit(compact())
    assert list(claims) == list(CLAIMS)
    assert len(claims) == len(CLAIMS)
    assert claims.get("nothing") is None
    assert "sub" in claims
    assert claims == CLAIMS
    assert repr(claims) == f"Claims({CLAIMS!r})"
    with pytest.raises(AttributeError, match="nothing"):
        _ = claims.nothing
    with pytest.raises(KeyError):
        _ = claims["nothing"]


# Writing: nothing is signed that would not be admitted


@pytest.mark.parametrize(
    "change",
    [
        {"sub": 17},
        {"exp": NOW + 0.5},
        {"exp": True},
        {"exp": "tomorrow"},
        {"aud": ["a"]},
        {"gen": -1},
        {"x": float("nan")},
        {"x": float("inf")},
        {"x": 10**30},
        {"x": ...},
        {"x": {1, 2}},
        {"x": b"bytes"},
        {"x": "\0"},
        {"x": "\ud800"},
        {"x": "x" * 8192},
        {"x": json.loads(nested(40))},
        {"x": json.loads(nested(900))},
        {1: "a", "1": "b"},
    ],
    ids=lambda change: repr(change)[:40],
)
def test_claims_that_would_be_refused_are_not_signed(change: dict[Any, Any]) -> None:
    assert sign(CLAIMS, KEY, typ="at+jwt")
    with pytest.raises(ValueError, match=r"\w"):
        sign({**CLAIMS, **change}, KEY, typ="at+jwt")


def test_endless_nesting_is_not_signed() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match=r"\w"):
        sign({**CLAIMS, "x": endless}, KEY, typ="at+jwt")


def test_a_key_that_only_verifies_does_not_sign() -> None:
    key = ASYMMETRIC["ES256"]
    with pytest.raises(ValueError, match="only verifies"):
        sign(CLAIMS, Key(key.kid, key.algorithm, key.verifying), typ="at+jwt")


def test_the_header_says_the_algorithm_the_purpose_and_the_key_and_no_more() -> None:
    for key in (KEY, *ASYMMETRIC.values()):
        header = jwt.get_unverified_header(sign(CLAIMS, key, typ="at+jwt"))
        assert header == {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid}


def test_verified_claims_can_be_signed_again() -> None:
    claims = admit(compact(claims={**CLAIMS, "roles": ["a", {"b": ["c"]}]}))
    assert admit(sign(claims, KEY, typ="at+jwt")) == claims

"""The JWT of the Django package: what it writes we admit, and each way known to us of getting more admitted is refused.

Unless a case says otherwise the signature is right over what was changed: the check under test refuses it.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import example, given, settings, strategies as st

from flask_linked_auth.errors import InvalidToken
from flask_linked_auth.link_errors import (
    BadSchema,
    BadTimestamp,
    ExpiredCredential,
    LinkRefused,
    MalformedHeader,
    UnknownAlgorithm,
    WrongAppToken,
)
from flask_linked_auth.links.keys import ALGORITHMS, Algorithm, LinkKey, generate_key, key_from_hex
from flask_linked_auth.links.wire import LinkClaims, read_link, sign_jwt, verify_jwt
from flask_linked_auth.tokens.claims import Expected, sign, verify
from flask_linked_auth.tokens.keys import secret_key

NOW = 1_800_000_000.25
SECRET = bytes(range(64))
KEY = key_from_hex("HS256", private=SECRET.hex())
KEYS = {algorithm: generate_key(algorithm) for algorithm in ALGORITHMS}
HEADER: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}
# As the package writes them.
CLAIMS: dict[str, Any] = {
    "sub": "3",
    "iss": "http://localhost:8000",
    "app": "academy",
    "aud": "blog",
    "exp": NOW + 600,
    "iat": NOW - 1,
    "typ": "JWT",
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def hs256(data: bytes) -> bytes:
    return hmac.digest(SECRET, data, "sha256")


def compact(header: Any = HEADER, claims: Any = CLAIMS, signer: Callable[[bytes], bytes] = hs256) -> str:
    """A compact JWS of whatever is given, made without the code under test and without PyJWT."""
    signed = f"{b64(text(header))}.{b64(text(claims))}"
    return f"{signed}.{b64(signer(signed.encode()))}"


def admit(token: Any, *keys: LinkKey, app: str = "academy", now: float = NOW) -> LinkClaims:
    return verify_jwt(app, token, keys or (KEY,), receiver="blog", now=now)


def refused(token: Any, kind: type[LinkRefused] = WrongAppToken, *keys: LinkKey, **more: Any) -> LinkRefused:
    assert admit(compact()).sub == "3", "the unchanged token must be admitted"
    with pytest.raises(LinkRefused) as caught:
        admit(token, *keys, **more)
    assert type(caught.value) is kind
    assert caught.value.status == 401
    caught.value.headers()["WWW-Authenticate"].encode("ascii")
    return caught.value


def without(name: str) -> dict[str, Any]:
    return {each: value for each, value in CLAIMS.items() if each != name}


# What is admitted


def test_the_token_of_the_package_is_admitted() -> None:
    claims = admit(compact())
    assert claims.as_dict() == CLAIMS
    assert claims.sub == claims["sub"] == "3"
    with pytest.raises(TypeError):
        claims["sub"] = "4"  # type: ignore[index]


def test_a_service_that_speaks_for_itself_is_nobody() -> None:
    assert admit(compact(claims={**CLAIMS, "sub": ""})).sub is None


def test_whole_seconds_are_admitted_too() -> None:
    assert admit(compact(claims={**CLAIMS, "exp": int(NOW) + 600, "iat": int(NOW)})).exp == int(NOW) + 600


@pytest.mark.parametrize("claims", [{**CLAIMS, "iss": "anything"}, {**CLAIMS, "typ": "x"}, without("iss")])
def test_the_issuer_and_the_type_are_not_believed_and_not_checked(claims: dict[str, Any]) -> None:
    assert admit(compact(claims=claims)).iss == claims.get("iss")


def test_claims_that_are_none_of_the_dialect_do_not_reach_a_view() -> None:
    assert set(admit(compact(claims={**CLAIMS, "scope": "admin:users", "jti": "x"}))) == set(CLAIMS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pyjwt_reads_what_we_sign_and_we_read_what_it_signs(algorithm: Algorithm) -> None:
    key = KEYS[algorithm]
    now = time.time()
    header = sign_jwt(key, sender="blog", receiver="academy", subject="3", issuer="http://localhost:8000")
    scheme, _, credential = header.partition(" ")
    app, token = read_link(credential)
    assert (scheme, app) == ("Link", "blog")
    read = jwt.decode(token, key.verifying, [algorithm], audience="academy")  # type: ignore[arg-type]
    assert list(read) == list(CLAIMS)
    assert (read["sub"], read["app"], read["aud"], read["typ"]) == ("3", "blog", "academy", "JWT")
    assert read["exp"] == pytest.approx(now + 600, abs=5)
    assert read["iat"] == pytest.approx(now - 1, abs=5)
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "JWT"}
    written = jwt.encode(CLAIMS, key.signing, algorithm)  # type: ignore[arg-type]
    assert admit(written, key).as_dict() == CLAIMS


def test_any_subject_and_issuer_are_written_so_that_they_stay_one_text() -> None:
    for subject, issuer in (('a"b', 'x","app":"evil'), ("back\\slash", "línea\n\u2028"), ("-3", "")):
        header = sign_jwt(KEY, sender="academy", receiver="blog", subject=subject, issuer=issuer, now=NOW)
        claims = admit(header.rpartition("Token=")[2])
        assert (claims.sub, claims.iss, claims.app) == (subject, issuer, "academy")


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": "a,Token=x"},
        {"sender": ""},
        {"receiver": "b c"},
        {"subject": "1 "},
        {"subject": "\u0661"},
        {"subject": "01"},
        {"subject": "+1"},
        {"subject": "1_0"},
        {"subject": "x" * 256},
        {"subject": 3},
        {"subject": None},
        {"issuer": "\0"},
        {"issuer": "\ud800"},
    ],
    ids=str,
)
def test_what_cannot_travel_is_not_signed(wrong: dict[str, Any]) -> None:
    names = {"sender": "academy", "receiver": "blog", "subject": "3", "issuer": ""}
    with pytest.raises(ValueError, match=r"\w"):
        sign_jwt(KEY, **{**names, **wrong})


def test_either_key_of_an_overlap_is_admitted_and_a_half_that_only_signs_is_passed_over() -> None:
    old, new = generate_key("HS512"), generate_key("HS512")
    ours = LinkKey("x", "EdDSA", KEYS["EdDSA"].signing, None)
    for key in (old, new, KEYS["EdDSA"]):
        header = sign_jwt(key, sender="academy", receiver="blog", subject="", issuer="", now=NOW)
        token = header.rpartition("Token=")[2]
        assert admit(token, new, KEYS["EdDSA"], old).sub is None
        refused(token, WrongAppToken, generate_key("HS512"), ours)


# Algorithms, keys, the header


@pytest.mark.parametrize(
    "spelling", ["none", "None", "nOnE", "", "hs256", "HS256 ", "HS384", "RS256", "ES256", "Ed25519"]
)
def test_another_algorithm_is_not_implemented(spelling: str) -> None:
    for token in (
        compact({**HEADER, "alg": spelling}),
        compact({**HEADER, "alg": spelling}, signer=lambda _: b""),
    ):
        refused(token, UnknownAlgorithm)


def test_the_algorithm_is_the_keys() -> None:
    """HS512 with the right secret, and a public key taken for a shared secret (CVE-2022-29217)."""
    refused(compact({**HEADER, "alg": "HS512"}, signer=lambda data: hmac.digest(SECRET, data, "sha512")))
    pair = KEYS["EdDSA"]
    for encoding, form in (
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.Raw, serialization.PublicFormat.Raw),
    ):
        public = pair.verifying.public_bytes(encoding, form)  # type: ignore[union-attr]
        for secret in (public, bytes.fromhex(pair.public_hex())):
            forged = compact(signer=lambda data, secret=secret: hmac.digest(secret, data, "sha256"))  # type: ignore[misc]
            refused(forged, WrongAppToken, pair)


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "crit": ["exp"]},
        {**HEADER, "crit": []},
        {**HEADER, "b64": False},
        {**HEADER, "jwk": {"kty": "oct", "k": b64(SECRET)}},
        {**HEADER, "jku": "https://evil.example/jwks"},
        {**HEADER, "x5u": "https://evil.example/x"},
        {**HEADER, "x5c": ["x"]},
        {**HEADER, "zip": "DEF"},
        {**HEADER, "kid": "../../dev/null"},
        {**HEADER, "kid": 3},
        {**HEADER, "typ": "at+jwt"},
        {**HEADER, "typ": "jwt"},
        {**HEADER, "typ": None},
        {"alg": "HS256"},
        {"typ": "JWT"},
        {**HEADER, "alg": 3},
        {**HEADER, "alg": ["HS256"]},
        {**HEADER, "alg": None},
        [HEADER],
        "HS256",
        b'{"alg":"none","alg":"HS256","typ":"JWT"}',
        b'\xef\xbb\xbf{"alg":"HS256","typ":"JWT"}',
        '{"alg":"HS256","typ":"JWT"}'.encode("utf-16"),
        b"[" * 5000,
        b'{"alg":' + b"9" * 5000 + b"}",
        b"",
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_header_that_brings_anything_of_its_own_is_refused(header: Any) -> None:
    with pytest.raises(LinkRefused) as caught:
        admit(compact(header))
    assert type(caught.value) in {WrongAppToken, UnknownAlgorithm}


def test_a_signature_by_another_key_is_refused() -> None:
    refused(compact(signer=lambda data: hmac.digest(SECRET[::-1], data, "sha256")))
    refused(compact(signer=lambda data: hs256(data)[:-1]))
    refused(compact(signer=lambda data: b""))
    refused(compact(), WrongAppToken, KEYS["HS256"])
    with pytest.raises(WrongAppToken):
        verify_jwt("academy", compact(), (), receiver="blog", now=NOW)


# The compact form


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "=",
        lambda token: token.replace(".", "=.", 1),
        lambda token: token + ".",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token.replace(".", ". ", 1),
        lambda token: token.rpartition(".")[0],
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: "." + token,
        lambda token: token.replace("-", "+").replace("_", "/") + "+",
        lambda token: token + "A" * 8192,
        lambda token: json.dumps({"payload": token.split(".")[1], "protected": token.split(".")[0]}),
        lambda token: token.encode(),
        lambda token: None,
        lambda token: "",
        lambda token: "fla_rt_x",
        lambda token: token.replace("e", "\uff45", 1),
    ],
)
def test_another_form_than_the_compact_one_is_refused(change: Callable[[str], Any]) -> None:
    refused(change(compact()))


def test_a_long_token_is_refused_before_it_is_decoded() -> None:
    assert admit(compact(claims={**CLAIMS, "iss": "x" * 5500}))
    refused(compact(claims={**CLAIMS, "iss": "x" * 6500}))


# Claims


@pytest.mark.parametrize("name", ["sub", "app", "aud", "exp", "iat"])
def test_a_missing_claim_is_refused(name: str) -> None:
    refused(compact(claims=without(name)))


@pytest.mark.parametrize("value", [None, 3, 3.0, True, [], {}, ["3"], {"id": 3}])
@pytest.mark.parametrize("name", ["sub", "app", "aud", "iss", "typ"])
def test_a_text_that_is_none_is_refused(name: str, value: Any) -> None:
    refused(compact(claims={**CLAIMS, name: value}))


@pytest.mark.parametrize("value", [None, "1800000600", True, [], {}, -1, -0.5, 1e300, 253_402_300_800])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_time_that_is_none_is_refused(name: str, value: Any) -> None:
    refused(compact(claims={**CLAIMS, name: value}))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5000, "1" + "0" * 30])
def test_a_number_that_is_not_finite_or_is_endless_is_refused(number: str) -> None:
    for name in ("exp", "iat"):
        claims = json.dumps({**CLAIMS, name: 0}).replace(f'"{name}": 0', f'"{name}": {number}')
        assert number in claims
        refused(compact(claims=claims.encode()))


@pytest.mark.parametrize(
    "subject",
    [
        "\uff11",
        " 1",
        "1 ",
        "+1",
        "01",
        "-01",
        "1_0",
        "-0",
        "1\n",
        "\0",
        "\u0661",
        "a b",
        "x" * 256,
        "caf\u00e9",
    ],
)
def test_a_subject_that_could_become_another_person_is_refused(subject: str) -> None:
    refused(compact(claims={**CLAIMS, "sub": subject}))


@pytest.mark.parametrize(
    "subject", ["0", "1", "-1", "9" * 30, "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "01a", "ada@x", "x" * 255]
)
def test_a_subject_in_its_usual_form_is_admitted(subject: str) -> None:
    assert admit(compact(claims={**CLAIMS, "sub": subject})).sub == subject


@pytest.mark.parametrize(
    "payload",
    [
        b'{"app":"other",' + json.dumps(CLAIMS).encode()[1:],
        b"\xef\xbb\xbf" + json.dumps(CLAIMS).encode(),
        json.dumps(CLAIMS).encode("utf-16"),
        json.dumps([CLAIMS]).encode(),
        b"null",
        b"",
        b"\xff",
        json.dumps({**CLAIMS, "iss": "\ud800"}).encode(),
        json.dumps({**CLAIMS, "iss": "\0"}).encode(),
        b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"," + json.dumps(CLAIMS).encode()[1:],
        b'{"x":' * 33 + b"1" + b"}" * 33,
    ],
    ids=lambda each: str(each)[:30],
)
def test_a_payload_that_two_could_read_in_two_ways_is_refused(payload: bytes) -> None:
    refused(compact(claims=payload))


@pytest.mark.parametrize("audience", ["Blog", "blo", "blog2", "blog ", "", "academy"])
def test_a_token_for_another_service_is_refused(audience: str) -> None:
    refused(compact(claims={**CLAIMS, "aud": audience}))


@pytest.mark.parametrize("app", ["academy2", "Academy", "", "academy__gte", "blog"])
def test_the_tokens_app_is_the_headers(app: str) -> None:
    """Upstream believed the token and put it into a query: one pair could act for the people of another."""
    refused(compact(claims={**CLAIMS, "app": app}))
    refused(compact(), WrongAppToken, app=app)


# Times


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [(604.9, None), (605, ExpiredCredential), (606, ExpiredCredential), (1e6, ExpiredCredential)],
)
def test_a_token_ends_with_the_leeway(seconds: float, kind: type[LinkRefused] | None) -> None:
    if kind is None:
        assert admit(compact(), now=NOW + seconds)
    else:
        refused(compact(), kind, now=NOW + seconds)


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_token_of_the_future_is_refused(name: str) -> None:
    assert admit(compact(claims={**CLAIMS, name: NOW + 5}))
    refused(compact(claims={**CLAIMS, name: NOW + 5.1}), BadTimestamp)


def test_a_token_may_not_live_for_ten_years() -> None:
    assert admit(compact(claims={**CLAIMS, "exp": NOW - 1 + 3600}))
    refused(compact(claims={**CLAIMS, "exp": NOW + 3600}), BadTimestamp)
    refused(compact(claims={**CLAIMS, "exp": NOW + 10 * 365 * 86400}), BadTimestamp)
    with pytest.raises(BadTimestamp):
        verify_jwt("academy", compact(), (KEY,), receiver="blog", max_lifetime=300, now=NOW)


def test_the_leeway_is_the_one_that_is_given() -> None:
    assert verify_jwt("academy", compact(), (KEY,), receiver="blog", leeway=60, now=NOW + 650)
    with pytest.raises(ExpiredCredential):
        verify_jwt("academy", compact(), (KEY,), receiver="blog", leeway=0, now=NOW + 600)


def test_the_clock_is_asked_when_no_time_is_given() -> None:
    with pytest.raises(LinkRefused):
        verify_jwt("academy", compact(claims={**CLAIMS, "exp": 1000, "iat": 0}), (KEY,), receiver="blog")


# Purposes


def test_no_token_of_ours_is_one_of_a_service_and_the_other_way_round() -> None:
    """Even if somebody set both up with one secret (RFC 8725 section 3.12)."""
    secret = "a secret of a test that is long enough even for the hash of SHA-512"
    link_key = key_from_hex("HS256", private=secret.encode().hex())
    own = secret_key(secret)
    ours = {
        "iss": "blog",
        "sub": "3",
        "aud": "blog",
        "app": "academy",
        "exp": int(NOW) + 60,
        "iat": int(NOW),
        "jti": "x",
    }
    refused(sign(ours, own, typ="at+jwt"), WrongAppToken, link_key)
    theirs = sign_jwt(link_key, sender="blog", receiver="blog", subject="3", issuer="blog", now=NOW)
    with pytest.raises(InvalidToken):
        verify(theirs.rpartition("Token=")[2], {own.kid: own}, Expected("at+jwt", "blog", "blog"), now=NOW)


# The header `Authorization`


@pytest.mark.parametrize("credential", ["App=academy,Token=a.b.c", "Token=a.b.c,App=academy"])
def test_the_fields_are_read_in_any_order(credential: str) -> None:
    assert read_link(credential) == ("academy", "a.b.c")


@pytest.mark.parametrize(
    ("credential", "kind"),
    [
        ("", MalformedHeader),
        ("a.b.c", MalformedHeader),
        ("App=academy", BadSchema),
        ("Token=a.b.c", BadSchema),
        ("app=academy,token=a.b.c", BadSchema),
        ("App=academy,Token=a.b.c,Extra=1", BadSchema),
        ("App=academy,Nonce=1,SignedHeaders=,Date=2", BadSchema),
        ("App=academy,Token=a.b.c,Token=d.e.f", MalformedHeader),
        ("App=academy,App=other,Token=a.b.c", MalformedHeader),
        ("App=academy, Token=a.b.c", MalformedHeader),
        ("App=academy,Token=a.b.c,", MalformedHeader),
        (",App=academy,Token=a.b.c", MalformedHeader),
        ("App=academy,Token=a.b=.c", MalformedHeader),
        ("App=,Token=a.b.c", MalformedHeader),
        ("App=aca demy,Token=a.b.c", MalformedHeader),
        ("App=academy\n,Token=a.b.c", MalformedHeader),
        ("App=acad\u00e9my,Token=a.b.c", MalformedHeader),
        ("App='academy',Token=a.b.c", MalformedHeader),
        (f"App={'a' * 51},Token=a.b.c", MalformedHeader),
        ("App=academy,Token=a.b.c" + ",X=1" * 5000, MalformedHeader),
        ("App=academy,Token=" + "a" * 9000, MalformedHeader),
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_credential_in_another_form_is_refused(credential: str, kind: type[LinkRefused]) -> None:
    with pytest.raises(LinkRefused) as caught:
        read_link(credential)
    assert type(caught.value) is kind


# For every text


def admit_credential(credential: str) -> LinkClaims:
    app, token = read_link(credential)
    return admit(token, KEY, *KEYS.values(), app=app)


def never_passes(credential: str) -> None:
    with pytest.raises(LinkRefused):
        admit_credential(credential)


GOOD = f"App=academy,Token={compact()}"


@settings(max_examples=500)
@given(st.text())
@example("App=academy,Token=..")
@example("App=academy,Token=e30.e30.AA")
def test_no_text_passes_and_none_is_an_error(credential: str) -> None:
    never_passes(credential)
    never_passes(f"App=academy,Token={credential}")
    never_passes(f"App={credential},Token={compact()}")


def test_every_change_of_one_character_is_refused() -> None:
    assert admit_credential(GOOD).sub == "3"
    for position, character in enumerate(GOOD):
        for other in {chr(ord(character) ^ 1), chr(ord(character) ^ 32), "A", "=", ",", " ", "\0"} - {
            character
        }:
            never_passes(GOOD[:position] + other + GOOD[position + 1 :])


@given(st.data())
def test_every_insertion_and_deletion_is_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD) - 1))
    end = data.draw(st.integers(start + 1, len(GOOD)))
    never_passes(GOOD[:start] + GOOD[end:])
    never_passes(GOOD[:start] + data.draw(st.text(min_size=1, max_size=3)) + GOOD[start:])


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit"]), any_json, max_size=3),
    st.dictionaries(st.sampled_from([*CLAIMS, "nbf"]), any_json, max_size=4),
)
def test_any_claims_are_read_or_refused(header: Any, claims: Any) -> None:
    """With a right signature: a pair that went wrong must not become an error 500."""
    try:
        read = admit(compact({**HEADER, **header}, {**CLAIMS, **claims}))
    except LinkRefused:
        return
    assert (read.app, read.aud) == ("academy", "blog")
    assert read.sub is None or type(read.sub) is str
    json.dumps(read.as_dict(), allow_nan=False, ensure_ascii=False).encode()


slugs = st.from_regex(r"[A-Za-z0-9_-]{1,50}", fullmatch=True)
subjects = st.from_regex(r"[!-~]{0,40}", fullmatch=True) | st.integers().map(str)


@given(st.sampled_from(ALGORITHMS), slugs, slugs, subjects, st.text(), st.floats(0, 4e9))
def test_what_was_signed_comes_back(
    algorithm: Algorithm, sender: str, receiver: str, subject: str, issuer: str, now: float
) -> None:
    try:
        header = sign_jwt(
            KEYS[algorithm], sender=sender, receiver=receiver, subject=subject, issuer=issuer, now=now + 1
        )
    except ValueError:
        odd = "\0" in issuer or any("\ud800" <= each <= "\udfff" for each in issuer)
        assert odd or subject.lstrip("+-").replace("_", "").isdecimal()
        return
    app, token = read_link(header.removeprefix("Link "))
    claims = verify_jwt(app, token, [KEYS[algorithm]], receiver=receiver, now=now + 1)
    assert (claims.app, claims.aud, claims.sub, claims.iss) == (sender, receiver, subject or None, issuer)

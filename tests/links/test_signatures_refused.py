"""Signed requests: what the profile does not say is refused, whoever signed it; `security.md` C row by row.

Unless a case says otherwise the signature is right over what was changed: the check under test refuses it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from flask_linked_auth.link_errors import (
    BadTimestamp,
    ExpiredCredential,
    LinkRefused,
    MalformedHeader,
    UnknownAlgorithm,
    WrongAppToken,
)
from flask_linked_auth.links.keys import ALGORITHMS, Algorithm, LinkKey, generate_key
from flask_linked_auth.links.signatures import (
    Received,
    Target,
    authority_of,
    check_body,
    check_digest,
    content_digest,
    digest_field,
    read_signature,
    sign_request,
    verify_request,
)

NOW = 1_800_000_000
SECRET = bytes(range(64))
KEY = LinkKey("k1", "HS256", SECRET, SECRET)
KEYS = {algorithm: generate_key(algorithm) for algorithm in ALGORITHMS}
TARGET = Target("POST", "billing.example", "/invoices/a%2Fb", "q=1&q=2")
BODY = b'{"amount": 12}'
DIGEST = content_digest(BODY)
NONCE = "AAECAwQFBgcICQoLDA0ODw"

WITH_BODY = '("@method" "@authority" "@path" "@query" "content-digest" "linked-subject")'
WITHOUT = '("@method" "@authority" "@path" "@query" "linked-subject")'
PARAMETERS = (
    f';created={NOW};expires={NOW + 60};nonce="{NONCE}";keyid="blog/k1";alg="hmac-sha256";tag="linked-auth"'
)
VALUES = {
    "@method": TARGET.method,
    "@authority": TARGET.authority,
    "@path": TARGET.path,
    "@query": f"?{TARGET.query}",
    "content-digest": DIGEST,
    "linked-subject": "3",
    "@target-uri": "https://billing.example/invoices/a%2Fb?q=1&q=2",
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def signed(parameters: str, key: bytes = SECRET, **values: str) -> str:
    """The signature of whatever is covered, made without the code under test, by its names alone."""
    names = re.findall(r'"([^"]*)"', parameters.partition(")")[0])
    lines = [f'"{name}": {({**VALUES, **values}).get(name, "")}' for name in names]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    return f":{base64_of(hmac.digest(key, base.encode(), 'sha256'))}:"


def admit(
    signature_input: str | None,
    signature: str | None,
    *,
    key: LinkKey = KEY,
    target: Target = TARGET,
    digest: str | None = DIGEST,
    subject: str | None = "3",
    now: float = NOW,
) -> Received:
    received = read_signature(signature_input, signature)
    assert received is not None, "our label is not there"
    verify_request(received, key, target, subject=subject, digest=digest, now=now)
    return received


def admit_parameters(parameters: str, **more: Any) -> Received:
    return admit(f"link={parameters}", f"link={signed(parameters)}", **more)


def refused(kind: type[LinkRefused], parameters: str, **more: Any) -> None:
    with pytest.raises(LinkRefused) as caught:
        admit_parameters(parameters, **more)
    assert type(caught.value) is kind
    assert caught.value.status == 401


GOOD = WITH_BODY + PARAMETERS


def test_the_unchanged_request_is_admitted() -> None:
    received = admit_parameters(GOOD)
    assert received[:7] == ("blog", "k1", "hmac-sha256", NOW, NOW + 60, NONCE, True)
    assert received.closes() == NOW + 65
    assert base64_of(received.signature) not in repr(received)
    assert NONCE not in repr(received)
    assert not admit_parameters(WITHOUT + PARAMETERS, digest=None).digest_covered


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_we_sign_we_admit(algorithm: Algorithm) -> None:
    key = KEYS[algorithm]
    for digest in (DIGEST, content_digest(BODY, "sha-512"), None):
        for subject in ("3", ""):
            headers = sign_request(key, TARGET, sender="blog", subject=subject, digest=digest)
            received = read_signature(headers["Signature-Input"], headers["Signature"])
            assert received is not None
            verify_request(received, key, TARGET, subject=headers["Linked-Subject"], digest=digest)
            assert received.key_id == key.id
            with pytest.raises(WrongAppToken):
                verify_request(received, generate_key(algorithm), TARGET, subject=subject, digest=digest)
            other = generate_key(algorithm)
            same_id = LinkKey(key.id, algorithm, other.signing, other.verifying)
            with pytest.raises(WrongAppToken):
                verify_request(received, same_id, TARGET, subject=subject, digest=digest)


# S01 Required coverage is the verifier's policy; S07 each component once, no unknown names or parameters


@pytest.mark.parametrize(
    "covered",
    [
        "()",
        '("@method")',
        '("date")',
        '("@authority" "@path" "@query" "content-digest" "linked-subject")',
        '("@method" "@path" "@query" "content-digest" "linked-subject")',
        '("@method" "@authority" "@query" "content-digest" "linked-subject")',
        '("@method" "@authority" "@path" "content-digest" "linked-subject")',
        '("@method" "@authority" "@path" "@query" "content-digest")',
        '("@method" "@target-uri" "content-digest" "linked-subject")',
        '("@method" "@authority" "@path" "@query" "linked-subject" "content-digest")',
        '("@authority" "@method" "@path" "@query" "content-digest" "linked-subject")',
        '("@method" "@method" "@authority" "@path" "@query" "content-digest" "linked-subject")',
        '("@method" "@authority" "@path" "@query" "content-digest" "content-digest" "linked-subject")',
        '("@method" "@authority" "@path" "@query" "content-digest" "linked-subject" "date")',
        '("@method" "@authority" "@path" "@query" "content-digest" "linked-subject" "@unknown")',
        '("@method" "@authority" "@path" "@query" "content-digest" "linked-subject";bs)',
        '("@method" "@authority" "@path" "@query" "content-digest";req "linked-subject")',
        '("@method";req "@authority" "@path" "@query" "content-digest" "linked-subject")',
        '("@method" "@authority" "@path" "@query";name="q" "content-digest" "linked-subject")',
        '("@method" "@authority" "@path" "@query" "Content-Digest" "linked-subject")',
        '( "@method" "@authority" "@path" "@query" "content-digest" "linked-subject")',
        '("@method"  "@authority" "@path" "@query" "content-digest" "linked-subject")',
        "(@method @authority @path @query content-digest linked-subject)",
    ],
)
def test_any_other_coverage_is_refused(covered: str) -> None:
    assert admit_parameters(GOOD)
    refused(MalformedHeader, covered + PARAMETERS)


def test_a_body_is_covered_exactly_if_there_is_one() -> None:
    refused(MalformedHeader, WITHOUT + PARAMETERS, digest=DIGEST)
    refused(MalformedHeader, WITH_BODY + PARAMETERS, digest=None)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("method", "GET"),
        ("method", "post"),
        ("authority", "billing.example:8443"),
        ("authority", "evil.example"),
        ("authority", "Billing.example"),
        ("path", "/invoices/a/b"),  # S10: raw, not decoded
        ("path", "/invoices/a%2fb"),
        ("path", "/invoices//a%2Fb"),
        ("path", "/invoices/a%2Fb/"),
        ("query", "q=2&q=1"),
        ("query", "q=1"),
        ("query", ""),
        ("query", "q=1&q=2&"),
        ("query", "q=%31&q=2"),
    ],
)
def test_another_target_is_refused(part: str, other: str) -> None:
    changes: dict[str, Any] = {part: other}
    refused(WrongAppToken, GOOD, target=replace(TARGET, **changes))


@pytest.mark.parametrize("subject", ["4", "", "33", "-3"])
def test_another_person_is_refused(subject: str) -> None:
    refused(WrongAppToken, GOOD, subject=subject)


@pytest.mark.parametrize(
    "subject", [None, " 3", "3 ", "3\n", "3, 4", "03", "+3", "3_0", "\uff13", "\0", "x" * 256, "\udce9"]
)
def test_a_person_in_another_form_is_refused(subject: str | None) -> None:
    refused(MalformedHeader, GOOD, subject=subject)
    with pytest.raises(ValueError, match=r"\w"):
        sign_request(KEY, TARGET, sender="blog", subject=subject, digest=None)  # type: ignore[arg-type]


def test_a_line_break_in_a_value_makes_no_second_component() -> None:
    """Signed is a request for /a with another query; what arrives has one component less and a longer path."""
    target = Target("GET", "billing.example", "/a", "x")
    headers = sign_request(KEY, target, sender="blog", subject="3", digest=None, now=NOW)
    received = read_signature(headers["Signature-Input"], headers["Signature"])
    assert received is not None
    for changed in (
        replace(target, authority='billing.example\n"@path": /a', path="?x"),
        replace(target, path='/a\n"@query": ?x'),
        replace(target, path="/\u00e4"),
        replace(target, query="\udcff"),
    ):
        with pytest.raises(WrongAppToken):
            verify_request(received, KEY, changed, subject="3", digest=None, now=NOW)


# S02 The body


def test_the_body_is_the_one_that_was_signed() -> None:
    check_body(DIGEST, BODY, declared=True)
    check_body(None, b"", declared=False)
    check_body(content_digest(b""), b"", declared=True)
    for body in (b"", BODY + b" ", BODY[:-1], BODY.upper()):
        with pytest.raises(WrongAppToken):
            check_body(DIGEST, body, declared=True)


@pytest.mark.parametrize(
    ("digest", "body", "declared"),
    [(None, BODY, True), (None, BODY, False), (None, b"", True), (DIGEST, b"", False)],
)
def test_a_body_and_its_digest_come_together(digest: str | None, body: bytes, declared: bool) -> None:
    with pytest.raises(MalformedHeader):
        check_body(digest, body, declared=declared)


SHA_512 = content_digest(BODY, "sha-512")
MD5 = f"md5=:{base64_of(hashlib.md5(BODY).digest())}:"


@pytest.mark.parametrize(
    "header", [DIGEST, SHA_512, f"{DIGEST}, {SHA_512}", f"{MD5}, {DIGEST}", f"{DIGEST},{MD5}"]
)
def test_either_digest_is_enough_and_unknown_ones_beside_it_are_not_looked_at(header: str) -> None:
    check_digest(header, BODY)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("", MalformedHeader),
        (MD5, MalformedHeader),  # unknown algorithms alone
        ("sha-1=:AAAA:", MalformedHeader),
        (f"{DIGEST}, {DIGEST}", MalformedHeader),
        (f"{DIGEST},", MalformedHeader),
        (DIGEST.replace("sha-256", "SHA-256"), MalformedHeader),
        (DIGEST.replace("=:", "="), MalformedHeader),
        (f"{MD5}, {MD5}, {MD5}, {MD5}, {DIGEST}", MalformedHeader),
        (f'{DIGEST}, x="{"y" * 4096}"', MalformedHeader),
        ("sha-256", WrongAppToken),
        ("sha-256=1", WrongAppToken),
        ("sha-256=::", WrongAppToken),
        (DIGEST + ";x", WrongAppToken),
        (f"{DIGEST}, {content_digest(b'', 'sha-512')}", WrongAppToken),
        (f"{content_digest(b'')}, {SHA_512}", WrongAppToken),
        (DIGEST.replace("=:", "::").replace("::", "=:", 1)[:-2] + "=", MalformedHeader),
    ],
    ids=lambda each: str(each)[:30],
)
def test_a_digest_that_is_none_or_of_another_body_is_refused(header: str, kind: type[LinkRefused]) -> None:
    with pytest.raises(LinkRefused) as caught:
        check_digest(header, BODY)
    assert type(caught.value) is kind


def test_a_body_that_is_hashed_in_pieces_has_the_same_digest() -> None:
    assert digest_field(hashlib.sha256(BODY).digest()) == DIGEST
    assert digest_field(hashlib.sha512(BODY).digest(), "sha-512") == SHA_512


@given(st.text() | st.text('sha-256=:Aa,; "', max_size=60))
def test_no_text_is_a_digest_of_another_body(text: str) -> None:
    with pytest.raises(LinkRefused):
        check_digest(text, BODY)


# S03 The window


def at(created: int, expires: int) -> str:
    return GOOD.replace(f"created={NOW};expires={NOW + 60}", f"created={created};expires={expires}")


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [
        (-5, None),
        (-5.1, BadTimestamp),
        (-3600, BadTimestamp),
        (64.9, None),
        (65, ExpiredCredential),
        (66, ExpiredCredential),
        (1e9, ExpiredCredential),
    ],
)
def test_a_signature_is_good_in_its_window_and_the_leeway(
    seconds: float, kind: type[LinkRefused] | None
) -> None:
    if kind is None:
        assert admit_parameters(GOOD, now=NOW + seconds)
    else:
        refused(kind, GOOD, now=NOW + seconds)


def test_the_leeway_is_the_one_that_is_given() -> None:
    received = admit_parameters(GOOD)
    verify_request(received, KEY, TARGET, subject="3", digest=DIGEST, leeway=60, now=NOW + 119)
    assert received.closes(60) == NOW + 120
    with pytest.raises(ExpiredCredential):
        verify_request(received, KEY, TARGET, subject="3", digest=DIGEST, leeway=0, now=NOW + 60)


@pytest.mark.parametrize("lifetime", [301, 0, -1, 86400 * 3650])
def test_a_window_is_at_most_five_minutes(lifetime: int) -> None:
    assert admit_parameters(at(NOW, NOW + 300))
    assert admit_parameters(at(NOW, NOW + 1))
    refused(BadTimestamp, at(NOW, NOW + lifetime))
    with pytest.raises(ValueError, match="lifetime"):
        sign_request(KEY, TARGET, sender="blog", subject="", digest=None, lifetime=lifetime)


def test_the_clock_is_asked_when_no_time_is_given() -> None:
    received = admit_parameters(at(1000, 1060), now=1030)
    with pytest.raises(ExpiredCredential):
        verify_request(received, KEY, TARGET, subject="3", digest=DIGEST)


# The parameters: all of them, each once, in their form


@pytest.mark.parametrize("name", ["created", "expires", "nonce", "keyid", "alg", "tag"])
def test_every_parameter_is_there_once(name: str) -> None:
    whole = re.search(rf";{name}=[^;]+", GOOD)
    assert whole
    refused(MalformedHeader, GOOD.replace(whole[0], ""))
    refused(MalformedHeader, GOOD + whole[0])
    refused(MalformedHeader, GOOD.replace(whole[0], whole[0] * 2))
    refused(MalformedHeader, GOOD.replace(whole[0], f";{name}"))
    refused(MalformedHeader, GOOD.replace(whole[0], whole[0].replace(";", "; ")))


@pytest.mark.parametrize("more", [";x=1", ";created=1", ";unknown", ';context="x"'])
def test_a_further_parameter_is_refused(more: str) -> None:
    refused(MalformedHeader, GOOD + more)
    refused(MalformedHeader, WITH_BODY + more + PARAMETERS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created", '"1800000000"'),
        ("created", "1800000000.5"),
        ("created", "-1"),
        ("created", "01800000000"),
        ("created", "9999999999999999"),
        ("expires", "?1"),
        ("expires", "@1800000060"),
        ("nonce", "x"),
        ("nonce", '""'),
        ("nonce", '"short"'),
        ("nonce", '"' + "A" * 21 + '"'),
        ("nonce", '"' + "A" * 129 + '"'),
        ("nonce", '"AAECAwQFBgcICQoLDA0OD="'),
        ("nonce", '"AAECAwQFBgcICQoL DA0ODw"'),
        ("nonce", ":AAECAwQFBgcICQoLDA0ODw==:"),
        ("keyid", '"k1"'),
        ("keyid", '"blog/"'),
        ("keyid", '"/k1"'),
        ("keyid", '"blog/k1/x"'),
        ("keyid", '"../k1"'),
        ("keyid", '"blog__gte/k1;x"'),
        ("keyid", "blog/k1"),
        ("keyid", '"blog\\"/k1"'),
        ("alg", "hmac-sha256"),
        ("alg", '""'),
        ("tag", '"linked-auth2"'),
        ("tag", '"Linked-Auth"'),
        ("tag", '"linked;auth"'),
        ("tag", "linked-auth"),
    ],
)
def test_a_parameter_in_another_form_is_refused(name: str, value: str) -> None:
    changed = re.sub(rf";{name}=[^;]+", lambda _: f";{name}={value}", GOOD)
    assert changed != GOOD
    refused(MalformedHeader, changed)


def test_the_parameters_may_stand_in_another_order() -> None:
    """As other implementations write them; what arrived is what is signed."""
    each = PARAMETERS.split(";")[1:]
    for turn in range(len(each)):
        parameters = WITH_BODY + "".join(f";{one}" for one in [*each[turn:], *each[:turn]])
        received = admit_parameters(parameters)
        assert received[:7] == admit_parameters(GOOD)[:7]
        assert received.parameters == parameters
        with pytest.raises(WrongAppToken):
            admit(f"link={parameters}", f"link={signed(GOOD)}" if turn else f"link={signed(GOOD + ' ')}")


# S05, S06 The algorithm is the key's, the key is the one that is named


@pytest.mark.parametrize(
    "algorithm", ["none", "hmac-sha512", "HMAC-SHA256", "rsa-pss-sha512", "ecdsa-p256-sha256", "hs2019"]
)
def test_an_algorithm_that_the_profile_does_not_have_is_refused(algorithm: str) -> None:
    refused(UnknownAlgorithm, GOOD.replace("hmac-sha256", algorithm))


def test_the_algorithm_is_the_keys() -> None:
    pair = KEYS["EdDSA"]
    key = LinkKey("k1", "EdDSA", pair.signing, pair.verifying)
    public = pair.public().verifying.public_bytes_raw()  # type: ignore[union-attr]
    # The public key, which is known to all, taken for a shared secret.
    with pytest.raises(WrongAppToken):
        admit(f"link={GOOD}", f"link={signed(GOOD, public)}", key=key)
    refused(WrongAppToken, GOOD.replace("hmac-sha256", "ed25519"))
    refused(WrongAppToken, GOOD.replace("hmac-sha256", "ed25519"), key=key)


def test_a_key_that_has_another_id_or_only_signs_verifies_nothing() -> None:
    refused(WrongAppToken, GOOD, key=LinkKey("k2", "HS256", SECRET, SECRET))
    refused(WrongAppToken, GOOD, key=LinkKey("k1", "HS256", SECRET, None))
    refused(WrongAppToken, GOOD.replace("blog/k1", "blog/K1"))


# S08 One label by policy


def test_other_labels_are_skipped_and_stand_in_for_nothing() -> None:
    weak = f'("@method");created={NOW};keyid="blog/k1"'
    other_input, other = f"proxy={weak}", f"proxy={signed(weak)}"
    ours_input, ours = f"link={GOOD}", f"link={signed(GOOD)}"
    for inputs, signatures in (
        (f"{other_input}, {ours_input}", f"{other}, {ours}"),
        (f"{ours_input},\t{other_input}", f"{other},{ours}"),
        (f"{ours_input}, a=1, b=(1 2), c", f"{ours}, x=?0"),
    ):
        assert admit(inputs, signatures).nonce == NONCE
    # A valid weak one beside a broken strong one, and the other way round.
    with pytest.raises(WrongAppToken):
        admit(f"{other_input}, {ours_input}", f"{other}, link={signed(weak)}")
    refused(MalformedHeader, weak)
    assert read_signature(other_input, other) is None


@pytest.mark.parametrize(
    ("signature_input", "signature"),
    [
        (None, None),
        (None, "proxy=:AAAA:"),
        (None, 'keyId="x",algorithm="rsa-sha256",signature="x"'),  # an older scheme than RFC 9421
        ("proxy=()", None),
        ("proxy=()", "proxy=:AAAA:"),
        ("linked=(), link2=()", "linked=:AAAA:"),
    ],
)
def test_without_our_label_there_is_no_signature_of_ours(
    signature_input: str | None, signature: str | None
) -> None:
    assert read_signature(signature_input, signature) is None


OURS, SIGNATURE = f"link={GOOD}", f"link={signed(GOOD)}"


@pytest.mark.parametrize(
    ("signature_input", "signature"),
    [
        (OURS, None),
        (OURS, ""),
        (None, SIGNATURE),
        (None, f"a=1 , link = {SIGNATURE}"),
        ("", SIGNATURE),
        ("proxy=()", SIGNATURE),
        (OURS, "proxy=:AAAA:"),
        (f"{OURS}, {OURS}", SIGNATURE),
        (OURS, f"{SIGNATURE}, {SIGNATURE}"),
        (f"{OURS}, link=()", f"{SIGNATURE}, link=::"),
        (f"{OURS}, a, b, c, d", SIGNATURE),
        (OURS, f"{SIGNATURE}, a, b, c, d"),
        (f'{OURS}, a="{"x" * 4096}"', SIGNATURE),
        (OURS, f"{SIGNATURE}, a=:{'A' * 4096}:"),
        (f"{OURS},", SIGNATURE),
        (f"{OURS}, A=1", SIGNATURE),
        (OURS + " ", SIGNATURE),
        (OURS, "link"),
        (OURS, "link=1"),
        (OURS, "link=::"),
        (OURS, SIGNATURE + ";x=1"),
        (OURS, SIGNATURE.replace(":", '"')),
        (OURS, SIGNATURE[:-2] + ":"),
        (OURS, SIGNATURE[:-1] + "=:"),
        (OURS, f"link=:{base64_of(bytes(31))}:"),
        (OURS, f"link=:{base64_of(bytes(33))}:"),
        (OURS, f"link=:{base64_of(bytes(63))}:"),
        (OURS, f"link=:{base64_of(bytes(65))}:"),
        ("link", "link"),
        ("link=1", SIGNATURE),
        (f'link="{GOOD[1:5]}"', SIGNATURE),
    ],
    ids=lambda each: str(each)[-30:],
)
def test_a_signature_that_is_there_by_half_twice_or_in_another_form_is_refused(
    signature_input: str | None, signature: str | None
) -> None:
    with pytest.raises(MalformedHeader):
        read_signature(signature_input, signature)


@pytest.mark.parametrize("length", [32, 64])
def test_a_signature_of_the_other_algorithms_length_is_wrong(length: int) -> None:
    other = "ed25519" if length == 32 else "hmac-sha256"
    key = KEYS["EdDSA" if length == 32 else "HS256"]
    key = LinkKey("k1", key.algorithm, key.signing, key.verifying)
    parameters = GOOD.replace("hmac-sha256", other)
    with pytest.raises(WrongAppToken):
        admit(f"link={parameters}", f"link=:{base64_of(bytes(length))}:", key=key)


def test_one_signature_has_one_text() -> None:
    """The unused bits at the end of base64 are zero: another text of the same bytes is refused."""
    encoded = SIGNATURE.removeprefix("link=:").removesuffix("=:")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = letters.index(encoded[-1])
    for other in range(last + 1, last + 4):
        changed = encoded[:-1] + letters[other]
        assert base64.b64decode(changed + "=") == base64.b64decode(encoded + "=")
        with pytest.raises(MalformedHeader):
            read_signature(OURS, f"link=:{changed}=:")


# What is signed at all


@pytest.mark.parametrize(
    ("changes", "digest"),
    [
        ({"method": "get"}, None),
        ({"method": ""}, None),
        ({"method": "GET\n"}, None),
        ({"path": ""}, None),
        ({"path": "invoices"}, None),
        ({"path": "/a b"}, None),
        ({"path": "/\u00e4"}, None),
        ({"path": "/a\r\nX: y"}, None),
        ({"query": "a b"}, None),
        ({"query": "\u00e4"}, None),
        ({"authority": ""}, None),
        ({}, "sha-256=1"),
        ({}, ""),
        ({}, MD5),
        ({}, DIGEST + "\n"),
    ],
)
def test_what_would_be_refused_is_not_signed(changes: dict[str, str], digest: str | None) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        sign_request(KEY, replace(TARGET, **changes), sender="blog", subject="", digest=digest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more", [{"nonce": "short"}, {"nonce": 'A"' * 20}, {"sender": "a/b"}, {"sender": ""}, {"sender": 'a"'}]
)
def test_names_that_end_a_string_are_not_signed(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        sign_request(KEY, TARGET, **{"sender": "blog", "subject": "", "digest": None, **more})


def test_a_key_without_an_id_or_without_its_half_signs_no_request() -> None:
    for key in (LinkKey("", "HS256", SECRET, SECRET), KEYS["EdDSA"].public()):
        with pytest.raises(ValueError, match="key"):
            sign_request(key, TARGET, sender="blog", subject="", digest=None)


def test_every_request_has_a_nonce_of_its_own() -> None:
    nonces = set()
    for _ in range(50):
        headers = sign_request(KEY, TARGET, sender="blog", subject="", digest=None)
        received = read_signature(headers["Signature-Input"], headers["Signature"])
        assert received is not None
        nonces.add(received.nonce)
    assert len(nonces) == 50
    assert min(map(len, nonces)) == 22


@pytest.mark.parametrize(
    ("host", "scheme", "authority"),
    [
        ("Example.COM", "https", "example.com"),
        ("example.com:443", "https", "example.com"),
        ("example.com:80", "http", "example.com"),
        ("example.com:80", "https", "example.com:80"),
        ("example.com:443", "http", "example.com:443"),
        ("localhost:5000", "http", "localhost:5000"),
        ("[::1]:443", "https", "[::1]"),
        ("example.com", "ftp", "example.com"),
    ],
)
def test_the_default_port_is_left_out(host: str, scheme: str, authority: str) -> None:
    assert authority_of(host, scheme) == authority


# For every text


def passes(signature_input: str | None, signature: str | None) -> bool:
    """False for a refusal; any other exception gets through and fails the test."""
    try:
        received = read_signature(signature_input, signature)
        if received is None:
            return False
        verify_request(received, KEY, TARGET, subject="3", digest=DIGEST, now=NOW)
    except LinkRefused:
        return False
    return True


shaped = st.text('link=("@method" ;created1:A,\\') | st.text()


@settings(max_examples=500)
@given(shaped, shaped)
@example("link=();created=1", "link=::")
def test_no_text_passes_and_none_is_an_error(left: str, right: str) -> None:
    assert passes(OURS, SIGNATURE)
    for signature_input, signature in (
        (left, right),
        (left, None),
        (None, right),
        (OURS, right),
        (left, SIGNATURE),
        (f"link={left}", SIGNATURE),
        (OURS, f"link={right}"),
        (f"link={WITH_BODY}{left}{PARAMETERS}" if left else left, SIGNATURE),
    ):
        assert not passes(signature_input, signature)


@pytest.mark.parametrize("which", ["Signature-Input", "Signature"])
def test_every_change_of_one_character_is_refused(which: str) -> None:
    text = OURS if which == "Signature-Input" else SIGNATURE
    for position, character in enumerate(text):
        for other in {chr(ord(character) ^ 1), chr(ord(character) ^ 32), "A", '"', ";", " "} - {character}:
            changed = text[:position] + other + text[position + 1 :]
            pair = (changed, SIGNATURE) if which == "Signature-Input" else (OURS, changed)
            assert not passes(*pair), changed


@given(st.data())
def test_every_insertion_and_deletion_is_refused(data: st.DataObject) -> None:
    """Without commas: another label in front is no change of ours."""
    text = data.draw(st.sampled_from([OURS, SIGNATURE]))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    piece = data.draw(st.text('link=();"1: A', min_size=1, max_size=4))
    for changed in (text[:start] + text[end:], text[:start] + piece + text[start:]):
        assert not passes(*((changed, SIGNATURE) if text == OURS else (OURS, changed)))


paths = st.from_regex(r"/[!-~]{0,30}", fullmatch=True)
queries = st.from_regex(r"[!-~]{0,30}", fullmatch=True)


@given(
    st.sampled_from(["GET", "POST", "M-SEARCH"]),
    paths,
    queries,
    st.from_regex(r"[A-Za-z@-]{0,30}", fullmatch=True),
    st.none() | st.binary(min_size=1),
    st.sampled_from(ALGORITHMS[:2]),
)
def test_what_was_signed_is_admitted_and_only_for_that(
    method: str, path: str, query: str, subject: str, body: bytes | None, algorithm: Algorithm
) -> None:
    target = Target(method, "example.com:8080", path, query)
    digest = None if body is None else content_digest(body)
    headers = sign_request(KEYS[algorithm], target, sender="blog", subject=subject, digest=digest, now=NOW)
    received = read_signature(headers["Signature-Input"], headers["Signature"])
    assert received is not None
    limits: dict[str, Any] = {"subject": subject, "digest": digest, "now": NOW}
    verify_request(received, KEYS[algorithm], target, **limits)
    check_body(digest, body or b"", declared=body is not None)
    changes: list[Callable[[], Any]] = [
        lambda: replace(target, path=path + "x"),
        lambda: replace(target, query=query + "x"),
        lambda: replace(target, method=method + "X"),
    ]
    for change in changes:
        with pytest.raises(WrongAppToken):
            verify_request(received, KEYS[algorithm], change(), **limits)

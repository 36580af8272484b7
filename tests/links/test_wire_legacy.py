"""The old signature of the Django package: both ways in which it is made are admitted, none of its holes shared."""

from __future__ import annotations

import hmac
import string
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import example, given, settings, strategies as st

from flask_linked_auth.link_errors import (
    BadSchema,
    BadTimestamp,
    LinkRefused,
    MalformedHeader,
    UnknownAlgorithm,
    WrongAppToken,
)
from flask_linked_auth.links.keys import LinkKey, generate_key, key_from_hex
from flask_linked_auth.links.wire import (
    Form,
    LinkClaims,
    form_of,
    legacy_body,
    read_legacy,
    sign_legacy,
    verify_legacy,
)

SECRET = bytes(range(64))
KEY = key_from_hex("HS256", private=SECRET.hex())
KEY_512 = key_from_hex("HS512", private=SECRET.hex())
DATE = "2026-11-22T10:49:45.208464+00:00"
NOW = datetime.fromisoformat(DATE).timestamp()
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def made_by_the_package(
    *, params: str = "{}", body: str = "None", date: str = DATE, headers: str = "{}", **more: Any
) -> str:
    """What stands after `Signature `: the texts of the table in the wire format, signed without the code under test."""
    text = (
        f"timestamp={quote_plus(date)}&app=academy&method={more.get('method', 'GET')}&params={quote_plus(params)}"
        f"&body={quote_plus(body)}&headers={quote_plus(headers)}"
    )
    mac = hmac.new(SECRET, text.encode(), more.get("hash_name", "sha256")).hexdigest()
    return f"App=academy,Nonce={mac},SignedHeaders={more.get('names', '')},Date={date}"


def admit(
    credential: str,
    *keys: LinkKey,
    query: str = "",
    data: bytes = b"",
    content_type: str = "",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    now: float = NOW,
) -> LinkClaims:
    return verify_legacy(
        read_legacy(credential),
        keys or (KEY,),
        method=method,
        params=form_of(query),
        body=legacy_body(data, content_type),
        headers=headers or {},
        now=now,
    )


#: (query, body, content type), what the real client signs, what Django computes.
TABLE: list[tuple[tuple[str, bytes, str], tuple[str, str], tuple[str, str]]] = [
    (("", b"", ""), ("{}", "None"), ("{}", "{}")),
    (("q=1", b"", ""), ("{'q': '1'}", "None"), ("{'q': ['1']}", "{}")),
    (("q=1&q=2", b"", ""), ("{'q': ['1', '2']}", "None"), ("{'q': ['1', '2']}", "{}")),
    (("", b'{"a": 1}', JSON), ("{}", "{'a': 1}"), ("{}", "{'a': 1}")),
    (("", b"[1, null, true]", JSON), ("{}", "[1, None, True]"), ("{}", "[1, None, True]")),
    (("", b"a=1", FORM), ("{}", "{'a': '1'}"), ("{}", "<QueryDict: {'a': ['1']}>")),
    (("", b"", FORM), ("{}", "{}"), ("{}", "<QueryDict: {}>")),
    (("q=1", b'{"a": "\xc3\xb1"}', JSON), ("{'q': '1'}", "{'a': 'ñ'}"), ("{'q': ['1']}", "{'a': 'ñ'}")),
]


def test_the_text_that_is_signed_is_the_one_that_was_measured() -> None:
    measured = (
        "timestamp=2026-11-22T10%3A49%3A45.208464%2B00%3A00&app=c-sig512&method=POST&params=%7B%7D"
        "&body=%7B%27a%27%3A+1%7D&headers=%7B%7D"
    )
    header = sign_legacy(KEY_512, sender="c-sig512", method="POST", params={}, body={"a": 1}, now=NOW)
    mac = hmac.new(SECRET, measured.encode(), "sha512").hexdigest()
    assert header == f"Signature App=c-sig512,Nonce={mac},SignedHeaders=,Date={DATE}"


@pytest.mark.parametrize(("sent", "by_client", "by_django"), TABLE)
def test_we_admit_both_columns_and_sign_the_right_one(
    sent: tuple[str, bytes, str], by_client: tuple[str, str], by_django: tuple[str, str]
) -> None:
    query, data, content_type = sent
    for params, body in (by_client, by_django, (by_django[0], by_client[1])):
        credential = made_by_the_package(params=params, body=body)
        claims = admit(credential, query=query, data=data, content_type=content_type)
        assert claims.app == "academy"
        assert claims.sub is None
        assert (claims.iat, claims.exp) == (NOW, NOW + 120)
    ours = sign_legacy(
        KEY,
        sender="academy",
        method="GET",
        params=form_of(query),
        body=legacy_body(data, content_type),
        now=NOW,
    )
    assert ours == "Signature " + made_by_the_package(params=by_django[0], body=by_django[1])


def test_either_hash_is_admitted_by_its_own_key_only() -> None:
    credential = made_by_the_package(hash_name="sha512")
    assert admit(credential, KEY_512).app == "academy"
    assert admit(credential, generate_key("HS512"), KEY_512).app == "academy"
    for keys in ((KEY,), (generate_key("HS512"),)):
        with pytest.raises(WrongAppToken):
            admit(credential, *keys)


def test_a_pair_of_keys_neither_signs_nor_verifies() -> None:
    pair = generate_key("EdDSA")
    with pytest.raises(UnknownAlgorithm):
        admit(made_by_the_package(), pair)
    with pytest.raises(ValueError, match="HMAC"):
        sign_legacy(pair, sender="academy", method="GET", params={}, body=None)
    assert admit(made_by_the_package(), pair, KEY).app == "academy"
    with pytest.raises(WrongAppToken):
        verify_legacy(
            read_legacy(made_by_the_package()), (), method="GET", params={}, body=None, headers={}, now=NOW
        )


@pytest.mark.parametrize(
    "change",
    [
        {"query": "q=1"},
        {"data": b"{}", "content_type": JSON, "query": "x="},
        {"data": b'{"a": 1}', "content_type": JSON},
        {"data": b"a=1", "content_type": FORM},
        {"method": "DELETE"},
        {"method": "get"},
    ],
)
def test_another_request_is_refused(change: dict[str, Any]) -> None:
    assert admit(made_by_the_package())
    with pytest.raises(WrongAppToken):
        admit(made_by_the_package(), **change)


def test_another_app_is_refused() -> None:
    with pytest.raises(WrongAppToken):
        admit(made_by_the_package().replace("academy", "academie"))


# The body: only what two sides read alike


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"\"{'a': 1}\"", JSON),  # str() of this text is that of {"a": 1}
        (b"1", JSON),
        (b"null", JSON),
        (b"true", JSON),
        (b'{"a": 1, "a": 2}', JSON),
        (b'{"a": NaN}', JSON),
        (b'{"a": 1e999}', JSON),
        (b'{"a": "\\ud800"}', JSON),
        (b"{", JSON),
        (b"\xff", JSON),
        (b"[" * 5000, JSON),
        (b'{"a": 1}', "text/plain"),
        (b'{"a": 1}', ""),
        (b"x", "multipart/form-data; boundary=x"),
        (b"a=%FF", FORM),
        (b"\xff=1", FORM),
        (b"&".join([b"a=1"] * 1001), FORM),
    ],
    ids=lambda each: str(each)[:24],
)
def test_a_body_that_could_be_read_in_two_ways_is_refused(data: bytes, content_type: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        legacy_body(data, content_type)


def test_a_body_is_read_by_its_content_type() -> None:
    assert legacy_body(b'{"a": [1]}', "Application/JSON; charset=utf-8") == {"a": [1]}
    assert legacy_body(b'{"a": 1}', "application/vnd.api+json") == {"a": 1}
    assert legacy_body(b"", JSON) is None
    form = legacy_body(b"a=1&b=&a=%C3%B1+x", FORM)
    assert type(form) is Form
    assert form == {"a": ["1", "ñ x"], "b": [""]}


def test_a_text_that_looks_like_a_list_is_none() -> None:
    credential = made_by_the_package(params="{'q': ['1']}")
    assert admit(credential, query="q=1")
    with pytest.raises(WrongAppToken):
        admit(credential, query=urlencode({"q": "['1']"}))


def test_what_no_text_can_be_made_of_is_refused_and_is_no_error() -> None:
    for broken in ({"params": {"q": ["\ud800"]}}, {"body": {"a": "\ud800"}}, {"method": "\udcff"}):
        request: dict[str, Any] = {"method": "GET", "params": {}, "body": None, "headers": {}, **broken}
        with pytest.raises(WrongAppToken):
            verify_legacy(read_legacy(made_by_the_package()), (KEY,), **request, now=NOW)


# Headers


def test_signed_headers_are_found_by_their_exact_names() -> None:
    headers = {"X-Trace": "7", "X-Trace-Id": "8", "Host": "blog.example"}
    header = sign_legacy(
        KEY, sender="academy", method="GET", params={}, body=None, headers={"X-Trace-Id": "8"}, now=NOW
    )
    credential = header.removeprefix("Signature ")
    assert "SignedHeaders=X-Trace-Id," in credential
    assert admit(credential, headers=headers)
    assert admit(credential, headers={"x-trace-id": "8"})
    # Upstream looks each name up as a part of the text: X-Trace would have been signed too.
    assert credential == made_by_the_package(body="{}", headers="{'X-Trace-Id': '8'}", names="X-Trace-Id")
    for changed in ({"X-Trace-Id": "9"}, {"X-Trace": "8"}, {}):
        with pytest.raises(WrongAppToken):
            admit(credential, headers=changed)


def test_dropping_a_name_from_the_list_is_noticed() -> None:
    header = sign_legacy(
        KEY, sender="academy", method="GET", params={}, body=None, headers={"X-A": "1", "X-B": "2"}, now=NOW
    )
    arrived = {"X-A": "1", "X-B": "2"}
    credential = header.removeprefix("Signature ")
    assert admit(credential, headers=arrived)
    for names in ("X-A", "X-B", "", "X-B;X-A"):
        with pytest.raises(WrongAppToken):
            admit(credential.replace("X-A;X-B", names), headers=arrived)


@pytest.mark.parametrize("name", ["", "x y", "x;y", "x,y", "x=y", "é", "x\n"])
def test_a_header_whose_name_is_none_is_not_signed(name: str) -> None:
    with pytest.raises(ValueError, match="name of a header"):
        sign_legacy(KEY, sender="academy", method="GET", params={}, body=None, headers={name: "1"})


# Dates


@pytest.mark.parametrize("seconds", [-119, 0, 119])
def test_a_date_may_be_two_minutes_off(seconds: int) -> None:
    assert admit(made_by_the_package(), now=NOW + seconds)


@pytest.mark.parametrize("seconds", [-86400, -120, 120, 86400])
def test_a_date_that_is_further_off_is_refused(seconds: int) -> None:
    with pytest.raises(BadTimestamp):
        admit(made_by_the_package(), now=NOW + seconds)


def test_the_zone_of_a_date_counts() -> None:
    """Upstream throws it away: there a date of elsewhere is hours off, or hours too young."""
    there = "2026-11-22T12:49:45.208464+02:00"
    assert admit(made_by_the_package(date=there)).iat == NOW
    with pytest.raises(BadTimestamp):
        admit(made_by_the_package(date=there.replace("+02:00", "+00:00")))


@pytest.mark.parametrize(
    "date",
    [
        "",
        "now",
        "2026-11-22T10:49:45.208464",
        "2026-11-22T10:49:45Z",
        "2026-11-22 10:49:45+00:00",
        "2026-11-22",
        "20261122T104945+00:00",
        "2026-W47-7T10:49:45+00:00",
        "2026-13-22T10:49:45+00:00",
        "2026-11-22T25:49:45+00:00",
        "2026-11-22T10:49:45+99:00",
        "0000-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00+23:59",
        "\uff12\uff1026-11-22T10:49:45+00:00",
        "1795344585",
    ],
)
def test_a_date_in_another_form_is_refused(date: str) -> None:
    with pytest.raises((BadTimestamp, MalformedHeader)):
        admit(made_by_the_package(date=date))


def test_our_date_is_in_utc_and_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        header = sign_legacy(KEY, sender="academy", method="GET", params={}, body=None)
    finally:
        monkeypatch.undo()
        time.tzset()
    date = datetime.fromisoformat(header.rpartition("Date=")[2])
    assert date.tzinfo == UTC
    assert abs(date.timestamp() - time.time()) < 10
    fields = read_legacy(header.removeprefix("Signature "))
    assert verify_legacy(fields, (KEY,), method="GET", params={}, body=None, headers={}).app == "academy"
    assert fields.closes() == pytest.approx(time.time() + 120, abs=10)
    assert fields.mac not in repr(fields)


# The header `Authorization`

GOOD = made_by_the_package()
MAC = GOOD.partition("Nonce=")[2][:64]


@pytest.mark.parametrize(
    ("credential", "kind"),
    [
        ("", MalformedHeader),
        ("App=academy", BadSchema),
        (GOOD + ",Extra=1", BadSchema),
        (GOOD.replace("App=", "app="), BadSchema),
        ("App=academy,Token=a.b.c", BadSchema),
        (GOOD.replace(",", ", "), MalformedHeader),
        (GOOD + ",App=academy", MalformedHeader),
        (GOOD + ",", MalformedHeader),
        (GOOD.replace(MAC, MAC.upper()), MalformedHeader),
        (GOOD.replace(MAC, MAC[:-1]), MalformedHeader),
        (GOOD.replace(MAC, MAC + "00"), MalformedHeader),
        (GOOD.replace(MAC, ""), MalformedHeader),
        (GOOD.replace(MAC, "\uff10" * 64), MalformedHeader),
        (GOOD.replace("SignedHeaders=", "SignedHeaders=X-A;"), MalformedHeader),
        (GOOD.replace("SignedHeaders=", "SignedHeaders=X-A;;X-B"), MalformedHeader),
        (GOOD.replace("SignedHeaders=", "SignedHeaders=X-A;x-a"), MalformedHeader),
        (GOOD.replace("SignedHeaders=", "SignedHeaders=X A"), MalformedHeader),
        (
            GOOD.replace("SignedHeaders=", "SignedHeaders=" + ";".join(f"h{n}" for n in range(40))),
            MalformedHeader,
        ),
        (GOOD.replace("SignedHeaders=", "SignedHeaders=" + "x" * 9000), MalformedHeader),
    ],
    ids=lambda each: str(each)[:30],
)
def test_a_credential_in_another_form_is_refused(credential: str, kind: type[LinkRefused]) -> None:
    with pytest.raises(LinkRefused) as caught:
        read_legacy(credential)
    assert type(caught.value) is kind


def test_the_fields_are_read_in_any_order() -> None:
    assert admit(",".join(reversed(GOOD.split(",")))).app == "academy"


def never_passes(credential: str) -> None:
    with pytest.raises(LinkRefused):
        admit(credential)


@settings(max_examples=500)
@given(st.text() | st.text(string.ascii_letters + string.digits + "=,;:+-.T"))
@example("App=a,Nonce=" + "0" * 64 + ",SignedHeaders=,Date=" + DATE)
def test_no_text_passes_and_none_is_an_error(text: str) -> None:
    never_passes(text)
    never_passes(f"App=academy,Nonce={text},SignedHeaders=,Date={DATE}")
    never_passes(f"App=academy,Nonce={MAC},SignedHeaders=,Date={text}")
    if text:
        never_passes(f"App=academy,Nonce={MAC},SignedHeaders={text},Date={DATE}")


def test_every_change_of_one_character_is_refused() -> None:
    assert admit(GOOD)
    for position, character in enumerate(GOOD):
        for other in {chr(ord(character) ^ 1), chr(ord(character) ^ 32), "0", "=", ",", " "} - {character}:
            never_passes(GOOD[:position] + other + GOOD[position + 1 :])


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(texts, st.lists(texts, min_size=1, max_size=3), max_size=3),
    st.none() | st.dictionaries(texts, plain_json, max_size=3) | st.lists(plain_json, max_size=3),
    st.sampled_from(["GET", "POST", "PUT"]),
)
def test_what_was_signed_is_admitted(params: dict[str, list[str]], body: Any, method: str) -> None:
    header = sign_legacy(KEY, sender="blog", method=method, params=params, body=body, now=NOW)
    fields = read_legacy(header.removeprefix("Signature "))
    request: dict[str, Any] = {"method": method, "params": params, "body": body, "headers": {}}
    assert verify_legacy(fields, (KEY,), **request, now=NOW).app == "blog"
    with pytest.raises(WrongAppToken):
        verify_legacy(
            fields, (KEY,), **{**request, "params": {**params, "more": ["1"], "and": ["2"]}}, now=NOW
        )

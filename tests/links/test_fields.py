"""Dictionaries of structured fields: read to the letter of RFC 8941 and RFC 9651, within limits, in linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings, strategies as st

from flask_linked_auth.links.fields import MAX_LENGTH, members


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=1", [("a", "1")]),
        ("a", [("a", "")]),
        ("a;x;y=2", [("a", "")]),
        ("a=1, b=2,c=3 \t,\t d=4", [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]),
        ("a=1, a=2", [("a", "1"), ("a", "2")]),
        ('sig=("@method" "date";req);created=1', [("sig", '("@method" "date";req);created=1')]),
        ("a=()", [("a", "()")]),
        ("a=( 1  2 ) ".rstrip(), [("a", "( 1  2 )")]),
        ('a="x\\"y\\\\z"', [("a", '"x\\"y\\\\z"')]),
        ("*a-b_c.d*=?1", [("*a-b_c.d*", "?1")]),
        ("a=:YWJj:", [("a", ":YWJj:")]),
        ("a=::", [("a", "::")]),
        ("a=-1.250", [("a", "-1.250")]),
        ("a=tok/en:*", [("a", "tok/en:*")]),
        ("a=@1659578233", [("a", "@1659578233")]),
        ('a=%"f%c3%bc"', [("a", '%"f%c3%bc"')]),
        ("a=1;  x=?0; y", [("a", "1;  x=?0; y")]),
    ],
)
def test_a_dictionary_is_taken_apart(text: str, found: list[tuple[str, str]]) -> None:
    assert members(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a=",
        "=1",
        "A=1",
        "1a=1",
        "a=1,",
        ",a=1",
        "a=1,,b=2",
        "a=1 b=2",
        "a=1;",
        "a=1 ;x",
        "a=1;X=2",
        "a= 1",
        "a =1",
        'a="x',
        'a="x\\n"',
        'a="caf\u00e9"',
        'a="x\n"',
        "a=1\n",
        "a=1\r\nb=2",
        "a=(1",
        "a=1)",
        "a=(1,2)",
        "a=((1))",
        'a=("x""y")',
        "a=?2",
        "a=:YWJj",
        "a=:YW Jj:",
        "a=:Y===:",
        "a=1.",
        "a=1.2345",
        "a=" + "9" * 16,
        "a=--1",
        "a=\uff11",
        'a=%"F%C3"',
        "a=1, b=2, c=3, d=4, e=5",
        'a="' + "x" * MAX_LENGTH + '"',
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_dictionary_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"field|member"):
        members(text)


@settings(max_examples=500)
@given(st.text() | st.text('ab*=1";:?()@%, \t.-\\', max_size=60))
def test_any_text_is_read_or_refused_and_nothing_is_lost(text: str) -> None:
    try:
        found = members(text)
    except ValueError:
        return
    assert 1 <= len(found) <= 4
    position = 0
    for key, value in found:
        position = text.index(key + (f"={value}" if value else ""), position) + len(key)
    assert text.isascii()


@pytest.mark.parametrize(
    "hostile",
    [
        "a=(" + " " * 4000,
        "a=(" + "1 " * 2000,
        "a=(" + '"x" ' * 1000 + ",",
        "a=1" + "; " * 2000,
        "a=1" + ";x" * 2000 + ",",
        "a=1" + ";x=1" * 1000 + "\x00",
        'a="' + "\\\\" * 2000,
        "a=:" + "A" * 4000,
        "a=:" + "=" * 4000,
        "a=" + "-" * 4000,
        "a" * 4096,
        "a," * 2048,
        "a=1" + " \t" * 2000 + ";",
        "a=(" + "1;x " * 1000 + "(",
    ],
    ids=lambda text: text[:12],
)
def test_a_field_that_was_made_to_be_slow_is_not(hostile: str) -> None:
    """H11: a pattern that goes back over what it has read would take minutes."""
    started = time.perf_counter()
    for _ in range(10):
        try:
            members(hostile)
        except ValueError:
            continue
    assert time.perf_counter() - started < 0.5

"""The comparison that the documentation is checked by does find what is wrong."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT, Block, blocks_of, commands_of, difference


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ('{"token": "eyJ…", "n": 1}', '{"n": 1, "token": "eyJabc"}'),
        ('{"at": "2026-03-01T09:30:00Z", "exp": 1772357400}', '{"at": "2031-01-01T00:00:00Z", "exp": 1999999999}'),
        ('[1, "…"]', "[1, 2, 3]"),
        ("Created user 1.", "Created  user 1.\n"),
        ("…\nAda  admin\n…", "Bob\nAda\tadmin\nEve\n"),
        ('HTTP/1.1 200 OK\nAllow: GET\n…\n\n{"a": 1}', 'HTTP/1.1 200 OK\r\nX: y\r\nAllow: GET\r\n\r\n{"a":1}'),
    ],
)  # fmt: skip
def test_what_is_alike(expected: str, actual: str) -> None:
    assert difference(expected, actual) is None


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ('{"token": "eyJ…"}', '{"token": "abc"}'),
        ('{"n": 1}', '{"n": 2}'),
        ('{"n": 1}', '{"n": true}'),
        ('{"n": 1}', '{"n": 1, "more": 1}'),
        ('{"n": 1, "more": 1}', '{"n": 1}'),
        ('{"at": "2026-03-01T09:30:00Z"}', '{"at": null}'),
        ("[1, 2]", "[1]"),
        ('{"a": 1}', "<html>"),
        ("Created user 1.", "Error"),
        ("HTTP/1.1 200 OK", "HTTP/1.1 401 UNAUTHORIZED\r\n\r\n"),
        ("HTTP/1.1 200 OK\nAllow: GET", "HTTP/1.1 200 OK\r\nAllow: POST\r\n\r\n"),
        ('HTTP/1.1 200 OK\n\n{"a": 1}', 'HTTP/1.1 200 OK\r\n\r\n{"a": 2}'),
    ],
)
def test_what_is_not(expected: str, actual: str) -> None:
    assert difference(expected, actual) is not None


def test_commands_go_over_several_lines() -> None:
    block = Block("console", "$ one \\\n    more\nanswer\n\n$ two 'a\nb'\n$ three\n", 7, runs=True)
    assert [(c.typed, c.answer, c.line) for c in commands_of(block)] == [
        ("one \\\n    more", "answer\n", 7),
        ("two 'a\nb'", "", 11),
        ("three", "", 13),
    ]


def test_the_readme_has_its_blocks() -> None:
    blocks = list(blocks_of(ROOT / "README.md"))
    assert [block.file for block in blocks if block.file] == ["app.py"]
    assert sum(block.language == "console" and block.runs for block in blocks) >= 3

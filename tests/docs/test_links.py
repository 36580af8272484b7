"""Every relative link in README.md and docs/ leads to a file and heading that are there; every page is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import NAMES, ROOT

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [link for link in _LINK.findall(text) if not re.match(r"https?://|mailto:", link)]


def _anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name}: {link}"
        assert not anchor or anchor in _anchors(target), f"{name}: {link}"


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.startswith("docs/") and name != "docs/index.md"]
)
def test_the_index_has_the_page(name: str) -> None:
    assert name.removeprefix("docs/") in [link.partition("#")[0] for link in _links(ROOT / "docs/index.md")]


@pytest.mark.parametrize("name", NAMES)
def test_headings_are_unambiguous_and_nobody_is_named_by_address(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"(?i)@(?!example\.com)\w+\.(com|org|net)\b", text), "addresses are on example.com"
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    assert len(headings) == len(set(headings))

"""docs/errors.md has every slug once, under its status, and no other."""

from __future__ import annotations

import re
from itertools import chain

from flask_linked_auth import errors, link_errors
from tests.docs.pages import ROOT

NAMES = {*errors.__all__, *link_errors.__all__}
PAGE = (ROOT / "docs/errors.md").read_text("utf-8")


def _kinds(kind: type[errors.Problem]) -> set[type[errors.Problem]]:
    return {kind}.union(*map(_kinds, kind.__subclasses__()))


def _in_code() -> list[tuple[int, str]]:
    kinds = {kind for kind in _kinds(errors.Problem) if kind.__name__ in NAMES}
    return sorted({(kind.status, kind.slug) for kind in kinds})


def _on_page() -> list[tuple[int, str]]:
    found = []
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        slugs = re.findall(r"^### ([\w-]+)$", section, flags=re.MULTILINE)
        found.append([(int(section[:3]), slug) for slug in slugs])
    return list(chain.from_iterable(found))


def test_every_slug_stands_under_its_status() -> None:
    assert sorted(_on_page()) == _in_code()


def test_each_slug_belongs_to_one_error() -> None:
    slugs = [slug for _, slug in _in_code()]
    assert len(slugs) == len(set(slugs))

"""docs/settings.md tells of every setting what the code says."""

from __future__ import annotations

from tests.docs.settings_page import PAGE, render


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == render(), "run `python -m tests.docs.settings_page`"

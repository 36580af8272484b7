"""What the time tracker's README shows is what happens: its commands are typed, and answer as it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT, blocks_of
from tests.docs.terminal import Terminal
from tests.docs.test_pages import test_the_commands_of_a_page_answer_as_it_says as type_the_commands
from tests.example_timetracker.conftest import OURS, SECRET, Make

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

README = "example_timetracker/README.md"


def test_the_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APP_ENV", "PORT", "REDIS_URL", "LINKED_AUTH_ISSUER", "LINKED_AUTH_NAME"):
        monkeypatch.delenv(name, raising=False)
    # Not the database and the secret of whoever works in this folder.
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'time.db'}")
    monkeypatch.setenv("LINKED_AUTH_SECRET", SECRET)
    terminal = Terminal(tmp_path)
    try:
        type_the_commands(README, terminal)
    finally:
        terminal.close()


def test_every_endpoint_is_in_its_table(make_tracker: Make) -> None:
    text = (ROOT / README).read_text("utf-8")
    rules = {re.sub(r"<\w+>", "<id>", rule.rule) for rule in make_tracker("testing").url_map.iter_rules()}
    ours = {rule for rule in rules if rule.startswith("/api/")} | {"/health"}
    assert len(ours) == 9
    for rule in ours - {"/api/tracks/<id>/stop"}:
        assert f"{rule}`" in text
    assert "`/stop`" in text


def test_every_variable_is_in_its_table() -> None:
    text = (ROOT / README).read_text("utf-8")
    config = (ROOT / "example_timetracker/config.py").read_text("utf-8")
    named = {each for each in re.findall(r'"([A-Z_]{4,})"', config) if each.startswith(OURS)}
    named -= {"LINKED_AUTH_RATE_LIMIT_STORAGE", "LINKED_AUTH_NONCE_STORE"}  # as REDIS_URL
    assert len(named) > 8
    for name in named:
        assert f"`{name}`" in text
    assert [block.language for block in blocks_of(ROOT / README)] == ["console"] * 9

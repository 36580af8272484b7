"""docs/signals.md has every signal, with the name of its event."""

from __future__ import annotations

import re

from flask_linked_auth import signals
from tests.docs.pages import ROOT


def test_every_signal_is_there_and_no_other() -> None:
    page = (ROOT / "docs/signals.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `([\w.-]+)` \|", page, flags=re.MULTILINE)
    assert sorted(rows) == sorted((name, getattr(signals, name).name) for name in signals.__all__)

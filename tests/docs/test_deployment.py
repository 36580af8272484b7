"""docs/deployment.md as it is written, on a real PostgreSQL and Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks_of, commands_of, difference
from tests.docs.terminal import Terminal

PAGE = ROOT / "docs/deployment.md"


def test_the_page_deploys(tmp_path: Path, postgresql_url: str, redis_url: str) -> None:
    pytest.importorskip("gunicorn")
    places = {
        "postgresql+psycopg://shop:password@db.example.com/shop": postgresql_url,
        "redis://redis.example.com:6379/0": redis_url,
    }
    terminal = Terminal(tmp_path)
    try:
        for block in blocks_of(PAGE):
            if block.file is not None:
                terminal.write(block.file, block.text)
            elif block.language == "console" and "pip install" not in block.text:
                for command in commands_of(block):
                    typed = command.typed
                    for named, real in places.items():
                        typed = typed.replace(named, real)
                    answer = terminal.type(typed)
                    wrong = difference(command.answer, answer) if command.answer.strip() else None
                    assert wrong is None, f"deployment.md:{command.line}: $ {typed}\n{wrong}"
                    assert terminal.status == 0, answer
    finally:
        terminal.close()

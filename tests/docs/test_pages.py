"""What README.md and docs/ show is what happens: their Python runs, their commands answer as they say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import NAMES, ROOT, blocks_of, commands_of, difference
from tests.docs.terminal import Terminal

CONSOLES = ("console", "bash")
LANGUAGES = {
    "python",
    "pycon",
    *CONSOLES,
    "text",
    "json",
    "ini",
    "toml",
    "nginx",
    "dockerfile",
    "yaml",
    "http",
}


def _pages_with(*languages: str) -> list[str]:
    return [n for n in NAMES if any(b.language in languages and b.runs for b in blocks_of(ROOT / n))]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in an empty folder."""
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_block_has_a_language_that_we_know_how_to_check(name: str) -> None:
    assert {block.language for block in blocks_of(ROOT / name)} <= LANGUAGES


@pytest.mark.parametrize("name", _pages_with("python", "pycon"))
def test_the_python_of_a_page_runs(name: str, terminal: Terminal, tmp_path: Path) -> None:
    for block in blocks_of(ROOT / name):
        if block.file is not None and block.runs:
            compile(block.text, f"{name}:{block.line}", "exec")
            terminal.write(block.file, block.text)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs.run_blocks", str(ROOT / name)],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "FLASK_DEBUG": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", _pages_with(*CONSOLES))
def test_the_commands_of_a_page_answer_as_it_says(name: str, terminal: Terminal) -> None:
    for block in blocks_of(ROOT / name):
        if not block.runs:
            continue
        if block.file is not None:
            terminal.write(block.file, block.text)
        elif block.language in CONSOLES:
            for command in commands_of(block):
                answer = terminal.type(command.typed)
                wrong = difference(command.answer, answer) if command.answer.strip() else None
                assert wrong is None, f"{name}:{command.line}: $ {command.typed}\n{wrong}"
                if not command.answer.strip():
                    assert terminal.status == 0, f"{name}:{command.line}: $ {command.typed}\n{answer}"

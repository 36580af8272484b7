"""The pages of the documentation as blocks, and the marks in them.

A `python` block whose first line is `# name.py` is that file; any other is run. In `console` blocks the lines after
`$ ` are typed, and what stands below is the answer, in which `…` stands for anything. `<!-- not run: why -->` above a
block leaves it out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^```([\w-]*)$")
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")
_NOT_RUN = re.compile(r"<!-- not run: \S.+ -->")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_LIKE_NOW = 1_000_000_000  # a number this large is a moment in Unix seconds


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line on which the text starts, and whether it is to be run."""

    language: str
    text: str
    line: int
    runs: bool

    @property
    def file(self) -> str | None:
        """The name of the file that this block is, if it is one."""
        found = _FILE.match(self.text)
        return found[1] if found and self.language == "python" else None


@dataclass(frozen=True)
class Command:
    """What is typed, the answer below it, and the line on which it stands."""

    typed: str
    answer: str
    line: int


def blocks_of(page: Path) -> Iterator[Block]:
    """Every fenced block of a page, in order."""
    language, start, runs, lines, before = None, 0, True, list[str](), ""
    for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if language is None and fence:
            language, start, lines = fence[1], number + 1, []
            runs = not _NOT_RUN.fullmatch(before.strip())
        elif language is not None and fence:
            yield Block(language, "".join(f"{each}\n" for each in lines), start, runs)
            language = None
        elif language is not None:
            lines.append(line)
        if line.strip():
            before = line
    assert language is None, f"{page.name}: the block that starts on line {start} never ends"


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a console block, with their answers."""
    typed: list[str] = []
    answer: list[str] = []
    start = block.line
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        if line.startswith("$ "):
            if typed:
                yield Command("\n".join(typed), "\n".join(answer), start)
            typed, answer, start = [line[2:]], [], number
        elif typed and not answer and (typed[-1].endswith("\\") or _is_open("\n".join(typed))):
            typed.append(line)
        else:
            answer.append(line)
    if typed:
        yield Command("\n".join(typed), "\n".join(answer), start)


def _is_open(typed: str) -> bool:
    return typed.count("'") % 2 == 1


def difference(expected: str, actual: str) -> str | None:
    """What in an answer is not as the page says; None when it is."""
    if expected.startswith("HTTP/"):
        return _difference_of_http(expected, actual)
    try:
        wanted, found = json.loads(expected), json.loads(actual)
    except ValueError:
        return _difference_of_text(expected, actual)
    return _difference_of_json(wanted, found, "")


def _difference_of_http(expected: str, actual: str) -> str | None:
    head, _, body = expected.partition("\n\n")
    found_head, _, found_body = actual.replace("\r\n", "\n").partition("\n\n")
    found_lines = found_head.split("\n")
    status, *headers = head.split("\n")
    if not _like(status, found_lines[0]):
        return f"the status is {found_lines[0]!r}, not {status!r}"
    for header in headers:
        if header != "…" and not any(_like(header, line) for line in found_lines):
            return f"there is no header {header!r} in {found_lines}"
    return difference(body, found_body) if body.strip() else None


def _difference_of_json(wanted: Any, found: Any, where: str) -> str | None:
    if isinstance(wanted, str) and isinstance(found, str):
        alike = _like(wanted, found) or (_MOMENT.fullmatch(wanted) and _MOMENT.fullmatch(found))
        return None if alike else f"{where or 'it'} is {found!r}, not {wanted!r}"
    if isinstance(wanted, dict) and isinstance(found, dict):
        if wanted.keys() != found.keys():
            return f"{where or 'it'} has the members {sorted(found)}, not {sorted(wanted)}"
        pairs = [(wanted[name], found[name], f"{where}.{name}") for name in wanted]
    elif isinstance(wanted, list) and isinstance(found, list):
        if wanted[-1:] == ["…"]:
            wanted, found = wanted[:-1], found[: len(wanted) - 1]
        if len(wanted) != len(found):
            return f"{where or 'it'} has {len(found)} entries, not {len(wanted)}"
        pairs = [(*pair, f"{where}[{i}]") for i, pair in enumerate(zip(wanted, found, strict=True))]
    else:
        both_moments = all(type(each) is int and each > _LIKE_NOW for each in (wanted, found))
        same = type(wanted) is type(found) and wanted == found
        return None if same or both_moments else f"{where or 'it'} is {found!r}, not {wanted!r}"
    return next(filter(None, (_difference_of_json(*pair) for pair in pairs)), None)


def _difference_of_text(expected: str, actual: str) -> str | None:
    return None if _like(expected.strip(), actual.strip()) else f"the answer is\n{actual}\nnot\n{expected}"


def _like(expected: str, actual: str) -> bool:
    """Whether two texts are the same but for white space, and for what `…` stands for."""
    words = (" ".join(part.split()) for part in expected.split("…"))
    pattern = ".*".join(re.escape(each) for each in words).replace(r"\ .*", r"\ ?.*")
    squeezed = " ".join(actual.split())
    return re.fullmatch(pattern.replace(r".*\ ", r".*\ ?"), squeezed) is not None

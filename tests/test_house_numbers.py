"""How large a file, a function or a class may be, and what a module may be called."""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import pytest

from flask_linked_auth import config

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("flask_linked_auth", "example_blog", "example_timetracker")
FILES = sorted(
    file
    for folder in FOLDERS
    for file in (ROOT / folder).rglob("*.py")
    if "migrations" not in file.parts  # written by Alembic
)

FILE_LINES = 350
FUNCTION_LINES = 50
MEDIAN_LINES = 8
NINE_TENTHS_LINES = 25
PARAMETERS = 6
PUBLIC_METHODS = 12
SETTINGS = 12
FORBIDDEN = {"base", "common", "core", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}

NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Measured:
    """A file as a tree, and its lines of code: those that are no comment, no docstring and not blank."""

    tree: ast.Module
    code: frozenset[int]

    def lines(self, node: Function | None = None) -> int:
        """The number of code lines of a function, its signature included, or of the file."""
        if node is None:
            return len(self.code)
        return sum(node.lineno <= line <= (node.end_lineno or 0) for line in self.code)

    def functions(self) -> Iterator[tuple[Function, bool]]:
        """Each function, and whether it is a method (its first parameter is the object or the class)."""
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, Function):
                    static = any("staticmethod" in ast.unparse(each) for each in child.decorator_list)
                    yield child, isinstance(node, ast.ClassDef) and not static


def measure(text: str) -> Measured:
    tree = ast.parse(text)
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node, clean=False):
            code -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return Measured(tree, frozenset(code))


def parameters(function: Function, *, method: bool) -> int:
    """How many parameters a call can give; without self or cls."""
    given = function.args
    return len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) - method


def too_large(measured: Measured) -> list[str]:
    """What is larger in one file than the house allows."""
    found = []
    if (size := measured.lines()) > FILE_LINES:
        found.append(f"the file has {size} lines of code")
    for function, method in measured.functions():
        total = parameters(function, method=method)
        if (size := measured.lines(function)) > FUNCTION_LINES:
            found.append(f"{function.name} has {size} lines of code")
        if total > PARAMETERS:
            found.append(f"{function.name} has {total} parameters")
    for node in ast.walk(measured.tree):
        if isinstance(node, ast.ClassDef):
            names = {each.name for each in node.body if isinstance(each, Function)}
            if (size := sum(not name.startswith("_") for name in names)) > PUBLIC_METHODS:
                found.append(f"{node.name} has {size} public methods")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_file_is_of_a_size_to_read(file: Path) -> None:
    assert too_large(measure(file.read_text("utf-8"))) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_module_is_named_for_what_it_holds_and_says_so(file: Path) -> None:
    assert file.stem not in FORBIDDEN
    assert ast.get_docstring(ast.parse(file.read_text("utf-8"))) or not file.read_text("utf-8").strip()


def test_functions_are_short() -> None:
    sizes = [
        measured.lines(function)
        for file in FILES
        if (measured := measure(file.read_text("utf-8")))
        for function, _ in measured.functions()
    ]
    assert len(sizes) > 100
    assert statistics.median(sizes) <= MEDIAN_LINES
    assert statistics.quantiles(sizes, n=10)[-1] <= NINE_TENTHS_LINES


def test_a_part_has_few_settings() -> None:
    kinds = [each for name, each in vars(config).items() if name.endswith("Settings") and is_dataclass(each)]
    assert len(kinds) >= 3
    assert {kind.__name__: len(fields(kind)) for kind in kinds if len(fields(kind)) > SETTINGS} == {}


def test_the_measure_leaves_out_comments_docstrings_and_blank_lines() -> None:
    module = '"""Doc\nstring."""\n\n# why\nX = """a\nb"""\n\n\n'
    function = 'def f(\n    a,\n):\n    """Doc."""\n\n    return a  # so\n'
    measured = measure(module + function)
    assert measured.lines() == 6
    assert [measured.lines(function) for function, _ in measured.functions()] == [4]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1\n" * 351, "the file has 351 lines of code"),
        ("def f():\n" + "    x = 1\n" * 50, "f has 51 lines of code"),
        ("class C:\n    def f(self, a, b, *, c, d, e, g, h): pass\n", "f has 7 parameters"),
        ("class C:\n" + "".join(f"    def f{n}(self): pass\n" for n in range(13)), "C has 13 public methods"),
    ],
)
def test_what_is_too_large_is_noticed(text: str, complaint: str) -> None:
    assert too_large(measure(text)) == [complaint]

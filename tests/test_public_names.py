"""What the package offers: its names, their documentation and types; and what it says it depends on."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from importlib import metadata, resources
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from werkzeug.local import LocalProxy

import flask_linked_auth

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NAMES = flask_linked_auth.__all__


def test_names_are_sorted_and_told_once() -> None:
    assert sorted(set(NAMES)) == NAMES


def test_every_name_that_type_checkers_see_is_public_and_the_other_way_round() -> None:
    tree = ast.parse(inspect.getsource(flask_linked_auth))
    typed = {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == {name for name in NAMES if not name.startswith("__")}


@pytest.mark.parametrize("name", NAMES)
def test_name_resolves(name: str) -> None:
    assert getattr(flask_linked_auth, name) is getattr(flask_linked_auth, name)
    assert name in dir(flask_linked_auth)


def test_a_star_import_brings_exactly_these() -> None:
    namespace: dict[str, Any] = {}
    exec("from flask_linked_auth import *", namespace)
    assert namespace.keys() - {"__builtins__"} == set(NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Acounts"):
        flask_linked_auth.Acounts  # noqa: B018


#: A proxy or a string has no docstring of its own.
DOCUMENTED = [name for name in NAMES if not isinstance(getattr(flask_linked_auth, name), LocalProxy | str)]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_name_has_a_docstring(name: str) -> None:
    assert (getattr(flask_linked_auth, name).__doc__ or "").strip()


@pytest.mark.parametrize("name", NAMES)
def test_name_is_in_the_documentation(name: str) -> None:
    pages = [*ROOT.glob("README.md"), *ROOT.glob("docs/**/*.md")]
    if not pages:
        pytest.skip("there is no documentation yet")
    words = {word for page in pages for word in re.findall(r"\w+", page.read_text("utf-8"))}
    assert name in words


def test_types_are_shipped() -> None:
    assert resources.files("flask_linked_auth").joinpath("py.typed").is_file()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["flask_linked_auth"]


def test_version_is_told_once() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", flask_linked_auth.__version__)
    assert PROJECT["project"]["dynamic"] == ["version"]


def floors() -> dict[str, str]:
    """The lowest release of each dependency, extras included, as pyproject.toml names it."""
    project = PROJECT["project"]
    lines = chain(project["dependencies"], *project["optional-dependencies"].values())
    pairs = (re.fullmatch(r"([a-z0-9-]+)(?:\[[a-z]+\])?(?:>=([\d.]+))?", line) for line in lines)
    return {match[1]: match[2] for match in pairs if match and match[1] != PROJECT["project"]["name"]}


def test_every_dependency_has_a_floor_and_the_floor_is_the_one_that_is_tested() -> None:
    text = (ROOT / "tests/constraints-lowest.txt").read_text("utf-8")
    pinned = dict(line.split("==") for line in text.splitlines() if "==" in line)
    assert len(floors()) > 10
    for name, floor in floors().items():
        assert floor, f"{name} has no floor"
        assert [*map(int, pinned[name].split("."))][: floor.count(".") + 1] == [*map(int, floor.split("."))]


def test_the_installed_package_asks_for_the_same() -> None:
    try:
        asked = metadata.requires("flask-linked-auth") or []
    except metadata.PackageNotFoundError:
        pytest.skip("the package is not installed, the tests run from the sources")
    assert {line for line in asked if "extra" not in line} == {
        re.sub(r"\s", "", line) for line in PROJECT["project"]["dependencies"]
    }

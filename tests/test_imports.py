"""The house's rules on imports, over the syntax trees; and what is loaded at all, in processes of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "flask_linked_auth"
ROOT = Path(__file__).resolve().parents[1]

PARTS = {"accounts", "apps", "links", "provider", "webhooks"}
#: What a part may import of other parts; of each other's deeds they learn through events.
MAY_IMPORT = {"apps": {"accounts"}, "links": {"apps"}, "webhooks": {"apps"}, "provider": {"apps"}}
PURE = {
    "accounts.passwords",
    "catalogs",
    "identity",
    "link_errors",
    "links.fields",
    "links.keys",
    "links.link",
    "links.names",
    "links.outgoing",
    "links.signatures",
    "links.wire",
    "sealing",
    "strict_json",
    "tokens.claims",
    "tokens.keys",
    "webhooks.standard",
}
CRYPTO = {"bcrypt", "cryptography", "jwt", "zxcvbn"}
REQUEST = {"flask.request", "flask.globals.request", "flask.globals.request_ctx"}
TOUCH_REQUEST = {
    "browser",
    "globals",
    "guards",
    "http",
    "incoming",
    "pages",
    "rendering",
    "routes",
    "testing",
    "texts",
}
#: Imports of `cli` and `testing` that have a reason.
EXCEPTIONS = {("extension", "cli")}  # inside init_app, which hangs the commands on the app


@dataclass(frozen=True)
class Import:
    """One imported name; `function` is the one it stands in or "", `typing` means under TYPE_CHECKING."""

    module: str  # the importing module, relative to the package; "" for the package itself
    target: str  # absolute dotted name of what is imported
    line: int
    function: str
    typing: bool

    @property
    def inside(self) -> str | None:
        """The target relative to the package, None for a target outside it."""
        if self.target == PACKAGE:
            return ""
        return self.target.removeprefix(f"{PACKAGE}.") if self.target.startswith(f"{PACKAGE}.") else None

    def __str__(self) -> str:
        return f"{self.module or '__init__'}:{self.line} imports {self.target}"


Sources = Mapping[str, str]


def read_package() -> dict[str, str]:
    """The text of each module, by its dotted name relative to the package."""
    folder = ROOT / PACKAGE
    texts = {}
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        texts[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file.read_text("utf-8")
    return texts


def imports_of(sources: Sources) -> list[Import]:
    """Every import in every module, wherever it stands."""
    packages = {name.rpartition(".")[0] for name in sources} | {""}
    found: list[Import] = []
    for module, text in sources.items():
        own = [PACKAGE, *filter(None, module.split("."))]
        folder = own if module in packages else own[:-1]
        for node, function, typing in _nodes(ast.parse(text), "", typing=False):
            names = _targets(node, folder, sources)
            found += [Import(module, name, node.lineno, function, typing) for name in names]
    return found


def _nodes(tree: ast.AST, function: str, *, typing: bool) -> Iterator[tuple[ast.stmt, str, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, function, typing
            continue
        inner = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        yield from _nodes(node, inner, typing=typing or checking)


def _targets(node: ast.stmt, folder: list[str], sources: Sources) -> list[str]:
    """`from .a import b` is an import of the module a.b if there is one, else of the module a."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert isinstance(node, ast.ImportFrom)
    start = folder[: len(folder) - node.level + 1] if node.level else []
    origin = ".".join([*start, *filter(None, [node.module])])
    modules = {f"{PACKAGE}.{name}" for name in sources}
    names = [f"{origin}.{alias.name}" for alias in node.names]
    return [name if name in modules or not origin.startswith(PACKAGE) else origin for name in names]


def part_of(module: str | None) -> str | None:
    """The part that a module belongs to, None for the shared vocabulary and for what is not ours."""
    top = (module or "").partition(".")[0]
    return top if top in PARTS else None


def impure(sources: Sources) -> list[str]:
    """Imports of pure modules that are neither pure, errors, third-party crypto nor standard library."""
    allowed = {f"{PACKAGE}.{name}" for name in (*PURE, "errors")}
    known = CRYPTO | sys.stdlib_module_names
    return [
        str(each)
        for each in imports_of(sources)
        if each.module in PURE and each.target not in allowed and each.target.partition(".")[0] not in known
    ]


def foreign_parts(sources: Sources) -> list[str]:
    """Imports of one part by another that the house does not allow."""
    return [
        str(each)
        for each in imports_of(sources)
        if (own := part_of(each.module))
        and (other := part_of(each.inside))
        and other not in {own, *MAY_IMPORT.get(own, ())}
    ]


def eager_parts(sources: Sources) -> list[str]:
    """Parts imported by the shared vocabulary (or by `tokens`) when it is loaded, not when it is called."""
    return [
        str(each)
        for each in imports_of(sources)
        if part_of(each.module) is None and part_of(each.inside) and not each.function and not each.typing
    ]


def parts_known_to_the_extension(sources: Sources) -> list[str]:
    """Imports of parts by `extension.py`, but for the default list, which stands in one function."""
    return [
        f"{each} in {each.function or 'the module'}"
        for each in imports_of(sources)
        if each.module == "extension" and part_of(each.inside) and each.function != "_default_parts"
    ]


def imports_of_outer_edges(sources: Sources) -> list[str]:
    """Imports of `testing` and `cli`, which nobody imports."""
    return [
        str(each)
        for each in imports_of(sources)
        if each.inside in {"testing", "cli"}
        and not ((each.module, each.inside) in EXCEPTIONS and each.function)
    ]


def against_the_current(sources: Sources) -> list[str]:
    """Inside a part, routes and pages lead to deeds, deeds to models: imports that go the other way."""
    wrong = []
    for each in imports_of(sources):
        part, name, target = part_of(each.module), each.module.rpartition(".")[2], each.inside or ""
        if part is None or part_of(target) != part or each.typing or each.module == part:
            continue
        leaf = target.rpartition(".")[2]
        if (leaf in {"routes", "pages"} and name != "pages") or (name == "models" and target != part):
            wrong.append(str(each))
    return wrong


def touches_request(sources: Sources) -> list[str]:
    """Modules that read Flask's request and are none of those at the edge."""
    wrong = []
    for module, text in sources.items():
        if module.rpartition(".")[2] in TOUCH_REQUEST:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
            else:
                names = {ast.unparse(node)} if isinstance(node, ast.Attribute) else set()
            if names & REQUEST:
                wrong.append(f"{module}:{getattr(node, 'lineno', 0)} touches request")
    return wrong


def cycles(sources: Sources) -> list[str]:
    """A ring of modules that import each other, be it only for types or inside functions."""
    graph: dict[str, set[str]] = {}
    for each in imports_of(sources):
        if each.inside is not None and each.inside != each.module:
            graph.setdefault(each.module, set()).add(each.inside)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(name or "__init__" for name in error.args[1])]
    return []


BROKEN: dict[Callable[[Sources], list[str]], Sources] = {
    impure: {"identity": "from flask import g"},
    foreign_parts: {"accounts.login": "def f():\n    from ..links.client import Service", "links.client": ""},
    eager_parts: {"guards": "from . import accounts", "accounts": ""},
    parts_known_to_the_extension: {"extension": "def f():\n    from .accounts import x", "accounts": ""},
    imports_of_outer_edges: {"guards": "from flask_linked_auth import testing", "testing": ""},
    against_the_current: {"apps.models": "from . import routes", "apps.routes": "", "apps": ""},
    touches_request: {"accounts.login": "from flask import g, request"},
    cycles: {"a": "from .b import x", "b": "import flask_linked_auth.c", "c": "from . import a", "": ""},
}


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Callable[[Sources], list[str]]) -> None:
    sources = read_package()
    assert "extension" in sources
    assert rule(sources) == []


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_the_rule_notices_a_breach(rule: Callable[[Sources], list[str]]) -> None:
    assert len(rule(BROKEN[rule])) == 1


def loaded_by(code: str) -> set[str]:
    """The modules that a new interpreter has loaded after `code`, without the standard library's."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}


def parts_in(modules: set[str]) -> set[str | None]:
    return {part_of(name.removeprefix(f"{PACKAGE}.")) for name in modules if name.startswith(PACKAGE)} - {
        None
    }


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


ALONE = "import flask_linked_auth"
APP = """
import flask, flask_linked_auth as fla
app = flask.Flask("probe")
app.config.update(TESTING=True, SQLALCHEMY_DATABASE_URI="sqlite://", LINKED_AUTH_SECRET="x1" * 24)
"""
CONTROL = """
import flask, flask_sqlalchemy, jwt, bcrypt, marshmallow
app = flask.Flask("probe")
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://")
db = flask_sqlalchemy.SQLAlchemy(app)
with app.app_context():
    db.create_all()
"""


def test_the_package_alone_loads_nothing() -> None:
    assert loaded_by(ALONE) - loaded_by("") == {PACKAGE, f"{PACKAGE}.version"}


def test_accounts_load_only_what_they_need() -> None:
    loaded = loaded_by(f"{APP}fla.LinkedAuth(app, parts=[fla.Accounts()])")
    assert tops(loaded) - tops(loaded_by(CONTROL)) == {PACKAGE}
    assert parts_in(loaded) == {"accounts"}


def test_guards_alone_load_no_database() -> None:
    loaded = loaded_by(f"{APP}fla.LinkedAuth(app, parts=[])")
    assert "flask_linked_auth.guards" in loaded
    assert tops(loaded) - tops(loaded_by("import flask, jwt, marshmallow")) == {PACKAGE}
    assert not tops(loaded) & {"alembic", "flask_sqlalchemy", "sqlalchemy"}
    assert parts_in(loaded) == set()

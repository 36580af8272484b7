"""The tree of errors: as its drawing says, each with a slug of its own, none that can be changed or injected into."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

from flask_linked_auth import errors, link_errors
from flask_linked_auth.errors import LinkedAuthError, Problem
from tests.tiny import make_app, refused

MODULES = (errors, link_errors)
KINDS = [getattr(module, name) for module in MODULES for name in module.__all__]
PROBLEMS = [kind for kind in KINDS if issubclass(kind, Problem)]
ARGUMENTS: dict[type[Problem], tuple[Any, ...]] = {
    errors.StaleLogin: (300,),
    errors.MissingScope: (("read", "write"),),
    errors.MethodNotAllowed: (("POST", "GET"),),
}


def made(kind: type[Problem]) -> Problem:
    return kind(*ARGUMENTS.get(kind, ()))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_drawing_is_the_tree(module: ModuleType) -> None:
    drawn: dict[str, tuple[str, int]] = {}
    path: list[str] = []
    # The tree of the calls between services hangs below that of `errors.py`, and draws where.
    rooted = {*module.__all__, "LinkedAuthError", "Problem"}
    for line in (module.__doc__ or "").splitlines():
        match = re.fullmatch(r"([│├└─ ]*)([A-Z]\w+)(?:\s+.*)?", line)
        if match and match[2] in rooted:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            status = re.search(r"\b([45]\d\d)\b", line)
            drawn[match[2]] = (path[depth - 1] if depth else "Exception", int(status[1]) if status else 0)
    assert drawn.keys() == rooted
    for name, (parent, status) in drawn.items():
        kind = getattr(module, name, None) or getattr(errors, name)
        assert parent in {each.__name__ for each in kind.__mro__[1:]}
        if status:
            assert kind.status == status


def test_ours_are_no_http_exceptions_and_the_hosts_handlers_for_those_do_not_take_them() -> None:
    from werkzeug.exceptions import HTTPException

    assert not [kind for kind in KINDS if issubclass(kind, HTTPException)]
    assert all(issubclass(kind, LinkedAuthError) for kind in KINDS)


def test_every_problem_has_a_slug_of_its_own_and_words() -> None:
    slugs = [kind.slug for kind in PROBLEMS if "slug" in vars(kind)]
    assert len(set(slugs)) == len(slugs)
    for kind in PROBLEMS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.slug)
        assert kind.title[0].isupper()
        assert kind.__doc__
        assert kind is Problem or kind is errors.InternalError or "slug" in vars(kind)


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
def test_every_problem_is_answered_in_the_one_shape(kind: type[Problem]) -> None:
    app = make_app()

    @app.get("/raise")
    def view() -> str:
        raise made(kind)

    answer = app.test_client().get("/raise")
    body = refused(answer, kind.status, kind.slug)
    assert body.keys() - {"scope"} == {"type", "title", "status", "detail", "slug"}
    for name, value in made(kind).headers().items():
        assert answer.headers[name] == value


def test_a_problem_says_more_where_it_is_told_more() -> None:
    problem = errors.Conflict(
        "Both want it.", errors={"title": ["Is taken.", "Is short."]}, members={"by": 3}
    )
    assert (problem.detail, str(problem)) == ("Both want it.", "Both want it.")
    assert problem.errors == {"title": ["Is taken.", "Is short."]}
    assert problem.members == {"by": 3}
    assert errors.Conflict().detail == "Conflict."


def test_nothing_of_a_problem_can_be_changed_by_who_catches_it() -> None:
    fields: dict[str, list[str]] = {"a": ["b"]}
    problem = errors.InvalidFields(errors=fields)
    fields["c"] = ["d"]  # Ory herodot: shared details leaked from one request into another's
    assert problem.errors == {"a": ["b"]}
    for mapping in (problem.errors, problem.members):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]
    assert errors.InvalidFields().errors == {}


@pytest.mark.parametrize(
    "evil", ['a"b', "a\\b", "a\r\nSet-Cookie: x=1", "\x1b[31m", "caf\u00e9", "\u2028", "\ud800"]
)
def test_no_detail_gets_out_of_its_header(evil: str) -> None:
    header = errors.InvalidToken(f"before{evil}after").headers()["WWW-Authenticate"]
    assert re.fullmatch(r'Bearer error="invalid_token", error_description="before[ -~]*after"', header)
    assert header.count('"') == 4
    assert "\\" not in header


def test_retry_after_is_at_least_a_second() -> None:
    for given, said in ((0, "1"), (-5, "1"), (1, "1"), (60, "60")):
        assert errors.Unavailable(retry_after=given).headers() == {"Retry-After": said}
        assert errors.TooManyRequests(retry_after=given).headers() == {"Retry-After": said}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_error_module_needs_no_flask(module: ModuleType) -> None:
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(module))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in imported if name.startswith(("flask", "werkzeug"))]


def test_a_problem_outside_our_views_works_without_the_extension_once_it_is_registered() -> None:
    app = Flask("plain")
    app.testing = True
    from flask_linked_auth.http import answer

    app.register_error_handler(Problem, answer)

    @app.get("/")
    def home() -> str:
        raise errors.NotFound("Not here.")

    assert refused(app.test_client().get("/"), 404, "not-found")["detail"] == "Not here."

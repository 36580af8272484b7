"""The OpenAPI 3.1 document of an app, made from its url rules, the `describe` marks and guards on its views."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from apispec import APISpec

from ..globals import state_of
from ..guards import Access, access_of, is_protected
from ..hooks import call_hook
from .marks import Answer, Body, Description, Page, description_of
from .paths import parameters_in, template_of
from .problems import Problems, of_body, of_guard
from .shapes import PAGE_PARAMETERS, Shapes

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.routing import Rule

__all__ = ["build"]

VERSION = "3.1.0"
WORDS = """\
Bodies are JSON objects, sent as `application/json`. Errors are `application/problem+json` (RFC 9457) with a stable
`slug`. Guarded endpoints want an access token, as `Authorization: Bearer <token>` or `api-token: <token>`.
"""


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One method of one url rule whose view is described."""

    rule: Rule
    method: str
    name: str
    function: Any
    told: Description
    access: Access | None


def build(app: Flask) -> dict[str, Any]:
    """The document, without `servers`; in a context of the app. Raises what a schema that is none raises."""
    state = state_of(app)
    shapes = Shapes(state)
    spec = APISpec(
        title=state.settings.name,
        version="1",
        openapi_version=VERSION,
        plugins=[shapes.plugin],
        info={"description": WORDS},
    )
    shapes.use(spec)
    schemes = _security_schemes(state)
    for name, scheme in schemes.items():
        spec.components.security_scheme(name, scheme)
    operations = _Operations(shapes, Problems(spec, app), schemes)
    endpoints = list(_endpoints(app))
    for endpoint in endpoints:
        made = operations.make(endpoint)
        spec.path(path=template_of(endpoint.rule), operations={endpoint.method.lower(): made})
    for tag in dict.fromkeys(tag for endpoint in endpoints for tag in _tags(endpoint)):
        spec.tag({"name": tag})
    document: dict[str, Any] = spec.to_dict()
    hook = state.hooks.get("api_document")
    changed = None if hook is None else call_hook(hook, document)
    return document if changed is None else dict(changed)


def _security_schemes(state: Any) -> dict[str, dict[str, str]]:
    schemes = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` that a login gives.",
        },
        "apiToken": {
            "type": "apiKey",
            "in": "header",
            "name": "api-token",
            "description": "The same token in a header of its own. Send one of the two.",
        },
    }
    if "cookie" in state.readers:
        from ..accounts.browser import cookie_name

        schemes["cookie"] = {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie_name(),
            "description": "The login of a browser, on requests of the same origin. A browser sends it by itself.",
        }
        schemes["csrfToken"] = {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "Beside the cookie, on methods that change something.",
        }
    if "link" in state.readers:
        schemes["link"] = {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "A linked app: `Link App=<its slug>,Token=<JWT>`.",
        }
        schemes["signature"] = {
            "type": "apiKey",
            "in": "header",
            "name": "Signature",
            "description": "A linked app that signs its requests (RFC 9421), with `Signature-Input` beside it.",
        }
    return schemes


def _endpoints(app: Flask) -> Iterator[_Endpoint]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            found = description_of(view, method)
            if found is None:
                continue
            told, function = found
            access = access_of(view, method)
            if told.credentials or (access is None and is_protected(app, rule.endpoint)):
                access = Access("people")
            yield _Endpoint(rule, method, _name(rule, method, view), function, told, access)


def _name(rule: Rule, method: str, view: Any) -> str:
    """The name of a view function; with the method where that alone does not say which operation is meant."""
    last = rule.endpoint.rpartition(".")[2]
    name = str(getattr(view, "__name__", last))
    alone = len((rule.methods or set()) - {"HEAD", "OPTIONS"}) == 1
    name = name if name.isidentifier() else last
    return name if alone else f"{name}_{method.lower()}"


class _Operations:
    def __init__(self, shapes: Shapes, problems: Problems, schemes: Collection[str]) -> None:
        self._shapes = shapes
        self._problems = problems
        self._cookie, self._links = "cookie" in schemes, "link" in schemes
        self._ids: set[str] = set()

    def make(self, endpoint: _Endpoint) -> dict[str, Any]:
        """The operation object of one endpoint."""
        told, access = endpoint.told, endpoint.access
        summary, description = _words(endpoint)
        made: dict[str, Any] = {"operationId": self._id(endpoint), "summary": summary}
        if description:
            made["description"] = description
        made["tags"] = _tags(endpoint)
        cookie = self._cookie and told.credentials != "headers"
        csrf = cookie and endpoint.method != "GET"
        paged = any(isinstance(self._shapes.asked(each.shape), Page) for each in told.answers.values())
        if parameters := self._parameters(endpoint, paged=paged):
            made["parameters"] = parameters
        if told.body is not None:
            made["requestBody"] = self._body(told.body)
        made["responses"] = {str(status): self._answer(status, each) for status, each in told.answers.items()}
        problems = [*told.errors, *of_guard(access, csrf=csrf, links=self._links)]
        problems += of_body() if told.body is not None else []
        made["responses"] |= self._problems.responses(problems, paged=paged)
        if access is not None and access.who != "anyone":
            ways = _security(access, cookie=cookie, csrf=csrf, links=self._links)
            optional = all(each.optional for each in access.each) or told.credentials == "optional"
            made["security"] = [{}, *ways] if optional else ways
        return made

    def _id(self, endpoint: _Endpoint) -> str:
        """The name of the view; with that of the blueprint, and a number, where it is taken."""
        blueprint = endpoint.rule.endpoint.rpartition(".")[0].replace(".", "_")
        longer = f"{blueprint}_{endpoint.name}" if blueprint else endpoint.name
        numbered = (f"{longer}_{number}" for number in count(2))
        free = next(each for each in chain([endpoint.name, longer], numbered) if each not in self._ids)
        self._ids.add(free)
        return free

    def _parameters(self, endpoint: _Endpoint, *, paged: bool) -> list[dict[str, Any]]:
        in_path = parameters_in(endpoint.rule)
        told = {name: self._shapes.json(shape, "Body") for name, shape in endpoint.told.parameters.items()}
        found = [
            {"name": name, "in": "path", "required": True, "schema": told.get(name, schema)}
            for name, schema in in_path.items()
        ]
        queried = {name: schema for name, schema in told.items() if name not in in_path}
        queried |= PAGE_PARAMETERS if paged else {}
        return found + [{"name": name, "in": "query", "schema": schema} for name, schema in queried.items()]

    def _body(self, body: Body) -> dict[str, Any]:
        schema = self._shapes.json(body.shape, "Change" if body.partial else "Body")
        example = body.example
        if example is None:
            example = self._shapes.example(schema)
            if body.partial and isinstance(example, dict):
                example = dict(list(example.items())[-1:])  # a change of one field says that one is enough
        return {"required": not body.optional, "content": _json(schema, example)}

    def _answer(self, status: int, answer: Answer) -> dict[str, Any]:
        made: dict[str, Any] = {"description": answer.description or f"{HTTPStatus(status).phrase}."}
        if answer.headers:
            made["headers"] = {
                name: {"description": words, "required": True, "schema": {"type": "string"}}
                for name, words in answer.headers.items()
            }
        if answer.shape is not None:
            schema = self._shapes.json(answer.shape)
            example = self._shapes.example(schema) if answer.example is None else answer.example
            made["content"] = _json(schema, example)
        return made


def _security(access: Access, *, cookie: bool, csrf: bool, links: bool) -> list[dict[str, list[str]]]:
    """The credentials of which one is needed; a browser's cookie counts as two where it wants a CSRF token beside."""
    scopes = list(dict.fromkeys(scope for each in access.each for scope in each.scopes))
    linked = [
        way for way, mode in _MODES.items() if links and all(mode in each.modes for each in access.each)
    ]
    if any(each.mode is not None for each in access.each):
        return [{way: scopes} for way in linked]
    ways: list[dict[str, list[str]]] = [{"bearer": scopes}, {"apiToken": scopes}]
    if cookie:
        ways.append({"cookie": scopes, "csrfToken": []} if csrf else {"cookie": scopes})
    return ways + [{way: scopes} for way in linked]


_MODES = {"link": "jwt", "signature": "signature"}  # by the names of their security schemes


def _json(schema: Any, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "example": example}}


def _tags(endpoint: _Endpoint) -> list[str]:
    """Those that were told, else the name of the blueprint."""
    blueprint = endpoint.rule.endpoint.rpartition(".")[0]
    return list(endpoint.told.tags or ([blueprint.replace("_", " ").capitalize()] if blueprint else ["App"]))


def _words(endpoint: _Endpoint) -> tuple[str, str]:
    """The first line of the docstring, and the rest of it with what the guard wants."""
    first, _, rest = (inspect.getdoc(endpoint.function) or endpoint.rule.endpoint).partition("\n")
    told = [rest.strip()] if rest.strip() else []
    if (access := endpoint.access) is not None:
        if access.scopes:
            named = (" or " if access.any_of else " and ").join(f"`{each}`" for each in access.scopes)
            told.append(f"Needs the scope {named}.")
        if access.fresh is not None:
            told.append(f"Needs a login of at most {access.fresh} seconds ago.")
        if access.optional:
            told.append("Works without a token too; one that is sent must be good.")
    return first.removesuffix("."), "\n\n".join(told)

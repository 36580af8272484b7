"""Our errors as answers of the API document: each status that can come, with the slugs that can come with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import link_errors
from ..errors import (
    CSRFFailed,
    ExpiredToken,
    InvalidFields,
    InvalidToken,
    MalformedRequest,
    MissingScope,
    MissingToken,
    Problem,
    RevokedToken,
    RivalCredentials,
    StaleLogin,
    TooLarge,
    Unavailable,
    UnknownUser,
    UnsupportedMediaType,
)
from ..http import ERRORS, MAX_BODY, MAX_PAGE, TYPE

if TYPE_CHECKING:
    from apispec import APISpec
    from flask import Flask

    from ..guards import Access

__all__ = ["Problems", "of_body", "of_guard"]

Kinds = list[Problem | type[Problem]]

_SCHEMA = {
    "type": "object",
    "description": "An error (RFC 9457). `slug` is stable, `detail` is for people, `errors` maps fields to complaints.",
    "required": ["type", "title", "status", "detail", "slug"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Where the error is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "slug": {"type": "string", "pattern": "^[a-z-]+$"},
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    },
}
_HEADERS: dict[str, dict[str, Any]] = {
    "WWW-Authenticate": {
        "description": "How to authenticate, with the error code of RFC 6750.",
        "schema": {"type": "string", "pattern": "^Bearer"},
        "example": 'Bearer error="invalid_token"',
    },
    "Retry-After": {
        "description": "After how many seconds trying again makes sense.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
}


#: What a guard with scopes can answer to a linked app.
_OF_LINKS: tuple[type[Problem], ...] = (
    link_errors.MalformedHeader,
    link_errors.ForbiddenStrategy,
    link_errors.BadSchema,
    link_errors.UnknownApp,
    link_errors.UnknownAlgorithm,
    link_errors.WrongAppToken,
    link_errors.WrongLegacyAppToken,
    link_errors.ExpiredCredential,
    link_errors.BadTimestamp,
    link_errors.Replayed,
    link_errors.AgreementNotAccepted,
    MalformedRequest,
    TooLarge,
)


def of_guard(access: Access | None, *, csrf: bool, links: bool) -> Kinds:
    """What a guard can answer.

    `csrf` says that a browser's cookie counts here and wants a CSRF token, `links` that linked apps may call.
    """
    if access is None or access.who == "anyone":
        return []
    if access.further is not None:
        each_of = (replace(access, further=None), access.further)
        found = [problem for each in each_of for problem in of_guard(each, csrf=csrf, links=links)]
        return list({repr(each): each for each in found}.values())
    found = [RivalCredentials, InvalidToken, ExpiredToken, RevokedToken, UnknownUser, Unavailable]
    found += [link_errors.UnknownSchema]
    if not access.optional:
        found.insert(1, MissingToken)
    if links and (access.who == "people" or access.mode is not None):
        found.append(link_errors.ForbiddenSchema)
    if links and access.who == "scopes":
        found += [*_OF_LINKS, *([] if access.mode is None else [link_errors.NoAuthorizationHeader])]
    if access.fresh is not None:
        found.append(StaleLogin(access.fresh))
    if access.scopes:
        found.append(MissingScope(access.scopes, any_of=access.any_of))
    return [*found, CSRFFailed] if csrf else found


def of_body() -> Kinds:
    """What reading a JSON body can answer."""
    return [
        MalformedRequest("The body is not JSON that can be read."),
        TooLarge(f"The body may have {MAX_BODY} bytes."),
        UnsupportedMediaType("Send the body as application/json."),
        InvalidFields("Some fields are not valid.", errors={"colour": ["Unknown field."]}),
    ]


def of_page() -> Kinds:
    """What a page of a list can answer."""
    complaint = f"Must be given once, as a whole number from 1 to {MAX_PAGE}."
    return [MalformedRequest(errors={"page": [complaint]})]


class Problems:
    """The answers of one document that are errors; the same answer is one component."""

    def __init__(self, spec: APISpec, app: Flask) -> None:
        self._spec = spec
        page_of_errors = app.extensions.get(ERRORS)
        self._types = TYPE if page_of_errors is None else f"{page_of_errors}#"
        self._made: dict[str, str] = {}
        spec.components.schema("Problem", _SCHEMA)
        for name, header in _HEADERS.items():
            spec.components.header(name, header)

    def responses(self, kinds: Iterable[Problem | type[Problem]], *, paged: bool) -> dict[str, Any]:
        """The responses object for these errors, by status; of two with one slug the first is shown."""
        by_status: dict[int, dict[str, Problem]] = {}
        for problem in _instances([*kinds, *(of_page() if paged else [])]):
            by_status.setdefault(problem.status, {}).setdefault(problem.slug, problem)
        return {str(status): self._response(by_status[status]) for status in sorted(by_status)}

    def _response(self, problems: dict[str, Problem]) -> dict[str, Any]:
        shared = set.intersection(*(set(each.headers()) for each in problems.values()))
        status = next(iter(problems.values())).status
        narrowed = {"properties": {"status": {"const": status}, "slug": {"enum": list(problems)}}}
        content = {
            "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]},
            "examples": {slug: {"value": self._example(each)} for slug, each in problems.items()},
        }
        made: dict[str, Any] = {
            "description": "\n".join(f"- `{slug}`: {_meaning(each)}" for slug, each in problems.items()),
            "content": {"application/problem+json": content},
        }
        if headers := {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS if name in shared}:
            made["headers"] = headers
        return self._shared(".".join(problems), made)

    def _shared(self, wished: str, made: dict[str, Any]) -> dict[str, Any]:
        name, number = wished, 1
        while self._made.get(name, repr(made)) != repr(made):
            number += 1
            name = f"{wished}.{number}"
        if name not in self._made:
            self._made[name] = repr(made)
            self._spec.components.response(name, made)
        return {"$ref": f"#/components/responses/{name}"}

    def _example(self, problem: Problem) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": self._types + problem.slug,
            "title": str(problem.title),
            "status": problem.status,
            "detail": str(problem.detail),
            "slug": problem.slug,
            **problem.members,
        }
        if problem.errors:
            body["errors"] = {field: [*map(str, said)] for field, said in problem.errors.items()}
        return body


def _instances(kinds: Iterable[Problem | type[Problem]]) -> Iterator[Problem]:
    for kind in kinds:
        yield kind if isinstance(kind, Problem) else kind()


def _meaning(problem: Problem) -> str:
    return str(problem.meaning)

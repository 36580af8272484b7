"""`describe`, which puts a view into the API document, and what it can be told. Light: views import it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from ..errors import Problem

__all__ = ["Answer", "Body", "Description", "Page", "Shape", "describe", "description_of"]

V = TypeVar("V", bound=Callable[..., Any])
_MARK = "__linked_auth_described__"

#: A marshmallow schema (class or instance), a JSON schema (in which marshmallow schemas may stand anywhere), a
#: `Page` of one, or a function that gives one for the `State` of the app.
Shape: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Body:
    """The JSON body that a view reads. `partial`: no field is required; `optional`: it may be left out whole."""

    shape: Shape
    partial: bool = False
    optional: bool = False
    example: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error: its JSON, if it has any, and headers by name, each with what it tells."""

    shape: Shape = None
    description: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    example: Any = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, as `flask_linked_auth.http.page` answers it; the view takes `page` and `page_size`."""

    of: Shape


@dataclass(frozen=True, slots=True)
class Description:
    """What `describe` was told about a view."""

    body: Body | None
    answers: Mapping[int, Answer]
    errors: tuple[Problem | type[Problem], ...]
    parameters: Mapping[str, Shape]
    tags: tuple[str, ...]
    credentials: Literal["any", "headers", "optional"] | None


def describe(
    *,
    body: Shape = None,
    answers: Mapping[int, Shape] | None = None,
    errors: Sequence[Problem | type[Problem]] = (),
    parameters: Mapping[str, Shape] | None = None,
    tags: Sequence[str] = (),
    credentials: Literal["any", "headers", "optional"] | None = None,
) -> Callable[[V], V]:
    """Put a view into the API document. The guards on it, above or below, tell of themselves.

    `body` is what `read_json` is given; it brings 400, 413, 415 and 422 along. `answers` maps a status to what comes
    with it, None for nothing. `errors` are our errors that the view raises itself; one with words in it is shown
    as the example. `parameters` are those of the path, and with other names those of the query. `credentials` is for
    views without a guard that identify the caller themselves: by any credential, by the headers and no cookie, or
    by something in the body as well. Raises TypeError, where it is written, for what is none of these.
    """
    listed = tuple(errors)
    for each in listed:
        if not (isinstance(each, Problem) or (isinstance(each, type) and issubclass(each, Problem))):
            raise TypeError(f"errors= wants errors of flask_linked_auth.errors, not {each!r}")
    told = Description(
        body=body if isinstance(body, Body) or body is None else Body(body),
        answers={int(status): _answer(each) for status, each in (answers or {200: None}).items()},
        errors=listed,
        parameters=dict(parameters or {}),
        tags=(tags,) if isinstance(tags, str) else tuple(tags),
        credentials=credentials,
    )

    def mark(view: V) -> V:
        setattr(view, _MARK, told)
        return view

    return mark


def _answer(shape: Shape) -> Answer:
    return shape if isinstance(shape, Answer) else Answer(shape)


def description_of(view: Any, method: str) -> tuple[Description, Any] | None:
    """What was told of a view function, or of this method of a `MethodView`, and the function; None if nothing."""
    view_class = getattr(view, "view_class", None)
    for function in (view, getattr(view_class, method.lower(), None), view_class):
        told: Description | None = getattr(function, _MARK, None)
        if told is not None:
            return told, function
    return None

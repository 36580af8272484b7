"""The edge: read a body by its schema, answer an error, keep answers out of caches, page a list."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Flask, Response, current_app, has_request_context, request
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed as HTTPMethodNotAllowed,
    default_exceptions,
)
from werkzeug.routing import PathConverter

from . import errors
from .complaints import recognised
from .errors import (
    InternalError,
    InvalidFields,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
    UnsupportedMediaType,
)
from .guards import public
from .strict_json import NoObject, UnfitText, read_object
from .texts import _, catalog

if TYPE_CHECKING:
    from flask.sansio.blueprints import BlueprintSetupState
    from sqlalchemy import Select

__all__ = ["answer", "json_errors", "page", "problem_of", "read_json", "read_optional_json", "uncached"]

log = logging.getLogger("flask_linked_auth")

MAX_BODY = 64 * 1024
PAGE_SIZE, MAX_PAGE_SIZE, MAX_PAGE = 20, 100, 10**7
TYPE = "urn:flask-linked-auth:error:"
ERRORS = "linked_auth_errors"  # in app.extensions: the path of the page on which every error is explained

_STORAGE = "linked_auth_json_errors"  # in app.extensions: where json_errors was called, by blueprint or None

_BY_STATUS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (
        MalformedRequest,
        errors.Unauthorized,
        errors.Forbidden,
        NotFound,
        errors.Conflict,
        TooLarge,
        UnsupportedMediaType,
        InvalidFields,
        errors.TooManyRequests,
        InternalError,
        errors.Unavailable,
    )
}
_CODES = sorted(code for code in default_exceptions if code >= 400)


def answer(problem: Problem, **members: Any) -> Response:
    """The RFC 9457 answer to an error: type, title, status, detail, slug, per field errors, and further `members`.

    Title, detail and complaints are in the language of the request. The headers stay English: RFC 6750 section 3
    allows ASCII only, and an `error_description` is for developers.
    """
    spoken = catalog()
    body = {
        "type": type_of(problem),
        "title": spoken.gettext(problem.title),
        "status": problem.status,
        "detail": spoken.gettext(problem.detail),
        "slug": problem.slug,
        **problem.members,
        **members,
    }
    if problem.errors:
        body["errors"] = {
            name: [spoken.gettext(each) for each in said] for name, said in problem.errors.items()
        }
    response = Response(json.dumps(body), problem.status, problem.headers())
    response.content_type = "application/problem+json"
    response.headers["Content-Language"] = spoken.language
    response.headers["Vary"] = "Accept-Language"
    return uncached(response)


def type_of(problem: Problem | type[Problem]) -> str:
    """What identifies an error, and leads to its explanation on the page that the accounts serve.

    A full path within the site (RFC 9457 section 3.1.1), not an address with a Host header in it; a URN where
    there is no such page.
    """
    page_of_errors = current_app.extensions.get(ERRORS)
    if page_of_errors is None:
        return TYPE + problem.slug
    root = request.script_root if has_request_context() else ""
    return f"{quote(root) if root else ''}{page_of_errors}#{problem.slug}"


def uncached(response: Response) -> Response:
    """Forbid storing an answer that may hold a token or depend on one (RFC 6749 section 5.1)."""
    if response.status_code == 204:
        response.headers.pop("Content-Type", None)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    state = current_app.extensions.get("linked_auth")
    if state is not None and state.settings.service_header:
        response.headers["Service"] = state.settings.name
    return response


def problem_of(error: Exception) -> Problem:
    """What to answer to an exception that escaped one of our own views. A bug is logged, and its words stay there."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPMethodNotAllowed):
        return MethodNotAllowed(tuple(error.valid_methods or ()))
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.code or 500)
        if kind is None:
            named = {"status": error.code, "slug": "http-error", "title": error.name}
            kind = type(error.name, (Problem,), named)
        return kind(_words_of(error))
    from .storage import described, storage_problem  # only where there is a database

    problem = storage_problem(error)
    if problem is None:
        log.error("An error in a view of flask_linked_auth\n%s", described(error))
    return problem or InternalError()


def _words_of(error: HTTPException) -> str | None:
    """What somebody said with `abort(403, "…")`; None for werkzeug's own words, in place of which ours are."""
    own = default_exceptions.get(error.code or 500, HTTPException).description
    return None if error.description in (None, own) else str(error.description)


def _from_http(error: HTTPException) -> Response:
    if error.response is not None:  # somebody's abort(response): they said what to answer
        return error.response  # type: ignore[return-value]
    response = answer(problem_of(error))
    told = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    for said in {name for name, value in told}:  # a challenge, Retry-After, Allow
        response.headers.setlist(said, [value for name, value in told if name == said])
    return response


def _from_storage(error: Exception) -> Response:
    from .storage import storage_problem

    problem = storage_problem(error)
    if problem is None:
        raise error  # a bug, for Flask to log and answer
    return answer(problem)


def _from_any(error: Exception) -> Any:
    """The answer to whatever escaped one of our own views."""
    if isinstance(error, Problem):
        # A handler for `Exception` on a blueprint would hide the host's handlers for our errors: ask those first.
        for kind in type(error).__mro__:
            handler = current_app.error_handler_spec[None][None].get(kind)
            if handler is not None and issubclass(kind, errors.LinkedAuthError):
                return current_app.ensure_sync(handler)(error)
    return answer(problem_of(error))


def json_errors(target: Flask | Blueprint) -> None:
    """Answer every HTTP error of an app or blueprint in our one shape, and 503 for a database out of reach.

    What the host says with `abort(403, "…")`, and headers of the error, are kept. A handler of the host's own for
    SQLAlchemyError goes first.
    """
    for (
        code
    ) in _CODES:  # each by itself, since an app's handler for a code beats a blueprint's for all of them
        target.register_error_handler(code, _from_http)
    if isinstance(target, Blueprint):
        target.record(lambda setup: _answer_storage_in(setup.app, _name_of(setup)))
    else:
        _answer_storage_in(target, None)


def _name_of(setup: BlueprintSetupState) -> str:
    return f"{setup.name_prefix}.{setup.name}".lstrip(".")


def _answer_storage_in(app: Any, scope: str | None) -> None:
    app.extensions.setdefault(_STORAGE, []).append(scope)
    answer_storage_errors(app)


def answer_storage_errors(app: Flask) -> None:
    """Register what `json_errors` could not when it came first: before LinkedAuth, there may be no SQLAlchemy yet."""
    if "sqlalchemy" not in sys.modules:  # then there is no database, and nothing to import for it
        return
    from sqlalchemy.exc import SQLAlchemyError

    for scope in app.extensions.get(_STORAGE, ()):
        app.error_handler_spec[scope][None].setdefault(SQLAlchemyError, _from_storage)


def guard_errors(blueprint: Blueprint, shown: Callable[[Any], Any] | None = None) -> None:
    """`json_errors`, and no trace of a bug either, whatever handlers the host has. Pages say how errors are `shown`."""
    for code in _CODES:
        blueprint.register_error_handler(code, shown or _from_http)
    blueprint.register_error_handler(Exception, shown or _from_any)
    blueprint.after_request(uncached)
    blueprint.url_value_preprocessor(lambda endpoint, values: _exempt(blueprint))  # noqa: ARG005 - Flask's signature


def _exempt(blueprint: Blueprint) -> None:
    """Take our routes out of the host's own CSRFProtect: they read JSON and a header, or a form with our own token.

    Here and not at set-up, because this runs before any `before_request` whichever of the two was set up first.
    """
    protection = current_app.extensions.get("csrf")
    if protection is not None:
        protection.exempt(blueprint)


def catch_all(blueprint: Blueprint) -> None:
    """Turn unknown paths and methods under the blueprint's prefix into our own 404 and 405."""

    def unknown(rest: str = "") -> Response:  # noqa: ARG001 - what the rule matched
        adapter = current_app.create_url_adapter(request)
        allowed = sorted(adapter.allowed_methods())  # type: ignore[union-attr] # there is a request
        if not allowed:
            raise NotFound("There is nothing at this path.")
        if request.method == "OPTIONS":
            # A browser's preflight wants a 2xx, to which the host's CORS adds its headers.
            return Response(status=204, headers={"Allow": ", ".join(allowed)})
        raise MethodNotAllowed(allowed)

    def take_all(setup: BlueprintSetupState) -> None:
        setup.app.url_map.converters["linked_auth_rest"] = _Rest
        for rule in ("/", "/<linked_auth_rest:rest>"):
            setup.add_url_rule(
                rule, "unknown", public(unknown), provide_automatic_options=False, strict_slashes=False
            )
        endpoint = f"{_name_of(setup)}.unknown"
        for added in setup.app.url_map.iter_rules(endpoint):
            added.methods = _AnyMethod()  # type: ignore[assignment] # never changed

    blueprint.record(take_all)


class _AnyMethod(frozenset[str]):
    """Every method, also one that nobody has thought of yet; none where werkzeug asks which ones a path allows."""

    def __contains__(self, method: object) -> bool:
        return method != "--"  # no method: by it, `allowed_methods` collects those of the rules that match


class _Rest(PathConverter):
    """Any rest of a path: also one with a leading slash, which werkzeug would redirect by the Host header."""

    part_isolating = False
    regex = r"(?s:.*?)"
    weight = 300


def read_json(schema: Schema, *, partial: bool = False) -> dict[str, Any]:
    """The request's JSON object, loaded by `schema`.

    Raises UnsupportedMediaType, TooLarge, MalformedRequest (not JSON, not an object, a name twice, NaN, too deep,
    a NUL or a lone surrogate in a text) and InvalidFields.
    """
    if request.mimetype != "application/json":
        # Anything a plain form can send would let another site post here in the browser's name.
        raise UnsupportedMediaType("Send the body as application/json.")
    return load(schema, _parse(_body()), partial=partial)


def read_optional_json(schema: Schema) -> dict[str, Any]:
    """`read_json` where the body may be left out: then an empty dict."""
    if not _body():
        return {}
    return read_json(schema)


def load(schema: Schema, fields: dict[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """`fields` loaded by `schema`, or InvalidFields."""
    try:
        loaded: dict[str, Any] = schema.load(fields, partial=partial or None)
    except ValidationError as error:
        raise InvalidFields("Some fields are not valid.", errors=_flat(error)) from None
    return loaded


def _flat(error: ValidationError) -> dict[str, list[str]]:
    """The messages of marshmallow as one list a field."""
    messages: dict[str, Any] = (
        error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
    )
    flat: dict[str, list[str]] = {}
    for name, complaints in messages.items():
        listed = complaints if isinstance(complaints, list) else [json.dumps(complaints)]
        flat[str(name)[:64]] = [recognised(each if isinstance(each, str) else str(each)) for each in listed]
    return flat


def _body() -> bytes:
    if (request.content_length or 0) > MAX_BODY:
        raise TooLarge("The body may have %(most)s bytes.", values={"most": MAX_BODY})
    if request.content_length is not None:
        return request.get_data()
    data: bytes = request.stream.read(MAX_BODY + 1) or request.get_data()
    if len(data) > MAX_BODY:
        raise TooLarge("The body may have %(most)s bytes.", values={"most": MAX_BODY})
    return data


def _parse(body: bytes) -> dict[str, Any]:
    try:
        return read_object(body)
    except NoObject:
        raise MalformedRequest("The body must be a JSON object.") from None
    except UnfitText:
        raise MalformedRequest("A text holds a NUL or a lone surrogate.") from None
    except (ValueError, RecursionError):
        raise MalformedRequest("The body is not JSON that can be read.") from None


def page(query: Select[Any], order_by: tuple[Any, ...], dump: Callable[[Any], Any]) -> dict[str, Any]:
    """One page of `query` as `{count, next, previous, results}`, by the parameters `page` and `page_size`.

    The links are relative to the host: the Host header is the caller's to choose, and is not reflected.
    """
    from sqlalchemy import func, select

    from .globals import current_state

    number = _parameter("page", 1, MAX_PAGE)
    size = _parameter("page_size", PAGE_SIZE, MAX_PAGE_SIZE)
    session = current_state().database_in_use().db.session
    count = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    rows = session.scalars(query.order_by(*order_by).limit(size).offset((number - 1) * size)).all()
    return {
        "count": count,
        "next": _page_link(number + 1, size) if number * size < count else None,
        "previous": _page_link(number - 1, size) if number > 1 else None,
        "results": [dump(row) for row in rows],
    }


def _page_link(number: int, size: int) -> str:
    return f"{request.script_root}{request.path}?{urlencode({'page': number, 'page_size': size})}"


def _parameter(name: str, default: int, most: int) -> int:
    values = request.args.getlist(name)
    if not values:
        return default
    text = values[0]
    if (
        len(values) > 1
        or not (text.isascii() and text.isdigit())
        or len(text) > 9
        or not 1 <= int(text) <= most
    ):
        complaint = _("Must be given once, as a whole number from 1 to %(most)s.", most=most)
        raise MalformedRequest(errors={name: [complaint]})
    return int(text)

"""The answer of another service passed on as ours: a Flask response, whole or as it comes in."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Response
from urllib3.response import HTTPResponse

from ..catalogs import _
from ..errors import NotFound, Problem, TooLarge
from ..http import answer
from ..link_errors import AppNotFound, BodyTooLarge, ForeignAddress, UpstreamFailed, UpstreamTooSlow

__all__ = ["NoSuchApp", "refusal", "relay", "respond"]

log = logging.getLogger("flask_linked_auth")

CHUNK = 16 * 1024
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

#: Of one connection, not of the answer (RFC 9110 section 7.6.1); and what is no longer true of a body that was decoded.
_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: What a browser would take as said by this site: the other service's cookies and rules are not ours. Nor is its CORS.
_OF_THE_SITE = frozenset(
    {"alt-svc", "clear-site-data", "set-cookie", "set-cookie2", "strict-transport-security"}
)


class NoSuchApp(NotFound):
    """The service that a call is to be passed on to is not linked."""

    slug = "app-not-found"
    title = _("Unknown app")
    meaning = _("The service that this would be asked of is not linked with this one.")


def relay(upstream: Any, *, stream: bool = False) -> Response:
    """The answer of Requests as a Flask response; with `stream` its body is read while ours is sent.

    Then the connection is let go when the client has all of it, or has gone.
    """
    body = upstream.iter_content(CHUNK) if stream else upstream.content
    response = respond(
        upstream.status_code, upstream.raw.headers.items(), body, method=upstream.request.method
    )
    response.call_on_close(upstream.close)
    return response


def respond(
    status: int, headers: Iterable[tuple[str, str]], body: bytes | Iterator[bytes], *, method: str = "GET"
) -> Response:
    """A Flask response with this status, these headers as far as they hold for it, and this decoded body."""
    if status < 200:  # no final answer at all (RFC 9110 section 15.2)
        return answer(UpstreamFailed())
    given = [(name, _unfolded(value)) for name, value in headers if _NAME.fullmatch(name)]
    dropped = _OF_THE_CONNECTION | _OF_THE_SITE | set(_connection_names(given))
    codings = [value for name, value in given if name.lower() == "content-encoding"]
    if codings and _was_decoded(codings):
        dropped |= {"content-encoding", "content-length"}
    as_told = method.upper() == "HEAD" or not isinstance(body, bytes)
    lengths = {value for name, value in given if name.lower() == "content-length"}
    if not as_told or len(lengths) > 1 or not all(each.isdecimal() for each in lengths):
        dropped |= {"content-length"}  # counted anew, or nothing that a length could be
    response = Response(body, status)
    response.automatically_set_content_length = not as_told
    response.headers.clear()
    response.headers.extend(
        (name, value)
        for name, value in given
        if name.lower() not in dropped and not name.lower().startswith("access-control-")
    )
    return response


def refusal(error: Exception, *, late: bool = False) -> Response:
    """The problem that is answered when there is no answer to pass on: nothing of where, or why, it failed.

    `late`: the other service took too long. The log says what kind of failure it was.
    """
    known: dict[type[Exception], type[Problem]] = {
        AppNotFound: NoSuchApp,
        ForeignAddress: NotFound,
        BodyTooLarge: TooLarge,
    }
    problem: Problem = error if isinstance(error, Problem) else known.get(type(error), UpstreamFailed)()
    if late:
        problem = UpstreamTooSlow()
    if isinstance(problem, UpstreamFailed | UpstreamTooSlow):
        log.warning("A call that was to be passed on failed: %s", type(error).__name__)
    return answer(problem)


def _was_decoded(codings: Iterable[str]) -> bool:
    """Whether the body was decoded on the way here: what is not known is passed on as it is."""
    known = {"identity", *HTTPResponse.CONTENT_DECODERS}
    return known.issuperset(each.strip().lower() for value in codings for each in value.split(","))


def _connection_names(headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The headers that `Connection` names as its own."""
    for name, value in headers:
        if name.lower() == "connection":
            yield from (each.strip().lower() for each in value.split(","))


def _unfolded(value: str) -> str:
    """A value on one line: an old server may fold it over several (RFC 9112 section 5.2)."""
    return " ".join(value.split()) if re.search(r"[\r\n]", value) else value

"""Calls of apps in this process, step by step, as a server would make them; for tests only.

Each call runs in a thread and a context of its own: so two apps keep their `g` apart, `async` views work beneath an
event loop, and whoever calls can stop waiting.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from werkzeug.test import run_wsgi_app

from .outgoing import Origin, origin_of

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["Exchange", "Place", "environ_of", "place_of", "take_body"]

log = logging.getLogger("flask_linked_auth")

_RAISED = "A live service raised, at %s"
_BODILESS = frozenset({"204", "304"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where an app lives: an origin, and a path below it ("" for all of it)."""

    origin: Origin
    path: str
    app: Flask | None


def place_of(address: str, app: Flask | None) -> Place:
    """Where the app lives. Raises ValueError for what is no address."""
    origin = origin_of(address)
    if origin is None:
        raise ValueError(f"{address!r} is no address such as 'http://billing.test'.")
    return Place(origin, urlsplit(address).path.rstrip("/"), app)


def environ_of(method: str, url: str, headers: Iterable[tuple[str, Any]], *, place: Place) -> dict[str, Any]:
    """What a server would make of a call's first line and headers (PEP 3333)."""
    parts, (scheme, host, port) = urlsplit(url), place.origin
    raw = parts.path or "/"
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": place.path,
        "PATH_INFO": unquote(raw[len(place.path) :], "latin-1"),
        "QUERY_STRING": parts.query,
        "RAW_URI": raw + (f"?{parts.query}" if parts.query else ""),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": parts.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        joined = key.startswith("HTTP_") and key in environ and key != "HTTP_HOST"
        environ[key] = f"{environ[key]}, {text}" if joined else text
    return environ


def take_body(environ: dict[str, Any], body: bytes) -> None:
    """Put the body where the app reads it."""
    environ["wsgi.input"] = io.BytesIO(body)
    if "CONTENT_LENGTH" not in environ:  # it came in chunks, of which a server shows the whole
        environ["wsgi.input_terminated"] = True


class Exchange:
    """One call of an app. Each step is taken by a worker, all of them in one context that is new."""

    def __init__(self, app: Flask, environ: dict[str, Any], workers: ThreadPoolExecutor) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self._app, self._environ, self._workers = app, environ, workers
        self._context, self._turn = Context(), threading.Lock()
        self._last: Future[Any] | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._end: Callable[[], object] = lambda: None

    @property
    def bodiless(self) -> bool:
        """Whether the answer has no body, whatever the app gave (RFC 9112 section 6.3)."""
        return self._environ["REQUEST_METHOD"] == "HEAD" or self.status[:3] in _BODILESS

    def begin(self) -> Future[None]:
        """Call the app; afterwards there are `status` and `headers`."""
        return self._step(self._call)

    def more(self) -> Future[bytes]:
        """The next piece of the body, b"" at its end. It raises ConnectionResetError if the app raises midway."""
        return self._step(self._next)

    def close(self) -> Future[None]:
        """Have the app let go of the answer, once. Nobody waits for that while it is still at work."""
        at_work = self._last is not None and not self._last.done()
        closing = self._step(self._let_go)
        return _done() if at_work else closing

    def _step(self, deed: Callable[[], Any]) -> Future[Any]:
        self._last = self._workers.submit(self._alone, deed)
        return self._last

    def _alone(self, deed: Callable[[], Any]) -> Any:
        with self._turn:  # what is closed after a time-out may not be done yet
            return self._context.run(deed)

    def _let_go(self) -> None:
        end, self._end = self._end, lambda: None
        try:
            end()
        except Exception:
            log.exception(_RAISED, self._environ["RAW_URI"].partition("?")[0])

    def _call(self) -> None:
        try:
            pieces, self.status, headers = run_wsgi_app(self._app, self._environ)
        except Exception:
            log.exception(_RAISED, self._environ["RAW_URI"].partition("?")[0])
            pieces, self.status = [b"Internal Server Error"], "500 INTERNAL SERVER ERROR"
            self.headers = [("Content-Type", "text/plain"), ("Content-Length", "21")]
        else:
            self.headers = list(headers)
        self._pieces, self._end = iter(pieces), getattr(pieces, "close", self._end)

    def _next(self) -> bytes:
        try:
            return next((piece for piece in self._pieces if piece), b"")
        except Exception:
            log.exception(_RAISED, self._environ["RAW_URI"].partition("?")[0])
            raise ConnectionResetError("The service broke off in the midst of its answer") from None


def _done() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future

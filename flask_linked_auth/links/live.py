"""Services that are alive in one process, for tests: calls of `Service` reach other Flask apps without a socket.

Only what `Service` sends by is replaced, and only meanwhile.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse as Received
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlsplit

from requests.adapters import BaseAdapter, HTTPAdapter
from requests.exceptions import ConnectionError as NoConnection, ReadTimeout
from urllib3._collections import HTTPHeaderDict
from urllib3.response import HTTPResponse

from ..testing_state import refuse_outside_testing
from . import transport
from .exchange import Exchange, Place, environ_of, place_of, take_body
from .outgoing import origin_of
from .signatures import authority_of

if TYPE_CHECKING:
    from flask import Flask
    from requests import PreparedRequest, Response

__all__ = ["Live", "live_services"]

THREADS = 64  # calls under way at once, those that wait for another one included


@contextmanager
def live_services(services: Mapping[str, Flask | None], *, network: bool = False) -> Iterator[None]:
    """Let calls of `Service` reach these apps, by their addresses, as long as this lasts; None for one that is down.

    What is not named is refused with a RuntimeError; with `network` it goes where it would without this. An app whose
    view raises answers 500, and the log says what was raised. Signed requests are admitted at the address.

    Raises RuntimeError outside testing, ValueError for what is no address, or when no app is named.
    """
    apps = {address: app for address, app in services.items() if app is not None}
    if not apps:
        raise ValueError("Name one app at least: the one that is under test has an address as well.")
    for app in apps.values():
        refuse_outside_testing(app)
    with ExitStack() as stack:
        live = Live([place_of(*each) for each in services.items()], outer=transport.pool(), network=network)
        stack.callback(live.workers.shutdown, cancel_futures=True)
        for address, app in apps.items():
            stack.callback(_admit(app, address))
        # In the place of what production uses, so that it has no seam to pay for.
        stack.enter_context(patch.object(transport, "pool", lambda: live))
        try:
            from . import async_client
        except ImportError:
            pass  # without the extra [async] nobody calls by it
        else:
            from .live_async import transport_to

            to = transport_to(live.find, async_client.shared_transport, workers=live.workers)
            stack.enter_context(patch.object(async_client, "shared_transport", to))
        yield


def _admit(app: Flask, address: str) -> Callable[[], None]:
    """Let signed requests reach the app under this address; what ends that."""
    state = app.extensions.get("linked_auth")
    links = None if state is None else state.parts.get("links")
    parts = urlsplit(address)
    authority = authority_of(parts.netloc, parts.scheme)
    if links is None or authority in links.hosts:
        return lambda: None
    links.hosts.add(authority)
    return lambda: links.hosts.discard(authority)


class Live(BaseAdapter):
    """The services that are alive, and Requests' way to them; `outer` is the way to whatever is not named here."""

    def __init__(self, places: Iterable[Place], *, outer: BaseAdapter, network: bool) -> None:
        super().__init__()
        self.places = sorted(places, key=lambda place: -len(place.path))
        self.outer = outer
        self.network = network
        self.workers = ThreadPoolExecutor(THREADS, thread_name_prefix="live-service")

    def find(self, url: str) -> Place | None:
        """Where this address leads. None for the network, or for the services around these."""
        origin, path = origin_of(url), urlsplit(url).path
        for place in self.places:
            if place.origin == origin and f"{path}/".startswith(f"{place.path}/"):
                return place
        if self.network or isinstance(self.outer, Live):
            return None
        named = ", ".join("{}://{}:{}".format(*place.origin) + place.path for place in self.places)
        raise RuntimeError(
            f"A call to {url.partition('?')[0]} would leave the test: live_services names {named} only."
            " Name it there (None for a service that is down), or say network=True."
        )

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Answer as the app does. Raises as Requests does: ConnectionError, ReadTimeout."""
        place = self.find(str(request.url))
        if place is None:
            return self.outer.send(request, *args, **options)
        if place.app is None:
            raise NoConnection("Connection refused: live_services has this service down", request=request)
        timeout = options.get("timeout")
        patience = timeout[1] if isinstance(timeout, tuple) else timeout
        environ = environ_of(str(request.method), str(request.url), request.headers.items(), place=place)
        take_body(environ, _whole(request.body))
        exchange = Exchange(place.app, environ, self.workers)
        try:
            exchange.begin().result(patience)
        except TimeoutError:
            exchange.close()
            raise ReadTimeout(f"No answer within {patience} seconds", request=request) from None
        response = _BUILDER.build_response(request, _received(exchange, str(request.method), patience))
        response.connection = self  # type: ignore[assignment] # any adapter will do
        return response

    def close(self) -> None:
        """Nothing is kept open between calls."""


_BUILDER = HTTPAdapter()


def _whole(body: Any) -> bytes:
    # In the thread of the caller: what yields it may be of the caller's context.
    if body is None or isinstance(body, bytes):
        return body or b""
    pieces = [body.read()] if hasattr(body, "read") else body
    return b"".join(each.encode() if isinstance(each, str) else each for each in pieces)


class _Wire(io.RawIOBase):
    """The answer as it would come over a connection (RFC 9112)."""

    def __init__(self, exchange: Exchange, patience: float | None) -> None:
        self._exchange, self._patience = exchange, patience
        self._pieces = self._sent()
        self._rest = b""

    def makefile(self, *_mode: Any) -> io.BufferedReader:
        """As of a socket, which is what `http.client` reads from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            self._exchange.close().result()
        super().close()

    def _sent(self) -> Iterator[bytes]:
        exchange = self._exchange
        lines = [f"HTTP/1.1 {exchange.status}", *(f"{name}: {value}" for name, value in exchange.headers)]
        chunked = not exchange.bodiless and "content-length" not in {n.lower() for n, _ in exchange.headers}
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        yield "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")
        while not exchange.bodiless and (piece := exchange.more().result(self._patience)):
            yield b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
        if chunked:
            yield b"0\r\n\r\n"


def _received(exchange: Exchange, method: str, patience: float | None) -> HTTPResponse:
    """The answer as urllib3 has it from a connection."""
    answer = Received(_Wire(exchange, patience), method=method)  # type: ignore[arg-type] # as a socket
    answer.begin()
    return HTTPResponse(
        body=answer,
        headers=HTTPHeaderDict(answer.msg.items()),
        status=answer.status,
        version=answer.version,
        reason=answer.reason,
        preload_content=False,
        decode_content=False,
        original_response=answer,
        request_method=method,
    )

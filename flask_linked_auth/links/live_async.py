"""The way of `async with Service(...)` to services that are alive in this process. Imported only with httpx2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from .exchange import Exchange, Place, environ_of, take_body

__all__ = ["transport_to"]

Find = Callable[[str], Place | None]
SharedTransport = Callable[[str], Awaitable[httpx2.AsyncBaseTransport]]


def transport_to(find: Find, outer: SharedTransport, *, workers: ThreadPoolExecutor) -> SharedTransport:
    """What stands for `async_client.shared_transport` while the services that `find` knows are alive."""

    async def shared_transport(address: str) -> httpx2.AsyncBaseTransport:
        return await outer(address) if find(address) is None else _Transport(find, workers)

    return shared_transport


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, find: Find, workers: ThreadPoolExecutor) -> None:
        self.find, self.workers = find, workers

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as the app does. Raises as httpx2 does: ConnectError, ReadTimeout."""
        place = self.find(str(request.url))
        if place is None or place.app is None:
            raise httpx2.ConnectError(
                "Connection refused: live_services has this service down", request=request
            )
        patience = request.extensions.get("timeout", {}).get("read")
        stream: Any = request.stream
        headers = [(name.decode("latin-1"), value) for name, value in request.headers.raw]
        environ = environ_of(request.method, str(request.url), headers, place=place)
        take_body(environ, b"".join([piece async for piece in stream]))
        exchange = Exchange(place.app, environ, self.workers)
        try:
            await asyncio.wait_for(asyncio.wrap_future(exchange.begin()), patience)
        except TimeoutError:
            exchange.close()
            raise httpx2.ReadTimeout(f"No answer within {patience} seconds", request=request) from None
        code, _, reason = exchange.status.partition(" ")
        return httpx2.Response(
            int(code),
            headers=exchange.headers,
            stream=_Body(exchange, patience),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": reason.encode("latin-1")},
        )


class _Body(httpx2.AsyncByteStream):
    def __init__(self, exchange: Exchange, patience: float | None) -> None:
        self.exchange, self.patience = exchange, patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self.exchange.bodiless and (piece := await self._more()):
            yield piece

    async def _more(self) -> bytes:
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self.exchange.more()), self.patience)
        except TimeoutError:
            raise httpx2.ReadTimeout(f"Nothing more within {self.patience} seconds") from None
        except ConnectionResetError as error:
            raise httpx2.RemoteProtocolError(str(error)) from None

    async def aclose(self) -> None:
        await asyncio.wrap_future(self.exchange.close())

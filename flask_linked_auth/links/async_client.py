"""`async with Service(...)`: the same calls over httpx2, signed by the same core in its transport.

Imported only when it is used, because it needs the extra `[async]`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH, prepend_scheme_if_needed, select_proxy

from ..errors import LinkedAuthError
from ..link_errors import AppNotFound
from .link import SIGNATURE_HEADERS
from .outgoing import Attempts, Caller, Mode, Spool, webhook_of
from .transport import CHUNK, surroundings

try:
    import httpx2
except ImportError as error:
    words = "`async with Service(...)` needs httpx2, so: pip install 'flask-linked-auth[async]'"
    raise ImportError(words) from error

__all__ = ["AsyncService", "SigningTransport"]

#: What may have been lost on the way, and is worth another try; the same as `transport.py` has for Requests.
_LOST = (httpx2.NetworkError, httpx2.ConnectTimeout, httpx2.RemoteProtocolError)
_Key = tuple[asyncio.AbstractEventLoop, str | None]

_shared: dict[_Key, tuple[httpx2.AsyncHTTPTransport, AsyncGenerator[None]]] = {}
_former: list[object] = []


async def shared_transport(address: str) -> httpx2.AsyncHTTPTransport:
    """The transport that every Service of this process and event loop shares, with its open connections."""
    proxies, bundle = surroundings(address)
    proxy = select_proxy(address, dict(proxies))
    key = asyncio.get_running_loop(), prepend_scheme_if_needed(proxy, "http") if proxy else None
    held = _shared.get(key)
    if held is None:
        for former in [each for each in list(_shared) if each[0].is_closed()]:
            _shared.pop(former, None)
        made = httpx2.AsyncHTTPTransport(verify=_trust(bundle), trust_env=False, proxy=key[1])
        held = _shared[key] = made, _until_the_loop_ends(key, made)
        await anext(held[1])
    return held[0]


async def _until_the_loop_ends(key: _Key, transport: httpx2.AsyncHTTPTransport) -> AsyncGenerator[None]:
    """Close the connections with their event loop, which ends every generator that it has begun (PEP 525).

    Under Flask each `async` view has a loop of its own: without this its connections would stay open, with nobody left
    to use them.
    """
    try:
        yield
    finally:
        _shared.pop(key, None)
        await transport.aclose()


def _part() -> None:
    _former.extend(_shared.values())
    _shared.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_part)


@functools.cache
def _trust(bundle: str | bool) -> ssl.SSLContext:
    """The certificates that Requests trusts as well. Reading them takes tens of milliseconds: once a process."""
    place = DEFAULT_CA_BUNDLE_PATH if isinstance(bundle, bool) else bundle
    if Path(place).is_dir():
        return ssl.create_default_context(capath=place)
    return ssl.create_default_context(cafile=place)


class _Unfollowed(httpx2.Response):
    """An answer that httpx2 shall not follow whatever it says: it leads away, or its body is gone."""

    has_redirect_location = False


class _SpooledStream(httpx2.AsyncByteStream):
    """A body that was read and kept: it can be sent any number of times."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.spool.seek(0)
        while chunk := self.spool.read(CHUNK):
            yield chunk


class SigningTransport(httpx2.AsyncBaseTransport):
    """Signs each request for `caller`, and each repetition and redirect anew, and sends it over the shared transport.

    Raises ForeignAddress for a request to another origin than the link's, and BodyTooLarge as the adapter for Requests.
    """

    def __init__(self, caller: Caller, *, retries: int, limit: int) -> None:
        self.caller = caller
        self.retries = retries
        self.limit = limit

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sign and send, again after a failure that a moment may cure. Raises as httpx2 does."""
        self.caller.refuse_foreign(str(request.url))
        digest = await self._ready(request) if self.caller.covers_body else None
        attempts = Attempts(request.method, resendable=_is_resendable(request), retries=self.retries)
        inner = await shared_transport(self.caller.link.address)
        while True:
            self._sign(request, digest)
            try:
                answer = await inner.handle_async_request(request)
            except _LOST:
                pause = attempts.pause_after()
                if pause is None:
                    raise
            else:
                pause = attempts.pause_after(answer.status_code, answer.headers.get("Retry-After"))
                if pause is None:
                    return self._seen(request, answer)
                await answer.aclose()
            await asyncio.sleep(pause)

    def _sign(self, request: httpx2.Request, digest: str | None) -> None:
        for name in SIGNATURE_HEADERS & set(request.headers):  # httpx2 has them in lower case
            del request.headers[name]
        stream = request.stream
        signed = self.caller.signature(
            request.method,
            str(request.url),
            body=b"".join(stream) if isinstance(stream, httpx2.ByteStream) else None,
            digest=digest,
            content_type=request.headers.get("Content-Type"),
        )
        request.headers.update(signed)

    async def _ready(self, request: httpx2.Request) -> str | None:
        """Bring the body into a form that can be hashed and then sent; the digest of one that stays out of memory."""
        stream = request.stream
        if isinstance(stream, _SpooledStream):
            return stream.spool.digest
        if isinstance(stream, httpx2.ByteStream) or not isinstance(stream, httpx2.AsyncByteStream):
            return None
        spool = Spool(self.limit)
        async for chunk in stream:
            spool.add(chunk)
        request.headers.pop("Transfer-Encoding", None)
        request.headers["Content-Length"] = str(spool.size)
        if self.caller.dialect == "legacy-signature" or not spool.size:
            spool.seek(0)
            request.stream = httpx2.ByteStream(spool.read())
            return None
        request.stream = _SpooledStream(spool)
        return spool.digest

    def _seen(self, request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
        """The answer as the client may act on it."""
        if not answer.has_redirect_location:
            return answer
        gone = answer.status_code in {307, 308} and not _is_resendable(request)
        if self.caller.leads_home(str(request.url), answer.headers["Location"]) and not gone:
            return answer
        return _Unfollowed(
            answer.status_code, headers=answer.headers, stream=answer.stream, extensions=answer.extensions
        )


def _is_resendable(request: httpx2.Request) -> bool:
    return isinstance(request.stream, httpx2.ByteStream | _SpooledStream)


class AsyncService(httpx2.AsyncClient):
    """What `async with Service(...)` gives: an `httpx2.AsyncClient` whose paths, signature and errors are Service's.

    With `proxy` its verbs return Flask responses (not `stream()`: the event loop may be gone before the answer is).
    """

    def __init__(
        self,
        caller: Caller | AppNotFound,
        *,
        mode: Mode | None = None,
        proxy: bool = False,
        timeout: Any = (5.0, 30.0),
        retries: int,
        limit: int,
    ) -> None:
        if isinstance(timeout, tuple):
            timeout = httpx2.Timeout(timeout[1], connect=timeout[0])
        self._caller = caller
        self._mode = mode
        self._proxied = proxy
        self._options: dict[str, Any] = {"timeout": timeout, "retries": retries, "limit": limit}
        transport = (
            None
            if isinstance(caller, AppNotFound)
            else SigningTransport(caller, retries=retries, limit=limit)
        )
        super().__init__(
            transport=transport or httpx2.AsyncBaseTransport(),
            timeout=timeout,
            follow_redirects=True,
            trust_env=False,
        )

    @property
    def caller(self) -> Caller:
        """Who calls whom. Raises AppNotFound if there is nobody."""
        if isinstance(self._caller, AppNotFound):
            raise self._caller
        return self._caller

    def build_request(self, method: str, url: httpx2.URL | str, **options: Any) -> httpx2.Request:
        """A request ready to be sent, its path made a whole address. Raises ForeignAddress."""
        return super().build_request(method, self.caller.address_of(str(url)), **options)

    async def request(self, method: str, url: httpx2.URL | str, **options: Any) -> Any:
        """A call, as of httpx2; the verbs all come here. With `proxy`, a Flask response whatever happens."""
        if not self._proxied:
            return await super().request(method, url, **options)
        from .proxying import refusal, respond

        try:
            answer = await super().request(method, url, **options)
        except (LinkedAuthError, httpx2.RequestError) as error:
            return refusal(error, late=isinstance(error, httpx2.TimeoutException))
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.raw]
        return respond(answer.status_code, headers, answer.content, method=method)

    async def webhook(self, data: Any, **options: Any) -> Any:
        """Post something that happened, or a list of them, to the other service's webhook address, as Service does."""
        if isinstance(self._caller, AppNotFound):
            return await self.post("", json=data, **options)
        link, address = webhook_of(self.caller.link)
        caller = Caller(link, self.caller.subject, mode=self._mode)
        async with AsyncService(caller, mode=self._mode, proxy=self._proxied, **self._options) as there:
            return await there.post(address, json=data, **options)

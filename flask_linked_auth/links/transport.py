"""Requests' side of a call: the adapter that signs in `send`, over one pool of connections for the whole process.

In `send` and nowhere above it: what signs as `auth=` does so once a request, so that its headers go on to wherever a
redirect leads, and a repetition carries the nonce of the first try.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from requests.adapters import BaseAdapter, HTTPAdapter
from requests.exceptions import ConnectionError as NoConnection, ProxyError, SSLError
from requests.utils import get_environ_proxies, rewind_body

from .link import SIGNATURE_HEADERS
from .outgoing import Attempts, Caller, Spool

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

__all__ = ["SHARED", "SharedAdapter", "SigningAdapter", "is_resendable", "pool", "surroundings"]

HOSTS, CONNECTIONS = 64, 64  # that are kept open: other services, and threads that call the same one
CHUNK = 64 * 1024

_pools: list[HTTPAdapter] = []
_former: list[HTTPAdapter] = []


def pool() -> HTTPAdapter:
    """The adapter that every Service of this process shares, with its connections that are kept alive."""
    if not _pools:
        _pools.append(HTTPAdapter(pool_connections=HOSTS, pool_maxsize=CONNECTIONS))
    return _pools[0]


def _part() -> None:
    # On one connection two processes would read each other's answers. The parent's pool is kept, not dropped: what
    # cleans it up takes a lock that another thread of the parent may have held at the fork.
    _former.extend(_pools)
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_part)


class SharedAdapter(BaseAdapter):
    """Sends over the pool of the process it is used in: also a Service that was made before a fork."""

    def send(self, *args: Any, **options: Any) -> Response:
        """Send as HTTPAdapter does."""
        return pool().send(*args, **options)

    def close(self) -> None:
        """Leave the connections open: they are the process's, and one Service more does not end them."""


SHARED = SharedAdapter()


@functools.lru_cache(maxsize=1024)
def surroundings(address: str) -> tuple[Mapping[str, str], str | bool]:
    """What the environment says of calls to an address: its proxies, and the file of certificates to trust.

    Read once a process: asking each time, as Requests does by default, takes longer than the signature.
    """
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return dict(get_environ_proxies(address)), bundle or True


def is_resendable(request: PreparedRequest) -> bool:
    """Whether the body can be sent a second time: there is none, or it is in memory, or a file that can be rewound."""
    position = getattr(request, "_body_position", None)
    return request.body is None or isinstance(request.body, bytes | str) or isinstance(position, int)


class SigningAdapter(BaseAdapter):
    """Signs each request for `caller`, and each repetition and redirect anew; `inner` sends it.

    Raises ForeignAddress for a request to another origin than the link's, BodyTooLarge for a body that the signature
    covers and that is read only once, if it has more than `limit` bytes.
    """

    def __init__(self, caller: Caller, inner: BaseAdapter, *, retries: int, limit: int) -> None:
        super().__init__()
        self.caller = caller
        self.inner = inner
        self.retries = retries
        self.limit = limit

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Sign and send, again after a failure that a moment may cure. Raises as Requests does."""
        self.caller.refuse_foreign(request.url or "")
        digest = self._ready(request)
        attempts = Attempts(request.method or "", resendable=is_resendable(request), retries=self.retries)
        while True:
            self._sign(request, digest)
            answer = None
            try:
                answer = self.inner.send(request, *args, **options)
            except (ProxyError, SSLError):
                raise
            except NoConnection:
                pause = attempts.pause_after()
                if pause is None:
                    raise
            else:
                # What answers a challenge sends by it, and that is to be signed as well.
                answer.connection = self  # type: ignore[assignment] # any adapter will do
                pause = attempts.pause_after(answer.status_code, answer.headers.get("Retry-After"))
                if pause is None:
                    return answer
                answer.close()
            time.sleep(pause)
            if hasattr(request.body, "seek"):
                rewind_body(request)

    def close(self) -> None:
        """Close what it sends by."""
        self.inner.close()

    def _sign(self, request: PreparedRequest, digest: str | None) -> None:
        headers = request.headers
        for name in [each for each in headers if each.lower() in SIGNATURE_HEADERS]:
            del headers[name]
        body = request.body if digest is None else None
        headers.update(
            self.caller.signature(
                request.method or "",
                request.url or "",
                body=body if isinstance(body, bytes) else None,
                digest=digest,
                content_type=str(headers.get("Content-Type") or ""),
            )
        )

    def _ready(self, request: PreparedRequest) -> str | None:
        """Bring the body into a form that can be signed and then sent; the digest of one that stays out of memory."""
        body: Any = request.body
        if isinstance(body, str):
            # Here and not by what sends it: urllib3 1 would send another encoding than it counted.
            request.body = body = body.encode()
            request.headers["Content-Length"] = str(len(body))
        if body is None or isinstance(body, bytes) or not self.caller.covers_body:
            return None
        if isinstance(body, Spool):
            return body.digest
        spool = Spool(self.limit)
        for chunk in _chunks(body):
            spool.add(chunk)
        spool.seek(0)
        request.headers.pop("Transfer-Encoding", None)
        request.headers["Content-Length"] = str(spool.size)
        if self.caller.dialect == "legacy-signature" or not spool.size:
            request.body = spool.read()
            request._body_position = None  # noqa: SLF001 - Requests would rewind what is no file any more
            return None
        request.body = spool
        request._body_position = 0  # noqa: SLF001 - by this Requests rewinds the body for a redirect
        return spool.digest


def _chunks(body: Any) -> Iterable[bytes | str]:
    """The pieces of a file, or of whatever else can be iterated over."""
    if not hasattr(body, "read"):
        yield from body
        return
    while chunk := body.read(CHUNK):
        yield chunk

"""What a call to another service is, whatever library sends it: where it may go, how it is signed, when it is repeated.

`transport.py` drives this over Requests and `async_client.py` over httpx2.
"""

from __future__ import annotations

import hashlib
import random
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin, urlsplit

from ..link_errors import BodyTooLarge, ForeignAddress
from .signatures import digest_field

if TYPE_CHECKING:
    from .keys import LinkKey
    from .link import Dialect, Link

__all__ = ["Attempts", "Caller", "Mode", "Spool", "dialect_of", "origin_of", "webhook_of"]

Mode = Literal["jwt", "signature"]
Origin = tuple[str, str, int]

RETRIES = 2
BACK_OFF = 0.1  # seconds before the first repetition; twice as long before each further one
LONGEST_PAUSE = 5.0  # a `Retry-After` of more seconds is left to the caller, whose own client waits meanwhile
BODY_LIMIT = 64 * 1024 * 1024
IN_MEMORY = 1024 * 1024
REUSE = 60  # seconds
MOST_TOKENS = 4096

_PORTS = {"http": 80, "https": 443}
#: RFC 9110 section 9.2.2, and RFC 10008 for QUERY: twice does the same as once.
_IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "QUERY", "TRACE"})
_BUSY = frozenset({502, 503, 504})
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: A segment that means "here" or "above" to some server: also in the spellings that a server decodes first.
_DOTS = re.compile(r"(?:/|%2f|%5c)(?:\.|%2e){1,2}(?:/|%2f|%5c|;|$)", re.IGNORECASE)


def origin_of(url: str) -> Origin | None:
    """Scheme, host and port of an address (RFC 6454); None unless it is http or https, and names no user."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        return None
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            return None
    return parts.scheme, host, _PORTS[parts.scheme] if port is None else port


def dialect_of(link: Link, mode: Mode | None) -> Dialect:
    """The dialect that `mode` stands for on this link. Raises ValueError if it has no key to sign with."""
    if mode not in {None, "jwt", "signature"}:
        raise ValueError(f"mode is 'jwt', 'signature' or None, not {mode!r}")
    wanted: tuple[Dialect, ...] = ("link",) if mode == "jwt" else ("signature", "legacy-signature")
    if mode is None or link.dialect in wanted:
        wanted = (link.dialect,)
    for dialect in wanted:
        key = link.keys.get(dialect) or (link.key if dialect == link.dialect else None)
        if key is not None and key.signing is not None:
            return dialect
    raise ValueError(f"There is no key to sign calls to {link.slug!r} with by the dialect {wanted[0]!r}.")


class Caller:
    """One service that calls another, for one person or for itself: the core that signs, under any client.

    `subject` is the id of the caller's own user as text, "" when it speaks for itself. Raises ValueError for a link
    that cannot sign by `mode`.
    """

    __slots__ = ("_start", "dialect", "link", "origin", "subject")

    def __init__(self, link: Link, subject: str = "", *, mode: Mode | None = None) -> None:
        origin = origin_of(link.address)
        if origin is None:
            raise ValueError(f"The address of {link.slug!r} is not http or https: {link.address!r}")
        self.link = link
        self.subject = subject
        self.dialect = dialect_of(link, mode)
        if subject and self.dialect == "legacy-signature":
            raise ValueError(f"Calls to {link.slug!r} are signed in the old way, which speaks for no person.")
        self.origin = origin
        parts = urlsplit(link.address)
        self._start = f"{parts.scheme}://{parts.netloc}/"

    @property
    def covers_body(self) -> bool:
        """Whether the signature is over the body as well, so that all of it must be known before it is sent."""
        return self.dialect != "link"

    def address_of(self, path: str) -> str:
        r"""The whole address of a path of the other service's. Raises ForeignAddress for what leads elsewhere.

        The path is put behind the link's address as it is, and never joined as a browser would: `//evil` and
        `\\evil` are hosts to some parsers, `/../` leaves the address's own path, and an absolute address may be
        anybody's, so that a path out of a request could send the signature, and the call, wherever it likes.
        """
        absolute = _ABSOLUTE.match(path) is not None
        url = path if absolute else self.link.address + (path if path[:1] in {"", "/", "?"} else f"/{path}")
        way = re.split(r"[?#]", path, maxsplit=1)[0]
        if absolute:
            way = way.partition("//")[2].partition("/")[2]
        if (
            _CONTROL.search(path)
            or "\\" in way
            or path.startswith("//")
            or _DOTS.search(f"/{way}")
            or not self.is_own(url)
        ):
            shown = (
                "An address" if absolute else repr(way[:100])
            )  # without a query or password, which may be secret
            raise ForeignAddress(f"{shown} is no path of {self.link.slug}'s: the call was not made.")
        return url

    def is_own(self, url: str) -> bool:
        """Whether an address is of the link's own origin: only there goes what is signed."""
        return url.startswith(self._start) or origin_of(url) == self.origin

    def leads_home(self, url: str, location: str) -> bool:
        """Whether a redirect, met at `url`, surely stays on the link's own origin."""
        # Two parsers would find two hosts in these: whoever sends them means another than the one we find.
        if _CONTROL.search(location) or "\\" in location.partition("?")[0] or location.startswith("///"):
            return False
        try:
            return self.is_own(urljoin(url, location))
        except ValueError:
            return False

    def refuse_foreign(self, url: str) -> None:
        """Raise ForeignAddress unless the address is the link's own: the last look before a request leaves."""
        if not self.is_own(url):
            raise ForeignAddress(f"Calls to {self.link.slug!r} only go to {self.link.address}.")

    def signature(
        self, method: str, url: str, *, body: bytes | None, digest: str | None, content_type: str | None
    ) -> Mapping[str, str]:
        """The headers that sign one request, as it will be sent. A nonce among them is new each time."""
        if self.dialect == "link":
            return self._token()
        return self.link.sign(
            method,
            url,
            body=body,
            digest=digest,
            content_type=content_type,
            subject=self.subject,
            dialect=self.dialect,
        )

    def _token(self) -> Mapping[str, str]:
        """The JWT of this link and person: for a minute the same, so that the receiver has verified it before."""
        link, now = self.link, time.time()
        key = link.keys.get("link") or link.key
        name = (link.me, link.slug, link.issuer, self.subject)
        held = _tokens.get(name)
        # By the key, too: one that was rotated out must not sign on in a text of ours.
        if held is not None and 0 <= now - held[0] < REUSE and _same(held[1], key):
            return held[2]
        headers = link.sign("GET", link.address, body=None, subject=self.subject, dialect="link")
        if len(_tokens) >= MOST_TOKENS:
            _tokens.clear()
        _tokens[name] = now, key, headers
        return headers


#: Link tokens in use, by link and person: when each was made, with which key, and its headers.
_tokens: dict[tuple[str, ...], tuple[float, LinkKey | None, Mapping[str, str]]] = {}


def _same(one: LinkKey | None, other: LinkKey | None) -> bool:
    # Keys of the Django package have no id; then only the very object is surely the same.
    return one is other or (one is not None and other is not None and one.id == other.id != "")


def webhook_of(link: Link) -> tuple[Link, str]:
    """The link by which its webhook address is called, and that address. Raises ValueError if there is none."""
    if not link.webhook_url:
        raise ValueError(f"The link to {link.slug!r} names no address for webhooks.")
    if link.webhook_url.startswith("/"):
        return link, link.webhook_url
    parts = urlsplit(link.webhook_url)
    return replace(link, address=f"{parts.scheme}://{parts.netloc}"), link.webhook_url


class Attempts:
    """How often one call is tried, and after which pause (seconds) it is tried again.

    Only methods that do the same twice as once, only if the body can be sent again, after a connection that failed or
    an answer 502, 503 or 504. A `Retry-After` of a few seconds is waited for; a longer one ends the attempts.
    """

    __slots__ = ("_left", "_pause")

    def __init__(self, method: str, *, resendable: bool, retries: int) -> None:
        self._left = retries if resendable and method.upper() in _IDEMPOTENT else 0
        self._pause = BACK_OFF

    def pause_after(self, status: int | None = None, retry_after: str | None = None) -> float | None:
        """How long to wait before the next try; None if there shall be none. No status: there was no answer."""
        if self._left == 0 or (status is not None and status not in _BUSY):
            return None
        self._left -= 1
        # Not all at the same moment: that would hit whatever just came up again.
        pause = self._pause * random.uniform(0.5, 1)  # noqa: S311 - nothing secret
        self._pause *= 2
        asked = _seconds(retry_after) if retry_after else 0
        return max(pause, asked) if asked <= LONGEST_PAUSE else None


def _seconds(retry_after: str) -> float:
    """The seconds that a `Retry-After` asks for (RFC 9110 section 10.2.3): 0 for what cannot be read."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0


class Spool(tempfile.SpooledTemporaryFile[bytes]):
    """A body that can be read only once, kept so that it can be hashed before it is sent, and sent again.

    Up to a megabyte it stays in memory, beyond that in a temporary file. `size` is in bytes. Raises BodyTooLarge at
    the first byte beyond `limit`.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(max_size=IN_MEMORY)
        self.limit = limit
        self.size = 0
        self._hash = hashlib.sha256()

    def add(self, chunk: bytes | str) -> None:
        """Keep one more piece; text is sent as UTF-8, as Requests does."""
        data = chunk.encode() if isinstance(chunk, str) else bytes(chunk)
        self.size += len(data)
        if self.size > self.limit:
            raise BodyTooLarge(
                f"A body that is signed as a whole may have {self.limit} bytes; this has more."
            )
        self._hash.update(data)
        self.write(data)

    @property
    def digest(self) -> str | None:
        """What `Content-Digest` says of it (RFC 9530); None for an empty one."""
        return digest_field(self._hash.digest()) if self.size else None

    def __del__(self) -> None:
        # Nobody knows when the last redirect has been followed: it is closed when it is forgotten.
        self.close()

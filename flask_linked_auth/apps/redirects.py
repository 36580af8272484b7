"""Where the agreement page sends the browser: back to the app, which is told how it ended."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus, urlencode, urlsplit, urlunsplit

__all__ = ["form_targets", "host_of", "with_outcome"]

#: A host as a Content-Security-Policy can name it, which cannot tell of an IPv6 address.
_HOST = re.compile(r"[A-Za-z0-9.-]+")


def with_outcome(url: str, *, app: str, status: str) -> str:
    """`url` with `app=` (our own slug) and `status=` in its query, once each; the rest of it stays as it is.

    A fragment stays at the end, where it belongs.
    """
    parts = urlsplit(url)
    kept = [each for each in parts.query.split("&") if each and _name(each) not in {"app", "status"}]
    query = "&".join([*kept, urlencode({"app": app, "status": status})])
    return urlunsplit(parts._replace(query=query))


def _name(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[0])


def form_targets(url: str | None) -> str:
    """The `form-action` of a page whose form is answered by a redirect to `url`, which may be at another origin.

    Chromium asks the policy of the page for each step of such a chain. Only the origin is named: it forgets paths at
    a redirect anyway.
    """
    parts = urlsplit(url or "")
    if not parts.scheme:
        return "'self'"
    if not _HOST.fullmatch(parts.hostname or ""):
        return f"'self' {parts.scheme}:"
    port = f":{parts.port}" if parts.port is not None else ""
    return f"'self' {parts.scheme}://{parts.hostname}{port}"


def host_of(url: str | None) -> str | None:
    """The host of an address, with its port, as people recognise it."""
    return urlsplit(url).netloc if url else None

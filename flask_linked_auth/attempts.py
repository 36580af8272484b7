"""What somebody pasted (a token, headers, a curl command), as the request that it would be."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Attempt", "attempt_of"]

_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]*):(?!//)(.*)", re.DOTALL)
_SCHEME = re.compile(r"(?i)(bearer|basic|digest|token|jwt)\s")
#: The options of curl that say something of the credential; the others that take a value are only skipped.
_HEADERS = {
    "-H": "",
    "--header": "",
    "-b": "Cookie: ",
    "--cookie": "Cookie: ",
    "--oauth2-bearer": "Authorization: Bearer ",
}
_METHOD, _URL, _USER = {"-X", "--request"}, {"--url"}, {"-u", "--user"}
_DATA = {
    "-d",
    "--data",
    "--data-raw",
    "--data-binary",
    "--data-ascii",
    "--data-urlencode",
    "--json",
    "-F",
    "--form",
}
_SKIPPED = {
    "-o",
    "--output",
    "-A",
    "--user-agent",
    "-e",
    "--referer",
    "-m",
    "--max-time",
    "-w",
    "--write-out",
}
_SKIPPED |= {
    "-c",
    "--cookie-jar",
    "-x",
    "--proxy",
    "--connect-timeout",
    "--resolve",
    "--cacert",
    "-T",
    "--retry",
}
_VALUED = {*_HEADERS, *_METHOD, *_URL, *_USER, *_DATA, *_SKIPPED}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request: its headers by name, and where it goes if that is known (`url` may be a bare path).

    `alone` is a credential that was given without a header, and may be a cookie instead of a token.
    """

    headers: dict[str, str] = field(repr=False)
    method: str = "GET"
    url: str = ""
    alone: str = field(default="", repr=False)

    @property
    def path(self) -> str:
        """The path of the address, `/` if there is none."""
        return urlsplit(self.url).path or "/"

    @property
    def base(self) -> str | None:
        """Scheme and host of the address, None if it has none."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else None

    def environ(self) -> dict[str, str]:
        """The headers as a WSGI server passes them on, without white space around them (RFC 9110 section 5.5)."""
        return {
            f"HTTP_{name.upper().replace('-', '_')}": value.strip(" \t\r\n")
            for name, value in self.headers.items()
        }


def attempt_of(text: str) -> Attempt:
    """The request that a text stands for: a curl command, lines of headers, `Bearer …`, or a token alone.

    Raises ValueError for a curl command that is none.
    """
    text = text.strip()
    if re.match(r"(\$ *)?curl\s", text):
        return _of_curl(text.removeprefix("$"))
    if _HEADER.fullmatch(text):
        return Attempt(_headers(text.splitlines()))
    if _SCHEME.match(text):
        return Attempt({"Authorization": text})
    return Attempt({"Authorization": f"Bearer {text}"}, alone=text)


def _headers(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        if header := _HEADER.fullmatch(line.strip()):
            name, value = header[1].title(), header[2]
            found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _of_curl(text: str) -> Attempt:
    try:
        words = shlex.split(re.sub(r"\\\r?\n", " ", text))[1:]
    except ValueError as error:
        raise ValueError(f"This command cannot be read: {error}.") from None
    lines, method, url = list[str](), "", ""
    for option, value in _options(words):
        if option in _HEADERS:
            lines.append(_HEADERS[option] + value)
        elif option in _USER:
            lines.append("Authorization: Basic -")
        elif option in _METHOD:
            method = value.upper()
        elif option in _DATA:
            method = method or "POST"
        elif option in _URL:
            url = url or value
        elif option in {"-I", "--head"}:
            method = method or "HEAD"
    return Attempt(_headers(lines), method or "GET", url if re.match(r"\w+://|/", url) else f"http://{url}")


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value, however they are joined; what is no option counts as `--url`."""
    waiting = iter(words)
    for word in waiting:
        name, joined, value = word.partition("=")
        if word in _VALUED:
            yield word, next(waiting, "")
        elif joined and name in _VALUED:
            yield name, value
        elif word[:2] in _VALUED and not word.startswith("--"):
            yield word[:2], word[2:]
        elif word.startswith("-"):
            yield word, ""
        else:
            yield "--url", word

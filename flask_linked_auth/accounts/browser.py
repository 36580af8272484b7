"""The browser's side of a login: its cookie, which only counts on requests of our own pages, and the CSRF token.

The token is a signed double submit of our own (it wants neither a host's SECRET_KEY nor its CSRFProtect): a MAC over
the cookie of the login, or before a login over a random cookie, since a login form needs a token too (else a stranger
could log somebody into the stranger's account).
"""

from __future__ import annotations

import base64
import hmac
import secrets
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import after_this_request, current_app, request
from markupsafe import Markup

from ..errors import CSRFFailed, InvalidToken, MissingToken, TooLarge
from ..globals import current_state
from ..sealing import derive
from ..tokens.access import Verifier
from ..tokens.cookies import CookieReader, has_form
from ..tokens.refresh import Device, hashed
from .state import Browser, mine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask, Response

    from ..identity import Identity
    from ..state import State
    from .login import Tokens

__all__ = [
    "browser_in_use",
    "check_csrf",
    "clear_cookie",
    "cookie_name",
    "csrf_field",
    "csrf_token",
    "device",
    "identify_browser",
    "is_secure",
    "network_address",
    "safe_next",
    "same_origin",
    "set_cookie",
    "set_up",
]

FIELD, HEADER = "csrf_token", "X-CSRF-Token"
OWN_FIELD = "linked_auth_csrf"  # for a form in which FIELD is the host's CSRFProtect's
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FRESH = "flask_linked_auth.csrf_cookie"
_SALT_LENGTH = 22
_LONGEST_NEXT = 2000
_LARGEST_FORM = 512 * 1024


def set_up(app: Flask, state: State) -> Browser:
    """Let guards read the cookie, and templates write the CSRF token."""
    cookies = CookieReader(state.database_in_use(), state.tokens, issuer=state.settings.issuer)
    memory = Verifier(cookies.read, state.verifier.feed, state.tokens.token_cache_size)
    state.readers["cookie"] = _read_cookie
    app.jinja_env.globals["linked_auth_csrf_token"] = csrf_token
    app.jinja_env.globals["linked_auth_csrf_field"] = csrf_field
    known = (state.settings.secret, *state.settings.secret_fallbacks)
    return Browser(memory, tuple(derive(each, "csrf") for each in known if each))


def browser_in_use() -> Browser:
    """What browser logins hold for the current app. Raises RuntimeError where they are off."""
    found = mine()[1].browser
    if found is None:
        raise RuntimeError("Browser logins are off: LINKED_AUTH_PAGES is False.")
    return found


# Who calls


def network_address() -> str:
    """The caller's address as the server sees it: forwarded headers count only behind the host's ProxyFix."""
    return request.remote_addr or ""


def device() -> Device:
    """Where the request comes from, with the browser login it has already."""
    agent = request.headers.get("User-Agent", "")[:255]
    # Not every server refuses control characters in headers; PostgreSQL refuses NUL, and terminals obey some.
    name = "".join(c if c.isprintable() else "?" for c in agent)
    return Device(network_address(), name, _login_cookie() or "")


def same_origin() -> bool:
    """Whether the request comes from a page of this very origin, or from the person (an address typed in).

    By Sec-Fetch-Site, which no page can set, else by Origin. A request with neither is of an old browser or of none:
    where it could do harm, the CSRF token stands in the way of it.

    A page with `Referrer-Policy: no-referrer` posts its own forms with `Origin: null`, which is told from a stranger's
    only by Sec-Fetch-Site.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    issuer = urlsplit(current_state().settings.issuer)  # behind a proxy that does not tell its own scheme
    # Not host_url, which spells out international names.
    own = {_origin(request.scheme, request.host), _origin(issuer.scheme, issuer.netloc)}
    return origin.lower() in own


def _origin(scheme: str, host: str) -> str:
    default = {"http": ":80", "https": ":443"}.get(scheme, "")
    return f"{scheme}://{host.lower().removesuffix(default)}"


def _navigates() -> bool:
    """Whether a person follows a link to here, from wherever: not a frame, an image or a script."""
    return (request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest")) == (
        "navigate",
        "document",
    )


# The cookies


def cookie_name() -> str:
    """The login's cookie. Cookies know no ports: a service's name keeps it apart from others on the same host."""
    return _named("linked_auth_")


def _csrf_cookie_name() -> str:
    return _named("linked_auth.csrf_")  # no service is called so that the two could meet


def _named(kind: str) -> str:
    # By __Host- the browser refuses what another host of the same domain would set.
    return f"{'__Host-' if is_secure() else ''}{kind}{current_state().settings.name}"


def is_secure() -> bool:
    """Whether cookies are for https only: everywhere but on a developer's machine."""
    return not (current_app.debug or current_app.testing)


def _sent(name: str, header: str) -> set[str]:
    """Every value that the browser sent for the cookie of exactly this name.

    Not by `request.cookies`: before Werkzeug 3.1.9 a no-break space before a name is dropped, so that a neighbouring
    host could set what passes for a `__Host-` cookie.
    """
    pairs = (each.strip(" \t").partition("=") for each in header.split(";"))
    return {value for found, _, value in pairs if found == name}


def _only(name: str) -> str | None:
    """The value of a cookie. None where there are two: one may be tossed in from a neighbouring host."""
    values = _sent(name, request.environ.get("HTTP_COOKIE", ""))
    return values.pop() if len(values) == 1 else None


def _login_cookie() -> str | None:
    value = _only(cookie_name())
    return value if value is not None and has_form(value) else None


def _put(response: Response, name: str, value: str, *, max_age: int | None) -> None:
    response.set_cookie(
        name, value, max_age=max_age, path="/", secure=is_secure(), httponly=True, samesite="Lax"
    )


def set_cookie(response: Response, tokens: Tokens) -> Response:
    """Hand the cookie of a new login to the browser; the random one from before it has had its day."""
    if tokens.cookie is None:
        raise ValueError("These are no browser's tokens: log in with cookie=True.")
    _put(response, cookie_name(), tokens.cookie, max_age=current_state().tokens.login_lifetime)
    if _sent(_csrf_cookie_name(), request.environ.get("HTTP_COOKIE", "")):
        _put(response, _csrf_cookie_name(), "", max_age=0)
    return response


def clear_cookie(response: Response) -> Response:
    """Take the login's cookie from the browser."""
    _put(response, cookie_name(), "", max_age=0)
    return response


def _vary(response: Response) -> Response:
    lines = response.headers.getlist("Vary")
    if (
        len(lines) > 1
    ):  # werkzeug would drop all but the first: `Origin`, say, which Flask-CORS writes by itself
        response.headers["Vary"] = ", ".join(lines)
    response.vary.add("Cookie")  # CVE-2023-30861: a cache must not give one person's page to another
    return response


def identify_browser() -> Identity | None:
    """The person whose browser sent this request; None for nobody, and where the cookie does not count.

    It counts for pages of ours and for whoever follows a link to here, and not for what another site posts, frames,
    fetches or embeds. That is enough for reading; what changes something wants `check_csrf()` too. Raises Unavailable.
    """
    after_this_request(_vary)
    cookie = _login_cookie()
    safe = request.method in SAFE_METHODS
    if cookie is None or not (same_origin() or (safe and _navigates())):
        return None
    try:
        return browser_in_use().memory.identify(cookie)
    except InvalidToken:  # the browser sends it by itself: nobody claims that it is still good
        return None


def _read_cookie(header: str) -> Identity:
    """What `guards.identify` asks when there is no explicit credential. `header` is the request's `Cookie`.

    Raises MissingToken where the browser has no login or its cookie does not count, CSRFFailed for an unsafe method
    without proof that a page of ours sent it, and Unavailable.
    """
    safe = request.method in SAFE_METHODS
    if not safe and _sent(cookie_name(), header) and not same_origin():
        raise CSRFFailed("The request comes from another site.", foreign=True)
    identity = identify_browser()
    if identity is None:
        raise MissingToken
    if not safe:
        _check_token()
    return identity


# A note that is read once


def leave_note(response: Response, note: str | None) -> None:
    """Let the next page read `note`, a short word; None takes it away. It is nothing that would be worth forging."""
    _put(response, _note_cookie_name(), note or "", max_age=60 if note else 0)


def note_left() -> str | None:
    """The note that the last page left."""
    return _only(_note_cookie_name())


def _note_cookie_name() -> str:
    return _named("linked_auth.note_")


# The CSRF token


def csrf_token() -> str:
    """The token that a form or a script of ours sends along; for one browser and, after a login, one login.

    In templates it is `linked_auth_csrf_token()`. Each call gives another text for the same proof, so that a
    compressed page does not betray it (BREACH). Before a login it sets a cookie with the answer.
    """
    after_this_request(_vary)
    binding = _binding()
    if binding is None:
        value = request.environ[_FRESH] = secrets.token_urlsafe(32)
        name = _csrf_cookie_name()

        @after_this_request
        def put(response: Response) -> Response:
            _put(response, name, value, max_age=None)
            return response

        binding = _anonymous(value)
    salt = base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
    return salt + _mac(browser_in_use().csrf_keys[0], salt, binding)


def csrf_field() -> Markup:
    """The token as a hidden field; in templates `linked_auth_csrf_field()`.

    Not by the name that Flask-WTF gives to its own, so that a form can hold both.
    """
    return Markup('<input type="hidden" name="{}" value="{}">').format(OWN_FIELD, csrf_token())


def check_csrf() -> None:
    """Raise CSRFFailed unless a page of ours sent the request: same origin, and with the token of this browser."""
    if not same_origin():
        raise CSRFFailed("The request comes from another site.", foreign=True)
    _check_token()


def _check_token() -> None:
    binding = _binding()
    if binding is None or not any(_fits(each, binding) for each in _given_tokens()):
        raise CSRFFailed("The CSRF token is missing or not the one of this browser's login.")


def _given_tokens() -> Iterator[str]:
    header = request.headers.get(HEADER)
    if header:
        yield header
        return
    # A form is read only if it must be: a view may want its body as a stream. And not an endless one: taking a long
    # row of fields apart takes a worker's memory and minutes.
    if request.mimetype == "application/x-www-form-urlencoded" and not _is_short():
        raise TooLarge(
            "A form may have %(most)s bytes. Send the CSRF token in a header with a larger one.",
            values={"most": _LARGEST_FORM},
        )
    yield from request.form.getlist(OWN_FIELD)
    yield from request.form.getlist(FIELD)


def _is_short() -> bool:
    return request.content_length is not None and request.content_length <= _LARGEST_FORM


def _binding() -> str | None:
    """What a token is bound to: the login, else the random cookie. What is only being set now counts too."""
    cookie = _login_cookie()
    if cookie is not None:
        return f"login:{hashed(cookie)}"
    value = request.environ.get(_FRESH) or _only(_csrf_cookie_name())
    return _anonymous(value) if value and has_form(value) else None


def _anonymous(value: str) -> str:
    return f"anonymous:{value}"


def _mac(key: bytes, salt: str, binding: str) -> str:
    mac = hmac.digest(key, f"{salt}|{binding}".encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _fits(token: str, binding: str) -> bool:
    if not token.isascii():
        return False
    salt, mac = token[:_SALT_LENGTH], token[_SALT_LENGTH:]
    keys = browser_in_use().csrf_keys
    return any(hmac.compare_digest(mac, _mac(key, salt, binding)) for key in keys)


# Where to go


def safe_next(text: str | None) -> str | None:
    r"""`text` if it is a path within the site, else None: an open redirect lends our name to a stranger's page.

    Browsers take `\` for `/` and skip tabs and line breaks, and `//host` is another site (CVE-2021-32618,
    CVE-2023-49438).
    """
    if not text or len(text) > _LONGEST_NEXT:
        return None
    forms = (text, unicodedata.normalize("NFKC", text))  # full-width slashes and their like
    return text if all(_is_path(each) for each in forms) else None


def _is_path(text: str) -> bool:
    path = text.partition("?")[0].partition("#")[0]
    return (
        path.startswith("/")
        and "//" not in path
        and "\\" not in text
        and " " not in text
        and text.isprintable()  # which no control character and no lone surrogate is
    )

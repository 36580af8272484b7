"""For those who test with us: clients that are logged in, linked apps, mail and events as lists, a movable clock.

A pytest plugin (every function is a fixture there, for the app of the fixture `app`), and plain functions for any
other runner. All of it is refused unless `app.testing` is set. PYTEST_DONT_REWRITE: there is no assert in here.
"""

from __future__ import annotations

import pkgutil
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .testing_links import link_services, linked_app, service_client
from .testing_state import context_of, key_in, person_meant, state_under_test

# Loaded by pytest in every project of an environment: nothing else is imported before a fixture is used.
if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from .accounts.login import Tokens
    from .accounts.mail import Mail
    from .links.outgoing import Mode
    from .state import State

__all__ = [
    "Clock",
    "Event",
    "LinkServices",
    "LinkedApps",
    "LiveServices",
    "LoginUser",
    "MakeUser",
    "ServiceClients",
    "captured_events",
    "captured_mail",
    "link_services",
    "linked_app",
    "live_services",
    "login_user",
    "make_user",
    "moving_clock",
    "service_client",
]

_DEVICE = "flask_linked_auth.testing"


class Event(NamedTuple):
    """What was told: the name of the event, such as `user.logged-in`, and its facts by name."""

    name: str
    facts: dict[str, Any]


def login_user(
    app: Flask, user: Any, *, scopes: Sequence[str] | None = None, cookie: bool = False
) -> FlaskClient:
    """A client of `app` that acts as `user`: their row, their key, their e-mail address or their user name.

    The login is a real one, but for the password: it is in the list of logins, it can be ended, it expires. The
    token goes into the header `Authorization`; with `scopes` it carries them in its claim `scope`, and the client
    may do what the person may do and the scopes say. With `cookie` the client is a browser instead: it sends the
    cookie of the login, and the CSRF token with what it posts.

    Raises LookupError for nobody, ValueError for a person who is deactivated, RuntimeError outside testing.
    """
    state = state_under_test(app)
    if cookie and scopes is not None:
        raise ValueError("Scopes narrow a token; the cookie of a browser has none.")
    if cookie and "cookie" not in state.readers:
        raise ValueError("Browser logins are off in this app: LINKED_AUTH_PAGES is False.")
    client = app.test_client()
    with context_of(app):
        if "accounts" not in state.parts:
            from .tokens.issuing import generate_token

            token = generate_token(state, key_in(user))
        else:
            tokens = _log_in(state, user, cookie=cookie)
            if tokens.cookie is not None:
                _be_browser(app, client, tokens.cookie)
                return client
            token = tokens.access
        if scopes is not None:
            token = _narrowed(state, token, scopes)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def _log_in(state: State, user: Any, *, cookie: bool) -> Tokens:
    from .accounts.login import start
    from .tokens.refresh import Device
    from .transactions import commit

    user_id, active = person_meant(state, user)
    if not active:
        raise ValueError("This person is deactivated, and could not log in.")
    device = Device("127.0.0.1", _DEVICE)
    return commit(state, lambda deed: start(deed, user_id, device=device, cookie=cookie))


def _narrowed(state: State, token: str, scopes: Sequence[str]) -> str:
    from .identity import checked_scopes
    from .tokens.access import signed

    claims = state.readers["bearer"](token).claims
    return signed({**claims, "scope": " ".join(checked_scopes(scopes))}, state.ring)


def _be_browser(app: Flask, client: FlaskClient, secret: str) -> None:
    """Give the client the cookie, and what a page of ours would send with it."""
    from .accounts.browser import HEADER, cookie_name, csrf_token

    host = (app.config["SERVER_NAME"] or "localhost").partition(":")[0]
    with context_of(app):
        name = cookie_name()
    client.set_cookie(name, secret, domain=host, httponly=True, samesite="Lax")
    with app.test_request_context(headers={"Cookie": f"{name}={secret}"}):
        client.environ_base[f"HTTP_{HEADER.upper().replace('-', '_')}"] = csrf_token()
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"


def make_user(app: Flask, email: str, *, password: str | None = None, **columns: Any) -> Any:
    """Add a person and return their row. Without a password nobody can log in as them but `login_user`.

    Hashing a password takes as long as LINKED_AUTH_BCRYPT_COST says. Raises Taken for an address or a user name
    in use, TypeError for a column that the model has not, RuntimeError outside testing.
    """
    state = state_under_test(app)
    from .accounts.registration import register
    from .accounts.schemas import normal_email
    from .transactions import commit

    password_hash = "!" if password is None else state.parts["accounts"].hasher.hash(password)
    profile = {"email": normal_email(email), **columns}
    with context_of(app):
        user = commit(state, lambda deed: register(deed, profile, password_hash=password_hash))
        session = state.database_in_use().db.session()
        session.refresh(user)  # readable after this context as well
    return user


@contextmanager
def captured_mail(app: Flask) -> Iterator[list[Mail]]:
    """Every `Mail` that the app sends meanwhile, in order, instead of its mailer. Raises RuntimeError outside testing.

    Under `app.testing` a mail is sent before the request that asks for it is answered.
    """
    hooks: Any = state_under_test(app).hooks  # of the LinkedAuth object, which may serve other apps too
    before, sent = hooks.get("mailer"), list["Mail"]()

    def capture(mail: Mail) -> Any:
        from flask import current_app

        if current_app == app:
            return sent.append(mail)
        return None if before is None else current_app.ensure_sync(before)(mail)

    hooks["mailer"] = capture
    try:
        yield sent
    finally:
        hooks.pop("mailer")
        if before is not None:
            hooks["mailer"] = before


@contextmanager
def captured_events(app: Flask) -> Iterator[list[Event]]:
    """Every event that is told meanwhile (each is a signal as well), in order. Raises RuntimeError outside testing."""
    state_under_test(app)
    from .signals import BY_EVENT

    told: list[Event] = []

    def listener(name: str) -> Any:
        return lambda _, **facts: told.append(Event(name, facts))

    listeners = {signal: listener(name) for name, signal in BY_EVENT.items()}
    for signal, listens in listeners.items():
        signal.connect(listens, sender=app)
    try:
        yield told
    finally:
        for signal, listens in listeners.items():
            signal.disconnect(listens, sender=app)


def live_services(
    services: Mapping[str, Flask | None], *, network: bool = False
) -> AbstractContextManager[None]:
    """Let calls of `Service` reach these apps, by their addresses, without a socket; None for one that is down.

    A context manager. What is not named is refused with a RuntimeError; with `network` it goes where it would without
    this. An app whose view raises answers 500, and the log says what was raised.

    Raises RuntimeError outside testing, ValueError for what is no address, or when no app is named.
    """
    from .links.live import live_services as alive

    return alive(services, network=network)


class Clock:
    """How far the extension's time is ahead of the machine's. One for the process, because the modules are."""

    ahead = 0.0

    def now(self) -> float:
        """The moment as the extension sees it, in Unix seconds."""
        return time.time() + self.ahead

    def advance(self, by: float | timedelta) -> None:
        """Let seconds, or a timedelta, go by at once. Raises ValueError for a negative one: time goes one way."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else float(by)
        if not seconds >= 0:
            raise ValueError("A clock is moved forward only.")
        self.ahead += seconds
        _monotonic.ahead += seconds


class _Monotonic:
    """Stays ahead for good: what waits for it (the revocation feed, rate limits) would wait for hours otherwise."""

    ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead


_clock, _monotonic = Clock(), _Monotonic()
_MOVED: dict[int, Any] = {
    id(time.time): _clock.now,
    id(time.monotonic): _monotonic.now,
    id(time): SimpleNamespace(**{**vars(time), "time": _clock.now, "monotonic": _monotonic.now}),
}


def _hand_out() -> None:
    """Put our clock in place of `time` wherever the package reads it; the package itself has no seam to pay for."""
    import flask_linked_auth as package

    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        with suppress(ImportError):  # of an extra that is not installed
            import_module(module.name)  # loaded later, it would read the machine's clock
    for name, loaded in list(sys.modules.items()):
        # `limits` counts in Redis by its own reading of the time.
        if name.startswith((f"{package.__name__}.", "limits.")) and name != __name__:
            for word, value in list(vars(loaded).items()):
                if id(value) in _MOVED:
                    setattr(loaded, word, _MOVED[id(value)])


@contextmanager
def moving_clock(app: Flask) -> Iterator[Clock]:
    """A clock that the extension goes by: tokens, logins, links and the windows of rate limits end when it says so.

    It goes on by itself, from the present moment; `advance` moves it. The host's own `time` and `datetime` stay as
    they are. Raises RuntimeError outside testing.
    """
    state_under_test(app)
    _hand_out()
    try:
        yield _clock
    finally:
        _clock.ahead = 0.0


class LoginUser(Protocol):
    """The type of the fixture `login_user`."""

    def __call__(
        self, user: Any, *, scopes: Sequence[str] | None = None, cookie: bool = False
    ) -> FlaskClient:
        """See the function `login_user`, without `app`."""


class MakeUser(Protocol):
    """The type of the fixture `make_user`."""

    def __call__(self, email: str, *, password: str | None = None, **columns: Any) -> Any:
        """See the function `make_user`, without `app`."""


class LinkedApps(Protocol):
    """The type of the fixture `linked_app`."""

    def __call__(self, slug: str, **terms: Any) -> Any:
        """See the function `linked_app`, without `app`."""


class ServiceClients(Protocol):
    """The type of the fixture `service_client`."""

    def __call__(
        self,
        slug: str,
        user: Any = None,
        *,
        mode: Mode | None = None,
        scopes: Collection[str] | None = None,
    ) -> FlaskClient:
        """See the function `service_client`, without `app`."""


class LiveServices(Protocol):
    """The type of the fixture `live_services`."""

    def __call__(self, services: Mapping[str, Flask | None], *, network: bool = False) -> None:
        """See the function `live_services`; it lasts until the end of the test."""


class LinkServices(Protocol):
    """The type of the fixture `link_services`."""

    def __call__(self, one: Flask, other: Flask, **terms: Any) -> dict[str, Flask]:
        """See the function `link_services`."""


try:
    import pytest
except ImportError:  # under another runner: the functions are all there is
    pass
else:

    @pytest.fixture(name="login_user")
    def _login_user(app: Flask) -> LoginUser:
        """`login_user(user, scopes=None, cookie=False)`: a client that acts as this user."""
        state_under_test(app)

        def log_in(user: Any, *, scopes: Sequence[str] | None = None, cookie: bool = False) -> FlaskClient:
            return login_user(app, user, scopes=scopes, cookie=cookie)

        return log_in

    @pytest.fixture(name="make_user")
    def _make_user(app: Flask) -> MakeUser:
        """`make_user(email, **columns)`: a person in the database, without a password."""
        state_under_test(app)

        def make(email: str, *, password: str | None = None, **columns: Any) -> Any:
            return make_user(app, email, password=password, **columns)

        return make

    @pytest.fixture(name="captured_mail")
    def _captured_mail(app: Flask) -> Iterator[list[Mail]]:
        """The mails that the test has sent: `to`, `subject`, `text`, `html`, `purpose`, `language`."""
        with captured_mail(app) as sent:
            yield sent

    @pytest.fixture(name="captured_events")
    def _captured_events(app: Flask) -> Iterator[list[Event]]:
        """What was told in the test: each has a `name` and its `facts`."""
        with captured_events(app) as told:
            yield told

    @pytest.fixture(name="moving_clock")
    def _moving_clock(app: Flask) -> Iterator[Clock]:
        """The extension's clock: `now()`, `advance(seconds)`."""
        with moving_clock(app) as clock:
            yield clock

    @pytest.fixture(name="linked_app")
    def _linked_app(app: Flask) -> LinkedApps:
        """`linked_app(slug, scopes=(), needs_agreement=True, …)`: a linked app, with keys in both directions."""
        state_under_test(app)
        return lambda slug, **terms: linked_app(app, slug, **terms)

    @pytest.fixture(name="service_client")
    def _service_client(app: Flask) -> ServiceClients:
        """`service_client(slug, user=None, mode=None, scopes=None)`: a client that calls as this linked app."""
        state_under_test(app)

        def make(slug: str, user: Any = None, **terms: Any) -> FlaskClient:
            return service_client(app, slug, user=user, **terms)

        return make

    @pytest.fixture(name="live_services")
    def _live_services() -> Iterator[LiveServices]:
        """`live_services({address: app, …})`: until the end of the test, `Service` reaches these apps."""
        with ExitStack() as stack:
            yield lambda services, **more: stack.enter_context(live_services(services, **more))

    @pytest.fixture(name="link_services")
    def _link_services() -> LinkServices:
        """`link_services(one, other)`: each is a linked app of the other; their addresses, for `live_services`."""

        def link(one: Flask, other: Flask, **terms: Any) -> dict[str, Flask]:
            return link_services(one, other, **terms)

        return link

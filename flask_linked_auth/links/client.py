"""`Service`: another service, called as if it were Requests."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any
from uuid import UUID

from requests import PreparedRequest, Request, Response, Session
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError as NoConnection,
    ContentDecodingError,
    Timeout,
    TooManyRedirects,
)
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ..errors import LinkedAuthError
from ..link_errors import AppNotFound
from .link import Link
from .names import check_subject
from .outgoing import BODY_LIMIT, RETRIES, Caller, Mode, webhook_of
from .transport import SHARED, SigningAdapter, is_resendable, surroundings

if TYPE_CHECKING:
    from types import TracebackType

    from requests.adapters import BaseAdapter

    from .async_client import AsyncService

__all__ = ["Service"]

#: What the other service, or the way to it, can do wrong; the rest are mistakes in a call.
_FAILURES = (ChunkedEncodingError, ContentDecodingError, HTTPError, NoConnection, Timeout, TooManyRedirects)


class Service(Session):
    """A linked service, to be called for a person or for this service itself: a `requests.Session` that signs.

    `app` is the slug of a linked app, or a `Link`, which needs neither an app context nor a database. `user` is the
    person to speak for: a row, `g.user`, or a key; None speaks for the service. `mode` is "jwt" or "signature" where
    the link is set up for both, None for what its row says. With `proxy` every call returns a Flask response.

        with Service("billing", g.user) as billing:
            invoices = billing.get("/invoices", params={"year": 2026}).json()

    Paths are taken from the address of the link, and never lead away from it. A redirect is followed on the same
    origin only. `timeout` are the seconds to connect and to wait for more of the answer, unless a call says otherwise;
    `retries` how often a call that does the same twice is repeated when nobody answers, or with 502, 503 or 504;
    `body_limit` the most bytes of a body that is read from a file or a generator and has to be signed.

    Raises AppNotFound for an unknown app, ValueError for a user or mode that cannot be spoken for, ForeignAddress for
    a path that leads away, BodyTooLarge, and else what Requests raises. With `async with` it is an `AsyncService`,
    the same over httpx2.
    """

    timeout: Any = (5.0, 30.0)
    retries: int = RETRIES
    body_limit: int = BODY_LIMIT

    def __init__(
        self, app: str | Link, user: Any = None, *, mode: Mode | None = None, proxy: bool = False
    ) -> None:
        super().__init__()
        self._mode = mode
        self._proxied = proxy
        self._unknown: AppNotFound | None = None
        self._async: AsyncService | None = None
        try:
            link = app if isinstance(app, Link) else _link_to(app)
        except AppNotFound as error:
            if not proxy:
                raise
            self._unknown = error
            return
        self.caller = Caller(link, _subject_of(user), mode=mode)
        self.trust_env = False  # it is asked once, in `surroundings`; and .netrc must not sign for us
        proxies, self.verify = surroundings(link.address)
        self.proxies = dict(proxies)
        self.mount("https://", SHARED)
        self.mount("http://", SHARED)

    @property
    def link(self) -> Link:
        """The link by which it calls. Raises AppNotFound if there is none."""
        if self._unknown is not None:
            raise self._unknown
        return self.caller.link

    def webhook(self, data: Any, **options: Any) -> Any:
        """Post something that happened, or a list of them, to the other service's webhook address as JSON.

        That address is for the other service to choose: the call is signed for the origin of the address, which may be
        another than the link's. Raises ValueError if the link names none.
        """
        if self._unknown is not None:
            return self.post("", json=data, **options)
        link, address = webhook_of(self.link)
        subject = self.caller.subject or None
        with Service(link, subject, mode=self._mode, proxy=self._proxied) as there:
            return there.post(address, json=data, **options)

    def request(self, method: str, url: str | bytes, *args: Any, **options: Any) -> Any:
        """A call, as of Requests; the verbs all come here. With `proxy`, a Flask response whatever happens."""
        if not self._proxied:
            return super().request(method, url, *args, **options)
        from .proxying import refusal, relay

        try:
            self.link  # noqa: B018 - raises for an unknown app
            answer = super().request(method, url, *args, **options)
        except (LinkedAuthError, *_FAILURES) as error:
            return refusal(error, late=_is_late(error))
        return relay(answer, stream=bool(options.get("stream", self.stream)))

    def prepare_request(self, request: Request) -> PreparedRequest:
        """A request ready to be sent, its path made a whole address. Raises ForeignAddress."""
        if self._unknown is not None:
            raise self._unknown
        url = request.url
        whole = copy(request)
        whole.url = self.caller.address_of(url if isinstance(url, str) else bytes(url or b"").decode())
        return super().prepare_request(whole)

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """Send a prepared request, by default with our time-outs."""
        if options.get("timeout") is None:
            options["timeout"] = self.timeout
        return super().send(request, **options)

    def get_adapter(self, url: str) -> BaseAdapter:
        """What sends to this address: the mounted adapter, and round it what signs."""
        inner = super().get_adapter(url)
        return SigningAdapter(self.caller, inner, retries=self.retries, limit=self.body_limit)

    def get_redirect_target(self, resp: Response) -> str | None:
        """Where a redirect leads, or None if it is not followed: to another origin, or with a body that is gone.

        Requests would send the body to whoever the other service names, and follow a 307 with what is left of a
        generator: nothing.
        """
        target = super().get_redirect_target(resp)
        if target is None or not self.caller.leads_home(resp.url, target):
            return None
        gone = resp.status_code in {307, 308} and not is_resendable(resp.request)
        return None if gone else target

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("A Service holds a key and is not pickled: make it where it is used.")

    async def __aenter__(self) -> AsyncService:
        from .async_client import AsyncService

        self._async = AsyncService(
            self._unknown or self.caller,
            mode=self._mode,
            proxy=self._proxied,
            timeout=self.timeout,
            retries=self.retries,
            limit=self.body_limit,
        )
        return self._async

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        if self._async is not None:
            await self._async.aclose()


def _is_late(error: Exception) -> bool:
    # In the midst of a body, Requests calls a time-out a failed connection.
    return isinstance(error, Timeout) or any(isinstance(each, ReadTimeoutError) for each in error.args)


def _link_to(app: Any) -> Link:
    from ..globals import current_state

    slug = app if isinstance(app, str) else getattr(app, "slug", None)
    if not isinstance(slug, str):
        raise TypeError(f"A Service is named by a slug, or given a Link; not by {type(app).__name__}.")
    links = current_state().parts.get("links")
    if links is None:
        raise RuntimeError("This app knows no other services: list the part Links() in LinkedAuth.")
    link: Link = links.link_to(slug)
    return link


def _subject_of(user: Any) -> str:
    """The text by which the other service knows a person of ours; "" for nobody."""
    user = getattr(user, "_get_current_object", lambda: user)()  # a proxy of werkzeug's, such as current_user
    if user is None:
        return ""
    key = user if isinstance(user, str | int | UUID) else _key_of(user)
    if isinstance(key, bool) or not isinstance(key, str | int | UUID) or key == "":
        # An empty text would speak for the service itself, which may do more than the person.
        raise ValueError(f"There is no person to speak for in {type(user).__name__}: give a row, or its key.")
    return check_subject(str(key))


def _key_of(user: Any) -> Any:
    if not hasattr(user, "__mapper__"):
        return getattr(user, "id", None)  # g.user, which knows it without loading the row
    from sqlalchemy import inspect

    identity = inspect(user).identity  # the key whatever it is called, and of a detached row as well
    return identity[0] if identity else None

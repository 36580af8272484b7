"""The guards: identify who calls, then permit. Nothing is on `g` until every check has passed."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Collection, Mapping
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import timedelta
from time import time
from typing import TYPE_CHECKING, Any, Literal, NoReturn, ParamSpec, TypeVar, overload

from flask import current_app, g, request

from .errors import (
    CSRFFailed,
    InternalError,
    InvalidToken,
    MissingScope,
    MissingToken,
    RivalCredentials,
    StaleLogin,
)
from .globals import (
    UserProxy,
    app_context,
    current_state,
    publish,
    publish_nobody,
    state_of,
    this_request,
)
from .hooks import call_hook
from .identity import Identity, checked_scopes, lacking
from .link_errors import ForbiddenSchema, NoAuthorizationHeader, UnknownSchema
from .misplaced import placed

if TYPE_CHECKING:
    from flask import Blueprint, Flask

    from .state import State

__all__ = ["Access", "Auth", "access_of", "ascope", "mark", "public", "scope"]

log = logging.getLogger("flask_linked_auth")
P = ParamSpec("P")
R = TypeVar("R")
_MARK = "__linked_auth__"
_METHODS = {"jwt": "link", "signature": "signature"}  # what `mode` calls them, what an Identity does


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in, as a guard marks it on its view; `flask linked-auth routes` prints it."""

    who: Literal["anyone", "people", "scopes"]
    scopes: tuple[str, ...] = ()
    any_of: bool = False
    fresh: int | None = None
    optional: bool = False
    mode: Literal["jwt", "signature"] | None = None
    awaited: bool = False
    further: Access | None = None

    @property
    def each(self) -> tuple[Access, ...]:
        """The guard itself and those below it on the same view, all of which must be content."""
        return (self, *(self.further.each if self.further is not None else ()))

    @property
    def modes(self) -> tuple[str, ...]:
        """The ways in which a linked app can come in here."""
        if self.who != "scopes":
            return ()
        return tuple(_METHODS) if self.mode is None else (self.mode,)

    def __str__(self) -> str:
        return "; ".join(dict.fromkeys(access.words for access in self.each))

    @property
    def words(self) -> str:
        """Who this guard lets in, without the further ones."""
        if self.who == "scopes":
            words = "scope " + (" or " if self.any_of else " and ").join(self.scopes)
            return words if self.mode is None else f"{words}, linked apps by {self.mode}"
        words = "anyone, people known" if self.optional else self.who
        return words if self.fresh is None else f"{words}, login at most {self.fresh} s old"


def identify(
    environ: Mapping[str, Any], state: State, *, cookie: bool = True, admits: Access | None = None
) -> Identity | None:
    """The identity that the request's one credential proves, or None if it carries none.

    An explicit header goes before the cookie, which the browser sends by itself; `cookie=False` ignores that one. What
    the guard does not admit (people only, by default) is refused before it is verified: nothing else is tried. Raises
    RivalCredentials for two different ones, what the reader of the scheme raises for a bad one, and CSRFFailed.
    """
    header = environ.get("HTTP_AUTHORIZATION")
    api_token = environ.get("HTTP_API_TOKEN")
    mode = None if admits is None else admits.mode
    if "HTTP_SIGNATURE_INPUT" in environ and admits is not None and admits.who == "scopes":
        identity = _identify_signed(environ["HTTP_SIGNATURE_INPUT"], state, header or api_token, mode)
        if identity is not None:
            return identity
    if mode is not None:
        _check_mode(mode, "bearer" if api_token is not None else (header or "").partition(" ")[0].lower())
    if api_token is not None:
        scheme, _, token = (header or f"Bearer {api_token}").partition(" ")
        if token != api_token or scheme.lower() != "bearer":
            # RFC 6750 section 2: never more than one; which of two counts would be the attacker's choice.
            raise RivalCredentials("Send the token in Authorization or in api-token, not two different ones.")
        return state.readers["bearer"](api_token)
    if header is None:
        return _identify_browser(environ, state) if cookie else None
    if header[:7] == "Bearer ":
        return state.readers["bearer"](header[7:])
    scheme, _, credential = header.partition(" ")
    reader = state.readers.get(scheme.lower())
    if reader is None or scheme.lower() == "cookie":  # which is nothing to be sent in this header
        raise UnknownSchema(
            "The scheme in Authorization is not used here. Write: Authorization: Bearer <token>"
        )
    if scheme.lower() != "bearer" and (admits is None or admits.who != "scopes"):
        raise ForbiddenSchema("This admits people with our own token only.")
    return reader(credential)


def _identify_signed(text: str, state: State, rival: str | None, mode: str | None) -> Identity | None:
    """Who signed the request, or None: others sign too (a proxy, a robot), and their labels are not our business."""
    if mode == "jwt":
        if rival is None and state.signature_readers:
            raise ForbiddenSchema("This admits linked apps only, by %(mode)s.", values={"mode": mode})
        return None
    for reader in state.signature_readers:
        identity = reader(text, rival is not None)
        if identity is not None:
            return identity
    return None


def _check_mode(mode: str, scheme: str) -> None:
    if not scheme:
        raise NoAuthorizationHeader("This admits linked apps only, and nobody says who calls.")
    if scheme != _METHODS[mode]:
        raise ForbiddenSchema("This admits linked apps only, by %(mode)s.", values={"mode": mode})


def _identify_browser(environ: Mapping[str, Any], state: State) -> Identity | None:
    reader = state.readers.get("cookie")
    if reader is None:
        return None
    try:
        return reader(environ.get("HTTP_COOKIE", ""))
    except MissingToken:
        return None


def admit(access: Access) -> None:
    """Identify the caller, check that `access` lets it in, and only then publish it on `g`."""
    context = app_context()
    state, slots = state_of(context.app), context.g.__dict__
    try:
        identity = identify(this_request().environ, state, admits=access)
    except CSRFFailed as problem:
        if not (access.optional and problem.foreign):
            raise
        identity = None  # another site's form is a stranger's request
    if identity is None:
        if not access.optional:
            raise MissingToken("This needs a token: Authorization: Bearer <token>.")
        publish_nobody(slots)
        return
    if access.who == "scopes":
        held = scopes_of(identity, state)
        missing = lacking(access.scopes, held, any_of=access.any_of)
        if missing:
            _refuse(identity, state, missing, any_of=access.any_of)
    elif identity.kind != "user" or identity.method not in {"token", "cookie"}:
        # A third party's narrow grant must not reach everything a person can do.
        raise InvalidToken("This admits people with our own token only.")
    if access.fresh is not None and identity.authenticated_at + access.fresh < time():
        raise StaleLogin(access.fresh)
    publish(slots, state, identity)
    if access.awaited:
        slots["get_user"] = _awaitable(slots["get_user"])


def _refuse(identity: Identity, state: State, missing: tuple[str, ...], *, any_of: bool) -> NoReturn:
    explain = state.explain_refusal.get(identity.kind)
    if explain is not None:
        explain(identity, missing)
    raise MissingScope(missing, any_of=any_of)


def _awaitable(get_user: Callable[[], Any]) -> Callable[[], Any]:
    """`g.get_user()` for views with `ascope`: what may ask another service must not stop the event loop."""

    async def ask() -> Any:
        import asyncio

        return await asyncio.to_thread(copy_context().run, get_user)

    return ask


def scopes_of(identity: Identity, state: State) -> Collection[str]:
    """The effective scopes of a caller.

    Those of a linked app were found when it was identified. A person's own are narrowed by those that the token
    carries, if it does.
    """
    if identity.kind == "app":
        return identity.scopes or frozenset()
    own: Collection[str] = _PersonScopes(identity, state)
    return own if identity.scopes is None else frozenset(each for each in identity.scopes if each in own)


class _PersonScopes(Collection[str]):
    """A person's own scopes, asked one at a time: from the `user_scopes` hook, or by the default rule."""

    def __init__(self, identity: Identity, state: State) -> None:
        self._state = state
        self._user = UserProxy(state, identity.user_id)
        self._listed: frozenset[str] | None = None
        hook = state.hooks.get("user_scopes")
        if hook is not None:
            self._listed = _listed(call_hook(hook, self._user))

    def __contains__(self, scope: object) -> bool:
        if scope in self._state.settings.apps_only_scopes:
            return False
        if self._listed is not None:
            return scope in self._listed
        if str(scope).partition(":")[0] == "admin":
            return self._state.database is not None and bool(getattr(self._user.row(), "is_admin", False))
        return True

    def __iter__(self) -> Any:
        return iter(self._listed or ())

    def __len__(self) -> int:
        return len(self._listed or ())


def _listed(scopes: Any) -> frozenset[str]:
    # A text is a collection too: of scopes of one letter.
    if (
        isinstance(scopes, str)
        or not isinstance(scopes, Collection)
        or not all(isinstance(each, str) for each in scopes)
    ):
        log.error("The user_scopes hook must return a list of strings, not %s", type(scopes).__name__)
        raise InternalError
    return frozenset(scopes)


def _guarded(view: Callable[P, R], access: Access, *, inject: bool = False) -> Callable[P, R]:
    _check_view(view)
    wants = frozenset(inspect.signature(view).parameters) & {"app", "token"} if inject else frozenset()
    is_async = inspect.iscoroutinefunction(view)

    @functools.wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        admit(access)
        if wants:
            for name in wants - kwargs.keys():
                kwargs[name] = g.get(name)
        if is_async:
            return current_app.ensure_sync(view)(*args, **kwargs)  # type: ignore[no-any-return]
        return view(*args, **kwargs)

    setattr(wrapper, _MARK, _joined(access, getattr(view, _MARK, None)))
    placed(view, wrapper)
    return wrapper


def _check_view(view: object) -> None:
    if isinstance(view, type):
        raise TypeError(
            f"{view.__name__} is a class: guard its methods, or set decorators = [Auth.auth_required] in it"
        )
    if not callable(view):
        raise TypeError(f"a guard stands on a view, not on {view!r}; scopes are for scope([...])")


def scope(
    scopes: list[str], mode: Literal["jwt", "signature"] | None = None, *, any_of: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Admit any caller that holds all `scopes` (one of them with `any_of`): people whose own they are, linked apps.

    `mode` admits linked apps only, by a JWT or by a signed request. A view that names `app` or `token` as parameters
    receives what is on `g` by these names.
    Raises TypeError or ValueError, where it is written, for scopes that are none.
    """
    access = _scope_access(scopes, mode, any_of=any_of)
    return lambda view: _guarded(view, access, inject=True)


def _scope_access(scopes: list[str], mode: Literal["jwt", "signature"] | None, *, any_of: bool) -> Access:
    if mode not in (None, "jwt", "signature"):
        raise ValueError("mode is None, 'jwt' or 'signature'")
    wanted = checked_scopes(scopes)
    if not wanted:  # nothing is asked for, so everybody would have it
        raise ValueError("scope() wants one scope at least; for any person there is Auth.auth_required")
    return Access("scopes", wanted, any_of=any_of, mode=mode)


def ascope(
    scopes: list[str], mode: Literal["jwt", "signature"] | None = None, *, any_of: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The same guard for `async def` views, in which `g.get_user()` is awaited: it may ask another service."""
    access = _scope_access(scopes, mode, any_of=any_of)

    def guard(view: Callable[P, R]) -> Callable[P, R]:
        awaited = inspect.iscoroutinefunction(view)
        return _guarded(view, replace(access, awaited=awaited), inject=True)

    return guard


def public(view: Callable[P, R]) -> Callable[P, R]:
    """Exempt a view from `Auth.protect`. Raises TypeError above a guard, which would go on refusing."""
    below: Access | None = getattr(view, _MARK, None)
    if below is not None and below.who != "anyone":
        raise TypeError(f"public stands above a guard ({below}), which refuses all the same: take one away")
    return mark(view, Access("anyone"))


def mark(view: Callable[P, R], access: Access) -> Callable[P, R]:
    """Note who may reach a view that sees to it by itself; `Auth.protect` leaves it alone."""
    setattr(view, _MARK, access)
    return view


def access_of(view: Any, method: str) -> Access | None:
    """What a guard marked on a view function, or on this method of a `MethodView`; None for no guard."""
    access: Access | None = getattr(view, _MARK, None)
    if (view_class := getattr(view, "view_class", None)) is None:
        return access
    handler = getattr(view_class, method.lower(), None) or getattr(view_class, "get", None)
    below: Access | None = getattr(handler, _MARK, None) or getattr(view_class, _MARK, None)
    return below if access is None else _joined(access, below)


def _joined(access: Access, below: Access | None) -> Access:
    """A guard with those that it stands above; one that lets in anyone is none."""
    if below is None or below.who == "anyone" or below is access:
        return access
    if access.who == "anyone":
        return below
    return replace(access, further=below if access.further is None else _joined(access.further, below))


def _seconds(fresh: timedelta | float) -> int:
    if isinstance(fresh, timedelta):
        return int(fresh.total_seconds())
    if isinstance(fresh, bool) or not isinstance(fresh, int | float):
        raise TypeError(f"fresh= is a timedelta or a number of seconds, not {fresh!r}")
    return int(fresh)


PEOPLE = Access("people")


def _protector() -> None:
    if request.endpoint is None:
        return  # no such page: the 404 tells nothing
    if request.method == "OPTIONS" and getattr(request.url_rule, "provide_automatic_options", False):
        return  # Flask answers without the view: a browser's preflight brings no token
    if access_of(current_app.view_functions[request.endpoint], request.method) is None:
        admit(PEOPLE)


def is_protected(app: Flask, endpoint: str) -> bool:
    """Whether `Auth.protect` covers this endpoint."""
    names: list[str | None] = [None]
    names += [endpoint.rsplit(".", depth)[0] for depth in range(1, endpoint.count(".") + 1)]
    return any(_protector in app.before_request_funcs.get(name, []) for name in names)


class Auth:
    """Guards and tokens for people."""

    @overload
    @staticmethod
    def auth_required(view: Callable[P, R]) -> Callable[P, R]: ...
    @overload
    @staticmethod
    def auth_required(
        view: None = None, *, fresh: timedelta | float | None = None, optional: bool = False
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    @staticmethod
    def auth_required(
        view: Any = None, *, fresh: timedelta | float | None = None, optional: bool = False
    ) -> Any:
        """Admit a person with our own token (`Authorization: Bearer` or `api-token`) or cookie, and put it on `g`.

        The cookie counts on requests of our own pages only, with a CSRF token where they change something.

        `fresh` wants the password to have been given that recently (else 401, RFC 9470), as a timedelta or in
        seconds. `optional` lets in requests without any credential, with `g.user` None; a bad one is still refused.
        Raises TypeError or RuntimeError, where it is written, for what is no view, and above the route.
        """
        seconds = None if fresh is None else _seconds(fresh)
        access = Access("people", fresh=seconds, optional=optional)
        if view is None:
            return lambda each: _guarded(each, access)
        return _guarded(view, access)

    @staticmethod
    def protect(target: Flask | Blueprint) -> None:
        """Guard every view of an app or blueprint that has no guard of its own and is not `@public`."""
        target.before_request(_protector)

    @staticmethod
    def generate_token(user: Any) -> str:
        """An access token outside any login, for a person's row or key.

        Raises ValueError for what is neither, SettingsError when there is no signing key, Unavailable when the
        database or the keys are out of reach, and InternalError for a bug in the `claims` hook or a missing table.
        """
        from .tokens.issuing import generate_token

        return generate_token(current_state(), user)

    @staticmethod
    def decode_token(token: str) -> Mapping[str, Any]:
        """The verified claims of an access token.

        Raises InvalidToken, ExpiredToken or RevokedToken, and Unavailable when nobody can tell.
        """
        return current_state().readers["bearer"](token).claims

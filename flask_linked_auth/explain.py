"""Why a request is admitted or refused, step by step: what the guard says, and the checks that lead there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .errors import CSRFFailed, MissingToken, Problem
from .globals import state_of
from .guards import PEOPLE, access_of, admit, identify, is_protected
from .token_steps import Step, life_of, standing, token_steps

if TYPE_CHECKING:
    from flask import Flask

    from .attempts import Attempt
    from .guards import Access
    from .state import State

__all__ = ["Step", "Verdict", "View", "explain", "view_of"]

_KNOWN_SCHEMES = {"basic", "digest", "token", "jwt", "negotiate", "apikey", "signature", "cookie"}


@dataclass(frozen=True, slots=True)
class View:
    """One view and one of its methods, and what guards it there: None for nothing."""

    endpoint: str
    method: str
    access: Access | None

    @property
    def open(self) -> bool:
        """Whether anybody is admitted, with whatever credential or none."""
        return self.access is None or self.access.who == "anyone"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it: the steps, the guard's own refusal if there is one, and what each guard of the app answers."""

    steps: tuple[Step, ...]
    problem: Problem | None
    view: View | None = None
    guards: tuple[tuple[str, Problem | None], ...] = ()

    def conclusion(self) -> Iterator[str]:
        """The last lines: what the guard says, or each of the app's."""
        guard = f" by {self.view.method} {self.view.endpoint} ({self.view.access})" if self.view else ""
        if self.view is not None and self.view.open:
            yield f"Admitted by {self.view.method} {self.view.endpoint}: anyone is."
        elif self.problem is not None:
            yield f"Refused{guard}: {_answer(self.problem)}"
        else:
            yield f"Admitted{guard}."
        for words, problem in self.guards:
            yield f"  {words}: {'admitted' if problem is None else _answer(problem)}"


def _answer(problem: Problem) -> str:
    return f"{problem.status} {problem.slug}. {problem.detail}"


def explain(app: Flask, attempt: Attempt, view: View | None = None) -> Verdict:
    """Try the request of `attempt` on the guard of one view; without one on the credential, then on every guard.

    Changes nothing: not even that a browser was seen. Raises what the database raises.
    """
    state = state_of(app)
    with app.test_request_context(
        attempt.path,
        method=attempt.method if view is None else view.method,
        base_url=attempt.base or state.settings.issuer,
        environ_overrides=_as_sent(attempt, state).environ(),
    ) as context:
        if state.database is not None:
            state.database.db.session.connection()  # in a transaction, the reader of cookies writes nothing
        environ = context.request.environ
        steps = [] if view is not None and view.open else list(_steps(environ, state))
        problem = _refusal_of_credential(environ, state) if view is None else _refusal(view.access)
        if problem is not None and all(step.good is not False for step in steps):
            steps.append(Step("guard", False, problem.detail))
        guards = _answers(app) if view is None and problem is None else ()
        if state.database is not None:
            state.database.db.session.rollback()
    return Verdict(tuple(steps), problem, view, guards)


def _as_sent(attempt: Attempt, state: State) -> Attempt:
    """A secret that came alone and can only be a cookie is sent as one."""
    if attempt.alone and "cookie" in state.readers:
        from .accounts.browser import cookie_name
        from .tokens.cookies import has_form

        if has_form(attempt.alone):
            return replace(attempt, headers={"Cookie": f"{cookie_name()}={attempt.alone}"})
    return attempt


def view_of(app: Flask, attempt: Attempt, target: str | None) -> View | None:
    """The view that is meant: an endpoint, a path or `POST /path`; else where the request goes, if that is known.

    Raises ValueError, with the nearest there is, if the app has no such view.
    """
    if target is None and not attempt.url:
        return None
    words = (target or f"{attempt.method} {attempt.path}").split()
    if "/" in words[-1]:
        endpoint, method = _match(app, words[-1], words[0].upper() if len(words) > 1 else attempt.method)
    else:
        endpoint, method = words[-1], attempt.method
        if endpoint not in app.view_functions:
            near = difflib.get_close_matches(endpoint, app.view_functions, n=1)
            raise ValueError(
                f"There is no endpoint {endpoint!r}." + (f" Did you mean {near[0]!r}?" if near else "")
            )
        known = {each for rule in app.url_map.iter_rules(endpoint) for each in rule.methods or {"GET"}}
        if method not in known:
            method = min(known - {"HEAD", "OPTIONS"}, default=method)
    return View(endpoint, method, _guard_of(app, endpoint, method))


def _match(app: Flask, path: str, method: str) -> tuple[str, str]:
    from werkzeug.exceptions import MethodNotAllowed, NotFound
    from werkzeug.routing import RequestRedirect

    adapter = app.url_map.bind("localhost")
    try:
        endpoint, _ = adapter.match(urlsplit(path).path, method=method)
    except RequestRedirect as moved:
        return _match(app, urlsplit(moved.new_url).path, method)
    except NotFound:
        raise ValueError(f"There is nothing at {path}.") from None
    except MethodNotAllowed as error:
        raise ValueError(
            f"{path} is there for {', '.join(sorted(error.valid_methods or ()))} only."
        ) from None
    return str(endpoint), method


def _guard_of(app: Flask, endpoint: str, method: str) -> Access | None:
    access = access_of(app.view_functions[endpoint], method)
    return PEOPLE if access is None and is_protected(app, endpoint) else access


def _refusal_of_credential(environ: Mapping[str, Any], state: State) -> Problem | None:
    try:
        found = identify(environ, state)
    except Problem as problem:
        return problem
    return MissingToken("There is no credential that counts.") if found is None else None


def _refusal(access: Access | None) -> Problem | None:
    if access is None or access.who == "anyone":
        return None
    try:
        for each in access.each:
            admit(each)
    except Problem as problem:
        return problem
    return None


def _answers(app: Flask) -> tuple[tuple[str, Problem | None], ...]:
    """What each guard that is in use answers."""
    guards = {str(PEOPLE): PEOPLE}
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            access = _guard_of(app, rule.endpoint, method)
            if access is not None and access.who != "anyone":
                guards[str(access)] = access
    return tuple((words, _refusal(guards[words])) for words in sorted(guards))


# The credential


def _steps(environ: Mapping[str, Any], state: State) -> Iterator[Step]:
    header, api_token = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_API_TOKEN")
    if header is None and api_token is None:
        yield from _cookie_steps(environ, state)
        return
    if header is None:
        scheme, token = "bearer", str(api_token)
    else:
        written, _, token = header.partition(" ")
        scheme = written.lower()
    if api_token is not None and (scheme, token) != ("bearer", api_token):
        yield Step("credential", False, "Authorization and api-token carry two different ones. Send one.")
    elif scheme not in state.readers or scheme == "cookie":
        known = (
            f"The scheme {scheme} is" if scheme in _KNOWN_SCHEMES else "What stands before the first space is"
        )
        yield Step(
            "credential", False, f"{known} none that is used here: write Authorization: Bearer <token>."
        )
    else:
        where = "Authorization" if api_token is None else "api-token"
        yield Step("credential", None, f"in the header {where}" + _beside_cookie(environ, state))
        if scheme == "bearer":
            yield from token_steps(token, state)


def _beside_cookie(environ: Mapping[str, Any], state: State) -> str:
    return ", which goes before the cookie" if "cookie" in state.readers and "HTTP_COOKIE" in environ else ""


def _cookie_steps(environ: Mapping[str, Any], state: State) -> Iterator[Step]:
    if "cookie" not in state.readers:
        yield Step(
            "credential",
            False,
            "There is none: no Authorization, no api-token, and cookies do not count here.",
        )
        return
    from .accounts.browser import check_csrf, cookie_name, same_origin
    from .tokens.cookies import has_form

    values = _cookies_named(environ, cookie_name())
    if not values:
        yield Step(
            "credential", False, f"There is none: no Authorization, no api-token, no cookie {cookie_name()}."
        )
        return
    if len(values) > 1:
        yield Step(
            "credential", False, f"There are two cookies {cookie_name()} (one may be of a neighbouring host)."
        )
        return
    yield Step("credential", None, f"the cookie {cookie_name()}")
    if not has_form(values[0]):
        yield Step("shape", False, "It has not the form of a cookie of ours (43 letters, digits, - and _).")
        return
    method = environ["REQUEST_METHOD"]
    yield Step(
        "origin", None, "from a page of our own, or typed in" if same_origin() else "from another site"
    )
    yield from _login_steps(values[0], state)
    if method in {"GET", "HEAD", "OPTIONS"}:
        return
    try:
        check_csrf()
        yield Step("csrf", True, f"the token of this browser, as {method} wants it")
    except CSRFFailed as problem:
        yield Step(
            "csrf", False, f"{problem.detail} {method} wants the field csrf_token or the header X-CSRF-Token."
        )


def _cookies_named(environ: Mapping[str, Any], name: str) -> list[str]:
    from werkzeug.http import parse_cookie

    return list(dict.fromkeys(parse_cookie(environ.get("HTTP_COOKIE", "")).getlist(name)))


def _login_steps(secret: str, state: State) -> Iterator[Step]:
    from sqlalchemy import select

    from .tokens.refresh import hashed

    database, now = state.database_in_use(), time()
    model = database.rows.Login
    login = database.db.session.scalars(select(model).where(model.cookie == hashed(secret))).one_or_none()
    if login is None:
        yield Step(
            "login", False, "No login has this cookie: it is another service's, or was pruned long ago."
        )
        return
    going_on = login.ended_at is None and login.expires_at > now
    yield Step("login", going_on, f"{login.id}, which {life_of(login, now)}")
    if going_on:
        yield standing(state, login.user_id, decides=True)

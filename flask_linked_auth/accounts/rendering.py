"""What the account pages share: how a page is shown, what its headers say, what is told once, how an error looks."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from ..catalogs import _
from ..errors import (
    CSRFFailed,
    InternalError,
    InvalidLink,
    MalformedRequest,
    MissingToken,
    Problem,
    StaleLogin,
    TooLarge,
    Unauthorized,
    UnknownUser,
    UnsupportedMediaType,
)
from ..globals import publish, publish_nobody
from ..guards import Access, mark
from ..http import MAX_BODY, guard_errors, problem_of
from ..texts import words
from ..version import __version__
from .browser import (
    browser_in_use,
    check_csrf,
    csrf_token,
    identify_browser,
    leave_note,
    note_left,
    safe_next,
    same_origin,
)
from .forms import Form, words_for
from .state import mine

if TYPE_CHECKING:
    from ..identity import Identity

__all__ = [
    "answered",
    "argument",
    "done",
    "guard_pages",
    "next_page",
    "page_url",
    "people",
    "sent",
    "show",
    "who",
]

log = logging.getLogger("flask_linked_auth")

BLUEPRINT = "linked_auth_pages"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
#: What is told once, on the page after a deed. A cookie names it; there is nothing in it that could be forged.
NOTICES = MappingProxyType(
    {
        "deleted": _("Your account is deleted."),
        "email-changed": _("Your e-mail address is changed."),
        "email-confirmed": _("Your e-mail address is confirmed."),
        "email-mailed": _("A mail with a link is on its way to the new address."),
        "link-mailed": _("If there is an account with this address, a mail with a link is on its way."),
        "logged-out": _("You are logged out."),
        "login-ended": _("That login is ended."),
        "others-ended": _("Every other login is ended."),
        "password-changed": _("Your password is changed, and you are logged out everywhere else."),
        "password-reset": _("Your password is changed. Log in with the new one."),
        "saved": _("Your changes are saved."),
        "verification-mailed": _("A mail with a link is on its way."),
        "welcome": _("Welcome! Your account is made."),
        "welcome-mailed": _(
            "Welcome! Your account is made. Please open the link in the mail that we sent you."
        ),
    }
)
_WHO = "flask_linked_auth.person"

View = Callable[..., Any]


def page_url(page: str, **values: Any) -> str:
    """The path of one of the pages."""
    return url_for(f"{BLUEPRINT}.{page}", **values)


def argument(name: str) -> str:
    """A parameter of the address, or a field of the form that it was taken over to."""
    return (sent() if request.method == "POST" else request.args).get(name, "")


def next_page() -> str | None:
    """Where to go on to, if the address or the form says it, and it is within the site."""
    return safe_next(argument("next"))


# Who is here


def who() -> Identity | None:
    """The person whose browser this is, from now on also on `g`; None for none, and for one whose login is over."""
    # In the environ and not on `g`, which a test's app context shares among all its requests.
    if _WHO not in request.environ:
        identity = request.environ[_WHO] = identify_browser()
        if identity is None:
            publish_nobody(g.__dict__)
        else:
            publish(g.__dict__, mine()[0], identity)
    found: Identity | None = request.environ[_WHO]
    return found


def _person() -> Any:
    """The row of the person who is logged in, or None."""
    try:
        return None if who() is None else g.get_user()
    except UnknownUser:  # deleted meanwhile
        return None


def people(view: View) -> View:
    """Show a page to people who are logged in; others are led to the login, and back."""
    return _for_people(view, fresh=False)


def recent_people(view: View) -> View:
    """The same, but for a recent login only, as guards with `fresh=` do."""
    return _for_people(view, fresh=True)


def _for_people(view: View, *, fresh: bool) -> View:
    @functools.wraps(view)
    def wrapper(**values: Any) -> Any:
        if request.method == "POST" and not same_origin():
            raise CSRFFailed("The request comes from another site.", foreign=True)
        identity, freshness = who(), mine()[1].settings.freshness
        if identity is None or _person() is None:
            raise MissingToken
        if fresh and identity.authenticated_at + freshness < time():
            raise StaleLogin(freshness)
        return view(**values)

    return mark(wrapper, Access("people"))


def _to_login(*, again: bool = False) -> Response:
    """Lead to the login, which leads back to this page; nothing that was sent here is kept."""
    rule = request.url_rule
    here = request.full_path.rstrip("?") if request.method in {"GET", "HEAD"} else request.path
    shown = rule is not None and "GET" in (rule.methods or ())
    back = safe_next(f"{request.script_root}{here}") if shown else page_url("profile")
    return onward(page_url("login", next=back, again=1 if again else None))


def onward(location: str) -> Response:
    """Send the browser on by GET, so that a reload does not do a deed again."""
    return make_response(redirect(location, 303))


# What is shown


def show(template: str, form: Form | None = None, *, status: int = 200, **values: Any) -> Response:
    """Render `linked_auth/<template>.html` with what every page wants, for whoever is here."""
    state, accounts = mine()
    notice = note_left() if status == 200 else None
    browser = browser_in_use()
    shown = {
        "csrf_token": csrf_token(),
        "form": form or Form(),
        "further": browser.further,
        "next": None,
        "notice": (NOTICES | browser.notices).get(notice or ""),
        "page": (request.endpoint or "").rpartition(".")[2],
        "recovery": accounts.settings.recovery,
        "registration": accounts.settings.registration,
        "service": state.settings.name,
        "version": __version__,
        **words(),
        **({} if "person" in values else {"person": _person()}),
        **values,
    }
    response = make_response(render_template(f"linked_auth/{template}.html", **shown), status)
    response.headers["Content-Language"] = shown["language"]
    response.vary.add("Accept-Language")
    if notice is not None:
        leave_note(response, None)
    return response


def done(notice: str, location: str) -> Response:
    """Send the browser on after a deed, and tell there what happened."""
    response = onward(location)
    leave_note(response, notice)
    return response


def answered(
    form: Form, template: str, deed: Callable[[dict[str, str]], Response], **values: Any
) -> Response:
    """GET shows the form. POST reads it and does the deed; what is refused is shown again, with the complaints."""
    if request.method != "POST":
        return show(template, form, **values)
    form.read(sent())
    try:
        check_csrf()
        return deed(form.checked())
    except Problem as problem:
        if isinstance(problem, InternalError | InvalidLink | StaleLogin | UnknownUser):
            raise
        if isinstance(problem, CSRFFailed) and problem.foreign:
            form.values = {}  # another site filled this in, and one more click must not send its words
        form.refuse(problem)
        response = show(template, form, status=problem.status, **values)
        response.headers.extend(problem.headers())
        return response


def sent() -> Mapping[str, str]:
    """The fields of the form, each once. Raises UnsupportedMediaType, TooLarge and MalformedRequest."""
    if request.mimetype not in {"application/x-www-form-urlencoded", ""}:
        raise UnsupportedMediaType("Send a form.")
    if (
        request.content_length is None and request.mimetype
    ):  # chunked, as no browser does: it could be endless
        raise MalformedRequest("Send Content-Length.")
    if (request.content_length or 0) > MAX_BODY:
        raise TooLarge
    if any(len(values) > 1 for _, values in request.form.lists()):
        # Two readers could each believe another of the two values.
        raise MalformedRequest("A field stands twice in the form.")
    return request.form.to_dict()


# Errors and headers


def _refused(error: Exception) -> Response:
    """A page about whatever escaped a page of ours; whoever must log in is led there."""
    if isinstance(error, HTTPException) and error.response is not None:
        return error.response  # type: ignore[return-value]  # somebody's abort(response): they said what to answer
    problem = problem_of(error)
    if isinstance(problem, Unauthorized):
        return _to_login(again=isinstance(problem, StaleLogin))
    try:
        # What answers 5xx may be the database, so nobody is looked for in there.
        nobody = {"person": None} if problem.status >= 500 else {}
        response = show("problem", status=problem.status, problem=problem, said=words_for(problem), **nobody)
    except Exception:  # a host's template may be what is broken
        log.exception("The page that tells of an error cannot be shown")
        response = Response(f"{problem.title}.", problem.status, content_type="text/plain; charset=utf-8")
    response.headers.extend(problem.headers())
    return response


def _secured(response: Response) -> Response:
    """The headers of every page. What a view or the host has set stays; the host's `after_request` comes later."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", POLICY)
    headers.setdefault("X-Frame-Options", "DENY")
    # The address of a page that a mailed link opens holds a secret, which no Referer must tell. Not
    # `no-referrer`: under it a browser posts the form with `Origin: null`, which passes for cross-site.
    headers.setdefault("Referrer-Policy", "strict-origin" if "token" in request.args else "same-origin")
    if request.endpoint == f"{BLUEPRINT}.static" and response.status_code < 400:
        headers["Cache-Control"] = "no-cache"
    return response


def guard_pages(blueprint: Blueprint) -> None:
    """Give every page of the blueprint its headers, and its errors as pages, whatever handlers the host has."""
    blueprint.after_request(_secured)  # registered first, it is called last
    guard_errors(blueprint, _refused)

"""The welcome page, on which people write by a form too, and the health check for whoever watches over the blog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flask import (
    Blueprint,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from marshmallow import ValidationError
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from flask_linked_auth import Auth, describe, public
from flask_linked_auth.errors import CSRFFailed, Unauthorized, Unavailable, UnknownUser
from flask_linked_auth.http import answer

from .database import db
from .posts import LONGEST_CONTENT, LONGEST_TITLE, Post, add_post, schema

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from .people import User

__all__ = ["blueprint"]

blueprint = Blueprint("pages", __name__)

HEALTHY = {"type": "object", "required": ["status"], "properties": {"status": {"enum": ["ok"]}}}
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
SHOWN = 5  # posts


@blueprint.get("/")
@Auth.auth_required(optional=True)
def welcome() -> ResponseReturnValue:
    """What this is and where to go, and the newest posts."""
    return _page()


@blueprint.post("/")
@Auth.auth_required
def write() -> ResponseReturnValue:
    """Write a post by the form, whose CSRF token the guard asks for; then show it."""
    typed = _typed()
    try:
        post = add_post(g.user.id, schema.load(typed))
    except ValidationError as error:
        return _page(typed=typed, complaints=error.messages_dict), 422
    return redirect(url_for(".welcome", _anchor=f"post-{post['id']}"), 303)


@blueprint.errorhandler(Unauthorized)
def to_login(problem: Unauthorized) -> ResponseReturnValue:
    """Lead to the login whoever sends the form without one, and then back here."""
    if request.method != "POST":
        return answer(problem)  # to a token that is not good, which no browser sends by itself
    return redirect(url_for("linked_auth_pages.login", next=url_for(".welcome")), 303)


@blueprint.errorhandler(CSRFFailed)
def show_again(problem: CSRFFailed) -> ResponseReturnValue:
    """Show what was typed, to be sent once more; but not what another site typed, which one click would publish."""
    return _page(typed={} if problem.foreign else _typed(), refused=True), problem.status


def _typed() -> dict[str, str]:
    # A browser sends CRLF for the line breaks in a form.
    return {name: request.form.get(name, "").replace("\r\n", "\n") for name in ("title", "content")}


def _page(
    *, typed: dict[str, str] | None = None, complaints: dict[str, Any] | None = None, refused: bool = False
) -> Response:
    person = _person()
    page = render_template(
        "welcome.html",
        # From the settings: the Host header is the caller's to choose.
        address=current_app.config["LINKED_AUTH_ISSUER"],
        person=person,
        posts=_newest(),
        typed=typed or {},
        complaints=complaints or {},
        refused=refused,
        longest={"title": LONGEST_TITLE, "content": LONGEST_CONTENT},
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache" if person is None else "no-store"
    return response


def _person() -> User | None:
    """Who is logged in, if anybody is."""
    try:
        found: User | None = g.get_user() if g.get("user") is not None else None
    except UnknownUser:  # who left a moment ago
        return None
    return found


def _newest() -> Sequence[Post] | None:
    """The newest posts; None while the database is out of reach, when the rest of the page is still of use."""
    try:
        return db.session.scalars(select(Post).order_by(Post.id.desc()).limit(SHOWN)).all()
    except SQLAlchemyError as error:
        db.session.rollback()
        current_app.logger.warning("The posts cannot be read: %s", type(error).__name__)
        return None


@blueprint.get("/health")
@describe(answers={200: HEALTHY}, errors=[Unavailable])
@public
def health() -> ResponseReturnValue:
    """Say whether the database answers."""
    db.session.execute(text("SELECT 1"))
    return {"status": "ok"}, 200, {"Cache-Control": "no-store"}

"""The page on which people track their time, by forms: it does what the API does, by the same rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from types import MappingProxyType
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
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from flask_linked_auth import Auth, page
from flask_linked_auth.accounts.browser import identify_browser
from flask_linked_auth.errors import (
    Conflict,
    CSRFFailed,
    InvalidFields,
    MalformedRequest,
    NotFound,
    Problem,
    Unauthorized,
    UnknownUser,
)
from flask_linked_auth.http import answer

from . import activities, track_routes, tracks
from .activities import BY_NAME, Activity
from .database import db
from .fields import is_key
from .people import User
from .tracks import Track

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

__all__ = ["blueprint", "clock", "words"]

blueprint = Blueprint("pages", __name__)

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
LATELY, MOST_ACTIVITIES = 8, 500  # how many one can choose from
TYPED = ("activity", "description", "name", "track")


@blueprint.app_template_filter()
def words(seconds: int) -> str:
    """A duration to read: `45 s`, `8 min`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


@blueprint.app_template_filter()
def clock(seconds: int) -> str:
    """A duration that is counting: `0:08:05`. The script of the page goes on from there."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


@blueprint.get("/")
@Auth.auth_required(optional=True)
def home() -> ResponseReturnValue:
    """One's tracks, and what to start next."""
    return _page(_person(), typed={"activity": request.args.get("activity", "")})


@blueprint.post("/")
@Auth.auth_required
def act() -> ResponseReturnValue:
    """Do what the button of a form says; then show the page."""
    deed = DEEDS.get(request.form.get("deed", ""))
    if deed is None:
        raise MalformedRequest("There is no such button.")
    typed = _typed()
    try:
        return redirect(url_for(".home", **deed(g.user.id, typed)), 303)
    except (Conflict, InvalidFields, NotFound) as problem:
        db.session.rollback()
        return _page(_person(), typed=typed, problem=problem), problem.status


def _start(user_id: int, typed: dict[str, str]) -> dict[str, Any]:
    chosen = int(typed["activity"]) if is_key(typed["activity"]) else None
    if chosen is None:
        raise InvalidFields(errors={"activity": ["Choose an activity."]})
    given = _loaded(track_routes.schema, {"activity": chosen, "description": typed["description"].strip()})
    running = tracks.running_of(user_id)
    wanted = (given["activity_id"], given["description"])
    if running is None or (running.activity_id, running.description) != wanted:  # not by a double click
        tracks.start(Track(user_id=user_id, **given))
        db.session.commit()
    return {}


def _resume(user_id: int, typed: dict[str, str]) -> dict[str, Any]:
    tracks.start(tracks.find(user_id, typed["track"], to_change=True))
    db.session.commit()
    return {}


def _stop(user_id: int, typed: dict[str, str]) -> dict[str, Any]:
    track = tracks.find(user_id, typed["track"], to_change=True)
    if track.running:  # else it was stopped in another window, and that is what is wanted
        tracks.stop(track)
        db.session.commit()
    return {}


def _add(user_id: int, typed: dict[str, str]) -> dict[str, Any]:
    given = _loaded(activities.schema, {"name": typed["name"]})
    same = func.lower(Activity.name) == given["name"].lower()
    known = db.session.scalar(select(Activity.id).where(same).order_by(Activity.id).limit(1))
    return {"activity": known or activities.add_activity(user_id, given)["id"]}


#: What the buttons do: each gives the parameters of the page that comes next.
DEEDS: MappingProxyType[str, Callable[[int, dict[str, str]], dict[str, Any]]] = MappingProxyType(
    {"start": _start, "resume": _resume, "stop": _stop, "add": _add}
)


def _loaded(schema: Any, given: dict[str, Any]) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(given)
    except ValidationError as error:
        raise InvalidFields(errors=error.messages_dict) from None
    return loaded


@blueprint.errorhandler(Unauthorized)
def to_login(problem: Unauthorized) -> ResponseReturnValue:
    """Lead to the login whoever sends a form without one, and then back here."""
    if request.method != "POST":
        return answer(problem)  # to a token that is not good, which no browser sends by itself
    return redirect(url_for("linked_auth_pages.login", next=url_for(".home")), 303)


@blueprint.errorhandler(CSRFFailed)
def show_again(problem: CSRFFailed) -> ResponseReturnValue:
    """Show what was typed, to be sent once more; but not what another site typed, which one click would do."""
    identity = identify_browser()  # the guard has published nobody; for what another site sends it is None
    person = None if identity is None else db.session.get(User, identity.user_id)
    return _page(person, typed={} if problem.foreign else _typed(), problem=problem), problem.status


def _typed() -> dict[str, str]:
    # A browser sends CRLF for the line breaks in a form.
    return {name: request.form.get(name, "").replace("\r\n", "\n") for name in TYPED}


def _page(person: User | None, *, typed: dict[str, str], problem: Problem | None = None) -> Response:
    shown = {} if person is None else _shown(person.id)
    complaints = {} if problem is None else dict(problem.errors)
    html = render_template(
        "tracker.html",
        person=person,
        typed=typed,
        complaints=complaints,
        problem=problem if not complaints else None,
        refused=isinstance(problem, CSRFFailed),
        longest={"description": track_routes.LONGEST_DESCRIPTION, "name": activities.LONGEST_NAME},
        **shown,
    )
    response = make_response(html)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache" if person is None else "no-store"
    return response


def _person() -> User | None:
    """Who is logged in, if anybody is."""
    try:
        found: User | None = g.get_user() if g.user is not None else None
    except UnknownUser:  # who left a moment ago
        return None
    return found


def _shown(user_id: int) -> dict[str, Any]:
    """What the page shows to this person; that it cannot be read while the database is out of reach."""
    try:
        found = page(tracks.tracks_of(user_id), tracks.NEWEST_FIRST, lambda track: track)
        return {
            "days": [(day, list(rows)) for day, rows in groupby(found["results"], _day)],
            "count": found["count"],
            "newer": found["previous"],
            "older": found["next"],
            "lately": _lately(user_id),
            "activities": db.session.scalars(
                select(Activity).order_by(*BY_NAME).limit(MOST_ACTIVITIES)
            ).all(),
        }
    except SQLAlchemyError as error:
        db.session.rollback()
        current_app.logger.warning("The tracks cannot be read: %s", type(error).__name__)
        return {"unreadable": True}


def _day(track: Track) -> Any:
    """Under which heading a track stands."""
    if track.end is None:
        return "Running" if track.running else "Planned"
    return track.end.date()


def _lately(user_id: int) -> Sequence[Activity]:
    """The activities that a person has spent time on, the last one first."""
    last = func.max(Track.start)
    query = select(Activity).join(Track, Track.activity_id == Activity.id).where(Track.user_id == user_id)
    return db.session.scalars(
        query.where(Track.start.is_not(None))
        .group_by(Activity.id)
        .order_by(last.desc(), Activity.id)
        .limit(LATELY)
    ).all()

"""Tracks over HTTP, for the person who tracks, and for linked apps that call on this person's behalf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, url_for
from marshmallow import Schema, fields, validate

from flask_linked_auth import describe, page, read_json, scope, uncached
from flask_linked_auth.errors import Conflict, Forbidden, NotFound
from flask_linked_auth.openapi import Answer, Body, Page

from . import tracks
from .database import db
from .fields import MAX_KEY, MomentField, text_rules
from .tracks import Track

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

__all__ = ["blueprint", "schema"]

LONGEST_DESCRIPTION = 2000


class TrackSchema(Schema):
    """A track as JSON. Whose it is follows from the login alone; `activity` is an activity's id."""

    id = fields.Integer(dump_only=True, metadata={"minimum": 1})
    user = fields.Integer(attribute="user_id", dump_only=True)
    activity = fields.Integer(
        attribute="activity_id", required=True, strict=True, validate=validate.Range(1, MAX_KEY)
    )
    activity_name = fields.String(
        attribute="activity.name", dump_only=True, metadata={"examples": ["Reading"]}
    )
    description = fields.String(**text_rules(LONGEST_DESCRIPTION))
    start = MomentField()
    end = MomentField()
    running = fields.Boolean(dump_only=True)
    seconds = fields.Integer(dump_only=True, allow_none=True, metadata={"minimum": 0})


class SpentSchema(Schema):
    """Time spent on one activity."""

    activity = fields.Integer()
    name = fields.String()
    seconds = fields.Integer(metadata={"minimum": 0})
    tracks = fields.Integer(metadata={"minimum": 1})


class SummarySchema(Schema):
    """Time spent in all, and per activity, the most first; and the running track."""

    seconds = fields.Integer(metadata={"minimum": 0})
    activities = fields.List(fields.Nested(SpentSchema))
    running = fields.Nested(TrackSchema, allow_none=True)


schema, summary = TrackSchema(), SummarySchema()
blueprint = Blueprint("tracks", __name__)
blueprint.after_request(uncached)

BY_ID = {"track_id": {"type": "integer", "minimum": 1, "maximum": MAX_KEY}}
NOBODY = Forbidden("Tracks are somebody's: call on behalf of a person who is known here.")
NO_SUCH = NotFound(tracks.NO_SUCH)
SECOND = Conflict("There is a running track already. Stop it first.")
reads, writes = scope(["read:tracks"]), scope(["write:tracks"])


@blueprint.get("/", strict_slashes=False)
@describe(answers={200: Page(schema)}, errors=[NOBODY])
@reads
def list_tracks() -> ResponseReturnValue:
    """One's own tracks by page: first what is running, then what is planned, then what ended last."""
    return page(tracks.tracks_of(_person()), tracks.NEWEST_FIRST, schema.dump)


@blueprint.get("/summary", strict_slashes=False)
@describe(answers={200: summary}, errors=[NOBODY])
@reads
def summarise() -> ResponseReturnValue:
    """How many seconds one has spent, in all and on each activity."""
    return dict(summary.dump(tracks.spent(_person())))


@blueprint.post("/", strict_slashes=False)
@describe(
    body=schema,
    answers={201: Answer(schema, headers={"Location": "The path of the track."})},
    errors=[NOBODY, SECOND],
)
@writes
def create_track() -> ResponseReturnValue:
    """Add a track: a finished one, a running one without `end`, or a planned one without `start` too."""
    track = Track(user_id=_person(), **read_json(schema))
    tracks.save(track)
    body = _committed(track)
    return body, 201, {"Location": url_for(".show_track", track_id=body["id"])}


@blueprint.get("/<track_id>", strict_slashes=False)
@describe(answers={200: schema}, errors=[NO_SUCH, NOBODY], parameters=BY_ID)
@reads
def show_track(track_id: str) -> ResponseReturnValue:
    """One of one's own tracks."""
    return dict(schema.dump(tracks.find(_person(), track_id)))


@blueprint.put("/<track_id>", strict_slashes=False)
@describe(body=schema, answers={200: schema}, errors=[NO_SUCH, NOBODY, SECOND], parameters=BY_ID)
@writes
def replace_track(track_id: str) -> ResponseReturnValue:
    """Write a track anew: what is not given is emptied."""
    return _change(track_id, partial=False)


@blueprint.patch("/<track_id>", strict_slashes=False)
@describe(
    body=Body(schema, partial=True),
    answers={200: schema},
    errors=[NO_SUCH, NOBODY, SECOND],
    parameters=BY_ID,
)
@writes
def change_track(track_id: str) -> ResponseReturnValue:
    """Change what is given of a track."""
    return _change(track_id, partial=True)


@blueprint.delete("/<track_id>", strict_slashes=False)
@describe(answers={204: None}, errors=[NO_SUCH, NOBODY], parameters=BY_ID)
@writes
def delete_track(track_id: str) -> ResponseReturnValue:
    """Delete one of one's own tracks."""
    db.session.delete(tracks.find(_person(), track_id))
    db.session.commit()
    return Response(status=204)


@blueprint.post("/<track_id>/start", strict_slashes=False)
@describe(
    answers={200: schema},
    errors=[NO_SUCH, NOBODY, Conflict("This track has been started before.")],
    parameters=BY_ID,
)
@writes
def start_track(track_id: str) -> ResponseReturnValue:
    """Start a planned track now. What is running stops at the same moment."""
    track = tracks.find(_person(), track_id, to_change=True)
    tracks.start(track)
    return _committed(track)


@blueprint.post("/<track_id>/stop", strict_slashes=False)
@describe(
    answers={200: schema}, errors=[NO_SUCH, NOBODY, Conflict("This track is not running.")], parameters=BY_ID
)
@writes
def stop_track(track_id: str) -> ResponseReturnValue:
    """Stop a running track now."""
    track = tracks.find(_person(), track_id, to_change=True)
    tracks.stop(track)
    return _committed(track)


def _person() -> int:
    """Whose tracks the call is about. Raises Forbidden for an app that speaks for nobody known here."""
    person = (
        g.user if g.user is not None else g.get_user()
    )  # which may have to ask the linked app who that is
    if person is None:
        raise Forbidden(NOBODY.detail)
    key: int = person.id
    return key


def _change(track_id: str, *, partial: bool) -> dict[str, Any]:
    track = tracks.find(_person(), track_id, to_change=True)
    for name, value in read_json(schema, partial=partial).items():
        setattr(track, name, value)
    tracks.save(track)
    return _committed(track)


def _committed(track: Track) -> dict[str, Any]:
    body = dict(schema.dump(track))  # before: after the commit it would be read anew, and may be gone
    db.session.commit()
    return body

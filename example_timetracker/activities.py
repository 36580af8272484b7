"""Activities, such as "Reading": what tracks are about. People add them for all; creator and staff change them.

Reading them takes the scope for reading tracks, which say little without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, url_for
from marshmallow import Schema, fields, post_load
from sqlalchemy import ForeignKey, String, Text, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.orm.exc import StaleDataError

from flask_linked_auth import Auth, describe, page, read_json, scope, uncached
from flask_linked_auth.errors import Conflict, Forbidden, NotFound, UnknownUser
from flask_linked_auth.openapi import Answer, Body, Page

from .database import db
from .fields import MAX_KEY, is_key, name_rules, text_rules

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

__all__ = ["BY_NAME", "Activity", "add_activity", "blueprint", "schema"]

LONGEST_NAME, LONGEST_DESCRIPTION = 100, 2000


class Activity(db.Model):  # type: ignore[name-defined,misc] # Flask-SQLAlchemy's own gap
    """Something to spend time on. `creator_id` is None when its creator has left: then it is the staff's."""

    __tablename__ = "activities"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 # an old address never shows another one
    __mapper_args__ = {"confirm_deleted_rows": False}  # noqa: RUF012 # of two who delete it, both have succeeded

    id: Mapped[int] = mapped_column(primary_key=True)
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    description: Mapped[str] = mapped_column(Text, default="")

    def __str__(self) -> str:
        return self.name


class ActivitySchema(Schema):
    """An activity as JSON. Whose it is follows from the login alone."""

    id = fields.Integer(dump_only=True, metadata={"minimum": 1})
    creator = fields.Integer(
        attribute="creator_id", dump_only=True, allow_none=True, metadata={"description": "A person's id."}
    )
    name = fields.String(**name_rules(LONGEST_NAME))
    description = fields.String(**text_rules(LONGEST_DESCRIPTION))

    @post_load
    def trim(self, data: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Space round a name is a slip."""
        return data | ({"name": data["name"].strip()} if "name" in data else {})


schema = ActivitySchema()
blueprint = Blueprint("activities", __name__)
blueprint.after_request(uncached)

#: The order of the list.
BY_NAME = (func.lower(Activity.name), Activity.id)
BY_ID = {"activity_id": {"type": "integer", "minimum": 1, "maximum": MAX_KEY}}
NO_SUCH = NotFound("There is no such activity.")
NOT_YOURS = Forbidden("Only its creator or a staff member may change this activity.")
IN_USE = Conflict("There are tracks of this activity, which would be lost with it.")


@blueprint.get("/", strict_slashes=False)
@describe(answers={200: Page(schema)})
@scope(["read:tracks"])
def list_activities() -> ResponseReturnValue:
    """The activities by name, by page."""
    return page(select(Activity), BY_NAME, schema.dump)


@blueprint.post("/", strict_slashes=False)
@describe(body=schema, answers={201: Answer(schema, headers={"Location": "The path of the activity."})})
@Auth.auth_required
def create_activity() -> ResponseReturnValue:
    """Add an activity, for everybody to use."""
    body = add_activity(g.user.id, read_json(schema))
    return body, 201, {"Location": url_for(".show_activity", activity_id=body["id"])}


@blueprint.get("/<activity_id>", strict_slashes=False)
@describe(answers={200: schema}, errors=[NO_SUCH], parameters=BY_ID)
@scope(["read:tracks"])
def show_activity(activity_id: str) -> ResponseReturnValue:
    """One activity."""
    return dict(schema.dump(_find(activity_id)))


@blueprint.put("/<activity_id>", strict_slashes=False)
@describe(body=schema, answers={200: schema}, errors=[NO_SUCH, NOT_YOURS], parameters=BY_ID)
@Auth.auth_required
def replace_activity(activity_id: str) -> ResponseReturnValue:
    """Give an activity another name and description, as its creator or as staff."""
    return _change(activity_id, partial=False)


@blueprint.patch("/<activity_id>", strict_slashes=False)
@describe(
    body=Body(schema, partial=True), answers={200: schema}, errors=[NO_SUCH, NOT_YOURS], parameters=BY_ID
)
@Auth.auth_required
def change_activity(activity_id: str) -> ResponseReturnValue:
    """Change what is given of an activity, as its creator or as staff."""
    return _change(activity_id, partial=True)


@blueprint.delete("/<activity_id>", strict_slashes=False)
@describe(answers={204: None}, errors=[NO_SUCH, NOT_YOURS, IN_USE], parameters=BY_ID)
@Auth.auth_required
def delete_activity(activity_id: str) -> ResponseReturnValue:
    """Delete an activity that nobody has tracked time for, as its creator or as staff."""
    db.session.delete(_find_to_change(activity_id))
    try:
        db.session.commit()
    except IntegrityError:  # the foreign key of the tracks: asking before would leave a gap for a new one
        raise Conflict(IN_USE.detail) from None
    return Response(status=204)


def add_activity(creator_id: int, given: dict[str, Any]) -> dict[str, Any]:
    """Add an activity to the database; what it is as JSON. Raises UnknownUser for one who left in the meantime."""
    activity = Activity(creator_id=creator_id, **given)
    db.session.add(activity)
    try:
        db.session.flush()
        body = dict(schema.dump(activity))  # now: after the commit it would be read anew
        db.session.commit()
    except IntegrityError:
        raise UnknownUser("This person has no account any more.") from None
    return body


def _change(activity_id: str, *, partial: bool) -> dict[str, Any]:
    activity = _find_to_change(activity_id)
    for name, value in read_json(schema, partial=partial).items():
        setattr(activity, name, value)
    try:
        db.session.flush()
        body = dict(schema.dump(activity))
        db.session.commit()
    except StaleDataError:  # somebody deleted it since it was read
        raise NotFound(NO_SUCH.detail) from None
    return body


def _find(activity_id: str) -> Activity:
    activity = db.session.get(Activity, int(activity_id)) if is_key(activity_id) else None
    if activity is None:
        raise NotFound(NO_SUCH.detail)
    return activity


def _find_to_change(activity_id: str) -> Activity:
    activity = _find(activity_id)
    if activity.creator_id != g.user.id and not g.user.is_admin:
        raise Forbidden(NOT_YOURS.detail)
    return activity

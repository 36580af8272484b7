"""The posts of the blog: rows, JSON and endpoints. Everybody reads, people write, owners and staff change."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, url_for
from marshmallow import Schema, ValidationError, fields, post_load, validate
from sqlalchemy import DateTime, ForeignKey, String, Text, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, backref, mapped_column, relationship
from sqlalchemy.orm.exc import StaleDataError

from flask_linked_auth import Auth, describe, page, public, read_json
from flask_linked_auth.errors import Forbidden, NotFound, Unavailable, UnknownUser
from flask_linked_auth.openapi import Answer, Body, Page

from .database import db

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from .people import User

__all__ = ["Post", "add_post", "blueprint", "schema"]

LONGEST_TITLE, LONGEST_CONTENT = 128, 50_000
# What the API document says of fields whose code it cannot read, in the words of JSON schema.
MOMENT = {"type": "string", "format": "date-time"}
ONE_LINE = {"minLength": 1, "pattern": r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"}
_IS_KEY = re.compile(r"[1-9][0-9]{0,8}", re.ASCII).fullmatch  # more does not fit into the column


def _now() -> datetime:
    return datetime.now(UTC)


class Post(db.Model):  # type: ignore[name-defined,misc] # Flask-SQLAlchemy's own gap
    """A post and whose it is."""

    __tablename__ = "blogposts"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 # an old address never shows another post
    __mapper_args__ = {"confirm_deleted_rows": False}  # noqa: RUF012 # of two who delete it, both have succeeded

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(LONGEST_TITLE))
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)
    modified_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now, onupdate=_now)

    owner: Mapped[User] = relationship(
        backref=backref("posts", cascade="all, delete-orphan", passive_deletes=True),
        lazy="joined",
        innerjoin=True,
    )


def _moment(value: datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)  # SQLite keeps no time zone
    return aware.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _one_line(text: str) -> None:
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text.strip()):
        raise ValidationError("Must be one line, without control characters.")


def _not_blank(text: str) -> None:
    if not text.strip():
        raise ValidationError("Must not be blank.")


def _storable(text: str) -> None:
    if "\0" in text:  # from a form; PostgreSQL takes none, and of JSON it is refused before
        raise ValidationError("Must not hold a NUL.")


class PostSchema(Schema):
    """A post as JSON. Only title and content are taken; whose it is follows from the token alone."""

    id = fields.Integer(dump_only=True)
    owner_id = fields.Integer(dump_only=True)
    owner_name = fields.String(
        attribute="owner.name", dump_only=True, metadata={"examples": ["Ada Lovelace"]}
    )
    title = fields.String(
        required=True,
        validate=[_not_blank, _one_line, validate.Length(max=LONGEST_TITLE)],
        metadata={**ONE_LINE, "examples": ["On the analytical engine"]},
    )
    content = fields.String(
        required=True,
        validate=[_not_blank, _storable, validate.Length(max=LONGEST_CONTENT)],
        metadata={"minLength": 1, "examples": ["It weaves algebraical patterns."]},
    )
    created_at = fields.Function(lambda post: _moment(post.created_at), dump_only=True, metadata=MOMENT)
    modified_at = fields.Function(lambda post: _moment(post.modified_at), dump_only=True, metadata=MOMENT)

    @post_load
    def trim(self, data: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Space round a title is a slip."""
        return data | ({"title": data["title"].strip()} if "title" in data else {})


schema = PostSchema()
blueprint = Blueprint("posts", __name__)

# What the API document cannot see in the views by itself.
BY_ID = {"post_id": {"type": "integer", "minimum": 1, "maximum": 999_999_999}}
NO_SUCH_POST = NotFound("There is no such post.")
NOT_YOURS = Forbidden("Only its owner or a staff member may change this post.")


@blueprint.get("/", strict_slashes=False)
@describe(answers={200: Page(schema)}, errors=[Unavailable])
@public
def list_posts() -> ResponseReturnValue:
    """The posts, newest first, by page."""
    return page(select(Post), (Post.id.desc(),), schema.dump)


@blueprint.get("/<post_id>", strict_slashes=False)
@describe(answers={200: schema}, errors=[NO_SUCH_POST, Unavailable], parameters=BY_ID)
@public
def show_post(post_id: str) -> ResponseReturnValue:
    """One post."""
    return dict(schema.dump(_find(post_id)))


@blueprint.post("/", strict_slashes=False)
@describe(body=schema, answers={201: Answer(schema, headers={"Location": "The path of the post."})})
@Auth.auth_required
def create_post() -> ResponseReturnValue:
    """Write a post."""
    body = add_post(g.user.id, read_json(schema))
    return body, 201, {"Location": url_for(".show_post", post_id=body["id"])}


@blueprint.route("/<post_id>", methods=["PUT", "PATCH"], strict_slashes=False)
@describe(
    body=Body(schema, partial=True),
    answers={200: schema},
    errors=[NO_SUCH_POST, NOT_YOURS],
    parameters=BY_ID,
)
@Auth.auth_required
def change_post(post_id: str) -> ResponseReturnValue:
    """Change what is given of a post, as its owner or as staff."""
    post = _find_to_change(post_id)
    for name, value in read_json(schema, partial=True).items():
        setattr(post, name, value)
    try:
        db.session.flush()
        body = schema.dump(post)  # now: after the commit it would be read anew, and may be gone
        db.session.commit()
    except StaleDataError:  # somebody deleted it since it was read
        raise NotFound("There is no such post.") from None
    return dict(body)


@blueprint.delete("/<post_id>", strict_slashes=False)
@describe(answers={204: None}, errors=[NO_SUCH_POST, NOT_YOURS], parameters=BY_ID)
@Auth.auth_required
def delete_post(post_id: str) -> ResponseReturnValue:
    """Delete a post, as its owner or as staff."""
    db.session.delete(_find_to_change(post_id))
    try:
        db.session.commit()
    except StaleDataError:
        raise NotFound("There is no such post.") from None
    response = Response(status=204)
    del response.headers["Content-Type"]  # of a body that is not there
    return response


def add_post(owner_id: int, given: dict[str, Any]) -> dict[str, Any]:
    """Add a post to the database; what it is as JSON. Raises UnknownUser for somebody who left in the meantime."""
    post = Post(owner_id=owner_id, **given)
    db.session.add(post)
    try:
        db.session.flush()
        body = dict(schema.dump(post))  # now: after the commit it would be read anew
        db.session.commit()
    except IntegrityError:
        raise UnknownUser("This person has no account any more.") from None
    return body


def _find(post_id: str) -> Post:
    post = db.session.get(Post, int(post_id)) if _IS_KEY(post_id) else None
    if post is None:
        raise NotFound("There is no such post.")
    return post


def _find_to_change(post_id: str) -> Post:
    post = _find(post_id)
    if post.owner_id != g.user.id and not g.user.is_admin:
        raise Forbidden("Only its owner or a staff member may change this post.")
    return post

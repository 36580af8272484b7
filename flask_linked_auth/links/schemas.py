"""The JSON between services: people as linked apps see them, one-time tokens, and what a pairing sends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from marshmallow import Schema, fields, validate

if TYPE_CHECKING:
    from ..database import Database

__all__ = [
    "Announced",
    "Answered",
    "Challenge",
    "Introduced",
    "Introduction",
    "LinkedUser",
    "Met",
    "NewKeys",
    "Offer",
    "Side",
    "moment_text",
    "seen_by_app",
]

# No user, no query, no dot segments: nothing that leads elsewhere than it seems to.
_PATH = r"(/(?!\.+(/|\Z))[A-Za-z0-9._~-]{1,100}){0,10}\Z"
_ADDRESS = rf"(?=.{{1,500}}\Z)https?://(\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{{1,5}})?{_PATH}"
_ID = validate.Regexp(r"[A-Za-z0-9_-]{1,64}\Z")


def seen_by_app(database: Database, user: Any) -> dict[str, Any]:
    """A person of ours as linked apps see them, by the members that the Django package knows.

    Who has no user name goes by the e-mail address. A `name` is cut behind its first word, so that both parts together
    are the whole; a model with `first_name` and `last_name` is believed.
    """
    first, _, last = (getattr(user, "name", None) or "").strip().partition(" ")
    key = database.key_of(user)
    return {
        "id": str(key) if isinstance(key, UUID) else key,
        "email": user.email,
        "username": getattr(user, "username", None) or user.email,
        "first_name": getattr(user, "first_name", first) or "",
        "last_name": getattr(user, "last_name", last) or "",
        "date_joined": moment_text(getattr(user, "date_joined", None) or getattr(user, "created_at", None)),
        "email_verified": bool(getattr(user, "email_verified", False)),
        "github": None,
        "profile": None,
    }


def moment_text(value: Any) -> str | None:
    """A moment as ISO 8601 in UTC, from Unix seconds or a datetime (a naive one is in UTC); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | datetime):
        return None
    moment = datetime.fromtimestamp(value, UTC) if isinstance(value, int) else value
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat(timespec="seconds").replace("+00:00", "Z")


class LinkedUser(Schema):
    """A person as linked apps see them."""

    id = fields.Raw(required=True, metadata={"type": ["integer", "string"], "examples": [1]})
    email = fields.String(required=True, metadata={"format": "email", "examples": ["ada@example.com"]})
    username = fields.String(required=True, metadata={"examples": ["ada"]})
    first_name = fields.String(required=True, metadata={"examples": ["Ada"]})
    last_name = fields.String(required=True, metadata={"examples": ["Lovelace"]})
    date_joined = fields.String(
        required=True,
        allow_none=True,
        metadata={"format": "date-time", "examples": ["2026-03-01T09:30:00Z"]},
    )
    email_verified = fields.Boolean(required=True)
    github = fields.Raw(required=True, metadata={"type": "null"})
    profile = fields.Raw(required=True, metadata={"type": "null"})


class Introduction(Schema):
    """A one-time token for a linked app."""

    token = fields.String(required=True, metadata={"examples": ["fla_it_3bX0…"]})
    expires_in = fields.Integer(
        required=True, metadata={"description": "In seconds.", "minimum": 1, "examples": [600]}
    )


class Introduced(Schema):
    """Who brought a one-time token."""

    token = fields.String(required=True, metadata={"examples": ["fla_it_3bX0…"]})
    token_type = fields.String(required=True, metadata={"enum": ["one_time"]})
    expires_at = fields.String(
        required=True, metadata={"format": "date-time", "examples": ["2026-03-01T09:30:00Z"]}
    )
    user_id = fields.Raw(required=True, metadata={"type": ["integer", "string"], "examples": [1]})
    email = fields.String(required=True, metadata={"format": "email", "examples": ["ada@example.com"]})


class Announced(Schema):
    """A key that signs calls, as the other side has to know it: `key` is base64url of what verifies."""

    id = fields.String(required=True, validate=_ID)
    algorithm = fields.String(required=True, validate=validate.OneOf(["EdDSA", "HS256", "HS512"]))
    key = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z0-9_-]{43,200}\Z"))


class Side(Schema):
    """What a service says of itself when it is linked; `to` is where the offer goes, in an offer."""

    name = fields.String(required=True, validate=validate.Regexp(r"[a-z0-9][a-z0-9_-]{0,49}\Z"))
    address = fields.String(required=True, validate=validate.Regexp(_ADDRESS))
    prefix = fields.String(required=True, validate=validate.Regexp(_PATH))
    to = fields.String(validate=validate.Regexp(_ADDRESS))
    pairing = fields.String(required=True, validate=_ID)
    link = fields.Nested(Announced, required=True)
    signature = fields.Nested(Announced, required=True)


class Offer(Schema):
    """A request to be linked: the text of a `Side`, and the proof of the code over it."""

    code = fields.String(required=True, validate=_ID)
    offer = fields.String(required=True, validate=validate.Length(1, 8000))
    proof = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z0-9_-]{86}\Z"))


class Answered(Schema):
    """The answer to it: the text of a `Side`, and what only the inviting side can compute over both."""

    answer = fields.String(required=True, validate=validate.Length(1, 8000))
    mac = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z0-9_-]{43}\Z"))


class Challenge(Schema):
    """A question whether we are at our address."""

    pairing = fields.String(required=True, validate=_ID)
    challenge = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z0-9_-]{43}\Z"))


class Met(Schema):
    """The answer to it: the challenge, signed by the key of the offer."""

    answer = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z0-9_-]{43,86}\Z"))


class NewKeys(Schema):
    """Keys that come after those that sign now, and for how many seconds the former ones are still to be accepted."""

    link = fields.Nested(Announced)
    signature = fields.Nested(Announced, required=True)
    overlap = fields.Integer(required=True, strict=True, validate=validate.Range(0, 10**8))

"""The JSON of agreements."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields

if TYPE_CHECKING:
    from .agreements import Standing

__all__ = ["Agreement", "AgreementInShort", "moment", "shown"]


class AgreementInShort(Schema):
    """Whether one has agreed to all that an app asks for by now."""

    app = fields.String(metadata={"description": "The slug of the app.", "examples": ["billing"]})
    up_to_date = fields.Boolean(
        metadata={"description": "False if the app has been given other scopes since.", "examples": [True]}
    )


class Agreement(AgreementInShort):
    """What one allowed a linked app to do."""

    name = fields.String(metadata={"examples": ["Billing"]})
    scopes = fields.List(
        fields.String(), metadata={"description": "Those that one accepted.", "examples": [["read:posts"]]}
    )
    agreed_at = fields.String(metadata={"format": "date-time"})


def moment(seconds: int) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def shown(standing: Standing) -> dict[str, Any]:
    """What `Agreement` says of an agreement."""
    return {
        "app": standing.app.slug,
        "name": standing.app.name,
        "up_to_date": standing.up_to_date,
        "scopes": sorted(standing.scopes),
        "agreed_at": moment(standing.agreed_at),
    }

"""The root of the API, which says what is in it, and the health check for whoever watches over the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, url_for
from sqlalchemy import text

from flask_linked_auth import Auth, describe, public, uncached
from flask_linked_auth.errors import Unavailable

from .database import db

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

__all__ = ["blueprint"]

blueprint = Blueprint("root", __name__)
blueprint.after_request(uncached)

PATH = {"type": "string", "format": "uri-reference"}
COLLECTIONS = {"activities": "activities.list_activities", "tracks": "tracks.list_tracks"}
ROOT = {"type": "object", "required": list(COLLECTIONS), "properties": dict.fromkeys(COLLECTIONS, PATH)}
HEALTHY = {"type": "object", "required": ["status"], "properties": {"status": {"enum": ["ok"]}}}


@blueprint.get("/api/", strict_slashes=False)
@describe(answers={200: ROOT}, tags=["Service"])
@Auth.auth_required
def list_collections() -> ResponseReturnValue:
    """The collections of the API, by path."""
    return {name: url_for(endpoint) for name, endpoint in COLLECTIONS.items()}


@blueprint.get("/health")
@describe(answers={200: HEALTHY}, errors=[Unavailable], tags=["Service"])
@public
def health() -> ResponseReturnValue:
    """Say whether the database answers."""
    db.session.execute(text("SELECT 1"))
    return {"status": "ok"}

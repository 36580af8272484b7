"""One's tracked time, for the account page: asked of the time tracker on one's behalf, if it lets the blog in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from flask import Blueprint, current_app, g
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from requests import RequestException

from flask_linked_auth import Service
from flask_linked_auth.link_errors import AppNotFound

if TYPE_CHECKING:
    from requests import Response

__all__ = ["TrackedTime", "blueprint", "tracked_time", "words"]

blueprint = Blueprint("tracked_time", __name__)

PATIENCE = (1, 2)  # seconds to connect, and for the answer: meanwhile somebody waits for the page
SUMMARY, AGREEMENT, APPS = "/api/tracks/summary", "/v1/auth/authorize/", "/account/apps"


class _Spent(Schema):
    name = fields.String(required=True, validate=validate.Length(max=200))
    seconds = fields.Integer(required=True, validate=validate.Range(0))


class _Running(Schema):
    activity_name = fields.String(required=True, validate=validate.Length(max=200))
    description = fields.String(required=True, validate=validate.Length(max=5000))
    seconds = fields.Integer(required=True, validate=validate.Range(0))


class _Summary(Schema):
    """What the blog reads of a summary. What else is in it is for others."""

    seconds = fields.Integer(required=True, validate=validate.Range(0))
    activities = fields.List(fields.Nested(_Spent, unknown=EXCLUDE), required=True)
    running = fields.Nested(_Running, unknown=EXCLUDE, required=True, allow_none=True)


_summary = _Summary(unknown=EXCLUDE)
Standing = Literal["shown", "not-allowed", "unknown", "refused", "down", "unlinked"]


@dataclass(frozen=True, slots=True)
class TrackedTime:
    """What there is to show: `summary` if it is "shown". `address` is where the time tracker lives.

    "not-allowed" until the person allows it on the page at `agreement_url`, "unknown" while the time tracker does not
    know who they are, "refused" if the blog may not ask at all, "unlinked" if the two services do not know each other.
    """

    standing: Standing
    address: str = ""
    agreement_url: str = ""
    apps_url: str = ""
    summary: dict[str, Any] | None = None


@blueprint.app_template_global()
def tracked_time() -> TrackedTime:
    """The tracked time of who is logged in. It never fails: without the time tracker the page is still of use."""
    try:
        tracker = Service(current_app.config["TIMETRACKER"], g.user)
    except (AppNotFound, ValueError) as error:  # the latter where there is no key to sign with
        current_app.logger.info("The time tracker cannot be called: %s", error)
        return TrackedTime("unlinked")
    tracker.retries = 0
    address = tracker.link.address
    try:
        with tracker:
            answer = tracker.get(SUMMARY, timeout=PATIENCE)
    except RequestException as error:
        current_app.logger.warning("The time tracker cannot be asked: %s", type(error).__name__)
        return TrackedTime("down", address)
    return _read(answer, address)


def _read(answer: Response, address: str) -> TrackedTime:
    body = _json_of(answer)
    if answer.status_code == 200:
        try:
            return TrackedTime("shown", address, apps_url=address + APPS, summary=dict(_summary.load(body)))
        except ValidationError as error:
            current_app.logger.warning("The time tracker answered something else: %s", error.messages)
            return TrackedTime("down", address)
    slug = str(body.get("slug", ""))
    if slug == "agreement-not-accepted":
        return TrackedTime(
            "not-allowed" if body.get("person_known", True) else "unknown",
            address,
            agreement_url=_agreement_url(body, address),
        )
    current_app.logger.warning("The time tracker refused: %s %s", answer.status_code, slug)
    if answer.status_code in {401, 403}:
        return TrackedTime("unlinked" if answer.status_code == 401 else "refused", address)
    return TrackedTime("down", address)


def _json_of(answer: Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _agreement_url(body: dict[str, Any], address: str) -> str:
    """Where the person can allow it: as the time tracker says, but nowhere else than there."""
    said = body.get("agreement_url")
    if isinstance(said, str) and said.startswith(f"{address}/"):
        return said
    return f"{address}{AGREEMENT}{current_app.config['LINKED_AUTH_NAME']}"


@blueprint.app_template_filter("duration")
def words(seconds: int) -> str:
    """A duration to read: `45 s`, `8 min`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"

"""What linked apps ask over HTTP: for people, and who brought a one-time token; and what a person sends to an app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Blueprint, g, jsonify, request
from marshmallow import INCLUDE, Schema
from sqlalchemy import func, select

from ..apps.changes import find_app
from ..errors import Conflict, Forbidden, InvalidFields, MalformedRequest, NotFound, Unavailable
from ..guards import Access, Auth, identify, public, scope
from ..http import catch_all, guard_errors, read_json
from ..link_errors import (
    AppNotFound,
    ExternalApp,
    FromExternalApp,
    NoAuthorizationHeader,
    SpentToken,
    TokenNotProvided,
    UserNotFound,
    UserWithNoAccess,
)
from ..openapi import Answer, describe
from ..texts import _
from ..throttle import network
from ..transactions import commit
from .announced import key_of, take
from .one_time import one_time_token, spend
from .pairing import meet_challenge, take_offer
from .profiles import push_profile
from .schemas import (
    Challenge,
    Introduced,
    Introduction,
    LinkedUser,
    NewKeys,
    Offer,
    moment_text,
    seen_by_app,
)
from .signatures import read_signature
from .state import mine
from .visible import FILTERS, visible_people

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from ..apps.registry import AppRecord
    from ..config import LinkSettings
    from ..transactions import Transaction

__all__ = ["make_blueprints"]

SERVICES, ACCOUNT = "Linked services", "Account"
MOST = 10**7
_NOBODY = UserNotFound("User not found")


def _caller() -> AppRecord:
    """The linked app that calls. A person never is one, whatever scopes the host gives them."""
    _, links = mine()
    app = None
    if g.identity.kind == "app" and g.identity.method in {"link", "signature"}:
        app = links.apps.registry.find(g.identity.app_id)
    if app is None:
        raise Forbidden("This is for linked services only.")
    return app


def _only_one() -> tuple[bool, Any]:
    """Whether the app calls for somebody, and who that is here: None for nobody."""
    if not g.identity.claims["sub"]:
        return False, None
    row = g.get_user()
    return True, None if row is None else mine()[0].database_in_use().key_of(row)


@describe(
    answers={
        200: Answer(
            {"type": "array", "items": LinkedUser},
            headers={
                "X-Total-Count": "How many there are.",
                "Link": "The pages before and after (RFC 8288).",
            },
        )
    },
    errors=[MalformedRequest],
    parameters={
        **{name: {"type": "string"} for name in FILTERS},
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST},
        "offset": {"type": "integer", "minimum": 0, "maximum": MOST},
    },
    tags=SERVICES,
)
@scope(["read:user"])
def linked_users() -> ResponseReturnValue:
    """The people whom the calling app may know of.

    Only the one for whom it calls; of an app that people must agree to, only those who have. A bare list: the pages
    are told of in `Link`, and how many there are in `X-Total-Count`.
    """
    state, links = mine()
    database, app = state.database_in_use(), _caller()
    most = links.settings.people_page_size
    limit, offset = min(_number("limit", most, least=1), most), _number("offset", 0, least=0)
    filters = {name: text for name in FILTERS if (text := _text(name)) is not None}
    for_somebody, user_id = _only_one()
    if for_somebody and user_id is None:
        return _listed([], 0, limit=limit, offset=offset, filters=filters)
    query = visible_people(database, app, filters, only=user_id)
    session = database.db.session
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    found = [seen_by_app(database, user) for user in session.scalars(query.limit(limit).offset(offset))]
    return _listed(found, total, limit=limit, offset=offset, filters=filters)


def _listed(
    found: list[Any], total: int, *, limit: int, offset: int, filters: dict[str, str]
) -> ResponseReturnValue:
    response = jsonify(found)
    response.headers["X-Total-Count"] = str(total)
    places = {"first": 0, "prev": max(0, offset - limit) if offset else None}
    places["next"] = offset + limit if offset + limit < total else None
    # Without a host: the Host header is the caller's to choose, and is not reflected.
    path = request.script_root + request.path
    response.headers["Link"] = ", ".join(
        f'<{path}?{urlencode({**filters, "limit": limit, "offset": place})}>; rel="{name}"'
        for name, place in places.items()
        if place is not None
    )
    return response


def _text(name: str) -> str | None:
    values = request.args.getlist(name)
    if len(values) > 1:
        raise MalformedRequest(errors={name: [_("Must be given once.")]})
    return values[0] if values else None


def _number(name: str, default: int, *, least: int) -> int:
    text = _text(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 8 or not least <= int(text) <= MOST:
        complaint = _(
            "Must be given once, as a whole number from %(least)s to %(most)s.", least=least, most=MOST
        )
        raise MalformedRequest(errors={name: [complaint]})
    return int(text)


@describe(answers={200: LinkedUser}, errors=[UserWithNoAccess, _NOBODY], tags=SERVICES)
@scope(["read:user"])
def linked_user(user_id: str) -> ResponseReturnValue:
    """One person whom the calling app may know of.

    403 for anybody else than the one for whom it calls.
    """
    database, app = mine()[0].database_in_use(), _caller()
    for_somebody, only = _only_one()
    if for_somebody and only is None:
        raise UserNotFound
    if for_somebody and str(only) != user_id:
        raise UserWithNoAccess
    found = database.db.session.scalars(visible_people(database, app, {"id": user_id})).first()
    if found is None:
        raise UserNotFound
    return seen_by_app(database, found)


@describe(answers={200: LinkedUser}, errors=[MalformedRequest, _NOBODY], tags=SERVICES)
@scope(["read:user"])
def note_linked_user() -> ResponseReturnValue:
    """Take note of the person for whom the app calls, as its profile says now.

    What is sent is not believed: the signature of a JWT does not cover it. The app is asked, as `g.get_user()` does.
    """
    _caller()
    if not g.identity.claims["sub"]:
        raise MalformedRequest("This is to be called for a person.")
    row = g.get_user()
    if row is None:
        raise UserNotFound
    return seen_by_app(mine()[0].database_in_use(), row)


@describe(
    body={
        "type": "object",
        "required": ["token"],
        "properties": {"token": {"type": "string", "examples": ["fla_it_3bX0…"]}},
    },
    answers={200: Introduced},
    errors=[TokenNotProvided, SpentToken, FromExternalApp],
    tags=SERVICES,
)
@scope(["read:token"])
def spend_token() -> ResponseReturnValue:
    """Learn, once, who the person is that brought a one-time token of ours."""
    state, _links = mine()
    app = _caller()
    if app.facts.needs_agreement:
        raise FromExternalApp("People have to agree to this app first.")
    token = read_json(Schema(unknown=INCLUDE)).get("token")
    if not isinstance(token, str) or not token:
        raise TokenNotProvided
    user_id, expires_at = commit(state, lambda deed: spend(deed, token, app_id=app.id))
    database = state.database_in_use()
    user = database.load_user(user_id)
    if user is None:
        raise SpentToken
    return {
        "token": token,
        "token_type": "one_time",
        "expires_at": moment_text(expires_at),
        "user_id": seen_by_app(database, user)["id"],
        "email": user.email,
    }


def _own_app(slug: str) -> AppRecord:
    """The linked app of this slug that needs no agreement."""
    app = mine()[1].apps.registry.find(slug)
    if app is None or app.slug != slug:
        raise NotFound("There is no linked app %(name)s.", values={"name": slug[:50]})
    if app.facts.needs_agreement:
        raise ExternalApp("People have to agree to this app first.")
    return app


_NO_APP = NotFound("There is no linked app %(name)s.", values={"name": "billing"})


@describe(answers={201: Introduction}, errors=[ExternalApp, _NO_APP], tags=ACCOUNT)
@Auth.auth_required
def introduce_me(slug: str) -> ResponseReturnValue:
    """Get a one-time token by which this linked app, and no other, learns who one is."""
    links, app = mine()[1], _own_app(slug)
    token = one_time_token(g.identity.user_id, app.slug)
    return {"token": token, "expires_in": links.settings.one_time_token_lifetime}, 201


@describe(
    answers={204: None},
    errors=[ExternalApp, _NO_APP, Unavailable("The linked app does not answer.")],
    tags=ACCOUNT,
)
@Auth.auth_required
def sync_me(slug: str) -> ResponseReturnValue:
    """Push one's own profile to a linked app, for it to take note of."""
    state, links = mine()
    app = _own_app(slug)
    profile = seen_by_app(state.database_in_use(), g.get_user())
    try:
        status = push_profile(links.link_to(app.id), str(g.identity.user_id), profile)
    except (AppNotFound, ValueError):
        raise NotFound("The linked app %(name)s cannot be called.", values={"name": app.slug}) from None
    if status == 0 or status >= 500:
        raise Unavailable("The linked app does not answer.", retry_after=30)
    if status >= 300:
        raise Conflict(
            "The linked app has refused the profile: status %(status)s.", values={"status": status}
        )
    return "", 204


# How services get to know each other, and each other's new keys. These are for no people, and for no API document.


@public
def pair() -> ResponseReturnValue:
    """Link a service by a pairing code that an operator of ours has made."""
    _, links = mine()
    links.throttle.hit("pairing", network(request.remote_addr))
    offer = read_json(Offer())
    return dict(take_offer(offer["code"], offer["offer"], offer["proof"]))


@public
def confirm() -> ResponseReturnValue:
    """Confirm an offer that an operator of ours has just made to another service."""
    _, links = mine()
    links.throttle.hit("pairing", network(request.remote_addr))
    asked = read_json(Challenge())
    return {"answer": meet_challenge(asked["pairing"], asked["challenge"])}


@public
def replace_keys() -> ResponseReturnValue:
    """Take the keys that come after those of the calling app, which signs this by the newest that we know."""
    state, links = mine()
    received = read_signature(request.headers.get("Signature-Input"), request.headers.get("Signature"))
    if received is None:  # the signatures of the Django package cover neither path nor host
        raise NoAuthorizationHeader("New keys are told of by a signed request.")
    identity = identify(request.environ, state, admits=Access("scopes", mode="signature"))
    if identity is None or identity.app_id is None:
        raise NoAuthorizationHeader("New keys are told of by a signed request.")
    body = read_json(NewKeys())
    overlap = min(body.pop("overlap"), links.settings.key_overlap)
    try:
        keys = {use: key_of(told) for use, told in body.items()}
    except ValueError:
        raise InvalidFields(errors={"key": [_("This is no key, or a weak one.")]}) from None

    def deed(transaction: Transaction) -> None:
        app = find_app(transaction, str(identity.app_id))
        take(transaction, app, keys, signed_by=received.key_id, overlap=overlap)

    commit(state, deed)
    return "", 204


def make_blueprints(settings: LinkSettings) -> list[Blueprint]:
    """The endpoints for services under `link_prefix`, and those for people beside it: `…/app` and `…/me/app`."""
    parent, _slash, last = settings.link_prefix.rpartition("/")
    services = Blueprint("linked_auth_links", __name__, url_prefix=settings.link_prefix)
    people = Blueprint("linked_auth_my_links", __name__, url_prefix=f"{parent}/me/{last}")
    rules: list[tuple[Blueprint, str, str, Any]] = [
        (services, "GET", "/user", linked_users),
        (services, "POST", "/user", note_linked_user),
        (services, "GET", "/user/<user_id>", linked_user),
        (services, "POST", "/token", spend_token),
        (services, "POST", "/pair", pair),
        (services, "POST", "/pair/confirm", confirm),
        (services, "POST", "/keys", replace_keys),
        (people, "POST", "/<slug>/token", introduce_me),
        (people, "POST", "/<slug>/sync", sync_me),
    ]
    for blueprint, method, rule, view in rules:
        blueprint.add_url_rule(
            rule, None, view, methods=[method], provide_automatic_options=False, strict_slashes=False
        )
    for blueprint in (services, people):
        guard_errors(blueprint)
        catch_all(blueprint)
    return [services, people]

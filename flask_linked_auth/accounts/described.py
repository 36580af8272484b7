"""What the API document says of the JSON endpoints, beside their docstrings and guards: a mark for each view."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields

from ..errors import (
    Conflict,
    InvalidCredentials,
    InvalidFields,
    InvalidRefreshToken,
    NotFound,
    RegistrationClosed,
    ReusedRefreshToken,
    StaleLogin,
    Taken,
    TooManyRequests,
    Unavailable,
)
from ..openapi import Answer, Body, Page, describe
from .schemas import key_json

if TYPE_CHECKING:
    from ..state import State

ACCOUNT, LOGIN, PEOPLE, TOKENS = "Account", "Login", "People", "Tokens"

_SLOW_DOWN = TooManyRequests(retry_after=30)
_TAKEN = Taken("Somebody else has it.", errors={"email": ["Is already taken."]})
_WRONG_PASSWORD = InvalidFields(
    "The current password is wrong.", errors={"current_password": ["Is not right."]}
)
_WEAK_PASSWORD = InvalidFields(
    "The password is not accepted.", errors={"password": ["Use at least 15 characters."]}
)
_JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIxIn0.hM9xV2…"


class _Tokens(Schema):
    """An access token, under two names, and the refresh token that gets the next ones."""

    token = fields.String(metadata={"examples": [_JWT]})
    access_token = fields.String(metadata={"examples": [_JWT]})
    token_type = fields.String(metadata={"enum": ["Bearer"]})
    expires_in = fields.Integer(metadata={"minimum": 1, "description": "In seconds.", "examples": [900]})
    refresh_token = fields.String(metadata={"examples": ["fla_rt_6hJ2…"]})


class _Validity(Schema):
    """What a good token says."""

    valid = fields.Boolean(metadata={"enum": [True]})
    login_id = fields.String(
        allow_none=True,
        metadata={"description": "Null for a token made outside a login.", "examples": ["q3V0x1Zb8sWk"]},
    )
    expires_at = fields.Integer(metadata={"description": "In Unix seconds.", "examples": [1772357400]})
    scopes = fields.List(
        fields.String(),
        allow_none=True,
        metadata={"description": "Null if the token carries no list of its own.", "examples": [None]},
    )


class _Keys(Schema):
    """A JWK Set (RFC 7517)."""

    keys = fields.List(
        fields.Dict(),
        metadata={
            "examples": [
                [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "…", "x": "…"}]
            ]
        },
    )


def of(name: str) -> Callable[[State], Schema]:
    """The schema of this name, as it fits the user model of the app."""
    return lambda state: getattr(state.parts["accounts"].schemas, name)


def _key(state: State) -> dict[str, Any]:
    return key_json(state.database_in_use().key_type)


def _with_key(schema: type[Schema], **more: Any) -> dict[str, Any]:
    """What `schema` says, and the `user_id`, whose type depends on the user model."""
    properties = {"user_id": _key, **more}
    return {
        "allOf": [schema, {"type": "object", "required": [*properties], "properties": properties}],
    }


def _login(state: State) -> dict[str, Any]:
    """Exactly one of `email` and `username`, where the user model has both."""
    schema = state.parts["accounts"].schemas.login
    names = [each for each in ("email", "username") if each in schema.fields]
    example = {"email": "ada@example.com", "password": "violet-kettle-harbour-93"}
    return {"allOf": [schema], "oneOf": [{"required": [name]} for name in names], "examples": [example]}


_TOKENS = _with_key(_Tokens)
_CHANGED = {
    "allOf": [of("whole")],
    "properties": {
        "pending_email": {
            "type": "string",
            "format": "email",
            "description": "A new address that waits to be confirmed, by the link that was mailed to it.",
        }
    },
}
_PERSON = {"anyOf": [of("known"), of("whole")]}

register = describe(
    body=of("registration"),
    answers={201: _with_key(_Tokens, user=of("whole"))},
    errors=[RegistrationClosed, _TAKEN, _WEAK_PASSWORD, _SLOW_DOWN, Unavailable],
    tags=ACCOUNT,
)
login = describe(
    body=_login, answers={200: _TOKENS}, errors=[InvalidCredentials, _SLOW_DOWN, Unavailable], tags=LOGIN
)
refresh = describe(
    body=of("refresh"),
    answers={200: _TOKENS},
    errors=[InvalidRefreshToken, ReusedRefreshToken, _SLOW_DOWN, Unavailable],
    tags=LOGIN,
)
logout = describe(
    body=Body(of("logout"), optional=True, example={}),
    answers={204: None},
    tags=LOGIN,
    credentials="optional",
)
logout_all = describe(answers={204: None}, tags=LOGIN)
validate_token = describe(
    answers={200: _with_key(_Validity)}, errors=[_SLOW_DOWN], tags=TOKENS, credentials="headers"
)
me = describe(answers={200: of("whole")}, tags=ACCOUNT)
_STALE = StaleLogin(15 * 60)
replace_me = describe(
    body=of("profile"), answers={200: _CHANGED}, errors=[_STALE, _TAKEN, _SLOW_DOWN], tags=ACCOUNT
)
change_me = describe(
    body=Body(of("profile"), partial=True),
    answers={200: _CHANGED},
    errors=[_STALE, _TAKEN, _SLOW_DOWN],
    tags=ACCOUNT,
)
delete_me = describe(
    answers={204: None}, errors=[_STALE, Conflict("Other records still belong to this person.")], tags=ACCOUNT
)
change_password = describe(
    body=of("password"),
    answers={200: _TOKENS, 204: Answer(None, "Changed; a browser gets a new cookie.")},
    errors=[InvalidCredentials, _WRONG_PASSWORD, _SLOW_DOWN],
    tags=ACCOUNT,
)
_LOGIN = {
    "allOf": [
        of("login_row"),
        {"type": "object", "required": ["current"], "properties": {"current": {"type": "boolean"}}},
    ]
}
list_logins = describe(answers={200: Page(_LOGIN)}, tags=LOGIN)
end_login = describe(
    answers={204: None},
    errors=[NotFound("You have no such login.")],
    parameters={
        "login_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,32}$", "examples": ["q3V0x1Zb8sWk"]}
    },
    tags=LOGIN,
)
_NOBODY = NotFound("There is no such user.")
list_users = describe(answers={200: Page(_PERSON)}, tags=PEOPLE)
show_user = describe(answers={200: _PERSON}, errors=[_NOBODY], parameters={"user_id": _key}, tags=PEOPLE)
change_user = describe(
    body=of("standing"),
    answers={200: of("whole")},
    errors=[_NOBODY, Conflict("The user model of this service has no column 'active'.")],
    parameters={"user_id": _key},
    tags=PEOPLE,
)
jwks = describe(answers={200: Answer(_Keys, "The keys.")}, errors=[Unavailable], tags=TOKENS)

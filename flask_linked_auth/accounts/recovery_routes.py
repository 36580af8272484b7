"""The JSON endpoints of recovery: a forgotten password, the address of an account, and the mailed links to both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import g
from marshmallow import Schema, fields

from ..catalogs import _
from ..errors import Conflict, InvalidFields, InvalidLink, Taken, TooManyRequests, Unavailable
from ..guards import Auth, public
from ..http import read_json
from ..openapi import Answer, describe
from ..texts import gettext
from . import recovery_flows as flows
from .browser import device, network_address
from .described import ACCOUNT, LOGIN, of
from .state import mine

if TYPE_CHECKING:
    from flask import Blueprint
    from flask.typing import ResponseReturnValue

__all__ = ["add_recovery"]

_ON_ITS_WAY = _("If there is an account with this address, a mail with a link is on its way.")
_SLOW_DOWN = TooManyRequests(retry_after=30)
_WEAK_PASSWORD = InvalidFields(
    "The password is not accepted.", errors={"new_password": ["Use at least 15 characters."]}
)


class _Asked(Schema):
    """The same for every address, whether or not anybody has it."""

    message = fields.String(required=True, metadata={"examples": [str(_ON_ITS_WAY)]})


class _Address(Schema):
    """The person's e-mail address, and whether mail to it reaches them."""

    email = fields.String(required=True, metadata={"format": "email", "examples": ["ada@example.com"]})
    email_verified = fields.Boolean(required=True)


@describe(body=of("forgotten"), answers={202: _Asked}, errors=[_SLOW_DOWN, Unavailable], tags=LOGIN)
@public
def ask_for_reset() -> ResponseReturnValue:
    """Have a link mailed that resets the password.

    202 is the same whether or not anybody has the address.
    """
    state, accounts = mine()
    email = read_json(accounts.schemas.forgotten)["email"]
    flows.ask_for_reset(state, accounts, email, address=network_address())
    return {"message": gettext(_ON_ITS_WAY)}, 202


@describe(
    body=of("reset"),
    answers={204: None},
    errors=[InvalidLink, _WEAK_PASSWORD, _SLOW_DOWN, Unavailable],
    tags=LOGIN,
)
@public
def reset_password() -> ResponseReturnValue:
    """Set a new password with the token of a mailed link.

    Every login ends. 400 if the link is not good.
    """
    state, accounts = mine()
    body = read_json(accounts.schemas.reset)
    flows.reset_password(state, accounts, body["token"], body["new_password"], device=device())
    return "", 204


@describe(
    body=of("link"),
    answers={200: _Address},
    errors=[
        InvalidLink,
        Taken("Somebody else has it.", errors={"email": ["Is already taken."]}),
        Unavailable,
    ],
    tags=ACCOUNT,
)
@public
def confirm_email() -> ResponseReturnValue:
    """Confirm an e-mail address, the first or a new one.

    With the token of the link that was mailed to it.
    """
    state, accounts = mine()
    return flows.confirm(state, accounts, read_json(accounts.schemas.link)["token"])


@describe(
    answers={
        200: Answer(_Address, "It is verified already."),
        202: Answer(_Address, "A mail is on its way."),
    },
    errors=[Conflict("The user model of this service has no column 'email_verified'."), _SLOW_DOWN],
    tags=ACCOUNT,
)
@Auth.auth_required
def send_verification() -> ResponseReturnValue:
    """Have the link that verifies one's e-mail address mailed once more.

    202, or 200 if that is done.
    """
    state, accounts = mine()
    email, user_id = g.user.email, g.identity.user_id
    sent = flows.send_verification(state, accounts, user_id, address=network_address())
    return {"email": email, "email_verified": not sent}, 202 if sent else 200


def add_recovery(blueprint: Blueprint) -> None:
    """Add the endpoints to those of the accounts."""
    for rule, view in (
        ("/password/forgot", ask_for_reset),
        ("/password/reset", reset_password),
        ("/email/verify", confirm_email),
        ("/me/email/verification", send_verification),
    ):
        blueprint.add_url_rule(
            rule, None, view, methods=["POST"], provide_automatic_options=False, strict_slashes=False
        )

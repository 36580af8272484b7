"""The pages of recovery: a forgotten password, and what the links in our mails lead to.

Opening a link does nothing, since mail scanners open every link; the button on its page does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InvalidLink
from ..guards import public
from . import forms, recovery_flows
from .browser import device, network_address
from .recovery import CHANGE, RESET, VERIFY
from .rendering import answered, argument, done, page_url, who
from .state import mine

if TYPE_CHECKING:
    from flask import Response

__all__ = ["RULES"]


@public
def forgot() -> Response:
    """Have a link mailed that resets the password; what is told is the same for an address that nobody has."""
    state, accounts = mine()

    def deed(typed: dict[str, str]) -> Response:
        recovery_flows.ask_for_reset(state, accounts, typed["email"], address=network_address())
        return done("link-mailed", page_url("login"))

    return answered(forms.forgotten(), "forgot", deed)


def _token(purpose: str) -> tuple[str, str]:
    """The token of the link that was opened, and the address that it was mailed to. Raises InvalidLink."""
    state, accounts = mine()
    token = argument("token")
    email = recovery_flows.peek(state, accounts, token, purpose)
    if email is None:
        raise InvalidLink
    return token, email


@public
def reset() -> Response:
    """Choose a new password, by a mailed link."""
    state, accounts = mine()
    token, mailed_to = _token(RESET)

    def deed(typed: dict[str, str]) -> Response:
        recovery_flows.reset_password(state, accounts, token, typed["new_password"], device=device())
        return done("password-reset", page_url("login"))

    return answered(forms.reset(accounts), "reset", deed, token=token, mailed_to=mailed_to)


@public
def verify() -> Response:
    """Confirm one's e-mail address, by a mailed link."""
    state, accounts = mine()
    token, mailed_to = _token(VERIFY)

    def deed(_: dict[str, str]) -> Response:
        recovery_flows.verify_email(state, accounts, token)
        return done("email-confirmed", _home())

    return answered(forms.Form(), "verify", deed, token=token, mailed_to=mailed_to)


@public
def confirm_email() -> Response:
    """Move to a new e-mail address, by the link that was mailed there."""
    state, accounts = mine()
    token, mailed_to = _token(CHANGE)

    def deed(_: dict[str, str]) -> Response:
        recovery_flows.confirm_email_change(state, accounts, token)
        return done("email-changed", _home())

    return answered(forms.Form(), "confirm_email", deed, token=token, mailed_to=mailed_to)


def _home() -> str:
    return page_url("login" if who() is None else "profile")


RULES: list[tuple[str, str, Any]] = [
    ("/forgot", "forgot", forgot),
    ("/reset", "reset", reset),
    ("/verify", "verify", verify),
    ("/email/confirm", "confirm_email", confirm_email),
]

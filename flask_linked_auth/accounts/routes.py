"""The JSON endpoints of the accounts. The views are plain functions: a host may give them further paths."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, request
from sqlalchemy import select

from ..error_page import add_error_page
from ..errors import (
    InvalidRefreshToken,
    MissingToken,
    NotFound,
    Problem,
    RegistrationClosed,
    ReusedRefreshToken,
    StaleLogin,
    Unauthorized,
)
from ..guards import Auth, identify, public, scope, scopes_of
from ..http import answer, catch_all, guard_errors, page, read_json, read_optional_json
from ..throttle import network
from ..transactions import commit
from . import described, flows, login as logins, recovery_flows, registration
from .browser import clear_cookie, device, network_address, set_cookie
from .recovery_routes import add_recovery
from .state import mine

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue
    from marshmallow import Schema

    from ..config import AccountSettings
    from ..identity import Identity
    from ..state import State
    from .state import AccountsState

__all__ = ["make_blueprint"]


def _tokens(tokens: logins.Tokens, state: State, user: Any = None) -> dict[str, Any]:
    body = {
        "token": tokens.access,
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": state.tokens.access_lifetime,
        "refresh_token": tokens.refresh,
        "user_id": tokens.user_id,
    }
    return body if user is None else body | {"user": user}


def _read_counted(schema: Schema, rule: str) -> dict[str, Any]:
    """`read_json`, where also a body that cannot be read counts against `rule`."""
    try:
        return read_json(schema)
    except Problem:
        mine()[1].throttle.hit(rule, network(network_address()))
        raise


@described.register
@public
def register() -> ResponseReturnValue:
    """Make an account and log in.

    409 if somebody has the address or the user name.
    """
    state, accounts = mine()
    if not accounts.settings.registration:
        raise RegistrationClosed
    profile = _read_counted(accounts.schemas.registration, "register")
    tokens, user = flows.register(state, accounts, profile, profile.pop("password"), device=device())
    return _tokens(tokens, state, user), 201


@described.login
@public
def login() -> ResponseReturnValue:
    """Log in by e-mail address or user name.

    401 is the same for whatever was wrong.
    """
    state, accounts = mine()
    body = _read_counted(accounts.schemas.login, "login")
    typed = body.get("email", body.get("username", ""))
    return _tokens(flows.log_in(state, accounts, typed, body["password"], device=device()), state)


@described.refresh
@public
def refresh() -> ResponseReturnValue:
    """Exchange a refresh token for new tokens.

    401 if it is not good any more.
    """
    state, accounts = mine()
    accounts.throttle.hit("refresh", network(network_address()))
    token = read_json(accounts.schemas.refresh)["refresh_token"]
    state.ring.signing()
    outcome = commit(state, lambda deed: logins.refresh(deed, token))
    if outcome is None:
        raise InvalidRefreshToken("This refresh token is not valid any more. Log in again.")
    if not isinstance(outcome, logins.Tokens):
        raise ReusedRefreshToken(
            "This refresh token was used before, so its login has been ended. Log in again."
        )
    return _tokens(outcome, state)


@described.logout
@public
def logout() -> ResponseReturnValue:
    """End the login of the access token, or of the refresh token in the body.

    With a refresh token 204 also when its login had ended before; an access token is refused then: 401.
    """
    state, accounts = mine()
    token = read_optional_json(accounts.schemas.logout).get("refresh_token")
    if token is not None:
        commit(state, lambda deed: logins.end_by_token(deed, token))
        return "", 204
    identity = identify(request.environ, state)
    if identity is None:
        raise MissingToken("Send the access token, or the refresh token in the body.")
    if identity.login_id is None:
        commit(state, lambda deed: deed.revoke("jti", identity.claims["jti"]))
    else:
        commit(state, lambda deed: logins.end(deed, identity.user_id, str(identity.login_id)))
    return _logged_out(identity)


def _logged_out(identity: Identity) -> ResponseReturnValue:
    response = Response(status=204)
    return clear_cookie(response) if identity.method == "cookie" else response


@described.logout_all
@Auth.auth_required
def logout_all() -> ResponseReturnValue:
    """End every login of this person, on every device."""
    state, _ = mine()
    commit(state, lambda deed: logins.end_all(deed, g.identity.user_id))
    return _logged_out(g.identity)


@described.validate_token
@public
def validate_token() -> ResponseReturnValue:
    """Say whether a token is good, as a gateway asks before it forwards a request.

    401 has `"valid": false`.
    """
    state, accounts = mine()
    try:
        # A gateway passes on whatever headers came: of a cookie it cannot know which page sent it along.
        identity = identify(request.environ, state, cookie=False)
        if identity is None:
            raise MissingToken("Send the token to be validated: Authorization: Bearer <token>.")
    except Problem as problem:
        if problem.status >= 500:
            raise
        accounts.throttle.hit("validate", network(network_address()))  # failures only: a gateway asks all day
        if not isinstance(problem, Unauthorized):
            raise
        return answer(problem, valid=False)
    return {
        "valid": True,
        "user_id": identity.user_id,
        "login_id": identity.login_id,
        "expires_at": identity.claims["exp"],
        "scopes": None if identity.scopes is None else sorted(identity.scopes),
    }


@described.me
@Auth.auth_required
def me() -> ResponseReturnValue:
    """One's own account, whole."""
    _, accounts = mine()
    return dict(accounts.schemas.whole.dump(g.get_user()))


@described.replace_me
@Auth.auth_required
def replace_me() -> ResponseReturnValue:
    """Replace one's own data.

    What is not given becomes empty. With recovery on, a new e-mail address waits as `pending_email`.
    """
    _, accounts = mine()
    profile = read_json(accounts.schemas.profile)
    empty = {"username": None, "name": ""}
    return _change_me({name: profile.get(name, empty.get(name)) for name in accounts.schemas.profile.fields})


@described.change_me
@Auth.auth_required
def change_me() -> ResponseReturnValue:
    """Change some of one's own data.

    With recovery on, a new e-mail address waits as `pending_email`.
    """
    _, accounts = mine()
    return _change_me(read_json(accounts.schemas.profile, partial=True))


def _change_me(profile: dict[str, Any]) -> ResponseReturnValue:
    state, accounts = mine()
    if "email" in profile and profile["email"] != g.user.email:
        _want_fresh(
            accounts
        )  # whoever finds an open session must not move the account to an address of theirs
    user_id, address = g.identity.user_id, network_address()
    return recovery_flows.change_profile(state, accounts, user_id, profile, address=address)


def _want_fresh(accounts: AccountsState) -> None:
    if g.identity.authenticated_at + accounts.settings.freshness < time():
        raise StaleLogin(accounts.settings.freshness)


@described.delete_me
@Auth.auth_required
def delete_me() -> ResponseReturnValue:
    """Delete one's own account, after a recent login."""
    state, accounts = mine()
    _want_fresh(accounts)
    commit(state, lambda deed: registration.delete(deed, g.identity.user_id))
    return _logged_out(g.identity)


@described.change_password
@Auth.auth_required
def change_password() -> ResponseReturnValue:
    """Change one's password.

    Every login ends, and the answer holds the tokens of a new one.
    A browser that is logged in by its cookie gets a new cookie and no tokens: 204.
    """
    state, accounts = mine()
    body = read_json(accounts.schemas.password)
    user_id, cookie = g.identity.user_id, g.identity.method == "cookie"
    tokens = flows.change_password(state, accounts, user_id, body, device=device(), cookie=cookie)
    return set_cookie(Response(status=204), tokens) if cookie else _tokens(tokens, state)


@described.list_logins
@Auth.auth_required
def list_logins() -> ResponseReturnValue:
    """One's logins that are going on: device, address, last seen.

    The one that asks comes first (`current`), then the newest.
    """
    state, accounts = mine()
    row = state.database_in_use().rows.Login
    going_on = logins.going_on(row, g.identity.user_id, now=time())

    def dump(login: Any) -> dict[str, Any]:
        return {**accounts.schemas.login_row.dump(login), "current": login.id == g.identity.login_id}

    return page(going_on, logins.in_order(row, mine=g.identity.login_id), dump)


@described.end_login
@Auth.auth_required
def end_login(login_id: str) -> ResponseReturnValue:
    """End one of one's logins.

    404 for one that is not going on or not one's own.
    """
    state, _ = mine()
    if not flows.end_login(state, g.identity.user_id, login_id):
        raise NotFound("You have no such login.")
    return "", 204


def _view_of_people() -> Any:
    """How the caller may see other people: their names, or everything for `admin:users`."""
    state, accounts = mine()
    whole = "admin:users" in scopes_of(g.identity, state)
    return accounts.schemas.whole if whole else accounts.schemas.known


@described.list_users
@Auth.auth_required
def list_users() -> ResponseReturnValue:
    """The people of this service, by page.

    Their names; with the scope `admin:users` they are whole.
    """
    state, _ = mine()
    model, schema = state.database_in_use().rows.User, _view_of_people()
    return page(select(model), (model.__mapper__.primary_key[0],), schema.dump)


def _find_user(text: str) -> Any:
    state, _ = mine()
    user = state.database_in_use().find(text)
    if user is None:
        raise NotFound("There is no such user.")
    return user


@described.show_user
@Auth.auth_required
def show_user(user_id: str) -> ResponseReturnValue:
    """One person.

    The name; with the scope `admin:users` everything.
    """
    schema = _view_of_people()
    return dict(schema.dump(_find_user(user_id)))


@described.change_user
@scope(["admin:users"])
def change_user(user_id: str) -> ResponseReturnValue:
    """Deactivate a person, which ends all their logins, or let them in again."""
    state, accounts = mine()
    active = read_json(accounts.schemas.standing)["active"]

    def deed(transaction: Any) -> Any:
        user = _find_user(user_id)
        registration.set_active(transaction, user, active=active)
        return accounts.schemas.whole.dump(user)

    return dict(commit(state, deed))


@described.jwks
@public
def jwks() -> ResponseReturnValue:
    """The public keys that verify our tokens, for sister services.

    A JWK Set (RFC 7517), empty under HS256.
    """
    state, _ = mine()
    return state.ring.public()


def make_blueprint(settings: AccountSettings) -> Blueprint:
    """The endpoints under `settings.prefix`."""
    blueprint = Blueprint(
        "linked_auth_accounts", __name__, url_prefix=settings.prefix, template_folder="../templates"
    )
    rules: list[tuple[str, str, Any]] = [
        ("POST", "/register", register),
        ("POST", "/login", login),
        ("POST", "/refresh", refresh),
        ("POST", "/logout", logout),
        ("POST", "/logout-all", logout_all),
        ("POST", "/validate-token", validate_token),
        ("GET", "/me", me),
        ("PUT", "/me", replace_me),
        ("PATCH", "/me", change_me),
        ("DELETE", "/me", delete_me),
        ("POST", "/me/password", change_password),
        ("GET", "/me/logins", list_logins),
        ("DELETE", "/me/logins/<login_id>", end_login),
        ("GET", "/users", list_users),
        ("GET", "/users/<user_id>", show_user),
        ("PATCH", "/users/<user_id>", change_user),
        ("GET", "/jwks", jwks),
    ]
    for method, rule, view in rules:
        blueprint.add_url_rule(
            rule, None, view, methods=[method], provide_automatic_options=False, strict_slashes=False
        )
    if settings.recovery:
        add_recovery(blueprint)
    add_error_page(blueprint)
    catch_all(blueprint)
    guard_errors(blueprint)
    return blueprint

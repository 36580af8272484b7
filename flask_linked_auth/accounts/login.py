"""Logging in, prolonging a login, ending it, and changing the password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, or_, select, update

from ..errors import InvalidCredentials
from ..tokens.issuing import access_token
from ..tokens.refresh import (
    Device,
    Rotation,
    end_logins,
    give_cookie,
    hashed,
    login_of,
    open_login,
    rotate,
)
from .models import is_active
from .schemas import normal_email, normal_username

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from ..transactions import Transaction

__all__ = [
    "Credentials",
    "Tokens",
    "change_password",
    "end",
    "end_all",
    "end_by_cookie",
    "end_others",
    "find_credentials",
    "going_on",
    "in_order",
    "log_in",
    "normal_identifier",
    "refresh",
    "start",
]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is needed to check a password: nothing is kept open in the database meanwhile."""

    user_id: Any
    password_hash: str
    active: bool


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """What a client gets: an access token and the refresh token of its login; a browser gets a cookie instead."""

    user_id: Any
    login_id: str
    access: str
    refresh: str
    cookie: str | None = None


def normal_identifier(text: str) -> str:
    """An e-mail address or user name in the form it is stored and counted by; as it is if it can be neither."""
    for normal in (normal_email, normal_username):
        try:
            return normal(text)
        except ValueError:
            continue
    return text[:254]


def find_credentials(
    session: Session, model: type[Any], identifier: str, *, typed: str = ""
) -> Credentials | None:
    """The person with this e-mail address or user name; also as `typed`, for rows older than the normal form."""
    columns = [model.email] if "@" in identifier or not hasattr(model, "username") else [model.username]
    forms = {identifier, typed} - {""}
    return _credentials(session, model, or_(*(column.in_(forms) for column in columns)))


def credentials_of(session: Session, model: type[Any], user_id: Any) -> Credentials | None:
    """The same by key."""
    return _credentials(session, model, model.__mapper__.primary_key[0] == user_id)


def _credentials(session: Session, model: type[Any], condition: Any) -> Credentials | None:
    columns = [model.__mapper__.primary_key[0].label("user_id"), model.password_hash]
    columns += [model.active] if hasattr(model, "active") else []
    row = session.execute(select(*columns).where(condition).limit(1)).first()
    return None if row is None else Credentials(row.user_id, row.password_hash, is_active(row))


def log_in(
    transaction: Transaction,
    verified: Credentials,
    *,
    device: Device,
    new_hash: str | None = None,
    cookie: bool = False,
) -> Tokens:
    """Open a login for a person whose password was found right outside this transaction.

    Raises InvalidCredentials if the password or the person's standing changed in between. The person's row is
    written even if its hash stays as it is, since a lock alone would not do: at REPEATABLE READ a change of
    password that waited for it would not see this login, and leave it alive.
    """
    unchanged = _store_hash(transaction, verified, new_hash or verified.password_hash, quietly=True)
    now = credentials_of(transaction.session, transaction.rows.User, verified.user_id) if unchanged else None
    if now is None or not now.active:
        raise InvalidCredentials
    return start(transaction, verified.user_id, device=device, cookie=cookie)


def start(transaction: Transaction, user_id: Any, *, device: Device, cookie: bool = False) -> Tokens:
    """Open a login for this user and make its first tokens, or with `cookie` a browser's cookie.

    The login that the browser had before ends: two people at one machine must not share what the other left.
    """
    login, token = open_login(
        transaction.session,
        transaction.rows.Login,
        user_id,
        device=device,
        settings=transaction.state.tokens,
        now=transaction.now,
    )
    secret = give_cookie(login) if cookie else None
    transaction.session.flush()
    transaction.tell(
        "user.logged-in", user_id=user_id, login_id=login.id, address=login.address, device=login.device
    )
    if secret is None:
        return _tokens(transaction, Rotation(user_id, login.id, transaction.now, token), token)
    if device.cookie:
        end_by_cookie(transaction, device.cookie)
    return Tokens(user_id, login.id, access="", refresh="", cookie=secret)


def _tokens(transaction: Transaction, login: Rotation, refresh_token: str) -> Tokens:
    access = access_token(
        transaction.state, login.user_id, login_id=login.login_id, authenticated_at=login.authenticated_at
    )
    return Tokens(login.user_id, login.login_id, access, refresh_token)


def _store_hash(
    transaction: Transaction, known: Credentials, new_hash: str, *, quietly: bool = False
) -> bool:
    # Not through a loaded row, where a new hash means a new password and ends all logins.
    model = transaction.rows.User
    key = model.__mapper__.primary_key[0]
    # Quietly: without a new `modified_at`, since to the person nothing has changed.
    kept = {column: column for column in model.__table__.columns if quietly and column.onupdate is not None}
    done = transaction.session.execute(
        update(model)
        .where(key == known.user_id, model.password_hash == known.password_hash)
        .values({**kept, model.password_hash: new_hash})
        .execution_options(synchronize_session=False)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def refresh(transaction: Transaction, token: str) -> Tokens | Rotation | None:
    """Exchange a refresh token for new tokens. None if it is not good; the Rotation if it was used twice.

    In the latter case its login has been ended, which the caller must commit before it refuses.
    """
    rows, state = transaction.rows, transaction.state
    rotation = rotate(
        transaction.session,
        rows.Login,
        token,
        keys=state.refresh_keys,
        settings=state.tokens,
        now=transaction.now,
    )
    if rotation is None:
        return None
    if rotation.token is None:
        end(transaction, rotation.user_id, rotation.login_id)
        transaction.tell("token.reused", user_id=rotation.user_id, login_id=rotation.login_id)
        return rotation
    person = credentials_of(transaction.session, rows.User, rotation.user_id)
    if person is None or not person.active:
        return None
    transaction.tell("login.refreshed", user_id=rotation.user_id, login_id=rotation.login_id)
    return _tokens(transaction, rotation, rotation.token)


def end(transaction: Transaction, user_id: Any, login_id: str) -> bool:
    """End one login of this user; whether there was one going on."""
    ended = end_logins(
        transaction.session, transaction.rows.Login, now=transaction.now, user_id=user_id, ids=[login_id]
    )
    if ended:
        transaction.revoke("login", login_id)
        transaction.tell("user.logged-out", user_id=user_id, login_id=login_id)
    return bool(ended)


def end_by_token(transaction: Transaction, refresh_token: str) -> None:
    """End the login that a refresh token belongs to, if it belongs to one."""
    login = login_of(transaction.session, transaction.rows.Login, refresh_token)
    if login is not None:
        end(transaction, login.user_id, login.id)


def end_by_cookie(transaction: Transaction, cookie: str) -> None:
    """End the login that a browser's cookie stands for, if it stands for one."""
    model = transaction.rows.Login
    login = transaction.session.scalars(select(model).where(model.cookie == hashed(cookie))).one_or_none()
    if login is not None:
        end(transaction, login.user_id, login.id)


def end_others(transaction: Transaction, user_id: Any, login_id: str) -> None:
    """End every login of this user but this one, which goes on."""
    row = transaction.rows.Login
    others = select(row.id).where(row.user_id == user_id, row.ended_at.is_(None), row.id != login_id)
    for other in list(transaction.session.scalars(others)):
        end(transaction, user_id, other)


def going_on(model: type[Any], user_id: Any, *, now: float) -> Select[Any]:
    """The logins of this user that are not over."""
    return select(model).where(model.user_id == user_id, model.ended_at.is_(None), model.expires_at > now)


def in_order(model: type[Any], *, mine: str | None) -> tuple[Any, ...]:
    """How logins are listed: the one that asks first, then the newest."""
    return case((model.id == str(mine), 0), else_=1), model.created_at.desc(), model.id


def end_all(transaction: Transaction, user_id: Any) -> None:
    """End every login of this user, on every device."""
    transaction.revoke_user(user_id)
    transaction.tell("user.logged-out", user_id=user_id, login_id=None)


def change_password(
    transaction: Transaction, known: Credentials, new_hash: str, *, device: Device, cookie: bool = False
) -> Tokens:
    """Store a new hash, end every login and open a new one. Raises InvalidCredentials if the old hash has changed."""
    if not _store_hash(transaction, known, new_hash):
        raise InvalidCredentials
    transaction.revoke_user(known.user_id)
    transaction.number_revocations()
    transaction.tell("password.changed", user_id=known.user_id)
    return start(transaction, known.user_id, device=device, cookie=cookie)

"""Logins and their refresh tokens: issued, exchanged by one atomic winner, ended.

A token is `fla_rt_<family handle>.<secret>`; only hashes are stored. The successor is computed from the token, a
fresh salt and a key of ours, so that a client which lost the answer gets the same successor again, and nobody
else can compute it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, select, update

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ..config import TokenSettings

__all__ = [
    "Device",
    "Rotation",
    "end_logins",
    "give_cookie",
    "hashed",
    "open_login",
    "prune_logins",
    "rotate",
]

PREFIX = "fla_rt_"
_FORM = re.compile(r"fla_rt_([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")
_PRUNE_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Device:
    """Where a login came from: the network address, what the client calls itself, and the cookie a browser had."""

    address: str
    name: str
    cookie: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What became of a refresh token: `token` is its successor, or None when it had been exchanged before."""

    user_id: Any
    login_id: str
    authenticated_at: int
    token: str | None


def hashed(text: str) -> str:
    """What is stored of a secret that is random and long."""
    return hashlib.sha256(text.encode()).hexdigest()


def _successor(key: bytes, salt: str, token: str, handle: str) -> str:
    mac = hmac.digest(key, f"{salt}|{token}".encode(), "sha256")
    return f"{PREFIX}{handle}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def open_login(
    session: Session, model: type[Any], user_id: Any, *, device: Device, settings: TokenSettings, now: int
) -> tuple[Any, str]:
    """Add a login for this user, and return its row with its first refresh token."""
    prune_logins(session, model, now=now, at_most=_PRUNE_AT_MOST)
    handle = secrets.token_urlsafe(16)
    token = f"{PREFIX}{handle}.{secrets.token_urlsafe(32)}"
    login = model(
        id=secrets.token_urlsafe(16),
        user_id=user_id,
        family=hashed(handle),
        current=hashed(token),
        created_at=now,
        authenticated_at=now,
        rotated_at=now,
        last_seen_at=now,
        expires_at=now + min(settings.refresh_lifetime, settings.login_lifetime),
        address=device.address[:45],
        device=device.name[:255],
    )
    session.add(login)
    return login, token


def give_cookie(login: Any) -> str:
    """Make a new login a browser's: the secret of its cookie, of which only the hash is stored."""
    secret = secrets.token_urlsafe(32)
    login.cookie = hashed(secret)
    return secret


def rotate(
    session: Session,
    model: type[Any],
    token: str,
    *,
    keys: Sequence[bytes],
    settings: TokenSettings,
    now: int,
) -> Rotation | None:
    """Exchange a refresh token; None if it is unknown or its login is over.

    The first statement is the UPDATE that only one of many can win: a read before it would deadlock SQLite. A
    token that had been exchanged before ends its login (RFC 9700 section 4.14.2), unless it is the last one,
    repeated within the retry window. `keys` are the server's, newest first.
    """
    form = _FORM.fullmatch(token)
    if form is None:
        return None
    handle, mine = form[1], hashed(token)
    salt = secrets.token_hex(16)
    successor = _successor(keys[0], salt, token, handle)
    latest, prolonged = model.created_at + settings.login_lifetime, now + settings.refresh_lifetime
    won = session.execute(
        update(model)
        .where(model.family == hashed(handle), model.current == mine)
        .where(model.ended_at.is_(None), model.expires_at > now)
        .values(
            current=hashed(successor),
            previous=mine,
            salt=salt,
            rotated_at=now,
            last_seen_at=now,
            expires_at=case((latest < prolonged, latest), else_=prolonged),
        )
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    login = session.scalars(
        select(model).where(model.family == hashed(handle)).execution_options(populate_existing=True)
    ).one_or_none()
    if login is None or login.ended_at is not None or login.expires_at <= now:
        return None
    if won:
        return Rotation(login.user_id, login.id, login.authenticated_at, successor)
    if login.previous == mine and now - login.rotated_at <= settings.refresh_retry_window:
        for key in keys:
            again = _successor(key, login.salt, token, handle)
            if hmac.compare_digest(hashed(again), login.current):
                return Rotation(login.user_id, login.id, login.authenticated_at, again)
        return None  # the server's key changed in between: not the client's fault, and nothing to give out
    return Rotation(login.user_id, login.id, login.authenticated_at, None)


def login_of(session: Session, model: type[Any], token: str) -> Any | None:
    """The login that a refresh token belongs to, whether or not the token is the current one."""
    form = _FORM.fullmatch(token)
    if form is None:
        return None
    return session.scalars(select(model).where(model.family == hashed(form[1]))).one_or_none()


def end_logins(
    session: Session, model: type[Any], *, now: int, user_id: Any = None, ids: Iterable[str] | None = None
) -> int:
    """End logins by their ids, or all of a user, or those of the ids that are the user's; how many were going on."""
    query = update(model).where(model.ended_at.is_(None)).values(ended_at=now)
    if ids is not None:
        query = query.where(model.id.in_(list(ids)))
    if ids is None or user_id is not None:
        query = query.where(model.user_id == user_id)
    return int(session.execute(query.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def prune_logins(session: Session, model: type[Any], *, now: int, at_most: int) -> int:
    """Delete up to `at_most` logins that are over; how many there were."""
    over = select(model.id).where(model.expires_at < now).order_by(model.expires_at).limit(at_most)
    ids = list(session.scalars(over.with_for_update(skip_locked=True)))
    if ids:
        session.execute(delete(model).where(model.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)

"""Browser logins: what their cookie proves, read from the login's row and then remembered like a token."""

from __future__ import annotations

import logging
import re
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select, true, update
from sqlalchemy.exc import SQLAlchemyError

from ..errors import InvalidToken
from ..identity import Identity, Verified
from ..storage import storage_problem
from .refresh import hashed

if TYPE_CHECKING:
    from ..config import TokenSettings
    from ..database import Database

__all__ = ["CookieReader", "has_form"]

log = logging.getLogger("flask_linked_auth")
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")


def has_form(secret: str) -> bool:
    """Whether this can be the secret of a cookie of ours at all."""
    return _FORM.fullmatch(secret) is not None


class CookieReader:
    """Reads the login that a browser's cookie stands for: one query, each time it is asked.

    It is asked at first sight and once an access token's lifetime after that. Then the row is also told that the
    browser was seen, which keeps the login going as a refresh does.
    """

    def __init__(self, database: Database, tokens: TokenSettings, *, issuer: str) -> None:
        self._database, self._tokens, self._issuer = database, tokens, issuer

    def read(self, secret: str) -> Verified:
        """What `secret` proves. Raises InvalidToken for a login that is over or never was, or Unavailable."""
        session, now = self._database.db.session(), int(time())
        # What the host has begun stays as it is; otherwise no connection is kept.
        ours = not session.in_transaction()
        try:
            row = session.execute(self._query(hashed(secret), now)).first()
            if ours:
                session.rollback()
        except SQLAlchemyError as error:
            raise storage_problem(error) or error from error
        if row is None or not row.active:
            raise InvalidToken("This login has ended.")
        if ours and now - row.last_seen_at >= self._tokens.access_lifetime:
            self._tell_seen(row.id, now)
        return self._entry(row, now)

    def _query(self, cookie: str, now: int) -> Any:
        """One statement, so one moment, in databases that show each statement what is committed by then.

        With the login comes the number of the last revocation: whatever ends this login later has a higher one.
        """
        rows = self._database.rows
        login, user, counter = rows.Login, rows.User, rows.RevocationCounter
        number = select(counter.n).where(counter.id == 1).scalar_subquery()
        active = user.active if hasattr(user, "active") else true()
        columns = (login.id, login.user_id, login.created_at, login.authenticated_at, login.last_seen_at)
        return (
            select(
                *columns,
                login.expires_at,
                active.label("active"),
                func.coalesce(number, 0).label("generation"),
            )
            .join(user, user.__mapper__.primary_key[0] == login.user_id)
            .where(login.cookie == cookie, login.ended_at.is_(None), login.expires_at > now)
            .execution_options(autoflush=False)  # when the host's rows are written is the host's business
        )

    def _tell_seen(self, login_id: str, now: int) -> None:
        model, session = self._database.rows.Login, self._database.db.session()
        latest = model.created_at + self._tokens.login_lifetime
        prolonged = now + self._tokens.refresh_lifetime
        seen = {"last_seen_at": now, "expires_at": case((latest < prolonged, latest), else_=prolonged)}
        try:
            session.execute(
                update(model)
                .where(model.id == login_id, model.ended_at.is_(None))
                .values(seen)
                .execution_options(synchronize_session=False)
            )
            session.commit()
        except SQLAlchemyError as error:  # a busy database is no reason to turn the person away
            session.rollback()
            log.info("When a browser was last seen could not be kept: %s", type(error).__name__)

    def _entry(self, row: Any, now: int) -> Verified:
        claims = {
            "iss": self._issuer,
            "sub": str(row.user_id),
            "sid": row.id,
            "iat": row.created_at,
            "auth_time": row.authenticated_at,
            "exp": row.expires_at,
        }
        identity = Identity(
            kind="user",
            method="cookie",
            user_id=row.user_id,
            claims=MappingProxyType(claims),
            login_id=row.id,
            authenticated_at=row.authenticated_at,
        )
        expires = min(now + self._tokens.access_lifetime, row.expires_at)
        return Verified(identity, expires, (f"login:{row.id}",), claims["sub"], row.generation)

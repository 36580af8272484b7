"""The rows behind tokens: logins (refresh families), signing keys, and the revocation feed with its counter.

Moments are whole Unix seconds, so that no database's idea of a time zone can move them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import BigInteger, ForeignKey, Integer, String, Text, inspect
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ..errors import SettingsError

__all__ = ["LoginMixin", "RevocationCounterMixin", "RevocationMixin", "SigningKeyMixin", "user_key"]


def user_key(user_model: type[Any]) -> Any:
    """The single primary key column of `user_model`. Raises SettingsError if it has several."""
    columns = list(inspect(user_model).local_table.primary_key.columns)
    if len(columns) != 1:
        raise SettingsError(f"{user_model.__name__} must have a primary key of one column.")
    return columns[0]


class _Row:
    if TYPE_CHECKING:

        def __init__(self, **values: Any) -> None: ...


class LoginMixin(_Row):
    """One login of one user on one device: the refresh-token family and the entry in the device list.

    A host that declares it itself sets `__user_model__` to its user class.
    """

    __user_model__: ClassVar[type[Any]]

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    family: Mapped[str] = mapped_column(
        String(64), unique=True
    )  # hash of the handle that all its refresh tokens share
    current: Mapped[str] = mapped_column(String(64))  # hash of the refresh token that may be exchanged
    previous: Mapped[str | None] = mapped_column(String(64))
    salt: Mapped[str | None] = mapped_column(
        String(64)
    )  # with the previous token, makes the current one again
    cookie: Mapped[str | None] = mapped_column(String(64), unique=True)  # hash of a browser's cookie
    created_at: Mapped[int] = mapped_column(BigInteger)
    authenticated_at: Mapped[int] = mapped_column(BigInteger)
    rotated_at: Mapped[int] = mapped_column(BigInteger)
    last_seen_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    address: Mapped[str] = mapped_column(String(45))
    device: Mapped[str] = mapped_column(String(255))

    @declared_attr
    def user_id(cls) -> Mapped[Any]:
        """The person; the column's type is that of the user's own key."""
        return mapped_column(
            ForeignKey(user_key(cls.__user_model__), ondelete="CASCADE"), nullable=False, index=True
        )


class SigningKeyMixin(_Row):
    """A key that signs tokens from `active_from` on, and is accepted until `accepted_until` (None = no end yet)."""

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(16))
    sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    active_from: Mapped[int] = mapped_column(BigInteger)
    accepted_until: Mapped[int | None] = mapped_column(BigInteger)


class RevocationMixin(_Row):
    """One entry of the revocation feed: what is revoked, and when it may be forgotten.

    `seq` comes from the counter row, so entries become visible in its order. For kind `user` it is the
    generation as well: that user's tokens of a lower generation are revoked.
    """

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(255), index=True)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class RevocationCounterMixin(_Row):
    """The single row that numbers the feed."""

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(BigInteger)


@dataclass(frozen=True, slots=True)
class Rows:
    """The mapped classes in use, whoever declared them."""

    User: type[Any]
    Login: type[Any]
    SigningKey: type[Any]
    Revocation: type[Any]
    RevocationCounter: type[Any]
    OneTimeLink: type[Any]

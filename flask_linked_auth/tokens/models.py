"""The rows behind tokens: logins (refresh families), signing keys, and the revocation feed with its counter.

Moments are whole Unix seconds, so that no database's idea of a time zone can move them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import BigInteger, ForeignKey, Integer, String, Text, inspect
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ..errors import SettingsError

__all__ = [
    "LoginMixin",
    "RevocationCounterMixin",
    "RevocationMixin",
    "Row",
    "Rows",
    "SigningKeyMixin",
    "belongs_to",
    "user_key",
]


def user_key(user_model: type[Any]) -> Any:
    """The single primary key column of `user_model`. Raises SettingsError if it has several."""
    columns = list(inspect(user_model).local_table.primary_key.columns)
    if len(columns) != 1:
        raise SettingsError(f"{user_model.__name__} must have a primary key of one column.")
    return columns[0]


def belongs_to(model: type[Any], *, index: bool = True) -> Mapped[Any]:
    """A column with the key of a row of `model`, in that key's own type; what belongs to it is deleted with it."""
    return mapped_column(ForeignKey(user_key(model), ondelete="CASCADE"), nullable=False, index=index)


class Row:
    """What the type checker must know of every row: it is made with keywords."""

    if TYPE_CHECKING:

        def __init__(self, **values: Any) -> None: ...


class LoginMixin(Row):
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
        return belongs_to(cls.__user_model__)


class SigningKeyMixin(Row):
    """A key that signs tokens from `active_from` on, and is accepted until `accepted_until` (None = no end yet)."""

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(16))
    sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    active_from: Mapped[int] = mapped_column(BigInteger)
    accepted_until: Mapped[int | None] = mapped_column(BigInteger)


class RevocationMixin(Row):
    """One entry of the revocation feed: what is revoked, and when it may be forgotten.

    `seq` comes from the counter row, so entries become visible in its order. For kind `user` it is the
    generation as well: that user's tokens of a lower generation are revoked.
    """

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(255), index=True)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class RevocationCounterMixin(Row):
    """The single row that numbers the feed."""

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(BigInteger)


class Rows:
    """The mapped classes in use, whoever declared them. Those of parts that are not in use are missing."""

    User: type[Any]
    Login: type[Any]
    SigningKey: type[Any]
    Revocation: type[Any]
    RevocationCounter: type[Any]
    OneTimeLink: type[Any]  # of the accounts
    LinkedApp: type[Any]  # of the apps
    AppKey: type[Any]
    AppScope: type[Any]
    Scope: type[Any]
    Agreement: type[Any]
    LinkedPerson: type[Any]  # of the links
    UsedNonce: type[Any]
    PairingCode: type[Any]
    OneTimeToken: type[Any]

    def __init__(self, classes: Mapping[str, type[Any]]) -> None:
        self.__dict__.update(classes)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def add(self, name: str, model: type[Any]) -> None:
        """Take in the class of a part that came later."""
        self.__dict__[name] = model

    def of_people(self) -> list[type[Any]]:
        """The classes each of whose rows belongs to one person, as their `user_id` says."""
        return [
            model for name, model in self.__dict__.items() if name != "User" and hasattr(model, "user_id")
        ]

"""The user: what a host's model must offer, and a ready mixin for those who have none; and the mailed links."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    String,
    UniqueConstraint,
    false,
    inspect,
)
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ..errors import SettingsError
from ..tokens.models import Row, belongs_to

__all__ = ["OneTimeLinkMixin", "UserMixin", "check_user_model", "is_active"]

log = logging.getLogger("flask_linked_auth")

HASH_LENGTH = 65  # of what passwords.py stores


def _now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)


class UserMixin:
    """The columns of a user. A host's own model needs a primary key of one column, `email` and `password_hash`.

    The rest is optional: `username`, `name`, `active` (without it nobody can be deactivated), `is_admin`
    (without it nobody holds an `admin:` scope), `email_verified` (without it nobody is asked to), `created_at`,
    `modified_at`. E-mail addresses and user names are stored in their normal form, so that a unique index on the
    column is what keeps them apart.
    """

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    username: Mapped[str | None] = mapped_column(String(150), unique=True)
    name: Mapped[str] = mapped_column(String(128), default="")
    password_hash: Mapped[str] = mapped_column(String(128))
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    is_admin: Mapped[bool] = mapped_column(Boolean, default=False)
    # With a default in the database too, for the rows that are there when a migration adds the column.
    email_verified: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)
    modified_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now, onupdate=_now)

    if TYPE_CHECKING:

        def __init__(self, **values: Any) -> None: ...

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


class OneTimeLinkMixin(Row):
    """A link that was mailed and not used yet: only the hash of its token, and what it was made for.

    A host that declares it itself sets `__user_model__` to its user class. Moments are whole Unix seconds.
    """

    __user_model__: ClassVar[type[Any]]

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # hash of the token
    purpose: Mapped[str] = mapped_column(String(16))
    email: Mapped[str] = mapped_column(String(254))  # where it was mailed to
    bound_to: Mapped[str] = mapped_column(String(64))  # hash of the state of the account that it was made for
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)

    @declared_attr
    def user_id(cls) -> Mapped[Any]:
        """The person; the column's type is that of the user's own key."""
        return belongs_to(cls.__user_model__)


def check_user_model(user_model: type[Any]) -> None:
    """Raise SettingsError if `user_model` lacks what the accounts need, naming the column."""
    columns, who = inspect(user_model).columns, f"user_model {user_model.__name__}"
    for name in ("email", "password_hash"):
        if not isinstance(columns.get(name), Column):
            raise SettingsError(f"{who} needs a column {name!r}, a mapped one; see UserMixin.")
    for name in ("email", "username"):
        column = columns.get(name)
        if column is not None and not _is_unique(column):
            # Looking before registering does not do: of several at once each would find the address free.
            raise SettingsError(f"{who}: the column {name!r} needs a unique index of its own (unique=True).")
    length = getattr(columns["password_hash"].type, "length", None)
    if length is not None and length < HASH_LENGTH:
        raise SettingsError(
            f"{who}: the column 'password_hash' has room for {length} characters; {HASH_LENGTH} are needed."
        )
    for column in columns:
        if column.key not in {"email", "password_hash"} and _must_be_given(column):
            log.warning(
                "The column %r of %s may not be empty and has no default: unless the model itself fills it,"
                " registration fails where it is not given.",
                column.key,
                user_model.__name__,
            )


def _is_unique(column: Any) -> bool:
    """Whether no two rows of the table can have the same value in this column."""
    table, alone = column.table, {column}
    if column.primary_key:  # a user's key is of one column
        return True
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and set(constraint.columns) == alone:
            return True
    # A partial index leaves out rows; one over lower(email) does as well, since what is stored is in lower case.
    whole = [i for i in table.indexes if i.unique and not any("where" in each for each in i.dialect_kwargs)]
    return any(len(index.expressions) == 1 and set(index.columns) == alone for index in whole)


def _must_be_given(column: Any) -> bool:
    if not isinstance(column, Column) or column.nullable or column is column.table.autoincrement_column:
        return False
    fillers = (column.default, column.server_default, column.computed, column.identity)
    return all(each is None for each in fillers) and not (column.primary_key and column.foreign_keys)


def is_active(user: Any) -> bool:
    """Whether the person may come in; a model without `active` has no other kind."""
    return bool(getattr(user, "active", True))

"""The rows of links: who is who on the other side, nonces that were used, and codes that are good once."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ..tokens.models import Row, belongs_to

__all__ = ["LinkedPersonMixin", "OneTimeTokenMixin", "PairingCodeMixin", "UsedNonceMixin"]


class LinkedPersonMixin(Row):
    """One person of ours and who that is to a linked app. Moments are whole Unix seconds.

    `status` is `unchecked`, `healthy`, or `not-found` since the app said so at `checked_at`; a row is never dropped
    because the app could not be asked.
    """

    __user_model__: ClassVar[type[Any]]
    __linked_app__: ClassVar[type[Any]]

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    external_id: Mapped[str] = mapped_column(String(255))  # the app's own id of the person, as text
    status: Mapped[str] = mapped_column(String(16), default="unchecked")
    checked_at: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)

    @declared_attr
    def user_id(cls) -> Mapped[Any]:
        """The person."""
        return belongs_to(cls.__user_model__)

    @declared_attr
    def app_id(cls) -> Mapped[Any]:
        """The app."""
        return belongs_to(cls.__linked_app__, index=False)

    @declared_attr.directive
    def __table_args__(cls) -> Any:
        # Begun by different columns: many hosts have constraints named after the first one.
        return (UniqueConstraint("app_id", "external_id"), UniqueConstraint("user_id", "app_id"))


class UsedNonceMixin(Row):
    """A nonce that came once, kept until the window of its signature has closed."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # hash of the key and the nonce
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class PairingCodeMixin(Row):
    """A code by which another service may set up its side of a link, once and soon."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # hash of the code
    terms: Mapped[str] = mapped_column(Text)  # JSON: what the app shall be allowed
    tries_left: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class OneTimeTokenMixin(Row):
    """A token that tells a linked app, once, who a person is."""

    __user_model__: ClassVar[type[Any]]

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # hash of the token
    app_id: Mapped[str | None] = mapped_column(String(32))  # the only app that may spend it, None for any
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)

    @declared_attr
    def user_id(cls) -> Mapped[Any]:
        """The person."""
        return belongs_to(cls.__user_model__)

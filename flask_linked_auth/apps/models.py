"""The rows of linked apps: the app, its keys, the scopes there are, those of an app, and what people agreed to."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Boolean, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ..tokens.models import Row, belongs_to

__all__ = ["AgreementMixin", "AppKeyMixin", "AppScopeMixin", "LinkedAppMixin", "ScopeMixin"]


class LinkedAppMixin(Row):
    """Whatever is no person and may call us or be called by us. Moments are whole Unix seconds."""

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # the client id: random, never changed
    slug: Mapped[str] = mapped_column(String(50), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text, default="")
    address: Mapped[str | None] = mapped_column(String(2000))  # where it lives, without a slash at the end
    users_path: Mapped[str] = mapped_column(String(500), default="/v1/auth/app/user/")
    webhook_url: Mapped[str | None] = mapped_column(String(2000))
    redirect_url: Mapped[str | None] = mapped_column(String(2000))  # where the agreement page leads back to
    dialect: Mapped[str] = mapped_column(String(20), default="link")  # in which we call it
    accepts: Mapped[str] = mapped_column(String(100), default="link signature")  # in which it may call us
    needs_agreement: Mapped[bool] = mapped_column(Boolean, default=True)
    ceiling: Mapped[str | None] = mapped_column(
        Text
    )  # scopes that it can have at most; None for all there are
    agreement_version: Mapped[int] = mapped_column(Integer, default=1)
    joins_by_email: Mapped[bool] = mapped_column(Boolean, default=False)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[int] = mapped_column(BigInteger)
    modified_at: Mapped[int] = mapped_column(BigInteger)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.slug}>"


class AppKeyMixin(Row):
    """One key for one use: accepted from `active_from` to `expires_at` (None = no end yet).

    `use` is `<dialect>_in` or `<dialect>_out`: `link_in`, `link_out`, `signature_in`, `signature_out`, `legacy_in`,
    `legacy_out`. `sealed` holds what must stay secret; a public key that only verifies is sealed all the same.
    A host that declares it itself sets `__linked_app__` to its class of linked apps.
    """

    __linked_app__: ClassVar[type[Any]]

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key_id: Mapped[str] = mapped_column(
        String(64)
    )  # by which both sides name it; "" where a dialect has none
    use: Mapped[str] = mapped_column(String(20))
    algorithm: Mapped[str] = mapped_column(String(16))
    sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    active_from: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)

    @declared_attr
    def app_id(cls) -> Mapped[Any]:
        """The app."""
        return belongs_to(cls.__linked_app__)


class ScopeMixin(Row):
    """A scope, `action:data` or `data`: what people read about it, and whether only apps have it."""

    slug: Mapped[str] = mapped_column(String(15), primary_key=True)
    name: Mapped[str] = mapped_column(String(25), unique=True)
    description: Mapped[str] = mapped_column(String(255))
    apps_only: Mapped[bool] = mapped_column(Boolean, default=False)


class AppScopeMixin(Row):
    """A scope that an app requires, or can have if the person likes."""

    __linked_app__: ClassVar[type[Any]]

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    scope: Mapped[str] = mapped_column(String(15), index=True)
    required: Mapped[bool] = mapped_column(Boolean)
    added_at: Mapped[int] = mapped_column(BigInteger)

    @declared_attr
    def app_id(cls) -> Mapped[Any]:
        """The app."""
        return belongs_to(cls.__linked_app__, index=False)

    @declared_attr.directive
    def __table_args__(cls) -> Any:
        return (UniqueConstraint("app_id", "scope"),)


class AgreementMixin(Row):
    """What one person allowed one app: in which version of its scopes, and which of them."""

    __user_model__: ClassVar[type[Any]]
    __linked_app__: ClassVar[type[Any]]

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    scopes: Mapped[str] = mapped_column(
        Text
    )  # all that were agreed to, required ones too, with spaces between
    agreed_at: Mapped[int] = mapped_column(BigInteger)

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
        return (UniqueConstraint("app_id", "user_id"),)

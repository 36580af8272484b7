"""The accounts part: registration, login, the account's own endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..config import AccountSettings
from ..errors import SettingsError
from ..state import Part

if TYPE_CHECKING:
    from flask import Flask

    from ..state import State
    from ..tokens.models import Rows
    from ..transactions import Transaction

__all__ = ["Accounts"]


class Accounts(Part):
    """People with accounts: register, log in, refresh, log out, and what one does with one's own account."""

    name = "accounts"

    def settings(self) -> type[AccountSettings]:
        """`AccountSettings`."""
        return AccountSettings

    def check_rows(self, rows: Rows) -> None:
        """Raise SettingsError for a user model without an e-mail address or a password hash."""
        from .models import check_user_model

        check_user_model(rows.User)

    def prunes(self) -> Mapping[str, Callable[..., int]]:
        """The mailed links."""
        from .recovery import prune_links

        def links(transaction: Transaction, at_most: int) -> int:
            row = transaction.rows.OneTimeLink
            return prune_links(transaction.session, row, now=transaction.now, at_most=at_most)

        return {"mailed links": links}

    def init_app(self, app: Flask, state: State, settings: AccountSettings) -> Any:
        """Register the endpoints; return an `AccountsState`."""
        from ..throttle import Throttle
        from .browser import set_up
        from .mail import Post, refuse_without_mailer
        from .passwords import Hasher
        from .registration import Reservations
        from .routes import make_blueprint
        from .schemas import schemas_for
        from .state import AccountsState

        if "apps" in state.parts:
            raise SettingsError("Accounts() stands before Apps() in parts=.")  # which adds pages to ours
        if settings.recovery:
            refuse_without_mailer(app, state)
        throttle = Throttle(settings.rate_limits, settings.rate_limit_storage)
        if any(key in app.config for key in ("LINKED_AUTH_RATE_LIMITS", "LINKED_AUTH_RATE_LIMIT_STORAGE")):
            throttle.validate()  # our own rules are known to be good, and parsing them would import `limits`
        app.register_blueprint(make_blueprint(settings))
        if settings.pages:
            from .pages import make_pages

            app.register_blueprint(make_pages(settings))
        if state.settings.docs:
            from ..openapi.routes import make_blueprint as make_docs

            app.register_blueprint(make_docs(settings.prefix))
        return AccountsState(
            settings=settings,
            schemas=schemas_for(
                state.database_in_use().rows.User, password_min_length=settings.password_min_length
            ),
            hasher=Hasher(settings.hashes_at_once, settings.bcrypt_cost),
            throttle=throttle,
            reservations=Reservations(),
            post=Post(),
            browser=set_up(app, state) if settings.pages else None,
        )

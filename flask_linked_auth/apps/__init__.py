"""The apps part: linked apps, their keys and scopes, and what people agreed to for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..config import AccountSettings, AppSettings
from ..state import Part

if TYPE_CHECKING:
    from click import Command
    from flask import Flask

    from ..state import State
    from ..transactions import Transaction

__all__ = ["Apps"]


class Apps(Part):
    """Linked apps: who they are, which scopes they have, and the pages on which people agree to that.

    The pages are among those of the accounts: without `Accounts()` before it, or with `LINKED_AUTH_PAGES = False`,
    there are none, and an app to which nobody has agreed is told so.
    """

    name = "apps"

    def settings(self) -> type[AppSettings]:
        """`AppSettings`."""
        return AppSettings

    def prunes(self) -> Mapping[str, Callable[..., int]]:
        """Keys of apps that ended a while ago; until then a call by one is told from one by a wrong key."""
        from .keys import prune_keys

        return {"app keys": prune_keys}

    def reencrypt(self, transaction: Transaction) -> int:
        """Seal the keys of apps."""
        from .keys import reencrypt

        return reencrypt(transaction)

    def commands(self) -> Sequence[Command]:
        """`app` and `scopes`."""
        from .commands import app_group, scopes_group

        return (app_group, scopes_group)

    def init_app(self, app: Flask, state: State, settings: AppSettings) -> Any:
        """Register the endpoints; return an `AppsState`."""
        from .grants import Grants
        from .refusals import explain_refusal
        from .registry import Registry
        from .routes import make_blueprints
        from .state import AppsState

        database, feed = state.database_in_use(), state.verifier.feed
        if feed is None or state.sealer is None:
            raise RuntimeError("A state with a database has a feed and a sealer.")
        lifetime = float(state.tokens.access_lifetime)
        registry = Registry(database, state.sealer, feed, lifetime=lifetime)
        grants = Grants(database, feed, size=settings.app_cache_size, lifetime=lifetime)
        state.explain_refusal["app"] = explain_refusal
        accounts = state.parts.get("accounts")
        prefix = AccountSettings().prefix if accounts is None else accounts.settings.prefix
        for blueprint in make_blueprints(settings, prefix):
            app.register_blueprint(blueprint)
        if accounts is not None and accounts.settings.pages:
            from .pages import add_pages

            add_pages(app, accounts, settings)
        pages = accounts is not None and accounts.settings.pages
        return AppsState(settings=settings, registry=registry, grants=grants, pages=pages)

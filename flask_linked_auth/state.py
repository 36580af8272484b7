"""`State`, what the extension holds for one app; `Part`, what a part of it must offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .config import retention_of

if TYPE_CHECKING:
    from flask import Flask

    from .config import Settings, TokenSettings
    from .database import Database
    from .identity import Identity
    from .tokens.access import Verifier
    from .tokens.keystore import KeyStore
    from .tokens.models import Rows
    from .tokens.ring import KeyRing

__all__ = ["Part", "State"]


class Part:
    """An optional feature. A part that is not listed makes no table, no route, no setting, and imports nothing."""

    name: ClassVar[str]
    needs_database: ClassVar[bool] = True

    def settings(self) -> type[Any]:
        """The dataclass of this part's settings."""
        raise NotImplementedError

    def check_rows(self, rows: Rows) -> None:
        """Raise SettingsError if a row class lacks what this part needs."""

    def init_app(self, app: Flask, state: State, settings: Any) -> Any:
        """Register routes, and return what `state.parts[name]` shall hold."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, repr=False)
class State:
    """What the extension holds for one app, in `app.extensions["linked_auth"]`; it never changes."""

    settings: Settings
    tokens: TokenSettings
    hooks: Mapping[str, Callable[..., Any]]
    ring: KeyRing
    verifier: Verifier
    readers: dict[str, Callable[[str], Identity]]
    parts: dict[str, Any]
    refresh_keys: tuple[bytes, ...]
    database: Database | None = None
    store: KeyStore | None = None

    @property
    def retention(self) -> int:
        """For how long a revocation must be remembered, and a former key be accepted, in seconds."""
        return retention_of(self.settings, self.tokens)

    def database_in_use(self) -> Database:
        """The database. Raises RuntimeError in a service that has none."""
        if self.database is None:
            raise RuntimeError("This service has no database: LinkedAuth was set up with parts=[].")
        return self.database

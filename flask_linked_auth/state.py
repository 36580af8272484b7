"""`State`, what the extension holds for one app; `Part`, what a part of it must offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .config import retention_of

if TYPE_CHECKING:
    from click import Command
    from flask import Flask

    from .config import Settings, TokenSettings
    from .database import Database
    from .identity import Identity
    from .sealing import Sealer
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

    def commands(self) -> Sequence[Command]:
        """What the part adds to `flask linked-auth`."""
        return ()

    def prunes(self) -> Mapping[str, Callable[..., int]]:
        """What `flask linked-auth prune` deletes: by its name, a deed(transaction, at_most) that says how many."""
        return {}

    def reencrypt(self, transaction: Any) -> int:
        """Seal the secrets of this part with the newest key; how many were sealed anew."""
        return 0

    def init_app(self, app: Flask, state: State, settings: Any) -> Any:
        """Register routes, and return what `state.parts[name]` shall hold."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, repr=False)
class State:
    """What the extension holds for one app, in `app.extensions["linked_auth"]`; it never changes.

    Parts register in it at start: `readers` turn a credential into an Identity, by its scheme in lower case;
    `signature_readers` do so with the header Signature-Input, or give None for a signature that is for others, and
    raise RivalCredentials for one of ours if they are told that there is another credential;
    `readers_of_people` find the person that an app speaks for, by the method of its Identity; `explain_refusal` may
    raise something more precise than MissingScope, by the kind of the Identity; `parts` is what each part holds, and
    `listed` are the parts themselves.
    """

    settings: Settings
    tokens: TokenSettings
    hooks: Mapping[str, Callable[..., Any]]
    ring: KeyRing
    verifier: Verifier
    readers: dict[str, Callable[[str], Identity]]
    signature_readers: list[Callable[[str, bool], Identity | None]]
    readers_of_people: dict[str, Callable[[Identity], Any]]
    explain_refusal: dict[str, Callable[[Identity, tuple[str, ...]], None]]
    parts: dict[str, Any]
    refresh_keys: tuple[bytes, ...]
    database: Database | None = None
    store: KeyStore | None = None
    sealer: Sealer | None = None
    listed: tuple[Part, ...] = ()

    @property
    def retention(self) -> int:
        """For how long a revocation must be remembered, and a former key be accepted, in seconds."""
        return retention_of(self.settings, self.tokens)

    def database_in_use(self) -> Database:
        """The database. Raises RuntimeError in a service that has none."""
        if self.database is None:
            raise RuntimeError("This service has no database: LinkedAuth was set up with parts=[].")
        return self.database

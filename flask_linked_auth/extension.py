"""`LinkedAuth`, the extension object, which makes the `State` of each app."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask

from .config import PREFIX, Settings, TokenSettings, read_settings, retention_of
from .errors import LinkedAuthError, Problem, SettingsError
from .http import answer, answer_storage_errors
from .misplaced import know
from .sealing import Sealer, derive
from .startup import completed
from .state import Part, State
from .tokens.access import TokenReader, Verifier, expected_of, key_reader
from .tokens.keys import from_jwks, secret_key
from .tokens.ring import JwksUrl, KeyRing, KeySource

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

    from .database import Database
    from .tokens.keystore import KeyStore
    from .tokens.models import Rows
    from .tokens.revocation import Feed

__all__ = ["LinkedAuth"]

log = logging.getLogger("flask_linked_auth")
H = TypeVar("H", bound=Callable[..., Any])


class LinkedAuth:
    """Accounts, tokens and guards for a Flask app.

    `LinkedAuth(app)` is all that a small app needs. A factory makes `auth = LinkedAuth(db=db, user_model=User)` and
    calls `auth.init_app(app)`, for as many apps as it likes. `parts` lists the parts in use (all of them by
    default, `[]` for guards only). `mailer` is what `@auth.mailer` decorates, for when the app is given here. Row
    classes of the host's own are passed by name: `Login=MyLogin`.

    Raises SettingsError for whatever is not right, naming the key or argument.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        db: SQLAlchemy | None = None,
        user_model: type[Any] | None = None,
        parts: Sequence[Part] | None = None,
        mailer: Callable[[Any], Any] | None = None,
        **row_classes: type[Any],
    ) -> None:
        self._parts = _checked_parts(parts)
        if app is not None:
            _check_app(app)
        self._hooks: dict[str, Callable[..., Any]] = {} if mailer is None else {"mailer": mailer}
        self._own_db = False
        self.db: SQLAlchemy | None = None
        self.rows: Rows | None = None
        if any(part.needs_database for part in self._parts):
            given = row_classes if user_model is None else {**row_classes, "User": user_model}
            self._set_up_rows(db if db is not None else self._find_db(app), given)
        elif db is not None or user_model is not None or row_classes:
            raise SettingsError(
                "db=, user_model= and row classes are for parts with tables, and none is listed."
            )
        if app is not None:
            self.init_app(app)

    def _find_db(self, app: Flask | None) -> SQLAlchemy:
        if app is not None and "sqlalchemy" in app.extensions:
            found: SQLAlchemy = app.extensions["sqlalchemy"]
            return found
        from flask_sqlalchemy import SQLAlchemy

        self._own_db = True
        return SQLAlchemy()

    def _set_up_rows(self, db: SQLAlchemy, given: Mapping[str, type[Any]]) -> None:
        from .models import rows_for

        self.db = db
        self.rows = rows_for(db, given, {part.name for part in self._parts})
        for part in self._parts:
            part.check_rows(self.rows)

    def init_app(self, app: Flask) -> None:
        """Set up one app: read its settings, make its State, register routes, error handler and commands."""
        _check_app(app)
        if "linked_auth" in app.extensions:
            raise SettingsError("LinkedAuth is already set up on this app.")
        kinds = {part.name: part.settings() for part in self._parts}
        read = read_settings(app.config, [Settings, TokenSettings, *kinds.values()])
        settings, tokens = completed(app, read[Settings], read[TokenSettings]), read[TokenSettings]
        if self.db is not None:
            self._init_db(app, self.db)
        state = _make_state(settings, tokens, self._hooks, self._database())
        state = replace(state, listed=self._parts)
        app.extensions["linked_auth"] = state
        know(app)
        app.register_error_handler(Problem, answer)
        answer_storage_errors(app)
        for part in self._parts:
            state.parts[part.name] = part.init_app(app, state, read[kinds[part.name]])
        if self.db is not None and self._own_db and (app.debug or app.testing):
            self._create_tables(app, self.db)

        from .cli import group_of  # commands are not needed before there is an app

        app.cli.add_command(group_of(self._parts))

    def _init_db(self, app: Flask, db: SQLAlchemy) -> None:
        registered = app.extensions.get("sqlalchemy")
        if registered is None and not self._own_db:
            raise SettingsError("Call db.init_app(app) before auth.init_app(app).")
        if registered is not None and registered is not db:
            raise SettingsError("The app has a SQLAlchemy object of its own: pass it as LinkedAuth(db=...).")
        if registered is None:
            app.config.setdefault("SQLALCHEMY_DATABASE_URI", "sqlite:///linked_auth.db")
            app.config.setdefault(
                "SQLALCHEMY_ENGINE_OPTIONS", {"pool_pre_ping": True, "hide_parameters": True}
            )
            db.init_app(app)
        from .database import let_go_quietly, part_at_forks

        part_at_forks(app)
        let_go_quietly(app, db)

    def _database(self) -> Database | None:
        if self.db is None or self.rows is None:
            return None
        from .database import Database

        return Database(self.db, self.rows)

    def _create_tables(self, app: Flask, db: SQLAlchemy) -> None:
        with app.app_context():
            db.metadata.create_all(db.engine)

    @property
    def User(self) -> type[Any]:  # noqa: N802 - a class, as `db.Model` is
        """The user model in use."""
        if self.rows is None:
            raise SettingsError("There is no user model: no part with tables is listed.")
        return self.rows.User

    def user_scopes(self, hook: H) -> H:
        """Decorator: `hook(user)` returns the scopes that a person has, instead of the default rule."""
        self._hooks["user_scopes"] = hook
        return hook

    def claims(self, hook: H) -> H:
        """Decorator: `hook(user)` returns further claims for a person's access tokens."""
        self._hooks["claims"] = hook
        return hook

    def new_person(self, hook: H) -> H:
        """Decorator: `hook(app, profile)` says who somebody is that a linked app speaks for and nobody here is.

        It returns a new row of the user model, which is then added, or a row that is there, or None for nobody.
        Without it nobody is ever made. `profile` is what the app says, a `Profile`.
        """
        self._hooks["new_person"] = hook
        return hook

    def mailer(self, hook: H) -> H:
        """Decorator: `hook(mail)` sends a `Mail`, outside any request. What it raises is logged by its name."""
        self._hooks["mailer"] = hook
        return hook

    def api_document(self, hook: H) -> H:
        """Decorator: `hook(document)` changes the API document, or returns another, before it is first served."""
        self._hooks["api_document"] = hook
        return hook

    def revoke(self, user: Any) -> None:
        """End every login and token of a person, in a transaction of its own. For changes that bypass the ORM.

        `user` is a row, `g.user` or a key. Raises ValueError for what is none of them, RuntimeError where there is no
        LinkedAuth or no database, and what the database raises.
        """
        from .globals import current_state
        from .tokens.issuing import key_of
        from .transactions import commit

        state = current_state()
        state.database_in_use()
        key = key_of(state, user)
        commit(state, lambda transaction: transaction.revoke_user(key))


def _default_parts() -> Collection[Part]:
    """Every part there is. The one place that knows them all, so that an unlisted one is never imported."""
    from .accounts import Accounts
    from .apps import Apps
    from .links import Links

    return [Accounts(), Apps(), Links()]


def _checked_parts(parts: Sequence[Part] | None) -> tuple[Part, ...]:
    found = _default_parts() if parts is None else parts
    if not isinstance(found, list | tuple):
        raise SettingsError("parts= is a list, such as parts=[Accounts()], or parts=[] for guards only.")
    for part in found:
        if not isinstance(part, Part):
            words = getattr(part, "__name__", type(part).__name__)
            raise SettingsError(f"parts= wants parts, such as Accounts() with parentheses; {words} is none.")
    return tuple(found)


def _check_app(app: object) -> None:
    if not isinstance(app, Flask):
        raise SettingsError(
            f"A Flask app is wanted here, not {type(app).__name__}; a database is passed as db=."
        )


def _make_state(
    settings: Settings,
    tokens: TokenSettings,
    hooks: Mapping[str, Callable[..., Any]],
    database: Database | None,
) -> State:
    static = [secret_key(each) for each in (settings.secret, *settings.secret_fallbacks) if each]
    feed: Feed | None = None
    store: KeyStore | None = None
    sealer: Sealer | None = None
    source: KeySource | None = None
    read_key: Callable[[str], Any] = str
    if database is not None:
        if tokens.jwks or tokens.jwks_url:
            raise SettingsError(f"{PREFIX}JWKS and {PREFIX}JWKS_URL are for guards without a database.")
        feed, store, sealer = _database_state(settings, tokens, database)
        source, read_key = store, key_reader(database.key_type)
    elif tokens.jwks or tokens.jwks_url:
        static = []  # tokens of the issuer elsewhere, and no others
        if tokens.jwks:
            static = _keys_of(tokens.jwks)
        source = JwksUrl(tokens.jwks_url) if tokens.jwks_url else None
    ring = KeyRing(
        static, algorithm=tokens.algorithm, retention=retention_of(settings, tokens), source=source
    )
    expected = expected_of(settings, tokens, own=database is not None)
    reader = TokenReader(ring, expected, read_key=read_key)
    verifier = Verifier(reader.read, feed, tokens.token_cache_size)
    if feed is not None:
        feed.on_new_keys = lambda: _forget(ring, verifier)
    return State(
        settings=settings,
        tokens=tokens,
        hooks=hooks,
        ring=ring,
        verifier=verifier,
        readers={"bearer": verifier.identify},
        signature_readers=[],
        readers_of_people={},
        explain_refusal={},
        parts={},
        refresh_keys=tuple(derive(s, "refresh") for s in (settings.secret, *settings.secret_fallbacks) if s),
        database=database,
        store=store,
        sealer=sealer,
    )


def _forget(ring: KeyRing, verifier: Verifier) -> None:
    """Verify every token anew: the key that signed it may have been retired."""
    ring.mark_stale()
    verifier.forget()


def _database_state(
    settings: Settings, tokens: TokenSettings, database: Database
) -> tuple[Feed, KeyStore, Sealer]:
    from .tokens.keystore import KeyStore
    from .tokens.revocation import Feed

    feed = Feed(
        database.db, database.rows, interval=tokens.revocation_interval, patience=tokens.revocation_patience
    )
    derived = tuple(s for s in (settings.secret, *settings.secret_fallbacks) if s)
    sealer = Sealer((*settings.encryption_keys, *derived))
    return feed, KeyStore(database.db, database.rows, sealer, feed=feed), sealer


def _keys_of(document: Mapping[str, Any]) -> list[Any]:
    try:
        return list(from_jwks(document))
    except (ValueError, LinkedAuthError) as error:
        raise SettingsError(f"{PREFIX}JWKS: {error}") from None

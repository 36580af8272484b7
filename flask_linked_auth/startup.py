"""What the settings still lack at start: debug and testing fill it in; outside of them it is asked for, all at once."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .config import PREFIX, Settings, TokenSettings, refuse_weak
from .errors import SettingsError

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["completed", "kept_secret"]

log = logging.getLogger("flask_linked_auth")


def completed(app: Flask, settings: Settings, tokens: TokenSettings) -> Settings:
    """The settings with what debug and testing fill in; outside of them, what is missing or weak is refused."""
    if app.debug or app.testing:
        name = re.sub(r"[^a-z0-9_-]+", "-", app.name.rpartition(".")[2].lower()).strip("-_") or "app"
        return replace(
            settings,
            name=settings.name or name[:50],
            issuer=settings.issuer or "http://localhost:5000",
            secret=settings.secret or kept_secret(app),
        )
    if missing := dict(_missing(settings, tokens)):
        lines = [f"\n{PREFIX}{name}: {words}" for name, words in missing.items()]
        names = [f"{PREFIX}{name}" for name in missing]
        raise SettingsError(f"{' and '.join(names)} must be set outside debug.{''.join(lines)}")
    _refuse_guessable(settings)
    _refuse_shared(app, settings)
    _warn_of_plain_http(settings.issuer)
    return settings


def _missing(settings: Settings, tokens: TokenSettings) -> Iterator[tuple[str, str]]:
    if not settings.name:
        yield "NAME", "this service's own slug, such as blog"
    if not settings.issuer:
        yield "ISSUER", "its public address, such as https://blog.example.com"
    if not settings.secret and not (tokens.jwks or tokens.jwks_url):
        command = 'python -c "import secrets; print(secrets.token_urlsafe(48))"'
        yield "SECRET", f"at least 32 random bytes, such as {command} prints"


def _refuse_guessable(settings: Settings) -> None:
    if settings.secret:
        refuse_weak(f"{PREFIX}SECRET", settings.secret)
    for secret in settings.secret_fallbacks:
        refuse_weak(f"{PREFIX}SECRET_FALLBACKS", secret)
    for key in settings.encryption_keys:
        refuse_weak(f"{PREFIX}ENCRYPTION_KEYS", key)


def _refuse_shared(app: Flask, settings: Settings) -> None:
    """Refuse Flask's own key as the secret: whoever learns the one, by a leaked session tool say, could sign tokens."""
    key = app.config.get("SECRET_KEY")
    text = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
    if text and text == settings.secret:
        raise SettingsError(f"{PREFIX}SECRET must not be the same as SECRET_KEY: give each its own bytes.")


def _warn_of_plain_http(issuer: str) -> None:
    address = urlsplit(issuer)
    host = address.hostname or ""
    if address.scheme == "http" and not (
        host in {"localhost", "127.0.0.1", "::1"} or host.endswith(".localhost")
    ):
        log.warning("%sISSUER is an http address: who listens in between reads every token.", PREFIX)


def kept_secret(app: Flask) -> str:
    """The secret of a development machine, made once and kept in the instance folder."""
    path = Path(app.instance_path) / "linked_auth_secret"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_secret(path)
        kept = path.read_text().strip()
    except OSError:
        log.warning("The instance folder cannot be written: this process has a secret of its own.")
        return secrets.token_urlsafe(48)
    return kept if len(kept) >= 32 else secrets.token_urlsafe(48)


def _write_secret(path: Path) -> None:
    """Put a new secret at `path`, whole or not at all: of processes that start together, one wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)

"""The keys of linked apps, each for one use, sealed at rest; replaced with an overlap, so that no call fails."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from .registry import key_context

if TYPE_CHECKING:
    from ..sealing import Sealer
    from ..transactions import Transaction

__all__ = ["USES", "NewKey", "add_key", "open_key", "prune_keys", "reencrypt", "replace_key", "retire_keys"]

KEPT = 30 * 24 * 60 * 60  # seconds for which a key is known after its end
USES = ("link_in", "link_out", "signature_in", "signature_out", "legacy_in", "legacy_out")


def _sealer(transaction: Transaction) -> Sealer:
    sealer = transaction.state.sealer
    if sealer is None:
        raise RuntimeError("This service has no database, so nothing can be sealed in it.")
    return sealer


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be stored: `secret` is what its dialect loads it from, `key_id` is "" where a dialect has none."""

    algorithm: str
    secret: bytes = field(repr=False)
    key_id: str = ""


def add_key(transaction: Transaction, app: Any, use: str, key: NewKey) -> Any:
    """Store a key for one use, active from now on."""
    if use not in USES:
        raise ValueError(f"{use!r} is no use of a key; there are {', '.join(USES)}")
    row_id = secrets.token_urlsafe(16)
    row = transaction.rows.AppKey(
        id=row_id,
        app_id=app.id,
        key_id=key.key_id,
        use=use,
        algorithm=key.algorithm,
        sealed=_sealer(transaction).seal(key.secret, key_context(row_id)),
        created_at=transaction.now,
        active_from=transaction.now,
    )
    transaction.session.add(row)
    transaction.changed("app", app.slug)
    transaction.changed("app", app.id)
    return row


def replace_key(transaction: Transaction, app: Any, use: str, key: NewKey, *, overlap: int) -> Any:
    """The same, and the former keys of this use are accepted for `overlap` seconds more."""
    retire_keys(transaction, app, use, after=overlap)
    transaction.tell("app.key-rotated", app_id=app.id, slug=app.slug, use=use)
    return add_key(transaction, app, use, key)


def retire_keys(transaction: Transaction, app: Any, use: str, *, after: int) -> int:
    """Let the keys of this use end in `after` seconds, unless they end before; how many there were."""
    row, ends = transaction.rows.AppKey, transaction.now + after
    found = list(transaction.session.scalars(select(row).where(row.app_id == app.id, row.use == use)))
    for key in found:
        key.expires_at = ends if key.expires_at is None else min(ends, key.expires_at)
    transaction.changed("app", app.slug)
    transaction.changed("app", app.id)
    return len(found)


def open_key(transaction: Transaction, row: Any) -> bytes:
    """What was stored as the secret of a key. Raises SealingError."""
    return _sealer(transaction).open(row.sealed, key_context(row.id))


def prune_keys(transaction: Transaction, at_most: int) -> int:
    """Delete up to `at_most` keys that ended a month ago; how many there were."""
    row, session = transaction.rows.AppKey, transaction.session
    over = (
        select(row.id).where(row.expires_at < transaction.now - KEPT).order_by(row.expires_at).limit(at_most)
    )
    ids = list(session.scalars(over))
    if ids:
        session.execute(delete(row).where(row.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)


def reencrypt(transaction: Transaction) -> int:
    """Seal anew what is not sealed by the newest key; how many there were."""
    sealer, done = _sealer(transaction), 0
    for row in transaction.session.scalars(select(transaction.rows.AppKey)):
        if not sealer.is_current(row.sealed):
            context = key_context(row.id)
            row.sealed = sealer.seal(sealer.open(row.sealed, context), context)
            done += 1
    return done

"""Keys as the two sides of a link tell each other of them; a key that replaces another is told of by the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select

from ..apps.keys import NewKey, add_key, open_key, retire_keys
from ..errors import Conflict
from .codes import text_of, unread
from .keys import LinkKey, dump_key, generate_key, load_key

if TYPE_CHECKING:
    from ..transactions import Transaction

__all__ = [
    "NEVER",
    "USES",
    "Prepared",
    "activate",
    "announced",
    "drop_prepared",
    "key_of",
    "outgoing",
    "prepare",
    "put_key",
    "retire_former",
    "take",
]

#: What two Flask services have keys for, each for either direction.
USES = ("link", "signature")
NEVER = 2**53  # when a key signs that the other side has not been told of


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """New keys for our calls by their use, which do not sign before the other side knows them."""

    keys: Mapping[str, LinkKey]

    def told(self) -> dict[str, Any]:
        """What the other side is told."""
        return {use: announced(key) for use, key in self.keys.items()}


def announced(key: LinkKey) -> dict[str, str]:
    """What the other side needs to verify by: of a pair the public half, of a shared secret all there is."""
    half = key.verifying
    data = half if isinstance(half, bytes) else half.public_bytes_raw() if half is not None else b""
    return {"id": key.id, "algorithm": key.algorithm, "key": text_of(data)}


def key_of(told: Mapping[str, Any]) -> LinkKey:
    """A key of the other side that we verify by. Raises ValueError for what is none, or is a weak one."""
    data = unread(told["key"])
    if told["algorithm"] == "EdDSA":
        if len(data) != 32:
            raise ValueError("A public key of Ed25519 has 32 bytes.")
        return LinkKey(told["id"], "EdDSA", None, Ed25519PublicKey.from_public_bytes(data))
    return LinkKey(told["id"], told["algorithm"], None, data)


def put_key(transaction: Transaction, app: Any, use: str, key: LinkKey) -> Any:
    """Store a key for one use."""
    return add_key(transaction, app, use, NewKey(key.algorithm, dump_key(key), key.id))


def _rows(transaction: Transaction, app: Any, use: str) -> list[Any]:
    row = transaction.rows.AppKey
    query = select(row).where(row.app_id == app.id, row.use == use, row.expires_at.is_(None))
    return list(
        transaction.session.scalars(query.order_by(row.active_from, row.created_at).with_for_update())
    )


def _loaded(transaction: Transaction, row: Any) -> LinkKey:
    return load_key(row.key_id, row.algorithm, open_key(transaction, row))


def outgoing(transaction: Transaction, app: Any) -> dict[str, LinkKey]:
    """The keys that sign our calls now, by use."""
    found = {use: _rows(transaction, app, f"{use}_out") for use in USES}
    signing = {use: [row for row in rows if row.active_from < NEVER] for use, rows in found.items()}
    return {use: _loaded(transaction, rows[-1]) for use, rows in signing.items() if rows}


def prepare(transaction: Transaction, app: Any) -> Prepared:
    """Keys to come after those that sign our calls now: the same again if they were prepared before."""
    keys = {}
    for use in USES:
        rows = _rows(transaction, app, f"{use}_out")
        if not rows:
            continue
        if rows[-1].active_from < NEVER:
            made = generate_key(rows[-1].algorithm)
            put_key(transaction, app, f"{use}_out", made).active_from = NEVER
            keys[use] = made
        else:
            keys[use] = _loaded(transaction, rows[-1])
    return Prepared(keys)


def activate(transaction: Transaction, app: Any) -> list[str]:
    """Let the keys that were prepared sign from now on; their uses."""
    done = []
    for use in (*USES, "legacy"):
        rows = _rows(transaction, app, f"{use}_out")
        if not rows or rows[-1].active_from < NEVER:
            continue
        rows[-1].active_from = transaction.now
        for former in rows[:-1]:
            former.expires_at = transaction.now
        transaction.changed("app", app.slug)
        transaction.changed("app", app.id)
        transaction.tell("app.key-rotated", app_id=app.id, slug=app.slug, use=f"{use}_out")
        done.append(f"{use}_out")
    return done


def drop_prepared(transaction: Transaction, app: Any) -> None:
    """Give up keys that were prepared and never activated, and what they would be verified by here."""
    for use in (*USES, "legacy"):
        prepared = [row for row in _rows(transaction, app, f"{use}_out") if row.active_from == NEVER]
        ids = {row.key_id for row in prepared}
        verifying = [row for row in _rows(transaction, app, f"{use}_in") if row.key_id in ids]
        for row in prepared + verifying:
            transaction.session.delete(row)


def retire_former(transaction: Transaction, app: Any, use: str, *, after: int) -> None:
    """Let all keys of this use but the newest end in `after` seconds."""
    for row in _rows(transaction, app, use)[:-1]:
        row.expires_at = transaction.now + after


def take(
    transaction: Transaction, app: Any, keys: Mapping[str, LinkKey], *, signed_by: str, overlap: int
) -> None:
    """Accept new keys of the other side, and the former ones for `overlap` seconds more. Raises Conflict.

    Only the newest key may tell of its successors: whoever has got hold of one that was replaced cannot come back by
    it. To be told the same once more changes nothing, since the answer may have been lost.
    """
    held = {use: _rows(transaction, app, f"{use}_in") for use in USES}
    if any(not held[use] for use in keys):
        raise Conflict("This app has no such keys here.")
    newest = {use: held[use][-1] for use in keys}
    if all(newest[use].key_id == key.id for use, key in keys.items()):
        return
    if not held["signature"] or held["signature"][-1].key_id != signed_by:
        raise Conflict("Only the newest key of an app may tell of its successors.")
    if any(key.algorithm != newest[use].algorithm for use, key in keys.items()):
        raise Conflict("A key is replaced by one of the same algorithm.")
    for use, key in keys.items():
        retire_keys(transaction, app, f"{use}_in", after=overlap)
        put_key(transaction, app, f"{use}_in", key)
        transaction.tell("app.key-rotated", app_id=app.id, slug=app.slug, use=f"{use}_in")

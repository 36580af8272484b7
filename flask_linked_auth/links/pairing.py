"""Two services get to know each other by a pairing code that the operator of one gives to the operator of the other.

The inviting side makes the code (`invite`). The other one makes an offer with its public keys (`make_offer`) and proves
that it knows the code. Before the inviting side believes the address in the offer, it asks there (`meet_challenge`).
Then it stores what the other side may do, and answers with public keys of its own (`take_offer`), which the other side
stores (`take_answer`). How that stands up to who listens, relays and lies is told in `docs/linking.md`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError
from sqlalchemy import delete, select, update

from ..apps.changes import change_app, find_app, register_app, set_app_scopes
from ..apps.keys import retire_keys
from ..catalogs import _
from ..errors import NotFound
from ..link_errors import PairingRefused
from ..strict_json import read_object
from ..tokens.refresh import hashed
from ..transactions import commit
from .announced import USES, announced, key_of, outgoing, put_key
from .asking import post_json
from .codes import Code, answer_mac, is_proof, new_code, text_of, unread
from .keys import Algorithm, LinkKey, dump_key, generate_key, load_key
from .schemas import Met, Side
from .signatures import authority_of
from .state import mine

if TYPE_CHECKING:
    from ..transactions import Transaction

__all__ = [
    "Offered",
    "Terms",
    "invite",
    "is_private",
    "make_offer",
    "meet_challenge",
    "take_answer",
    "take_offer",
]

TRIES = 10  # also for one who tries again because the answer was lost
_UNKNOWN = _("The pairing code is unknown, expired or used.")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the other side may do here, as the operator of this side says: fields of the app, and scopes if any."""

    fields: Mapping[str, Any]
    scopes: Mapping[str, list[str]]
    insecure: bool = False  # whether its address may be http, away from this machine
    replace: bool = False  # whether it may take the place of an app of its name that lives elsewhere


@dataclass(frozen=True, slots=True, repr=False)
class Offered:
    """An offer as it is sent: its text, and the keys in it with their private halves."""

    text: str
    keys: Mapping[str, LinkKey]


def is_private(address: str) -> bool:
    """Whether nobody listens on the way there: https, or this very machine."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    try:
        return parts.scheme == "https" or ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


# What is kept meanwhile: an invitation here, an offer there; both sealed, each for a quarter of an hour.


def _keep(transaction: Transaction, name: str, kept: Mapping[str, Any], *, lifetime: int) -> None:
    row, row_id = transaction.rows.PairingCode, hashed(name)
    transaction.session.execute(delete(row).where(row.id == row_id))
    sealed = _sealed(transaction, row_id, kept)
    expires_at = transaction.now + lifetime
    transaction.session.add(row(id=row_id, terms=sealed, tries_left=TRIES, expires_at=expires_at))


def _sealed(transaction: Transaction, row_id: str, kept: Mapping[str, Any]) -> str:
    sealer = transaction.state.sealer
    assert sealer is not None  # noqa: S101 - a service with this row has a database, and so a sealer
    return sealer.seal(json.dumps(kept).encode(), f"pairing_code:{row_id}")


def _kept(transaction: Transaction, name: str, *, trying: bool = False) -> tuple[str, dict[str, Any]] | None:
    """What is kept under a name, as it is stored and opened; with `trying` one try less is left."""
    row, row_id = transaction.rows.PairingCode, hashed(name)
    good = (row.id == row_id) & (row.expires_at > transaction.now) & (row.tries_left > 0)
    if trying:
        less = update(row).where(good).values(tries_left=row.tries_left - 1)
        if not transaction.session.execute(less.execution_options(synchronize_session=False)).rowcount:  # type: ignore[attr-defined]
            return None
        good = row.id == row_id
    sealed = transaction.session.scalar(select(row.terms).where(good))
    sealer = transaction.state.sealer
    if sealed is None or sealer is None:
        return None
    return sealed, json.loads(sealer.open(sealed, f"pairing_code:{row_id}"))


# The inviting side.


def invite(
    transaction: Transaction, slug: str, terms: Terms, *, lifetime: int, address: str | None = None
) -> Code:
    """A code by which the service of this name may be linked, once. With `address`, only one that lives there."""
    code = new_code()
    kept = {
        "slug": slug,
        "address": address,
        "fields": dict(terms.fields),
        "scopes": dict(terms.scopes),
        "insecure": terms.insecure,
        "verifying": text_of(code.verifying()),
        "used_by": "",
    }
    _keep(transaction, f"invitation:{code.handle}", kept, lifetime=lifetime)
    return code


def take_offer(handle: str, offer: str, proof: str) -> dict[str, str]:
    """Link the service that makes this offer, and answer it. Raises PairingRefused.

    An offer that was taken before gets the same answer again: what it got may have been lost.
    """
    state, links = mine()
    name = f"invitation:{handle}"
    found = commit(state, partial(_kept, name=name, trying=True))
    if found is None:
        raise PairingRefused(_UNKNOWN)
    sealed, kept = found
    verifying = unread(kept["verifying"])
    if not is_proof(verifying, offer.encode(), unread(proof)):
        raise PairingRefused(_UNKNOWN)
    # From here on we know that it is who was invited; what it says is still to be checked.
    side = _side(offer, to=True)
    _check_offer(side, kept)
    used_by = hashlib.sha256(offer.encode()).hexdigest()
    if not kept["used_by"]:
        _find_there(side)
        keys = {use: generate_key(side[use].algorithm) for use in USES}
        taken = partial(
            _taken, name=name, sealed=sealed, kept={**kept, "used_by": used_by}, side=side, keys=keys
        )
        commit(state, taken)
    elif not hmac.compare_digest(kept["used_by"], used_by):
        raise PairingRefused(_UNKNOWN)
    ours = commit(state, lambda deed: outgoing(deed, find_app(deed, side["name"])))
    answer = _told(ours, pairing=side["pairing"], address=links.issuer)
    mac = answer_mac(verifying, offer.encode(), answer.encode())
    return {"answer": answer, "mac": text_of(mac)}


def _check_offer(side: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    _, links = mine()
    said = {"name": side["name"], "wanted": kept["slug"], "address": side["address"], "to": side["to"]}
    if side["name"] != kept["slug"]:
        raise PairingRefused("This code is for the service %(wanted)s, and you are %(name)s.", values=said)
    parts = urlsplit(side["to"])
    if not links.authorities(authority_of(parts.netloc, parts.scheme)):
        # Whoever the operator was tricked into calling cannot pass the offer on to us.
        raise PairingRefused(
            "The offer was made to %(to)s, which is not an address of this service.", values=said
        )
    if kept["address"] is not None and side["address"] != kept["address"]:
        raise PairingRefused("This code is for a service at another address than %(address)s.", values=said)
    if not (kept["insecure"] or is_private(side["address"])):
        raise PairingRefused("%(address)s is an http address: who listens in between reads all.", values=said)
    if any(side[use].algorithm != "EdDSA" for use in USES) and not is_private(side["to"]):
        raise PairingRefused("Shared secrets are only exchanged over https.", values=said)


def _find_there(side: Mapping[str, Any]) -> None:
    """Make sure that who offers is at the address that it says: nobody may have us send calls to another's."""
    challenge = secrets.token_urlsafe(32)
    url = f"{side['address']}{side['prefix']}/pair/confirm"
    status, value = post_json(url, {"pairing": side["pairing"], "challenge": challenge})
    answer = _loaded(Met(), value) if status == 200 else None
    text = _challenge_text(side["pairing"], side["address"], challenge)
    if answer is None or not side["link"].verifies(text, unread(answer["answer"]), "sha512"):
        raise PairingRefused(
            "At %(address)s nobody confirms the offer. Does the service run there, on the same database?",
            values={"address": side["address"]},
        )


def _taken(
    transaction: Transaction,
    *,
    name: str,
    sealed: str,
    kept: Mapping[str, Any],
    side: Mapping[str, Any],
    keys: Mapping[str, LinkKey],
) -> None:
    """Store the link, if nobody else has used the code meanwhile."""
    row, row_id = transaction.rows.PairingCode, hashed(name)
    first = update(row).where(row.id == row_id, row.terms == sealed, row.expires_at > transaction.now)
    values = first.values(terms=_sealed(transaction, row_id, kept)).execution_options(
        synchronize_session=False
    )
    if not transaction.session.execute(values).rowcount:  # type: ignore[attr-defined]
        raise PairingRefused(_UNKNOWN)
    terms = Terms(kept["fields"], kept["scopes"])
    _store(transaction, side, keys, terms=terms, address=side["address"])


# The side that was invited.


def make_offer(
    transaction: Transaction, code: Code, *, to: str, address: str, algorithm: Algorithm, lifetime: int
) -> Offered:
    """An offer to be linked with the service at `to`; the same again while it has not been answered."""
    name = f"offer:{code.pairing}"
    found = _kept(transaction, name)
    if found is not None and found[1]["for"] == [to, address, algorithm]:
        keys = {use: load_key(held[0], held[1], unread(held[2])) for use, held in found[1]["keys"].items()}
        return Offered(found[1]["text"], keys)
    keys = {use: generate_key(algorithm) for use in USES}
    text = _told(keys, pairing=code.pairing, address=address, to=to)
    held = {use: [key.id, key.algorithm, text_of(dump_key(key))] for use, key in keys.items()}
    kept = {"for": [to, address, algorithm], "text": text, "keys": held, "address": address}
    _keep(transaction, name, kept, lifetime=lifetime)
    return Offered(text, keys)


def meet_challenge(pairing: str, challenge: str) -> str:
    """Confirm that an offer is ours and that this is where we live. Raises NotFound when there is no such offer."""
    state, _ = mine()
    found = commit(state, partial(_kept, name=f"offer:{pairing}", trying=True))
    if found is None:
        raise NotFound("There is no such offer here.")
    held = found[1]["keys"]["link"]
    key = load_key(held[0], held[1], unread(held[2]))
    return text_of(key.sign(_challenge_text(pairing, found[1]["address"], challenge), "sha512"))


def _challenge_text(pairing: str, address: str, challenge: str) -> bytes:
    # Neither the beginning of a JWT nor that of a signature base: it serves for nothing else.
    return f"linked-auth pairing address\n{pairing}\n{address}\n{challenge}".encode()


def take_answer(
    transaction: Transaction, code: Code, offered: Offered, *, said: Mapping[str, str], terms: Terms, to: str
) -> str:
    """Store the link with the service that has answered our offer; its name. Raises PairingRefused."""
    mac = answer_mac(code.verifying(), offered.text.encode(), said["answer"].encode())
    if not hmac.compare_digest(text_of(mac), said["mac"]):
        raise PairingRefused("The answer is not by the service that has made the code.")
    side = _side(said["answer"])
    if side["pairing"] != code.pairing:
        raise PairingRefused("The answer is not by the service that has made the code.")
    present = _present(transaction, side["name"])
    if present is not None and present.address != to and not terms.replace:
        # Else the service that invited us could pass for any other that we know.
        said = {"name": present.slug, "address": present.address}
        raise PairingRefused("There is an app %(name)s already, at %(address)s.", values=said)
    _store(transaction, side, offered.keys, terms=terms, address=to)
    row = transaction.rows.PairingCode
    transaction.session.execute(delete(row).where(row.id == hashed(f"offer:{code.pairing}")))
    return str(side["name"])


# Both.


def _told(keys: Mapping[str, LinkKey], **more: str) -> str:
    """What we say of ourselves, as a text that is signed as it is."""
    _, links = mine()
    told = {"name": links.name, "prefix": links.settings.link_prefix, **more}
    return json.dumps(told | {use: announced(key) for use, key in keys.items()})


def _side(text: str, *, to: bool = False) -> dict[str, Any]:
    """What the other side says of itself, with keys in place of their texts. Raises PairingRefused."""
    unreadable = PairingRefused("What the other service says of itself cannot be read.")
    try:
        side = _loaded(Side(), read_object(text.encode()))
        keys = {} if side is None else {use: key_of(side[use]) for use in USES}
    except (ValueError, RecursionError):
        raise unreadable from None
    if side is None or ("to" in side) != to:
        raise unreadable
    return side | keys


def _loaded(schema: Schema, value: Any) -> dict[str, Any] | None:
    try:
        loaded: dict[str, Any] = schema.load(value)
    except ValidationError:
        return None
    return loaded


def _present(transaction: Transaction, name: str) -> Any | None:
    row = transaction.rows.LinkedApp
    return transaction.session.scalar(select(row).where(row.slug == name))


def _store(
    transaction: Transaction,
    side: Mapping[str, Any],
    keys: Mapping[str, LinkKey],
    *,
    terms: Terms,
    address: str,
) -> None:
    """The other side as a linked app, on our terms: our keys for calls to it, its keys for calls from it."""
    fields = {**terms.fields, "address": address, "users_path": f"{side['prefix']}/user/"}
    app = _present(transaction, side["name"])
    if app is None:
        app = register_app(transaction, side["name"], **fields)
    else:
        change_app(transaction, app, **fields, active=True)
    if terms.scopes:
        set_app_scopes(transaction, app, **{"required": [], "optional": [], **terms.scopes})
    for use in USES:
        for direction, key in (("in", side[use]), ("out", keys[use])):
            retire_keys(transaction, app, f"{use}_{direction}", after=0)
            put_key(transaction, app, f"{use}_{direction}", key)
    transaction.tell("app.paired", app_id=app.id, slug=app.slug, address=address)

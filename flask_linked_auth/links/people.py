"""Who is who on both sides of a link: people of a linked app, and the people of ours that they are.

A pair that says "my user 3 has the address of your administrator" must not become that administrator. So somebody is
joined to an account that is here only for an app whose row says `joins_by_email`, only when both sides have seen that
mail to the address reaches them, and never to an account with privileges or to one that is linked to this app already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, inspect, select, update
from sqlalchemy.exc import IntegrityError

from ..catalogs import _
from ..errors import InternalError, InvalidFields, Taken, UnknownUser
from ..hooks import call_hook
from ..link_errors import AppNotFound
from ..transactions import commit, commit_apart
from .known import person_subject
from .names import is_subject
from .profiles import Profile, ask_health, ask_page, ask_profile
from .state import mine

if TYPE_CHECKING:
    from ..apps.registry import AppRecord
    from ..identity import Identity
    from ..state import State
    from ..transactions import Transaction
    from .link import Link

__all__ = [
    "Progress",
    "check_people",
    "join_profiles",
    "link_person",
    "person_of",
    "sync_people",
    "unlink_person",
]

log = logging.getLogger("flask_linked_auth")

BATCH = 200  # people of a sync or a check that are committed at once
_TRIES = 3


def person_of(identity: Identity) -> Any | None:
    """The row of the person for whom a linked app calls; None if nobody here is that. What `g.get_user()` is then.

    Who is not in the table is asked for at the other side, once. Raises Unavailable when the database is.
    """
    state, links = mine()
    database = state.database_in_use()
    if identity.user_id is not None:
        return database.load_user(identity.user_id)
    subject = identity.claims["sub"]
    app = None if identity.app_id is None else links.apps.registry.find(identity.app_id)
    if not subject or app is None:
        return None
    try:
        user_id = links.people.find(app.id, subject)  # linked meanwhile
        if user_id is None:
            profile = ask_profile(links.link_to(app.id), subject)
            user_id = None if profile is None else _adopt(state, app, profile)
    except (AppNotFound, UnknownUser):
        return None
    return None if user_id is None else database.load_user(user_id)


def _adopt(state: State, app: AppRecord, profile: Profile) -> Any | None:
    """The key of the person whom a profile stands for, linked from now on; None for nobody."""
    for _left in range(_TRIES):
        try:
            return commit_apart(state, lambda transaction: _adopted(transaction, app, profile))
        except IntegrityError:
            continue  # somebody else has written the same meanwhile, and is found now
    log.warning(
        "A person of the linked app %s cannot be linked: the account is, or the address is taken", app.slug
    )
    return None


def _adopted(transaction: Transaction, app: AppRecord, profile: Profile) -> Any | None:
    linked = _linked(transaction, app.id, [profile.external_id])
    if linked:
        return linked[profile.external_id]
    user_id = None
    if app.joins_by_email and profile.email_verified:
        user_id = _joinable(transaction, app.id, [profile]).get(profile.external_id)
    if user_id is None:
        user_id = _made(transaction, app, profile)
    if user_id is None:
        # Whoever was free a moment ago may have been linked to this very one by a call at the same time.
        return _linked(transaction, app.id, [profile.external_id]).get(profile.external_id)
    _add(transaction, app.id, user_id, profile.external_id, status="healthy")
    return user_id


def _linked(transaction: Transaction, app_id: str, external_ids: Sequence[str]) -> dict[str, Any]:
    row = transaction.rows.LinkedPerson
    query = select(row.external_id, row.user_id).where(
        row.app_id == app_id, row.external_id.in_(external_ids)
    )
    return {each.external_id: each.user_id for each in transaction.session.execute(query)}


def _joinable(transaction: Transaction, app_id: str, profiles: Sequence[Profile]) -> dict[str, Any]:
    """Whom of ours these are by their addresses, as far as they may be joined: keys by external id."""
    rows, session = transaction.rows, transaction.session
    user, row = rows.User, rows.LinkedPerson
    if not hasattr(user, "email_verified"):
        return {}
    wanted = {profile.email.lower(): profile for profile in profiles if profile.email.isascii()}
    forms = {*wanted, *(profile.email for profile in wanted.values())}
    query = select(user).where(user.email.in_(forms), user.email_verified.is_(True))
    found: dict[str, Any] = {}
    for each in session.scalars(query):
        # Compared here too: a database may take look-alikes for the same address.
        profile = wanted.get(each.email.lower())
        if profile is not None and getattr(each, "active", True) and not _is_privileged(transaction, each):
            found[profile.external_id] = transaction.key_of(each)
    taken = select(row.user_id).where(row.app_id == app_id, row.user_id.in_(list(found.values())))
    others = set(session.scalars(taken)) if found else set()
    return {external_id: key for external_id, key in found.items() if key not in others}


def _is_privileged(transaction: Transaction, user: Any) -> bool:
    """Whether the account may do more than others: an administrator, or one whom the host gives `admin:` scopes."""
    if getattr(user, "is_admin", False):
        return True
    hook = transaction.state.hooks.get("user_scopes")
    return hook is not None and any(str(each).split(":")[0] == "admin" for each in call_hook(hook, user))


def _made(transaction: Transaction, app: AppRecord, profile: Profile) -> Any | None:
    """The key of the person whom the host's hook makes or names; without one nobody is."""
    hook = transaction.state.hooks.get("new_person")
    if hook is None:
        return None
    user = call_hook(hook, app.facts, profile)
    if user is None:
        return None
    if not isinstance(user, transaction.rows.User) or (
        inspect(user).session is not None and not inspect(user).has_identity
    ):
        log.error("The new_person hook must return a row of the user model, not added to a session, or None")
        raise InternalError
    if inspect(user).has_identity:
        return None if _is_privileged(transaction, user) else transaction.key_of(user)
    transaction.session.add(user)
    transaction.session.flush()
    transaction.tell("user.registered", user_id=transaction.key_of(user))
    return transaction.key_of(user)


def link_person(transaction: Transaction, app: Any, user_id: Any, external_id: str) -> None:
    """Let our person be this one of the app's, as an operator or the host knows.

    `app` is a row or anything else with its `id`. Raises InvalidFields for what can be no id, and Taken when one of
    the two is linked to somebody else.
    """
    if not external_id or not is_subject(external_id):
        raise InvalidFields(errors={"external_id": [_("Visible ASCII, a number in its usual form.")]})
    row = transaction.rows.LinkedPerson
    either = (row.external_id == external_id) | (row.user_id == user_id)
    query = select(row.external_id, row.user_id).where(row.app_id == app.id, either)
    present = [(each.external_id, each.user_id) for each in transaction.session.execute(query)]
    if (external_id, user_id) in present and len(present) == 1:
        return
    if present:
        raise Taken(
            errors={"external_id": [_("One of the two is linked to somebody else: unlink that first.")]}
        )
    _add(transaction, app.id, user_id, external_id, status="unchecked")


def unlink_person(transaction: Transaction, app: Any, external_id: str) -> bool:
    """Let nobody be this one of the app's any more; whether somebody was."""
    row = transaction.rows.LinkedPerson
    mine_ = (row.app_id == app.id) & (row.external_id == external_id)
    user_id = transaction.session.scalar(select(row.user_id).where(mine_))
    if user_id is None:
        return False
    transaction.session.execute(delete(row).where(mine_).execution_options(synchronize_session=False))
    _announce(transaction, app.id, external_id)
    transaction.tell("person.unlinked", user_id=user_id, app_id=app.id, external_id=external_id)
    return True


def _add(transaction: Transaction, app_id: str, user_id: Any, external_id: str, *, status: str) -> None:
    row = transaction.rows.LinkedPerson(
        app_id=app_id,
        user_id=user_id,
        external_id=external_id,
        status=status,
        checked_at=None if status == "unchecked" else transaction.now,
        created_at=transaction.now,
    )
    transaction.session.add(row)
    transaction.session.flush()
    _announce(transaction, app_id, external_id)
    transaction.tell("person.linked", user_id=user_id, app_id=app_id, external_id=external_id)


def _announce(transaction: Transaction, app_id: str, external_id: str) -> None:
    transaction.changed("person", person_subject(app_id, external_id))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync or a check has come: `offset` is where the next one could go on, `total` None if unknown."""

    offset: int
    size: int  # people in the batch that was done last
    done: int  # of them, those linked now, or those found healthy
    total: int | None


def sync_people(
    app: AppRecord, link: Link, *, start: int = 0, trust_addresses: bool = False
) -> Iterator[Progress]:
    """Link the other side's people to ours by their addresses, a batch at a time, each committed.

    Who is linked is passed over, so it can be stopped and run again, and two at once do no harm. With
    `trust_addresses` an operator vouches that the other side verifies addresses though it does not say so. Raises
    RuntimeError when the other side does not answer; what was done until then stays.
    """
    state, _ = mine()
    offset, before = start, None
    while True:
        page = ask_page(link, limit=BATCH, offset=offset)
        if page is None:
            raise RuntimeError(
                f"{link.slug} did not answer with a list of people. Go on with --start {offset}."
            )
        ids = [profile.external_id for profile in page.profiles]
        if not page.size or ids == before:  # the latter from a list that knows no offset
            return
        trusted = [each for each in page.profiles if trust_addresses or each.email_verified]
        done = _patiently(state, partial(join_profiles, app=app, profiles=trusted))
        offset, before = offset + page.size, ids
        yield Progress(offset, page.size, done, page.total)


def _patiently(state: State, deed: Callable[[Transaction], int]) -> int:
    """Commit a batch, again if somebody else has written the same meanwhile."""
    for _left in range(_TRIES):
        try:
            return commit(state, deed)
        except IntegrityError:
            continue
    raise RuntimeError("Somebody else keeps linking the same people. Try again.")


def join_profiles(
    transaction: Transaction, app: AppRecord, profiles: Sequence[Profile], *, only: Any | None = None
) -> int:
    """Link these people of an app to whoever of ours has their addresses, or to nobody but `only`; how many."""
    linked = _linked(transaction, app.id, [profile.external_id for profile in profiles])
    new = [profile for profile in profiles if profile.external_id not in linked]
    found = _joinable(transaction, app.id, new)
    if only is not None:
        found = {external_id: user_id for external_id, user_id in found.items() if user_id == only}
    for external_id, user_id in found.items():
        _add(transaction, app.id, user_id, external_id, status="healthy")
    return len(found)


def check_people(app: AppRecord, link: Link, *, start: int = 0) -> Iterator[Progress]:
    """Ask the other side whether it still has those of its people who are linked, a batch at a time.

    Only a clear no makes somebody `not-found`, and nobody is unlinked; while it cannot be found out nothing changes.
    """
    state, _ = mine()
    database, last = state.database_in_use(), start
    row = database.rows.LinkedPerson
    while True:
        query = select(row.id, row.external_id).where(row.app_id == app.id, row.id > last)
        batch = database.read(query.order_by(row.id).limit(BATCH))
        if not batch:
            return
        known = {each.id: ask_health(link, each.external_id) for each in batch}
        commit(state, partial(_note_health, known=known))
        last = batch[-1].id
        yield Progress(last, len(batch), sum(each is True for each in known.values()), None)


def _note_health(transaction: Transaction, *, known: dict[int, bool | None]) -> None:
    row = transaction.rows.LinkedPerson
    for status, healthy in (("healthy", True), ("not-found", False)):
        ids = [key for key, said in known.items() if said is healthy]
        query = update(row).where(row.id.in_(ids)).values(status=status, checked_at=transaction.now)
        transaction.session.execute(query.execution_options(synchronize_session=False))

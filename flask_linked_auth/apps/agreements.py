"""What a person agreed to for a linked app: given, changed, withdrawn; each in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from ..catalogs import _
from ..errors import Conflict, UnknownUser
from .changes import hold
from .grants import agreement_subject

if TYPE_CHECKING:
    from sqlalchemy import Select

    from ..tokens.models import Rows
    from ..transactions import Transaction

__all__ = [
    "Asked",
    "AsksForMore",
    "Standing",
    "agree",
    "agreements_of",
    "beside_their_apps",
    "in_order",
    "scopes_asked",
    "standing_of",
    "standings",
    "withdraw",
    "withdraw_scope",
    "words_of_scopes",
]


@dataclass(frozen=True, slots=True)
class Standing:
    """An agreement beside its app, by now. `agreed_at` is in Unix seconds."""

    app: Any
    agreed_at: int
    scopes: frozenset[str]
    up_to_date: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A scope that an app asks for. `added_at` is in Unix seconds."""

    slug: str
    name: str
    description: str
    required: bool
    added_at: int


def scopes_asked(transaction: Transaction, app: Any) -> list[Asked]:
    """The scopes that an app asks for, the required ones first."""
    of_app, scope = transaction.rows.AppScope, transaction.rows.Scope
    columns = (scope.slug, scope.name, scope.description, of_app.required, of_app.added_at)
    query = select(*columns).join(scope, scope.slug == of_app.scope).where(of_app.app_id == app.id)
    found = transaction.session.execute(query.order_by(of_app.required.desc(), scope.slug)).all()
    return [Asked(*row) for row in found]


class AsksForMore(Conflict):
    """The app requires a scope by now that the person was not shown."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "Meanwhile the app needs more than this page showed you, so nothing was saved. Please look again."
            )
        )


def agree(
    transaction: Transaction,
    app: Any,
    user_id: Any,
    *,
    accepted: Collection[str],
    shown: Collection[str] | None = None,
) -> Any:
    """Agree to the app as it is now: its required scopes, and those of its optional ones that are `accepted`.

    What the app does not ask for is never stored, whatever was sent. `shown` are the required scopes of which the
    person was told. Raises AsksForMore if there is another one by now, UnknownUser, and NotFound for a removed app.
    """
    hold(transaction, app)
    _check_person(transaction, user_id)
    asked = scopes_asked(transaction, app)
    if shown is not None and any(each.required and each.slug not in shown for each in asked):
        raise AsksForMore
    scopes = [each.slug for each in asked if each.required or each.slug in accepted]
    row = _find(transaction, app, user_id)
    if row is None:
        row = transaction.rows.Agreement(app_id=app.id, user_id=user_id)
        transaction.session.add(row)
    row.version, row.scopes, row.agreed_at = app.agreement_version, " ".join(scopes), transaction.now
    transaction.session.flush()
    _announce(transaction, app, user_id)
    transaction.tell("agreement.accepted", user_id=user_id, app_id=app.id, scopes=scopes)
    return row


def _check_person(transaction: Transaction, user_id: Any) -> None:
    """Raise UnknownUser for somebody who was deleted meanwhile, whose key may be given to a newcomer."""
    user = transaction.rows.User
    key = user.__mapper__.primary_key[0]
    there = select(key).where(key == user_id).with_for_update(read=True, key_share=True)
    if transaction.session.scalar(there) is None:
        raise UnknownUser("This person has no account any more.")


def withdraw(transaction: Transaction, app: Any, user_id: Any) -> bool:
    """Take the whole agreement back; whether there was one. Raises NotFound for a removed app."""
    hold(transaction, app)
    row = _find(transaction, app, user_id)
    if row is None:
        return False
    agreement, scopes = transaction.rows.Agreement, row.scopes.split()
    transaction.session.execute(delete(agreement).where(agreement.id == row.id))
    _announce(transaction, app, user_id)
    transaction.tell("agreement.withdrawn", user_id=user_id, app_id=app.id, scopes=scopes)
    return True


def withdraw_scope(transaction: Transaction, app: Any, user_id: Any, scope: str) -> bool:
    """Take one optional scope back; whether it was accepted.

    Raises Conflict for one that the app requires, which goes with the whole agreement only, and NotFound for a removed
    app.
    """
    hold(transaction, app)
    row = _find(transaction, app, user_id)
    if row is None or scope not in row.scopes.split():
        return False
    if any(each.required and each.slug == scope for each in scopes_asked(transaction, app)):
        raise Conflict("The app needs this scope. Withdraw the whole agreement instead.")
    row.scopes = " ".join(each for each in row.scopes.split() if each != scope)
    transaction.session.flush()
    _announce(transaction, app, user_id)
    transaction.tell("agreement.withdrawn", user_id=user_id, app_id=app.id, scopes=[scope])
    return True


def standing_of(transaction: Transaction, app: Any, user_id: Any) -> Standing | None:
    """What this person agreed to for this app, None if nothing."""
    row = _find(transaction, app, user_id)
    return None if row is None else _standing(app, row)


def agreements_of(rows: Rows, user_id: Any) -> Select[Any]:
    """The agreements of a person."""
    app = rows.LinkedApp
    query = select(rows.Agreement).join(app, app.id == rows.Agreement.app_id)
    return query.where(rows.Agreement.user_id == user_id)


def in_order(rows: Rows) -> tuple[Any, ...]:
    """By the name of the app."""
    return rows.LinkedApp.name, rows.LinkedApp.slug


def beside_their_apps(transaction: Transaction, agreements: Sequence[Any]) -> list[Standing]:
    """Rows of agreements, each with its app."""
    app = transaction.rows.LinkedApp
    found = transaction.session.scalars(select(app).where(app.id.in_({each.app_id for each in agreements})))
    apps = {each.id: each for each in found}
    return [_standing(apps[each.app_id], each) for each in agreements if each.app_id in apps]


def standings(transaction: Transaction, user_id: Any) -> list[Standing]:
    """Every agreement of a person, by the name of the app."""
    query = agreements_of(transaction.rows, user_id).order_by(*in_order(transaction.rows))
    return beside_their_apps(transaction, transaction.session.scalars(query).all())


def words_of_scopes(transaction: Transaction, slugs: Collection[str]) -> Mapping[str, tuple[str, str]]:
    """The name and the description of each of these scopes that is defined."""
    row = transaction.rows.Scope
    found = transaction.session.execute(
        select(row.slug, row.name, row.description).where(row.slug.in_(slugs))
    )
    return {slug: (name, description) for slug, name, description in found.all()}


def _standing(app: Any, row: Any) -> Standing:
    current = row.version == app.agreement_version
    return Standing(app, row.agreed_at, frozenset(row.scopes.split()), current)


def _find(transaction: Transaction, app: Any, user_id: Any) -> Any:
    row = transaction.rows.Agreement
    return transaction.session.scalar(select(row).where(row.app_id == app.id, row.user_id == user_id))


def _announce(transaction: Transaction, app: Any, user_id: Any) -> None:
    transaction.changed("agreement", agreement_subject(app.id, user_id))

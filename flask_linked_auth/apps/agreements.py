"""What a person agreed to for a linked app: given, changed, withdrawn; each in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from .grants import agreement_subject

if TYPE_CHECKING:
    from ..transactions import Transaction

__all__ = [
    "Asked",
    "Standing",
    "agree",
    "scopes_asked",
    "standing_of",
    "standings",
    "withdraw",
    "withdraw_scope",
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


def agree(transaction: Transaction, app: Any, user_id: Any, *, accepted: Collection[str]) -> Any:
    """Agree to the app as it is now: its required scopes, and those of its optional ones that are `accepted`.

    What the app does not ask for is never stored, whatever was sent.
    """
    asked = scopes_asked(transaction, app)
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


def withdraw(transaction: Transaction, app: Any, user_id: Any) -> bool:
    """Take the whole agreement back; whether there was one."""
    row = _find(transaction, app, user_id)
    if row is None:
        return False
    transaction.session.delete(row)
    _announce(transaction, app, user_id)
    transaction.tell("agreement.withdrawn", user_id=user_id, app_id=app.id, scopes=row.scopes.split())
    return True


def withdraw_scope(transaction: Transaction, app: Any, user_id: Any, scope: str) -> bool:
    """Take one optional scope back; whether it was accepted.

    One that the app requires goes with the whole agreement only: False.
    """
    row = _find(transaction, app, user_id)
    required = {each.slug for each in scopes_asked(transaction, app) if each.required}
    if row is None or scope in required or scope not in row.scopes.split():
        return False
    row.scopes = " ".join(each for each in row.scopes.split() if each != scope)
    _announce(transaction, app, user_id)
    transaction.tell("agreement.withdrawn", user_id=user_id, app_id=app.id, scopes=[scope])
    return True


def standing_of(transaction: Transaction, app: Any, user_id: Any) -> Standing | None:
    """What this person agreed to for this app, None if nothing."""
    row = _find(transaction, app, user_id)
    return None if row is None else _standing(app, row)


def standings(transaction: Transaction, user_id: Any) -> list[Standing]:
    """Every agreement of a person, by the name of the app."""
    row, app = transaction.rows.Agreement, transaction.rows.LinkedApp
    query = select(row, app).join(app, app.id == row.app_id).where(row.user_id == user_id)
    return [_standing(a, r) for r, a in transaction.session.execute(query.order_by(app.name, app.slug)).all()]


def _standing(app: Any, row: Any) -> Standing:
    current = row.version == app.agreement_version
    return Standing(app, row.agreed_at, frozenset(row.scopes.split()), current)


def _find(transaction: Transaction, app: Any, user_id: Any) -> Any:
    row = transaction.rows.Agreement
    query = select(row).where(row.app_id == app.id, row.user_id == user_id)
    return transaction.session.scalar(query.with_for_update())


def _announce(transaction: Transaction, app: Any, user_id: Any) -> None:
    transaction.changed("agreement", agreement_subject(app.id, user_id))

"""What operators do with linked apps and scopes: register, change, remove; each in the caller's transaction."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import delete, func, literal, select, update

from ..catalogs import Text, _
from ..errors import InvalidFields, NotFound, Taken

if TYPE_CHECKING:
    from ..transactions import Transaction

__all__ = [
    "DIALECTS",
    "change_app",
    "checked_scope",
    "define_scopes",
    "find_app",
    "hold",
    "register_app",
    "remove_app",
    "set_app_scopes",
]

DIALECTS = ("link", "signature", "legacy-signature")

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
_SCOPE = re.compile(r"[a-z_]+(:[a-z_]+)?")
_URLS = ("address", "webhook_url", "redirect_url")
_TEXTS = {"name": 100, "description": 2000, "users_path": 500}
_FLAGS = ("needs_agreement", "joins_by_email", "active")
_FIELDS = frozenset({*_URLS, *_TEXTS, *_FLAGS, "accepts", "ceiling", "dialect"})


def find_app(transaction: Transaction, name: str) -> Any:
    """The row of the app with this slug or client id. Raises NotFound."""
    row = transaction.rows.LinkedApp
    found = None
    if "\x00" not in name:  # which PostgreSQL cannot even be asked for
        found = transaction.session.scalar(select(row).where((row.slug == name) | (row.id == name)))
    if found is None:
        raise NotFound("There is no linked app %(name)s.", values={"name": name})
    return found


def hold(transaction: Transaction, app: Any) -> None:
    """Let nobody else change the app's scopes, agree to them or withdraw before this transaction ends.

    Otherwise somebody could agree, in the version before, to what the app asks for after. Raises NotFound if it is
    removed by now.
    """
    session, row = transaction.session, transaction.rows.LinkedApp
    # An UPDATE that changes nothing: SQLite has no FOR UPDATE, and what it only reads begins no transaction.
    held = update(row).where(row.id == app.id).values(agreement_version=row.agreement_version)
    held = held.execution_options(synchronize_session=False)
    if not session.execute(held).rowcount:  # type: ignore[attr-defined]
        raise NotFound("There is no linked app %(name)s.", values={"name": app.slug})
    session.refresh(app)


def register_app(transaction: Transaction, slug: str, **fields: Any) -> Any:
    """A new linked app, with a client id of its own. Raises InvalidFields, and Taken for a slug in use.

    `fields` are those of `change_app`.
    """
    if not _SLUG.fullmatch(slug):
        raise InvalidFields(errors={"slug": [_("1 to 50 of the characters a-z, 0-9, - and _.")]})
    model, session = transaction.rows.LinkedApp, transaction.session
    if slug == transaction.state.settings.name:
        raise InvalidFields(errors={"slug": [_("This is this service's own name.")]})
    if session.scalar(select(model.id).where(model.slug == slug)) is not None:
        raise Taken(errors={"slug": [_("There is a linked app of this name already.")]})
    app = model(
        # Not of the form of a slug, so that neither can be taken for the other.
        id=f"App_{secrets.token_urlsafe(18)}",
        slug=slug,
        name=fields.get("name") or slug,
        agreement_version=1,
        active=True,
        created_at=transaction.now,
        modified_at=transaction.now,
    )
    _fill(app, fields)
    session.add(app)
    session.flush()
    _announce(transaction, app)
    transaction.tell("app.registered", app_id=app.id, slug=slug)
    return app


def change_app(transaction: Transaction, app: Any, **fields: Any) -> None:
    """Change an app. Raises InvalidFields.

    `address`, `webhook_url` and `redirect_url` are http or https addresses or None; `users_path`; `dialect` in which
    we call it and `accepts`, those in which it may call us; `ceiling`, the scopes that it can have at most, None for
    all there are; `needs_agreement`, `joins_by_email`, `active`; `name`, `description`.
    """
    _fill(app, fields)
    app.modified_at = transaction.now
    _announce(transaction, app)
    transaction.tell("app.changed", app_id=app.id, slug=app.slug, fields=sorted(fields))


def _fill(app: Any, fields: Mapping[str, Any]) -> None:
    wrong = {name: [_("There is no such field.")] for name in fields.keys() - _FIELDS}
    for name, value in fields.items():
        if name in _FIELDS and (complaint := _complaint(name, value)):
            wrong[name] = [complaint]
    if wrong:
        raise InvalidFields(errors=wrong)
    for name, value in fields.items():
        if name in _URLS:
            value = value and value.rstrip("/") if name == "address" else value or None  # noqa: PLW2901
        if name in {"accepts", "ceiling"} and value is not None:
            value = " ".join(dict.fromkeys(value))  # noqa: PLW2901
        setattr(app, name, value)


def _complaint(name: str, value: Any) -> Text | None:
    """What is wrong with a field, None if nothing."""
    if name in _URLS and value:
        return _complaint_of_address(value, plain=name == "address")
    if name in _TEXTS and not (isinstance(value, str) and value.isprintable() and len(value) <= _TEXTS[name]):
        return Text(_("A text of at most %(most)s characters."), {"most": _TEXTS[name]})
    if name == "users_path" and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*/?", value):
        return _("A path such as /v1/auth/app/user/.")
    if name in _FLAGS and not isinstance(value, bool):
        return _("True or False.")
    if name == "dialect" and value not in DIALECTS:
        return Text(_("One of %(choices)s."), {"choices": ", ".join(DIALECTS)})
    if name == "accepts" and not (_is_texts(value) and set(value) <= set(DIALECTS)):
        return Text(_("Any of %(choices)s."), {"choices": ", ".join(DIALECTS)})
    if name == "ceiling" and value is not None and not _is_texts(value):
        return _("A list of scopes.")
    return None


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(each, str) for each in value)


def _complaint_of_address(value: Any, *, plain: bool) -> Text | None:
    words = (
        _("An http or https address without query or fragment.")
        if plain
        else _("An http or https address without fragment.")
    )
    if (
        not isinstance(value, str)
        or len(value) > 2000
        or not value.isascii()
        or not value.isprintable()
        or " " in value
    ):
        return words
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        return words
    good = (
        parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc and "\\" not in value
    )
    return None if good and not parts.fragment and not (plain and parts.query) else words


def remove_app(transaction: Transaction, app: Any) -> None:
    """Remove an app with its keys, agreements and people. From the commit on it is refused everywhere."""
    session, rows = transaction.session, transaction.rows
    # Not left to foreign keys, which SQLite does not enforce by default.
    for name in ("AppKey", "AppScope", "Agreement", "LinkedPerson"):
        if name in rows:
            session.execute(delete(getattr(rows, name)).where(getattr(rows, name).app_id == app.id))
    _announce(transaction, app)
    transaction.tell("app.removed", app_id=app.id, slug=app.slug)
    session.delete(app)


def _announce(transaction: Transaction, app: Any) -> None:
    transaction.changed("app", app.slug)
    transaction.changed("app", app.id)


def checked_scope(slug: str) -> str:
    """`slug` if it can name a scope: `action:data` or `data` in a-z and _, of at most 15. Raises InvalidFields."""
    if not _SCOPE.fullmatch(slug) or "__" in slug or len(slug) > 15:
        words = _("%(slug)s is none: action:data or data, in a-z and single _, of at most 15 characters.")
        raise _wrong_scopes(words, slug=slug)
    return slug


def _wrong_scopes(words: str, **values: Any) -> InvalidFields:
    return InvalidFields(errors={"scopes": [Text(words, values)]})


def define_scopes(transaction: Transaction, scopes: Sequence[Mapping[str, Any]]) -> int:
    """Define scopes, or change what is said of them; how many.

    Each has `slug`, `description`, and may have `name` (the slug by default) and `apps_only`. Raises InvalidFields.
    """
    session, model = transaction.session, transaction.rows.Scope
    for given in scopes:
        slug = checked_scope(str(given.get("slug", "")))
        name, description = given.get("name") or slug, given.get("description")
        if not isinstance(name, str) or len(name) > 25:
            raise _wrong_scopes(_("%(slug)s: a name of at most 25 characters."), slug=slug)
        if not isinstance(description, str) or not 0 < len(description) <= 255:
            raise _wrong_scopes(_("%(slug)s: a description of 1 to 255 characters."), slug=slug)
        taken = session.scalar(select(model.slug).where(model.name == name, model.slug != slug))
        if taken is not None:
            raise _wrong_scopes(_("%(slug)s: %(other)s has this name."), slug=slug, other=taken)
        apps_only = bool(given.get("apps_only", slug in transaction.state.settings.apps_only_scopes))
        session.merge(model(slug=slug, name=name, description=description, apps_only=apps_only))
        session.flush()
    transaction.changed("scopes", "all")
    return len(scopes)


def set_app_scopes(
    transaction: Transaction, app: Any, *, required: Collection[str], optional: Collection[str]
) -> bool:
    """Give an app these scopes and no others; whether that changed anything.

    A change raises the agreement version if somebody has agreed to the present one. A scope that is taken away goes
    from the agreements too: if the app is given it again, people are asked again. Raises InvalidFields for scopes that
    are not defined, and for one that is both, and NotFound for a removed app.
    """
    hold(transaction, app)
    session, rows = transaction.session, transaction.rows
    wanted = dict.fromkeys(optional, False) | dict.fromkeys(required, True)
    defined = set(session.scalars(select(rows.Scope.slug)))
    if unknown := sorted(wanted.keys() - defined):
        raise _wrong_scopes(_("Not defined: %(scopes)s."), scopes=", ".join(unknown))
    if both := sorted(set(required) & set(optional)):
        raise _wrong_scopes(_("Either required or optional: %(scopes)s."), scopes=", ".join(both))
    present = {each.scope: each for each in session.scalars(_scopes_of(rows, app))}
    if {slug: each.required for slug, each in present.items()} == wanted:
        return False
    gone = present.keys() - wanted.keys()
    for slug in gone:
        session.delete(present[slug])
    _drop_from_agreements(transaction, app, gone)
    for slug, is_required in wanted.items():
        if slug not in present:
            session.add(
                rows.AppScope(app_id=app.id, scope=slug, required=is_required, added_at=transaction.now)
            )
        elif present[slug].required != is_required:
            present[slug].required = is_required
    _raise_version(transaction, app)
    _announce(transaction, app)
    transaction.tell("app.scopes-changed", app_id=app.id, slug=app.slug, version=app.agreement_version)
    return True


def _scopes_of(rows: Any, app: Any) -> Any:
    return select(rows.AppScope).where(rows.AppScope.app_id == app.id)


def _drop_from_agreements(transaction: Transaction, app: Any, scopes: Collection[str]) -> None:
    row = transaction.rows.Agreement
    left: Any = literal(" ") + row.scopes + " "
    for slug in scopes:
        left = func.replace(left, f" {slug} ", " ")
    if scopes:
        changed = update(row).where(row.app_id == app.id).values(scopes=func.trim(left))
        transaction.session.execute(changed.execution_options(synchronize_session=False))


def _raise_version(transaction: Transaction, app: Any) -> None:
    row = transaction.rows.Agreement
    query = select(func.count()).where(row.app_id == app.id, row.version == app.agreement_version)
    if transaction.session.scalar(query):
        app.agreement_version += 1

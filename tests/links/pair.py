"""A linked app as the tests' stories know it: registered in a service of ours, with keys, scopes and people."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask_linked_auth.apps import agreements, changes, keys
from flask_linked_auth.links.keys import LinkKey, dump_key, generate_key
from flask_linked_auth.links.link import Dialect, Link
from flask_linked_auth.transactions import Transaction, commit
from tests.tiny import Person, state_of

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

USES = {"link": "link_in", "signature": "signature_in", "legacy-signature": "legacy_in"}
SCOPES = ("read:posts", "write:posts", "read:user", "webhook")


@dataclass
class Pair:
    """The other service: it can call ours, in every dialect that it has a key for."""

    app: Flask
    slug: str
    keys: dict[Dialect, LinkKey] = field(default_factory=dict)

    def link(self, dialect: Dialect = "link", key: LinkKey | None = None) -> Link:
        """Our service as the pair sees it."""
        me = state_of(self.app).settings.name
        return Link(self.slug, me, "http://localhost", key or self.keys.get(dialect), dialect=dialect)

    def call(self, method: str, path: str, data: Any = None, **more: Any) -> TestResponse:
        """One call of the pair's, signed as it would; with `subject`, `dialect`, `key`, `headers`."""
        body = None if data is None else json.dumps(data).encode()
        kind = None if body is None else "application/json"
        link = self.link(more.pop("dialect", "link"), more.pop("key", None))
        url, subject = f"http://localhost{path}", more.pop("subject", "")
        signed = link.sign(method, url, body=body, subject=subject, content_type=kind)
        headers = {**signed, **more.pop("headers", {})}
        return self.app.test_client().open(
            path, method=method, data=body, content_type=kind, headers=headers, **more
        )

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.call("GET", path, **more)

    def do(self, deed: Any) -> Any:
        """Something with the row of the linked app, in a transaction."""

        def found(transaction: Transaction) -> Any:
            return deed(transaction, changes.find_app(transaction, self.slug))

        with self.app.app_context():
            return commit(state_of(self.app), found)

    def change(self, **fields: Any) -> None:
        self.do(lambda deed, row: changes.change_app(deed, row, **fields))

    def knows(self, person: Person, external_id: str) -> None:
        """Who this person is over there."""

        def join(deed: Transaction, row: Any) -> None:
            known = {"app_id": row.id, "external_id": external_id, "user_id": person.id}
            deed.session.add(deed.rows.LinkedPerson(**known, created_at=deed.now))
            deed.changed("person", f"{row.id}:{external_id}")

        self.do(join)

    def agreed_by(self, person: Person, *optional: str) -> None:
        """The person agrees to the app, as it is now."""
        self.do(lambda deed, row: agreements.agree(deed, row, person.id, accepted=optional))

    def scopes(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        self.do(lambda deed, row: changes.set_app_scopes(deed, row, required=required, optional=optional))


def link(
    app: Flask,
    slug: str = "billing",
    *,
    dialects: Collection[Dialect] = ("link",),
    algorithm: Any = "HS256",
    **fields: Any,
) -> Pair:
    """Register a linked app in `app`, which shares a key with it for each dialect."""
    pair = Pair(app, slug, {each: generate_key(algorithm) for each in dialects})

    def deed(transaction: Transaction) -> None:
        known = [{"slug": each, "description": f"What {each} is for."} for each in SCOPES]
        changes.define_scopes(transaction, known)
        given = {"needs_agreement": False, "accepts": list(dialects), **fields}
        row = changes.register_app(transaction, slug, **given)
        for dialect, key in pair.keys.items():
            add_key(transaction, row, dialect, key)

    with app.app_context():
        commit(state_of(app), deed)
    return pair


def add_key(transaction: Transaction, row: Any, dialect: Dialect, key: LinkKey) -> None:
    """Store the half of `key` that verifies."""
    verifying = key.public() if key.algorithm == "EdDSA" else key
    keys.add_key(transaction, row, USES[dialect], keys.NewKey(key.algorithm, dump_key(verifying), key.id))

"""The Django site and the live Flask app, linked: each has a row and keys for the other, and both can call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask_linked_auth import Service
from flask_linked_auth.apps import agreements, changes, keys
from flask_linked_auth.links.keys import Algorithm, LinkKey, dump_key, generate_key
from flask_linked_auth.links.people import link_person
from flask_linked_auth.transactions import Transaction, commit
from tests.peers import forged
from tests.tiny import Person, register, state_of

if TYPE_CHECKING:
    from tests.peers.academy import Academy
    from tests.peers.flask_pair import Pair

SCOPES = ("read:posts", "write:posts", "read:user", "read:token", "admin:all")
BOTH_WAYS = ["link", "legacy-signature"]


def credential(header: str) -> dict[str, str]:
    """The header that carries it."""
    return {"Authorization": header}


@dataclass
class Both:
    """Both services, whoever has linked them."""

    academy: Academy
    pair: Pair

    def do(self, deed: Callable[[Transaction, Any], Any]) -> Any:
        """Something with our row of the site, in a transaction."""

        def found(transaction: Transaction) -> Any:
            return deed(transaction, changes.find_app(transaction, self.academy.name))

        with self.pair.app.app_context():
            return commit(state_of(self.pair.app), found)

    def change(self, **fields: Any) -> None:
        """Change our row of the site."""
        self.do(lambda deed, row: changes.change_app(deed, row, **fields))

    def scopes(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Give the site these scopes here and no others."""
        self.do(lambda deed, row: changes.set_app_scopes(deed, row, required=required, optional=optional))

    def person(self, who: str = "ana", /, **more: Any) -> Person:
        """Somebody with an account at our side."""
        return register(self.pair.app, self.email(who), **more)

    def email(self, name: str) -> str:
        """An address that nobody else at the site has: all tests share it."""
        return f"{name}-{self.pair.name}@example.com"

    def person_there(self, name: str = "ana", **values: Any) -> int:
        """Somebody with an account at the site."""
        made: int = self.academy.told("user", username=f"{name}-{self.pair.name}", **values)["id"]
        return made

    def knows(self, person: Person, external_id: object) -> None:
        """We know who this person of ours is over there."""
        self.do(lambda deed, row: link_person(deed, row, person.id, str(external_id)))

    def agrees(self, person: Person, *optional: str) -> None:
        """A person of ours agrees to the site, as it is now."""
        self.do(lambda deed, row: agreements.agree(deed, row, person.id, accepted=optional))

    def add_key(self, use: str, key: LinkKey, *, overlap: int | None = None) -> None:
        """A key for one use, beside the former ones; with `overlap` their end is near."""
        new = keys.NewKey(key.algorithm, dump_key(key), key.id)
        if overlap is None:
            self.do(lambda deed, row: keys.add_key(deed, row, use, new))
        else:
            self.do(lambda deed, row: keys.replace_key(deed, row, use, new, overlap=overlap))

    def called(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The site's own client calls us: what came back."""
        answer = self.academy.calls(self.pair.name, method, path, **options)
        assert "error" not in answer, answer
        return answer

    def calls(
        self, method: str, path: str, user: Any = None, *, how: str = "sync", mode: Any = None, **options: Any
    ) -> Any:
        """Our own client calls the site: the answer of Requests, or that of httpx2."""

        async def later() -> Any:
            async with Service(self.academy.name, user, mode=mode) as there:
                return await there.request(method, path, **options)

        with self.pair.app.app_context():
            if how == "async":
                return asyncio.run(later())
            with Service(self.academy.name, user, mode=mode) as there:
                return there.request(method, path, **options)


@dataclass
class Linked(Both):
    """Both of them, with keys that a test holds.

    `ours` signs our calls and `theirs` those of the site; for HMACs they are the same.
    """

    ours: LinkKey
    theirs: LinkKey

    def there(self, **values: Any) -> dict[str, Any]:
        """Change the site's row of us, or make it; a key that is given empty is made anew."""
        algorithm = self.ours.algorithm
        given = {"app_url": self.pair.address, "webhook_url": f"{self.pair.address}/v1/auth/app/webhook"}
        return self.academy.has_app(self.pair.name, algorithm, **{**given, **values})

    def token(self, key: LinkKey | None = None, **claims: Any) -> dict[str, str]:
        """A JWT of the site's, made by hand: claims may be wrong, or `forged.ABSENT`."""
        key = key or self.theirs
        given = {"app": self.academy.name, "said": self.academy.name, "aud": self.pair.name, **claims}
        return credential(forged.token(key.private_hex(), key.algorithm, **given))

    def signature(
        self, key: LinkKey | None = None, *, method: str = "GET", body: str = "None", **covered: str
    ) -> dict[str, str]:
        """An old signature of the site's, made by hand."""
        key = key or self.theirs
        given = {"app": self.academy.name, "method": method, "body": body, **covered}
        return credential(forged.signature(key.private_hex(), key.algorithm, **given))


def link(
    academy: Academy, pair: Pair, algorithm: Algorithm = "HS512", *, there: Mapping[str, Any], **fields: Any
) -> Linked:
    """Let the two know each other. `fields` are those of our row of the site, `there` those of the site's row of us."""
    theirs = generate_key(algorithm)
    # A secret is shared; of two pairs each side holds one, and the public half of the other.
    ours = generate_key(algorithm) if algorithm == "EdDSA" else theirs
    given = {"private_key": theirs.private_hex(), "public_key": None}
    if algorithm == "EdDSA":
        given["public_key"] = ours.public_hex()
    linked = Linked(academy, pair, ours, theirs)
    linked.there(**given, **there)
    with pair.app.app_context():
        commit(state_of(pair.app), lambda deed: _know(deed, linked, fields))
    return linked


def _know(deed: Transaction, linked: Linked, fields: Mapping[str, Any]) -> None:
    changes.define_scopes(deed, [{"slug": each, "description": f"May {each}."} for each in SCOPES])
    given = {"address": linked.academy.address, "needs_agreement": False, "accepts": ["link"], **fields}
    row = changes.register_app(deed, linked.academy.name, **given)
    algorithm = linked.ours.algorithm
    of_them = linked.theirs.public() if algorithm == "EdDSA" else linked.theirs
    uses = {"link_out": linked.ours, "link_in": of_them}
    if algorithm != "EdDSA":
        uses |= {"legacy_out": linked.ours, "legacy_in": of_them}
    for use, key in uses.items():
        keys.add_key(deed, row, use, keys.NewKey(algorithm, dump_key(key), key.id))


#: What a fixture hands out: links the two, with the algorithm and the fields that a test wants.
Linking = Callable[..., Linked]

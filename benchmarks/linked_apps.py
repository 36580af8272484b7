"""What a guard costs for linked apps: `python -m benchmarks.linked_apps` prints the tables of docs/performance.md.

As in `benchmarks/guards.py`, whose measure this is: requests go through the WSGI callable, each case has its turn in
each round next to the open view of the same app, and the difference is given in decodes by PyJWT.
"""

from __future__ import annotations

import argparse
import functools
import gc
import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from itertools import cycle, repeat
from pathlib import Path
from time import perf_counter, time
from typing import Any

from flask import Flask, g

from benchmarks.guards import (
    BATCH,
    Case,
    _empty,
    _refuse_used,
    _start,
    _write,
    auth,
    db,
    decode,
    fill,
    mean_time,
    measure,
    ours,
    show,
    token_for,
    versions,
)
from flask_linked_auth import scope
from flask_linked_auth.links.keys import LinkKey, generate_key
from flask_linked_auth.links.link import Dialect, Link
from flask_linked_auth.testing import linked_app, service_client

HOME = "https://bench.example"
Headers = dict[str, str]


def receiving(database: str, **config: Any) -> Flask:
    """A host with the extension, a thousand people, and two linked apps: one by HMAC, one by Ed25519."""
    app = ours(database, **{"NONCE_STORE": "memory://", **config})
    app.testing = True  # what makes the linked apps here wants it; guards do not look at it

    @app.get("/person")
    @scope(["read:posts"])
    def person() -> str:
        return "ok" if g.get_user() is not None else ""

    fill(app, users=1000)
    for algorithm in ("HS256", "EdDSA"):
        free, bound = f"free-{algorithm.lower()}", f"bound-{algorithm.lower()}"
        linked_app(app, free, algorithm=algorithm, needs_agreement=False)
        linked_app(app, bound, algorithm=algorithm, scopes=["read:posts"])
    return app


class Signer:
    """One linked app that calls, for one person or for itself."""

    def __init__(self, app: Flask, slug: str, *, user: Any = None) -> None:
        scopes = None if user is None else ["read:posts"]
        client: Any = service_client(app, slug, user=user, scopes=scopes)
        self.link: Link = client.link
        self.subject: str = client.subject

    def headers(self, path: str, dialect: Dialect = "link", **more: Any) -> Headers:
        """What it sends, as a WSGI server has it."""
        more = {"subject": self.subject, **more}
        signed = self.link.sign("GET", f"{HOME}{path}", body=None, dialect=dialect, **more)
        return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in signed.items()}

    def many(self, path: str, count: int, dialect: Dialect = "link") -> list[Headers]:
        """So many calls, each signed for itself."""
        return [self.headers(path, dialect) for _ in range(count)]


class Signed(Case):
    """A view of an app, requested each time with the next of `tokens`, which are whole sets of headers here."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.environ |= {"HTTP_HOST": "bench.example", "wsgi.url_scheme": "https", "RAW_URI": self.path}

    def request(self) -> None:
        """One request. Raises RuntimeError unless it is answered with 200."""
        environ = self.environ.copy()
        environ.update(next(self.tokens))  # type: ignore[arg-type] # they are headers here
        answer = self.app.wsgi_app(environ, _start)
        b"".join(answer)
        answer.close()  # type: ignore[attr-defined]


def case(name: str, app: Flask, path: str, headers: Sequence[Headers]) -> Signed:
    """A guarded view over the open view of the same app, to which the same headers are sent.

    A single set of headers is sent again and again, of several each is sent to the guarded view once.
    """
    every: Any = iter(headers) if len(headers) > 1 else repeat(headers[0])
    again: Any = cycle(headers[::-1])
    return Signed(name, app, path, every, over=Signed("", app, "/open", again))


def by_jwt(app: Flask, count: int) -> list[Case]:
    """Linked apps with JWTs: seen before, and at first sight."""
    plain, pair = Signer(app, "free-hs256"), Signer(app, "free-eddsa")
    bound = Signer(app, "bound-hs256", user=7)
    seen, seen_for_person = plain.headers("/scope"), bound.headers("/scope")
    return [
        case("JWT seen before", app, "/scope", [seen]),
        case("JWT seen before, agreement and mapped user", app, "/scope", [seen_for_person]),
        case("JWT at first sight, HS256", app, "/scope", plain.many("/scope", count)),
        case("JWT at first sight, EdDSA", app, "/scope", pair.many("/scope", count)),
        case(
            "JWT at first sight, HS256, agreement and mapped user", app, "/scope", bound.many("/scope", count)
        ),
    ]


def by_signature(app: Flask, count: int, *, nonces: str) -> list[Case]:
    """Signed requests, each with a nonce of its own."""
    return [
        case(
            f"signed request, {algorithm}, nonces in {nonces}",
            app,
            "/scope",
            Signer(app, f"free-{key}").many("/scope", count, "signature"),
        )
        for algorithm, key in (("HMAC", "hs256"), ("Ed25519", "eddsa"))
        if algorithm == "HMAC" or nonces == "memory"
    ]


def people(folder: Path, size: int, count: int) -> list[Case]:
    """A linked app that speaks each time for another of so many people, who are looked up each time."""
    app = receiving(f"sqlite:///{folder / f'people-{size}.db'}", APP_CACHE_SIZE=2)
    speaker = Signer(app, "free-hs256")
    with app.app_context():
        assert auth.rows is not None
        app_id = app.extensions["linked_auth"].parts["apps"].registry.find("free-hs256").id
        columns = {"name": "", "password_hash": "-"}
        _write(auth.User, ({"id": n, "email": f"{n}@bench.example"} | columns for n in range(1001, size + 1)))
        row = {"app_id": app_id, "status": "healthy", "created_at": int(time())}
        _write(
            auth.rows.LinkedPerson,
            (row | {"id": n, "user_id": n, "external_id": f"{n + 5_000_000}"} for n in range(1, size + 1)),
        )
        db.session.commit()
    ids = [f"{n + 5_000_000}" for n in random.choices(range(1, size + 1), k=2 * count)]
    of = f"{size:,} people"
    heads = [speaker.headers("/scope", subject=each) for each in ids]
    return [
        case(f"JWT at first sight, person identified, {of}", app, "/scope", heads[:count]),
        case(f"the same and `g.get_user()`, {of}", app, "/person", heads[count:]),
    ]


# Signing, which is the other side's cost.


def signing(token: str, rounds: int) -> list[tuple[str, float, float]]:
    """What it costs to sign one call: the median and the best over the rounds, in decodes."""
    hmac, pair = generate_key("HS256"), generate_key("EdDSA")

    def link(key: LinkKey, dialect: Dialect) -> Callable[[], object]:
        there = Link("shop", "bench", HOME, key, dialect=dialect, issuer="https://shop.example")
        return lambda: there.sign("GET", f"{HOME}/scope?page=2", body=None, subject="7")

    deeds = {
        "signing a request, HMAC": link(hmac, "signature"),
        "signing a request, Ed25519": link(pair, "signature"),
        "making a JWT, HS256": link(hmac, "link"),
        "making a JWT, EdDSA": link(pair, "link"),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in deeds}
    raw = functools.partial(decode, token)
    gc.disable()
    for _ in range(rounds):
        for name, deed in deeds.items():
            times[name].append((mean_time(deed, BATCH), mean_time(raw, BATCH)))
    gc.enable()
    return [
        (name, statistics.median(s / u for s, u in of), min(s for s, _ in of) / min(u for _, u in of))
        for name, of in times.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and 10^5 instead of 10^6")
    parser.add_argument("--database", help="an empty database for nonces as well, such as one on PostgreSQL")
    parser.add_argument("--redis", help="a Redis for nonces as well, such as redis://127.0.0.1:6379/15")
    options = parser.parse_args(arguments)
    rounds, million = (200, 10**5) if options.quick else (600, 10**6)
    count = (rounds + 13) * (BATCH + 1)
    print(versions(rounds, "pyjwt", "cryptography", "flask", "sqlalchemy"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        app = receiving(f"sqlite:///{folder / 'bench.db'}")
        token = token_for(app, 7)
        title = "added to the open view"
        show(title, measure(by_jwt(app, count), token, rounds))
        # These are good for a minute only, so they are signed just before.
        show(title, measure(by_signature(app, count, nonces="memory"), token, rounds))
        # Waiting for a disk or a server is a cost; and so long that fewer rounds fit into that minute.
        few = rounds // 6
        stored = receiving(f"sqlite:///{folder / 'nonces.db'}", NONCE_STORE="database://")
        show(title, measure(by_signature(stored, count, nonces="SQLite"), token, few, perf_counter))
        if options.redis:
            shared = receiving(f"sqlite:///{folder / 'redis.db'}", NONCE_STORE=options.redis)
            show(title, measure(by_signature(shared, count, nonces="Redis"), token, few, perf_counter))
        if options.database:
            _in_database(options.database, count, token=token, rounds=few)
        crowds = [each for size in (1000, million) for each in people(folder, size, count)]
        show(title, measure(crowds, token, rounds))
        print("\n| signing | decodes | at best |\n|---|---:|---:|")
        for name_, middle, best in signing(token, rounds):
            print(f"| {name_} | {middle:.2f} | {best:.2f} |")


def _in_database(address: str, count: int, *, token: str, rounds: int) -> None:
    _refuse_used(address)
    app = receiving(address, NONCE_STORE="database://")
    try:
        cases = by_signature(app, count, nonces=address.partition(":")[0].partition("+")[0])
        show("added to the open view", measure(cases, token, rounds, perf_counter))
    finally:
        _empty(app)


if __name__ == "__main__":
    main()

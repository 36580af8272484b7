"""What a guard costs: `python benchmarks/guards.py` prints the tables that docs/performance.md explains.

Requests go through the WSGI callable, all cases in turn in each round. The cost of a guard is the time of the
guarded view less that of the open view next to it, given in `jwt.decode` calls timed in the same round.
"""

from __future__ import annotations

import argparse
import functools
import gc
import io
import platform
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain, cycle, islice, repeat
from pathlib import Path
from time import perf_counter, thread_time, time
from typing import Any

import jwt
from flask import Flask, g, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event, insert, inspect
from sqlalchemy.orm import Mapped, mapped_column

from flask_linked_auth import Auth, LinkedAuth, scope
from flask_linked_auth.tokens.access import TYP, make_claims
from flask_linked_auth.tokens.claims import sign

SECRET = "a-secret-for-measuring-only-0123456789"
ISSUER = "https://bench.example"
LIFETIME = 3600
Clock = Callable[[], float]
BATCH = 10  # requests of one case in one round

db = SQLAlchemy()
auth = LinkedAuth(db=db)


class Blocked(db.Model):  # type: ignore[name-defined, misc]
    """A revoked token, as the documentation of Flask-JWT-Extended has it."""

    id: Mapped[int] = mapped_column(primary_key=True)
    jti: Mapped[str] = mapped_column(index=True)


# The hosts: the same open view in each, and guarded ones beside it.


def host(database: str, **config: Any) -> Flask:
    """A Flask app with Flask-SQLAlchemy, the open view, and one that does nothing but decode the token."""
    app = Flask("bench")
    app.config.update(SQLALCHEMY_DATABASE_URI=database, **config)
    db.init_app(app)

    @app.get("/open")
    def open_view() -> str:
        return "ok"

    @app.get("/decode")
    def decoding() -> str:
        decode(request.environ["HTTP_AUTHORIZATION"][7:])
        return "ok"

    return app


def decode(token: str) -> None:
    """The unit of every figure: one decode by PyJWT itself."""
    jwt.decode(token, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=f"{ISSUER}/auth")


def ours(database: str, **config: Any) -> Flask:
    """A host with Flask-Linked-Auth."""
    settings = {"NAME": "bench", "ISSUER": ISSUER, "SECRET": SECRET, "ACCESS_LIFETIME": LIFETIME}
    settings |= {"RECOVERY": False, **config}
    app = host(database, **{f"LINKED_AUTH_{key}": value for key, value in settings.items()})
    auth.init_app(app)

    @app.get("/guarded")
    @Auth.auth_required
    def guarded() -> str:
        return "ok"

    @app.get("/user")
    @Auth.auth_required
    def user() -> str:
        return "ok" if g.user.email else ""

    @app.get("/scope")
    @scope(["read:posts"])
    def scoped() -> str:
        return "ok"

    return app


def extended(database: str, *, user: bool = False, blocklist: bool = False) -> Flask:
    """A host with Flask-JWT-Extended, its callbacks as in its documentation."""
    from flask_jwt_extended import JWTManager, jwt_required

    app = host(database, JWT_SECRET_KEY=SECRET, JWT_ACCESS_TOKEN_EXPIRES=LIFETIME)
    manager = JWTManager(app)
    if user:

        @manager.user_lookup_loader
        def load(header: Any, data: dict[str, Any]) -> Any:
            return db.session.query(auth.User).filter_by(id=int(data["sub"])).one_or_none()

    if blocklist:

        @manager.token_in_blocklist_loader
        def blocked(header: Any, data: dict[str, Any]) -> bool:
            return db.session.query(Blocked.id).filter_by(jti=data["jti"]).scalar() is not None

    app.add_url_rule("/guarded", view_func=jwt_required()(lambda: "ok"), endpoint="guarded")
    return app


def by_hand(database: str) -> Flask:
    """A host with the decorator that tutorials write: decode the token, then look for the user, each time."""
    app = host(database)

    def auth_required(view: Callable[[], str]) -> Callable[[], Any]:
        @functools.wraps(view)
        def wrapper() -> Any:
            if "api-token" not in request.headers:
                return {"error": "no token"}, 401
            try:
                data = jwt.decode(request.headers["api-token"], SECRET, algorithms=["HS256"])
            except jwt.InvalidTokenError:
                return {"error": "bad token"}, 401
            user = db.session.get(auth.User, int(data["sub"]))
            if user is None:
                return {"error": "no such user"}, 401
            g.user = {"id": user.id}
            return view()

        return wrapper

    app.add_url_rule("/guarded", view_func=auth_required(lambda: "ok"), endpoint="guarded")
    return app


def fill(app: Flask, *, users: int, revoked: int = 0) -> None:
    """Make the tables, and write so many users and entries of the revocation feed."""
    with app.app_context():
        db.create_all()
        columns = {"name": "", "password_hash": "-"}
        _write(auth.User, ({"id": n, "email": f"{n}@bench.example"} | columns for n in range(1, users + 1)))
        assert auth.rows is not None
        until = int(time()) + LIFETIME
        _write(
            auth.rows.Revocation,
            (
                {"seq": n, "kind": "login", "subject": f"login-{n}", "expires_at": until}
                for n in range(1, revoked + 1)
            ),
        )
        if revoked:
            db.session.execute(insert(auth.rows.RevocationCounter), {"id": 1, "n": revoked})
        db.session.commit()


def _write(model: Any, rows: Iterator[dict[str, Any]]) -> None:
    while some := list(islice(rows, 20_000)):
        db.session.execute(insert(model.__table__), some)


def token_for(app: Flask, user_id: int) -> str:
    """An access token of a login of this user's."""
    claims = make_claims(
        ISSUER,
        str(user_id),
        lifetime=LIFETIME,
        login_id=f"{random.getrandbits(120):030x}",
        authenticated_at=int(time()),
        generation=0,
    )
    with app.app_context():
        return sign(claims, app.extensions["linked_auth"].ring.signing(), typ=TYP)


# Measuring.


def _start(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
    if not status.startswith("200"):
        raise RuntimeError(status)
    return lambda data: None


@dataclass
class Case:
    """A view of an app, requested each time with the next of `tokens`; `over` is the case that it is held against."""

    name: str
    app: Flask
    path: str
    tokens: Iterator[str]
    over: Case | None = None
    key: str = "HTTP_AUTHORIZATION"
    environ: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        with self.app.test_request_context(self.path) as context:
            self.environ = {k: v for k, v in context.request.environ.items() if "werkzeug" not in k}
        self.environ["wsgi.input"] = io.BytesIO()

    def request(self) -> None:
        """One request. Raises RuntimeError unless it is answered with 200."""
        environ = self.environ.copy()
        environ[self.key] = next(self.tokens)
        answer = self.app.wsgi_app(environ, _start)
        b"".join(answer)
        answer.close()  # type: ignore[attr-defined]

    def queries(self) -> int:
        """How many statements one request sends to the database: the median of nine, as some polls once a second."""
        return int(statistics.median(queries_of(self.request) for _ in range(9)))

    def calls(self) -> tuple[int, int]:
        """How many functions of Python's and of C's one request calls: the median of nine."""
        counts = [calls_of(self.request) for _ in range(9)]
        return tuple(int(statistics.median(kind)) for kind in zip(*counts, strict=True))  # type: ignore[return-value]


def queries_of(deed: Callable[[], None]) -> int:
    count = 0

    def counting(*_: Any) -> None:
        nonlocal count
        count += 1

    event.listen(Engine, "before_cursor_execute", counting)
    try:
        deed()
    finally:
        event.remove(Engine, "before_cursor_execute", counting)
    return count


def calls_of(deed: Callable[[], None]) -> tuple[int, int]:
    counts = {"call": 0, "c_call": 0}

    def counting(frame: Any, kind: str, argument: Any) -> None:
        if kind in counts:
            counts[kind] += 1

    sys.setprofile(counting)
    try:
        deed()
    finally:
        sys.setprofile(None)
    return counts["call"], counts["c_call"]


def mean_time(deed: Callable[[], object], times: int, clock: Clock = thread_time) -> float:
    """Seconds that `deed` takes, the mean of so many in a row after one that is not timed."""
    deed()
    begin = clock()
    for _ in range(times):
        deed()
    return (clock() - begin) / times


@dataclass(frozen=True)
class Cost:
    """The cost added by one case: in decodes (quartiles over the rounds; by the best times), queries and calls."""

    name: str
    quartiles: tuple[float, float, float]
    best: float
    queries: int
    calls: tuple[int, int]


def measure(cases: Sequence[Case], token: str, rounds: int, clock: Clock = thread_time) -> list[Cost]:
    """Time all cases in turn, `rounds` times; the garbage collector rests meanwhile, as under `timeit`."""
    every = {id(case): case for each in cases for case in (each, each.over) if case}
    counted = {key: (case.queries(), case.calls()) for key, case in every.items()}  # warms up as well
    times: dict[str, list[tuple[float, float, float]]] = {case.name: [] for case in cases}
    turns, raw = list(cases), functools.partial(decode, token)
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        random.shuffle(turns)
        for case in turns:
            assert case.over is not None
            # Next to each other, so that a slower moment of the machine falls on all three.
            before, unit, guarded = (
                mean_time(deed, BATCH, clock) for deed in (case.over.request, raw, case.request)
            )
            times[case.name].append((before, unit, guarded))
    gc.enable()
    return [_cost(case, times[case.name], counted) for case in cases]


def _cost(case: Case, times: list[tuple[float, float, float]], counted: dict[int, Any]) -> Cost:
    low, middle, high = statistics.quantiles(
        [(guarded - before) / unit for before, unit, guarded in times], n=4
    )
    before, unit, guarded = (min(each) for each in zip(*times, strict=True))
    queries, (python, c) = counted[id(case)]
    queries_before, (python_before, c_before) = counted[id(case.over)]
    calls = (python - python_before, c - c_before)
    return Cost(case.name, (low, middle, high), (guarded - before) / unit, queries - queries_before, calls)


# What is measured.


def guards(folder: Path, database: str, *, million: int, tokens: int) -> tuple[list[Case], str]:
    """Each guard over the open view of its own host, and the token that the raw decode reads."""
    app = ours(database)
    fill(app, users=1000)
    with app.app_context():
        db.session.execute(insert(Blocked), [{"jti": f"blocked-{n}"} for n in range(1000)])
        db.session.commit()
    token = token_for(app, 7)
    new = (f"Bearer {token_for(app, 7)}" for _ in range(tokens))
    bearer = repeat(f"Bearer {token}")
    plain = Case("", host(database), "/open", bearer)
    open_view = Case("open view of a host with the extension", app, "/open", bearer, plain)
    cases = [
        open_view,
        Case("one decode in a view", app, "/decode", bearer, open_view),
        Case("seen before", app, "/guarded", bearer, open_view),
        Case("first sight", app, "/guarded", iter(list(new)), open_view),
        Case("user touched", app, "/user", bearer, open_view),
        Case("@scope", app, "/scope", bearer, open_view),
    ]
    for revoked in (1000, million):
        other = ours(f"sqlite:///{folder / f'revoked-{revoked}.db'}")
        fill(other, users=10, revoked=revoked)
        over = Case("", other, "/open", bearer)
        cases.append(Case(f"seen before, {revoked:,} logins revoked", other, "/guarded", bearer, over))
    for name, options in {
        "Flask-JWT-Extended": {},
        "Flask-JWT-Extended, user loaded": {"user": True},
        "Flask-JWT-Extended, user and blocklist": {"user": True, "blocklist": True},
    }.items():
        cases.append(_extended_case(name, extended(database, **options)))
    claims = {"sub": "7", "iat": int(time()), "exp": int(time()) + LIFETIME}
    written = repeat(jwt.encode(claims, SECRET, algorithm="HS256"))
    app, key = by_hand(database), "HTTP_API_TOKEN"
    over = Case("", app, "/open", written, key=key)
    cases.append(Case("decorator written by hand (decode, SELECT)", app, "/guarded", written, over, key))
    return cases, token


def _extended_case(name: str, app: Flask) -> Case:
    from flask_jwt_extended import create_access_token

    with app.app_context():
        bearer = repeat(f"Bearer {create_access_token('7')}")
    return Case(name, app, "/guarded", bearer, Case("", app, "/open", bearer))


def crowd(folder: Path, size: int) -> list[Case]:
    """Seen before and user touched, with so many users in the database and so many tokens in the memory."""
    app = ours(f"sqlite:///{folder / f'crowd-{size}.db'}", TOKEN_CACHE_SIZE=2 * size + 2)
    fill(app, users=size)
    identify = app.extensions["linked_auth"].readers["bearer"]
    sample: list[str] = []
    with app.app_context():
        for user_id in random.sample(range(1, size + 1), size):
            token = token_for(app, user_id)
            identify(token)
            if len(sample) < 20_000:
                sample.append(f"Bearer {token}")
    random.shuffle(sample)
    over = Case("", app, "/open", cycle(sample))
    of = f"{size:,} users and tokens"
    return [
        Case(f"seen before, {of}", app, "/guarded", cycle(sample), over),
        Case(f"user touched, {of}", app, "/user", cycle(sample), over),
    ]


def versions(rounds: int, *packages: str) -> str:
    """What is measured with."""
    of = [f"{package} {version(package)}" for package in packages]
    return f"{', '.join([*of, f'Python {platform.python_version()}'])}; {rounds} rounds of {BATCH} requests"


def show(title: str, costs: Sequence[Cost]) -> None:
    """Print one table in Markdown."""
    print(f"\n| {title} | decodes | middle half | at best | queries | Python calls | C calls |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for cost in costs:
        low, middle, high, best = (
            f"{0.0 if abs(each) < 0.005 else each:.2f}" for each in (*cost.quartiles, cost.best)
        )
        python, c = cost.calls
        print(f"| {cost.name} | {middle} | {low} to {high} | {best} | {cost.queries} | {python} | {c} |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and 10^5 instead of 10^6")
    parser.add_argument(
        "--database", help="an empty database for the first table, instead of SQLite in a file"
    )
    options = parser.parse_args(arguments)
    rounds, million = (200, 10**5) if options.quick else (600, 10**6)
    print(versions(rounds, "pyjwt", "flask", "sqlalchemy", "flask-jwt-extended"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = options.database or f"sqlite:///{folder / 'bench.db'}"
        # What this thread computes: other programs on the machine count less. But waiting for a server is a cost.
        clock = perf_counter if options.database else thread_time
        if options.database:
            _refuse_used(options.database)
        cases, token = guards(folder, database, million=million, tokens=(rounds + 3) * (BATCH + 1))
        try:
            show("added to the open view", measure(cases, token, rounds, clock))
        finally:
            if options.database:
                _empty(cases[0].app)
        crowds = list(chain(crowd(folder, 1000), crowd(folder, million)))
        show("added to the open view", measure(crowds, token, rounds))
        unit = statistics.median(mean_time(functools.partial(decode, token), BATCH) for _ in range(500))
        print(f"\nOne decode: {unit * 1e6:.1f} µs")


def _refuse_used(database: str) -> None:
    app = host(database)
    with app.app_context():
        if inspect(db.engine).get_table_names():
            sys.exit("The database has tables already; give an empty one, its tables are dropped at the end.")


def _empty(app: Flask) -> None:
    with app.app_context():
        db.drop_all()


if __name__ == "__main__":
    main()

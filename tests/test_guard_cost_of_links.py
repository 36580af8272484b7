"""What a guard costs when a linked app calls, in queries and function calls; times are in benchmarks/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.guards import Case, db, measure, queries_of, show, token_for
from benchmarks.linked_apps import Signer, by_jwt, by_signature, case, people, receiving, signing
from tests.tiny import statements

if TYPE_CHECKING:
    from flask import Flask

#: Over the open view: a few more than there are now, for other releases.
SEEN, SIGNED = 20, 60


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    app = receiving(f"sqlite:///{tmp_path / 'links.db'}", REVOCATION_INTERVAL=60)
    yield app
    with app.app_context():
        db.engine.dispose()


def warm(each: Case) -> Case:
    """The app and the feed are known to the process from the first call on."""
    for _ in range(3):
        each.request()
    return each


def python_calls(each: Case) -> int:
    assert each.over is not None
    return each.calls()[0] - each.over.calls()[0]


def test_a_jwt_seen_before_costs_no_query_and_few_calls(app: Flask) -> None:
    for each in by_jwt(app, 40)[:2]:
        assert queries_of(warm(each).request) == 0, each.name
        assert 0 < python_calls(each) <= SEEN, each.name


def test_an_agreement_and_a_mapped_person_are_read_once(app: Flask) -> None:
    bound = Signer(app, "bound-hs256", user=7)
    calls = case("", app, "/scope", bound.many("/scope", 10))
    assert [queries_of(calls.request) for _ in range(4)][1:] == [0, 0, 0], (
        "also at first sight of the next JWT"
    )


def test_a_signed_request_costs_no_query_and_few_calls(app: Flask) -> None:
    for each in by_signature(app, 60, nonces="memory"):
        assert queries_of(warm(each).request) == 0, each.name
        assert 0 < python_calls(each) <= SIGNED, each.name


def test_nonces_in_the_database_cost_one_insert(tmp_path: Path) -> None:
    app = receiving(f"sqlite:///{tmp_path / 'n.db'}", NONCE_STORE="database://", REVOCATION_INTERVAL=60)
    (each,) = by_signature(app, 60, nonces="SQLite")
    with statements(app) as sent:
        warm(each)
        sent.clear()
        each.request()
    assert len(sent) == 1
    assert sent[0].startswith("INSERT")
    with app.app_context():
        db.engine.dispose()


def test_the_cost_does_not_grow_with_people(tmp_path: Path) -> None:
    counted: list[Any] = []
    for size in (1000, 5000):
        cases = people(tmp_path, size, 60)
        counted.append([(each.queries(), python_calls(each)) for each in map(warm, cases)])
        with cases[0].app.app_context():
            db.engine.dispose()
    assert counted[0] == counted[1]
    assert [queries for queries, _ in counted[0]] == [1, 2]


def test_the_benchmark_runs(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    token = token_for(app, 7)
    show("added", measure([*by_jwt(app, 60), *by_signature(app, 60, nonces="memory")], token, rounds=2))
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[3:]]
    assert len(rows) == 7
    assert {row[5].strip() for row in rows} == {"0"}
    assert {name for name, *_ in signing(token, 2)} == {
        "signing a request, HMAC",
        "signing a request, Ed25519",
        "making a JWT, HS256",
        "making a JWT, EdDSA",
    }


def test_a_case_that_is_refused_is_noticed(app: Flask) -> None:
    heads = Signer(app, "free-hs256").many("/elsewhere", 1, "signature")
    with pytest.raises(RuntimeError, match="401"):
        case("", app, "/scope", heads).request()

"""What one process knows of linked apps must not outlive what another has changed, in whatever order it hears of it."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import scope
from flask_linked_auth.apps import agreements, changes, keys
from flask_linked_auth.links.keys import dump_key, generate_key
from flask_linked_auth.links.people import unlink_person
from tests.links.pair import Pair, link
from tests.tiny import Person, make_app, register, state_of

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

LATE = 60  # seconds between two polls: a test says itself when a process hears of the others


def _process(database: str) -> Flask:
    app = make_app(database=database, revocation_interval=LATE, revocation_patience=LATE)
    app.add_url_rule("/posts", "posts", scope(["read:posts"])(lambda: "in"), methods=["GET", "POST"])
    return app


@pytest.fixture
def processes(tmp_path: Path) -> tuple[Flask, Flask]:
    """Two processes of one service."""
    address = f"sqlite:///{tmp_path / 'site.db'}"
    return _process(address), _process(address)


def _hear(app: Flask) -> None:
    """Let a process ask for what is new, now."""
    feed = state_of(app).verifier.feed
    assert feed is not None
    feed.due = feed._ask_at = 0.0


def _read(app: Flask, headers: dict[str, str]) -> int:
    return app.test_client().get("/posts", headers=headers).status_code


def _token(pair: Pair, subject: str = "") -> dict[str, str]:
    return pair.link().sign("GET", "http://localhost/posts", body=None, subject=subject)


def _remove(pair: Pair, ana: Person) -> None:
    pair.do(changes.remove_app)


def _withdraw(pair: Pair, ana: Person) -> None:
    pair.do(lambda deed, row: agreements.withdraw(deed, row, ana.id))


def _retire(pair: Pair, ana: Person) -> None:
    pair.do(lambda deed, row: keys.retire_keys(deed, row, "link_in", after=0))


def _narrow(pair: Pair, ana: Person) -> None:
    pair.change(ceiling=[])


def _unlink(pair: Pair, ana: Person) -> None:
    pair.do(lambda deed, row: unlink_person(deed, row, "77"))


DEEDS = [_remove, _withdraw, _retire, _narrow, _unlink]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda each: each.__name__.strip("_"))
def test_a_change_is_seen_though_the_process_made_one_of_its_own_meanwhile(
    processes: tuple[Flask, Flask], deed: Any
) -> None:
    """The number of its own commit is above that of the change which it has not heard of yet."""
    here, there = processes
    pair, ana = link(here, needs_agreement=True), register(here)
    pair.scopes(["read:posts"])
    pair.knows(ana, "77")
    pair.agreed_by(ana)
    _hear(there)
    assert _read(there, _token(pair, "77")) == 200
    deed(pair, ana)
    bea = register(there, "bea@example.com")
    assert bea.post("/auth/logout").status_code == 204  # numbered after the deed
    token = _token(pair, "77")
    _read(there, token)  # passes or not: it has not heard of it
    _hear(there)
    assert _read(there, token) in {401, 403}
    assert _read(there, _token(pair, "77")) in {401, 403}


def test_a_token_that_was_seen_ends_with_the_key_that_signed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    app = _process("sqlite://")
    pair = link(app)
    new = generate_key("HS256")
    stored = keys.NewKey(new.algorithm, dump_key(new), new.id)
    pair.do(lambda deed, row: keys.replace_key(deed, row, "link_in", stored, overlap=60))
    old, young = _token(pair), pair.link(key=new).sign("GET", "http://localhost/posts", body=None)
    assert _read(app, old) == _read(app, young) == 200
    now = time.time()
    for module in ("tokens.access", "links.incoming"):
        monkeypatch.setattr(f"flask_linked_auth.{module}.time", lambda: now + 61)
    assert _read(app, old) == 401
    assert _read(app, young) == 200


def test_a_person_who_may_come_back_is_spoken_for_again() -> None:
    app = _process("sqlite://")
    pair, ana = link(app), register(app)
    pair.knows(ana, "77")
    run = app.test_cli_runner().invoke
    for command, status in (("deactivate", 401), ("activate", 200)):
        assert run(args=["linked-auth", "user", command, "ana@example.com"]).exit_code == 0
        assert _read(app, _token(pair, "77")) == status


def test_what_was_switched_off_stays_so_while_many_read(tmp_path: Path) -> None:
    """A reader that is slow must not put back what it read before."""
    app = _process(f"sqlite:///{tmp_path / 'site.db'}")
    pair, over = link(app), threading.Event()
    tokens = [_token(pair) for _ in range(3)]

    def hammer() -> None:
        while not over.is_set():
            _read(app, random.choice(tokens))
            time.sleep(0.01)

    threads = [threading.Thread(target=hammer, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for step in range(8):
            pair.change(active=bool(step % 2))
            seen = [_read(app, random.choice([*tokens, _token(pair)])) for _ in range(3)]
            assert set(seen) == {200 if step % 2 else 401}, step
    finally:
        over.set()
        for thread in threads:
            thread.join(30)

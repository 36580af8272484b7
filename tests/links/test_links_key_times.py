"""Which key of a linked app signs and which is believed, as time goes by and nobody tells the processes of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import scope
from flask_linked_auth.apps import keys
from flask_linked_auth.links.keys import LinkKey, dump_key, generate_key
from tests.links.pair import Pair, link
from tests.tiny import make_app, refused, state_of

if TYPE_CHECKING:
    from flask import Flask

HOUR = 3600


@pytest.fixture
def app() -> Flask:
    app = make_app()
    app.add_url_rule("/posts", "read", scope(["read:posts"])(lambda: "read"))
    return app


@pytest.fixture
def pair(app: Flask) -> Pair:
    return link(app, address="https://billing.example.com")


def new_key() -> keys.NewKey:
    key = generate_key("HS256")
    return keys.NewKey("HS256", dump_key(key), key.id)


def signing(app: Flask) -> LinkKey:
    with app.app_context():
        key: LinkKey = state_of(app).parts["links"].link_to("billing").key_for("link")
    return key


def move(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The guards' clock and that of our calls, not the one by which tokens are made."""
    for module in ("links.incoming", "links.state", "tokens.access"):
        monkeypatch.setattr(f"flask_linked_auth.{module}.time", lambda: time.time() + seconds)


def test_of_keys_from_the_same_second_the_last_signs(app: Flask, pair: Pair) -> None:
    for _ in range(6):
        new = new_key()
        pair.do(lambda deed, row, new=new: keys.replace_key(deed, row, "link_out", new, overlap=HOUR))
        assert signing(app).id == new.key_id


def test_a_key_signs_from_its_moment_on(app: Flask, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    now, later = new_key(), new_key()

    def add(deed: Any, row: Any) -> None:
        keys.add_key(deed, row, "link_out", now)
        keys.add_key(deed, row, "link_out", later).active_from = deed.now + HOUR

    pair.do(add)
    assert signing(app).id == now.key_id
    move(monkeypatch, HOUR - 60)
    assert signing(app).id == now.key_id
    move(monkeypatch, HOUR + 1)
    assert signing(app).id == later.key_id


def test_a_key_signs_until_its_end(app: Flask, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.do(lambda deed, row: keys.add_key(deed, row, "link_out", new_key()))
    pair.do(lambda deed, row: keys.retire_keys(deed, row, "link_out", after=HOUR))
    assert signing(app).signing
    move(monkeypatch, HOUR + 1)
    with pytest.raises(ValueError, match="no key"):
        signing(app)


def test_a_token_that_was_seen_ends_with_its_key(
    app: Flask, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changes at that moment, so the feed does not tell the processes that remember the token."""
    headers = pair.link().sign("GET", "http://localhost/posts", body=None)

    def read() -> Any:
        return app.test_client().get("/posts", headers=headers)

    pair.do(lambda deed, row: keys.retire_keys(deed, row, "link_in", after=120))
    assert read().status_code == 200
    move(monkeypatch, 60)
    assert read().status_code == 200
    move(monkeypatch, 121)
    refused(read(), 401, "wrong-legacy-app-token")


def test_a_token_of_another_key_goes_on(app: Flask, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    new = generate_key("HS256")
    made = keys.NewKey("HS256", dump_key(new), new.id)
    pair.do(lambda deed, row: keys.replace_key(deed, row, "link_in", made, overlap=1))
    assert pair.get("/posts", key=new).status_code == 200
    for seconds in (0.9, 1, 2, 60):
        move(monkeypatch, seconds)
        assert pair.get("/posts", key=new).status_code == 200

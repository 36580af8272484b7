"""The key ring by itself: next, active and retired by the clock, and a source that may be out of reach."""

from __future__ import annotations

from collections.abc import Sequence
from time import time

import pytest

from flask_linked_auth.errors import InternalError, SettingsError, Unavailable
from flask_linked_auth.tokens.keys import Key, generate, secret_key
from flask_linked_auth.tokens.ring import Held, KeyRing
from tests.tiny import OTHER_SECRET, SECRET


class Shelf:
    """A source of keys that is real, small and can be out of reach."""

    max_age: float | None = None
    pause = 0.0

    def __init__(self, *held: Held) -> None:
        self.held = list(held)
        self.broken = False
        self.asked = 0

    def load(self) -> Sequence[Held]:
        self.asked += 1
        if self.broken:
            raise OSError("out of reach")
        return list(self.held)

    def create(self, algorithm: str) -> Held:
        made = Held(generate(algorithm), int(time()))
        self.held.append(made)
        return made


def ring(
    source: Shelf | None = None, *static: Key, algorithm: str = "HS256", retention: int = 100
) -> KeyRing:
    return KeyRing(static, algorithm=algorithm, retention=retention, source=source)


def test_without_a_source_the_first_secret_signs_and_all_verify() -> None:
    first, second = secret_key(SECRET), secret_key(OTHER_SECRET)
    keys = ring(None, first, second)
    assert keys.signing() is first
    assert set(keys) == {first.kid, second.kid}
    assert keys[second.kid] is second
    assert len(keys) == 2
    with pytest.raises(KeyError):
        keys["nothing"]


def test_without_any_key_nothing_is_signed() -> None:
    with pytest.raises(SettingsError, match="LINKED_AUTH_SECRET"):
        ring().signing()


def test_the_newest_active_key_signs_and_a_next_one_waits() -> None:
    now = int(time())
    old, new, later = (Held(generate("HS256"), now + shift) for shift in (-50, -10, 50))
    keys = ring(Shelf(old, new, later), secret_key(SECRET))
    assert keys.signing() is new.key
    assert [held.status(now) for held in keys.held()] == ["active", "active", "active", "next"]
    assert later.key.kid in keys  # accepted before it signs: clocks differ


def test_a_key_ends_one_retention_after_its_successor_began() -> None:
    now = int(time())
    first, second, third = (Held(generate("HS256"), now - ago) for ago in (300, 150, 50))
    keys = ring(Shelf(first, second, third), secret_key(SECRET))
    ends = {held.key.kid: held.accepted_until for held in keys.held()}
    assert ends[first.key.kid] == now - 150 + 100
    assert ends[second.key.kid] == now - 50 + 100
    assert ends[third.key.kid] is None
    assert first.key.kid not in keys
    assert second.key.kid in keys
    assert secret_key(SECRET).kid not in keys  # a secret from the settings is the oldest of all


def test_the_earlier_of_two_ends_counts() -> None:
    now = int(time())
    ended, new = Held(generate("HS256"), now - 100, accepted_until=now - 1), Held(generate("HS256"), now)
    keys = ring(Shelf(ended, new))
    assert ended.key.kid not in keys
    assert keys.signing() is new.key


def test_only_a_key_of_the_right_algorithm_signs() -> None:
    now = int(time())
    other = Held(generate("ES256"), now)
    shelf = Shelf(other)
    keys = ring(shelf, secret_key(SECRET), algorithm="ES256")
    assert keys.signing() is other.key
    eddsa = ring(shelf, algorithm="EdDSA")
    assert eddsa.signing().algorithm == "EdDSA"
    assert len(shelf.held) == 2
    assert eddsa.signing() is eddsa.signing()  # made once


def test_a_key_that_only_verifies_does_not_sign() -> None:
    whole = generate("ES256")
    half = Key(whole.kid, whole.algorithm, whole.verifying)
    keys = ring(Shelf(Held(half, int(time()))), algorithm="ES256")
    assert keys.signing().kid != half.kid
    assert keys[half.kid] is half


def test_a_source_is_asked_when_there_is_news_and_not_otherwise() -> None:
    shelf = Shelf(Held(generate("HS256"), 5))
    keys = ring(shelf)
    for _ in range(5):
        keys.refresh()
        keys.signing()
    assert shelf.asked == 1
    keys.mark_stale()
    keys.refresh()
    assert shelf.asked == 2


def test_a_source_of_a_certain_age_is_asked_again() -> None:
    shelf = Shelf(Held(generate("HS256"), 5))
    shelf.max_age = 100.0
    keys = ring(shelf)
    keys.refresh()
    keys._asked_at -= 99
    keys.refresh()
    assert shelf.asked == 1
    keys._asked_at -= 2
    keys.refresh()
    assert shelf.asked == 2


def test_an_unknown_id_asks_at_most_once_a_pause() -> None:
    # CVE-2026-48524: else everybody could make us ask with every request.
    shelf = Shelf(Held(generate("HS256"), 5))
    shelf.pause = 30.0
    keys = ring(shelf)
    keys.refresh()
    for n in range(50):
        assert f"unknown-{n}" not in keys
    assert shelf.asked == 1
    new = Held(generate("HS256"), 5)
    shelf.held.append(new)
    assert new.key.kid not in keys
    keys._asked_at -= 31
    assert new.key.kid in keys
    assert shelf.asked == 2


def test_a_failed_question_keeps_what_is_known() -> None:
    held = Held(generate("HS256"), 5)
    shelf = Shelf(held)
    keys = ring(shelf)
    keys.refresh()
    shelf.broken = True
    keys.mark_stale()
    keys.refresh()
    assert keys[held.key.kid] is held.key
    assert "unknown" not in keys
    assert keys.signing() is held.key
    shelf.broken = False
    shelf.held = []
    keys._asked_at -= 60
    keys.refresh()
    assert held.key.kid not in keys


def test_a_source_that_never_answered_is_unavailable_and_is_not_asked_for_every_request() -> None:
    shelf = Shelf(Held(generate("HS256"), 5))
    shelf.broken = True
    keys = ring(shelf)
    for _ in range(20):
        with pytest.raises(Unavailable):
            keys.refresh()
    assert shelf.asked <= 2
    shelf.broken = False
    keys._asked_at -= 60
    keys.refresh()
    assert len(keys) == 1


def test_what_waiting_does_not_mend_is_told_apart_until_it_is_mended() -> None:
    class Tableless(Shelf):
        def load(self) -> list[Held]:
            if self.broken:
                raise InternalError
            return [*self.held]

    shelf = Tableless(Held(generate("HS256"), 5))
    shelf.broken = True
    keys = ring(shelf)
    with pytest.raises(InternalError):
        keys.signing()
    shelf.broken = False
    keys._asked_at -= 60
    assert keys.signing() is shelf.held[0].key


def test_the_public_halves_include_the_next_key_and_leave_out_the_retired() -> None:
    now = int(time())
    gone = Held(generate("ES256"), now - 500, accepted_until=now - 1)
    active, later = Held(generate("ES256"), now - 10), Held(generate("EdDSA"), now + 100)
    published = ring(Shelf(gone, active, later), secret_key(SECRET)).public()["keys"]
    assert [key["kid"] for key in published] == [active.key.kid, later.key.kid]
    assert all("d" not in key and "k" not in key for key in published)


def test_no_key_is_in_a_repr() -> None:
    key = secret_key(SECRET)
    keys = ring(None, key)
    for text in (repr(keys), repr(keys.held()), repr(key)):
        assert SECRET not in text
        assert "Zx81" not in text

"""The other service that the tests of `Service` call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.links.neighbour import Neighbour, running


@pytest.fixture
def billing() -> Iterator[Neighbour]:
    with running() as neighbour:
        yield neighbour


@pytest.fixture
def elsewhere() -> Iterator[Neighbour]:
    with running() as neighbour:
        yield neighbour


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repetitions follow each other at once."""
    monkeypatch.setattr("flask_linked_auth.links.outgoing.BACK_OFF", 0.001)

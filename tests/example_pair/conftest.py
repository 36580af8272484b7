"""Both examples, linked; all tests of a file share them, each with people of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.example_pair.house import House, living_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with living_house(tmp_path_factory.mktemp("house")) as house:
        yield house

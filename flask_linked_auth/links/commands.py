"""Commands of links (to be filled)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from click import Command


def commands() -> Sequence[Command]:
    """None yet."""
    return ()

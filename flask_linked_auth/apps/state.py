"""What the linked apps hold for one app of Flask's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..globals import current_state

if TYPE_CHECKING:
    from ..config import AppSettings
    from ..state import State
    from .grants import Grants
    from .registry import Registry

__all__ = ["AppsState", "mine"]


@dataclass(frozen=True, slots=True, repr=False)
class AppsState:
    """The settings of this part, the apps there are, and what people agreed to.

    `pages` says whether people can agree here themselves, for which the pages of the accounts are needed.
    """

    settings: AppSettings
    registry: Registry
    grants: Grants
    pages: bool = False


def mine() -> tuple[State, AppsState]:
    """The state of the extension on the current app, and that of the linked apps in it."""
    state = current_state()
    apps: AppsState = state.parts["apps"]
    return state, apps

"""The links part: calls between services, in both directions, on behalf of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config import LinkSettings
from ..errors import SettingsError
from ..state import Part

if TYPE_CHECKING:
    from flask import Flask

    from ..state import State

__all__ = ["Links"]


class Links(Part):
    """Services that call each other: their calls are admitted by `@scope`, and `Service` makes ours."""

    name = "links"

    def settings(self) -> type[LinkSettings]:
        """`LinkSettings`."""
        return LinkSettings

    def init_app(self, app: Flask, state: State, settings: LinkSettings) -> Any:
        """Let guards admit linked apps; return a `LinksState`."""
        from .state import set_up

        if "apps" not in state.parts:
            raise SettingsError("Links() needs Apps() before it in parts=.")
        return set_up(app, state, settings)

"""The links part: calls between services, in both directions, on behalf of people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..config import LinkSettings
from ..errors import SettingsError
from ..state import Part

if TYPE_CHECKING:
    from click import Command
    from flask import Flask

    from ..state import State

__all__ = ["Links"]


class Links(Part):
    """Services that call each other: their calls are admitted by `@scope`, and `Service` makes ours."""

    name = "links"

    def settings(self) -> type[LinkSettings]:
        """`LinkSettings`."""
        return LinkSettings

    def prunes(self) -> Mapping[str, Callable[..., int]]:
        """Nonces whose window is closed, and tokens and codes whose time is over."""
        from .one_time import prune_expired

        return {
            "used nonces": partial(prune_expired, row="UsedNonce"),
            "one-time tokens": partial(prune_expired, row="OneTimeToken"),
            "pairing codes": partial(prune_expired, row="PairingCode"),
        }

    def commands(self) -> Sequence[Command]:
        """`link`, `people`, `sign-jwt`, `sign-request`, and what has to do with the keys of an app."""
        from .commands import commands

        return commands()

    def init_app(self, app: Flask, state: State, settings: LinkSettings) -> Any:
        """Let guards admit linked apps; return a `LinksState`."""
        from .state import set_up

        if "apps" not in state.parts:
            raise SettingsError("Links() needs Apps() before it in parts=.")
        links = set_up(app, state, settings)
        from .people import person_of
        from .routes import make_blueprints

        state.readers_of_people["link"] = state.readers_of_people["signature"] = person_of
        for blueprint in make_blueprints(settings):
            app.register_blueprint(blueprint)
        return links

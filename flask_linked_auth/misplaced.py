"""Guards that stand above the route decorator: the app serves the function below them, which nothing guards.

Where the guard is written, this is told as soon as the app is set up and the route is the app's own. A blueprint
holds its routes back until it is registered: `flask linked-auth routes` looks for those.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["know", "placed", "serves_unguarded"]

#: How many calls may lie between a guard and the frame that it stands in: ours, and those of a host's own decorator.
_DEEPEST = 8

_apps: WeakSet[Flask] = WeakSet()
#: Each function that a guard was put on, and those wrapped in it, with the guarded ones that were made of it.
_guarded: WeakKeyDictionary[Any, WeakSet[Any]] = WeakKeyDictionary()


def know(app: Flask) -> None:
    """From now on, look at the views of this app."""
    _apps.add(app)


def placed(view: Callable[..., Any], guarded: Callable[..., Any]) -> None:
    """Note that a guard was put on `view`, which gave `guarded`.

    Raises RuntimeError if this is done in the decorators of a view that an app serves already: the guard would stand
    above the route. Guarding one function for one route and serving it openly on another is no mistake.
    """
    layers = list(_layers(view))
    try:
        for layer in layers:
            _guarded.setdefault(layer, WeakSet()).add(guarded)
    except TypeError:
        return  # a callable that nobody can refer to weakly, and no function
    code = getattr(layers[-1], "__code__", None)
    served = (each for app in _apps for each in app.view_functions.values())
    # The very function, not one that wraps it: a decorator of the host's may serve it guarded already.
    if (
        code is not None
        and _is_being_decorated(code)
        and any(each is layer for each in served for layer in layers)
    ):
        raise RuntimeError(
            f"The guard of {code.co_name} stands above its route, so it guards nothing: put the route on top."
        )


def _is_being_decorated(code: CodeType) -> bool:
    """Whether we are called from among the decorators of the function with this code."""
    last = max((line for _, _, line in code.co_lines() if line is not None), default=0)
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - documented, and cheap where inspect.stack() reads files
    for _ in range(_DEEPEST):
        if frame is None:
            break
        # The frame that makes a function has its code among its constants, and is at its decorators meanwhile.
        if code.co_firstlineno <= frame.f_lineno <= last and code in frame.f_code.co_consts:
            return True
        frame = frame.f_back
    return False


def _serves(app: Flask, view: Callable[..., Any]) -> bool:
    return any(view in _layers(each) for each in app.view_functions.values())


def _layers(view: Any) -> Iterator[Any]:
    """A view and what it wraps, outside first."""
    while view is not None:
        yield view
        view = getattr(view, "__wrapped__", None)


def serves_unguarded(app: Flask, endpoint: str) -> bool:
    """Whether the guard of this view stands above its route: the app serves what it was put on, and nobody the guarded.

    The same function may be open on one route and guarded on another, also of another app.
    """
    view = app.view_functions[endpoint]
    try:
        made = _guarded.get(view)
    except TypeError:
        return False
    if made is None:
        return False
    return not any(_serves(each, guarded) for guarded in list(made) for each in {app, *_apps})

"""Calling the host's own functions: sync or async, and whatever they raise."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import current_app

from .errors import InternalError, Problem

__all__ = ["call_hook"]

log = logging.getLogger("flask_linked_auth")


def call_hook(hook: Callable[..., Any], *arguments: Any) -> Any:
    """Call a hook of the host's, sync or async. Raises InternalError for its bugs, so that none passes a guard."""
    try:
        return current_app.ensure_sync(hook)(*arguments)
    except Problem:
        raise
    except Exception as error:
        log.exception("The hook %s raised", getattr(hook, "__name__", hook))
        raise InternalError from error

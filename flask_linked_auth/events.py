"""What happened, told once, after the commit: to the blinker signals and to the audit log."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from flask import current_app

from .signals import BY_EVENT

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["tell"]

log = logging.getLogger("flask_linked_auth")
audit = logging.getLogger("flask_linked_auth.audit")

#: Facts that stay out of the log: what was typed as a name may be a password typed into the wrong field.
_UNLOGGED = frozenset({"identifier"})


def tell(event: str, **facts: Any) -> None:
    """Send the signal of this name and write a line to the logger `flask_linked_auth.audit`.

    A receiver that raises is logged and changes nothing for the caller: the deed is already committed.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    line = {"event": event} | {key: value for key, value in facts.items() if key not in _UNLOGGED}
    audit.info("%s", json.dumps(line, default=str))  # ASCII only, so nobody can forge a line of the log
    for receiver in list(BY_EVENT[event].receivers_for(app)):
        try:
            app.ensure_sync(receiver)(app, **facts)
        except Exception:
            log.exception("A receiver of the signal %s raised", event)

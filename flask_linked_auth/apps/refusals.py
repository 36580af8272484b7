"""Why a linked app lacks a scope, said more precisely than that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..link_errors import AgreementNotAccepted
from .state import mine

if TYPE_CHECKING:
    from ..identity import Identity

__all__ = ["explain_refusal"]


def explain_refusal(identity: Identity, missing: tuple[str, ...]) -> None:
    """Raise AgreementNotAccepted if the app could have a missing scope, and the person has not agreed to that."""
    app = None if identity.app_id is None else mine()[1].registry.find(identity.app_id)
    if app is None or not app.facts.needs_agreement or not identity.claims.get("sub"):
        return
    if any(scope in app.limit and scope in app.required | app.optional for scope in missing):
        raise AgreementNotAccepted(
            "This person has not agreed that %(app)s may do this.", values={"app": app.facts.name}
        )

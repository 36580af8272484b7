"""Why a linked app lacks a scope, said more precisely than that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..catalogs import _
from ..link_errors import AgreementNotAccepted
from .state import mine

if TYPE_CHECKING:
    from ..identity import Identity

__all__ = ["explain_refusal"]


def explain_refusal(identity: Identity, missing: tuple[str, ...]) -> None:
    """Raise AgreementNotAccepted if the app could have a missing scope, and the person has not agreed to that.

    It has the address of the page to send the person to as `agreement_url`, where there is one, and `person_known`:
    while the app's person is nobody here, what anybody here agrees to does not count for them.
    """
    state, apps = mine()
    app = None if identity.app_id is None else apps.registry.find(identity.app_id)
    if app is None or not app.facts.needs_agreement or not identity.claims.get("sub"):
        return
    if not any(scope in app.limit and scope in app.required | app.optional for scope in missing):
        return
    name, members = {"app": app.facts.name}, {"person_known": identity.user_id is not None}
    if not apps.pages:
        raise AgreementNotAccepted(
            _(
                "This person has not agreed that %(app)s may do this, and there is no page here to agree on.",
                **name,
            ),
            members=members,
        )
    page = f"{state.settings.issuer}{apps.settings.agreement_path}/{app.slug}"
    raise AgreementNotAccepted(
        _("This person has not agreed that %(app)s may do this.", **name),
        members={**members, "agreement_url": page},
    )

"""What the API document says of the endpoints about agreements: a mark for each view."""

from __future__ import annotations

from ..errors import Conflict, NotFound
from ..openapi import Page, describe
from .schemas import Agreement, AgreementInShort

TAG = "Linked apps"

_SLUG = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,49}$", "examples": ["billing"]}
_SCOPE = {"type": "string", "pattern": "^[a-z_]+(:[a-z_]+)?$", "maxLength": 15, "examples": ["read:posts"]}
_NONE = NotFound("You have no agreement with this app.")

list_agreements = describe(answers={200: Page(Agreement)}, tags=TAG)
show_agreement = describe(answers={200: Agreement}, errors=[_NONE], parameters={"slug": _SLUG}, tags=TAG)
withdraw_agreement = describe(answers={204: None}, errors=[_NONE], parameters={"slug": _SLUG}, tags=TAG)
withdraw_scope = describe(
    answers={204: None},
    errors=[_NONE, Conflict("The app needs this scope. Withdraw the whole agreement instead.")],
    parameters={"slug": _SLUG, "scope": _SCOPE},
    tags=TAG,
)
list_agreed_apps = describe(answers={200: AgreementInShort(many=True)}, tags=TAG)

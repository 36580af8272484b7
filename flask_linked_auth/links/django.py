"""A link with a service that runs the Django package `linked-services`: our half of it, and what to run over there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..apps.keys import retire_keys
from .announced import NEVER, put_key
from .keys import Algorithm, LinkKey, generate_key
from .state import mine

if TYPE_CHECKING:
    from ..transactions import Transaction

__all__ = ["Shared", "new_shared", "put_shared", "snippet"]

_NAMES: Mapping[str, str] = {"HS256": "HMAC_SHA256", "HS512": "HMAC_SHA512", "EdDSA": "ED25519"}


@dataclass(frozen=True, slots=True, repr=False)
class Shared:
    """The keys of such a link: `ours` signs our calls, `theirs` those of the other side, which gets its private half.

    Under HS256 and HS512 they are one and the same secret.
    """

    ours: LinkKey
    theirs: LinkKey


def new_shared(algorithm: Algorithm) -> Shared:
    """New keys, of one id: the package knows none, but here both are found by it."""
    ours = generate_key(algorithm)
    if algorithm != "EdDSA":
        return Shared(ours, ours)
    theirs = generate_key(algorithm)
    return Shared(ours, LinkKey(ours.id, algorithm, theirs.signing, theirs.verifying))


def put_shared(
    transaction: Transaction, app: Any, shared: Shared, *, dialects: tuple[str, ...], later: bool = False
) -> None:
    """Store our half for these uses (`link`, `legacy`). With `later` they verify already, and sign once activated.

    Otherwise they are the only ones from now on.
    """
    for use in dialects:
        for direction, key in (("in", _ours_of(shared.theirs)), ("out", shared.ours)):
            if not later:
                retire_keys(transaction, app, f"{use}_{direction}", after=0)
            row = put_key(transaction, app, f"{use}_{direction}", key)
            if later and direction == "out":
                row.active_from = NEVER


def _ours_of(key: LinkKey) -> LinkKey:
    """What we keep of the key by which the other side signs."""
    return key.public() if key.algorithm == "EdDSA" else key


def snippet(shared: Shared, *, legacy: bool = False) -> str:
    """What is to be run in `python manage.py shell` of the Django project. It holds the secret of the link."""
    _, links = mine()
    values: dict[str, Any] = {
        "name": links.name[:25],
        "description": f"The service {links.name}",
        "algorithm": _NAMES[shared.ours.algorithm],
        "strategy": "SIGNATURE" if legacy else "JWT",
        "schema": "LINK",
        "private_key": shared.theirs.private_hex(),
        "public_key": shared.ours.public_hex(),
        "app_url": links.issuer,
        "users_path": f"{links.settings.link_prefix}/user/",
        "webhook_url": f"{links.issuer}{links.settings.link_prefix}/webhook",
        "redirect_url": links.issuer,
    }
    lines = [f"    {name!r}: {value!r}," for name, value in values.items()]
    return "\n".join(
        [
            "from linked_services.django.models import App",
            f"app = App.objects.filter(slug={links.name!r}).first() or App(slug={links.name!r})",
            "values = {",
            *lines,
            "}",
            "for name, value in values.items():",
            "    setattr(app, name, value)",
            "",
            "app.save()",
        ]
    )

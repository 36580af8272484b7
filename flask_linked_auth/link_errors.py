"""The errors of calls between services, as data. A tree of its own below the one of `errors.py`; no Flask in here.

LinkedAuthError
├── AppNotFound                      `Service` was asked for an app that is not there
├── ForeignAddress                   a call would leave the origin of its link
├── BodyTooLarge                     a body has to be read before it is sent, and is larger than that
└── Problem
    ├── LinkRefused              401 + WWW-Authenticate, what the others are
    │   ├── NoAuthorizationHeader
    │   ├── MalformedHeader
    │   ├── BadSchema
    │   ├── ForbiddenSchema
    │   ├── ForbiddenStrategy
    │   ├── UnknownSchema
    │   ├── UnknownApp
    │   ├── UnknownAlgorithm
    │   ├── WrongAppToken
    │   │   └── WrongLegacyAppToken
    │   ├── ExpiredCredential
    │   ├── BadTimestamp
    │   └── Replayed
    ├── AgreementNotAccepted     403
    ├── UserWithNoAccess         403
    ├── ExternalApp              403
    ├── FromExternalApp          403
    ├── PairingRefused           403
    ├── UserNotFound             404
    ├── TokenNotProvided         400
    ├── SpentToken               401 + WWW-Authenticate
    ├── UpstreamFailed           502
    └── UpstreamTooSlow          504
"""

from __future__ import annotations

from .catalogs import _
from .errors import (
    Forbidden,
    InvalidToken,
    LinkedAuthError,
    MalformedRequest,
    NotFound,
    Problem,
    Unauthorized,
)

__all__ = [
    "AgreementNotAccepted",
    "AppNotFound",
    "BadSchema",
    "BadTimestamp",
    "BodyTooLarge",
    "ExpiredCredential",
    "ExternalApp",
    "ForbiddenSchema",
    "ForbiddenStrategy",
    "ForeignAddress",
    "FromExternalApp",
    "LinkRefused",
    "MalformedHeader",
    "NoAuthorizationHeader",
    "PairingRefused",
    "Replayed",
    "SpentToken",
    "TokenNotProvided",
    "UnknownAlgorithm",
    "UnknownApp",
    "UnknownSchema",
    "UpstreamFailed",
    "UpstreamTooSlow",
    "UserNotFound",
    "UserWithNoAccess",
    "WrongAppToken",
    "WrongLegacyAppToken",
]


class AppNotFound(LinkedAuthError):
    """Raised by `Service`: there is no linked app of this slug, or it cannot be called."""


class ForeignAddress(LinkedAuthError):
    """Raised by `Service`: a call, or a redirect that it follows, leads away from the origin of the link."""


class BodyTooLarge(LinkedAuthError):
    """Raised by `Service`: a body that has to be read before it is sent is larger than the limit."""


class LinkRefused(InvalidToken):
    """A call between services that is not admitted; each of its kinds says why."""

    slug = "link-refused"
    title = _("Call refused")
    meaning = _("Another service calls, and its credential is not admitted; nothing more precise applies.")
    advice = _("Compare what is set up for the link in both services.")


class NoAuthorizationHeader(LinkRefused):
    """A view that is for linked services only was called without a credential."""

    slug = "no-authorization-header"
    title = _("No credential of a service")
    meaning = _("This is for linked services only, and the request carries no credential of one.")
    advice = _("Call it through `Service`.")


class MalformedHeader(LinkRefused):
    """`Authorization`, `Signature-Input`, `Signature`, `Content-Digest` or `Linked-Subject` cannot be read."""

    slug = "authorization-header-malformed"
    title = _("Malformed credential")
    meaning = _(
        "A header that says who is calling (`Authorization`, `Signature-Input`, `Signature`, `Content-Digest` or "
        "`Linked-Subject`) is not in its exact form, is too long, or is missing where the others need it."
    )
    advice = _("Let `Service` write these headers. If it does, see whether a proxy changes them.")


class BadSchema(LinkRefused):
    """The fields of the credential are not those of its scheme."""

    slug = "authorization-header-bad-schema"
    title = _("Another form of credential")
    meaning = _("`Authorization` has other fields than its scheme.")
    advice = _("Let `Service` write this header.")


class ForbiddenSchema(LinkRefused):
    """The view's `mode` does not admit this kind of credential."""

    slug = "authorization-header-forbidden-schema"
    title = _("Wrong kind of credential for this view")
    meaning = _(
        "The view admits calls of linked services by another `mode` only: by JWT, or by signed request."
    )
    advice = _("Call it with the `mode` that it wants.")


class ForbiddenStrategy(LinkRefused):
    """The app's row does not enable this dialect."""

    slug = "authorization-header-forbidden-strategy"
    title = _("Dialect not enabled")
    meaning = _(
        "The calling app is known, and may not call in this dialect: its row here does not enable it."
    )
    advice = _("Enable the dialect for the app, or let the other service use the one that is enabled.")


class UnknownSchema(LinkRefused):
    """The scheme of `Authorization` is none that is used here."""

    slug = "unknown-auth-schema"
    title = _("Unknown scheme")
    meaning = _("`Authorization` begins with a scheme that is not used here.")
    advice = _("Write `Authorization: Bearer <token>`. Services call each other through `Service`.")


class UnknownApp(LinkRefused):
    """No linked app has the name that the credential says."""

    slug = "app-not-found"
    title = _("Unknown app")
    meaning = _("No linked app of this service has the name, or no key the id, that the credential says.")
    advice = _("Link the two services. The name is the slug that the other service has here.")


class UnknownAlgorithm(LinkRefused):
    """The credential, or the key it is to be checked by, is for an algorithm that the dialect does not have."""

    slug = "algorithm-not-implemented"
    title = _("Unknown algorithm")
    meaning = _("The credential is made by an algorithm that this dialect does not have.")
    advice = _(
        "JWTs are made by HS256, HS512 or EdDSA, signed requests by hmac-sha256 or ed25519; the old signatures are "
        "HMACs only."
    )


class WrongAppToken(LinkRefused):
    """The signature is wrong, or what is signed is for, or by, somebody else."""

    slug = "wrong-app-token"
    title = _("Wrong credential")
    meaning = _(
        "The signature does not fit the request or the token, or is by another key; or the token is for another "
        "service, or by another app than the header says."
    )
    advice = _(
        "Compare the keys and the slugs in both services, and see whether a proxy changes the request."
    )


class WrongLegacyAppToken(WrongAppToken):
    """The signature is by a key whose overlap is over."""

    slug = "wrong-legacy-app-token"
    title = _("Retired key")
    meaning = _("The signature is by a key of this app that was replaced, and whose overlap is over.")
    advice = _("Give the other service the new key.")


class ExpiredCredential(LinkRefused):
    """The token or the signature was good and its time is over."""

    slug = "expired"
    title = _("Expired")
    meaning = _("The token or the signature was good and its time is over.")
    advice = _("Sign the call anew. If it happens to every call, compare the clocks of the two machines.")


class BadTimestamp(LinkRefused):
    """A time in it is in the future, too long ago, or leaves it good for too long."""

    slug = "bad-timestamp"
    title = _("Wrong time")
    meaning = _(
        "The token or the signature was made in the future or too long ago, or is good for longer than is admitted."
    )
    advice = _(
        "Compare the clocks of the two machines, and how long the other service's credentials are good for."
    )


class Replayed(LinkRefused):
    """A signed request came a second time."""

    slug = "replayed"
    title = _("Sent twice")
    meaning = _("A signed request came a second time: its nonce has been seen.")
    advice = _("Sign each try anew. If nobody sent it twice, somebody has copied it.")


class AgreementNotAccepted(Forbidden):
    """The person has not agreed to what the calling app asks for, or not to its newest version."""

    slug = "agreement-not-accepted"
    title = _("Agreement not accepted")
    meaning = _(
        "The person has not allowed the calling app to do this, or not since it asks for more than before."
    )
    advice = _("Send the person to the page of the agreement.")


class UserWithNoAccess(Forbidden):
    """The app may not see this person, or a token for one person asks for another."""

    slug = "user-with-no-access"
    title = _("This user does not have access to this resource")
    meaning = _("The call is made for one person and asks for another.")
    advice = _("Ask for the person that the call is made for.")


class UserNotFound(NotFound):
    """There is no such person, or none that the calling app may know of."""

    slug = "user-not-found"
    title = _("User not found")
    meaning = _("There is no such person, or none that the calling app may know of.")


class UpstreamFailed(Problem):
    """Another service, of which this would be asked, cannot be reached or gives no answer that can be read."""

    status = 502
    slug = "upstream-failed"
    title = _("Another service failed")
    meaning = _(
        "This is asked of another service, which cannot be reached or gives no answer that can be read."
    )
    advice = _("Try again later.")


class UpstreamTooSlow(Problem):
    """Another service, of which this would be asked, does not answer in time."""

    status = 504
    slug = "upstream-too-slow"
    title = _("Another service is too slow")
    meaning = _("This is asked of another service, which does not answer in time.")
    advice = _("Try again later.")


class ExternalApp(Forbidden):
    """One's own data are not pushed to an app that people have to agree to first."""

    slug = "external-app"
    title = _("Not for an external app")
    meaning = _("This is for linked apps that need no agreement, which belong to the same house.")
    advice = _("Let the person agree to what the app asks for, and let the app ask.")


class FromExternalApp(Forbidden):
    """An app that people have to agree to first cannot spend a one-time token."""

    slug = "from-external-app"
    title = _("Not from an external app")
    meaning = _("A one-time token tells who a person is, and only to linked apps that need no agreement.")
    advice = _("Send the person to the page of the agreement, and ask on their behalf.")


class TokenNotProvided(MalformedRequest):
    """The body has no one-time token in it."""

    slug = "token-not-provided"
    title = _("No one-time token")
    meaning = _("The body of the request has no member `token`, or it is no text.")
    advice = _("Send the one-time token that the person brought.")


class SpentToken(Unauthorized):
    """A one-time token is unknown, expired, spent, or for another app: deliberately the same error."""

    slug = "invalid-token"
    title = _("One-time token not valid")
    meaning = _(
        "The one-time token is unknown or expired, was spent before, is for another app, or its person is not here "
        "any more: deliberately the same answer."
    )
    advice = _("Let the person get another.")


class PairingRefused(Forbidden):
    """A pairing code is unknown, expired, used or wrong: deliberately the same error; or what comes with it is not."""

    slug = "pairing-refused"
    title = _("Not linked")
    meaning = _(
        "Two services cannot be linked: the pairing code is unknown, expired or used, or what was said with it does "
        "not fit what the code was made for."
    )
    advice = _("Make a new code with `flask linked-auth app invite`, and run the command that it prints.")

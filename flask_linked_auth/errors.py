"""Every error of the extension, as data. `http.py` turns those with a status into answers; no Flask in here.

LinkedAuthError
├── SettingsError                    a setting is unknown, missing, malformed or weak
├── SealingError                     a sealed secret cannot be opened
└── Problem                          can be answered (RFC 9457)
    ├── MalformedRequest         400
    │   └── RivalCredentials
    ├── InvalidLink              400
    ├── Unauthorized             401 + WWW-Authenticate
    │   ├── MissingToken
    │   ├── InvalidToken
    │   │   ├── ExpiredToken
    │   │   ├── RevokedToken
    │   │   └── UnknownUser
    │   ├── StaleLogin
    │   ├── InvalidCredentials
    │   └── InvalidRefreshToken
    │       └── ReusedRefreshToken
    ├── Forbidden                403
    │   ├── CSRFFailed
    │   ├── MissingScope
    │   └── RegistrationClosed
    ├── NotFound                 404
    ├── MethodNotAllowed         405
    ├── Conflict                 409
    │   └── Taken
    ├── TooLarge                 413
    ├── UnsupportedMediaType     415
    ├── InvalidFields            422
    ├── TooManyRequests          429 + Retry-After
    ├── InternalError            500
    └── Unavailable              503 + Retry-After
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from .catalogs import Text, _

__all__ = [
    "CSRFFailed",
    "Conflict",
    "ExpiredToken",
    "Forbidden",
    "InternalError",
    "InvalidCredentials",
    "InvalidFields",
    "InvalidLink",
    "InvalidRefreshToken",
    "InvalidToken",
    "LinkedAuthError",
    "MalformedRequest",
    "MethodNotAllowed",
    "MissingScope",
    "MissingToken",
    "NotFound",
    "Problem",
    "RegistrationClosed",
    "ReusedRefreshToken",
    "RevokedToken",
    "RivalCredentials",
    "SealingError",
    "SettingsError",
    "StaleLogin",
    "Taken",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnknownUser",
    "UnsupportedMediaType",
]


class LinkedAuthError(Exception):
    """The base of all; never raised itself."""


class SettingsError(LinkedAuthError):
    """Raised at start: a `LINKED_AUTH_*` key or an argument is unknown, missing, malformed or too weak."""


class SealingError(LinkedAuthError):
    """Raised when a secret at rest was sealed by a key we no longer have, or was altered or moved."""


class Problem(LinkedAuthError):
    """An error with an HTTP status, answered as `application/problem+json` (RFC 9457).

    `slug` is stable and documented; `detail` is for people, a template when `values` are given for it;
    `errors` maps a field to its complaints; `members` are further top-level members of the answer.
    All words are English here and translated in the answer. `meaning` and `advice` stand on the page of errors.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = _("Internal error")
    meaning: ClassVar[str] = _(
        "A bug, in the package or in a hook or model of this service, or a table that is missing. The "
        "answer says nothing more; the log does."
    )
    advice: ClassVar[str] = _("Tell those who run the service.")

    def __init__(
        self,
        detail: str | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        errors: Mapping[str, Sequence[str]] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        given = Text(detail, values) if detail and values else detail
        super().__init__(str(given or self.title))
        self.detail: str = given or Text("%(title)s.", {"title": Text(self.title)})
        self.errors: Mapping[str, Sequence[str]] = MappingProxyType(dict(errors or {}))
        self.members: Mapping[str, Any] = MappingProxyType(dict(members or {}))

    def headers(self) -> dict[str, str]:
        """The headers that this error's status asks for."""
        return {}


class MalformedRequest(Problem):
    """The body or a parameter cannot be read at all."""

    status = 400
    slug = "malformed-request"
    title = _("Malformed request")
    meaning = _(
        "The body is not JSON, or not an object; a name stands in it twice; it is nested too deeply; a text"
        " holds a NUL or half of a surrogate pair; or a parameter such as `page` is no whole number."
    )
    advice = _("Mend the request.")


class RivalCredentials(MalformedRequest):
    """The request carries two different credentials (RFC 6750 section 2 allows one)."""

    slug = "rival-credentials"
    title = _("More than one credential")
    meaning = _("The request carries two different credentials, in `Authorization` and in `api-token`.")
    advice = _("Send one.")


class InvalidLink(Problem):
    """A mailed link is unknown, expired, used, for another purpose, or overtaken: deliberately the same error."""

    status = 400
    slug = "invalid-link"
    title = _("This link is not valid any more")
    meaning = _(
        "The mailed link or code is unknown or expired, was used before, is for something else, or the "
        "account has changed since it was sent: deliberately the same answer."
    )
    advice = _("Ask for a new one.")


class Unauthorized(Problem):
    """Who is calling is not known. `challenge` is the RFC 6750 section 3.1 error code, empty for none."""

    status = 401
    slug = "unauthorized"
    title = _("Not authenticated")
    meaning = _("Nobody knows who is calling, and nothing more precise applies.")
    advice = _("Log in.")
    challenge: ClassVar[str] = ""

    def headers(self) -> dict[str, str]:
        """`WWW-Authenticate`, without a realm: it would only repeat the address."""
        if not self.challenge:
            return {"WWW-Authenticate": "Bearer"}
        text = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in self.detail)
        return {"WWW-Authenticate": f'Bearer error="{self.challenge}", error_description="{text}"'}


class MissingToken(Unauthorized):
    """The request carries no credential."""

    slug = "token-missing"
    title = _("No token")
    meaning = _("This wants a token and there is none.")
    advice = _("Send `Authorization: Bearer <token>`.")


class InvalidToken(Unauthorized):
    """The token is not one of ours, was altered, or is for another purpose."""

    slug = "token-invalid"
    title = _("Invalid token")
    meaning = _(
        "The token is none of ours, or was altered, or is for another purpose, issuer or audience; `detail`"
        " says which."
    )
    advice = _(
        "Log in. If it happens to everybody, compare `LINKED_AUTH_ISSUER` and the secret of the services."
    )
    challenge = "invalid_token"


class ExpiredToken(InvalidToken):
    """The token was good and its time is over."""

    slug = "token-expired"
    title = _("Expired token")
    meaning = _("The token was good and its time is over.")
    advice = _("Refresh, and send the request again.")


class RevokedToken(InvalidToken):
    """The token was good until a logout, a password change or a deactivation ended it."""

    slug = "token-revoked"
    title = _("Revoked token")
    meaning = _(
        "The token was good until a logout, a change of password, a deactivation or a deletion ended it."
    )
    advice = _("Log in.")


class UnknownUser(InvalidToken):
    """The token is good but its person was deleted or deactivated."""

    slug = "user-unknown"
    title = _("Unknown user")
    meaning = _("The token is good, but its person was deleted or deactivated meanwhile.")
    advice = _("Log in, if there is an account.")


class StaleLogin(Unauthorized):
    """The view wants a more recent login (RFC 9470). `max_age` is in seconds."""

    slug = "login-too-old"
    title = _("Log in again")
    meaning = _(
        "This wants the password to have been given more recently than it was; `WWW-Authenticate` has"
        " `max_age` in seconds."
    )
    advice = _("Log in again (a refresh does not help), and send the request again.")
    challenge = "insufficient_user_authentication"

    def __init__(self, max_age: int) -> None:
        super().__init__("This needs a login of at most %(age)s seconds ago.", values={"age": max_age})
        self.max_age = max_age

    def headers(self) -> dict[str, str]:
        """`WWW-Authenticate` with `max_age` (RFC 9470 section 3)."""
        return {"WWW-Authenticate": f"{super().headers()['WWW-Authenticate']}, max_age={self.max_age}"}


class InvalidCredentials(Unauthorized):
    """Unknown person, wrong password, deactivated person: deliberately the same error."""

    slug = "invalid-credentials"
    title = _("Invalid credentials")
    meaning = _(
        "The e-mail address or user name is unknown, or the password is wrong, or the person is "
        "deactivated: deliberately the same answer."
    )
    advice = _("Ask for both again.")


class InvalidRefreshToken(Unauthorized):
    """The refresh token is unknown, expired, or its login has ended."""

    slug = "refresh-token-invalid"
    title = _("Invalid refresh token")
    meaning = _("The refresh token is unknown or expired, or its login has ended.")
    advice = _("Log in.")
    challenge = "invalid_token"


class ReusedRefreshToken(InvalidRefreshToken):
    """A refresh token that was already exchanged came again: its login has been ended."""

    slug = "refresh-token-reused"
    title = _("Refresh token used twice")
    meaning = _(
        "The refresh token had been exchanged before, so somebody else may hold its successor; the login "
        "has been ended."
    )
    advice = _(
        "Log in. If it happens without a thief, the client keeps old refresh tokens, or refreshes twice at "
        "once and too late."
    )


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status = 403
    slug = "forbidden"
    title = _("Not allowed")
    meaning = _("The caller is known and may not do this.")


class CSRFFailed(Forbidden):
    """A browser's cookie came with an unsafe method, and without proof that a page of ours sent the request.

    `foreign` says that another site did.
    """

    slug = "csrf-failed"
    title = _("The request may not be yours")
    meaning = _(
        "The browser's login came along with a request that changes something, but the request comes from another "
        "site, or carries no CSRF token of this login."
    )
    advice = _("Reload the page and try again. Scripts send the token in the header `X-CSRF-Token`.")

    def __init__(self, detail: str | None = None, *, foreign: bool = False) -> None:
        super().__init__(detail)
        self.foreign = foreign


class MissingScope(Forbidden):
    """The caller lacks a scope. `scopes` are the missing ones (all of them, or any one under `any_of`)."""

    slug = "forbidden-scope"
    title = _("Missing scope")
    meaning = _(
        "The caller lacks a scope; the member `scope` and `WWW-Authenticate` name those that are missing."
    )
    advice = _("Ask somebody who grants it.")

    def __init__(self, scopes: Sequence[str], *, any_of: bool = False) -> None:
        self.scopes = tuple(scopes)
        members = {"scope": " ".join(self.scopes)}
        if any_of and len(self.scopes) > 1:
            many = {"first": ", ".join(self.scopes[:-1]), "last": self.scopes[-1]}
            super().__init__("This needs the scope %(first)s or %(last)s.", values=many, members=members)
        else:
            words = {"scopes": ", ".join(self.scopes)}
            super().__init__("This needs the scope %(scopes)s.", values=words, members=members)

    def headers(self) -> dict[str, str]:
        """RFC 6750 section 3.1: `insufficient_scope` names what is needed."""
        return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{" ".join(self.scopes)}"'}


class RegistrationClosed(Forbidden):
    """`LINKED_AUTH_REGISTRATION` is off: accounts are made by operators only."""

    slug = "registration-closed"
    title = _("Registration is closed")
    meaning = _("`LINKED_AUTH_REGISTRATION` is off: accounts are made by operators only.")
    advice = _("Ask an operator for an account.")


class NotFound(Problem):
    """No such thing, or none that the caller may know of."""

    status = 404
    slug = "not-found"
    title = _("Not found")
    meaning = _("There is no such thing, or none that the caller may know of.")


class MethodNotAllowed(Problem):
    """The path exists for other methods; `allowed` names them."""

    status = 405
    slug = "method-not-allowed"
    title = _("Method not allowed")
    meaning = _("The path exists for other methods, which `Allow` names.")

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        super().__init__()
        self.allowed = tuple(sorted(allowed))

    def headers(self) -> dict[str, str]:
        """`Allow` (RFC 9110 section 15.5.6)."""
        return {"Allow": ", ".join(self.allowed)}


class Conflict(Problem):
    """The request clashes with what is stored."""

    status = 409
    slug = "conflict"
    title = _("Conflict")
    meaning = _(
        "The request clashes with what is stored: a person to whom other records still point is to be "
        "deleted, say."
    )


class Taken(Conflict):
    """An e-mail address or a user name that must be unique belongs to somebody else."""

    slug = "taken"
    title = _("Already taken")
    meaning = _("The e-mail address or the user name belongs to somebody else; `errors` says which.")
    advice = _("Choose another.")


class TooLarge(Problem):
    """The body is larger than the endpoint reads."""

    status = 413
    slug = "too-large"
    title = _("Body too large")
    meaning = _("The body is larger than this endpoint reads.")


class UnsupportedMediaType(Problem):
    """The body is not `application/json`."""

    status = 415
    slug = "unsupported-media-type"
    title = _("Unsupported media type")
    meaning = _("The body is not sent as `application/json`.")
    advice = _("Set `Content-Type`.")


class InvalidFields(Problem):
    """The body can be read and its fields are wrong; `errors` says which and why."""

    status = 422
    slug = "invalid-fields"
    title = _("Invalid fields")
    meaning = _(
        "The body can be read, and fields in it are missing, unknown or wrong; `errors` says which and why."
    )
    advice = _("Mend the fields.")


class _Later(Problem):
    """An error after which trying again in `retry_after` seconds makes sense."""

    def __init__(
        self, detail: str | None = None, *, values: Mapping[str, Any] | None = None, retry_after: int = 1
    ) -> None:
        super().__init__(detail, values=values)
        self.retry_after = max(1, retry_after)

    def headers(self) -> dict[str, str]:
        """`Retry-After` in seconds (RFC 9110 section 10.2.3)."""
        return {"Retry-After": str(self.retry_after)}


class TooManyRequests(_Later):
    """A rate limit is used up (RFC 6585 section 4)."""

    status = 429
    slug = "too-many-requests"
    title = _("Too many requests")
    meaning = _("A rate limit is used up.")
    advice = _("Wait for the seconds in `Retry-After`.")


class Unavailable(_Later):
    """Something we need (the database, a free hashing slot, the revocation feed) is out of reach."""

    status = 503
    slug = "unavailable"
    title = _("Temporarily unavailable")
    meaning = _(
        "Something that is needed is out of reach for a moment: the database, a free place for hashing a "
        "password, the keys."
    )
    advice = _("Try again after the seconds in `Retry-After`.")


class InternalError(Problem):
    """A bug, here or in a hook of the host's. The answer says nothing more; the log does."""

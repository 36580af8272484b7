"""What the other side says about its people: asked for over its users path, and believed as little as possible."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from ..errors import LinkedAuthError
from ..strict_json import read_json
from .asking import read_answer
from .client import Service
from .names import is_subject

if TYPE_CHECKING:
    from .link import Link

__all__ = [
    "Page",
    "Profile",
    "ask_address",
    "ask_health",
    "ask_page",
    "ask_profile",
    "profile_in",
    "push_profile",
]

log = logging.getLogger("flask_linked_auth")

TIMEOUT = (3.0, 5.0)  # seconds to connect, and between two pieces of the answer
LONGEST = 10.0  # seconds for the whole answer, which may drip
ONE, MANY = 64 * 1024, 4 * 1024 * 1024  # bytes of an answer about one person, and about a page of them


@dataclass(frozen=True, slots=True)
class Profile:
    """Somebody as a linked app tells of them. `external_id` is its own id, as text.

    `email_verified` is whether it says, in so many words, that mail to the address reaches them.
    """

    external_id: str
    username: str
    email: str
    first_name: str = ""
    last_name: str = ""
    email_verified: bool = False

    @property
    def name(self) -> str:
        """Both names, with a space between."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the other side's people; `total` is how many there are, None where it does not say."""

    profiles: Sequence[Profile]
    size: int  # of the page, those included who could not be read
    total: int | None


@dataclass(frozen=True, slots=True)
class _Reply:
    """`status` is 0 when nobody answered in time; `value` None for what is no JSON."""

    status: int
    value: Any
    headers: Mapping[str, str]


_SILENCE = _Reply(0, None, {})


def ask_profile(link: Link, external_id: str) -> Profile | None:
    """What the other side says about this one of its people; None whatever went wrong."""
    reply = _ask(link, f"{link.users_path.rstrip('/')}/{quote(external_id, safe='')}", {}, limit=ONE)
    if not 200 <= reply.status < 300:
        log.info(
            "The linked app %s did not tell who one of its people is: status %s", link.slug, reply.status
        )
        return None
    profile = profile_in(reply.value, slug=link.slug)
    if profile is not None and profile.external_id != external_id:
        log.warning("The linked app %s was asked for one person and told of another", link.slug)
        return None
    return profile


def ask_page(link: Link, *, limit: int, offset: int) -> Page | None:
    """Some of the other side's people; None whatever went wrong."""
    reply = _ask(link, link.users_path, {"limit": str(limit), "offset": str(offset)}, limit=MANY)
    listed = _listed(reply)
    if listed is None:
        return None
    found = [profile_in(each, slug=link.slug) for each in listed]
    return Page([each for each in found if each is not None], len(listed), _total(reply))


def ask_address(link: Link, email: str) -> Profile | None:
    """The one of the other side's people who has this e-mail address; None for nobody, and whatever went wrong."""
    found = [
        profile_in(each, slug=link.slug)
        for each in _listed(_ask(link, link.users_path, {"email": email}, limit=MANY)) or ()
    ]
    # Looked at here too: a list that knows no filter has everybody.
    fitting = [each for each in found if each is not None and each.email.lower() == email.lower()]
    return fitting[0] if len(fitting) == 1 else None


def ask_health(link: Link, external_id: str) -> bool | None:
    """Whether the other side still has this person; None when it cannot be found out.

    The list is asked and not the person: a users path that is wrong answers 404 as well.
    """
    reply = _ask(link, link.users_path, {"id": external_id}, limit=MANY)
    listed = _listed(reply)
    if listed is None:
        return None
    ids = [_id_of(each.get("id")) for each in listed if isinstance(each, Mapping)]
    if external_id in ids:
        return True
    return False if not listed else None


def push_profile(link: Link, subject: str, profile: Mapping[str, Any]) -> int:
    """Send a person's profile to the other side, on their behalf; the status of its answer, 0 for none in time.

    Raises ValueError for a link that cannot speak for this person.
    """
    with Service(link, subject) as there:
        try:
            answer = there.post(link.users_path, json=dict(profile), timeout=TIMEOUT, stream=True)
            answer.close()
        except (RequestException, HTTPError, LinkedAuthError, OSError) as error:
            log.warning("The linked app %s cannot be told of a person: %s", link.slug, type(error).__name__)
            return 0
        return int(answer.status_code)


def profile_in(value: Any, *, slug: str) -> Profile | None:
    """A person in what an app has answered; None, and a line in the log, if something that is needed is missing."""
    if not isinstance(value, Mapping):
        log.warning("The linked app %s answered something else than a person", slug)
        return None
    external_id, username = _id_of(value.get("id")), value.get("username")
    email = value.get("email")
    given = {"id": external_id, "username": _text(username, 150), "email": _text(email, 254)}
    if missing := [name for name, text in given.items() if not text]:
        log.warning(
            "missing-required-fields: the linked app %s told of a person without %s",
            slug,
            ", ".join(missing),
        )
        return None
    return Profile(
        external_id,
        given["username"],
        given["email"],
        _text(value.get("first_name"), 150),
        _text(value.get("last_name"), 150),
        value.get("email_verified") is True,
    )


def _id_of(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    return str(value) if is_subject(str(value)) else ""


def _text(value: Any, most: int) -> str:
    return value if isinstance(value, str) and len(value) <= most and value.isprintable() else ""


def _listed(reply: _Reply) -> list[Any] | None:
    """The list in an answer: a bare one, or that in a page of Django REST framework."""
    value = reply.value.get("results") if isinstance(reply.value, Mapping) else reply.value
    return value if 200 <= reply.status < 300 and isinstance(value, list) else None


def _total(reply: _Reply) -> int | None:
    said = reply.headers.get("X-Total-Count", "")
    if isinstance(reply.value, Mapping):
        said = str(reply.value.get("count", ""))
    return int(said) if said.isascii() and said.isdigit() and len(said) < 12 else None


def _ask(link: Link, path: str, params: Mapping[str, str], *, limit: int) -> _Reply:
    """One question in our own name. Whatever the other side does, it costs a few seconds and a few megabytes."""
    try:
        with Service(link) as there:
            there.retries = 1
            answer = there.get(path, params=params, timeout=TIMEOUT, stream=True)
            body = read_answer(answer, most=limit, longest=LONGEST)
            return _Reply(answer.status_code, None if body is None else read_json(body), answer.headers)
    except (RequestException, HTTPError, LinkedAuthError, OSError) as error:
        log.warning("The linked app %s cannot be asked: %s", link.slug, type(error).__name__)
    except (ValueError, RecursionError):
        log.warning("The linked app %s has no key to be asked with, or answered what is not JSON", link.slug)
    return _SILENCE

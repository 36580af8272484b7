"""What the name of a service and the id of a person may look like where they travel in headers."""

from __future__ import annotations

import re

__all__ = ["MAX_SUBJECT", "SLUG", "check_slug", "check_subject", "is_subject"]

#: A service's slug: nothing that separates anything in a header, an address or a query.
SLUG = r"[A-Za-z0-9_-]{1,50}"
MAX_SUBJECT = 255  # characters

_slug = re.compile(SLUG).fullmatch
# Texts that int() takes for a number that is written otherwise: "+1", "01" and "1_0" must never become a person.
_ODD_NUMBER = r"(?!(?:0|-?[1-9][0-9]*)\Z)[+-]?[0-9][0-9_]*\Z"
_subject = re.compile(rf"(?!{_ODD_NUMBER})[!-~]{{0,{MAX_SUBJECT}}}").fullmatch


def check_slug(text: str) -> str:
    """The slug as it is. Raises ValueError when it cannot stand in a header."""
    if not isinstance(text, str) or _slug(text) is None:
        raise ValueError(f"{text!r} is no slug: 1 to 50 of the characters a-z, A-Z, 0-9, - and _.")
    return text


def is_subject(text: object) -> bool:
    """Whether it is a person's id as text: visible ASCII, a number in its one usual form, or "" for nobody."""
    return text == "" or (isinstance(text, str) and _subject(text) is not None)


def check_subject(text: str) -> str:
    """The subject as it is. Raises ValueError when it cannot stand in a header or would be read as another."""
    if not is_subject(text):
        raise ValueError(
            f"{text!r} cannot travel as a person's id: visible ASCII, numbers in their usual form."
        )
    return text

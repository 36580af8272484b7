"""Dictionaries of structured fields (RFC 8941, RFC 9651), taken apart member by member and not believed."""

from __future__ import annotations

import re

__all__ = ["MAX_LENGTH", "MAX_MEMBERS", "members"]

MAX_LENGTH = 4096  # characters of a field
MAX_MEMBERS = 4

# Every quantifier is possessive: a field is read once, from left to right, however it was made to look.
_KEY = r"[a-z*][a-z0-9_\-.*]*+"
_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*+"'
_NUMBER = r"-?+[0-9]{1,15}+(?:\.[0-9]{1,3}+)?+"
_TOKEN = r"[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*+"
_BYTES = r":[A-Za-z0-9+/]*+={0,2}+:"
_OTHERS = r'\?[01]|@-?+[0-9]{1,15}+|%"(?:[ !#$&-~]|%[0-9a-f]{2})*+"'  # a boolean, a date, a text in Unicode
_BARE = rf"(?:{_STRING}|{_NUMBER}|{_TOKEN}|{_BYTES}|{_OTHERS})"
_PARAMETERS = rf"(?:; *+{_KEY}(?:={_BARE})?+)*+"
_ITEM = rf"{_BARE}{_PARAMETERS}"
_LIST = rf"\( *+(?:{_ITEM}(?: ++{_ITEM})*+ *+)?+\){_PARAMETERS}"
_member = re.compile(rf"({_KEY})(?:=({_LIST}|{_ITEM})|{_PARAMETERS})").match
_comma = re.compile(r"[ \t]*+,[ \t]*+").match


def members(text: str) -> list[tuple[str, str]]:
    """The keys with their values as they are written, parameters included; "" for a bare key.

    A key that stands there twice is in the list twice. Raises ValueError for anything but a dictionary (RFC 8941
    section 4.2.2), for a longer one than `MAX_LENGTH` and for more members than `MAX_MEMBERS`.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError("A structured field is too long.")
    found: list[tuple[str, str]] = []
    position, end = 0, len(text)
    while len(found) < MAX_MEMBERS:
        member = _member(text, position)
        if member is None:
            raise ValueError("This is not a dictionary of structured fields.")
        found.append((member[1], member[2] or ""))
        if member.end() == end:
            return found
        comma = _comma(text, member.end())
        if comma is None:
            raise ValueError("This is not a dictionary of structured fields.")
        position = comma.end()
    raise ValueError("A structured field has too many members.")

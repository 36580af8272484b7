"""What marshmallow says of a field, recognised, so that it can be said in another language."""

from __future__ import annotations

import re

from .catalogs import Text, _

__all__ = ["recognised"]

#: Its messages without values are found in the catalogs as they are; here they are only marked.
PLAIN = (
    _("Missing data for required field."),
    _("Field may not be null."),
    _("Unknown field."),
    _("Invalid value."),
    _("Invalid input."),
    _("Invalid type."),
    _("Invalid input type."),
    _("Not a valid string."),
    _("Not a valid utf-8 string."),
    _("Not a valid number."),
    _("Not a valid integer."),
    _("Number too large."),
    _("Not a valid boolean."),
    _("Not a valid list."),
    _("Not a valid mapping type."),
    _("Not a valid date."),
    _("Not a valid datetime."),
    _("Not a valid UUID."),
    _("Not a valid URL."),
    _("Not a valid email address."),
    _("Not a valid IP address."),
    _("String does not match expected pattern."),
)
#: Those with values come filled in, and are known by their pattern.
FILLED = (
    _("Shorter than minimum length %(min)s."),
    _("Longer than maximum length %(max)s."),
    _("Length must be between %(min)s and %(max)s."),
    _("Length must be %(equal)s."),
    _("Must be greater than or equal to %(min)s and less than or equal to %(max)s."),
    _("Must be greater than or equal to %(min)s."),
    _("Must be greater than %(min)s."),
    _("Must be less than or equal to %(max)s."),
    _("Must be less than %(max)s."),
    _("Must be equal to %(other)s."),
    _("Must be one of: %(choices)s."),
)

_PATTERNS = tuple(
    (
        re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.{1,500})", re.escape(each)).replace("\\ ", " ")),
        str(each),
    )
    for each in FILLED
)


def recognised(complaint: str) -> Text:
    """The complaint as a text that can be translated; one that is a host's own stays as it is."""
    if isinstance(complaint, Text):
        return complaint
    for pattern, template in _PATTERNS:
        match = pattern.fullmatch(complaint)
        if match:
            return Text(template, match.groupdict())
    return Text(complaint)

"""What the JSON of activities and tracks has in common: texts, moments, keys."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate

__all__ = ["MAX_KEY", "MomentField", "is_key", "name_rules", "text_rules"]

MAX_KEY = 999_999_999  # more does not fit into the columns everywhere
#: Whether a text from a path or a form can be the key of a row.
is_key = re.compile(r"[1-9][0-9]{0,8}", re.ASCII).fullmatch

_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(?P<zone>[Zz]|[+-]\d\d:\d\d)?", re.ASCII
).fullmatch
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
# What lies outside is a slip, and near the ends of the calendar no zone can be reckoned with.
_YEARS = range(1970, 2200)


def _not_blank(text: str) -> None:
    if not text.strip():
        raise ValidationError("Must not be blank.")


def _one_line(text: str) -> None:
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text.strip()):
        raise ValidationError("Must be one line, without control characters.")


def _storable(text: str) -> None:
    if "\0" in text:  # from a form; PostgreSQL takes none, and of JSON it is refused before
        raise ValidationError("Must not hold a NUL.")


def name_rules(longest: int) -> dict[str, Any]:
    """The arguments of a field for one line that must not be blank."""
    return {
        "required": True,
        "validate": [_not_blank, _one_line, validate.Length(max=longest)],
        # For the API document, which cannot read the code above.
        "metadata": {"minLength": 1, "pattern": r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"},
    }


def text_rules(longest: int) -> dict[str, Any]:
    """The arguments of a field for a text of any lines, which may be left out."""
    return {"load_default": "", "validate": [_storable, validate.Length(max=longest)]}


class MomentField(fields.DateTime):
    """A moment as in RFC 3339, such as `2026-03-01T09:30:00Z` or `2026-03-01T10:30:00+01:00`; to the second, in UTC.

    One without a zone is refused: the reader's guess would be wrong by hours.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(allow_none=True, load_default=None, **more)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **more: Any) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> datetime:
        found = _MOMENT(value) if isinstance(value, str) else None
        if found is None and not (isinstance(value, str) and _DATE(value)):
            raise ValidationError("Must be a moment such as 2026-03-01T09:30:00Z.")
        if found is None or found["zone"] is None:
            raise ValidationError("Must say its time zone, as in 2026-03-01T09:30:00Z or …T10:30:00+01:00.")
        try:
            moment = datetime.fromisoformat(value.upper())
        except ValueError:
            raise ValidationError("There is no such day or time.") from None
        if moment.year not in _YEARS:
            raise ValidationError(f"Must lie in the years {_YEARS[0]} to {_YEARS[-1]}.")
        return moment.astimezone(UTC).replace(microsecond=0)

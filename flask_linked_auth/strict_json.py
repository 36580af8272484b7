"""JSON read in the one way in which two readers cannot differ, and whose texts a database and a log can take.

What arrives is a stranger's: a name that stands twice (each of two readers could believe another of the values),
NaN, a number or a nesting that costs more than it tells, NUL and lone surrogates are all refused.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

__all__ = ["MAX_DEPTH", "NoObject", "UnfitText", "read_json", "read_object"]

MAX_DEPTH = 32  # objects and lists within each other
MAX_DIGITS = 20  # of a whole number


class NoObject(ValueError):
    """It is JSON, and no object."""


class UnfitText(ValueError):
    """A text in it, or a name, holds a NUL or a lone surrogate."""


def read_object(data: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 without BOM (RFC 8259). Raises ValueError, NoObject and UnfitText, or RecursionError."""
    value = read_json(data)
    if type(value) is not dict:
        raise NoObject("Not a JSON object.")
    return value


def read_json(data: bytes) -> Any:
    """Any JSON value, read as strictly. Raises ValueError and UnfitText, or RecursionError."""
    text = data.decode()
    value = _decode(text)
    # An escape is the only way to write NUL or a surrogate, so all others skip the walk.
    if "\\u" in text or text.count("{") + text.count("[") > MAX_DEPTH:
        _check_values(value)
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("A name occurs twice.")  # another reader might take the other one
    return members


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("A number is too large.")
    return int(digits)


def _fraction(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("A number is too large.")
    return number


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


_decode = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_whole, parse_float=_fraction, parse_constant=_not_a_number
).decode


def _check_values(root: Any) -> None:
    """Refuse nesting that breaks later code, and texts that neither a database nor a log can take."""
    waiting: list[tuple[Any, int]] = [(root, 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, (dict, list)):
            if depth > MAX_DEPTH:
                raise ValueError("Nested too deeply.")
            parts = value if isinstance(value, list) else [*value, *value.values()]
            waiting.extend((part, depth + 1) for part in parts)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise UnfitText("NUL in a text.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnfitText("A lone surrogate in a text.") from None

"""Werkzeug's url rules as OpenAPI paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werkzeug.routing import Rule

__all__ = ["parameters_in", "template_of"]

_PART = re.compile(r"<(?:(\w+)(?:\((.*?)\))?:)?(\w+)>")
_BY_CONVERTER: Mapping[str, Mapping[str, Any]] = {
    "int": {"type": "integer", "minimum": 0},
    "float": {"type": "number", "minimum": 0},
    "uuid": {"type": "string", "format": "uuid"},
}
_ANY = {"type": "string", "minLength": 1}


def template_of(rule: Rule) -> str:
    """`/posts/<int:post_id>` as `/posts/{post_id}`."""
    return _PART.sub(lambda part: f"{{{part[3]}}}", rule.rule)


def parameters_in(rule: Rule) -> dict[str, dict[str, Any]]:
    """The parameters of a rule by name, each with the JSON schema of its converter."""
    return {name: dict(_schema(kind, arguments or "")) for kind, arguments, name in _PART.findall(rule.rule)}


def _schema(kind: str, arguments: str) -> Mapping[str, Any]:
    if kind == "any":
        return {"type": "string", "enum": [each.strip(" '\"") for each in arguments.split(",")]}
    schema = dict(_BY_CONVERTER.get(kind, _ANY))
    given = dict(re.findall(r"(\w+)\s*=\s*(\d+)", arguments))
    if "length" in given:
        given |= {"minlength": given["length"], "maxlength": given["length"]}
    names = {"min": "minimum", "max": "maximum", "minlength": "minLength", "maxlength": "maxLength"}
    return schema | {names[name]: int(value) for name, value in given.items() if name in names}

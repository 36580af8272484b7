"""marshmallow schemas and JSON schemas as components of the API document, and examples made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import RAISE, Schema

from ..http import MAX_PAGE, MAX_PAGE_SIZE, PAGE_SIZE
from .marks import Page, Shape

if TYPE_CHECKING:
    from apispec import APISpec

    from ..state import State

__all__ = ["PAGE_PARAMETERS", "Shapes"]

PAGE_PARAMETERS: Mapping[str, Any] = {
    "page": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 1},
    "page_size": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE},
}
_LINK = {"type": ["string", "null"], "format": "uri-reference"}
_BY_FORMAT = {
    "date-time": "2026-03-01T09:30:00Z",
    "date": "2026-03-01",
    "email": "ada@example.com",
    "uuid": "5f0c5b8e-6d1c-4d6f-9c1b-2f6f3c1a9e57",
}
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")  # of a component
_BY_TYPE: Mapping[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None}


class Shapes:
    """The components of one document: each schema becomes one for answers, one for bodies, one for changes."""

    def __init__(self, state: State) -> None:
        self.plugin = MarshmallowPlugin(schema_name_resolver=lambda schema: self._free_name(_name(schema)))
        self._state = state
        self._spec: APISpec
        self._known: dict[tuple[Any, ...], str] = {}

    def use(self, spec: APISpec) -> None:
        """The document that the components are for; it was made with `plugin`."""
        self._spec = spec

    def asked(self, shape: Shape) -> Shape:
        """What a function of the State gives, and any other shape as it is."""
        while callable(shape) and not isinstance(shape, type | Schema):
            shape = shape(self._state)
        return shape

    def json(self, shape: Shape, kind: str = "") -> Any:
        """A JSON schema; `kind` is `Body` or `Change` for what is read, empty for what is answered."""
        shape = self.asked(shape)
        if isinstance(shape, Page):
            return self._page(shape)
        if isinstance(shape, type) and issubclass(shape, Schema):
            shape = shape()
        if isinstance(shape, Schema):
            reference = {"$ref": f"#/components/schemas/{self._component(shape, kind)}"}
            return {"type": "array", "items": reference} if shape.many else reference
        if isinstance(shape, Mapping):
            return {name: self.json(each, kind) for name, each in shape.items()}
        if isinstance(shape, list | tuple):
            return [self.json(each, kind) for each in shape]
        return shape

    def _component(self, schema: Schema, kind: str) -> str:
        if kind == "Body" and schema.partial is True:
            kind = "Change"
        fields = {
            name: field
            for name, field in schema.fields.items()
            if not (field.dump_only if kind else field.load_only)
        }
        key = (type(schema), kind, *fields)
        if key not in self._known:
            self._known[key] = name = self._free_name(_name(schema) + kind)
            made = self.plugin.converter.fields2jsonschema(fields, partial=kind == "Change")  # type: ignore[union-attr]
            self._spec.components.schema(name, _finished(made, schema, kind))
        return self._known[key]

    def _free_name(self, name: str) -> str:
        taken, free, number = {*self._spec.components.schemas, *self._known.values()}, name, 1
        while free in taken:
            number += 1
            free = f"{name}{number}"
        return free

    def _page(self, page: Page) -> dict[str, Any]:
        items = self.json(page.of)
        properties = {
            "count": {"type": "integer", "minimum": 0, "description": "How many there are on all pages."},
            "next": _LINK | {"description": "The path of the next page, if there is one."},
            "previous": _LINK | {"description": "The path of the page before, if there is one."},
            "results": {"type": "array", "maxItems": MAX_PAGE_SIZE, "items": items},
        }
        return {"type": "object", "required": list(properties), "properties": properties}

    def example(self, schema: Mapping[str, Any]) -> Any:
        """An example that fits a JSON schema, composed of those of its properties."""
        if reference := schema.get("$ref"):
            return self.example(self._spec.components.schemas[reference.rpartition("/")[2]])
        for given in ("example", "default", "const"):
            if given in schema:
                return schema[given]
        for several in ("examples", "enum", "anyOf", "oneOf"):
            if schema.get(several) and (several not in {"anyOf", "oneOf"} or "properties" not in schema):
                first = schema[several][0]
                return first if several in {"examples", "enum"} else self.example(first)
        if "allOf" in schema:
            parts = [self.example(each) for each in schema["allOf"]]
            return {name: value for part in parts if isinstance(part, dict) for name, value in part.items()}
        return self._plain_example(schema)

    def _plain_example(self, schema: Mapping[str, Any]) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {name: self.example(each) for name, each in schema.get("properties", {}).items()}
        if kind == "array":
            return [self.example(schema["items"])] if "items" in schema else []
        if kind == "string":
            return _BY_FORMAT.get(schema.get("format", ""), "text")
        return schema.get("minimum", _BY_TYPE[kind])


def _name(schema: Any) -> str:
    """`PostSchema` is told of as `Post`, unless its `Meta.title` is another name."""
    kind = schema if isinstance(schema, type) else type(schema)
    if title := getattr(kind.__dict__.get("Meta"), "title", None):
        return _NOT_A_NAME.sub("", str(title))
    return kind.__name__.removesuffix("Schema").strip("_") or kind.__name__


def _finished(made: dict[str, Any], schema: Schema, kind: str) -> dict[str, Any]:
    """What apispec leaves out: that one direction only is meant, and what comes or may come besides."""
    for each in made["properties"].values():
        each.pop("readOnly", None)
        each.pop("writeOnly", None)
    if not kind:
        made["required"] = list(made["properties"])
    elif schema.unknown == RAISE:
        made["additionalProperties"] = False
    if told := type(schema).__dict__.get("__doc__"):
        made["description"] = " ".join(told.split())
    return made

"""Texts that remember what they were made of, the catalogs that translate them, and which language a reader wants."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any, Self

__all__ = ["DOMAIN", "SOURCE", "Catalog", "Catalogs", "Text", "_", "catalogs_in"]

log = logging.getLogger("flask_linked_auth")

DOMAIN = "linked_auth"
SOURCE = "en"  # what the texts in the code are written in
OURS = Path(__file__).parent / "translations"

# A header can be as long as the server lets it: what is read of it is what any browser sends, and more.
MAX_HEADER, MAX_RANGES = 500, 20
_RANGE = re.compile(
    r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,4}|\*)\s*(?:;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.ASCII,
)


class Text(str):
    """A text in English that can still be said in another language: it keeps its template and its values.

    A value that is a Text itself is translated too.
    """

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, Any]

    def __new__(cls, template: str, values: Mapping[str, Any] | None = None) -> Self:
        """The template filled in; without values it is taken as it is, whatever percent signs are in it."""
        text = super().__new__(cls, template % values if values else template)
        text.template, text.values = template, dict(values or {})
        return text


def _(template: str, /, **values: Any) -> Text:
    """Mark a text for the catalogs: `_("Use at least %(count)s characters.", count=15)`. It stays English for now."""
    return Text(template, values)


class Catalog:
    """The texts of one language; what it has no translation for stays English."""

    def __init__(self, language: str, translations: NullTranslations | None = None) -> None:
        self.language = language
        self._translations = translations or NullTranslations()

    def gettext(self, text: str, /, **values: Any) -> str:
        """`text` in this language, with `values` filled in."""
        template = text.template if isinstance(text, Text) else str(text)
        given = {**text.values, **values} if isinstance(text, Text) else values
        # An empty message is the catalog's own header.
        return self._filled(template and self._translations.gettext(template), template, given)

    def ngettext(self, one: str, many: str, num: int, /, **values: Any) -> str:
        """`one` or `many` in this language, by the number; `%(num)s` is the number."""
        template = one if num == 1 else many
        return self._filled(self._translations.ngettext(one, many, num), template, {"num": num, **values})

    def _filled(self, translated: str, template: str, values: Mapping[str, Any]) -> str:
        if not values:
            return translated
        said = {name: self.gettext(v) if isinstance(v, Text) else v for name, v in values.items()}
        try:
            return translated % said
        except (KeyError, TypeError, ValueError):  # a slip in a host's catalog must not turn a 401 into a 500
            return template % said


class Catalogs:
    """Every language there is: ours, and what further `directories` have in the domain `linked_auth`.

    They are laid out as gettext wants it: `<directory>/<language>/LC_MESSAGES/linked_auth.mo`. An earlier directory
    wins, text by text, so a host adds a language or changes single texts.
    """

    def __init__(self, *directories: Path) -> None:
        found: dict[str, NullTranslations] = {SOURCE: NullTranslations()}
        for language, translations in _read((*directories, OURS)):
            if language in found:
                found[language].add_fallback(translations)
            else:
                found[language] = translations
        # English may be changed by a host too; its fallback is what stands in the code.
        self._catalogs = {language: Catalog(language, each) for language, each in found.items()}

    @property
    def languages(self) -> tuple[str, ...]:
        """The language tags, lower case."""
        return tuple(self._catalogs)

    def named(self, language: str) -> Catalog:
        """The catalog for a language tag such as `es` or `es-MX` (RFC 4647 section 3.4); English if there is none."""
        return self._catalogs[self._known(language) or SOURCE]

    def negotiate(self, header: str) -> Catalog:
        """The best catalog for an `Accept-Language` (RFC 9110 section 12.5.4), English for none and for garbage."""
        best, weight = SOURCE, 0
        named: set[str | None] = set()
        star = 0
        for tag, quality in _ranges(header):
            if tag == "*":
                star = max(star, quality)
                continue
            known = self._known(tag)
            named.add(known)
            if known is not None and quality > weight:
                best, weight = known, quality
        if star > weight and SOURCE not in named:
            best = SOURCE
        return self._catalogs[best]

    def _known(self, tag: str) -> str | None:
        tag = tag.lower().replace("_", "-")
        while tag and tag not in self._catalogs:
            tag = tag.rpartition("-")[0]
        return tag or None


def _ranges(header: str) -> Iterator[tuple[str, int]]:
    """The language ranges with their weights in thousandths; what cannot be read is left out."""
    for part in header[:MAX_HEADER].split(",", MAX_RANGES)[:MAX_RANGES]:
        match = _RANGE.fullmatch(part)
        if match:
            yield match[1], 1000 if match[2] is None else round(float(match[2]) * 1000)


def _read(directories: tuple[Path, ...]) -> Iterator[tuple[str, GNUTranslations]]:
    for directory in directories:
        for file in sorted(directory.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")):
            try:
                translations = GNUTranslations(BytesIO(file.read_bytes()))
            except (OSError, ValueError, struct.error) as error:
                # One bad file of a host's, and no error of ours could be told any more.
                log.warning("The catalog %s cannot be read: %s", file, error)
                continue
            yield file.parts[-3].lower().replace("_", "-"), translations


@lru_cache(maxsize=64)  # one entry for each app in this process; reading the files takes a millisecond
def catalogs_in(*directories: Path) -> Catalogs:
    """`Catalogs` for these directories, read once."""
    return Catalogs(*directories)

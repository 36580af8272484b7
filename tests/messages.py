"""Collect the texts of the package and compile their translations: `python -m tests.messages`.

What is marked by `_`, `gettext` or `ngettext` in Python and in templates is a text, and so is the first argument of
every error that can be answered: `raise NotFound("There is no such user.")` needs no mark.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from flask_linked_auth import errors, link_errors

PACKAGE = Path(errors.__file__).parent
TRANSLATIONS = PACKAGE / "translations"
DOMAIN = "linked_auth"


def calls(
    file: Any, keywords: Any, comment_tags: Any, options: Any
) -> Iterator[tuple[int, str, Any, list[str]]]:
    """The calls in a module by which a text is marked. Babel's own method takes `X(errors={"a": …})` for a text."""
    for node in ast.walk(ast.parse(file.read())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = [each.value if isinstance(each, ast.Constant) else None for each in node.args]
            if name in keywords and given and isinstance(given[0], str):
                yield node.lineno, name, tuple(given), []


CALLS = "tests.messages:calls"  # as Babel wants to be told
METHODS = [("**.py", CALLS), ("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]
KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "ngettext": (1, 2)}
KEYWORDS |= {
    name: (1,)
    for module in (errors, link_errors)
    for name in module.__all__
    if issubclass(getattr(module, name), errors.Problem)
    # Their first argument is no text, but what a text is made with; `super().__init__` says which.
    and name not in {"MethodNotAllowed", "MissingScope", "StaleLogin"}
}
#: In the module of the errors, also what they say in their own constructors.
KEYWORDS_OF_ERRORS = {**KEYWORDS, "__init__": (1,)}

#: Werkzeug's names of the statuses for which there is no class of ours.
HTTP_NAMES = (
    *("Not Acceptable", "Request Timeout", "Gone", "Length Required", "Precondition Failed"),
    *("Request URI Too Long", "Requested Range Not Satisfiable", "Expectation Failed", "I'm a teapot"),
    *("Misdirected Request", "Locked", "Failed Dependency", "Precondition Required"),
    *("Request Header Fields Too Large", "Unavailable For Legal Reasons", "Not Implemented", "Bad Gateway"),
    *("Gateway Timeout", "HTTP Version Not Supported"),
)
#: Lines that only say when and by what the file was written, which git knows.
NOISE = (
    *('"Project-Id-Version', '"Report-Msgid', '"POT-', '"PO-', '"Last-Translator', '"Language-Team'),
    '"Generated-By',
)


def extracted() -> Catalog:
    """Every text of the package, with the files it stands in."""
    catalog = Catalog(domain=DOMAIN, fuzzy=False)
    errors_only, others = [("errors.py", CALLS)], [("errors.py", "ignore"), *METHODS]
    found = chain(
        extract_from_dir(PACKAGE, errors_only, keywords=KEYWORDS_OF_ERRORS),
        extract_from_dir(PACKAGE, others, keywords=KEYWORDS),
    )
    for file, _line, text, _comments, context in found:
        # Without line numbers: they change all the time, and a catalog that is up to date stays as it is.
        catalog.add(text, None, [(file, 0)], context=context)
    for name in HTTP_NAMES:
        catalog.add(name, None, [("http.py", 0)])
    return catalog


def catalogs() -> Iterator[Path]:
    """The .po file of each language."""
    yield from sorted(TRANSLATIONS.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def read(file: Path) -> Catalog:
    """The catalog in a .po file."""
    with file.open("rb") as opened:
        return read_po(opened, locale=file.parts[-3], domain=DOMAIN)


def texts_of(catalog: Catalog) -> dict[Any, Message]:
    """The messages of a catalog by their English text, without its header."""
    return {message.id: message for message in catalog if message.id}


def compiled(file: Path) -> bytes:
    """The .mo that belongs to a .po."""
    catalog, buffer = read(file), BytesIO()
    catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)  # the same at each run
    write_mo(buffer, catalog)
    return buffer.getvalue()


def updated(file: Path) -> bytes:
    """The .po as it should be: every text of the package, with the translations that it has."""
    catalog = read(file)
    catalog.update(extracted(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    buffer = BytesIO()
    write_po(buffer, catalog, width=110, sort_output=True, include_lineno=False)
    lines = buffer.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(NOISE)).encode()


def main() -> int:
    """Update and compile each language; 1 if a text lacks its translation."""
    lacking = 0
    for file in catalogs():
        file.write_bytes(updated(file))
        file.with_suffix(".mo").write_bytes(compiled(file))
        untranslated = [text for text, message in texts_of(read(file)).items() if not is_whole(message)]
        for text in untranslated:
            sys.stdout.write(f"{file.parts[-3]}: no translation of {text!r}\n")
        lacking += len(untranslated)
    return 1 if lacking else 0


def is_whole(message: Message) -> bool:
    """Whether a message is translated, in each of its forms."""
    strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return all(strings) and not message.fuzzy


if __name__ == "__main__":
    sys.exit(main())

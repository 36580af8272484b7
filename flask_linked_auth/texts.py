"""The language of the request, and texts in it. Outside a request it is English, unless a language is given."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import current_app, has_app_context, has_request_context, request

from .catalogs import SOURCE, Catalog, Catalogs, Text, _, catalogs_in

__all__ = ["Text", "_", "catalog", "gettext", "in_language", "language", "ngettext", "words"]

log = logging.getLogger("flask_linked_auth")
_KEPT = "flask_linked_auth.catalog"


def language() -> str:
    """The tag of the language that is spoken now, such as `es`: a plain value that can be passed to a worker."""
    return catalog().language


def gettext(text: str, /, **values: Any) -> str:
    """`text` in the language of the request: `gettext("Hello, %(name)s", name=name)`."""
    return catalog().gettext(text, **values)


def ngettext(one: str, many: str, num: int, /, **values: Any) -> str:
    """`one` or `many`, by the number, in the language of the request; `%(num)s` is the number."""
    return catalog().ngettext(one, many, num, **values)


def in_language(tag: str) -> Catalog:
    """The texts of a given language, for what is not an answer: a mail, say. English if there is no such."""
    return _catalogs().named(tag)


def words(spoken: Catalog | None = None) -> dict[str, Any]:
    """What our templates are rendered with: `_`, `ngettext` and `language`; of the request, or of `spoken`."""
    spoken = spoken or catalog()
    return {"_": spoken.gettext, "ngettext": spoken.ngettext, "language": spoken.language}


def catalog() -> Catalog:
    """The catalog of the request: by the host's Flask-Babel if it runs, else by `Accept-Language`."""
    if not has_request_context():
        return _catalogs().named(SOURCE)
    spoken = _of_babel()
    if spoken is None:
        # In the environ and not on `g`, which a test's app context shares among all its requests.
        spoken = request.environ.get(_KEPT)
        if spoken is None:
            spoken = _catalogs().negotiate(request.headers.get("Accept-Language", ""))
            request.environ[_KEPT] = spoken
    return spoken


def _of_babel() -> Catalog | None:
    """The catalog that Flask-Babel's locale names; None where there is no Flask-Babel."""
    if "babel" not in current_app.extensions:
        return None
    try:
        from flask_babel import get_locale

        locale = get_locale()
    except Exception:  # the selector is the host's: its bug must not turn a 401 into a 500
        log.exception("Flask-Babel cannot tell the locale")
        return None
    return None if locale is None else _catalogs().named(str(locale))


def _catalogs() -> Catalogs:
    if not has_app_context():
        return catalogs_in()
    # Where Flask-Babel looks too: a host keeps its texts and its changes to ours in one place.
    return _beside(
        current_app.root_path, current_app.config.get("BABEL_TRANSLATION_DIRECTORIES") or "translations"
    )


@lru_cache(maxsize=64)
def _beside(root: str, directories: str) -> Catalogs:
    return catalogs_in(*(Path(root) / each for each in directories.split(";")))

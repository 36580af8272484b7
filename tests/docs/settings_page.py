"""Write docs/settings.md from the settings' own dataclasses: `python -m tests.docs.settings_page`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from typing import Any

from flask_linked_auth.config import (
    PREFIX,
    AccountSettings,
    AppSettings,
    LinkSettings,
    Settings,
    TokenSettings,
)
from tests.docs.pages import ROOT

PAGE = ROOT / "docs/settings.md"

INTRODUCTION = """\
# Settings

<!-- Written by `python -m tests.docs.settings_page`, from the dataclasses in flask_linked_auth/config.py. -->

Every setting is a key of `app.config` that begins with `LINKED_AUTH_`. They are read and checked once, in
`LinkedAuth(app)` or `auth.init_app(app)`; a change of `app.config` after that has no effect. An unknown key, a value
of a wrong kind and a weak secret are refused at start, with the name of the key (and the nearest right one).

```python
from flask import Flask
from flask_linked_auth import LinkedAuth
from flask_linked_auth.errors import SettingsError

app = Flask(__name__)
app.config["LINKED_AUTH_ACESS_LIFETIME"] = 600
try:
    LinkedAuth(app)
except SettingsError as error:
    words = str(error)
```

```pycon
>>> print(words)
LINKED_AUTH_ACESS_LIFETIME is not a setting of flask_linked_auth or of a part that is in use.
Did you mean LINKED_AUTH_ACCESS_LIFETIME?
```

- `LINKED_AUTH_NAME`, `LINKED_AUTH_ISSUER` and `LINKED_AUTH_SECRET` must be given, except in debug mode and with
  `app.testing`, where they are filled in: the name from the app's, the issuer as `http://localhost:5000`, and a
  secret that is made once and kept in the instance folder. (A service that has its keys from
  `LINKED_AUTH_JWKS` or `LINKED_AUTH_JWKS_URL` needs no secret.)
- Outside of these modes the secret must not be guessable, nor the same as Flask's `SECRET_KEY`; and an issuer whose
  address begins with `http:` is warned of in the log.
- Durations are seconds, or a `timedelta`.
- From the environment: `app.config.from_prefixed_env()` before the extension is set up reads
  `FLASK_LINKED_AUTH_NAME` and so on. Values that are JSON are read as such, so a list is
  `FLASK_LINKED_AUTH_SECRET_FALLBACKS='["…"]'`, off is `FLASK_LINKED_AUTH_REGISTRATION=false` (in small letters), and a
  name of digits only wants quotes: `FLASK_LINKED_AUTH_NAME='"2024"'`.
- The settings of a part that is not in use are unknown keys as well: under `parts=[]` there is no
  `LINKED_AUTH_BCRYPT_COST`, and the error says which part it belongs to.
"""

SECTIONS: tuple[tuple[str, type[Any], str], ...] = (
    ("For every app", Settings, ""),
    ("Tokens", TokenSettings, "More on the page [tokens](tokens.md)."),
    ("Accounts", AccountSettings, "For apps with the part `Accounts()`, which is there by default."),
    ("Linked apps", AppSettings, "For apps with the part `Apps()`, which is there by default."),
    ("Links", LinkSettings, "For apps with the part `Links()`, which is there by default."),
)
DURATIONS = ((24 * 3600, "day"), (3600, "hour"), (60, "minute"))


def render() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for title, kind, words in SECTIONS:
        yield f"## {title}\n"
        if words:
            yield f"{words}\n"
        for field in fields(kind):
            yield from _setting(field)


def _setting(field: Field[Any]) -> Iterator[str]:
    yield f"### {PREFIX}{field.name.upper()}\n"
    yield f"{field.metadata['doc']}\n"
    yield f"- Value: {_wanted(field)}"
    assert callable(field.default_factory)
    default = field.default_factory()
    if isinstance(default, Mapping):
        yield "- By default:\n\n  | rule | limit |\n  |---|---|"
        yield "\n".join(f"  | `{name}` | `{rule}` |" for name, rule in default.items())
    else:
        yield f"- By default: {_shown(field, default)}"
    yield ""


def _wanted(field: Field[Any]) -> str:
    """What the setting's own check says that it must be, asked with values of which it refuses some."""
    said = dict.fromkeys(filter(None, (_complaint(field, each) for each in (object(), -1, "x", ["x"]))))
    words = [each.removeprefix("must be ") for each in said]
    if words[0].startswith("a list") and len(words) > 1:
        words[:] = [f"{words[0]}, each entry {words[1]}"]
    elif "seconds" not in words[0]:
        words[:] = words[-1:]
    return "; ".join(words) + ("" if _complaint(field, None) else ", or `None`")


def _complaint(field: Field[Any], value: Any) -> str | None:
    try:
        field.metadata["check"](value)
    except ValueError as error:
        return re.split(r"[.;] (?:It got a number|from the environment)", str(error))[0]
    return None


def _shown(field: Field[Any], default: Any) -> str:
    if field.name == "hashes_at_once":
        return "as many as there are processors, and at least 2"
    if default in ("", (), None):
        return "none"
    if isinstance(default, tuple):
        return ", ".join(f"`{each}`" for each in default)
    for seconds, unit in DURATIONS:
        if (
            isinstance(default, int)
            and "in seconds" in field.metadata["doc"]
            and default % seconds == 0 < default
        ):
            count = default // seconds
            return f"`{default}` ({count} {unit}{'s' if count > 1 else ''})"
    return f"`{default!r}`" if not isinstance(default, str) else f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")

"""What a person calls the program that a User-Agent header stands for."""

from __future__ import annotations

from ..catalogs import Text, _

__all__ = ["device_name"]

# Each claims to be those below it too, so the first that fits is right.
_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("PostmanRuntime/", "Postman"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device_name(agent: str) -> Text:
    """`Firefox on Windows`; what the program calls itself if it is none of the known; `Unknown program` for nothing."""
    program = next((name for mark, name in _PROGRAMS if mark in agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    if program and system:
        return _("%(program)s on %(system)s", program=program, system=system)
    return Text(program or agent[:60]) if program or agent.strip() else _("Unknown program")

"""A person who reads the account pages and fills in their forms, as a browser without JavaScript would."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from tests.browsers import SAME_ORIGIN
from tests.tiny import PASSWORD

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

VOID = {"input", "meta", "link", "br"}


@dataclass
class Shown:
    """A page as it is read: the texts by tag and class, and the forms."""

    title: str = ""
    heading: str = ""
    notice: str = ""
    text: str = ""
    errors: list[str] = field(default_factory=list)
    forms: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    buttons: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)  # the text of each element with an id
    language: str = ""

    def field(self, name: str) -> dict[str, str]:
        """The attributes of the one field of this name."""
        (found,) = [fields[name] for fields in self.forms.values() if name in fields]
        return found

    @property
    def csrf_token(self) -> str:
        """The token of any form of the page."""
        return next(fields["csrf_token"]["value"] for fields in self.forms.values())

    def complaint(self, name: str) -> str:
        """What is said to be wrong with a field; it must be tied to it for those who cannot see it."""
        it = self.field(name)
        if "aria-invalid" not in it:
            return ""
        return self.ids[next(each for each in it["aria-describedby"].split() if each.endswith("-complaint"))]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.shown = Shown()
        self._open: list[tuple[str, dict[str, str]]] = []
        self._form: dict[str, dict[str, str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.shown.language = given.get("lang", "")
        if tag == "form":
            self._form = self.shown.forms[given["action"]] = {}
        if tag == "input" and "name" in given:
            self._form[given["name"]] = given
        if tag == "a":
            self.shown.links.append(given.get("href", ""))
        if tag == "button":
            self.shown.buttons.append("")
        if tag == "li" and self._inside("errors"):
            self.shown.errors.append("")
        if tag not in VOID:
            self._open.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag, f"</{tag}> closes something else"

    def _inside(self, name: str) -> bool:
        return any(name in given.get("class", "").split() for _, given in self._open)

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text:
            return
        tags = [tag for tag, _ in self._open]
        for tag, name in (("title", "title"), ("h1", "heading")):
            if tag in tags:
                setattr(self.shown, name, f"{getattr(self.shown, name)} {text}".strip())
        if "main" in tags:
            self.shown.text = f"{self.shown.text} {text}".strip()
        if self._inside("notice"):
            self.shown.notice += text
        if "button" in tags:
            self.shown.buttons[-1] += text
        if self._inside("errors"):
            if not self.shown.errors:
                self.shown.errors.append("")
            self.shown.errors[-1] += text
        for _, given in self._open:
            if "id" in given:
                self.shown.ids[given["id"]] = f"{self.shown.ids.get(given['id'], '')} {text}".strip()


def read(html: str) -> Shown:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.shown


class Visitor:
    """A browser on the account pages of an app, with its cookies. `page` is what it shows, `answer` what came."""

    def __init__(self, app: Flask, **headers: str) -> None:
        self.client: FlaskClient = app.test_client()
        self.headers = headers
        self.answer: TestResponse
        self.page = Shown()
        self.path = ""

    def open(self, path: str, **options: Any) -> Shown:
        """Open an address, and follow where it leads."""
        return self._show(self.client.get(path, headers=self.headers, **options), path)

    def _show(self, answer: TestResponse, path: str) -> Shown:
        for _ in range(5):
            if answer.status_code != 303:
                break
            path = str(answer.location)
            assert re.match(r"/(?!/)", path), f"{path} leads out of the site"
            answer = self.client.get(path, headers=self.headers)
        self.answer, self.path = answer, path
        self.page = read(answer.text) if answer.mimetype == "text/html" else Shown()
        return self.page

    def send(self, action: str | None = None, /, **typed: str | None) -> Shown:
        """Fill in the form that leads to `action` (that of the page by default), send it, and follow.

        None leaves a field out, as a host's template may.
        """
        action = self.path.partition("?")[0] if action is None else action
        kept = {
            name: given.get("value", "")
            for name, given in self.page.forms[action].items()
            if given.get("type") != "checkbox" or "checked" in given
        }
        data = {name: text for name, text in {**kept, **typed}.items() if text is not None}
        answer = self.client.post(action, data=data, headers={**SAME_ORIGIN, **self.headers})
        return self._show(answer, action)

    def log_in(self, name: str = "ana@example.com", password: str = PASSWORD) -> Shown:
        self.open("/account/login")
        return self.send(identifier=name, password=password)

    def register(self, email: str = "ana@example.com", password: str = PASSWORD, **more: str) -> Shown:
        self.open("/account/register")
        return self.send(email=email, password=password, password_again=password, **more)

    @property
    def status(self) -> int:
        return self.answer.status_code

"""A window of Chromium on a site: what a person sees in it, and what they do there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.browser.served import PATIENCE, Site
from tests.tiny import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Response

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
#: Where pictures of the pages are put, if anybody wants them.
SHOTS = os.environ.get("LINKED_AUTH_TEST_SHOTS")

expect.set_options(timeout=PATIENCE * 1000)

# What has the focus: its name, whether it is seen, and whether one sees that it has the focus.
_FOCUSED = """() => {
  const it = document.activeElement, box = it.getBoundingClientRect(), style = getComputedStyle(it);
  return {
    tag: it.localName,
    words: (it.labels?.[0]?.innerText || it.innerText || it.value || "").trim().replace(/\\s+/g, " "),
    ring: it.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 20 && box.height > 10 && box.left >= 0 && box.right <= innerWidth
      && box.top >= 0 && box.bottom <= innerHeight,
  };
}"""
# What is cut off, or sticks out of the window.
_TOO_WIDE = """() => {
  const root = document.documentElement, found = [];
  if (root.scrollWidth > root.clientWidth) found.push(`the page: ${root.scrollWidth} of ${root.clientWidth}`);
  for (const each of document.querySelectorAll("body *")) {
    if (each.closest(".skip") || getComputedStyle(each).display.startsWith("inline")) continue;
    if (each.scrollWidth > each.clientWidth + 1 && each.localName !== "input") found.push(each.outerHTML.slice(0, 80));
    if (each.getBoundingClientRect().right > root.clientWidth + 1) found.push(each.outerHTML.slice(0, 80));
  }
  return found;
}"""
_AXE = """async rules => {
  const found = await axe.run({resultTypes: ["violations"], ...(rules && {runOnly: rules})});
  return found.violations.map(
    each => `${each.id}: ${each.help}: ${each.nodes.map(node => node.html).join(" | ")}`);
}"""


@dataclass
class Window:
    """One tab. `troubles` are the complaints of Chromium about the pages: it must have none."""

    page: Page
    site: Site
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("response", self._note_response)

    def _note_console(self, message: ConsoleMessage) -> None:
        # A page that answers 422 is one of those; what else a page loads is looked at by _note_response.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.troubles.append(message.text)

    def _note_response(self, response: Response) -> None:
        if response.status >= 400 and response.request.resource_type not in {"document", "fetch"}:
            self.troubles.append(f"{response.status} {response.url}")

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    # What is seen

    @property
    def path(self) -> str:
        """Where we are, with the query."""
        parts = urlsplit(self.page.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    @property
    def text(self) -> str:
        """All that one can read."""
        return " ".join(self.page.locator("body").inner_text().split())

    @property
    def notice(self) -> str:
        """What is told once after a deed; empty for nothing."""
        return " ".join(self.page.get_by_role("status").all_inner_texts())

    @property
    def error(self) -> str:
        """The summary of what is wrong; empty for nothing."""
        return " ".join(" ".join(self.page.get_by_role("alert").all_inner_texts()).split())

    def value(self, name: str) -> str:
        return self.page.locator(f"[name={name}]").input_value()

    def complaint(self, name: str) -> str:
        """What a screen reader says is wrong with a field."""
        it = self.page.locator(f"[name={name}][aria-invalid=true]")
        ids = (it.get_attribute("aria-describedby") or "").split()
        return self.page.locator(f"#{next(each for each in ids if each.endswith('-complaint'))}").inner_text()

    def focused(self) -> dict[str, Any]:
        """What has the focus: its `tag` and `words`, whether it is `seen`, and whether a `ring` shows it."""
        found: dict[str, Any] = self.page.evaluate(_FOCUSED)
        return found

    def too_wide(self) -> list[str]:
        """What must be scrolled sideways, or is cut off."""
        found: list[str] = self.page.evaluate(_TOO_WIDE)
        return found

    def barriers(self, *rules: str) -> list[str]:
        """What axe-core finds, by all its rules or only these.

        The page's policy lets no script in, and Chromium's debugger asks nobody.
        """
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text("utf-8"))
        found: list[str] = self.page.evaluate(_AXE, list(rules) or None)
        return found

    def shoot(self, name: str, width: int) -> None:
        """Take pictures of the whole page, light and dark, if LINKED_AUTH_TEST_SHOTS says where to put them."""
        for scheme in ("dark", "light") if SHOTS else ():
            self.page.emulate_media(color_scheme=scheme)
            path = Path(SHOTS or "") / f"{name}-{scheme}-{width}.png"
            self.page.screenshot(path=path, full_page=True, animations="disabled")

    # What is done

    def open(self, address: str) -> Window:
        """Type an address in."""
        self.page.goto(address if "://" in address else self.site.origin + address)
        return self

    def fill(self, **fields: str) -> Window:
        for name, words in fields.items():
            self.page.locator(f"[name={name}]:not([hidden])").fill(words)
        return self

    def press(self, button: str, *, nth: int = 0) -> Window:
        """Press a button, and wait for where it leads."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button, exact=True).nth(nth).click()
        return self

    def follow(self, link: str) -> Window:
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=link, exact=True).click()
        return self

    def hit(self, key: str) -> Window:
        """Hit a key that leads to another page."""
        with self.page.expect_navigation():
            self.page.keyboard.press(key)
        return self

    def tab_to(self, words: str, *, at_most: int = 25) -> Window:
        """Go on with Tab until something with these words has the focus; each stop on the way must be seen."""
        for _ in range(at_most):
            self.page.keyboard.press("Tab")
            stop = self.focused()
            assert stop["ring"], f"nobody sees that this has the focus: {stop}"
            assert stop["seen"], f"the focus is on what is not seen: {stop}"
            if re.match(re.escape(words), str(stop["words"])):
                return self
        raise AssertionError(f"{words} is not within {at_most} stops of Tab")

    def log_in(self, who: str, password: str = PASSWORD) -> Window:
        self.open("/account/login").fill(identifier=who, password=password).press("Log in")
        assert self.path == "/account", self.text
        return self

    def cookies(self) -> Mapping[str, Any]:
        return {each["name"]: each for each in self.context.cookies()}

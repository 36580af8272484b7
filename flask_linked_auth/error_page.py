"""The page that explains every error, to which `type` in an answer leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, make_response, render_template, url_for

from . import link_errors  # noqa: F401 # once loaded they are in the tree
from .errors import Problem
from .globals import current_state
from .guards import public
from .http import ERRORS
from .texts import _, catalog, words

if TYPE_CHECKING:
    from flask.sansio.blueprints import BlueprintSetupState

__all__ = ["Explained", "add_error_page", "explained"]

POLICY = "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"


@dataclass(frozen=True, slots=True)
class Explained:
    """One error as the page shows it, in English."""

    slug: str
    status: int
    title: str
    meaning: str
    advice: str


_OTHERS = Explained(
    "http-error",
    0,
    _("Another HTTP error"),
    _("An HTTP error that has no name of its own here; `status` and `title` say which."),
    "",
)


def explained() -> list[Explained]:
    """Every error by status, a host's own too; those that only group others, or are made on the spot, are left out."""
    found = {kind.slug: kind for kind in reversed(list(_tree(Problem))) if "slug" in vars(kind)}
    shown = [
        Explained(slug, kind.status, kind.title, vars(kind).get("meaning", ""), vars(kind).get("advice", ""))
        for slug, kind in found.items()
        if slug != _OTHERS.slug
    ]
    return [*sorted(shown, key=lambda each: (each.status, each.slug)), _OTHERS]


def _tree(kind: type[Problem]) -> Iterator[type[Problem]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _tree(each)


def add_error_page(blueprint: Blueprint) -> None:
    """Serve the page at `<prefix>/errors`, for anybody, and let the `type` of every error of the app lead to it."""

    def note_address(setup: BlueprintSetupState) -> None:
        setup.app.extensions[ERRORS] = f"{setup.url_prefix or ''}/errors"

    blueprint.add_url_rule(
        "/errors",
        "errors",
        public(_page),
        methods=["GET"],
        provide_automatic_options=False,
        strict_slashes=False,
    )
    blueprint.record(note_address)


def _stylesheet() -> str | None:
    """Where the account pages have theirs, if they are on."""
    endpoint = "linked_auth_pages.static"
    return url_for(endpoint, filename="linked_auth.css") if endpoint in current_app.view_functions else None


def _page() -> Response:
    shown = {"errors": explained(), "service": current_state().settings.name, "stylesheet": _stylesheet()}
    response = make_response(render_template("linked_auth/errors.html", **shown, **words()))
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["Content-Language"] = catalog().language
    response.headers["X-Frame-Options"] = "DENY"
    response.vary.add("Accept-Language")
    return response

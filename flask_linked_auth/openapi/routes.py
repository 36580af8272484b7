"""`<prefix>/openapi.json`, the API document, and `<prefix>/docs`, a page on which one tries it out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    make_response,
    render_template,
    request,
    send_from_directory,
)

from ..errors import NotFound
from ..globals import current_state
from ..guards import public
from ..http import json_errors
from ..version import __version__

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue, RouteCallable

__all__ = ["make_blueprint"]

OURS = Path(__file__).parents[1] / "static"
THEIRS = {"swagger-ui.css", "swagger-ui-bundle.js"}
# Swagger UI shows icons from data: addresses. Its styles are set by script, which no 'unsafe-inline' is needed for.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
PLAIN_POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_ROOT = "https://root.invalid"  # stands for the script root, which is the request's


@dataclass(frozen=True, slots=True)
class _Document:
    """The document of one app, as it is and as text, which is cut where the script root belongs."""

    document: dict[str, Any]
    texts: tuple[str, ...]
    etag: str


_made: WeakKeyDictionary[Flask, _Document] = WeakKeyDictionary()


def _document() -> _Document:
    """The document of the current app, made at its first use, when every route is there."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    made = _made.get(app)
    if made is None:
        from .document import build  # apispec is loaded by those who ask for the document

        built = build(app)
        first: dict[str, Any] = {name: built[name] for name in ("openapi", "info") if name in built}
        document = {**first, "servers": [{"url": _ROOT}], **built}
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        etag = hashlib.sha256(text.encode()).hexdigest()[:32]
        made = _made[app] = _Document(document, tuple(text.split(json.dumps(_ROOT))), etag)
    return made


@public
def openapi_json() -> ResponseReturnValue:
    """The API document (OpenAPI 3.1)."""
    made, root = _document(), request.script_root
    # The script root is in the text of each answer and nowhere kept: behind a careless proxy it is the caller's.
    response = Response(json.dumps(root or "/").join(made.texts), mimetype="application/json")
    response.set_etag(hashlib.sha256(f"{made.etag} {root}".encode()).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"  # to be kept, and asked for again each time
    return response.make_conditional(request)


def _swagger_ui() -> Path | None:
    """The folder with the files of Swagger UI, None unless flask-swagger-ui is installed."""
    found = find_spec("flask_swagger_ui")
    return None if found is None or found.origin is None else Path(found.origin).parent / "dist"


@public
def docs() -> ResponseReturnValue:
    """The API document as a page: Swagger UI, or without its files a plain list."""
    interactive = _swagger_ui() is not None
    name = "linked_auth/docs.html" if interactive else "linked_auth/endpoints.html"
    values = {"document": _document().document, "csrf_token": _csrf_token(), "version": __version__}
    response = make_response(render_template(name, **values))
    response.headers["Cache-Control"] = "no-store" if values["csrf_token"] else "no-cache"
    response.headers.setdefault("Content-Security-Policy", POLICY if interactive else PLAIN_POLICY)
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _csrf_token() -> str | None:
    """What the page's requests carry beside the cookie, for a person whose browser is logged in."""
    if "cookie" not in current_state().readers:
        return None
    from ..accounts.browser import csrf_token, identify_browser

    return None if identify_browser() is None else csrf_token()


@public
def docs_file(name: str) -> ResponseReturnValue:
    """A script or a stylesheet of the page."""
    folder = _swagger_ui() if name in THEIRS else OURS
    if folder is None or name not in {*THEIRS, "docs.js", "docs.css"}:
        raise NotFound("There is nothing at this path.")
    return send_from_directory(folder, name)


def _harmless(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def make_blueprint(prefix: str) -> Blueprint:
    """The document, the page and its files, under a prefix."""
    blueprint = Blueprint("linked_auth_docs", __name__, url_prefix=prefix, template_folder="../templates")
    rules: list[tuple[str, RouteCallable]] = [
        ("/openapi.json", openapi_json),
        ("/docs", docs),
        ("/docs/<name>", docs_file),
    ]
    for rule, view in rules:
        blueprint.add_url_rule(
            rule, None, view, methods=["GET"], provide_automatic_options=False, strict_slashes=False
        )
    json_errors(blueprint)
    blueprint.after_request(_harmless)
    return blueprint

"""A person in front of a browser: their cookies, the headers that browsers send by themselves, and a site to visit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, g, jsonify, redirect, request

from flask_linked_auth import Auth, public, scope
from flask_linked_auth.accounts import flows
from flask_linked_auth.accounts.browser import check_csrf, clear_cookie, csrf_token, device, set_cookie
from flask_linked_auth.accounts.state import mine
from tests.tiny import PASSWORD

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from flask.typing import ResponseReturnValue
    from werkzeug.test import TestResponse

site = Blueprint("site", __name__)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
#: What Chromium, Firefox and Safari send with a form or a fetch of the page's own site.
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}


@site.get("/csrf")
def csrf() -> str:
    return csrf_token()


@site.post("/enter")
def enter() -> ResponseReturnValue:
    """A login form of the barest kind."""
    check_csrf()
    tokens = flows.log_in(
        *mine(), request.form["name"], request.form["password"], device=device(), cookie=True
    )
    return set_cookie(redirect("/", 303), tokens)  # type: ignore[arg-type]


@site.post("/leave")
def leave() -> ResponseReturnValue:
    check_csrf()
    return clear_cookie(Response(status=204))


def _who() -> Response:
    identity = g.identity
    return jsonify(None if identity is None else {"id": identity.user_id, "by": identity.method})


site.add_url_rule("/who", "who", Auth.auth_required(_who), methods=METHODS)
site.add_url_rule("/maybe", "maybe", Auth.auth_required(optional=True)(_who), methods=METHODS)
site.add_url_rule("/scope", "scope", scope(["read:posts"])(_who), methods=METHODS)

fresh = Auth.auth_required(fresh=timedelta(minutes=5))
site.add_url_rule("/fresh", "fresh", fresh(_who), methods=METHODS)
site.add_url_rule("/claims", "claims", Auth.auth_required(lambda: dict(g.token)))

inside = Blueprint("inside", __name__, url_prefix="/inside")
inside.add_url_rule("/", "inside", _who, methods=METHODS)
inside.add_url_rule("/public", "public", public(lambda: "all"), methods=METHODS)
Auth.protect(inside)


def open_site(app: Flask) -> Flask:
    """The app, with the site on it."""
    app.register_blueprint(site)
    app.register_blueprint(inside)
    return app


@dataclass
class Browser:
    """A browser with its cookies. `headers` go along with each request."""

    app: Flask
    headers: dict[str, str] = field(default_factory=lambda: dict(SAME_ORIGIN))
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        # Werkzeug's client would write its own cookies over those.
        self.client = self.app.test_client(use_cookies="Cookie" not in self.headers)

    def open(
        self, method: str, path: str, *, headers: dict[str, str | None] | None = None, **more: Any
    ) -> TestResponse:
        """A request. A header given as None is not sent."""
        sent = {name: text for name, text in {**self.headers, **(headers or {})}.items() if text is not None}
        return self.client.open(path, method=method, headers=sent, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.open("GET", path, **more)

    def post(self, path: str, *, token: bool = True, **more: Any) -> TestResponse:
        """A request of a script on the page: with the CSRF token, unless told otherwise."""
        if token:
            more["headers"] = {"X-CSRF-Token": self.token(), **more.get("headers", {})}
        return self.open("POST", path, **more)

    def token(self) -> str:
        return self.get("/csrf", headers={"Sec-Fetch-Site": "same-origin", "Origin": None}).text

    def log_in(self, name: str = "ana@example.com", password: str = PASSWORD) -> TestResponse:
        form = {"name": name, "password": password, "csrf_token": self.token()}
        answer = self.open("POST", "/enter", data=form)
        assert answer.status_code == 303, answer.text
        return answer

    def cookies(self) -> dict[str, str]:
        """Every cookie that the browser holds for the site."""
        return {cookie.key: cookie.value for cookie in self.client._cookies.values()}  # type: ignore[union-attr]

    @property
    def cookie(self) -> str:
        """The cookie of the login."""
        return next(value for name, value in self.cookies().items() if "csrf" not in name)

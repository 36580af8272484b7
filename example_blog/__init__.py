"""The example: a blog API with people, posts and guarded endpoints. `flask --app example_blog run` serves it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Flask, Response
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_linked_auth import Accounts, Apps, LinkedAuth, Links, json_errors

from . import pages, people, posts, tracked_time
from .config import load_config
from .database import db, init_database
from .mail import send, tell_if_off
from .people import User
from .seed import seed

__all__ = ["create_app"]

migrate = Migrate(db=db, directory=str(Path(__file__).parent / "migrations"), render_as_batch=True)
auth = LinkedAuth(db=db, user_model=User, parts=[Accounts(), Apps(), Links()], mailer=send)


@auth.api_document
def name_api(document: dict[str, Any]) -> None:
    """Call the API what it is, and say of the older paths that they are the same."""
    document["info"] |= {"title": "Blog", "version": "1.0.0"}
    tag = "Older paths"
    document["tags"] = [each for each in document["tags"] if each["name"] != "Blogpost"] + [{"name": tag}]
    for path, methods in document["paths"].items():
        if path.startswith(("/api/v1/users/", "/api/v1/blogpost/")):
            for operation in methods.values():
                operation |= {"deprecated": True, "tags": [tag]}


def create_app(config_name: str | None = None) -> Flask:
    """The blog as `development`, `testing` or `production`: as named, else by APP_ENV, else `development`.

    Raises SettingsError for settings that are missing or not good.
    """
    app = Flask(__name__)
    app.url_map.merge_slashes = False  # its redirects would carry the Host header, which anybody writes
    app.config.from_object(load_config(config_name or os.environ.get("APP_ENV") or "development"))
    init_database(app)
    migrate.init_app(app)
    auth.init_app(app)
    tell_if_off(app)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(tracked_time.blueprint)
    app.register_blueprint(people.blueprint, url_prefix="/api/v1/users")
    app.register_blueprint(posts.blueprint, url_prefix="/api/v1/blogposts")
    app.register_blueprint(posts.blueprint, url_prefix="/api/v1/blogpost", name="blogpost")  # an older path
    app.cli.add_command(seed)
    app.after_request(_say_what_it_is)
    json_errors(app)
    _listen_to_other_origins(app)
    if hops := app.config["PROXY_HOPS"]:
        # Not X-Forwarded-Host: many proxies pass on what the client wrote there, and nothing here needs it.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app


def _say_what_it_is(response: Response) -> Response:
    """A browser must not take what people wrote for a page or a script."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _listen_to_other_origins(app: Flask) -> None:
    """Let pages of CORS_ORIGINS call the API; without any, only pages of our own origin can."""
    if not app.config["CORS_ORIGINS"]:
        return
    from flask_cors import CORS

    CORS(
        app,
        resources=[r"/api/.*", r"/auth/.*"],
        origins=app.config["CORS_ORIGINS"],
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "api-token"],
        expose_headers=["Location", "Retry-After", "WWW-Authenticate"],
        max_age=600,
    )

"""The second example: a service that tracks people's time. `flask --app example_timetracker run` serves it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Flask, Response
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_linked_auth import Accounts, Apps, LinkedAuth, Links, json_errors

from . import activities, pages, root, track_routes
from .config import load_config
from .database import db, init_database
from .people import User, meet_through_apps
from .seed import seed

__all__ = ["create_app"]

HERE = Path(__file__).resolve().parent

migrate = Migrate(db=db, directory=str(HERE / "migrations"), render_as_batch=True)
auth = LinkedAuth(db=db, user_model=User, parts=[Accounts(), Apps(), Links()])


@auth.api_document
def name_api(document: dict[str, Any]) -> None:
    """Call the API what it is."""
    document["info"] |= {"title": "Time tracker", "version": "1.0.0"}


def create_app(config_name: str | None = None) -> Flask:
    """The time tracker as `development`, `testing` or `production`: as named, else by APP_ENV, else `development`.

    Raises SettingsError for settings that are missing or not good.
    """
    # A folder of its own: the blog, beside it, keeps its secret and its database in `instance` too.
    app = Flask(__name__, instance_path=str(HERE.parent / "instance" / "timetracker"))
    app.url_map.merge_slashes = False  # its redirects would carry the Host header, which anybody writes
    app.config.from_object(load_config(config_name or os.environ.get("APP_ENV") or "development"))
    init_database(app)
    migrate.init_app(app)
    auth.init_app(app)
    meet_through_apps(app)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(root.blueprint)
    app.register_blueprint(activities.blueprint, url_prefix="/api/activities")
    app.register_blueprint(track_routes.blueprint, url_prefix="/api/tracks")
    app.cli.add_command(seed)
    app.after_request(_say_what_it_is)
    json_errors(app)
    if hops := app.config["PROXY_HOPS"]:
        # Not X-Forwarded-Host: many proxies pass on what the client wrote there, and nothing here needs it.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app


def _say_what_it_is(response: Response) -> Response:
    """A browser must not take what people wrote for a page or a script."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response

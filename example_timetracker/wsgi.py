"""The app for a server: `gunicorn example_timetracker.wsgi:app`. Unless APP_ENV says otherwise, it is `production`."""

from __future__ import annotations

import os

from . import create_app

app = create_app(os.environ.get("APP_ENV") or "production")

"""The lab's app for gunicorn; what it is made of stands in the environment variable LAB."""

from __future__ import annotations

import json
import os

from tests.faults.lab import bearer, make_app

_lab = json.loads(os.environ["LAB"])
app = make_app(_lab["url"], engine={"pool_size": 4, "max_overflow": 4}, **_lab["settings"])
if len(_lab["preload"]) > len("app"):
    # What a careless host does: the database, the feed and the token cache are in use before the fork.
    assert app.test_client().get("/named", headers=bearer(_lab["preload"])).status_code == 200

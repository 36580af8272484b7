"""Somebody who tracks their time with an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.example_blog.walker import PASSWORD

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

ACTIVITIES, TRACKS = "/api/activities/", "/api/tracks/"


@dataclass
class Person:
    """Somebody with an account, who calls the time tracker with their token."""

    client: FlaskClient
    id: int
    email: str

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
        if body is not None:
            options["json"] = body
        return self.client.open(path, method=method, **options)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.call("POST", path, body)
        assert answer.status_code in {200, 201}, answer.text
        return answer.get_json()

    def activity(self, name: str = "Reading", **more: Any) -> int:
        """Add an activity: its id."""
        key: int = self.post(ACTIVITIES, {"name": name, **more})["id"]
        return key

    def track(self, activity: int, start: str | None = None, end: str | None = None, **more: Any) -> Any:
        """Add a track."""
        return self.post(TRACKS, {"activity": activity, "start": start, "end": end, **more})


def join(app: Flask, name: str) -> Person:
    """Make an account of this name, by the endpoint that anybody has."""
    email, client = f"{name.lower()}@example.com", app.test_client()
    answer = client.post("/auth/register", json={"name": name, "email": email, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {answer.get_json()['token']}"
    return Person(client, answer.get_json()["user_id"], email)

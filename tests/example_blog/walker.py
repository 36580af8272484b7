"""Somebody who walks through the blog with an account, and an operator at its command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

PASSWORD = "violet-kettle-harbour-93"


@dataclass
class Person:
    """Somebody with an account, who calls the blog with their token."""

    client: FlaskClient
    id: int
    email: str
    tokens: dict[str, Any] = field(repr=False)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.tokens['token']}"} | options.pop("headers", {})
        if body is not None:
            options["json"] = body
        return self.client.open(path, method=method, headers=headers, **options)

    def write(self, title: str = "On walking home", content: str = "It takes an hour.") -> dict[str, Any]:
        answer = self.call("POST", "/api/v1/blogposts/", {"title": title, "content": content})
        assert answer.status_code == 201, answer.text
        post: dict[str, Any] = answer.get_json()
        return post


def join(app: Flask, name: str) -> Person:
    """Make an account of this name, by the endpoint that anybody has."""
    email, client = f"{name.lower()}@example.com", app.test_client()
    body = {"name": name, "email": email, "password": PASSWORD}
    answer = client.post("/api/v1/users/", json=body)
    assert answer.status_code == 201, answer.text
    return Person(client, answer.get_json()["user_id"], email, answer.get_json())


def run(app: Flask, *arguments: str) -> str:
    """Run `flask` with these arguments; what it printed."""
    result = app.test_cli_runner().invoke(args=arguments)
    assert result.exit_code == 0, result.output
    return result.output


def problem(answer: TestResponse, status: int, slug: str) -> dict[str, Any]:
    """The body of a refusal, after a look at its shape."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer.headers) == (status == 401 or slug == "forbidden-scope")
    body: dict[str, Any] = answer.get_json()
    assert body["status"] == status
    assert body["slug"] == slug
    return body

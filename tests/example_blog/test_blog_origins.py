"""Which other origins' pages may call the API: none, unless CORS_ORIGINS names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flask import Flask

    from tests.example_blog.conftest import Make

pytest.importorskip("flask_cors")

READER, APP = "https://reader.example.com", "https://app.example.com"
STRANGERS = [
    "https://evil.example.com",
    "https://readerxexample.com",
    "https://reader.example.com.evil.com",
    "http://reader.example.com",
    "https://reader.example.com:8443",
    "null",
]
PATHS = ["/api/v1/blogposts/", "/api/v1/users/login", "/auth/login"]


@pytest.fixture
def shared(make_blog: Make) -> Flask:
    return make_blog(CORS_ORIGINS=f"{READER},{APP}")


def preflight(app: Flask, path: str, origin: str) -> dict[str, str]:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = app.test_client().options(path, headers={"Origin": origin} | asked)
    assert answer.status_code in {200, 204}
    return {name: value for name, value in answer.headers if name.startswith("Access-Control-")}


@pytest.mark.parametrize("path", PATHS)
def test_a_named_origin_may_call(shared: Flask, path: str) -> None:
    for origin in (READER, APP):
        allowed = preflight(shared, path, origin)
        assert allowed["Access-Control-Allow-Origin"] == origin
        assert "POST" in allowed["Access-Control-Allow-Methods"]
        assert "authorization" in allowed["Access-Control-Allow-Headers"].lower()
        assert (
            "Access-Control-Allow-Credentials" not in allowed
        )  # tokens are in a header; no cookie is of use


@pytest.mark.parametrize("path", PATHS)
def test_no_other_may(shared: Flask, path: str) -> None:
    for origin in STRANGERS:
        assert preflight(shared, path, origin) == {}


def test_a_refusal_can_be_read_by_the_page_that_called(shared: Flask) -> None:
    answer = shared.test_client().get("/api/v1/users/me", headers={"Origin": READER})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == READER
    assert "WWW-Authenticate" in answer.headers["Access-Control-Expose-Headers"]
    assert {"Origin", "Cookie", "Accept-Language"} <= set(answer.vary)


@pytest.mark.parametrize("path", PATHS)
def test_by_default_there_is_nobody(make_blog: Make, path: str) -> None:
    assert preflight(make_blog(), path, READER) == {}

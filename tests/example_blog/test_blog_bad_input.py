"""Whatever is sent to the blog's own endpoints, the answer is a refusal in the one shape, and never a 5xx."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.example_blog.walker import problem

if TYPE_CHECKING:
    from flask import Flask

    from tests.example_blog.walker import Person

POSTS = "/api/v1/blogposts"
GOOD = {"title": "x", "content": "y"}

MALFORMED = {
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"title"',
    "cut short": b'{"title": "x", ',
    "not utf-8": b'{"title": "\xff\xfe", "content": "y"}',
    "utf-16": json.dumps(GOOD).encode("utf-16"),
    "deep": b'{"title": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "nan": b'{"title": NaN, "content": "y"}',
    "huge number": b'{"title": ' + b"9" * 5_000 + b"}",
    "twice": b'{"title": "x", "title": "z", "content": "y"}',
    "nul": b'{"title": "x\\u0000", "content": "y"}',
    "nul in content": b'{"title": "x", "content": "y\\u0000"}',
    "lone surrogate": b'{"title": "x", "content": "\\ud800"}',
    "nul in a name": b'{"title": "x", "content": "y", "\\u0000": 1}',
}


@pytest.fixture
def post(ada: Person) -> str:
    return f"{POSTS}/{ada.write()['id']}"


def test_bodies_that_cannot_be_read(ada: Person, post: str) -> None:
    for body in MALFORMED.values():
        for method, path in (("POST", f"{POSTS}/"), ("PUT", post), ("PATCH", post)):
            answer = ada.call(method, path, data=body, content_type="application/json")
            problem(answer, 400, "malformed-request")


def test_bodies_that_are_too_large(ada: Person, post: str) -> None:
    body = json.dumps({"title": "x", "content": "y" * 70_000})
    for method, path in (("POST", f"{POSTS}/"), ("PUT", post), ("PATCH", post)):
        problem(ada.call(method, path, data=body, content_type="application/json"), 413, "too-large")


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json5",
        "\x7f",
    ],
)
def test_bodies_that_another_site_could_post(ada: Person, kind: str | None) -> None:
    answer = ada.call("POST", f"{POSTS}/", data=json.dumps(GOOD), content_type=kind)
    problem(answer, 415, "unsupported-media-type")


def test_values_of_every_wrong_type(ada: Person, post: str) -> None:
    for value in (None, True, 0, 1.5, -(2**63), [], ["x"], {}, {"x": 1}):
        for field in GOOD:
            made = ada.call("POST", f"{POSTS}/", GOOD | {field: value})
            changed = ada.call("PUT", post, {field: value})
            assert problem(made, 422, "invalid-fields")["errors"].keys() == {field}
            assert problem(changed, 422, "invalid-fields")["errors"].keys() == {field}


def test_addresses_of_no_post(ada: Person) -> None:
    ada.write()
    wrong = [
        "0",
        "01",
        "\uff11",
        "-1",
        "1.5",
        "1e3",
        "x",
        "%00",
        "1%00",
        "2147483647",
        "2147483648",
        "9" * 30,
        "9" * 4_500,
        "%2e%2e",
        "1/2",
    ]
    for each in wrong:
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            body = {"title": "x"} if method in {"PUT", "PATCH"} else None
            problem(ada.call(method, f"{POSTS}/{each}", body), 404, "not-found")


@pytest.mark.parametrize("name", ["page", "page_size"])
def test_pages_that_are_none(blog: Flask, name: str) -> None:
    client = blog.test_client()
    for value in ("0", "-1", "1.5", "x", "", "%00", "%EF%BC%91", "9" * 30, f"1&{name}=2", "[1]"):
        body = problem(client.get(f"{POSTS}/?{name}={value}"), 400, "malformed-request")
        assert body["errors"].keys() == {name}
    assert client.get(f"{POSTS}/?page=10000000&page_size=100").get_json()["results"] == []


def test_parameters_nobody_asked_for_change_nothing(blog: Flask, ada: Person) -> None:
    ada.write()
    client = blog.test_client()
    assert client.get(f"{POSTS}/?owner_id=1%27--&sort=password_hash").get_json()["count"] == 1


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", f"{POSTS}/", "POST"),
        ("PUT", f"{POSTS}/", "POST"),
        ("POST", f"{POSTS}/1", "DELETE"),
        ("DELETE", "/api/v1/users/", "POST"),
        ("POST", "/api/v1/users/me", "PUT"),
        ("POST", "/health", "GET"),
        ("TRACE", f"{POSTS}/", "GET"),
    ],
)
def test_methods_that_a_path_has_not(blog: Flask, method: str, path: str, allowed: str) -> None:
    answer = blog.test_client().open(path, method=method)
    problem(answer, 405, "method-not-allowed")
    assert allowed in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path", ["/api", "/api/v1/", "/api/v2/blogposts/", "/admin", "/%2e%2e/etc/passwd", "/static/../config.py"]
)
def test_paths_that_are_none(blog: Flask, path: str) -> None:
    problem(blog.test_client().get(path), 404, "not-found")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer " + "x" * 20_000},
        {"Authorization": "Bearer \u00e9"},
        {"api-token": ""},
    ],
)
def test_credentials_that_are_none(blog: Flask, headers: dict[str, str]) -> None:
    problem(blog.test_client().post(f"{POSTS}/", json=GOOD, headers=headers), 401, "token-invalid")


def test_a_scheme_that_is_not_used_here(blog: Flask) -> None:
    headers = {"Authorization": "Basic YWRhOng="}
    problem(blog.test_client().post(f"{POSTS}/", json=GOOD, headers=headers), 401, "unknown-auth-schema")


def test_two_different_credentials(ada: Person, grace: Person) -> None:
    answer = ada.call("POST", f"{POSTS}/", GOOD, headers={"api-token": grace.tokens["token"]})
    problem(answer, 400, "rival-credentials")

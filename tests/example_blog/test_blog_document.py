"""The blog's API document: its own endpoints beside those of the accounts, and that what it tells is so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans, nothing, one_of
from openapi_spec_validator import validate

if TYPE_CHECKING:
    from flask import Flask

    from tests.example_blog.walker import Person

schemathesis = pytest.importorskip("schemathesis")

ENDPOINTS = [
    ("GET", "/health"),
    ("GET", "/api/v1/blogposts/"),
    ("POST", "/api/v1/blogposts/"),
    ("GET", "/api/v1/blogposts/{post_id}"),
    ("PUT", "/api/v1/blogposts/{post_id}"),
    ("PATCH", "/api/v1/blogposts/{post_id}"),
    ("DELETE", "/api/v1/blogposts/{post_id}"),
]


def test_every_endpoint_is_in_it(blog: Flask) -> None:
    document = blog.test_client().get("/auth/openapi.json").get_json()
    validate(document)
    assert document["info"]["title"] == "Blog"
    rules = {rule.rule.replace("<", "{").replace(">", "}") for rule in blog.url_map.iter_rules()}
    assert {rule for rule in rules if rule.startswith("/api/")} <= set(document["paths"])
    assert "/health" in document["paths"]
    assert "/" not in document["paths"]  # a page
    posts = document["paths"]["/api/v1/blogposts/"]
    assert set(posts["post"]["responses"]) >= {"201", "401", "422", "503"}
    assert "security" not in posts["get"]
    assert not posts["get"].get("deprecated")
    assert document["paths"]["/api/v1/blogpost/"]["get"]["deprecated"]  # an older path
    tags = {each["name"] for each in document["tags"]}
    assert tags == {
        tag for path in document["paths"].values() for each in path.values() for tag in each["tags"]
    }


def test_the_example_of_a_post_can_be_sent_as_it_stands(blog: Flask, ada: Person) -> None:
    paths = blog.test_client().get("/auth/openapi.json").get_json()["paths"]

    def example(path: str, method: str) -> Any:
        return paths[path][method]["requestBody"]["content"]["application/json"]["example"]

    made = ada.call("POST", "/api/v1/blogposts/", example("/api/v1/blogposts/", "post"))
    assert made.status_code == 201
    change = example("/api/v1/blogposts/{post_id}", "patch")
    assert ada.call("PATCH", made.headers["Location"], change).status_code == 200


def test_nothing_happens_that_it_does_not_tell_of(blog: Flask, ada: Person, grace: Person) -> None:
    for writer in (ada, grace, ada):
        writer.write()
    # What is refused without the document saying so: a NUL, what is blank, and a content that escapes make too long.
    accepted = {"expected-statuses": ["2xx", "401", "403", "404", "413", "422"]}
    refused = {"expected-statuses": ["400", "401", "403", "404", "413", "415", "422"]}
    config = {
        "generation": {"with-security-parameters": False, "allow-x00": False},
        "checks": {"positive_data_acceptance": accepted, "negative_data_rejection": refused},
    }
    document = schemathesis.openapi.from_wsgi(
        "/auth/openapi.json", blog, config=schemathesis.Config.from_dict(config)
    )
    for method, path in ENDPOINTS:
        _try(document[path][method], {"Authorization": f"Bearer {ada.tokens['token']}"})


def _try(endpoint: Any, headers: dict[str, str]) -> None:
    modes = schemathesis.GenerationMode
    cases = one_of(endpoint.as_strategy(generation_mode=modes.POSITIVE), _bad(endpoint, modes.NEGATIVE))

    @settings(max_examples=15, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases, known=booleans())
    def try_it(case: Any, known: bool) -> None:
        case.call_and_validate(headers=headers if known else {})

    try_it()


def _bad(endpoint: Any, mode: Any) -> Any:
    """Requests that the document forbids, if there can be any."""
    can_be_wrong = endpoint.body or endpoint.query or endpoint.path_parameters
    return endpoint.as_strategy(generation_mode=mode) if can_be_wrong else nothing()

"""The time tracker's API document, and that what it tells is so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans, one_of
from openapi_spec_validator import validate

if TYPE_CHECKING:
    from flask import Flask

    from tests.example_timetracker.walker import Person

schemathesis = pytest.importorskip("schemathesis")


def test_every_endpoint_is_in_it(tracker: Flask) -> None:
    document = tracker.test_client().get("/auth/openapi.json").get_json()
    validate(document)
    assert document["info"]["title"] == "Time tracker"
    rules = {rule.rule.replace("<", "{").replace(">", "}") for rule in tracker.url_map.iter_rules()}
    assert {rule for rule in rules if rule.startswith("/api/")} | {"/health"} <= set(document["paths"])
    assert "/" not in document["paths"]  # a page
    tracks = document["paths"]["/api/tracks/"]
    assert set(tracks["post"]["responses"]) >= {"201", "401", "403", "409", "422", "503"}
    tags = {each["name"] for each in document["tags"]}
    assert {"Activities", "Tracks", "Service"} <= tags


def test_the_examples_can_be_sent_as_they_stand(tracker: Flask, ada: Person) -> None:
    paths = tracker.test_client().get("/auth/openapi.json").get_json()["paths"]
    for collection, item in (("activities", "{activity_id}"), ("tracks", "{track_id}")):
        for path, method in ((f"/api/{collection}/", "post"), (f"/api/{collection}/{item}", "patch")):
            sent = paths[path][method]["requestBody"]["content"]["application/json"]["example"]
            answer = ada.call(method.upper(), path.replace(item, "1"), sent)
            assert answer.status_code == (201 if method == "post" else 200), answer.text


def test_nothing_happens_that_it_does_not_tell_of(tracker: Flask, ada: Person, grace: Person) -> None:
    for name in ("Reading", "Walking", "Baking"):
        ada.track(grace.activity(name), "2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z")
    # What is refused without the document saying so: a name that is blank, an end before the start.
    accepted = {"expected-statuses": ["2xx", "401", "403", "404", "409", "413", "422"]}
    refused = {"expected-statuses": ["400", "401", "403", "404", "413", "415", "422"]}
    config = {
        "generation": {"with-security-parameters": False, "allow-x00": False},
        "checks": {"positive_data_acceptance": accepted, "negative_data_rejection": refused},
    }
    document = schemathesis.openapi.from_wsgi(
        "/auth/openapi.json", tracker, config=schemathesis.Config.from_dict(config)
    )
    token = ada.client.environ_base["HTTP_AUTHORIZATION"]
    tried = 0
    for path in document:
        if path.startswith(("/api/", "/health")):
            for method in document[path]:
                _try(document[path][method], {"Authorization": token})
                tried += 1
    assert tried == 17


def _try(endpoint: Any, headers: dict[str, str]) -> None:
    modes = schemathesis.GenerationMode
    cases = endpoint.as_strategy(generation_mode=modes.POSITIVE)
    if endpoint.body or endpoint.query or endpoint.path_parameters:  # else nothing can be wrong
        cases = one_of(cases, endpoint.as_strategy(generation_mode=modes.NEGATIVE))

    @settings(max_examples=10, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases, known=booleans())
    def try_it(case: Any, known: bool) -> None:
        case.call_and_validate(headers=headers if known else {})

    try_it()

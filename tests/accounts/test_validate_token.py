"""`validate-token`: what a gateway asks before it forwards a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flask_linked_auth import Auth
from tests.tiny import OTHER_SECRET, Person, bearer, challenge, make_app, refused, register

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


def test_a_good_token_is_valid_and_says_whose_it_is(app: Flask, ana: Person) -> None:
    with app.app_context():
        claims = Auth.decode_token(ana.access)
    assert ana.post("/auth/validate-token").get_json() == {
        "valid": True,
        "user_id": ana.id,
        "login_id": claims["sid"],
        "expires_at": claims["exp"],
        "scopes": None,
    }


def test_the_api_token_header_counts_too(app: Flask, ana: Person) -> None:
    answer = app.test_client().post("/auth/validate-token", headers={"api-token": ana.access})
    assert answer.get_json()["valid"] is True


def test_a_token_outside_any_login_is_valid(app: Flask, ana: Person) -> None:
    with app.app_context():
        token = Auth.generate_token(ana.id)
    body = app.test_client().post("/auth/validate-token", headers=bearer(token)).get_json()
    assert (body["valid"], body["user_id"], body["login_id"]) == (True, ana.id, None)


def test_a_token_with_scopes_names_them(app: Flask, ana: Person) -> None:
    from flask_linked_auth.tokens.access import make_claims, signed
    from tests.tiny import ISSUER, state_of

    with app.app_context():
        claims = make_claims(ISSUER, "1", lifetime=60, login_id=None, authenticated_at=0, generation=0)
        token = signed(claims | {"scope": "write read"}, state_of(app).ring)
    assert ana.post("/auth/validate-token", headers=bearer(token)).get_json()["scopes"] == ["read", "write"]


def test_no_token_is_not_valid(app: Flask) -> None:
    answer = app.test_client().post("/auth/validate-token")
    assert refused(answer, 401, "token-missing")["valid"] is False
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "x" * 20_000])
def test_a_bad_token_is_not_valid(app: Flask, token: str) -> None:
    answer = app.test_client().post("/auth/validate-token", headers=bearer(token))
    assert refused(answer, 401, "token-invalid")["valid"] is False
    assert challenge(answer) == "invalid_token"


def test_the_token_of_another_service_is_not_valid(app: Flask, ana: Person) -> None:
    stranger = register(make_app(secret=OTHER_SECRET))
    assert stranger.post("/auth/validate-token").status_code == 200
    answer = app.test_client().post("/auth/validate-token", headers=bearer(stranger.access))
    assert refused(answer, 401, "token-invalid")["valid"] is False


def test_a_refresh_token_is_not_valid(ana: Person) -> None:
    answer = ana.post("/auth/validate-token", headers=bearer(ana.refresh_token))
    assert refused(answer, 401, "token-invalid")["valid"] is False


def test_a_token_that_was_ended_is_not_valid_any_more(ana: Person) -> None:
    assert ana.post("/auth/validate-token").status_code == 200
    ana.post("/auth/logout")
    assert refused(ana.post("/auth/validate-token"), 401, "token-revoked")["valid"] is False


def test_two_different_tokens_are_malformed(app: Flask, ana: Person) -> None:
    ben = register(app, "ben@example.com")
    answer = ana.post("/auth/validate-token", headers={"api-token": ben.access})
    assert "valid" not in refused(answer, 400, "rival-credentials")


def test_only_what_fails_is_limited_because_a_gateway_asks_all_day() -> None:
    app = make_app(rate_limits={"validate": "2/minute"})
    ana = register(app)
    assert {ana.post("/auth/validate-token").status_code for _ in range(5)} == {200}
    statuses = [
        app.test_client().post("/auth/validate-token", headers=bearer("x")).status_code for _ in range(3)
    ]
    assert statuses == [401, 401, 429]
    assert ana.post("/auth/validate-token").status_code == 200

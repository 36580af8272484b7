"""Limits cannot be walked round by naming one account in two ways, or by asking what is taken elsewhere."""

from __future__ import annotations

from tests.tiny import make_app, register


def test_tries_by_address_and_by_user_name_are_counted_together() -> None:
    app = make_app(rate_limits={"login-failures": "3/minute"})
    register(app, username="ana")
    statuses = [
        app.test_client().post("/auth/login", json={**name, "password": "not it at all"}).status_code
        for name in (
            {"email": "ana@example.com"},
            {"username": "ana"},
            {"email": "ana@example.com"},
            {"username": "ana"},
        )
    ]
    assert statuses == [401, 401, 401, 429]


def test_taken_names_cannot_be_probed_without_end() -> None:
    app = make_app(rate_limits={"register": "5/minute"})
    ana = register(app)
    statuses = [ana.call("PATCH", "/auth/me", {"email": f"{n}@example.com"}).status_code for n in range(6)]
    assert statuses[-1] == 429
    assert ana.call("PATCH", "/auth/me", {"name": "Ana"}).status_code == 200

"""Texts that take normalisation quadratic time (CVE-2025-27556): refused by their length, before it begins."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest

from flask_linked_auth.accounts import schemas
from tests.tiny import PASSWORD, bearer, make_app, register

# As many combining marks as a body may hold, in the order that is slowest to sort.
MARKS = "a" + "\u0344" * 15000 + "\u0316" * 15000


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of all texts that were normalised."""
    seen: list[int] = [0]
    real = unicodedata.normalize

    class Watched:
        category = staticmethod(unicodedata.category)

        @staticmethod
        def normalize(form: Any, text: str) -> str:
            seen.append(len(text))
            return real(form, text)

    monkeypatch.setattr(schemas, "unicodedata", Watched)
    return seen


@pytest.mark.parametrize("text", [MARKS, f"{MARKS}@example.com", f"ana@{MARKS}.example"])
@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("POST", "/auth/login", "email"),
        ("POST", "/auth/login", "username"),
        ("POST", "/auth/register", "email"),
        ("POST", "/auth/register", "name"),
        ("PATCH", "/auth/me", "email"),
        ("PATCH", "/auth/me", "username"),
        ("PATCH", "/auth/me", "name"),
    ],
)
def test_a_flood_of_marks_is_refused_unread(
    longest: list[int], method: str, path: str, field: str, text: str
) -> None:
    app = make_app()
    token = register(app).access
    body = (
        {field: text} if path == "/auth/me" else {"email": "b@example.com", "password": PASSWORD, field: text}
    )
    if (path, field) == ("/auth/login", "username"):
        del body["email"]
    answer = app.test_client().open(
        path,
        method=method,
        data=json.dumps(body, ensure_ascii=False).encode(),
        headers={**bearer(token), "Content-Type": "application/json"},
    )
    assert answer.status_code == (401 if path == "/auth/login" else 422)
    assert max(longest) <= 1024

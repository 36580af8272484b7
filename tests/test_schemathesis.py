"""schemathesis reads our API document and tries every endpoint in it, as nobody, as a person and as staff.

It finds no 5xx, no status, content type, header or body that the document does not tell of, nothing accepted that the
document forbids and, as far as a document can tell what is accepted, nothing refused that it allows.
"""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from flask_linked_auth import Auth
from tests.tiny import in_database, make_app, register

schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = 8  # for each endpoint and kind of caller, beside those of the document and of its limits
ANYTHING: dict[str, Any] = {"positive_data_acceptance": {"enabled": False}}
#: What they refuse no document can tell: a password that is easily guessed, a link that was never mailed.
PARTICULAR = ["register", "change_password", "reset_password", "confirm_email"]

app = make_app()
register(app, "grace@example.com")  # the person with the key of the examples


def read(*, credentials: bool) -> Any:
    """The document; with made-up `credentials`, or with none but those that a test adds."""
    config = {
        "generation": {
            "max-examples": EXAMPLES,
            "deterministic": True,
            "no-shrink": True,
            "with-security-parameters": credentials,
            "allow-x00": credentials,  # no document forbids it, and we refuse it
        },
        "phases": {"stateful": {"enabled": False}},
        "checks": ANYTHING if credentials else {},
        "operations": [{"include-operation-id": PARTICULAR, "checks": ANYTHING}],
    }
    return schemathesis.openapi.from_wsgi(
        "/auth/openapi.json", app, config=schemathesis.Config.from_dict(config)
    )


strange, plain = read(credentials=True), read(credentials=False)


people: dict[bool, Any] = {}


def caller(*, staff: bool) -> dict[str, str]:
    """The headers of somebody whose account is there, whatever the requests before this one did to it."""
    with in_database(app) as (db, rows):
        person = db.session.get(rows.User, people.get(staff, 0))
        if person is None:
            email = f"{secrets.token_hex(4)}@example.com"
            person = rows.User(email=email, is_admin=staff, password_hash="-")
            db.session.add(person)
        person.active = True
        db.session.commit()
        people[staff] = person.id
        return {"Authorization": f"Bearer {Auth.generate_token(person.id)}"}


@strange.parametrize()
def test_as_nobody_with_credentials_that_are_none(case: Any) -> None:
    case.call_and_validate()


@plain.exclude(lambda endpoint: endpoint.operation.definition.raw.get("security")).parametrize()
def test_as_nobody(case: Any) -> None:
    case.call_and_validate()


@plain.parametrize()
def test_as_a_person(case: Any) -> None:
    case.call_and_validate(headers=caller(staff=False))


@plain.include(tag="People").parametrize()
def test_as_staff(case: Any) -> None:
    case.call_and_validate(headers=caller(staff=True))

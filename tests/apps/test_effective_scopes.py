"""Which scopes an app has, with and without a person; and that what changes is seen at once, or within the interval."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from flask_linked_auth.apps import changes
from flask_linked_auth.apps.grants import Agreed, effective
from flask_linked_auth.apps.refusals import explain_refusal
from flask_linked_auth.apps.registry import AppRecord
from flask_linked_auth.identity import CallingApp, Identity
from flask_linked_auth.link_errors import AgreementNotAccepted
from tests.apps.asking import SCOPES, add_app, agree, ask_for, asking_app, deed, define
from tests.tiny import Person, make_app, register, state_of, statements

if TYPE_CHECKING:
    from collections.abc import Collection

    from flask import Flask

NAMES = st.frozensets(st.sampled_from(["a", "b", "c", "d", "e"]))


def scopes(
    app: Flask, user_id: Any = None, slug: str = "billing", *, on_behalf: bool | None = None
) -> set[str]:
    """The scopes that an app has now, as this process knows them."""
    apps = state_of(app).parts["apps"]
    with app.app_context():
        record = apps.registry.find(slug)
        return set(
            apps.grants.of(record, user_id, on_behalf=user_id is not None if on_behalf is None else on_behalf)
        )


def record(
    *,
    required: Collection[str] = (),
    optional: Collection[str] = (),
    limit: Collection[str] = (),
    needs_agreement: bool = True,
) -> AppRecord:
    facts = CallingApp(
        id="App_1",
        slug="billing",
        name="Billing",
        address=None,
        webhook_url=None,
        redirect_url=None,
        needs_agreement=needs_agreement,
        dialect="link",
        accepts=("link",),
        algorithm="",
    )
    return AppRecord(
        facts=facts,
        version=1,
        required=frozenset(required),
        optional=frozenset(optional),
        limit=frozenset(limit),
        users_path="/",
        joins_by_email=False,
        keys={},
    )


# The arithmetic


@given(required=NAMES, optional=NAMES, limit=NAMES, agreed=st.none() | NAMES, on_behalf=st.booleans())
def test_no_scope_is_had_that_is_not_asked_for_allowed_and_accepted(
    required: frozenset[str],
    optional: frozenset[str],
    limit: frozenset[str],
    agreed: frozenset[str] | None,
    on_behalf: bool,
) -> None:
    app = record(required=required, optional=optional - required, limit=limit)
    given_ = None if agreed is None else Agreed(1, agreed)
    found = effective(app, given_, on_behalf=on_behalf)
    assert found <= limit
    assert found <= required | optional
    if on_behalf:
        assert found <= (agreed or frozenset())
        assert agreed is None or found == agreed & (required | optional) & limit
    else:
        assert found == required & limit


@given(limit=NAMES, on_behalf=st.booleans())
def test_an_app_that_needs_no_agreement_has_its_ceiling(limit: frozenset[str], on_behalf: bool) -> None:
    app = record(required={"a"}, limit=limit, needs_agreement=False)
    assert effective(app, None, on_behalf=on_behalf) == limit


# By what is stored


@pytest.fixture
def app() -> Flask:
    return asking_app()


@pytest.fixture
def ana(app: Flask) -> Person:
    return register(app)


def test_with_and_without_a_person(app: Flask, ana: Person) -> None:
    assert scopes(app) == {"read:posts"}  # for itself: what it requires
    assert scopes(app, ana.id) == set()  # for somebody who has not agreed: nothing
    assert scopes(app, None, on_behalf=True) == set()  # for somebody whom nobody knows: nothing
    agree(ana, "billing", "read:tracks")
    assert scopes(app, ana.id) == {"read:posts", "read:tracks"}
    assert scopes(app) == {"read:posts"}


def test_without_an_agreement_needed_it_has_its_ceiling_of_none_or_some(app: Flask, ana: Person) -> None:
    deed(app, changes.change_app, "billing", needs_agreement=False)
    assert scopes(app, ana.id) == scopes(app) == set(SCOPES)
    deed(app, changes.change_app, "billing", ceiling=["read:user"])
    assert scopes(app, ana.id) == scopes(app) == {"read:user"}
    deed(app, changes.change_app, "billing", ceiling=[])
    assert scopes(app) == set()


def test_a_ceiling_takes_from_what_was_agreed_to(app: Flask, ana: Person) -> None:
    agree(ana, "billing", "read:tracks", "write:posts")
    deed(app, changes.change_app, "billing", ceiling=["read:tracks", "read:user"])
    assert scopes(app, ana.id) == {"read:tracks"}
    assert scopes(app) == set()


def test_an_old_agreement_does_not_cover_new_scopes(app: Flask, ana: Person) -> None:
    """Mistake 48 of the Django package: the version that somebody agreed to was never looked at."""
    agree(ana, "billing", "read:tracks")
    ask_for(app, required=("read:posts", "read:user"), optional=("read:tracks", "write:tracks"))
    assert scopes(app, ana.id) == {"read:posts", "read:tracks"}
    agree(ana, "billing", "read:tracks")
    assert scopes(app, ana.id) == {"read:posts", "read:user", "read:tracks"}


def test_a_scope_declined_and_then_required_is_not_had_until_it_is_agreed_to(app: Flask, ana: Person) -> None:
    agree(ana)
    ask_for(app, required=("read:posts", "write:posts"), optional=())
    assert scopes(app, ana.id) == {"read:posts"}


def test_a_scope_that_was_taken_away_and_given_again_is_asked_for_again(app: Flask, ana: Person) -> None:
    agree(ana, "billing", "read:tracks", "write:posts")
    assert scopes(app, ana.id) == {"read:posts", "read:tracks", "write:posts"}
    ask_for(app, required=("read:posts",), optional=("write:posts",))
    assert scopes(app, ana.id) == {"read:posts", "write:posts"}
    ask_for(app, required=("read:posts",), optional=("write:posts", "read:tracks"))
    assert scopes(app, ana.id) == {"read:posts", "write:posts"}


def test_withdrawing_is_seen_at_once_in_this_process(app: Flask, ana: Person) -> None:
    agree(ana, "billing", "read:tracks")
    assert scopes(app, ana.id) == {"read:posts", "read:tracks"}
    ana.call("DELETE", "/auth/agreements/billing/scopes/read:tracks")
    assert scopes(app, ana.id) == {"read:posts"}
    ana.call("DELETE", "/auth/agreements/billing")
    assert scopes(app, ana.id) == set()
    agree(ana)
    assert scopes(app, ana.id) == {"read:posts"}


def test_an_account_takes_its_agreements_with_it(app: Flask, ana: Person) -> None:
    """SQLite gives the key of who was deleted to the next one who registers."""
    agree(ana, "billing", "read:tracks")
    assert scopes(app, ana.id)
    assert ana.call("DELETE", "/auth/me").status_code == 204
    ben = register(app, "ben@example.com")
    assert ben.id == ana.id
    assert scopes(app, ben.id) == set()
    assert ben.get("/auth/agreements").get_json()["count"] == 0


def test_what_is_known_costs_no_query(app: Flask, ana: Person) -> None:
    agree(ana)
    scopes(app, ana.id)
    with statements(app) as sent:
        for _ in range(20):
            scopes(app, ana.id)
    assert [each for each in sent if "agreement" in each or "linked_app" in each] == []


def test_another_process_sees_it_within_the_interval(database_url: str) -> None:
    first = make_app(database=database_url, revocation_interval=0.2)
    second = make_app(database=database_url, revocation_interval=0.2)
    define(first)
    add_app(first)
    ana = register(first)
    agree(ana, "billing", "read:tracks")
    assert scopes(second, ana.id) == scopes(first, ana.id) == {"read:posts", "read:tracks"}

    ana.call("DELETE", "/auth/agreements/billing/scopes/read:tracks")
    assert scopes(first, ana.id) == {"read:posts"}
    time.sleep(0.3)
    assert scopes(second, ana.id) == {"read:posts"}

    ask_for(first, required=(), optional=("read:posts",))
    assert scopes(first) == set()
    time.sleep(0.3)
    assert scopes(second) == set()
    assert scopes(second, ana.id) == {"read:posts"}

    ana.call("DELETE", "/auth/agreements/billing")
    time.sleep(0.3)
    assert scopes(second, ana.id) == set()
    deed(first, changes.remove_app, "billing")
    for each in (first, second):
        with each.app_context():
            assert state_of(each).parts["apps"].registry.find("billing") is None
        time.sleep(0.3)


# Why it lacks a scope


def identity(app: Flask, subject: str | None, slug: str = "billing") -> Identity:
    with app.app_context():
        found = state_of(app).parts["apps"].registry.find(slug)
    return Identity(
        kind="app",
        method="link",
        user_id=None,
        claims={"sub": subject, "app": slug},
        scopes=frozenset(),
        app_id=None if found is None else found.id,
        authenticated_at=0,
    )


def test_an_app_is_told_where_people_agree(app: Flask) -> None:
    with app.app_context(), pytest.raises(AgreementNotAccepted) as caught:
        explain_refusal(identity(app, "7"), ("read:posts",))
    assert caught.value.members["agreement_url"] == "http://localhost:5000/v1/auth/authorize/billing"
    assert "Billing" in caught.value.detail


def test_an_app_is_told_that_there_is_no_page_to_agree_on() -> None:
    app = asking_app(pages=False)
    with app.app_context(), pytest.raises(AgreementNotAccepted, match="no page here") as caught:
        explain_refusal(identity(app, "7"), ("read:posts",))
    assert "agreement_url" not in caught.value.members


@pytest.mark.parametrize(
    ("subject", "missing"),
    [
        (None, ("read:posts",)),  # for itself: no agreement would help
        ("7", ("read:user",)),  # not asked for
        ("7", ("write:tracks",)),
    ],
)
def test_where_no_agreement_would_help_none_is_spoken_of(
    app: Flask, subject: str | None, missing: tuple[str, ...]
) -> None:
    with app.app_context():
        explain_refusal(identity(app, subject), missing)


def test_beyond_its_ceiling_or_without_need_of_agreement_none_is_spoken_of(app: Flask) -> None:
    deed(app, changes.change_app, "billing", ceiling=["read:tracks"])
    with app.app_context():
        explain_refusal(identity(app, "7"), ("read:posts",))
    deed(app, changes.change_app, "billing", needs_agreement=False)
    with app.app_context():
        explain_refusal(identity(app, "7"), ("read:posts",))

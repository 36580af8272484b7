"""What linked apps are told about our people: only those they may know of, page by page, and never a hash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_linked_auth.apps.changes import find_app, set_app_scopes
from tests.links.both_sides import Running, acquaint, running
from tests.tiny import bearer, in_database, make_admin, statements

USERS = "/v1/auth/app/user"


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[Running]:
    with running("blog", tmp_path, revocation_interval=0) as service:
        yield service


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Running]:
    with running("tracker", tmp_path) as service:
        yield service


def slug_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["slug"]


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [person["email"] for person in answer.json()]


def test_an_app_of_the_house_sees_everybody(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    ana = blog.person("ana@example.com", name="Ana María Example", username="ana")
    blog.person("bob@example.com", verified=False)
    answer = tracker.call(blog, USERS)
    assert answer.status_code == 200
    first, second = answer.json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.pop("date_joined"))
    assert first == {
        "id": ana.id,
        "email": "ana@example.com",
        "username": "ana",
        "first_name": "Ana",
        "last_name": "María Example",
        "email_verified": True,
        "github": None,
        "profile": None,
    }
    assert (second["username"], second["email_verified"]) == ("bob@example.com", False)
    assert answer.headers["X-Total-Count"] == "2"
    assert answer.headers["Link"] == f'<{USERS}?limit=100&offset=0>; rel="first"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert tracker.call(blog, f"{USERS}/{ana.id}").json()["email"] == "ana@example.com"


def test_a_signed_request_sees_the_same_as_a_jwt(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    blog.person()
    by_jwt = tracker.call(blog, USERS, mode="jwt")
    assert names(by_jwt) == ["ana@example.com"]
    assert tracker.call(blog, USERS, mode="signature").json() == by_jwt.json()


def test_pages_lead_to_each_other_without_a_host(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    everybody = [blog.person(f"p{n}@example.com").given["user"]["email"] for n in range(5)]
    seen, path = [], f"{USERS}?limit=2"
    while path:
        answer = tracker.call(blog, path)
        seen += names(answer)
        links = dict(re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers["Link"]))
        places = {rel: address for address, rel in links.items()}
        assert all(address.startswith(f"{USERS}?") for address in places.values())
        path = places.get("next", "")
    assert seen == everybody
    assert parse_qs(urlsplit(places["prev"]).query) == {"limit": ["2"], "offset": ["2"]}
    assert names(tracker.call(blog, f"{USERS}?limit=2&offset=40")) == []


def test_a_page_is_never_larger_than_the_setting(tmp_path: Path, tracker: Running) -> None:
    with running("blog", tmp_path, people_page_size=2) as blog:
        acquaint(blog, tracker, needs_agreement=False)
        for n in range(3):
            blog.person(f"p{n}@example.com")
        assert len(tracker.call(blog, f"{USERS}?limit=500").json()) == 2


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=x", "limit=1&limit=2", "offset=%00", "offset=99999999", "id=1&id=2"],
)
def test_bad_parameters_are_refused(blog: Running, tracker: Running, query: str) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    assert slug_of(tracker.call(blog, f"{USERS}?{query}")) == (400, "malformed-request")


def test_filters_find_one_person(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    ana = blog.person("ana@example.com", username="ana")
    blog.person("bob@example.com")
    for query in (
        f"id={ana.id}",
        "email=Ana@Example.com",
        "username=ana",
        f"email=ana@example.com&id={ana.id}",
    ):
        assert names(tracker.call(blog, f"{USERS}?{query}")) == ["ana@example.com"], query
    # Who has no user name goes by the address.
    assert names(tracker.call(blog, f"{USERS}?username=bob@example.com")) == ["bob@example.com"]
    assert names(tracker.call(blog, f"{USERS}?username=ana@example.com")) == []
    for query in (
        "id=+1",
        "id=1_0",
        "id=x",
        "id=99999999999999999999",
        "email=x%00y",
        "id=1&email=bob@example.com",
    ):
        assert names(tracker.call(blog, f"{USERS}?{query}")) == [], query


def test_an_app_that_needs_an_agreement_sees_who_agreed(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, required=("read:user",))
    ana, bob = blog.person("ana@example.com"), blog.person("bob@example.com")
    blog.agreed(tracker, bob)
    answer = tracker.call(blog, USERS)
    assert names(answer) == ["bob@example.com"]
    assert answer.headers["X-Total-Count"] == "1"
    assert slug_of(tracker.call(blog, f"{USERS}/{ana.id}")) == (404, "user-not-found")
    assert tracker.call(blog, f"{USERS}/{bob.id}").status_code == 200
    assert names(tracker.call(blog, f"{USERS}?email=ana@example.com")) == []


def test_an_agreement_from_before_the_scope_does_not_count(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, required=("read:tracks",))
    ana = blog.person()
    blog.agreed(tracker, ana)
    blog.do(
        lambda deed: set_app_scopes(
            deed, find_app(deed, "tracker"), required=["read:tracks", "read:user"], optional=[]
        )
    )
    assert names(tracker.call(blog, USERS)) == []
    blog.agreed(tracker, ana)
    assert names(tracker.call(blog, USERS)) == ["ana@example.com"]


def test_a_call_for_a_person_sees_that_person_only(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    ana, bob = blog.person("ana@example.com"), blog.person("bob@example.com")
    blog.knows(tracker, ana, 41)
    assert names(tracker.call(blog, USERS, "41")) == ["ana@example.com"]
    assert names(tracker.call(blog, f"{USERS}?email=bob@example.com", "41")) == []
    assert tracker.call(blog, f"{USERS}/{ana.id}", "41").json()["id"] == ana.id
    assert slug_of(tracker.call(blog, f"{USERS}/{bob.id}", "41")) == (403, "user-with-no-access")
    assert slug_of(tracker.call(blog, f"{USERS}/77", "41")) == (403, "user-with-no-access")


def test_a_call_for_somebody_unknown_sees_nobody(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    ana = blog.person()
    assert names(tracker.call(blog, USERS, "41")) == []
    assert slug_of(tracker.call(blog, f"{USERS}/{ana.id}", "41")) == (404, "user-not-found")


def test_refusals_in_both_languages(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    ana = blog.person()
    blog.knows(tracker, ana, 41)
    spoken = {"Accept-Language": "es"}
    for language, headers in (("en", {}), ("es", spoken)):
        forbidden = tracker.call(blog, f"{USERS}/77", "41", headers=headers).json()
        missing = tracker.call(blog, f"{USERS}/77", headers=headers).json()
        assert (forbidden["title"], missing["title"]) == {
            "en": ("This user does not have access to this resource", "User not found"),
            "es": ("Este usuario no tiene acceso a este recurso", "Usuario no encontrado"),
        }[language]


def test_who_was_deactivated_is_not_seen(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    ana = blog.person()
    with in_database(blog.app) as (db, rows):
        db.session.get_one(rows.User, ana.id).active = False
        db.session.commit()
    assert names(tracker.call(blog, USERS)) == []
    assert slug_of(tracker.call(blog, f"{USERS}/{ana.id}")) == (404, "user-not-found")


def test_the_scope_is_needed(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, required=("read:tracks",))
    assert slug_of(tracker.call(blog, USERS)) == (403, "forbidden-scope")


def test_no_person_gets_in_whatever_scopes_they_are_given(tmp_path: Path) -> None:
    with running("blog", tmp_path, apps_only_scopes=[]) as blog:
        ana = make_admin(blog.person())
        for path in (USERS, f"{USERS}/{ana.id}"):
            answer = ana.client.get(path, headers=bearer(ana.access))
            assert (answer.status_code, answer.get_json()["slug"]) == (403, "forbidden")


def test_finding_who_agreed_takes_as_many_queries_for_many_as_for_one(
    blog: Running, tracker: Running
) -> None:
    acquaint(blog, tracker, required=("read:user",))
    counts = []
    for n in range(3):
        blog.agreed(tracker, blog.person(f"p{n}@example.com"))
        tracker.call(blog, USERS)
        with statements(blog.app) as sent:
            assert len(tracker.call(blog, USERS).json()) == n + 1
        counts.append(len([each for each in sent if each.startswith("SELECT") and "user" in each]))
    assert counts[0] == counts[-1] == 2


def test_no_index_is_missing_for_that(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, required=("read:user",))
    with statements(blog.app) as sent:
        tracker.call(blog, USERS)
    (query,) = [each for each in sent if "LIMIT" in each and "agreement" in each]
    with in_database(blog.app) as (db, _):
        plan = db.session.connection().exec_driver_sql(
            f"EXPLAIN QUERY PLAN {query}", ("", "", "", "", "", 1, 10, 0)[: query.count("?")]
        )
        steps = [row[3] for row in plan]
    assert steps
    assert all(step.startswith("SEARCH") for step in steps), steps

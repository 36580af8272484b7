"""`g.get_user()` for calls of linked apps: who of ours somebody of theirs is, and that nobody becomes somebody else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, Response, g

from flask_linked_auth import Accounts, LinkedAuth, scope
from flask_linked_auth.apps import Apps
from flask_linked_auth.apps.changes import define_scopes, find_app, register_app
from flask_linked_auth.apps.keys import NewKey, add_key
from flask_linked_auth.errors import InvalidFields, Taken
from flask_linked_auth.links import Links
from flask_linked_auth.links.keys import LinkKey, dump_key, generate_key
from flask_linked_auth.links.link import Link
from flask_linked_auth.links.people import check_people, link_person, sync_people, unlink_person
from flask_linked_auth.links.profiles import Profile
from tests.links.both_sides import SCOPES, Running, acquaint, listening, running
from tests.tiny import Person, edit, in_database, make_admin, state_of, statements, told


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[Running]:
    with running("blog", tmp_path, revocation_interval=0) as service:
        yield service


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Running]:
    with running("tracker", tmp_path, revocation_interval=0) as service:
        yield service


@pytest.fixture
def busy_house(database_url: str, tmp_path: Path, tracker: Running) -> Iterator[tuple[Running, Running]]:
    """The same, the blog on SQLite and on PostgreSQL: for what happens at once."""
    with running("blog", tmp_path, database=database_url, revocation_interval=0) as blog:
        acquaint(blog, tracker, needs_agreement=False, joins_by_email=True)
        yield blog, tracker


@pytest.fixture
def house(blog: Running, tracker: Running) -> tuple[Running, Running]:
    """The blog, which joins people of the tracker by their addresses, and the tracker."""
    acquaint(blog, tracker, needs_agreement=False, joins_by_email=True)
    return blog, tracker


def who(tracker: Running, blog: Running, person: Person, path: str = "/who") -> Any:
    answer = tracker.call(blog, path, str(person.id))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_who_is_in_the_table_is_found_without_asking(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    ana = blog.person("ana@example.com")
    blog.knows(tracker, ana, 41)
    tracker.server.shutdown()
    assert tracker.call(blog, "/who", "41").json() == {"known": ana.id, "found": ana.id}


def test_a_verified_address_joins(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    tracker.person("first@example.com")
    there, here = tracker.person("ana@example.com"), blog.person("ana@example.com")
    with told(blog.app) as heard:
        assert who(tracker, blog, there) == {"known": None, "found": here.id}
    assert [name for name, _ in heard if name.startswith("person")] == ["person.linked"]
    # From now on it is known, also where nobody may be asked.
    assert who(tracker, blog, there) == {"known": here.id, "found": here.id}
    assert blog.people_of("tracker") == {str(there.id): here.id}


def test_a_view_that_awaits_gets_the_same(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    there, here = tracker.person(), blog.person()
    assert who(tracker, blog, there, "/who-later")["found"] == here.id


@pytest.mark.parametrize("lacking", ["here", "there"])
def test_an_address_that_one_side_has_not_verified_joins_nobody(
    house: tuple[Running, Running], lacking: str
) -> None:
    blog, tracker = house
    there = tracker.person(verified=lacking != "there")
    blog.person(verified=lacking != "here")
    assert who(tracker, blog, there)["found"] is None
    assert blog.people_of("tracker") == {}


def test_an_app_that_does_not_join_by_email_joins_nobody(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False)
    there = tracker.person()
    blog.person()
    assert who(tracker, blog, there)["found"] is None


def test_an_administrator_is_never_joined(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    there = tracker.person()
    make_admin(blog.person())
    assert who(tracker, blog, there)["found"] is None


def test_whom_the_host_gives_admin_scopes_is_never_joined(tmp_path: Path, tracker: Running) -> None:
    auth = LinkedAuth(parts=[Accounts(), Apps(), Links()])
    auth.user_scopes(lambda user: ["read:tracks", "admin:posts"])
    with running("blog", tmp_path, auth) as blog:
        acquaint(blog, tracker, needs_agreement=False, joins_by_email=True)
        there = tracker.person()
        blog.person()
        assert who(tracker, blog, there)["found"] is None


def test_who_is_linked_already_is_not_joined_once_more(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    there, here = tracker.person(), blog.person()
    blog.knows(tracker, here, 999)
    assert who(tracker, blog, there)["found"] is None
    assert blog.people_of("tracker") == {"999": here.id}


def test_who_was_deactivated_is_not_joined(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    there = tracker.person()
    blog.person()
    edit(blog.app, "User", active=False)
    assert who(tracker, blog, there)["found"] is None


def test_two_calls_at_once_link_once(busy_house: tuple[Running, Running]) -> None:
    blog, tracker = busy_house
    there, here = tracker.person(), blog.person()
    answers: list[Any] = []
    call = partial(tracker.call, blog, "/who", str(there.id))
    threads = [threading.Thread(target=lambda: answers.append(call())) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [(each.status_code, each.json()["found"]) for each in answers] == [(200, here.id)] * 8
    assert blog.people_of("tracker") == {str(there.id): here.id}


# Somebody new.


@pytest.fixture
def makes_people(tmp_path: Path, tracker: Running) -> Iterator[tuple[Running, list[Profile]]]:
    """A blog whose hook makes an account for whoever comes from the tracker."""
    auth, asked = LinkedAuth(parts=[Accounts(), Apps(), Links()]), []

    @auth.new_person
    def make(app: Any, profile: Profile) -> Any:
        asked.append(profile)
        if app.slug != "tracker" or profile.email == "nobody@example.com":
            return None
        return auth.User(email=profile.email, name=profile.name, password_hash="")

    with running("blog", tmp_path, auth) as blog:
        acquaint(blog, tracker, needs_agreement=False)
        yield blog, asked


def test_nobody_is_made_by_default(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    there = tracker.person()
    assert who(tracker, blog, there)["found"] is None
    with in_database(blog.app) as (db, rows):
        assert db.session.query(rows.User).count() == 0


def test_the_hook_makes_somebody_once(makes_people: tuple[Running, list[Profile]], tracker: Running) -> None:
    blog, asked = makes_people
    there = tracker.person("ana@example.com", name="Ana Example", username="ana")
    found = who(tracker, blog, there)["found"]
    assert who(tracker, blog, there) == {"known": found, "found": found}
    assert asked == [Profile(str(there.id), "ana", "ana@example.com", "Ana", "Example", True)]
    with in_database(blog.app) as (db, rows):
        assert db.session.get_one(rows.User, found).name == "Ana Example"


def test_the_hook_may_decline(makes_people: tuple[Running, list[Profile]], tracker: Running) -> None:
    blog, _ = makes_people
    assert who(tracker, blog, tracker.person("nobody@example.com"))["found"] is None


def test_an_address_that_is_taken_makes_no_second_account(
    makes_people: tuple[Running, list[Profile]], tracker: Running
) -> None:
    blog, _ = makes_people
    blog.person("ana@example.com")
    assert who(tracker, blog, tracker.person("ana@example.com"))["found"] is None
    assert blog.people_of("tracker") == {}


def test_many_at_once_make_one_account(makes_people: tuple[Running, list[Profile]], tracker: Running) -> None:
    blog, _ = makes_people
    there, found = tracker.person(), []
    threads = [threading.Thread(target=lambda: found.append(who(tracker, blog, there))) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({each["found"] for each in found}) == 1
    assert found[0]["found"] is not None


def test_what_the_view_has_begun_is_neither_written_nor_lost(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    there, here = tracker.person(), blog.person()
    path = "/begun"
    database = state_of(blog.app).database_in_use()
    blog.app._got_first_request = False  # a view of this test's own, late

    @blog.app.get(path)
    @scope(["read:tracks"])
    def begun() -> Any:
        user = database.db.session.get_one(database.rows.User, here.id)
        user.name = "begun"
        with database.db.session.no_autoflush:
            found = g.get_user()
        before = user in database.db.session.dirty
        database.db.session.rollback()
        return {"found": found.id, "dirty": before, "name": user.name}

    assert tracker.call(blog, path, str(there.id)).json() == {"found": here.id, "dirty": True, "name": ""}


# The other side misbehaves.

GOOD = {"id": 41, "username": "ana", "email": "ana@example.com", "email_verified": True}


@contextmanager
def stranger(blog: Running, answer: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """An app linked to the blog that answers every question like this; gives what the blog says to a call for 41."""
    app = Flask("stranger")
    app.add_url_rule("/<path:rest>", "any", lambda rest: answer(), methods=["GET", "POST"])
    key = generate_key("HS256")
    with listening(app) as server:
        blog.do(partial(_register, address=f"http://127.0.0.1:{server.server_port}", key=key))
        link = Link("stranger", "blog", blog.address, key)

        def call() -> Any:
            headers = link.sign("GET", f"{blog.address}/who", body=None, subject="41")
            return requests.get(f"{blog.address}/who", headers=headers, timeout=60)

        yield call


def _register(deed: Any, address: str, key: LinkKey) -> None:
    define_scopes(deed, SCOPES)
    app = register_app(deed, "stranger", address=address, needs_agreement=False, joins_by_email=True)
    for use in ("link_in", "link_out"):
        add_key(deed, app, use, NewKey("HS256", dump_key(key), key.id))


def test_a_stranger_that_answers_well_is_believed(blog: Running) -> None:
    ana = blog.person()
    with stranger(blog, lambda: GOOD) as call:
        assert call().json()["found"] == ana.id


@pytest.mark.parametrize(
    "body",
    [
        {**GOOD, "id": 42},
        {**GOOD, "id": True},
        {**GOOD, "email": None},
        {**GOOD, "username": ""},
        {**GOOD, "email_verified": "true"},
        {**GOOD, "email_verified": 1},
        {**GOOD, "email": "ána@example.com"},
        {**GOOD, "email": "ana@example.com\n"},
        {**GOOD, "email": ["ana@example.com"]},
        {"id": 41},
        [],
        [GOOD],
        "ana",
        None,
        {},
    ],
    ids=repr,
)
def test_a_bad_profile_is_nobody(blog: Running, body: Any) -> None:
    blog.person()
    with stranger(blog, lambda: Response(json.dumps(body), mimetype="application/json")) as call:
        answer = call()
        assert (answer.status_code, answer.json()["found"]) == (200, None)


def test_what_is_missing_is_logged_by_its_slug(blog: Running, caplog: pytest.LogCaptureFixture) -> None:
    with stranger(blog, lambda: {"id": 41, "username": "ana"}) as call:
        call()
    assert "missing-required-fields: the linked app stranger told of a person without email" in caplog.text


@pytest.mark.parametrize("status", [201, 204, 302, 303, 307, 400, 401, 403, 404, 410, 429, 500, 502, 503])
def test_another_status_is_nobody(blog: Running, status: int) -> None:
    blog.person()
    headers = {"Location": "http://127.0.0.1:9/elsewhere"} if status in {302, 303, 307} else {}
    body = json.dumps(GOOD) if status >= 300 else ""
    with stranger(blog, lambda: Response(body, status, headers, mimetype="application/json")) as call:
        answer = call()
        assert (answer.status_code, answer.json()["found"]) == (200, None)


@pytest.mark.parametrize(
    "body", ["", "<html>", '{"id": NaN}', '{"id": 41, "id": 42}', "[" * 5000, '{"id": "\\ud800"}', "\xff"]
)
def test_garbage_is_nobody(blog: Running, body: str) -> None:
    with stranger(blog, lambda: Response(body.encode("latin-1"), mimetype="application/json")) as call:
        answer = call()
        assert (answer.status_code, answer.json()["found"]) == (200, None)


def test_an_endless_answer_is_given_up(blog: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def flood() -> Iterator[bytes]:
        while True:
            yield b" " * 16384

    with stranger(blog, lambda: Response(flood(), mimetype="application/json")) as call:
        assert call().json()["found"] is None


def test_an_answer_that_drips_is_given_up(blog: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_linked_auth.links.profiles.LONGEST", 0.3)

    def drip() -> Iterator[bytes]:
        for _ in range(200):
            yield b" "
            time.sleep(0.05)

    with stranger(blog, lambda: Response(drip(), mimetype="application/json")) as call:
        started = time.monotonic()
        assert call().json()["found"] is None
        assert time.monotonic() - started < 8


def test_nobody_there_is_nobody(blog: Running) -> None:
    with stranger(blog, lambda: GOOD) as call:
        edit(blog.app, "LinkedApp", address="http://127.0.0.1:9")
        assert call().json()["found"] is None


@pytest.mark.parametrize("lacking", ["address", "key"])
def test_an_app_that_cannot_be_called_is_not_asked(blog: Running, lacking: str) -> None:
    with stranger(blog, lambda: GOOD) as call:
        if lacking == "address":
            edit(blog.app, "LinkedApp", address=None)
        else:
            edit(blog.app, "AppKey", use="link_in")
        assert call().json()["found"] is None


# By hand.


def test_an_operator_links_and_unlinks(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    ana = blog.person()
    blog.knows(tracker, ana, 41)
    blog.knows(tracker, ana, 41)  # once more changes nothing
    assert tracker.call(blog, "/who", "41").json()["known"] == ana.id
    assert blog.do(lambda deed: unlink_person(deed, find_app(deed, "tracker"), "41")) is True
    assert blog.do(lambda deed: unlink_person(deed, find_app(deed, "tracker"), "41")) is False
    assert tracker.call(blog, "/who", "41").json() == {"known": None, "found": None}


def test_neither_side_is_two_people(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    ana, bob = blog.person("ana@example.com"), blog.person("bob@example.com")
    blog.knows(tracker, ana, 41)
    with pytest.raises(Taken):
        blog.knows(tracker, bob, 41)
    with pytest.raises(Taken):
        blog.knows(tracker, ana, 42)
    for text in ("", "a b", "é", "01", "x" * 256):
        with pytest.raises(InvalidFields):
            blog.knows(tracker, bob, text)


# Many.


def test_a_sync_links_who_may_be_joined(
    house: tuple[Running, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_linked_auth.links.people.BATCH", 3)
    blog, tracker = house
    there = [tracker.person(f"p{n}@example.com", verified=n != 2) for n in range(8)]
    here = {n: blog.person(f"p{n}@example.com", verified=n != 4) for n in (1, 2, 4, 5, 7)}
    make_admin(here[5])
    joined = {str(there[n].id): here[n].id for n in (1, 7)}
    assert _sync(blog) == [(3, 3, 1, 8), (6, 3, 0, 8), (8, 2, 1, 8)]
    assert blog.people_of("tracker") == joined
    assert [step[2] for step in _sync(blog)] == [0, 0, 0]
    assert blog.people_of("tracker") == joined
    assert [step[0] for step in _sync(blog, start=6)] == [8]


def _sync(service: Running, **options: Any) -> list[tuple[int, int, int, int | None]]:
    with service.app.app_context():
        links = state_of(service.app).parts["links"]
        app = links.apps.registry.find("tracker")
        steps = sync_people(app, links.link_to("tracker"), **options)
        return [(each.offset, each.size, each.done, each.total) for each in steps]


def test_an_operator_may_vouch_for_the_addresses(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, needs_agreement=False, joins_by_email=True)
    there, here = tracker.person(verified=False), blog.person()
    assert [step[2] for step in _sync(blog)] == [0]
    assert [step[2] for step in _sync(blog, trust_addresses=True)] == [1]
    assert blog.people_of("tracker") == {str(there.id): here.id}


def test_two_syncs_at_once_do_no_harm(
    busy_house: tuple[Running, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_linked_auth.links.people.BATCH", 4)
    blog, tracker = busy_house
    for n in range(12):
        tracker.person(f"p{n}@example.com")
        blog.person(f"p{n}@example.com")
    done: list[int] = []
    threads = [
        threading.Thread(target=lambda: done.append(sum(step[2] for step in _sync(blog)))) for _ in range(3)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(done) == 12
    assert len(blog.people_of("tracker")) == 12


def test_a_sync_says_where_it_stopped(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    blog.change(tracker, address="http://127.0.0.1:9")
    with pytest.raises(RuntimeError, match="--start 0"):
        _sync(blog)


def test_a_check_notes_who_is_gone_and_drops_nobody(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    there, here = tracker.person(), blog.person()
    blog.knows(tracker, here, there.id)
    blog.knows(tracker, blog.person("bob@example.com"), 999)
    assert _checked(blog) == {str(there.id): "healthy", "999": "not-found"}
    edit(blog.app, "LinkedPerson", status="unchecked")
    blog.change(tracker, users_path="/nowhere/")
    assert _checked(blog) == {str(there.id): "unchecked", "999": "unchecked"}
    blog.change(tracker, address="http://127.0.0.1:9")
    assert _checked(blog) == {str(there.id): "unchecked", "999": "unchecked"}


def _checked(service: Running) -> dict[str, str]:
    with service.app.app_context():
        links = state_of(service.app).parts["links"]
        list(check_people(links.apps.registry.find("tracker"), links.link_to("tracker")))
    with in_database(service.app) as (db, rows):
        return {each.external_id: each.status for each in db.session.query(rows.LinkedPerson)}


@pytest.mark.parametrize("body", ["[]", '{"results": []}'])
def test_only_an_empty_list_means_that_somebody_is_gone(blog: Running, body: str) -> None:
    ana = blog.person()
    with stranger(blog, lambda: Response(body, mimetype="application/json")):
        blog.do(lambda deed: link_person(deed, find_app(deed, "stranger"), ana.id, "41"))
        assert _status(blog) == "not-found"


@pytest.mark.parametrize(
    ("status", "body"), [(500, "[]"), (200, "{}"), (200, '[{"id": 42}]'), (404, "[]"), (200, "x")]
)
def test_anything_else_means_nothing(blog: Running, status: int, body: str) -> None:
    ana = blog.person()
    with stranger(blog, lambda: Response(body, status, mimetype="application/json")):
        blog.do(lambda deed: link_person(deed, find_app(deed, "stranger"), ana.id, "41"))
        assert _status(blog) == "unchecked"


def _status(service: Running) -> str:
    with service.app.app_context():
        links = state_of(service.app).parts["links"]
        list(check_people(links.apps.registry.find("stranger"), links.link_to("stranger")))
    with in_database(service.app) as (db, rows):
        return str(db.session.query(rows.LinkedPerson).one().status)


def test_finding_somebody_known_costs_no_query(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    ana = blog.person()
    blog.knows(tracker, ana, 41)
    tracker.call(blog, "/who", "41")
    with statements(blog.app) as sent:
        tracker.call(blog, "/who", "41")
    assert [each for each in sent if "linked_person" in each] == []

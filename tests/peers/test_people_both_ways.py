"""`get_user()` between the Django package and a live app of ours, and each side's check of who is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import LinkedAuth
from flask_linked_auth.links.people import check_people, sync_people
from flask_linked_auth.links.wire import read_link, verify_jwt
from tests.peers.flask_pair import Asked, open_pair
from tests.peers.linked import link
from tests.peers.test_their_calls import told
from tests.tiny import in_database, make_admin, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.academy import Academy
    from tests.peers.ear import Ear
    from tests.peers.linked import Linked, Linking
    from tests.tiny import Person

WHO = "/posts/function?get_user=1"
WHO_ASYNC = "/posts/async?get_user=1"


def known(linked: Linked) -> dict[str, tuple[Any, str]]:
    """Our people by their ids at the site, with the health of each."""
    with in_database(linked.pair.app) as (db, rows):
        return {each.external_id: (each.user_id, each.status) for each in db.session.query(rows.LinkedPerson)}


def verified(person: Person) -> Person:
    """Mail to the person's address is known to reach them."""
    with in_database(person.app) as (db, rows):
        db.session.get_one(rows.User, person.id).email_verified = True
        db.session.commit()
    return person


# Theirs asks us.


@pytest.mark.parametrize("view", ["function", "async"])
def test_their_get_user_reads_our_person(linked: Linked, view: str) -> None:
    ana = linked.person(name="Ana Ríos")
    answer = linked.calls("GET", f"/posts/{view}?get_user=1", ana.id)
    assert answer.status_code == 200, answer.text
    found = answer.json()["user"]
    assert found.pop("id") > 0
    email = linked.email("ana")
    assert found == {"username": email, "email": email, "first_name": "Ana", "last_name": "Ríos"}
    assert linked.pair.asked == [Asked("GET", f"/v1/auth/app/user/{ana.id}", 200)]
    (there,) = linked.academy.told("people", email=email)
    assert there["credentials"] == {linked.pair.name: ana.id}
    # From now on it knows, and does not ask.
    assert linked.calls("GET", f"/posts/{view}?get_user=1", ana.id).json()["user"]["id"] == there["id"]
    assert len(linked.pair.asked) == 1


def test_their_get_user_finds_nobody_whom_we_don_t_have(linked: Linked) -> None:
    answer = linked.calls("GET", WHO, 999_999)
    assert (answer.status_code, answer.json()["user"]) == (200, None)
    assert linked.pair.asked == [Asked("GET", "/v1/auth/app/user/999999", 404)]


def test_their_check_of_credentials_reads_our_list(linked: Linked) -> None:
    ana, ben = linked.person("ana"), linked.person("ben")
    there = linked.person_there("ana", credentials={linked.pair.name: ana.id})
    wrong = linked.person_there(
        "ben", credentials={linked.pair.name: ana.id}
    )  # the address is not that one's
    for person, health in ((there, "HEALTHY"), (wrong, "NOT_FOUND")):
        linked.pair.asked.clear()
        (row,) = linked.academy.told("check_credentials", user=person, slugs=[linked.pair.name])
        assert row["health"] == {linked.pair.name: {"id": ana.id, "status": health}}
        # With its slash at the end, and no redirect, on which its header would be lost.
        query = f"email={row['email']}&id={ana.id}"
        assert linked.pair.asked == [Asked("GET", f"/v1/auth/app/user/?{query}", 200)]
    assert ben.id != ana.id


def test_their_check_sees_only_who_agreed(linking: Linking) -> None:
    linked = linking(needs_agreement=True)
    linked.scopes(["read:user"])
    ana, ben = linked.person("ana"), linked.person("ben")
    linked.agrees(ana)
    for name, person, health in (("ana", ana, "HEALTHY"), ("ben", ben, "NOT_FOUND")):
        there = linked.person_there(name, credentials={linked.pair.name: person.id})
        (row,) = linked.academy.told("check_credentials", user=there, slugs=[linked.pair.name])
        assert row["health"][linked.pair.name]["status"] == health


def test_their_client_lists_our_people(linked: Linked) -> None:
    people = [linked.person(name) for name in ("ana", "ben")]
    for path in ("/v1/auth/app/user/", "/v1/auth/app/user"):
        assert [each["id"] for each in told(linked.called("GET", path))] == [each.id for each in people]
    linked.knows(people[1], 41)
    listed = told(linked.called("GET", "/v1/auth/app/user/", user=41))
    assert [each["email"] for each in listed] == [linked.email("ben")]
    shown = [linked.called("GET", f"/v1/auth/app/user/{each.id}", user=41)["status"] for each in people]
    assert shown == [403, 200]
    assert {answer.status for answer in linked.pair.asked} == {200, 403}


# Ours asks them.


@pytest.fixture
def welcoming(academy: Academy, slug: str, tmp_path: Path) -> Iterator[Linked]:
    """An app of ours whose hook makes an account for whoever comes from the site."""
    auth = LinkedAuth()

    @auth.new_person
    def make(app: Any, profile: Any) -> Any:
        return auth.User(email=profile.email, name=profile.name, password_hash="")

    with open_pair(slug, tmp_path, auth) as pair:
        yield link(academy, pair, there={})


def test_our_get_user_reads_their_person(welcoming: Linked) -> None:
    ana = welcoming.person_there("ana", first_name="Ana", last_name="Ríos")
    ben = welcoming.person_there("ben")
    found = told(welcoming.called("GET", WHO, user=ana))
    assert (found["known"], found["user"]["email"]) == (None, welcoming.email("ana"))
    here = found["user"]["id"]
    assert told(welcoming.called("GET", WHO, user=ana))["known"] == here
    found = told(welcoming.called("GET", WHO_ASYNC, user=ben))
    assert (found["known"], found["user"]["email"]) == (None, welcoming.email("ben"))
    assert known(welcoming) == {str(ana): (here, "healthy"), str(ben): (found["user"]["id"], "healthy")}
    with in_database(welcoming.pair.app) as (db, rows):
        assert db.session.get_one(rows.User, here).name == "Ana Ríos"


def test_our_get_user_asks_in_our_own_name(linked: Linked, ear: Ear) -> None:
    """With a subject their users path would be read for one person of ours, whose number means another there."""
    linked.change(address=ear.address)
    for path in (WHO, WHO_ASYNC):
        assert told(linked.called("GET", path, user=41))["user"] is None
        assert (ear.last.method, ear.last.target) == ("GET", "/v1/auth/app/user/41")
        scheme, rest = ear.last.authorization
        app, token = read_link(rest)
        claims = verify_jwt(app, token, [linked.ours], receiver="academy")
        assert (scheme, claims.app, claims.sub) == ("Link", linked.pair.name, None)


def test_our_check_reads_their_list(linked: Linked) -> None:
    ana, ben = linked.person("ana"), linked.person("ben")
    there = linked.person_there()
    linked.knows(ana, there)
    linked.knows(ben, 999_999)

    def check() -> dict[str, tuple[Any, str]]:
        with linked.pair.app.app_context():
            links = state_of(linked.pair.app).parts["links"]
            app = links.apps.registry.find("academy")
            list(check_people(app, links.link_to("academy")))
        return known(linked)

    healths = {str(there): (ana.id, "healthy"), "999999": (ben.id, "not-found")}
    assert check() == healths
    linked.change(address="http://127.0.0.1:9")  # nobody listens there
    assert check() == healths


def test_a_sync_takes_their_addresses_only_when_an_operator_vouches_for_them(linking: Linking) -> None:
    """The package does not say whether it has verified an address."""
    linked = linking(joins_by_email=True)
    ana, root = verified(linked.person("ana")), verified(make_admin(linked.person("root")))
    unverified = linked.person("ben")
    there = {name: linked.person_there(name) for name in ("ana", "root", "ben")}

    def sync(**options: Any) -> None:
        with linked.pair.app.app_context():
            links = state_of(linked.pair.app).parts["links"]
            app = links.apps.registry.find("academy")
            list(sync_people(app, links.link_to("academy"), **options))

    sync()
    assert known(linked) == {}
    sync(trust_addresses=True)
    assert known(linked) == {str(there["ana"]): (ana.id, "healthy")}
    assert len({ana.id, root.id, unverified.id}) == 3


# What the package gets wrong here.


def test_nobody_is_joined_by_an_address_that_they_don_t_vouch_for(linking: Linking) -> None:
    linked = linking(joins_by_email=True)
    verified(linked.person())
    there = linked.person_there()
    assert told(linked.called("GET", WHO, user=there))["user"] is None
    assert known(linked) == {}


def test_no_privileged_account_is_joined_whatever_they_say(linking: Linking, ear: Ear) -> None:
    linked = linking(joins_by_email=True, address=ear.address)
    people = {"root": verified(make_admin(linked.person("root"))), "ana": verified(linked.person("ana"))}
    unverified = linked.person("ben")
    for number, name in enumerate(["root", "ben", "ana"], 5):
        ear.answers[f"/v1/auth/app/user/{number}"] = {
            "id": number,
            "username": name,
            "email": linked.email(name),
            "email_verified": True,
        }
    found = {each: told(linked.called("GET", WHO, user=each))["user"] for each in (5, 6, 7)}
    assert found == {5: None, 6: None, 7: {"id": people["ana"].id, "email": linked.email("ana")}}
    assert list(known(linked)) == ["7"]
    assert people["root"].id != unverified.id


@pytest.mark.parametrize("path", [WHO, WHO_ASYNC])
def test_a_pair_that_is_down_is_nobody_and_nothing_is_forgotten(linked: Linked, ear: Ear, path: str) -> None:
    ana = linked.person()
    linked.knows(ana, 41)
    linked.change(address="http://127.0.0.1:9")  # nobody listens there
    assert told(linked.called("GET", path, user=42))["user"] is None
    linked.change(address=ear.address)
    for status in (500, 503, 404, 403, 302):
        ear.status = status
        assert told(linked.called("GET", path, user=42))["user"] is None
        assert told(linked.called("GET", path, user=41))["user"]["id"] == ana.id
        with linked.pair.app.app_context():
            links = state_of(linked.pair.app).parts["links"]
            list(check_people(links.apps.registry.find("academy"), links.link_to("academy")))
        assert known(linked) == {"41": (ana.id, "unchecked")}

"""Mistakes of the Django package that guards, rows and processes of ours could share (wire.md), and do not.

Those of the credentials themselves are in test_mistakes_not_shared.py, and the package is seen to make them in
test_package_as_it_is.py; those about people, agreements and keys stand beside what works there.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flask_linked_auth import LinkedAuth
from flask_linked_auth.apps import changes
from flask_linked_auth.apps.keys import retire_keys
from flask_linked_auth.links.keys import LinkKey, generate_key
from flask_linked_auth.links.link import Link
from flask_linked_auth.links.people import link_person
from tests.accounts.test_own_user_model import new_db, uuid_key
from tests.faults.lab import running, served, wait_until
from tests.peers import forged
from tests.peers.flask_pair import Asked, Pair, open_pair
from tests.peers.linked import BOTH_WAYS, Linked, link
from tests.peers.test_their_calls import refused, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import requests

    from tests.peers.academy import Academy
    from tests.peers.linked import Linking

JSON = {"Content-Type": "application/json"}


def outcome(answer: requests.Response) -> tuple[int, str]:
    """The status, and the slug of a problem."""
    return answer.status_code, answer.json().get("slug", "")


def signed(linked: Linked, key: LinkKey, path: str, **options: Any) -> dict[str, str]:
    """A call of the site's by the RFC 9421 profile, which the package does not have."""
    there = Link("academy", linked.pair.name, linked.pair.address, key, dialect="signature")
    return there.sign("GET", linked.pair.address + path, body=None, **options)


@pytest.fixture(scope="module")
def house(academy: Academy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:
    """Both of them, for the tests that change nothing."""
    with open_pair("house", tmp_path_factory.mktemp("house")) as pair:
        yield link(academy, pair, accepts=BOTH_WAYS, there={})


# Replay.


def test_an_old_signature_counts_once(house: Linked) -> None:
    headers = house.signature()
    assert outcome(house.pair.ask("GET", "/posts/function", headers)) == (200, "")
    # It covers neither path nor host: whoever has seen it could go elsewhere with it.
    for path in ("/posts/function", "/posts/async", "/posts/signature", "/v1/auth/app/user/"):
        assert outcome(house.pair.ask("GET", path, headers)) == (401, "replayed")


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
def test_a_nonce_of_our_profile_counts_once(linking: Linking, algorithm: Any) -> None:
    linked, key = linking(accepts=["signature"]), generate_key(algorithm)
    linked.add_key("signature_in", key.public() if algorithm == "EdDSA" else key)
    headers = signed(linked, key, "/posts/function")
    assert outcome(linked.pair.ask("GET", "/posts/async", headers)) == (401, "wrong-app-token")
    assert outcome(linked.pair.ask("GET", "/posts/function", headers)) == (200, "")
    assert outcome(linked.pair.ask("GET", "/posts/function", headers)) == (401, "replayed")


# Who calls comes first, then what it may.


def test_scopes_are_checked_for_a_service_itself(linking: Linking) -> None:
    linked = linking(needs_agreement=True, accepts=[*BOTH_WAYS, "signature"])
    linked.add_key("signature_in", key := generate_key("HS512"))
    for path in ("/posts/function", "/posts/other", "/posts/async", "/v1/auth/app/user/"):
        refused(linked.called("GET", path), 403, "forbidden-scope")
        refused(linked.called("GET", path, mode="signature"), 403, "forbidden-scope")
        assert outcome(linked.pair.ask("GET", path, signed(linked, key, path))) == (403, "forbidden-scope")
    linked.scopes(["read:posts"])
    assert linked.called("GET", "/posts/function")["status"] == 200
    refused(linked.called("GET", "/posts/both"), 403, "forbidden-scope")


def test_the_signature_is_checked_before_the_scopes(linking: Linking) -> None:
    """Else anybody could ask which scopes an app has, and who agreed to it."""
    linked = linking(needs_agreement=True, accepts=[*BOTH_WAYS, "signature"])
    linked.add_key("signature_in", right := generate_key("HS512"))
    wrong, path = replace(generate_key("HS512"), id=right.id), "/posts/function"
    for headers in (linked.token(wrong), linked.signature(wrong), signed(linked, wrong, path)):
        assert outcome(linked.pair.ask("GET", path, headers)) == (401, "wrong-app-token")
    for headers in (linked.token(), linked.signature(), signed(linked, right, path)):
        assert outcome(linked.pair.ask("GET", path, headers)) == (403, "forbidden-scope")


def test_an_app_does_not_speak_for_another(house: Linked) -> None:
    house.knows(house.person(), 41)
    house.do(lambda deed, row: changes.register_app(deed, "victim", needs_agreement=False))
    for app in ("victim", "victim__gte", "academy__gte"):
        said = outcome(house.pair.ask("GET", "/posts/function", house.token(app=app, sub="41")))
        assert said == (401, "wrong-app-token")
        said = outcome(house.pair.ask("GET", "/posts/function", house.token(app=app, said=app, sub="41")))
        assert said == (401, "wrong-app-token" if app == "victim" else "app-not-found")


def test_a_token_for_ten_years_is_refused(house: Linked) -> None:
    headers = house.token(exp=time.time() + 10 * 365 * 86400)
    assert outcome(house.pair.ask("GET", "/posts/function", headers)) == (401, "bad-timestamp")


def test_a_string_that_reads_like_an_object_is_no_object(house: Linked) -> None:
    headers = house.signature(method="POST", body="{'a': 1}")
    answer = house.pair.ask("POST", "/posts/signature", headers | JSON, data=json.dumps("{'a': 1}"))
    assert outcome(answer) == (401, "authorization-header-malformed")
    assert outcome(house.pair.ask("POST", "/posts/signature", headers, json={"a": 1})) == (200, "")


def test_a_header_that_was_not_signed_does_not_pass_for_signed(house: Linked) -> None:
    covered, sent = "{'X-Role': 'reader'}", {"X-Role": "reader"}
    for names, status in (("X-Role-Of-Admin", 401), ("", 401), ("X-Role", 200)):
        headers = house.signature(headers=covered, signed_headers=names)
        assert house.pair.ask("GET", "/posts/signature", headers | sent).status_code == status


# Odd claims.

ODD: dict[str, Mapping[str, Any]] = {
    "no sub": {"sub": forged.ABSENT},
    "null as sub": {"sub": None},
    "a number as sub": {"sub": 41},
    "a fraction as sub": {"sub": 4.1},
    "true as sub": {"sub": True},
    "a list as sub": {"sub": ["41"]},
    "an object as sub": {"sub": {"id": 41}},
    "NUL in sub": {"sub": "4\0001"},
    "a number in other digits as sub": {"sub": "\uff14\uff11"},
    "a number written otherwise as sub": {"sub": "041"},
    "a long sub": {"sub": "4" * 300},
    "a lone surrogate as sub": {"sub": "\ud800"},
    "no app": {"app": forged.ABSENT},
    "null as app": {"app": None},
    "a number as app": {"app": 7},
    "a list as app": {"app": ["academy"]},
    "no aud": {"aud": forged.ABSENT},
    "a list as aud": {"aud": ["blog"]},
    "another aud": {"aud": "shop"},
    "no exp": {"exp": forged.ABSENT},
    "a text as exp": {"exp": "soon"},
    "infinity as exp": {"exp": float("inf")},
    "no number as exp": {"exp": float("nan")},
    "a huge exp": {"exp": 10**400},
    "no iat": {"iat": forged.ABSENT},
    "an iat to come": {"iat": time.time() + 3600},
    "a list as iss": {"iss": ["x"]},
    "a number as typ": {"typ": 1},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_claims_are_refused_and_no_server_error(house: Linked, name: str) -> None:
    headers = house.token(**ODD[name])
    for path in ("/posts/function?get_user=1", "/posts/async?get_user=1", "/v1/auth/app/user/1"):
        answer = house.pair.ask("GET", path, headers)
        assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")


@pytest.mark.parametrize(
    "sub", ["ana", "0", "-1", "9" * 200, "../1", "1?a=b", "1/../2", "0608b1f1-fbe7-4289-ac13-dfed30919f47"]
)
def test_a_subject_that_is_no_number_of_theirs_is_nobody(house: Linked, sub: str) -> None:
    for path in ("/posts/function?get_user=1", "/posts/async?get_user=1"):
        answer = house.pair.ask("GET", path, house.token(sub=sub))
        assert (answer.status_code, answer.json()["sub"], answer.json()["user"]) == (200, sub, None)
    shown = house.pair.ask("GET", "/v1/auth/app/user/1", house.token(sub=sub))
    assert outcome(shown) == (404, "user-not-found")


# What views are given.


def test_no_view_is_given_a_key(house: Linked) -> None:
    for mode in (None, "signature"):
        answer = house.called("GET", "/posts/given", mode=mode)
        assert json.loads(answer["body"])["app"]["slug"] == "academy"
        secret = house.theirs.private_hex()
        for text in (secret, repr(bytes.fromhex(secret)), "private", "secret", "signing"):
            assert text not in answer["body"]


# Other processes.

INTERVAL = 0.2


def test_what_ends_here_is_refused_by_another_process(academy: Academy, slug: str, tmp_path: Path) -> None:
    url, settings = f"sqlite:///{tmp_path}/lab.db", {"revocation_interval": INTERVAL, "name": slug}
    path = "/v1/auth/app/user/"
    with running(url, **settings) as app, served(tmp_path, url, **settings) as server:
        linked = link(academy, Pair(app, f"http://127.0.0.1:{server.port}"), accepts=BOTH_WAYS, there={})
        held = linked.token()

        def slugs() -> set[str]:
            answers = [linked.called("GET", path, mode=mode) for mode in (None, "signature")]
            said = {json.loads(each["body"]).get("slug", "") for each in answers}
            return said | {outcome(linked.pair.ask("GET", path, held))[1]}

        def admitted() -> bool:
            return linked.pair.ask("GET", path, held).status_code == 200

        wait_until(admitted, 5)
        # Whoever holds a key that is over is told so; nobody is any more where the app is gone.
        for use in ("link_in", "legacy_in"):
            linked.do(lambda deed, row, use=use: retire_keys(deed, row, use, after=0))
        wait_until(lambda: not admitted(), 10 * INTERVAL)
        assert slugs() == {"wrong-legacy-app-token"}
        for use in ("link_in", "legacy_in"):
            linked.add_key(use, linked.theirs)
        wait_until(admitted, 10 * INTERVAL)
        linked.do(changes.remove_app)
        wait_until(lambda: not admitted(), 10 * INTERVAL)
        assert slugs() == {"app-not-found"}


# People whose ids are no numbers.


def test_our_people_may_have_uuids(academy: Academy, slug: str, tmp_path: Path) -> None:
    auth = LinkedAuth(db=(db := new_db()), user_model=uuid_key(db))
    with open_pair(slug, tmp_path, auth) as pair:
        linked = link(academy, pair, accepts=BOTH_WAYS, there={})
        key = linked.person().id
        linked.do(lambda deed, row: link_person(deed, row, uuid.UUID(key), "41"))
        for view in ("function", "async"):
            found = told(linked.called("GET", f"/posts/{view}?get_user=1", user=41))
            assert (found["known"], found["user"]["id"]) == (key, key)
        listed = json.loads(linked.called("GET", "/v1/auth/app/user/", user=41)["body"])
        assert [each["id"] for each in listed] == [key]
        assert told(linked.called("GET", f"/v1/auth/app/user/{key}", user=41))["email"] == linked.email("ana")
        # As somebody's id over there it is a text as good as any.
        there = linked.person_there(credentials={slug: key})
        (row,) = academy.told("check_credentials", user=there, slugs=[slug])
        assert row["health"][slug]["status"] == "HEALTHY"
        query = f"email={linked.email('ana')}&id={key}"
        assert pair.asked[-1] == Asked("GET", f"/v1/auth/app/user/?{query}", 200)
        for wrong in (str(uuid.uuid4()), "41", "x"):
            answer = linked.called("GET", f"/v1/auth/app/user/?id={wrong}")
            assert (answer["status"], json.loads(answer["body"])) == (200, [])


def test_their_package_cannot_be_spoken_to_for_somebody_with_a_uuid(linked: Linked) -> None:
    """Its subjects are numbers; `flask linked-auth link` says so. A service itself is heard."""
    statuses = [linked.calls("GET", "/posts/function", user).status_code for user in (uuid.uuid4(), None)]
    assert statuses == [500, 200]

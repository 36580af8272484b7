"""`flask linked-auth people …`, `sign-jwt`, `sign-request`, and keys that are set up by hand."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_linked_auth import Accounts, LinkedAuth
from flask_linked_auth.apps import Apps
from flask_linked_auth.links import Links
from flask_linked_auth.links.keys import generate_key, key_from_hex
from flask_linked_auth.links.link import Link
from tests.links.both_sides import Running, acquaint, running

if TYPE_CHECKING:
    from flask_linked_auth.links.keys import LinkKey

USERS = "/v1/auth/app/user/"


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[Running]:
    with running("blog", tmp_path, revocation_interval=0) as service:
        yield service


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Running]:
    with running("tracker", tmp_path, revocation_interval=0) as service:
        yield service


@pytest.fixture
def house(blog: Running, tracker: Running) -> tuple[Running, Running]:
    acquaint(blog, tracker, needs_agreement=False, joins_by_email=True)
    return blog, tracker


# People.


def test_people_are_linked_listed_checked_and_unlinked(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    here, there = blog.person("ana@example.com"), tracker.person("ana@example.com")
    assert blog.done("people", "link", "tracker", "ana@example.com", str(there.id)) == "Linked.\n"
    assert blog.json("people", "list", "tracker") == [
        {"external_id": str(there.id), "user_id": str(here.id), "status": "unchecked", "checked_at": None}
    ]
    assert blog.done("people", "check", "tracker") == "tracker: 1 people, 1 healthy.\n"
    line = blog.done("people", "list", "tracker", "--status", "healthy")
    assert re.fullmatch(rf"{there.id}\t{here.id}\thealthy\t20\S+Z\n", line)
    assert blog.done("people", "list", "tracker", "--status", "not-found") == ""
    assert blog.done("people", "unlink", "tracker", str(there.id)) == "Unlinked.\n"
    assert "Nobody here" in blog.fails("people", "unlink", "tracker", str(there.id))
    assert "nobody with" in blog.fails("people", "link", "tracker", "bob@example.com", "7")
    assert "no linked app" in blog.fails("people", "list", "nobody")
    assert "no linked app" in blog.fails("people", "check", "nobody")


def test_a_sync_says_how_many(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    for n in range(3):
        blog.person(f"p{n}@example.com")
        tracker.person(f"p{n}@example.com", verified=n != 1)
    assert blog.json("people", "sync", "tracker") == {"tracker": {"seen": 3, "linked": 2}}
    assert blog.done("people", "sync", "tracker") == "tracker: 3 people, 0 linked.\n"
    vouched = ("--trust-addresses", "--start", "1")
    assert blog.json("people", "sync", "tracker", *vouched) == {"tracker": {"seen": 2, "linked": 1}}


def test_a_sync_wants_an_app_whose_people_may_be_joined(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    assert "app change --join-by-email" in tracker.fails("people", "sync", "blog")
    blog.change(tracker, address="http://127.0.0.1:9")
    assert "Go on with --start 0." in blog.fails("people", "sync", "tracker")


# Signing.


def curl(line: str) -> Any:
    """What a printed line answers when somebody runs it."""
    words = [*shlex.split(line), "-sS", "-i"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    head, _, body = done.stdout.replace("\r\n", "\n").rpartition("\n\n")
    return int(head.split()[1]), json.loads(body)


def test_a_printed_line_calls_by_jwt(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    here, there = blog.person(), tracker.person()
    tracker.knows(blog, there, here.id)
    line = blog.done("sign-jwt", "tracker", "ana@example.com", "--path", "/v1/auth/app/user")
    assert line.startswith("curl -H 'Authorization: Link App=blog,Token=")
    assert [each["id"] for each in curl(line)[1]] == [there.id]
    assert curl(blog.json("sign-jwt", "tracker")["curl"])[0] == 200


def test_a_printed_line_calls_by_signed_request_once(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    tracker.person("a+b@example.com")
    line = blog.done("sign-request", "tracker", "--params", '{"email": "a+b@example.com", "limit": 1}')
    status, body = curl(line)
    assert (status, [each["email"] for each in body]) == (200, ["a+b@example.com"])
    assert curl(line)[1]["slug"] == "replayed"


def test_a_body_is_covered(house: tuple[Running, Running]) -> None:
    made = house[0].json(
        *("sign-request", "tracker", "--method", "post", "--path", "/v1/auth/app/token"),
        *("--data", '{"token": "it\'s"}', "--header", "Accept-Language: es"),
    )
    assert "Content-Digest" in made["headers"]
    changed = made["curl"].replace('{"token": "it', '{"token": "at')
    assert changed != made["curl"]
    assert curl(changed)[1]["slug"] == "wrong-app-token"
    status, body = curl(made["curl"])
    assert (status, body["slug"], body["title"]) == (401, "invalid-token", "Token de un solo uso no válido")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--params", "[1]"), "not a JSON object"),
        (("--params", "__import__('os')"), "--params is not JSON"),
        (("--data", "{'a': 1}"), "--data is not JSON"),
        (("--header", "nothing"), "is no header"),
        (("--header", "X: a\nY: b"), "is no header"),
        (("--dialect", "legacy-signature"), "no key"),
        (("nobody",), "There is nobody"),
    ],
)
def test_arguments_are_read_and_never_run(
    house: tuple[Running, Running], words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in house[0].fails("sign-request", "tracker", *words)


def test_signing_for_an_app_that_is_not_there(house: tuple[Running, Running]) -> None:
    blog, tracker = house
    for command in ("sign-jwt", "sign-request"):
        assert "no linked app" in blog.fails(command, "nobody")
    blog.change(tracker, address=None)
    assert "has no address" in blog.fails("sign-jwt", "tracker")


def test_one_signs_as_the_other_side_where_the_secret_is_shared(blog: Running, tracker: Running) -> None:
    acquaint(blog, tracker, algorithm="HS512", needs_agreement=False)
    ana = blog.person()
    blog.knows(tracker, ana, 41)
    status, body = curl(blog.done("sign-jwt", "tracker", "41", "--reverse"))
    assert (status, [each["id"] for each in body]) == (200, [ana.id])
    assert "cannot travel" in blog.fails("sign-jwt", "tracker", "a b", "--reverse")


def test_with_a_pair_of_keys_nobody_signs_as_the_other_side(house: tuple[Running, Running]) -> None:
    assert "run it there" in house[0].fails("sign-jwt", "tracker", "--reverse")


# By hand, and for the Django package.


def test_a_key_from_elsewhere(blog: Running) -> None:
    blog.done("app", "create", "academy", "--no-agreement")
    key = key_from_hex("HS512", private=generate_key("HS512").private_hex())
    words = ("app", "set-key", "academy", "--use", "link_in", "--use", "link_out", "--algorithm", "HS512")
    assert blog.done(*words, typed=key.private_hex()) == "Stored for link_in, link_out.\n"
    assert _asks(blog, key) == 403  # known, and without a scope
    pair = generate_key("EdDSA")
    public = (
        "app",
        "set-key",
        "academy",
        "--use",
        "link_in",
        "--algorithm",
        "EdDSA",
        "--public",
        pair.public_hex(),
    )
    blog.done(*public)
    assert _asks(blog, pair) == 403
    assert _asks(blog, key) == 403, "the former key is accepted for a while"


def _asks(blog: Running, key: LinkKey) -> int:
    link = Link("academy", "blog", blog.address, key)
    answer = blog.app.test_client().get(USERS, headers=link.sign("GET", blog.address + USERS, body=None))
    return answer.status_code


@pytest.mark.parametrize(
    ("words", "typed", "complaint"),
    [
        (("--use", "link_in", "--algorithm", "HS512"), "zz", "not hex"),
        (("--use", "link_in", "--algorithm", "HS512"), "00" * 64, "One byte over and over"),
        (("--use", "link_in", "--algorithm", "HS512"), "ab" * 8 + "cd", "needs 64 bytes"),
        (("--use", "link_in", "--algorithm", "EdDSA", "--public", "00"), "", "not the hex of a key"),
        (("--use", "link_out", "--algorithm", "EdDSA", "--public", "PUBLIC"), "", "of no use as link_out"),
    ],
)
def test_a_bad_key_from_elsewhere(blog: Running, words: tuple[str, ...], typed: str, complaint: str) -> None:
    blog.done("app", "create", "academy")
    public = generate_key("EdDSA").public_hex()
    given = [public if word == "PUBLIC" else word for word in words]
    said = blog.fails("app", "set-key", "academy", *given, typed=typed)
    assert complaint in said
    assert "0000" not in said
    assert blog.rows("AppKey") == []


ACADEMY = ("link", "https://academy.example.com", "--django", "academy")


def values_in(snippet: str) -> dict[str, Any]:
    """What would be set on the row over there."""
    inside = snippet.partition("values = ")[2].partition("for name")[0]
    found: dict[str, Any] = ast.literal_eval(inside)
    return found


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "EdDSA"])
def test_a_link_with_the_django_package(blog: Running, algorithm: Any) -> None:
    made = blog.json(*ACADEMY, "--algorithm", algorithm, "--no-agreement")
    assert made["note"] is None
    values = values_in(made["run"])
    assert values["app_url"] == blog.address
    assert values["strategy"] == "JWT"
    theirs = key_from_hex(algorithm, private=values["private_key"])
    assert _asks(blog, theirs) == 403
    ours = blog.link_to("academy").key_for("link")
    if algorithm == "EdDSA":
        assert values["public_key"] == ours.public_hex()
        assert values["private_key"] not in {key.sealed for key in blog.rows("AppKey")}
    else:
        assert (values["public_key"], values["private_key"]) == ("", ours.private_hex())
    assert "--replace" in blog.fails(*ACADEMY)
    blog.done(*ACADEMY, "--replace")
    assert _asks(blog, theirs) == 401


def test_the_key_is_shown_where_it_is_to_be_run(blog: Running) -> None:
    said = blog.done(*ACADEMY)
    assert "manage.py shell" in said
    assert "from linked_services.django.models import App" in said
    assert "Note" not in said


def test_the_old_signatures(blog: Running) -> None:
    made = blog.json(*ACADEMY, "--old-signatures", "--algorithm", "HS256")
    assert values_in(made["run"])["strategy"] == "SIGNATURE"
    facts = blog.json("app", "show", "academy")
    assert (facts["dialect"], facts["accepts"]) == ("legacy-signature", ["link", "legacy-signature"])
    assert {key["use"] for key in facts["keys"]} == {"link_in", "link_out", "legacy_in", "legacy_out"}
    assert "HMACs" in blog.fails(*ACADEMY, "--old-signatures", "--algorithm", "EdDSA", "--replace")


def test_a_rotation_waits_until_the_other_side_has_the_key(blog: Running) -> None:
    before = values_in(blog.json(*ACADEMY)["run"])["private_key"]
    given_up = values_in(blog.json("app", "rotate", "academy")["run"])["private_key"]
    said = blog.done("app", "rotate", "academy")
    assert "Then: flask linked-auth app rotate academy --activate" in said
    after = values_in(said)["private_key"]
    assert len({before, given_up, after}) == 3
    accepted = {text: _asks(blog, key_from_hex("HS512", private=text)) for text in (before, given_up, after)}
    assert accepted == {before: 403, given_up: 401, after: 403}
    assert blog.link_to("academy").key_for("link").private_hex() == before
    assert blog.done("app", "rotate", "academy", "--activate") == "Rotated: link_out.\n"
    assert blog.link_to("academy").key_for("link").private_hex() == after
    assert _asks(blog, key_from_hex("HS512", private=before)) == 403
    assert "no new key" in blog.fails("app", "rotate", "academy", "--activate")


def test_an_app_without_keys_is_not_rotated(blog: Running) -> None:
    blog.done("app", "create", "academy")
    assert "link it first" in blog.fails("app", "rotate", "academy")


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Member(db.Model):  # type: ignore[misc, name-defined]
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(128))


def test_ids_that_the_django_package_cannot_take_are_told_of(tmp_path: Path) -> None:
    auth = LinkedAuth(db=db, user_model=Member, parts=[Accounts(), Apps(), Links()])
    with running("blog", tmp_path, auth, database=f"sqlite:///{tmp_path}/uuid.db", recovery=False) as blog:
        said = blog.done(*ACADEMY)
    assert "Note: the ids of people here are UUIDs" in said

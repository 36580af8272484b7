"""Two services are linked by a pairing code, whatever somebody between them, or one of them, tries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click import ClickException
from flask import Flask, Response, request
from flask.cli import ScriptInfo

from flask_linked_auth.apps.changes import define_scopes
from flask_linked_auth.links.announced import announced
from flask_linked_auth.links.client import Service
from flask_linked_auth.links.codes import answer_mac, is_proof, new_code, read_code, text_of, unread
from flask_linked_auth.links.keys import generate_key
from flask_linked_auth.links.pairing import is_private
from tests.links.both_sides import SCOPES, Running, acquaint, listening, running
from tests.tiny import edit

if TYPE_CHECKING:
    from flask_linked_auth.links.link import Link

USERS, PAIR, KEYS = "/v1/auth/app/user", "/v1/auth/app/pair", "/v1/auth/app/keys"


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[Running]:
    with running("blog", tmp_path, revocation_interval=0) as service:
        service.do(lambda deed: define_scopes(deed, SCOPES))
        yield service


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Running]:
    with running("tracker", tmp_path, revocation_interval=0) as service:
        service.do(lambda deed: define_scopes(deed, SCOPES))
        yield service


def invited(blog: Running, *more: str) -> str:
    return str(blog.json("app", "invite", "tracker", *more)["code"])


def apps_of(service: Running) -> list[str]:
    return sorted(app.slug for app in service.rows("LinkedApp"))


def test_both_sides_end_up_with_each_other(blog: Running, tracker: Running) -> None:
    code = invited(blog, "--no-agreement")
    said = tracker.done("link", blog.address, "--code", code, "--no-agreement")
    assert said.startswith(f"Linked with blog at {blog.address}.")
    ana = blog.person()
    for mode in ("jwt", "signature"):
        assert [each["id"] for each in tracker.call(blog, USERS, mode=mode).json()] == [ana.id]
        assert blog.call(tracker, USERS, mode=mode).json() == []
    here, there = tracker.json("app", "show", "blog"), blog.json("app", "show", "tracker")
    assert (here["address"], there["address"]) == (blog.address, tracker.address)
    uses = ["link_in", "link_out", "signature_in", "signature_out"]
    assert [key["use"] for key in here["keys"]] == [key["use"] for key in there["keys"]] == uses
    ids = {key["id"] for key in here["keys"]}
    assert len(ids) == 4, "a key of its own for each direction and use"
    assert ids == {key["id"] for key in there["keys"]}
    assert {key["algorithm"] for key in here["keys"]} == {"EdDSA"}
    assert tracker.rows("PairingCode") == []


def test_the_code_is_asked_for(blog: Running, tracker: Running) -> None:
    code = invited(blog)
    tracker.done("link", blog.address, typed=f" {code.upper().replace('-', ' ')} \n")
    assert apps_of(tracker) == ["blog"]


def test_each_side_says_what_the_other_may(blog: Running, tracker: Running) -> None:
    code = invited(blog, "--required", "read:user", "--optional", "read:tracks", "--ceiling", "read:user")
    tracker.done("link", blog.address, "--code", code, "--join-by-email")
    there, here = blog.json("app", "show", "tracker"), tracker.json("app", "show", "blog")
    terms = ("needs_agreement", "required", "optional", "ceiling", "joins_by_email")
    assert [there[each] for each in terms] == [True, ["read:user"], ["read:tracks"], ["read:user"], False]
    assert [here[each] for each in terms] == [True, [], [], None, True]


def test_an_invitation_on_bad_terms_is_refused_while_there_is_somebody_to_be_told(blog: Running) -> None:
    assert "Not defined: read:nothing." in blog.fails(
        "app", "invite", "tracker", "--required", "read:nothing"
    )
    assert "own name" in blog.fails("app", "invite", "blog")
    assert "slug" in blog.fails("app", "invite", "Not a slug")
    assert blog.rows("PairingCode") == []
    invited(blog)
    assert apps_of(blog) == []


def test_what_is_printed_for_the_other_operator(blog: Running) -> None:
    said = blog.done("app", "invite", "tracker")
    assert f"  flask linked-auth link {blog.address}\n" in said
    assert "Within 15 minutes" in said
    assert read_code(said.rpartition(": ")[2]).handle


# The code.


def test_only_its_public_half_is_kept_and_that_sealed(blog: Running) -> None:
    code = read_code(invited(blog))
    (row,) = blog.rows("PairingCode")
    assert code.text[5:] not in f"{row.id}{row.terms}"
    assert row.terms.startswith("v1.")
    with blog.app.app_context():
        sealer = blog.app.extensions["linked_auth"].sealer
        kept = sealer.open(row.terms, f"pairing_code:{row.id}").decode()
    assert code.text not in kept
    assert code.text[5:] not in kept


def test_a_code_is_good_once(blog: Running, tracker: Running, tmp_path: Path) -> None:
    code, elsewhere = invited(blog), tmp_path / "elsewhere"
    elsewhere.mkdir()
    tracker.done("link", blog.address, "--code", code)
    with running("tracker", elsewhere) as thief:
        assert "unknown, expired or used" in thief.fails("link", blog.address, "--code", code)


def test_of_two_at_once_one_is_linked(database_url: str, tmp_path: Path, tracker: Running) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def linked(service: Running) -> bool:
        # Not by the test's runner, of which two would change sys.stdout under each other.
        app, args = service.app, ["linked-auth", "link", blog.address, "--code", code]
        try:
            app.cli.main(args=args, standalone_mode=False, obj=ScriptInfo(create_app=lambda: app))
        except ClickException:
            return False
        return True

    with running("blog", tmp_path, database=database_url) as blog, running("tracker", elsewhere) as twin:
        code = invited(blog)
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(linked, (tracker, twin))) == [False, True]
        assert len(blog.rows("AppKey")) == 4
        (winner,) = [service for service in (tracker, twin) if service.rows("AppKey")]
        keys = [{(key.use[:4], key.key_id) for key in service.rows("AppKey")} for service in (blog, winner)]
        assert keys[0] == keys[1]


def test_an_expired_code_is_refused(blog: Running, tracker: Running) -> None:
    code = invited(blog)
    edit(blog.app, "PairingCode", expires_at=1)
    assert "unknown, expired or used" in tracker.fails("link", blog.address, "--code", code)
    assert apps_of(blog) == apps_of(tracker) == []


def test_another_code_is_refused(blog: Running, tracker: Running) -> None:
    invited(blog)
    assert "unknown, expired or used" in tracker.fails("link", blog.address, "--code", new_code().shown)


@pytest.mark.parametrize("typed", ["", "abc", "a" * 24, "a" * 26, "0" * 25, "é" * 25])
def test_what_is_no_code_is_not_even_sent(tracker: Running, typed: str) -> None:
    assert "no pairing code" in tracker.fails("link", "http://127.0.0.1:9", "--code", typed or "-")


def test_guessing_ends_after_a_few_tries(tmp_path: Path, tracker: Running) -> None:
    with running("blog", tmp_path, rate_limits=None) as blog:
        code = read_code(invited(blog))
        wrong = read_code(code.handle + new_code().text[5:])
        for _ in range(10):
            assert "unknown, expired or used" in tracker.fails("link", blog.address, "--code", wrong.shown)
        assert "unknown, expired or used" in tracker.fails("link", blog.address, "--code", code.shown)


def test_guessing_is_slow(tmp_path: Path) -> None:
    with running("blog", tmp_path, rate_limits={}) as blog:
        body = {"code": "abcde", "offer": "x", "proof": "A" * 86}
        found = [requests.post(blog.address + PAIR, json=body, timeout=60).status_code for _ in range(11)]
    assert found == [403] * 10 + [429]


# Those who lie.


def test_an_address_of_somebody_else_is_not_believed(blog: Running, tracker: Running, tmp_path: Path) -> None:
    code = invited(blog)
    with running("billing", tmp_path) as victim:
        complaint = tracker.fails("link", blog.address, "--code", code, "--address", victim.address)
    assert f"At {victim.address} nobody confirms the offer." in complaint
    assert "nobody confirms" in tracker.fails(
        "link", blog.address, "--code", code, "--address", "http://127.0.0.1:9"
    )
    assert apps_of(blog) == []
    # The code has not been used up by that.
    tracker.done("link", blog.address, "--code", code)


def test_an_invitation_may_name_the_address(blog: Running, tracker: Running) -> None:
    code = invited(blog, "--address", "https://tracker.example.com/")
    assert "at another address" in tracker.fails("link", blog.address, "--code", code)


def test_a_service_of_another_name_cannot_use_the_code(blog: Running, tmp_path: Path) -> None:
    code = invited(blog)
    with running("billing", tmp_path) as billing:
        complaint = billing.fails("link", blog.address, "--code", code)
    assert complaint.endswith("This code is for the service tracker, and you are billing.")


@dataclass
class Between:
    """Somebody who passes everything on, and may change what is said and answered."""

    address: str
    behind: Running | None = None


@contextmanager
def between(change: Callable[[str, Any], Any]) -> Iterator[Between]:
    app = Flask("between")

    @app.post("/<path:rest>")
    def relay(rest: str) -> Any:
        assert somebody.behind is not None
        body = change("said", request.get_json())
        answer = requests.post(f"{somebody.behind.address}/{rest}", json=body, timeout=60)
        changed = change("answered", answer.json())
        return changed if isinstance(changed, Response) else Response(json.dumps(changed), answer.status_code)

    with listening(app) as server:
        somebody = Between(f"http://127.0.0.1:{server.server_port}")
        yield somebody


@contextmanager
def blog_behind(folder: Path, change: Callable[[str, Any], Any]) -> Iterator[tuple[Running, str]]:
    """A blog that is also known by the address of somebody in between, and that address."""
    with (
        between(change) as somebody,
        running("blog", folder, authorities=[somebody.address.partition("//")[2]]) as blog,
    ):
        somebody.behind = blog
        yield blog, somebody.address


def test_who_is_called_by_mistake_cannot_pass_the_offer_on(blog: Running, tracker: Running) -> None:
    code = invited(blog)
    with between(lambda way, what: what) as mallory:
        mallory.behind = blog
        complaint = tracker.fails("link", mallory.address, "--code", code)
    assert f"The offer was made to {mallory.address}, which is not an address of this service." in complaint
    assert apps_of(blog) == apps_of(tracker) == []


def test_who_is_in_between_cannot_put_keys_into_the_offer(tmp_path: Path, tracker: Running) -> None:
    key = announced(generate_key("EdDSA"))

    def change(way: str, what: Any) -> Any:
        if way == "said":
            return {**what, "offer": json.dumps({**json.loads(what["offer"]), "link": key})}
        return what

    with blog_behind(tmp_path, change) as (blog, address):
        assert "unknown, expired or used" in tracker.fails("link", address, "--code", invited(blog))
        assert apps_of(blog) == apps_of(tracker) == []


def test_who_is_in_between_cannot_put_keys_into_the_answer(tmp_path: Path, tracker: Running) -> None:
    key = announced(generate_key("EdDSA"))

    def change(way: str, what: Any) -> Any:
        if way == "answered":
            return {**what, "answer": json.dumps({**json.loads(what["answer"]), "link": key})}
        return what

    with blog_behind(tmp_path, change) as (blog, address):
        complaint = tracker.fails("link", address, "--code", invited(blog))
        assert "not by the service that has made the code" in complaint
        assert apps_of(tracker) == []


def test_who_answers_without_knowing_the_code_is_not_believed(tracker: Running) -> None:
    code, app = new_code(), Flask("mallory")
    side = {
        "name": "blog",
        "prefix": "/v1/auth/app",
        "address": "http://127.0.0.1:9",
        "pairing": code.pairing,
    }
    keys = {use: announced(generate_key("EdDSA")) for use in ("link", "signature")}

    @app.post(PAIR)
    def answer() -> Any:
        return {"answer": json.dumps({**side, **keys}), "mac": "A" * 43}

    with listening(app) as server:
        complaint = tracker.fails("link", f"http://127.0.0.1:{server.server_port}", "--code", code.shown)
    assert "not by the service that has made the code" in complaint
    assert apps_of(tracker) == []


def _answering(tracker: Running, code: Any, **changed: Any) -> tuple[str, str]:
    """What linking says to a service that knows the code and answers so; and the complaint, if any."""
    app = Flask("liar")
    keys = {use: announced(generate_key("EdDSA")) for use in ("link", "signature")}

    @app.post(PAIR)
    def answer() -> Any:
        offer = request.get_json()["offer"]
        side = {"name": "blog", "prefix": "/v1/auth/app", "address": "http://x", "pairing": code.pairing}
        text = json.dumps({**side, **keys, **changed})
        return {"answer": text, "mac": text_of(answer_mac(code.verifying(), offer.encode(), text.encode()))}

    with listening(app) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        return address, str(tracker.run("link", address, "--code", code.shown).output)


def test_who_invites_cannot_pass_for_another_app_that_we_know(blog: Running, tracker: Running) -> None:
    acquaint(tracker, blog)
    address, said = _answering(tracker, new_code(), name="blog")
    assert f"There is an app blog already, at {blog.address}." in said
    assert tracker.json("app", "show", "blog")["address"] == blog.address
    with pytest.raises(AssertionError):
        tracker.done("link", address, "--code", new_code().shown)


def test_who_invites_cannot_be_us(tracker: Running) -> None:
    assert "own name" in _answering(tracker, new_code(), name="tracker")[1]


SMALL = {"id": "x", "algorithm": "EdDSA", "key": text_of(b"\x01" + b"\0" * 31)}


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Not a slug"},
        {"name": "x" * 51},
        {"prefix": "/../admin"},
        {"prefix": "//evil.example"},
        {"prefix": "x"},
        {"address": "javascript:alert(1)"},
        {"link": SMALL},
        {"link": {"id": "x", "algorithm": "EdDSA", "key": "A" * 44}},
        {"link": {"id": "x", "algorithm": "none", "key": "A" * 43}},
        {"link": {"id": "", "algorithm": "EdDSA", "key": "A" * 43}},
        {"link": None},
        {"more": 1},
        {"pairing": "another"},
        {"to": "http://x"},
    ],
    ids=repr,
)
def test_an_odd_answer_links_nothing(tracker: Running, changed: dict[str, Any]) -> None:
    _, said = _answering(tracker, new_code(), **changed)
    assert "Error: " in said
    assert "Traceback" not in said
    assert apps_of(tracker) == []


def _offering(blog: Running, text: str) -> requests.Response:
    code = read_code(invited(blog))
    body = {"code": code.handle, "offer": text, "proof": text_of(code.prove(text.encode()))}
    return requests.post(blog.address + PAIR, json=body, timeout=60)


ODD = {
    "": "x",
    "json": "{}",
    "list": "[]",
    "deep": "[" * 3000,
    "nul": '{"name": "\\u0000"}',
    "twice": '{"name": "a", "name": "b"}',
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_an_odd_offer_of_somebody_who_knows_the_code_is_403(blog: Running, text: str) -> None:
    answer = _offering(blog, text)
    assert (answer.status_code, answer.json()["slug"]) == (403, "pairing-refused")


@pytest.mark.parametrize(
    "changed",
    [
        {"address": "file:///etc/passwd"},
        {"address": "http://user@127.0.0.1"},
        {"address": "http://127.0.0.1/?x"},
        {"address": "http://127.0.0.1/../x"},
        {"address": "http://tracker.example.com"},
        {"address": "https://127.0.0.1:9"},
        {"prefix": "/.."},
        {"prefix": "/x?y"},
        {"link": SMALL},
        {"to": "http://127.0.0.1:1"},
        {"to": None},
        {"name": "billing"},
    ],
    ids=repr,
)
def test_an_offer_that_says_odd_things_is_403(blog: Running, changed: dict[str, Any]) -> None:
    keys = {use: announced(generate_key("EdDSA")) for use in ("link", "signature")}
    side = {"name": "tracker", "prefix": "/v1/auth/app", "address": "http://127.0.0.1:9", "pairing": "x"}
    answer = _offering(blog, json.dumps({**side, "to": blog.address, **keys, **changed}))
    assert (answer.status_code, answer.json()["slug"]) == (403, "pairing-refused")
    assert apps_of(blog) == []


@pytest.mark.parametrize("path", [PAIR, f"{PAIR}/confirm"])
@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"code": 1}', '{"code": "\\u0000", "offer": "", "proof": ""}']
)
def test_garbage_is_4xx(blog: Running, path: str, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = requests.post(blog.address + path, data=body, headers=headers, timeout=60)
    assert answer.status_code in {400, 422}


def test_nobody_confirms_what_nobody_offered(blog: Running) -> None:
    body = {"pairing": new_code().pairing, "challenge": "A" * 43}
    assert requests.post(f"{blog.address}{PAIR}/confirm", json=body, timeout=60).status_code == 404


# Half-way.


def test_when_the_answer_is_lost_one_runs_it_again(tmp_path: Path, tracker: Running) -> None:
    lost = []

    def change(way: str, what: Any) -> Any:
        if way == "answered" and not lost:
            lost.append(what)
            return Response("gone", 502)
        return what

    with blog_behind(tmp_path, change) as (blog, address):
        code = invited(blog)
        assert "502" in tracker.fails("link", address, "--code", code)
        # The blog knows keys whose private halves only the tracker has; the tracker admits nobody.
        assert (apps_of(blog), apps_of(tracker), tracker.rows("AppKey")) == (["tracker"], [], [])
        tracker.done("link", address, "--code", code)
        ids = [{(key.use[:4], key.key_id) for key in service.rows("AppKey")} for service in (blog, tracker)]
        assert ids[0] == ids[1]
        assert len(ids[0]) == 4


def test_linking_anew_replaces_the_keys(blog: Running, tracker: Running) -> None:
    tracker.done("link", blog.address, "--code", invited(blog, "--no-agreement"))
    before = tracker.link_to("blog")
    assert tracker.call(blog, USERS).status_code == 200
    tracker.done("link", blog.address, "--code", invited(blog, "--no-agreement"))
    assert tracker.call(blog, USERS).status_code == 200
    headers = before.sign("GET", blog.address + USERS, body=None)
    answer = requests.get(blog.address + USERS, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["slug"]) == (401, "wrong-legacy-app-token")


# Who listens.


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("https://blog.example.com", True),
        ("http://localhost:5000", True),
        ("http://blog.localhost", True),
        ("http://127.0.0.1", True),
        ("http://127.8.8.8:80", True),
        ("http://[::1]:80", True),
        ("http://blog.example.com", False),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
    ],
)
def test_where_nobody_listens(address: str, private: bool) -> None:
    assert is_private(address) is private


def test_http_is_refused_unless_one_insists(tracker: Running) -> None:
    assert "--insecure" in tracker.fails("link", "http://blog.invalid", "--code", new_code().shown)
    insisted = tracker.fails("link", "http://blog.invalid", "--code", new_code().shown, "--insecure")
    assert insisted == "http://blog.invalid does not answer."
    secrets = ("--insecure", "--algorithm", "HS512")
    assert "only exchanged over https" in tracker.fails(
        "link", "http://blog.invalid", "--code", new_code().shown, *secrets
    )


def test_shared_secrets_by_explicit_choice(blog: Running, tracker: Running) -> None:
    code = invited(blog, "--no-agreement")
    tracker.done("link", blog.address, "--code", code, "--algorithm", "HS512")
    assert {key.algorithm for key in blog.rows("AppKey")} == {"HS512"}
    for mode in ("jwt", "signature"):
        assert tracker.call(blog, USERS, mode=mode).status_code == 200


# New keys.


@pytest.fixture
def linked(blog: Running, tracker: Running) -> tuple[Running, Running]:
    tracker.done("link", blog.address, "--code", invited(blog, "--no-agreement"))
    return blog, tracker


def status(blog: Running, link: Link, mode: Any) -> tuple[int, str]:
    dialect = "link" if mode == "jwt" else "signature"
    headers = link.sign("GET", blog.address + USERS, body=None, dialect=dialect)
    answer = requests.get(blog.address + USERS, headers=headers, timeout=60)
    body = answer.json()
    return answer.status_code, body["slug"] if isinstance(body, dict) else ""


@pytest.mark.parametrize("mode", ["jwt", "signature"])
def test_one_command_rotates_both_ends_and_no_call_fails(linked: tuple[Running, Running], mode: Any) -> None:
    blog, tracker = linked
    before = tracker.link_to("blog")
    assert tracker.done("app", "rotate", "blog") == "Rotated: link_out, signature_out.\n"
    after = tracker.link_to("blog")
    assert after.key_for("link").id != before.key_for("link").id
    assert status(blog, before, mode) == status(blog, after, mode) == (200, "")
    assert tracker.call(blog, USERS, mode=mode).status_code == 200


@pytest.mark.parametrize("mode", ["jwt", "signature"])
def test_a_stolen_key_ends_at_once(linked: tuple[Running, Running], mode: Any) -> None:
    blog, tracker = linked
    before = tracker.link_to("blog")
    tracker.done("app", "rotate", "blog", "--now")
    assert status(blog, before, mode) == (401, "wrong-legacy-app-token")
    assert tracker.call(blog, USERS, mode=mode).status_code == 200


def announce(
    link: Link, *, keys: dict[str, Any] | None = None, overlap: Any = 60, mode: Any = "signature"
) -> Any:
    keys = keys or {use: announced(generate_key("EdDSA")) for use in ("link", "signature")}
    with Service(link, mode=mode) as there:
        return there.post(KEYS, json={**keys, "overlap": overlap})


def test_a_key_that_was_replaced_cannot_come_back(linked: tuple[Running, Running]) -> None:
    blog, tracker = linked
    stolen = tracker.link_to("blog")
    tracker.done("app", "rotate", "blog")
    answer = announce(stolen)  # it is accepted for a day still, but not for this
    assert (answer.status_code, answer.json()["slug"]) == (409, "conflict")
    assert tracker.call(blog, USERS).status_code == 200


def test_when_the_answer_to_new_keys_is_lost_one_runs_it_again(
    linked: tuple[Running, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    blog, tracker = linked
    module = "flask_linked_auth.links.pairing_commands.activate"

    def lost(*_: Any) -> Any:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(module, lost)
        tracker.fails("app", "rotate", "blog")
    assert tracker.call(blog, USERS).status_code == 200
    tracker.done("app", "rotate", "blog")
    assert tracker.call(blog, USERS).status_code == 200
    keys = [key["state"] for key in tracker.json("app", "show", "blog")["keys"] if key["use"] == "link_out"]
    assert sorted(keys) == ["active", "retired"]


def test_while_the_other_side_is_away_nothing_changes(linked: tuple[Running, Running]) -> None:
    blog, tracker = linked
    tracker.change(blog, address="http://127.0.0.1:9")
    assert "does not answer" in tracker.fails("app", "rotate", "blog")
    tracker.change(blog, address=blog.address)
    assert tracker.call(blog, USERS).status_code == 200
    tracker.done("app", "rotate", "blog")
    assert tracker.call(blog, USERS).status_code == 200


def test_a_side_that_refuses_new_keys(linked: tuple[Running, Running]) -> None:
    blog, tracker = linked
    blog.change(tracker, active=False)
    assert "status 401" in tracker.fails("app", "rotate", "blog")


def test_new_keys_want_a_signed_request(linked: tuple[Running, Running]) -> None:
    blog, tracker = linked
    link = tracker.link_to("blog")
    answer = announce(link, mode="jwt")  # which does not cover the body
    assert (answer.status_code, answer.json()["slug"]) == (401, "no-authorization-header")
    assert requests.post(blog.address + KEYS, json={}, timeout=60).status_code == 401


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"link": SMALL, "signature": announced(generate_key("EdDSA"))}, (422, "invalid-fields")),
        ({"link": announced(generate_key("EdDSA"))}, (422, "invalid-fields")),
        ({"signature": announced(generate_key("HS512"))}, (409, "conflict")),
        ({"signature": {"id": "x"}}, (422, "invalid-fields")),
        ({"signature": announced(generate_key("EdDSA")), "legacy": SMALL}, (422, "invalid-fields")),
    ],
)
def test_odd_keys_are_refused(linked: tuple[Running, Running], keys: Any, expected: Any) -> None:
    blog, tracker = linked
    answer = announce(tracker.link_to("blog"), keys=keys)
    assert (answer.status_code, answer.json()["slug"]) == expected
    assert tracker.call(blog, USERS, mode="signature").status_code == 200


@pytest.mark.parametrize("overlap", [-1, "60", 1.5, None, True, 10**9])
def test_an_odd_overlap_is_refused(linked: tuple[Running, Running], overlap: Any) -> None:
    answer = announce(linked[1].link_to("blog"), overlap=overlap)
    assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-fields")


def test_the_overlap_is_at_most_ours(linked: tuple[Running, Running]) -> None:
    blog, tracker = linked
    assert announce(tracker.link_to("blog"), overlap=10**8).status_code == 204
    ends = [key.expires_at - key.created_at for key in blog.rows("AppKey") if key.expires_at is not None]
    assert len(ends) == 2
    assert max(ends) < 2 * 24 * 60 * 60


# The parts.


def test_a_proof_is_over_one_offer_and_by_one_code() -> None:
    code, other = new_code(), new_code()
    proof = code.prove(b"offer")
    assert is_proof(code.verifying(), b"offer", proof)
    assert not is_proof(code.verifying(), b"offer.", proof)
    assert not is_proof(other.verifying(), b"offer", proof)
    assert read_code(code.shown) == code
    assert code.text not in repr(code)


@pytest.mark.parametrize("text", ["A", "AB", "A=", "é", "AA/A", "AA AA"])
def test_base64url_in_one_form_only(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        unread(text)

"""What our commands print works with the real Django package: a link to it, its rotation, and signed calls."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest
import requests

from tests.peers.linked import Both
from tests.peers.test_their_calls import refused, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers.academy import Academy
    from tests.peers.flask_pair import Pair
    from tests.peers.linked import Linked, Linking


def run(pair: Pair, *words: str) -> str:
    """What `flask linked-auth …` prints."""
    done = pair.app.test_cli_runner().invoke(args=["linked-auth", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return str(done.output)


def curl(line: str) -> requests.Response:
    """What curl would do with this line."""
    words = shlex.split(line)
    assert words.pop(0) == "curl"
    url, method, body = words.pop(), "GET", None
    headers: dict[str, str] = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "-H":
            name, _, text = value.removesuffix(";").partition(": ")
            headers[name] = text
        elif option == "-X":
            method = value
        else:
            assert option == "--data-raw"
            body = value.encode()
    return requests.request(method, url, headers=headers, data=body, timeout=60)


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "EdDSA"])
def test_sign_jwt_opens_their_views(linking: Linking, algorithm: str) -> None:
    linked = linking(algorithm)
    ana = linked.person()
    for view in ("function", "class", "async", "jwt"):
        for person, subject in (((), None), ((linked.email("ana"),), ana.id)):
            answer = curl(run(linked.pair, "sign-jwt", "academy", *person, "--path", f"/posts/{view}"))
            assert (answer.status_code, answer.json()["sub"]) == (200, subject)
    listed = curl(run(linked.pair, "sign-jwt", "academy"))
    assert (listed.status_code, type(listed.json())) == (200, list)


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_sign_request_opens_their_views(linking: Linking, algorithm: str) -> None:
    linked = linking(algorithm)
    for view in ("signature", "async-signature"):
        words = ["sign-request", "academy", "--path", f"/posts/{view}", "--params", '{"q": ["1", "é"]}']
        answer = curl(run(linked.pair, *words))
        assert (answer.status_code, answer.json()["params"]) == (200, {"q": ["1", "é"]})
        answer = curl(run(linked.pair, *words, "--method", "put", "--data", '{"a": [1, "é\'"]}'))
        assert (answer.status_code, answer.json()["data"]) == (200, {"a": [1, "é'"]})
    said = json.loads(run(linked.pair, "sign-request", "academy", "--path", "/posts/signature", "--json"))
    answer = requests.request(said["method"], said["url"], headers=said["headers"], timeout=60)
    assert answer.status_code == 200


def test_sign_jwt_as_they_would_opens_ours(linked: Linked) -> None:
    linked.knows(ana := linked.person(), 41)
    words = ["sign-jwt", "academy", "41", "--reverse", "--path", "/posts/jwt"]
    answer = curl(run(linked.pair, *words))
    assert (answer.status_code, answer.json()["known"]) == (200, ana.id)


@pytest.fixture
def linking_by_command(academy: Academy, pair: Pair, tmp_path: Path) -> Callable[..., Both]:
    """Links the two as an operator would do it, who has the shell of the Django project open."""

    def linked(*options: str) -> Both:
        scopes = tmp_path / "scopes.json"
        described = {"read:posts": "Read posts.", "read:user": "See who people are."}
        scopes.write_text(json.dumps({"scopes": described}))
        run(pair, "scopes", "set", str(scopes))
        words = ["link", academy.address, "--django", academy.name, "--no-agreement", *options]
        academy.told("shell", code=json.loads(run(pair, *words, "--json"))["run"])
        academy.told("app", slug=pair.name, require_an_agreement=False)
        return Both(academy, pair)

    return linked


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "EdDSA"])
def test_link_links_us_with_a_django_service(linking_by_command: Callable[..., Both], algorithm: str) -> None:
    linked = linking_by_command("--algorithm", algorithm)
    ana = linked.person()
    found = linked.calls("GET", "/posts/function?get_user=1", ana.id).json()["user"]
    assert found["email"] == linked.email("ana")
    assert told(linked.called("GET", "/posts/function", user=41))["sub"] == "41"
    listed = linked.called("GET", "/v1/auth/app/user/")
    assert [each["id"] for each in json.loads(listed["body"])] == [ana.id]


def test_by_default_old_signatures_are_not_admitted(linking_by_command: Callable[..., Both]) -> None:
    answer = linking_by_command().called("POST", "/posts/function", mode="signature", json={})
    refused(answer, 401, "authorization-header-forbidden-strategy")


def test_link_links_us_by_old_signatures(linking_by_command: Callable[..., Both]) -> None:
    linked = linking_by_command("--old-signatures")
    for view in ("function", "signature"):
        assert linked.calls("POST", f"/posts/{view}", json={"a": 1}).status_code == 200
        assert told(linked.called("GET", f"/posts/{view}", mode="signature"))["by"] == "signature"


@pytest.mark.parametrize("algorithm", ["HS512", "EdDSA"])
def test_rotate_replaces_the_keys_of_both(linking_by_command: Callable[..., Both], algorithm: str) -> None:
    linked = linking_by_command("--algorithm", algorithm)

    def both() -> tuple[int, int]:
        ours = linked.calls("GET", "/posts/function").status_code
        return ours, linked.called("GET", "/posts/function")["status"]

    assert both() == (200, 200)
    said = json.loads(run(linked.pair, "app", "rotate", "academy", "--json"))
    assert both() == (200, 200)
    linked.academy.told("shell", code=said["run"])
    # Their new key is good here at once; ours is used when it is activated, since theirs knows one at a time.
    assert linked.called("GET", "/posts/function")["status"] == 200
    run(linked.pair, "app", "rotate", "academy", "--activate")
    assert both() == (200, 200)
    linked.academy.told("forget_old_key", slug=linked.pair.name)
    assert both() == (200, 200)

"""The gateway of docs/gateway.md, with the two services behind it, over real HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import ROOT, blocks_of
from tests.docs.terminal import Terminal

pytestmark = pytest.mark.xdist_group("gateway")  # the tests share the three programs

ADA = {"email": "ada@example.com", "password": "violet-kettle-harbour-93"}
ACCOUNTS, NOTES, GATEWAY = 5000, 5001, 5002


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """The three programs of the page, running."""
    terminal = Terminal(tmp_path_factory.mktemp("gateway"))
    try:
        for block in blocks_of(ROOT / "docs/gateway.md"):
            if block.file is not None:
                terminal.write(block.file, block.text)
        terminal.type("flask --app accounts run --debug")
        terminal.type(f"flask --app notes run --port {NOTES}")
        terminal.type(f"flask --app gateway run --port {GATEWAY}")
        yield terminal
    finally:
        terminal.close()


Headers = list[tuple[str, str]]


def call(
    terminal: Terminal, method: str, path: str, headers: Headers | None = None, body: Any = None
) -> tuple[int, Any]:
    """One request to the gateway, its headers as they are given, doubles included."""
    connection = http.client.HTTPConnection(urlsplit(terminal.address(GATEWAY)).netloc, timeout=20)
    data = b"" if body is None else json.dumps(body).encode()
    connection.putrequest(method, path)
    for name, value in [*(headers or []), ("Content-Length", str(len(data)))]:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Type", "application/json")
    connection.endheaders(data)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text.startswith(b"{") else text


@pytest.fixture(scope="module")
def token(terminal: Terminal) -> str:
    status, ada = call(terminal, "POST", "/auth/register", body=ADA)
    assert (status, ada["user_id"]) == (201, 1)
    return str(ada["token"])


@pytest.mark.parametrize("header", ["Authorization", "api-token"])
def test_a_good_token_gets_through_with_the_users_id(terminal: Terminal, token: str, header: str) -> None:
    value = f"Bearer {token}" if header == "Authorization" else token
    assert call(terminal, "GET", "/notes/mine", [(header, value)]) == (200, {"notes_of": "1", "sent": ""})


def test_body_method_and_status_go_through(terminal: Terminal, token: str) -> None:
    bearer = [("Authorization", f"Bearer {token}")]
    status, answer = call(terminal, "POST", "/notes/mine?page=2", bearer, body={"text": "tea"})
    assert (status, json.loads(answer["sent"])) == (200, {"text": "tea"})
    assert call(terminal, "DELETE", "/notes/mine", bearer)[0] == 405
    assert call(terminal, "GET", "/notes/nothing", bearer)[0] == 404


@pytest.mark.parametrize("name", ["X-User-Id", "x-user-id", "X_User_Id", "x_user-id"])
def test_a_client_cannot_say_who_it_is(terminal: Terminal, token: str, name: str) -> None:
    bearer = ("Authorization", f"Bearer {token}")
    for headers in ([(name, "999"), bearer], [bearer, (name, "999"), (name, "998")]):
        assert call(terminal, "GET", "/notes/mine", headers)[1]["notes_of"] == "1"
    assert call(terminal, "GET", "/notes/mine", [(name, "999")])[0] == 401


def test_a_client_cannot_have_the_identity_taken_off_on_the_way(terminal: Terminal, token: str) -> None:
    headers = [("Authorization", f"Bearer {token}"), ("Connection", "close, X-User-Id")]
    assert call(terminal, "GET", "/notes/mine", headers)[1]["notes_of"] == "1"


@pytest.mark.parametrize("credential", ["Bearer nonsense", "Basic YWRhOmFkYQ==", "Bearer ", "ada"])
def test_a_bad_token_stops_at_the_gateway(terminal: Terminal, credential: str) -> None:
    status, answer = call(terminal, "GET", "/notes/mine", [("Authorization", credential)])
    assert (status, answer["valid"]) == (401, False)


def test_only_known_services_are_reached(terminal: Terminal, token: str) -> None:
    bearer = [("Authorization", f"Bearer {token}")]
    assert call(terminal, "GET", "/others/mine", bearer)[0] == 404
    assert call(terminal, "GET", "//example.com/mine", bearer)[0] in {308, 404}


def test_a_logout_is_seen_at_once(terminal: Terminal) -> None:
    _, tokens = call(terminal, "POST", "/auth/login", body=ADA)
    bearer = [("Authorization", f"Bearer {tokens['token']}")]
    assert call(terminal, "GET", "/notes/mine", bearer)[0] == 200
    assert call(terminal, "POST", "/auth/logout", bearer)[0] == 204
    assert call(terminal, "GET", "/notes/mine", bearer)[1]["slug"] == "token-revoked"


def test_bad_tokens_use_up_a_limit_that_good_ones_do_not(terminal: Terminal, token: str) -> None:
    bad = [("Authorization", "Bearer nonsense")]
    statuses = [call(terminal, "GET", "/notes/mine", bad)[0] for _ in range(65)]
    assert statuses[-1] == 429
    assert call(terminal, "GET", "/notes/mine", [("Authorization", f"Bearer {token}")])[0] == 200


def test_nobody_comes_in_when_the_accounts_service_is_down(terminal: Terminal, token: str) -> None:
    terminal.stop(int(urlsplit(terminal.address(ACCOUNTS)).port or 0))
    assert call(terminal, "GET", "/notes/mine", [("Authorization", f"Bearer {token}")])[0] == 503
    assert "notes_of" not in str(call(terminal, "GET", "/notes/mine", [("X-User-Id", "1")])[1])

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

ADA = {"email": "ada@example.com", "password": "violet-kettle-harbour-93"}
ACCOUNTS, NOTES, GATEWAY = 5000, 5001, 5002
MINE = (200, {"notes_of": "1", "sent": ""})
START_ACCOUNTS = "flask --app accounts run --debug"


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """The three programs of the page, running."""
    terminal = Terminal(tmp_path_factory.mktemp("gateway"))
    try:
        for block in blocks_of(ROOT / "docs/gateway.md"):
            if block.file is not None:
                terminal.write(block.file, block.text)
        terminal.type(START_ACCOUNTS)
        terminal.type(f"flask --app notes run --port {NOTES}")
        terminal.type(f"flask --app gateway run --port {GATEWAY}")
        yield terminal
    finally:
        terminal.close()


@pytest.fixture
def then_anew(terminal: Terminal) -> Iterator[None]:
    """The accounts service starts again after the test: without what was counted, and also if it was stopped."""
    yield
    terminal.type(START_ACCOUNTS)


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


def seen(answer: tuple[int, Any], *names: str) -> tuple[int, dict[str, Any]]:
    """The status, and the members with these names: what a comparison shows whole when it fails."""
    status, body = answer
    assert isinstance(body, dict), answer
    return status, {name: body.get(name, body) for name in names}


@pytest.fixture(scope="module")
def token(terminal: Terminal) -> str:
    """Ada's, who has an account from now on."""
    status, ada = call(terminal, "POST", "/auth/register", body=ADA)
    assert (status, ada.get("user_id")) == (201, 1), ada
    return str(ada["token"])


@pytest.mark.parametrize("header", ["Authorization", "api-token"])
def test_a_good_token_gets_through_with_the_users_id(terminal: Terminal, token: str, header: str) -> None:
    value = f"Bearer {token}" if header == "Authorization" else token
    assert call(terminal, "GET", "/notes/mine", [(header, value)]) == MINE


def test_body_method_and_status_go_through(terminal: Terminal, token: str) -> None:
    bearer = [("Authorization", f"Bearer {token}")]
    status, answer = call(terminal, "POST", "/notes/mine?page=2", bearer, body={"text": "tea"})
    assert status == 200, answer
    assert json.loads(answer["sent"]) == {"text": "tea"}
    for method, path, refused in (("DELETE", "/notes/mine", 405), ("GET", "/notes/nothing", 404)):
        status, answer = call(terminal, method, path, bearer)
        assert status == refused, answer


@pytest.mark.parametrize("name", ["X-User-Id", "x-user-id", "X_User_Id", "x_user-id"])
def test_a_client_cannot_say_who_it_is(terminal: Terminal, token: str, name: str) -> None:
    bearer = ("Authorization", f"Bearer {token}")
    for headers in ([(name, "999"), bearer], [bearer, (name, "999"), (name, "998")]):
        assert call(terminal, "GET", "/notes/mine", headers) == MINE
    answer = call(terminal, "GET", "/notes/mine", [(name, "999")])
    assert seen(answer, "slug") == (401, {"slug": "token-missing"})


def test_a_client_cannot_have_the_identity_taken_off_on_the_way(terminal: Terminal, token: str) -> None:
    headers = [("Authorization", f"Bearer {token}"), ("Connection", "close, X-User-Id")]
    assert call(terminal, "GET", "/notes/mine", headers) == MINE


@pytest.mark.parametrize("credential", ["Bearer nonsense", "Basic YWRhOmFkYQ==", "Bearer ", "ada"])
def test_a_bad_token_stops_at_the_gateway(terminal: Terminal, credential: str) -> None:
    answer = call(terminal, "GET", "/notes/mine", [("Authorization", credential)])
    assert seen(answer, "valid") == (401, {"valid": False})


def test_only_known_services_are_reached(terminal: Terminal, token: str) -> None:
    bearer = [("Authorization", f"Bearer {token}")]
    for path, statuses in (("/others/mine", {404}), ("//example.com/mine", {308, 404})):
        status, answer = call(terminal, "GET", path, bearer)
        assert status in statuses, answer


@pytest.mark.usefixtures("token")
def test_a_logout_is_seen_at_once(terminal: Terminal) -> None:
    status, tokens = call(terminal, "POST", "/auth/login", body=ADA)
    assert status == 200, tokens
    bearer = [("Authorization", f"Bearer {tokens['token']}")]
    assert call(terminal, "GET", "/notes/mine", bearer) == MINE
    assert call(terminal, "POST", "/auth/logout", bearer) == (204, b"")
    answer = call(terminal, "GET", "/notes/mine", bearer)
    assert seen(answer, "slug") == (401, {"slug": "token-revoked"})


@pytest.mark.usefixtures("then_anew")
def test_bad_tokens_use_up_a_limit_that_good_ones_do_not(terminal: Terminal, token: str) -> None:
    bad = [("Authorization", "Bearer nonsense")]
    answers = [call(terminal, "GET", "/notes/mine", bad) for _ in range(65)]
    assert answers[-1][0] == 429, answers[-1]
    assert call(terminal, "GET", "/notes/mine", [("Authorization", f"Bearer {token}")]) == MINE


@pytest.mark.usefixtures("then_anew")
def test_nobody_comes_in_when_the_accounts_service_is_down(terminal: Terminal, token: str) -> None:
    terminal.stop(int(urlsplit(terminal.address(ACCOUNTS)).port or 0))
    for headers in ([("Authorization", f"Bearer {token}")], [("X-User-Id", "1")]):
        status, answer = call(terminal, "GET", "/notes/mine", headers)
        assert status == 503, answer
        assert b"notes_of" not in answer

"""A service with guards and nothing else: tokens of a sister by a shared secret, a JWKS, or its address."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from flask import Flask, g

from flask_linked_auth import Auth, LinkedAuth, scope
from flask_linked_auth.errors import SettingsError
from flask_linked_auth.tokens.keys import generate
from tests.tiny import (
    ISSUER,
    OTHER_SECRET,
    SECRET,
    Person,
    bare_app,
    challenge,
    edit,
    make_app,
    refused,
    register,
    state_of,
)


def guards(**settings: Any) -> Flask:
    """A service that has no database, and no secret unless it is given one."""
    app = bare_app("sister", issuer=ISSUER, **settings)
    if not {"secret", "LINKED_AUTH_SECRET"} & settings.keys():
        del app.config["LINKED_AUTH_SECRET"]
    LinkedAuth(app, parts=[])
    app.add_url_rule("/who", "who", Auth.auth_required(lambda: {"who": g.user.id, "sub": g.token.sub}))
    app.add_url_rule("/read", "read", scope(["read:posts"])(lambda: "in"))
    app.add_url_rule("/staff", "staff", scope(["admin:users"])(lambda: "in"))
    return app


def ask(person: Person, app: Flask, path: str = "/who") -> Any:
    return person.elsewhere(app).get(path)


def test_a_shared_secret_is_enough() -> None:
    ana = register(make_app())
    sister = guards(secret=SECRET)
    assert ask(ana, sister).get_json() == {
        "who": "1",
        "sub": "1",
    }  # a key of a table it does not have: a text
    assert ask(ana, sister, "/read").text == "in"
    refused(ask(ana, sister, "/staff"), 403, "forbidden-scope")  # it cannot know who is an administrator
    refused(sister.test_client().get("/who"), 401, "token-missing")
    refused(ask(register(make_app(secret=OTHER_SECRET)), sister), 401, "token-invalid")
    refused(ask(register(make_app(issuer="https://other.example")), sister), 401, "token-invalid")


def test_a_service_with_the_shared_secret_can_make_tokens_too() -> None:
    sister = guards(secret=SECRET)
    with sister.app_context():
        token = Auth.generate_token("7")
    assert ask(Person(sister, {"access_token": token}), sister).get_json()["who"] == "7"


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_jwks_of_the_issuer_is_enough(algorithm: str) -> None:
    issuer = make_app(algorithm=algorithm)
    ana = register(issuer)
    sister = guards(jwks=issuer.test_client().get("/auth/jwks").get_json())
    assert ask(ana, sister).get_json()["who"] == "1"
    assert ask(ana, sister).get_json()["who"] == "1"
    stranger = register(make_app(algorithm=algorithm))
    assert stranger.get("/auth/me").status_code == 200
    answer = ask(stranger, sister)
    refused(answer, 401, "token-invalid")
    assert challenge(answer) == "invalid_token"


def test_with_a_jwks_a_secret_of_ours_signs_nothing_that_counts() -> None:
    issuer = make_app(algorithm="ES256")
    ana = register(issuer)
    sister = guards(jwks=issuer.test_client().get("/auth/jwks").get_json(), secret=SECRET)
    assert ask(ana, sister).status_code == 200
    refused(ask(register(make_app()), sister), 401, "token-invalid")
    with sister.app_context(), pytest.raises(SettingsError, match="no key to sign with"):
        Auth.generate_token("1")


def test_a_guard_that_knows_only_a_jwks_honours_the_expiry_alone() -> None:
    issuer = make_app(algorithm="ES256")
    ana = register(issuer)
    sister = guards(jwks=issuer.test_client().get("/auth/jwks").get_json())
    assert ana.post("/auth/logout").status_code == 204
    refused(ana.get("/auth/me"), 401, "token-revoked")
    assert ask(ana, sister).status_code == 200  # until exp: the documentation says so


KEY = generate("ES256").public_jwk


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": "x"},
        {"keys": [KEY, KEY]},
        {"keys": [{**KEY, "d": "AAAA"}]},
        {"keys": [{"kty": "oct", "k": "A" * 43, "kid": "x", "alg": "HS256"}]},
        {"keys": [{**KEY, "use": "enc"}]},
        {"keys": [{**KEY, "alg": "RS256"}]},
        {"keys": [{**KEY, "x": "AAAA"}]},
        {"keys": ["x"]},
    ],
    ids=[
        "empty",
        "no list",
        "double",
        "private",
        "symmetric",
        "encryption",
        "algorithm",
        "not on the curve",
        "no key",
    ],
)
def test_a_jwks_that_is_not_safe_is_refused_at_start(document: Any) -> None:
    assert guards(jwks={"keys": [KEY]})
    with pytest.raises(SettingsError, match="LINKED_AUTH_JWKS"):
        guards(jwks=document)


# By the address of the JWKS, over real HTTP.


class Issuer(BaseHTTPRequestHandler):
    """Publishes what the test lays out, and counts how often it is asked."""

    body: ClassVar[bytes] = b""
    status: ClassVar[int] = 200
    asked: ClassVar[int] = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def published() -> Iterator[tuple[type[Issuer], str]]:
    class Mine(Issuer):
        pass

    server = HTTPServer(("127.0.0.1", 0), Mine)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Mine, f"http://127.0.0.1:{server.server_port}/auth/jwks"
    server.shutdown()
    thread.join()
    server.server_close()


def publish(handler: type[Issuer], issuer: Flask) -> None:
    handler.body = json.dumps(issuer.test_client().get("/auth/jwks").get_json()).encode()


def time_passes(app: Flask, seconds: float) -> None:
    state_of(app).ring._asked_at -= seconds


def test_the_keys_are_fetched_at_the_first_use_and_kept(published: tuple[type[Issuer], str]) -> None:
    handler, url = published
    issuer = make_app(algorithm="ES256")
    ana = register(issuer)
    publish(handler, issuer)
    sister = guards(jwks_url=url)
    assert handler.asked == 0  # an issuer that is down does not stop a service from starting
    for _ in range(3):
        assert ask(ana, sister).get_json()["who"] == "1"
    assert handler.asked == 1


def test_a_rotation_of_the_issuer_is_picked_up(published: tuple[type[Issuer], str], tmp_path: Any) -> None:
    handler, url = published
    issuer = make_app(algorithm="EdDSA", database=f"sqlite:///{tmp_path / 'issuer.db'}")
    ana = register(issuer)
    publish(handler, issuer)
    sister = guards(jwks_url=url)
    assert ask(ana, sister).status_code == 200
    edit(issuer, "SigningKey", active_from=1_700_000_000)
    issuer.test_cli_runner().invoke(args=["linked-auth", "keys", "rotate", "--after", "0"])
    ben = register(issuer, "ben@example.com")
    publish(handler, issuer)
    refused(ask(ben, sister), 401, "token-invalid")  # asked a moment ago: not again for every unknown key
    assert handler.asked == 1
    time_passes(sister, 31)
    assert ask(ben, sister).status_code == 200
    assert ask(ana, sister).status_code == 200
    assert handler.asked == 2


def test_unknown_keys_do_not_make_it_fetch_each_time(published: tuple[type[Issuer], str]) -> None:
    handler, url = published
    issuer = make_app(algorithm="ES256")
    ana = register(issuer)
    publish(handler, issuer)
    sister = guards(jwks_url=url)
    assert ask(ana, sister).status_code == 200
    strangers = [register(make_app(algorithm="ES256")) for _ in range(3)]
    for stranger in strangers * 3:
        refused(ask(stranger, sister), 401, "token-invalid")
    assert handler.asked == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (404, b"<html>"),
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys": "x"}'),
        (200, b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'),
        (200, b" " * 300_000),
        (200, b"\xff\xfe"),
    ],
    ids=["500", "404", "empty", "html", "list", "no keys", "symmetric", "huge", "no utf-8"],
)
def test_a_failed_fetch_keeps_the_keys_that_are_known(
    published: tuple[type[Issuer], str], status: int, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    handler, url = published
    issuer = make_app(algorithm="ES256")
    ana, ben = register(issuer), register(issuer, "ben@example.com")
    publish(handler, issuer)
    sister = guards(jwks_url=url)
    assert ask(ana, sister).status_code == 200
    handler.status, handler.body = status, body
    time_passes(sister, 301)
    assert ask(ben, sister).status_code == 200
    assert handler.asked == 2
    assert "cannot be loaded" in caplog.text


def test_an_issuer_that_never_answered_is_a_503_until_it_does(published: tuple[type[Issuer], str]) -> None:
    handler, url = published
    issuer = make_app(algorithm="ES256")
    ana = register(issuer)
    handler.status = 500
    sister = guards(jwks_url=url)
    for _ in range(5):
        answer = ask(ana, sister)
        refused(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    assert handler.asked <= 2  # and is not asked for each request meanwhile
    handler.status = 200
    publish(handler, issuer)
    time_passes(sister, 31)
    assert ask(ana, sister).status_code == 200


def test_an_issuer_that_signs_with_a_shared_secret_publishes_nothing_and_the_log_says_so(
    published: tuple[type[Issuer], str], caplog: pytest.LogCaptureFixture
) -> None:
    handler, url = published
    issuer = make_app()  # its LINKED_AUTH_ALGORITHM was forgotten
    publish(handler, issuer)
    refused(ask(register(issuer), guards(jwks_url=url)), 503, "unavailable")
    assert "The issuer publishes no keys: is it HS256? Set LINKED_AUTH_ALGORITHM" in caplog.text


def test_a_bad_key_of_the_issuer_is_named_in_the_log(
    published: tuple[type[Issuer], str], caplog: pytest.LogCaptureFixture
) -> None:
    handler, url = published
    handler.body = b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'
    refused(ask(register(make_app(algorithm="ES256")), guards(jwks_url=url)), 503, "unavailable")
    assert "Key 1 of the key set (JWKS) is refused: it is a shared secret" in caplog.text


def test_nothing_listens_at_the_address() -> None:
    ana = register(make_app(algorithm="ES256"))
    sister = guards(jwks_url="http://127.0.0.1:1/jwks")
    refused(ask(ana, sister), 503, "unavailable")
    refused(sister.test_client().get("/who"), 401, "token-missing")
    with sister.app_context(), pytest.raises(Exception, match=r"cannot be loaded|only verifies"):
        Auth.generate_token("1")


def test_a_key_that_the_issuer_withdraws_is_not_accepted_for_new_tokens(
    published: tuple[type[Issuer], str],
) -> None:
    handler, url = published
    issuer = make_app(algorithm="ES256")
    ana, ben = register(issuer), register(issuer, "ben@example.com")
    publish(handler, issuer)
    sister = guards(jwks_url=url)
    assert ask(ana, sister).status_code == 200
    other = make_app(algorithm="ES256")
    register(other)
    publish(handler, other)
    time_passes(sister, 301)
    refused(ask(ben, sister), 401, "token-invalid")


def test_with_an_address_it_only_verifies(published: tuple[type[Issuer], str]) -> None:
    handler, url = published
    issuer = make_app(algorithm="ES256")
    register(issuer)
    publish(handler, issuer)
    sister = guards(jwks_url=url)
    with sister.app_context(), pytest.raises(SettingsError, match="only verifies tokens"):
        Auth.generate_token("1")


def test_an_address_cannot_be_a_file_or_a_redirect_to_one(
    published: tuple[type[Issuer], str], tmp_path: Any
) -> None:
    with pytest.raises(SettingsError, match="LINKED_AUTH_JWKS_URL"):
        guards(jwks_url=f"file://{tmp_path}/jwks.json")
    handler, url = published
    issuer = make_app(algorithm="ES256")
    ana = register(issuer)
    publish(handler, issuer)
    (tmp_path / "jwks.json").write_bytes(handler.body)

    def redirect(self: Any) -> None:
        self.send_response(302)
        self.send_header("Location", f"file://{tmp_path}/jwks.json")
        self.end_headers()

    handler.do_GET = redirect  # type: ignore[method-assign]
    refused(ask(ana, guards(jwks_url=url)), 503, "unavailable")

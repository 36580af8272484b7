"""The blog's mail: by SMTP as a real server takes it, printed in development, and no recovery without a server."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest

from example_blog.config import DevelopmentConfig
from example_blog.database import db
from flask_linked_auth.errors import SettingsError
from tests.example_blog.mail_server import HOST, MailServer, certificate
from tests.example_blog.walker import PASSWORD

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from flask import Flask

    from tests.example_blog.conftest import Make

NEW = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
WORLD = {
    "DATABASE_URL": "sqlite://",
    "LINKED_AUTH_ISSUER": "https://blog.example.com",
    "LINKED_AUTH_SECRET": "q3Zt8vLm1xRw6yKc9pHd2sNf5bGj7eUa",
}

Serve = Callable[..., MailServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a `MailServer` in a thread; it ends with the test."""
    with ExitStack() as stack:

        def start(tls: ssl.SSLContext | None = None, *, at_once: bool = False) -> MailServer:
            server = stack.enter_context(MailServer(tls, at_once))
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            stack.callback(thread.join, 10)
            stack.callback(server.shutdown)
            thread.start()
            return server

        yield start


def register(blog: Flask, **changed: str) -> None:
    """Make an account, which mails a link."""
    with blog.app_context():
        db.create_all()
    answer = blog.test_client().post("/auth/register", json=NEW | changed)
    assert answer.status_code == 201, answer.text


def test_a_mail_is_what_every_server_and_reader_understands(make_blog: Make, serve: Serve) -> None:
    server = serve()
    environ = {"MAIL_PORT": server.port, "MAIL_SECURITY": "none", "MAIL_FROM": "El blog <blog@example.com>"}
    register(make_blog(MAIL_SERVER=HOST, **environ), email="ada+new@example.com")
    (taken,) = server.taken
    assert taken.isascii()  # not every server takes more
    assert max(map(len, taken.splitlines())) < 998
    mail: Any = message_from_bytes(taken, policy=policy.default)
    assert not mail.defects
    assert (mail["From"], mail["To"]) == ("El blog <blog@example.com>", "ada+new@example.com")
    assert mail["Subject"] == "Confirm your e-mail address for blog"
    assert (mail["Auto-Submitted"], mail["Content-Language"]) == ("auto-generated", "en")
    assert mail["Message-ID"].endswith("@example.com>")
    assert mail["Date"].datetime.tzinfo is not None
    text = mail.get_body(("plain",)).get_content()
    (link,) = re.findall(r"http://localhost:5000/account/verify\?token=fla_ot_[\w-]{43}", text)
    assert link in mail.get_body(("html",)).get_content()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_goes_by_an_encrypted_connection_and_logs_in_there(
    make_blog: Make, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    known, tls = certificate(tmp_path)
    server = serve(tls, at_once=security == "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(known))
    environ = {"MAIL_SERVER": HOST, "MAIL_PORT": server.port, "MAIL_SECURITY": security}
    register(make_blog(MAIL_USERNAME="blog", MAIL_PASSWORD="p:ss word", **environ))
    assert server.logins == ["\0blog\0p:ss word"]
    assert len(server.taken) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_cannot_prove_who_it_is_gets_nothing(
    make_blog: Make, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, security: str
) -> None:
    server = serve(certificate(tmp_path)[1], at_once=security == "tls")
    environ = {"MAIL_SERVER": HOST, "MAIL_PORT": server.port, "MAIL_SECURITY": security}
    register(make_blog(MAIL_USERNAME="blog", MAIL_PASSWORD="secret", **environ))  # the account is made
    assert (server.logins, server.taken) == ([], [])
    assert "SSLCertVerificationError" in caplog.text


def test_a_server_that_does_not_encrypt_gets_nothing_unless_that_is_wanted(
    make_blog: Make, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    register(make_blog(MAIL_SERVER=HOST, MAIL_PORT=server.port))
    assert server.taken == []
    assert "SMTPNotSupportedError" in caplog.text
    assert "fla_ot_" not in caplog.text


def test_in_development_it_is_printed(
    make_blog: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blog = make_blog("development", DATABASE_URL=f"sqlite:///{tmp_path / 'blog.db'}")
    register(blog)
    assert blog.extensions["linked_auth"].parts["accounts"].post.finish(20)
    assert "/account/verify?token=fla_ot_" in caplog.text


def test_production_without_a_mail_server_has_no_recovery_and_says_so(
    make_blog: Make, caplog: pytest.LogCaptureFixture
) -> None:
    def paths(**environ: str) -> set[str]:
        return {rule.rule for rule in make_blog("production", **WORLD, **environ).url_map.iter_rules()}

    assert not {"/auth/password/forgot", "/account/forgot"} & paths()
    assert "MAIL_SERVER is not set" in caplog.text
    caplog.clear()
    with_mail = paths(MAIL_SERVER="smtp.example.com", MAIL_FROM="blog@example.com")
    assert {"/auth/password/forgot", "/account/forgot"} <= with_mail
    assert "MAIL_SERVER" not in caplog.text


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"MAIL_SERVER": "smtp.example.com"}, "MAIL_FROM"),
        ({"MAIL_FROM": "a@example.com\nBcc: b@example.com"}, "MAIL_FROM"),
        ({"MAIL_FROM": "a@example.com, b@example.com"}, "MAIL_FROM"),
        ({"MAIL_FROM": "The blog"}, "MAIL_FROM"),
        ({"MAIL_PORT": "smtp"}, "MAIL_PORT"),
        ({"MAIL_SECURITY": "ssl"}, "starttls, tls, none"),
        ({"MAIL_SECURITY": "none", "MAIL_USERNAME": "blog", "MAIL_PASSWORD": "hidden"}, "MAIL_SECURITY"),
    ],
    ids=[
        "no-sender",
        "two-lines",
        "two-senders",
        "no-address",
        "no-port",
        "no-security",
        "readable-password",
    ],
)
def test_it_does_not_start_with_what_cannot_work(
    make_blog: Make, environ: dict[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint) as refused:
        make_blog("production", **WORLD, **environ)
    assert "hidden" not in str(refused.value)


def test_the_port_follows_from_how_the_mail_is_kept_secret() -> None:
    assert DevelopmentConfig({}).MAIL_PORT == 587
    assert DevelopmentConfig({"MAIL_SECURITY": "tls"}).MAIL_PORT == 465
    assert DevelopmentConfig({"MAIL_SECURITY": "none", "MAIL_PORT": "1025"}).MAIL_PORT == 1025

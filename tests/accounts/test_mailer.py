"""How mail gets out: the mailer that a host gives, what is printed without one, and the thread that does the work."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app, has_request_context, request
from jinja2 import DictLoader

from flask_linked_auth import LinkedAuth, Mail
from flask_linked_auth.accounts import mail as mailing
from flask_linked_auth.accounts.mail import Post
from flask_linked_auth.errors import SettingsError
from flask_linked_auth.testing import captured_mail
from tests.tiny import (
    ISSUER,
    bare_app,
    in_database,
    logged,
    make_app,
    register,
    state_of,
    token_in,
)


def production(tmp_path: Path, **settings: Any) -> Flask:
    app = bare_app("production", database=f"sqlite:///{tmp_path / 'p.db'}", bcrypt_cost=4, rate_limits=None)
    app.testing = False
    app.config.update(LINKED_AUTH_NAME="shop", LINKED_AUTH_ISSUER="https://shop.example")
    app.config.update({f"LINKED_AUTH_{name.upper()}": value for name, value in settings.items()})
    return app


def create_tables(app: Flask, auth: LinkedAuth) -> None:
    with app.app_context():
        auth.db.metadata.create_all(auth.db.engine)  # type: ignore[union-attr]


def post_of(app: Flask) -> Post:
    post = state_of(app).parts["accounts"].post
    assert isinstance(post, Post)
    return post


def forget(app: Flask, email: str = "ana@example.com") -> Any:
    return app.test_client().post("/auth/password/forgot", json={"email": email})


# The three ways, and none.


def test_outside_debug_recovery_wants_a_mailer_and_says_how(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        LinkedAuth(production(tmp_path))
    for way in ("LinkedAuth(mailer=", "@auth.mailer", "LINKED_AUTH_RECOVERY = False"):
        assert way in str(refusal.value)


def test_without_recovery_nobody_needs_a_mailer(tmp_path: Path) -> None:
    LinkedAuth(production(tmp_path, recovery=False))


@pytest.mark.parametrize("way", ["argument", "decorator"])
def test_a_mailer_is_given_in_one_of_two_ways(tmp_path: Path, way: str) -> None:
    sent: list[Mail] = []
    app = production(tmp_path)
    if way == "argument":
        auth = LinkedAuth(app, mailer=sent.append)
    else:
        auth = LinkedAuth()

        @auth.mailer
        def send(mail: Mail) -> None:
            sent.append(mail)

        auth.init_app(app)
    create_tables(app, auth)
    register(app)
    assert post_of(app).finish()
    (mail,) = sent
    assert (mail.to, mail.purpose) == ("ana@example.com", "verify-email")
    assert f"https://shop.example/account/verify?token={token_in(mail)}" in mail.text


def test_a_mailer_may_be_async() -> None:
    pytest.importorskip("asgiref")
    app, sent = make_app(), []

    async def send(mail: Mail) -> None:
        sent.append(mail.purpose)

    state_of(app).hooks["mailer"] = send  # type: ignore[index]
    try:
        register(app)
    finally:
        state_of(app).hooks.pop("mailer")  # type: ignore[attr-defined]
    assert sent == ["verify-email"]


def test_in_debug_the_mail_is_printed_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    app.debug = True
    register(app)
    (record,) = (each for each in caplog.records if each.name == "flask_linked_auth.mail")
    assert record.levelno == logging.WARNING  # so that it shows
    text = record.getMessage()
    assert "ana@example.com" in text
    assert f"{ISSUER}/account/verify?token=fla_ot_" in text


def test_outside_debug_nothing_is_printed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    register(make_app())
    assert "fla_ot_" not in logged(caplog.records)
    assert not [each for each in caplog.records if each.name == "flask_linked_auth.mail"]


# What goes wrong.


class Refused(Exception):
    """As an SMTP library's: it quotes what it could not send."""


def test_a_mailer_that_raises_changes_no_answer_and_its_words_are_in_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    app, tried = make_app(), list[Mail]()

    def broken(mail: Mail) -> None:
        tried.append(mail)
        try:
            raise ValueError(mail.html)
        except ValueError as error:
            raise Refused(f"554 {mail.to}: {mail.text}") from error

    state_of(app).hooks["mailer"] = broken  # type: ignore[index]
    try:
        register(app)
        known, unknown = forget(app), forget(app, "nobody@example.com")
    finally:
        state_of(app).hooks.pop("mailer")  # type: ignore[attr-defined]
    assert (known.status_code, known.data) == (unknown.status_code, unknown.data) == (202, known.data)
    assert [mail.purpose for mail in tried] == ["verify-email", "reset-password"]
    text = logged(caplog.records)
    assert "The mailer raised Refused" in text
    assert "in broken" in text  # where it was
    for mail in tried:
        assert token_in(mail) not in text
        assert mail.text.splitlines()[0] not in text


def test_a_template_of_the_host_that_is_broken_changes_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    app.jinja_loader = DictLoader({"linked_auth/mail/verify-email.txt": "{{ token.nothing.at.all }}"})
    with captured_mail(app) as mails:
        register(app)
    assert mails == []
    assert "A mail could not be made: UndefinedError" in caplog.text
    assert "fla_ot_" not in caplog.text


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("ana@example.com\nBcc: all@example.com", "Hello"),
        ("ana@example.com\r\n\r\nbody", "Hello"),
        ("ana@example.com", "Hello\r\nBcc: all@example.com"),
        ("ana@example.com", "Hello\u2028Bcc: all@example.com"),
        ("ana@\0example.com", "Hello"),
    ],
)
def test_nothing_in_a_mail_can_become_a_header(to: str, subject: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        Mail(to=to, subject=subject, text="", html="", purpose="x", language="en")


def test_an_old_row_with_a_line_break_in_its_address_gets_no_mail(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    evil = "ana@example.com\nBcc: all@example.com"
    with captured_mail(app) as mails:
        register(app)
        with in_database(app) as (db, rows):
            db.session.execute(rows.User.__table__.update().values(email=evil))
            db.session.commit()
        mails.clear()
        assert forget(app, evil).status_code == 202
    assert mails == []
    assert "A mail could not be made: ValueError" in caplog.text


def test_the_repr_of_a_mail_hides_what_is_in_it() -> None:
    mail = Mail(to="a@b.c", subject="S", text="fla_ot_t", html="fla_ot_h", purpose="p", language="en")
    assert repr(mail) == "Mail(to='a@b.c', subject='S', purpose='p', language='en')"


# Templates.


def test_a_host_writes_its_own_mail(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    app.jinja_loader = DictLoader(
        {
            "linked_auth/mail/verify-email.txt": "Welcome\n to the shop\n\nHere: {{ link }}",
            "linked_auth/mail/verify-email.html": "{% extends 'linked_auth/mail/layout.html' %}"
            "{% block content %}<p>{{ '<b>' }} {{ link }}</p>{% endblock %}{% block footer %}{% endblock %}",
        }
    )
    with captured_mail(app) as (mails):
        register(app)
    assert mails[0].subject == "Welcome"
    assert mails[0].text.startswith(" to the shop") or mails[0].text.startswith("to the shop")
    assert "&lt;b&gt;" in mails[0].html
    assert "Nobody reads" not in mails[0].html


def test_without_pages_the_mail_holds_the_token_and_no_link_to_nowhere() -> None:
    app = make_app(pages=False)
    with captured_mail(app) as mails:
        register(app)
        forget(app)
    for mail in mails:
        assert token_in(mail) in mail.text.splitlines()
        assert f"<code>{token_in(mail)}</code>" in mail.html
        assert "http" not in mail.text


def test_an_issuer_below_a_path_and_pages_elsewhere_are_in_the_link() -> None:
    app = make_app(issuer="https://example.com/shop/", pages_prefix="/me")
    with captured_mail(app) as mails:
        register(app)
    assert f"https://example.com/shop/me/verify?token={token_in(mails[0])}" in mails[0].text


@pytest.mark.parametrize(
    ("seconds", "words"), [(3600, "1 hour"), (7200, "2 hours"), (600, "10 minutes"), (3 * 86400, "3 days")]
)
def test_the_mail_says_how_long_its_link_is_good(seconds: int, words: str) -> None:
    app = make_app(link_lifetime=seconds)
    with captured_mail(app) as mails:
        register(app)
        forget(app)
    assert f"within {words}." in mails[-1].text


# The thread.


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[Flask, list[Any]]]:
    """A service in production whose mailer notes where it was called."""
    app, calls = production(tmp_path), list[Any]()

    def send(mail: Mail) -> None:
        calls.append((mail, threading.current_thread(), current_app.name, has_request_context()))
        if len(calls) == 1:
            raise SystemExit  # even that ends no thread for good

    @app.context_processor
    def wants_a_request() -> dict[str, str]:
        return {"agent": request.headers.get("User-Agent", "")}

    auth = LinkedAuth(app, mailer=send)
    create_tables(app, auth)
    yield app, calls
    post_of(app).finish()
    with app.app_context():
        auth.db.engine.dispose()  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_mail_is_sent_by_a_thread_in_a_context_of_its_own(host: tuple[Flask, list[Any]]) -> None:
    app, calls = host
    for name in ("ana", "ben", "cleo"):
        register(app, f"{name}@example.com")
        assert post_of(app).finish()
    assert [mail.to for mail, *_ in calls] == ["ana@example.com", "ben@example.com", "cleo@example.com"]
    for _, thread, name, in_request in calls:
        assert thread is not threading.main_thread()
        assert thread.daemon
        assert (name, in_request) == ("production", False)


def test_a_mailer_that_hangs_makes_no_answer_wait(tmp_path: Path) -> None:
    go = threading.Event()
    app = production(tmp_path)
    auth = LinkedAuth(app, mailer=lambda _: go.wait(30))
    create_tables(app, auth)
    register(app)
    start = time.monotonic()
    assert forget(app).status_code == 202
    assert time.monotonic() - start < 5
    assert not post_of(app).finish(0.2)
    go.set()
    assert post_of(app).finish()


def test_no_thread_works_on_the_only_connection_of_an_in_memory_database() -> None:
    sent: list[Mail] = []
    app = make_app(LinkedAuth(mailer=sent.append))
    app.testing = False
    register(app)
    assert [mail.purpose for mail in sent] == ["verify-email"]
    assert post_of(app)._thread is None


def test_what_waits_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mailing, "MOST_WAITING", 3)
    go, done = threading.Event(), list[int]()
    app, post = Flask("bounded"), Post()

    def job(number: int) -> Any:
        return lambda: go.wait(30) and done.append(number)

    for number in range(6):
        post.add(app, job(number))
    go.set()
    assert post.finish()
    assert done == [0, 1, 2]
    assert caplog.text.count("Too much mail is waiting") == 3


def test_the_thread_ends_when_it_is_idle_and_another_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailing, "_IDLE", 0.05)
    app, post, seen = Flask("idle"), Post(), list[threading.Thread]()
    for count in (1, 2):
        post.add(app, lambda: seen.append(threading.current_thread()))
        assert post.finish()
        seen[-1].join(5)
        assert not seen[-1].is_alive()
        assert len(seen) == count
    assert seen[0] is not seen[1]


def test_no_thread_is_no_error_for_the_caller(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app, post, done = Flask("none"), Post(), list[int]()
    with monkeypatch.context() as patch:
        patch.setattr(
            threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("can't start new thread"))
        )
        post.add(app, lambda: done.append(1))
    assert "cannot start" in caplog.text
    post.add(app, lambda: done.append(2))
    assert post.finish()
    assert done == [1, 2]


RUN = """
import os, sys, time
from flask import Flask
from flask_linked_auth.accounts.mail import Post
app, post = Flask("forked"), Post()
def say(text):
    os.write(1, f"{text} {os.getpid() == parent}\\n".encode())
parent = os.getpid()
post.add(app, lambda: (time.sleep(0.5), say("begun before")))
post.add(app, lambda: say("waiting before"))
child = os.fork()
post.add(app, lambda: say("after"))
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system cannot fork")
def test_a_forked_worker_sends_its_own_mail_and_none_twice_and_all_before_it_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(RUN)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = sorted(done.stdout.splitlines())
    assert lines == ["after False", "after True", "begun before True", "waiting before True"], done.stderr

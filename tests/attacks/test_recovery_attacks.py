"""Attacks on the way back into an account: who exists, poisoned links, flooded mailboxes, look-alikes, leaks."""

# ruff: noqa: RUF001 - letters that look like others are what some of this is about
from __future__ import annotations

import logging
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import select, update
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_linked_auth.config import RATE_LIMITS
from tests.faults.lab import PASSWORD, log_in, register, running
from tests.tiny import logged, token_in

if TYPE_CHECKING:
    from flask_linked_auth import Mail
    from flask_linked_auth.accounts.mail import Post

OTHER = "copper-lantern-meadow-58"


class Host:
    """A service in production, with the mail that it sent."""

    def __init__(self, app: Any, mails: list[Mail]) -> None:
        self.app, self._mails = app, mails

    @property
    def mails(self) -> list[Mail]:
        """All mail, once everything that waits is sent."""
        post: Post = self.app.extensions["linked_auth"].parts["accounts"].post
        assert post.finish(30)
        return self._mails

    def post(self, path: str, body: Any, **options: Any) -> Any:
        return self.app.test_client().post(f"/auth/{path}", json=body, **options)

    def forget(self, email: str = "ada@example.com", **options: Any) -> Any:
        return self.post("password/forgot", {"email": email}, **options)

    def reset(self, token: Any, password: str = OTHER, **options: Any) -> Any:
        return self.post("password/reset", {"token": token, "new_password": password}, **options)

    def mailed(self, purpose: str) -> list[Mail]:
        return [mail for mail in self.mails if mail.purpose == purpose]

    def write(self, values: dict[str, Any], email: str = "ada@example.com") -> None:
        auth = self.app.extensions["lab"]
        with self.app.app_context():
            auth.db.session.execute(update(auth.User).where(auth.User.email == email).values(values))
            auth.db.session.commit()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    mails: list[Mail] = []
    with running(f"sqlite:///{tmp_path / 'test.db'}", mailer=mails.append) as app:
        register(app)
        host = Host(app, mails)
        host.mails.clear()
        yield host
        assert host.mails is mails


# Who has an account?


def test_the_answer_is_the_same_for_everybody(host: Host) -> None:
    register(host.app, "bea@example.com")
    host.write({"active": False}, "bea@example.com")
    who = ["ada@example.com", "ADA@Example.com", "bea@example.com", "nobody@example.com", "a b@x", "x@y"]
    answers = [host.forget(email) for email in who]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.data for answer in answers}) == 1
    assert len({tuple(answer.headers) for answer in answers}) == 1
    assert {mail.to for mail in host.mailed("reset-password")} == {"ada@example.com"}


def test_the_limit_of_an_address_tells_nothing_either(tmp_path: Path) -> None:
    mails: list[Mail] = []
    limits = {**RATE_LIMITS, "recovery-mails": "2/hour"}
    url = f"sqlite:///{tmp_path / 'test.db'}"
    with running(url, mailer=mails.append, rate_limits=limits) as app:
        host = Host(app, mails)
        register(app)
        for email in ("ada@example.com", "nobody@example.com"):
            assert [host.forget(email).status_code for _ in range(8)] == [202] * 8
        assert len(host.mailed("reset-password")) == 2
        # The limit of the source is met by whoever asks, for whomever: it stood at 16.
        answers = {host.forget(f"{n}@example.com").status_code for n in range(4)}
        assert answers == {202}
        answer = host.forget("ada@example.com")
        assert (answer.status_code, host.forget("nobody@example.com").status_code) == (429, 429)
        assert int(answer.headers["Retry-After"]) > 0


def test_a_stranger_cannot_keep_the_owner_from_having_a_good_link(tmp_path: Path) -> None:
    """The window of the limit is no longer than a link is good: whoever used it up left good links in the mailbox."""
    from flask_linked_auth.config import AccountSettings

    assert RATE_LIMITS["recovery-mails"] == "5/hour"
    assert AccountSettings().link_lifetime >= 3600
    mails: list[Mail] = []
    limits = {**RATE_LIMITS, "recovery": None}
    with running(f"sqlite:///{tmp_path / 'test.db'}", mailer=mails.append, rate_limits=limits) as app:
        host = Host(app, mails)
        register(app)
        for number in range(30):
            host.forget(environ_overrides={"REMOTE_ADDR": f"192.0.2.{number}"})
        links = host.mailed("reset-password")
        assert len(links) == 5
        assert host.reset(token_in(links[0])).status_code == 204


def test_finding_out_takes_no_statement_before_the_answer(host: Host) -> None:
    """What is not done before the answer cannot be timed: no query, for nobody."""
    from sqlalchemy import event

    with host.app.app_context():
        engine = host.app.extensions["lab"].db.engine
    names: list[str] = []

    def note(*_: Any) -> None:
        import threading

        names.append(threading.current_thread().name)

    event.listen(engine, "before_cursor_execute", note)
    host.forget("ada@example.com")
    host.forget("nobody@example.com")
    assert host.mailed("reset-password")
    event.remove(engine, "before_cursor_execute", note)
    assert set(names) == {"linked-auth-mail"}


def _quantiles(host: Host, calls: int) -> list[list[float]]:
    """The quartiles of the times that the calls take: for an address with an account, and for one without."""
    taken: dict[str, list[float]] = {"ada@example.com": [], "nobo@example.com": []}
    client, chance = host.app.test_client(), random.Random(1)
    for _ in range(calls):
        email = chance.choice(list(taken))
        start = time.perf_counter()
        client.post("/auth/password/forgot", json={"email": email})
        taken[email].append(time.perf_counter() - start)
        assert host.mails is not None  # what one call leaves to do must not fall on the next
    return [statistics.quantiles(each[10:], n=4) for each in taken.values()]


@pytest.mark.proof
def test_the_time_tells_nothing(tmp_path: Path) -> None:
    """Real calls in random order, with the thread at work and a mailer that takes a while."""

    def slow(_: Mail) -> None:
        until = time.perf_counter() + 0.005
        while time.perf_counter() < until:  # busy, as a library that signs and encodes is
            pass

    with running(f"sqlite:///{tmp_path / 'test.db'}", mailer=slow) as app:
        register(app)
        host = Host(app, [])
        known, unknown = _quantiles(host, 500)
        app.testing = True  # now the mail is sent before the answer, and the same clock sees it
        seen, unseen = _quantiles(host, 60)
    # The lower quartile has the least of the machine's other work in it; the medians lie in each other's middle half.
    assert 0.9 < known[0] / unknown[0] < 1.1, (known, unknown)
    assert unknown[0] <= known[1] <= unknown[2], (known, unknown)
    assert known[0] <= unknown[1] <= known[2], (known, unknown)
    assert seen[0] / unseen[0] > 1.5


# Where does the link lead to, and who gets it?


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "lab.example@evil.example"},
        {"Host": "lab.example:evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "javascript", "X-Forwarded-Prefix": "//evil.example"},
        {"Forwarded": "host=evil.example"},
        {"X-Original-URL": "//evil.example/x", "Referer": "https://evil.example/"},
        {"Origin": "https://evil.example"},
    ],
    ids="-".join,
)
def test_no_header_chooses_where_the_link_leads_to(host: Host, headers: dict[str, str]) -> None:
    # Not by the test client: Werkzeug's older ones read the host themselves, and stumble.
    builder = EnvironBuilder(
        "/auth/password/forgot", method="POST", json={"email": "ada@example.com"}, headers=headers
    )
    _, status, _ = run_wsgi_app(host.app, builder.get_environ(), buffered=True)
    assert status[:3] in {"202", "400"}
    host.forget(base_url="http://evil.example/evil")
    mails = host.mailed("reset-password")
    assert mails
    for mail in mails:
        assert "evil" not in repr(mail) + mail.text + mail.html
        assert f"https://lab.example/account/reset?token={token_in(mail)}" in mail.text


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("mike@example.org", "mıke@example.org"),
        ("mike@example.org", "mike@ﬁexample.org"),
        ("mike@example.org", "mi\u200dke@example.org"),
        ("mike@example.org", "mike@example.org\u200b"),
        ("mike@example.org", "mike@example.org, evil@example.com"),
        ("mike@example.org", "mike@example.org\nBcc: evil@example.com"),
        ("mike@example.org", "<mike@example.org>"),
        ("mike@example.org", "mike@example.org%0aevil@example.com"),
        ("mike@xn--exampe-t9a.org", "mike@exampıe.org"),
        ("mike@example.org", "ｍｉｋｅ＠ｅｘａｍｐｌｅ．ｏｒｇ"),
        ("mike@example.org", "MIKE@EXAMPLE.ORG"),
    ],
)
def test_the_mail_goes_to_the_stored_address_whatever_was_typed(host: Host, stored: str, typed: str) -> None:
    """CVE-2019-19844: an address that only looks like, or folds to, the one of an account."""
    register(host.app, stored)
    assert host.forget(typed).status_code == 202
    assert {mail.to for mail in host.mailed("reset-password")} <= {stored}


def test_a_database_that_takes_two_addresses_for_one_does_not_redirect_the_mail(host: Host) -> None:
    """Even where the column compares without regard to case: what was typed is never the recipient."""
    host.write({"email": "Ada@Example.COM"})  # a row older than the normal form
    host.forget("Ada@Example.COM")
    assert [mail.to for mail in host.mailed("reset-password")] == ["Ada@Example.COM"]


@pytest.mark.parametrize(
    "email",
    [
        '"a\x0bb"@example.com',
        '"a\x01b"@example.com',
        '"a\\\tb"@example.com',
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com\n",
        "a@exam\u2028ple.com",
        "a@b@example.com ",
        "a@example.com,b@example.com",
        "a@example.com b@example.com",
    ],
)
def test_no_address_brings_a_header_along(host: Host, email: str) -> None:
    answer = host.post("register", {"email": email, "password": PASSWORD})
    assert (answer.status_code, answer.json["errors"].keys()) == (422, {"email"})
    token = log_in(host.app)["token"]
    answer = host.app.test_client().patch(
        "/auth/me", json={"email": email}, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 422
    assert host.mails == []


@pytest.mark.parametrize(
    "name", ["Bcc: x", "<a href='https://evil.example'>Win</a>", "Go to evil.example", "{{7*7}}"]
)
def test_a_name_is_no_way_to_write_to_strangers(host: Host, name: str) -> None:
    register(host.app, "stranger@example.com", name=name, username="evil.example")
    (mail,) = host.mailed("verify-email")
    for text in (mail.subject, mail.text, mail.html):
        assert name not in text
        assert "evil" not in text
        assert "49" not in text or "49" in token_in(mail)


# What else could pass for a link?


@pytest.mark.parametrize("kind", ["access", "refresh", "id", "hash", "purpose", "spaces", "wide", "prefix"])
def test_nothing_but_a_mailed_token_is_one(host: Host, kind: str) -> None:
    person = log_in(host.app)
    host.forget()
    token = token_in(host.mailed("reset-password")[0])
    auth = host.app.extensions["lab"]
    with host.app.app_context():
        row = auth.db.session.scalars(
            select(auth.rows.OneTimeLink).where(auth.rows.OneTimeLink.purpose == "reset-password")
        ).one()
        stored = row.id
    wrong = {
        "access": person["token"],
        "refresh": person["refresh_token"],
        "id": stored,
        "hash": f"fla_ot_{stored[:43]}",
        "purpose": token.replace("fla_ot_", "fla_rt_"),
        "spaces": f" {token}",
        "wide": token[:-1] + "ａ",
        "prefix": token[:-1],
    }
    for path in ("password/reset", "email/verify"):
        body = {"token": wrong[kind], "new_password": OTHER} if "reset" in path else {"token": wrong[kind]}
        answer = host.post(path, body)
        assert (answer.status_code, answer.json["slug"]) == (400, "invalid-link")
    assert host.reset(token).status_code == 204


def test_every_bad_link_is_the_same_byte_for_byte(host: Host) -> None:
    host.forget()
    token = token_in(host.mailed("reset-password")[0])
    (verify,) = [token_in(mail) for mail in _verifications(host)]
    assert host.reset(token).status_code == 204
    answers = [host.reset(each) for each in (token, verify, "fla_ot_" + "a" * 43, "", "x", token + "\u0130")]
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.data for answer in answers}) == 1
    assert len({tuple(answer.headers) for answer in answers}) == 1


def _verifications(host: Host) -> list[Mail]:
    register(host.app, "bea@example.com")
    return host.mailed("verify-email")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    token=st.one_of(
        st.text(max_size=80), st.integers(), st.none(), st.lists(st.text()), st.from_regex(r"fla_ot_.{0,50}")
    )
)
def test_no_token_is_a_fault_of_ours(host: Host, token: Any) -> None:
    for path in ("password/reset", "email/verify"):
        body = {"token": token} | ({"new_password": OTHER} if "reset" in path else {})
        assert host.post(path, body).status_code in {400, 422}


def test_a_bad_link_costs_no_hash(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    import bcrypt

    monkeypatch.setattr(bcrypt, "hashpw", lambda *_: pytest.fail("a hash for a link that is not good"))
    for token in ("fla_ot_" + "a" * 43, "x"):
        assert host.reset(token).status_code == 400


def test_a_form_of_another_site_asks_for_nothing(host: Host) -> None:
    client = host.app.test_client()
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        answer = client.post("/auth/password/forgot", data=b'{"email":"ada@example.com"}', content_type=kind)
        assert answer.status_code == 415
    assert host.mails == []


# What leaks?


def test_no_token_and_no_text_of_a_mail_is_in_any_log_at_any_level(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    host.forget()
    host.reset("fla_ot_" + "b" * 43)
    tokens = [token_in(mail) for mail in host.mailed("reset-password")]
    host.reset(tokens[0], "short")
    host.reset(tokens[0])
    person = log_in(host.app, password=OTHER)
    register(host.app, "bea@example.com")
    tokens += [token_in(mail) for mail in host.mailed("verify-email")]
    host.post("email/verify", {"token": tokens[1]})
    headers = {"Authorization": f"Bearer {person['token']}"}
    host.app.test_client().patch("/auth/me", json={"email": "ada@new.example"}, headers=headers)
    tokens += [token_in(mail) for mail in host.mailed("change-email")]
    host.post("email/verify", {"token": tokens[2]})
    assert len(tokens) == 3
    text = logged(caplog.records)
    assert '"password.reset"' in text
    assert '"email.changed"' in text
    secrets = [*tokens, *(token[7:] for token in tokens), OTHER, PASSWORD, "b" * 43]
    assert [secret for secret in secrets if secret in text] == []
    assert "You choose it here" not in text
    assert "@" not in text  # and nobody's address


def test_a_database_that_fails_tells_the_log_no_token_and_no_address(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    auth = host.app.extensions["lab"]
    with host.app.app_context():
        auth.rows.OneTimeLink.__table__.drop(auth.db.engine)
    answers = {host.forget(email).data for email in ("ada@example.com", "nobody@example.com")}
    assert len(answers) == 1
    assert host.mails == []
    text = logged(caplog.records)
    assert "A mail could not be made: OperationalError" in text
    assert "ada@example.com" not in text
    assert "fla_ot_" not in text
    assert host.reset("fla_ot_" + "a" * 43).status_code == 500  # the table is missing, and no more is told


def test_the_secrets_stay_out_of_what_is_printed_of_our_values(host: Host) -> None:
    host.forget()
    (mail,) = host.mailed("reset-password")
    state = host.app.extensions["linked_auth"]
    accounts = state.parts["accounts"]
    assert token_in(mail) not in repr(mail)
    for value in (state, accounts, accounts.post):
        assert token_in(mail) not in repr(value)
    from flask_linked_auth.accounts.recovery import find_link

    with host.app.app_context():
        database = state.database_in_use()
        link = find_link(
            database.db.session(), database.rows, token_in(mail), "reset-password", now=int(time.time())
        )
        assert link is not None
        assert link.person.password_hash not in repr(link) + repr(link.person)
        assert link.id not in repr(link)
        assert token_in(mail)[7:] not in repr(
            vars(database.db.session.get(database.rows.OneTimeLink, link.id))
        )

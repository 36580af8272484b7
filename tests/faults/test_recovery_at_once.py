"""Many follow one link in one moment, and resets meet logins and changes: one wins, and nothing old stays alive."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from tests.faults.lab import PASSWORD, at_once, bearer, log_in, register, running

if TYPE_CHECKING:
    from flask_linked_auth import Mail

OTHER = "copper-lantern-meadow-58"
DATABASES = ["sqlite", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


class Host:
    """The app, and the mail that it sent."""

    def __init__(self, app: Any, mails: list[Mail]) -> None:
        self.app, self.sent = app, mails

    def mails(self, purpose: str) -> list[Mail]:
        assert self.app.extensions["linked_auth"].parts["accounts"].post.finish(60)
        return [mail for mail in self.sent if mail.purpose == purpose]

    def tokens(self, purpose: str) -> list[str]:
        return [re.findall(r"fla_ot_[\w-]+", mail.text)[0] for mail in self.mails(purpose)]

    def post(self, path: str, body: Any, *, token: str | None = None) -> Any:
        headers = {} if token is None else bearer(token)
        return self.app.test_client().post(f"/auth/{path}", json=body, headers=headers)

    def reset(self, token: str, password: str = OTHER) -> Any:
        return self.post("password/reset", {"token": token, "new_password": password})

    def ask(self, token: str, email: str) -> Any:
        return self.app.test_client().patch("/auth/me", json={"email": email}, headers=bearer(token))

    def reset_links(self, count: int = 1) -> list[str]:
        for _ in range(count):
            assert self.post("password/forgot", {"email": "ada@example.com"}).status_code == 202
        return self.tokens("reset-password")[-count:]

    def alive(self) -> list[Any]:
        """The logins that are going on."""
        auth = self.app.extensions["lab"]
        with self.app.app_context():
            row = auth.rows.Login
            return list(auth.db.session.scalars(select(row).where(row.ended_at.is_(None))))

    def links(self) -> int:
        auth = self.app.extensions["lab"]
        with self.app.app_context():
            return int(auth.db.session.scalar(select(func.count()).select_from(auth.rows.OneTimeLink)))


@pytest.fixture(
    params=[DATABASES[0], *(pytest.param(each, marks=pytest.mark.postgresql) for each in DATABASES[1:])]
)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """The app on SQLite, and on PostgreSQL at each level of isolation."""
    mails: list[Mail] = []
    if request.param == "sqlite":
        url, engine = f"sqlite:///{tmp_path / 'test.db'}", {}
    else:
        url, engine = request.getfixturevalue("postgresql_url"), {"isolation_level": request.param}
    with running(url, engine=engine, mailer=mails.append) as app:
        yield Host(app, mails)
        assert app.extensions["linked_auth"].parts["accounts"].post.finish(60)


def test_fifty_resets_with_one_link_set_one_password(host: Host) -> None:
    register(host.app)
    (token,) = host.reset_links()
    passwords = [f"{OTHER}-{number}-again" for number in range(50)]
    answers = at_once(50, lambda number: host.reset(token, passwords[number]))
    # Those that wait for a turn longer than their patience are told so, and have not used the link.
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[204] == 1, statuses
    assert statuses.keys() <= {204, 400, 503}
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 204)
    assert log_in(host.app, password=passwords[winner])
    losers = [n for n in range(50) if n != winner][::12]
    for loser in losers:
        body = {"email": "ada@example.com", "password": passwords[loser]}
        assert host.post("login", body).status_code == 401
    assert len(host.mails("password-changed")) == 1


def test_who_waits_for_a_turn_keeps_no_connection_from_the_one_whose_turn_it_is(
    database_url: str,
) -> None:
    mails: list[Mail] = []
    engine = {"pool_size": 2, "max_overflow": 0}
    with running(database_url, engine=engine, mailer=mails.append, bcrypt_cost=8) as app:
        host = Host(app, mails)
        register(app)
        (token,) = host.reset_links()
        answers = at_once(6, lambda number: host.reset(token, f"{OTHER}-{number}-again"))
        assert Counter(answer.status_code for answer in answers) == {204: 1, 400: 5}
        assert app.extensions["linked_auth"].parts["accounts"].post.finish(60)


def test_of_many_links_of_one_person_one_resets(host: Host) -> None:
    register(host.app)
    tokens = host.reset_links(12)
    passwords = [f"{OTHER}-{number}-again" for number in range(12)]
    answers = at_once(12, lambda number: host.reset(tokens[number], passwords[number]))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[204] == 1, statuses
    assert statuses.keys() <= {204, 400, 503}
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 204)
    assert log_in(host.app, password=passwords[winner])
    assert host.links() == 0


def test_fifty_verifications_with_one_link_verify_once(host: Host) -> None:
    register(host.app)
    (token,) = host.tokens("verify-email")
    answers = at_once(50, lambda _: host.post("email/verify", {"token": token}))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1, statuses
    assert statuses.keys() <= {200, 400, 503}


def test_a_reset_amid_logins_leaves_none_of_the_old_password(host: Host) -> None:
    first = register(host.app)
    (token,) = host.reset_links()
    body = {"email": "ada@example.com", "password": PASSWORD}

    def deed(number: int) -> Any:
        if number == 6:
            return host.reset(token)
        if number % 3 == 0:
            return host.post("refresh", {"refresh_token": first["refresh_token"]})
        return host.post("login", body)

    answers = at_once(13, deed)
    assert {answer.status_code for answer in answers} <= {200, 204, 401, 503}
    if answers[6].status_code == 503:  # at SERIALIZABLE, under many: the link is as good as before
        assert host.reset(token).status_code == 204
    assert host.alive() == []
    for answer in answers:
        if answer.status_code == 200:
            assert (
                host.app.test_client().get("/guarded", headers=bearer(answer.json["token"])).status_code
                == 401
            )
            assert host.post("refresh", {"refresh_token": answer.json["refresh_token"]}).status_code == 401
    assert log_in(host.app, password=OTHER)


def test_a_reset_against_a_change_of_address_leaves_one_of_them(host: Host) -> None:
    """Whichever is first, the other's link is void: a thief cannot move an account that its owner just took back."""
    wins: Counter[str] = Counter()
    for number in range(6):
        email = f"ada{number}@example.com"
        person = register(host.app, email)
        assert host.post("password/forgot", {"email": email}).status_code == 202
        assert host.ask(person["token"], f"thief{number}@example.com").status_code == 200
        reset, change = host.tokens("reset-password")[-1], host.tokens("change-email")[-1]
        deeds = [
            lambda reset=reset: host.reset(reset),
            lambda change=change: host.post("email/verify", {"token": change}),
        ]
        answers = at_once(2, lambda n, deeds=deeds: deeds[n]())
        won = [answer.status_code < 300 for answer in answers]
        assert won.count(True) == 1, [answer.text for answer in answers]
        assert {answer.status_code for answer in answers} <= {200, 204, 400}
        wins["reset" if won[0] else "change"] += 1
        now = email if won[0] else f"thief{number}@example.com"
        assert log_in(host.app, now, OTHER if won[0] else PASSWORD)
    assert sum(wins.values()) == 6


def test_a_change_of_password_against_a_reset_has_one_winner(host: Host) -> None:
    person = register(host.app)
    (token,) = host.reset_links()
    change = {"current_password": PASSWORD, "new_password": f"{OTHER}-changed"}
    deeds = [lambda: host.reset(token), lambda: host.post("me/password", change, token=person["token"])]
    reset, changed = at_once(2, lambda number: deeds[number]())
    assert (reset.status_code == 204) != (changed.status_code == 200), (reset.text, changed.text)
    assert log_in(host.app, password=OTHER if reset.status_code == 204 else f"{OTHER}-changed")


def test_two_who_confirm_one_address_at_once_are_one_winner_and_one_conflict(host: Host) -> None:
    people = [register(host.app, f"{name}@example.com") for name in ("ada", "bea", "cat", "dan")]
    for person in people:
        assert host.ask(person["token"], "wanted@example.com").status_code == 200
    tokens = host.tokens("change-email")
    answers = at_once(4, lambda number: host.post("email/verify", {"token": tokens[number]}))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 3}
    assert log_in(host.app, "wanted@example.com")


def test_two_wishes_of_one_person_at_once_end_in_one_address(host: Host) -> None:
    person = register(host.app)
    answers = at_once(6, lambda number: host.ask(person["token"], f"new{number}@example.com"))
    assert {answer.status_code for answer in answers} == {200}
    tokens = host.tokens("change-email")
    assert len(tokens) == 6
    answers = at_once(6, lambda number: host.post("email/verify", {"token": tokens[number]}))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1, statuses
    assert statuses.keys() <= {200, 400}
    assert host.links() == 0


def test_a_deletion_against_a_reset_leaves_nobody(host: Host) -> None:
    person = register(host.app)
    (token,) = host.reset_links()

    def deed(number: int) -> Any:
        if number:
            return host.reset(token)
        return host.app.test_client().delete("/auth/me", headers=bearer(person["token"]))

    deleted, reset = at_once(2, deed)
    assert reset.status_code in {204, 400}, reset.text
    assert deleted.status_code in {204, 401}, deleted.text  # 401 if the reset ended the login before
    if deleted.status_code == 204:
        assert host.links() == 0
        assert host.alive() == []
        assert host.reset(token).status_code == 400

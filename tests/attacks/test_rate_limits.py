"""Rate limits as a caller meets them: on by default, true about the wait, not evaded, and no weapon against others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bcrypt
import pytest

from flask_linked_auth import throttle
from flask_linked_auth.config import RATE_LIMITS
from tests.faults.lab import PASSWORD, Cable, at_once, bearer, cable, register, running

HERE, THERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def app(url: str) -> Iterator[Any]:
    """With the limits as they are by default."""
    with running(url, rate_limits={}) as made:
        yield made


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that passwords were checked against, as they are."""
    seen: list[bytes] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        seen.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return seen


def _post(app: Any, path: str, body: Any = None, *, address: str = HERE, **headers: str) -> Any:
    return app.test_client().post(
        path, json=body, headers=headers, environ_overrides={"REMOTE_ADDR": address}
    )


def _login(
    app: Any, email: str = "ada@example.com", password: str = "wrong", *, address: str = HERE, **headers: str
) -> Any:
    return _post(app, "/auth/login", {"email": email, "password": password}, address=address, **headers)


def _check_refused(answer: Any) -> int:
    assert answer.status_code == 429
    assert answer.content_type == "application/problem+json"
    assert answer.json["slug"] == "too-many-requests"
    return int(answer.headers["Retry-After"])


@pytest.mark.parametrize("rule", ["login", "register", "refresh"])
def test_each_endpoint_is_limited_by_default(app: Any, rule: str) -> None:
    amount = int(RATE_LIMITS[rule].partition("/")[0])  # type: ignore[union-attr]
    statuses = [_post(app, f"/auth/{rule}", {}).status_code for _ in range(amount)]
    assert set(statuses) == {422}
    assert 1 <= _check_refused(_post(app, f"/auth/{rule}", {})) <= 60
    assert _post(app, f"/auth/{rule}", {}, address=THERE).status_code == 422


def test_validation_counts_failures_only(app: Any) -> None:
    token = register(app)["token"]
    for _ in range(200):
        assert _post(app, "/auth/validate-token", **bearer(token)).status_code == 200
    statuses = [_post(app, "/auth/validate-token", **bearer("a.b.c")).status_code for _ in range(61)]
    assert Counter(statuses) == {401: 60, 429: 1}
    _check_refused(_post(app, "/auth/validate-token"))
    for _ in range(20):  # a gateway in front of somebody who guesses still gets its good tokens through
        assert _post(app, "/auth/validate-token", **bearer(token)).status_code == 200


def test_the_wait_that_is_told_is_true(url: str) -> None:
    with running(url, rate_limits={"login": "3/2 seconds"}) as app:
        register(app)
        for _ in range(3):
            assert _login(app).status_code == 401
        wait = _check_refused(_login(app))
        told = time.monotonic()
        assert 1 <= wait <= 2
        time.sleep(max(0.0, wait - 0.8 - (time.monotonic() - told)))
        while time.monotonic() - told < wait:
            time.sleep(0.01)
        assert _login(app, password=PASSWORD).status_code == 200


def test_tries_while_one_waits_do_not_prolong_the_wait(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1_700_000_000.0)  # moved by hand: a busy machine would be late
    clock.monotonic = clock.time = lambda: clock.now
    monkeypatch.setattr(throttle, "time", clock)
    with running(url, rate_limits={"login-failures": "2/2 seconds"}) as app:
        register(app)
        _login(app), _login(app)
        for _ in range(19):
            clock.now += 0.1
            assert _login(app, password=PASSWORD).status_code == 429
        clock.now += 0.2
        assert _login(app, password=PASSWORD).status_code == 200


def test_a_stranger_cannot_lock_anybody_out(app: Any) -> None:
    register(app)
    statuses = [_login(app, address=THERE).status_code for _ in range(30)]
    assert Counter(statuses) == {401: 10, 429: 20}
    assert _login(app, password=PASSWORD, address=THERE).status_code == 429
    assert _login(app, password=PASSWORD, address=HERE).status_code == 200


def test_a_success_starts_the_count_anew(app: Any) -> None:
    register(app)
    for _ in range(4):
        assert {_login(app).status_code for _ in range(9)} == {401}
        assert _login(app, password=PASSWORD).status_code == 200


@pytest.mark.parametrize("known", [True, False])
def test_parallel_tries_do_not_outrun_the_limit(url: str, checks: list[bytes], known: bool) -> None:
    with running(url, rate_limits={"login": None}, hashes_at_once=50) as app:
        register(app, "ada@example.com" if known else "somebody@example.com")
        checks.clear()
        statuses = Counter(at_once(50, lambda _: _login(app).status_code))
        assert statuses == {401: 10, 429: 40}
        assert len(checks) == 10


def test_one_right_password_among_parallel_wrong_ones(url: str, checks: list[bytes]) -> None:
    """Fifty guesses at once, one of them right: the number of guesses that are looked at stays bounded."""
    with running(url, rate_limits={"login": None}, hashes_at_once=50) as app:
        register(app)
        checks.clear()
        statuses = Counter(
            at_once(
                50, lambda number: _login(app, password=PASSWORD if number == 25 else "wrong").status_code
            )
        )
        assert statuses[200] <= 1
        assert len(checks) <= 20
        if not statuses[200]:
            assert len(checks) == 10


def test_unknown_people_are_limited_alike(app: Any) -> None:
    register(app)
    known = [_login(app, "ada@example.com") for _ in range(12)]
    unknown = [_login(app, "nobody@example.com") for _ in range(12)]
    assert [answer.status_code for answer in known] == [answer.status_code for answer in unknown]
    assert [answer.status_code for answer in known] == [401] * 10 + [429] * 2
    assert [answer.json for answer in known[:10]] == [answer.json for answer in unknown[:10]]


SPELLINGS = [
    "ada@example.com",
    "ADA@example.com",
    "Ada@EXAMPLE.com",
    "ada@Example.Com",
    "ａｄａ@example.com",  # noqa: RUF001 - full width
    "ada＠example.com",  # noqa: RUF001
    "ada@ｅxample.com",  # noqa: RUF001
]


def test_spelling_does_not_evade(app: Any, checks: list[bytes]) -> None:
    register(app)
    checks.clear()
    statuses = [_login(app, SPELLINGS[step % len(SPELLINGS)]).status_code for step in range(30)]
    assert Counter(statuses) == {401: 10, 429: 20}
    assert len(checks) == 10
    assert _login(app, password=PASSWORD).status_code == 429
    for spelling in SPELLINGS:
        assert _login(app, spelling, PASSWORD, address=THERE).status_code == 200, spelling


def test_headers_do_not_evade(app: Any) -> None:
    register(app)
    statuses = []
    for step in range(14):
        address = f"203.0.113.{step}"
        forged = {
            "X-Forwarded-For": address,
            "X-Real-IP": address,
            "Forwarded": f"for={address}",
            "CF-Connecting-IP": address,
            "X-Forwarded-Host": f"h{step}.example",
            "User-Agent": f"agent {step}",
        }
        statuses.append(_login(app, **forged).status_code)
    assert statuses == [401] * 10 + [429] * 4


def test_addresses_of_one_ipv6_network_count_together(app: Any) -> None:
    register(app)
    statuses = [_login(app, address=f"2001:db8:1:2::{step:x}").status_code for step in range(1, 13)]
    assert statuses == [401] * 10 + [429] * 2
    assert _login(app, password=PASSWORD, address="2001:db8:1:3::1").status_code == 200
    mapped = [
        _login(app, address=f"{'::ffff:' if step % 2 else ''}{THERE}").status_code for step in range(12)
    ]
    assert mapped == [401] * 10 + [429] * 2


def test_the_current_password_cannot_be_guessed_with_a_stolen_token(app: Any, checks: list[bytes]) -> None:
    token = register(app)["token"]
    checks.clear()
    body = {"current_password": "wrong", "new_password": "copper-lantern-meadow-58"}
    statuses = at_once(20, lambda _: _post(app, "/auth/me/password", body, **bearer(token)).status_code)
    assert set(statuses) <= {422, 429, 503}
    assert Counter(statuses)[429] == 10
    assert len(checks) <= 10


def test_refusals_leave_no_trace_in_memory_for_ever(app: Any) -> None:
    """Somebody who names a new person each time fills no memory: windows are bounded in number."""
    assert throttle.MEMORY_KEYS <= 1_000_000
    for step in range(59):
        assert _login(app, f"n{step}@example.com").status_code == 401
    assert _login(app, "n60@example.com").status_code == 401
    _check_refused(_login(app, "n61@example.com"))  # by the address alone


@pytest.fixture
def redis_wire(redis_url: str) -> Iterator[tuple[Cable, str]]:
    """A cable to Redis, and the address at its near end."""
    from urllib.parse import urlsplit

    parts = urlsplit(redis_url)
    with cable(parts.hostname or "127.0.0.1", parts.port or 6379) as made:
        yield made, f"redis://127.0.0.1:{made.port}{parts.path}"


def test_two_processes_count_together_in_redis(url: str, redis_url: str) -> None:
    settings = {"rate_limits": {}, "rate_limit_storage": redis_url}
    with running(url, **settings) as app, running(url, **settings) as other:
        register(app)
        statuses = [_login((app, other)[step % 2]).status_code for step in range(14)]
        assert statuses == [401] * 10 + [429] * 4
        assert _login(app, password=PASSWORD, address=THERE).status_code == 200


def test_parallel_tries_over_redis_do_not_outrun_the_limit(
    url: str, redis_url: str, checks: list[bytes]
) -> None:
    settings = {"rate_limits": {"login": None}, "rate_limit_storage": redis_url, "hashes_at_once": 50}
    with running(url, **settings) as app, running(url, **settings) as other:
        register(app)
        checks.clear()
        statuses = Counter(at_once(40, lambda number: _login((app, other)[number % 2]).status_code))
        assert statuses == {401: 10, 429: 30}
        assert len(checks) == 10


@pytest.mark.parametrize("fault", ["cut", "frozen"])
def test_without_redis_each_process_counts_for_itself_until_it_is_back(
    url: str, redis_wire: tuple[Cable, str], fault: str, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr(throttle, "OUTAGE_PAUSE", 0.5)
    wire, storage = redis_wire
    with running(url, rate_limits={}, rate_limit_storage=storage) as app:
        register(app)
        assert _login(app, password=PASSWORD).status_code == 200
        wire.cut() if fault == "cut" else wire.freeze()
        start = time.monotonic()
        assert _login(app, password=PASSWORD).status_code == 200  # nobody is refused for it
        assert time.monotonic() - start < 3
        start = time.monotonic()
        statuses = [_login(app).status_code for _ in range(14)]
        assert statuses == [401] * 10 + [429] * 4  # and nobody guesses on for it
        assert time.monotonic() - start < 8
        warnings = [
            record for record in caplog.records if "storage of the rate limits" in record.getMessage()
        ]
        assert len(warnings) == 1
        wire.mend()
        time.sleep(0.6)
        assert _login(app, password=PASSWORD).status_code in {200, 429}
        assert "is back" in caplog.text or caplog.records
        with running(url, rate_limits={}, rate_limit_storage=storage) as other:
            found = [_login((app, other)[step % 2], "bea@example.com").status_code for step in range(14)]
            assert found == [401] * 10 + [429] * 4  # counted together again


def test_an_app_starts_without_redis(url: str, redis_wire: tuple[Cable, str]) -> None:
    redis_wire[0].cut()
    with running(url, rate_limits={}, rate_limit_storage=redis_wire[1]) as app:
        register(app)
        assert [_login(app).status_code for _ in range(12)] == [401] * 10 + [429] * 2

"""Rate limits let exactly as many through as they say, in one process, in several, and when Redis is gone."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from flask_linked_auth import throttle
from flask_linked_auth.errors import SettingsError, TooManyRequests
from flask_linked_auth.throttle import Throttle, network

RULES = {"login": "10/minute", "both": "3/2 seconds;5/minute", "off": None}


@pytest.fixture(params=["memory", "redis"])
def storage(request: pytest.FixtureRequest) -> str:
    """Each test runs on either storage."""
    if request.param == "memory":
        return "memory://"
    url: str = request.getfixturevalue("redis_url")
    return url


def passes(deed: Callable[[], None]) -> bool:
    try:
        deed()
    except TooManyRequests:
        return False
    return True


def test_as_many_pass_as_the_rule_says_and_no_more(storage: str) -> None:
    limited = Throttle(RULES, storage)
    assert [passes(lambda: limited.hit("login", "ana")) for _ in range(13)] == [True] * 10 + [False] * 3


def test_a_refusal_says_when_to_come_back(storage: str) -> None:
    limited = Throttle({"login": "1/minute"}, storage)
    limited.hit("login", "ana")
    with pytest.raises(TooManyRequests) as caught:
        limited.hit("login", "ana")
    assert 55 <= caught.value.retry_after <= 60
    assert caught.value.headers() == {"Retry-After": str(caught.value.retry_after)}
    assert str(caught.value.retry_after) in caught.value.detail
    assert "ana" not in caught.value.detail


def test_after_that_time_one_passes_again(storage: str) -> None:
    limited = Throttle({"login": "2/2 seconds"}, storage)
    limited.hit("login")
    limited.hit("login")
    with pytest.raises(TooManyRequests) as caught:
        limited.hit("login")
    assert 1 <= caught.value.retry_after <= 2
    time.sleep(2.1)
    limited.hit("login")


def test_every_limit_of_a_rule_must_let_through(storage: str) -> None:
    limited = Throttle(RULES, storage)
    assert [passes(lambda: limited.hit("both")) for _ in range(4)] == [True, True, True, False]
    time.sleep(2.1)
    assert [passes(lambda: limited.hit("both")) for _ in range(3)] == [True, True, False]
    with pytest.raises(TooManyRequests) as caught:
        limited.check("both")
    assert caught.value.retry_after > 50


def test_refused_calls_do_not_use_up_the_longer_limit(storage: str) -> None:
    """Otherwise hammering for a second would lock somebody out for the hour."""
    limited = Throttle({"login": "2/2 seconds;30/hour"}, storage)
    for _ in range(100):
        passes(lambda: limited.hit("login"))
    time.sleep(2.1)
    limited.hit("login")


def test_fifty_at_once_against_a_limit_of_ten_let_ten_through(storage: str) -> None:
    limited = Throttle(RULES, storage)
    with ThreadPoolExecutor(50) as pool:
        for person in range(5):
            results = list(
                pool.map(
                    lambda _, who=f"person {person}": passes(lambda: limited.hit("login", who)), range(50)
                )
            )
            assert results.count(True) == 10


def _hits_of_a_process(uri: str) -> int:
    limited = Throttle(RULES, uri)
    return sum(passes(lambda: limited.hit("login", "ana")) for _ in range(10))


def test_several_processes_on_redis_share_the_limit(redis_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert sum(pool.map(_hits_of_a_process, [redis_url] * 4)) == 10


def test_looking_counts_nothing(storage: str) -> None:
    limited = Throttle(RULES, storage)
    for _ in range(30):
        limited.check("login", "ana")
    for _ in range(10):
        limited.hit("login", "ana")
    with pytest.raises(TooManyRequests):
        limited.check("login", "ana")


def test_a_success_clears_what_was_counted(storage: str) -> None:
    limited = Throttle(RULES, storage)
    for _ in range(10):
        limited.hit("login", "ana")
    limited.clear("login", "ana")
    limited.check("login", "ana")
    assert [passes(lambda: limited.hit("login", "ana")) for _ in range(11)].count(True) == 10


def test_clearing_one_leaves_the_others(storage: str) -> None:
    limited = Throttle({"login": "1/minute"}, storage)
    limited.hit("login", "ana")
    limited.hit("login", "eva")
    limited.clear("login", "ana")
    limited.check("login", "ana")
    with pytest.raises(TooManyRequests):
        limited.check("login", "eva")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ana", "10.0.0.1"), ("ana", "10.0.0.2")),
        (("ana", "b"), ("an", "ab")),
        (("a/b",), ("a", "b")),
        (("a", "b"), ("b", "a")),
        (("a",), ("a", "")),
        ((), ("",)),
        (("('a', 'b')",), ("a", "b")),
        (("\0",), ("",)),
        (("\ud800",), ("\ud801",)),
        (("x" * 10_000,), ("x" * 10_001,)),
    ],
)
def test_different_parts_are_counted_apart(
    one: tuple[str, ...], other: tuple[str, ...], storage: str
) -> None:
    limited = Throttle({"login": "1/minute", "other": "1/minute"}, storage)
    limited.hit("login", *one)
    limited.hit("login", *other)
    limited.hit("other", *one)
    assert not passes(lambda: limited.hit("login", *one))
    assert not passes(lambda: limited.hit("login", *other))


def test_a_rule_that_is_none_or_not_there_never_refuses(storage: str) -> None:
    limited = Throttle(RULES, storage)
    for rule in ("off", "unknown", ""):
        for _ in range(100):
            limited.hit(rule, "ana")
        limited.check(rule, "ana")
        limited.clear(rule, "ana")


def test_nothing_personal_lies_in_redis(redis_url: str) -> None:
    import redis

    Throttle(RULES, redis_url).hit("login", "ana@example.com", "192.0.2.7")
    with redis.Redis.from_url(redis_url) as client:
        keys = [key.decode() for key in client.scan_iter()]
        assert any("login" in key for key in keys)
        assert not [key for key in keys if "ana" in key or "192.0" in key]
        assert all(0 < client.ttl(key) <= 600 for key in keys)


# Memory


def test_memory_forgets_who_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attacker who tries a new name each time must not fill the memory."""
    monkeypatch.setattr(throttle, "MEMORY_KEYS", 500)
    limited = Throttle({"login": "3/minute"})
    for number in range(2000):
        limited.hit("login", str(number))
    assert len(limited._memory._hits) == 500
    limited.hit("login", "1999")
    limited.hit("login", "1999")
    assert not passes(lambda: limited.hit("login", "1999"))


def test_memory_keeps_who_comes_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MEMORY_KEYS", 3)
    limited = Throttle({"login": "2/minute"})
    limited.hit("login", "often")
    for number in range(20):
        limited.hit("login", str(number))
        if not number:
            limited.hit("login", "often")
        assert not number or not passes(lambda: limited.hit("login", "often"))


def test_memory_keeps_no_more_times_than_it_needs(clock: Clock) -> None:
    limited = Throttle({"login": "2/second"})
    for _ in range(3):
        passes(lambda: limited.hit("login"))
        passes(lambda: limited.hit("login"))
        clock.now += 0.6
    (hits,) = limited._memory._hits.values()
    assert len(hits) <= 2


class Clock:
    """The throttle's clock, moved by hand: a busy machine is late by more than the moments these tests are about."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(throttle, "time", made)
    return made


def test_memory_does_not_forget_what_still_counts(clock: Clock) -> None:
    limited = Throttle({"login": "2/2 seconds"})
    limited.hit("login", "ana")
    clock.now += 1.2
    limited.hit("login", "ana")
    clock.now += 0.9  # the first is over, the second is not
    limited.hit("login", "eva")
    limited.hit("login", "ana")
    assert not passes(lambda: limited.hit("login", "ana"))


def test_memory_forgets_what_is_over(clock: Clock) -> None:
    limited = Throttle({"login": "3/second"})
    for number in range(300):
        limited.hit("login", str(number))
    clock.now += 1.1
    limited.hit("login", "one more")
    assert len(limited._memory._hits) == 1


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=40), st.integers(1, 6))
def test_within_a_window_never_more_than_the_limit_pass(calls: list[tuple[str, bool]], amount: int) -> None:
    limited = Throttle({"login": f"{amount}/hour"})
    counted = {"a": 0, "b": 0}
    for who, counts in calls:
        deed = limited.hit if counts else limited.check
        passed = passes(partial(deed, "login", who))
        assert passed == (counted[who] < amount)
        counted[who] += passed and counts


# Redis out of reach


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_without_redis_the_process_counts_for_itself_and_warns_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("redis")
    limited = Throttle(RULES, f"redis://user:marked-password@127.0.0.1:{free_port()}/0")
    limited.validate()
    assert [passes(lambda: limited.hit("login", "ana")) for _ in range(12)].count(True) == 10
    with pytest.raises(TooManyRequests):
        limited.check("login", "ana")
    limited.clear("login", "ana")
    limited.hit("login", "ana")
    assert len(warnings_of(caplog)) == 1
    assert "each process counts for itself" in warnings_of(caplog)[0]
    assert "marked" not in caplog.text


def test_a_redis_that_never_answers_delays_one_call_shortly(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limited = Throttle(RULES, f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        started = time.perf_counter()
        assert [passes(lambda: limited.hit("login", "ana")) for _ in range(12)].count(True) == 10
        assert time.perf_counter() - started < 4
    assert len(warnings_of(caplog)) == 1


class RedisServer:
    """A Redis of this test's own, that can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("redis-server does not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    pytest.importorskip("redis")
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed here")
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def test_limits_survive_an_outage_of_redis_and_return_to_it(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "OUTAGE_PAUSE", 0.2)
    caplog.set_level(logging.INFO)
    own_redis.start()
    first, second = Throttle(RULES, own_redis.url), Throttle(RULES, own_redis.url)
    for _ in range(5):
        first.hit("login", "ana")
        second.hit("login", "ana")
    assert not passes(lambda: first.hit("login", "ana"))

    own_redis.stop()
    assert [passes(lambda: first.hit("login", "eva")) for _ in range(12)].count(True) == 10
    time.sleep(0.3)
    assert not passes(lambda: first.hit("login", "eva"))
    assert len(warnings_of(caplog)) == 1

    own_redis.start()
    time.sleep(0.3)
    assert [passes(lambda: first.hit("login", "zoe")) for _ in range(12)].count(True) == 10
    assert not passes(lambda: second.hit("login", "zoe")), "both count in Redis again"
    assert "is back" in caplog.text

    first.clear("login", "eva")
    own_redis.stop()
    first.hit("login", "eva")  # cleared also where the outage had counted her
    assert len([line for line in warnings_of(caplog) if "each process" in line]) >= 2, "a new outage is told"


def test_during_an_outage_one_call_tries_and_the_others_do_not_wait() -> None:
    pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limited = Throttle({"login": "1000/minute"}, f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        limited.hit("login")
        started = time.perf_counter()
        for _ in range(100):
            limited.hit("login")
        assert time.perf_counter() - started < 4


# Settings


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "60",
        "60/fortnight",
        "sixty/minute",
        "0/minute",
        "-1/minute",
        "60/minute;",
        "60/minute;x",
        "1/minute;;2/hour",
        5,
        ["60/minute"],
        b"60/minute",
        True,
    ],
)
def test_a_rule_that_cannot_be_read_is_a_settings_error_that_names_it(text: str) -> None:
    for deed in (Throttle({"login": text}).validate, lambda: Throttle({"login": text}).hit("other")):
        with pytest.raises(SettingsError, match=r'LINKED_AUTH_RATE_LIMITS\["login"\]'):
            deed()


@pytest.mark.parametrize(
    "text", ["60/minute", "60/minute;600/hour", "60 per minute", "5/2 hours", "1/day, 2/month"]
)
def test_usual_rules_are_read(text: str) -> None:
    limited = Throttle({"login": text})
    limited.validate()
    limited.hit("login")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "redis",
        "nothing://x",
        "redis://user:marked@host:port/",
        "async+memory://",
        "memcached://marked@127.0.0.1",
    ],
)
def test_a_storage_that_cannot_be_used_is_a_settings_error_without_its_password(uri: str) -> None:
    with pytest.raises(SettingsError, match="LINKED_AUTH_RATE_LIMIT_STORAGE") as caught:
        Throttle(RULES, uri).validate()
    assert "marked" not in str(caught.value)


def test_limits_is_not_imported_before_its_first_use() -> None:
    script = (
        "import sys\n"
        "from flask_linked_auth.throttle import Throttle\n"
        "limited = Throttle({'login': '1/minute'}, 'redis://127.0.0.1:1/0')\n"
        "assert 'limits' not in sys.modules\n"
        "limited.validate()\n"
        "assert 'limits' in sys.modules\n"
    )
    pytest.importorskip("redis")
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(throttle.__file__).parents[1])


# Addresses


@pytest.mark.parametrize(
    ("address", "stands_for"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:207", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:FFFF:FFFF:FFFF:FFFF", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("", "unknown"),
        ("localhost", "unknown"),
        ("192.0.2.7:80", "unknown"),
        ("192.0.2.007", "unknown"),
        ("[::1]", "unknown"),
        ("1" * 10_000, "unknown"),
        ("192.0.2.7, 10.0.0.1", "unknown"),
        ("\0", "unknown"),
    ],
)
def test_an_address_stands_for_its_network(address: str | None, stands_for: str) -> None:
    assert network(address) == stands_for


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_of_one_ipv6_network_are_one(address: object, rest: int) -> None:
    first = int(address)  # type: ignore[call-overload]
    if first >> 32 == 0xFFFF:
        return
    import ipaddress

    other = ipaddress.IPv6Address(first >> 64 << 64 | rest)
    if other.ipv4_mapped is None:
        assert network(str(address)) == network(str(other))
        assert network(str(address)).endswith("/64")


@given(st.text())
def test_any_text_stands_for_something(text: str) -> None:
    assert network(text)

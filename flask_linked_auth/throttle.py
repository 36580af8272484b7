"""Rate limits: how often somebody may do something within a moving window. `limits` loads at first use.

In one process the windows are our own: the memory storage of `limits` never forgets a key it has seen, and
counts per limit, not per rule. Any other storage (Redis for several processes) is `limits`' own.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from .errors import SettingsError, TooManyRequests

__all__ = ["Throttle", "network"]

logger = logging.getLogger("flask_linked_auth")

MEMORY_KEYS = 100_000  # windows held at once in a process; the one longest unused goes first
OUTAGE_PAUSE = 5.0  # seconds without asking a storage that failed
STORAGE_TIMEOUT = 0.5  # seconds: a login must not hang because its counter does


_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class _Limit:
    amount: int
    seconds: int


class _Windows(Protocol):
    """Counts of hits. Both answer 0.0, or the seconds until the first of `limits` lets one more through."""

    def hit(self, limits: Sequence[_Limit], key: str) -> float: ...

    def wait(self, limits: Sequence[_Limit], key: str) -> float: ...

    def clear(self, limits: Sequence[_Limit], key: str) -> None: ...


class Throttle:
    """Named rules such as `{"login": "60/minute;600/hour"}`, every limit of which must let a call through.

    `storage_uri` is `memory://` (each process counts for itself) or what `limits` takes, such as
    `redis://…`. When that storage fails, each process counts for itself until it is back: one warning per
    outage, and no login refused for it. A rule that is None or not there never refuses.
    """

    def __init__(self, rules: Mapping[str, str | None], storage_uri: str = "memory://") -> None:
        self._rules = dict(rules)
        self._storage_uri = storage_uri
        self._parsed: dict[str, list[_Limit]] | None = None
        self._memory = _Memory()
        self._shared: _Shared | None = None
        self._lock = threading.Lock()
        self._failing = False
        self._ask_again = 0.0

    def validate(self) -> None:
        """Parse every rule and set up the storage, without reaching for it. Raises SettingsError."""
        self._load()

    def hit(self, rule: str, *parts: str) -> None:
        """Count one. Raises TooManyRequests, with nothing counted further, when a limit is used up."""
        self._permit(rule, parts, lambda windows, limits, key: windows.hit(limits, key))

    def check(self, rule: str, *parts: str) -> None:
        """Raise TooManyRequests if `hit` would now; count nothing."""
        self._permit(rule, parts, lambda windows, limits, key: windows.wait(limits, key))

    def clear(self, rule: str, *parts: str) -> None:
        """Forget what was counted, after a success."""
        if limits := self._load().get(rule):
            key = _key(rule, parts)
            self._memory.clear(limits, key)  # what an outage left there
            self._ask(lambda windows: windows.clear(limits, key))

    def _permit(
        self,
        rule: str,
        parts: tuple[str, ...],
        deed: Callable[[_Windows, Sequence[_Limit], str], float],
    ) -> None:
        limits = self._load().get(rule)
        if not limits:
            return
        key = _key(rule, parts)
        seconds = self._ask(lambda windows: deed(windows, limits, key))
        if seconds > 0:
            wait = math.ceil(seconds)
            raise TooManyRequests(
                "Too many tries; wait %(seconds)s seconds.", values={"seconds": wait}, retry_after=wait
            )

    def _ask(self, deed: Callable[[_Windows], _Answer]) -> _Answer:
        shared = self._shared
        if shared is None or not self._may_ask():
            return deed(self._memory)
        try:
            answer = deed(shared)
        except shared.failures as error:
            self._note(error)
            return deed(self._memory)
        if self._failing:
            self._note(None)
        return answer

    def _may_ask(self) -> bool:
        """During an outage one call per pause tries the storage, the others go on without it."""
        if not self._failing:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._ask_again:
                return False
            self._ask_again = now + OUTAGE_PAUSE
            return True

    def _note(self, error: Exception | None) -> None:
        with self._lock:
            changed = self._failing != (error is not None)
            self._failing = error is not None
            self._ask_again = time.monotonic() + OUTAGE_PAUSE
        if changed and error is not None:
            # Only the kind of error: its text may hold the storage's address and password.
            logger.warning(
                "The storage of the rate limits fails (%s): each process counts for itself until it is back.",
                type(error).__name__,
            )
        elif changed:
            logger.info("The storage of the rate limits is back.")

    def _load(self) -> dict[str, list[_Limit]]:
        if self._parsed is None:
            with self._lock:
                if self._parsed is None:
                    parsed = {
                        name: _parse(name, text) for name, text in self._rules.items() if text is not None
                    }
                    if self._storage_uri != "memory://":
                        self._shared = _Shared(self._storage_uri)
                    self._parsed = parsed
        return self._parsed


class _Memory:
    """Moving windows in this process: per key the times of the hits that still count, oldest first."""

    def __init__(self) -> None:
        self._hits: OrderedDict[str, list[float]] = OrderedDict()
        self._longest = 0
        self._lock = threading.Lock()

    def hit(self, limits: Sequence[_Limit], key: str) -> float:
        now = time.monotonic()
        with self._lock:
            # Taken out and put back, so that the dictionary is ordered by use.
            hits = self._hits.pop(key, [])
            seconds = _seconds_left(limits, hits, now)
            if not seconds:
                hits.append(now)
                del hits[: -max(limit.amount for limit in limits)]
            self._hits[key] = hits
            self._longest = max(self._longest, *(limit.seconds for limit in limits))
            self._forget(now)
        return seconds

    def wait(self, limits: Sequence[_Limit], key: str) -> float:
        with self._lock:
            return _seconds_left(limits, self._hits.get(key, []), time.monotonic())

    def clear(self, limits: Sequence[_Limit], key: str) -> None:
        with self._lock:
            self._hits.pop(key, None)

    def _forget(self, now: float) -> None:
        while len(self._hits) > 1:
            oldest = next(iter(self._hits))
            if len(self._hits) <= MEMORY_KEYS and self._hits[oldest][-1] + self._longest > now:
                return
            del self._hits[oldest]


class _Shared:
    """Moving windows in a storage of `limits`; each limit is one atomic step there."""

    def __init__(self, uri: str) -> None:
        from limits.errors import ConfigurationError
        from limits.storage import MovingWindowSupport, Storage, storage_from_string

        options: dict[str, float] = {}
        if uri.startswith(("redis://", "rediss://", "redis+unix://", "valkey")):
            options = {"socket_timeout": STORAGE_TIMEOUT, "socket_connect_timeout": STORAGE_TIMEOUT}
        try:
            storage = storage_from_string(uri, **options)
        except (ConfigurationError, ValueError, TypeError) as error:
            # Not the whole address: it may hold a password.
            scheme = uri.partition(":")[0]
            raise SettingsError(
                f"LINKED_AUTH_RATE_LIMIT_STORAGE ({scheme}) cannot be used: {type(error).__name__}."
                f" Is the address right, and the client of the storage installed?"
            ) from None
        if not isinstance(storage, Storage) or not isinstance(storage, MovingWindowSupport):
            raise SettingsError(
                "LINKED_AUTH_RATE_LIMIT_STORAGE has no moving windows: take memory:// or redis://."
            )
        self._storage: MovingWindowSupport = storage
        self._clear = storage.clear
        known = storage.base_exceptions
        self.failures: tuple[type[Exception], ...] = (
            *(known if isinstance(known, tuple) else (known,)),
            OSError,
        )

    def hit(self, limits: Sequence[_Limit], key: str) -> float:
        # The shortest window first: refused by it, a call does not use up the longer ones.
        for limit in limits:
            if not self._storage.acquire_entry(_named(key, limit), limit.amount, limit.seconds):
                return max(1.0, self.wait(limits, key))
        return 0.0

    def wait(self, limits: Sequence[_Limit], key: str) -> float:
        seconds = 0.0
        for limit in limits:
            start, count = self._storage.get_moving_window(_named(key, limit), limit.amount, limit.seconds)
            if count >= limit.amount:
                seconds = max(seconds, start + limit.seconds - time.time())
        return seconds

    def clear(self, limits: Sequence[_Limit], key: str) -> None:
        for limit in limits:
            self._clear(_named(key, limit))


def network(address: str | None) -> str:
    """Whom a source address stands for, as text.

    IPv4 as it is (also when mapped into IPv6); IPv6 by its /64, which is what one subscriber gets;
    `"unknown"` for None and for what is no address.
    """
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
        parsed = parsed.ipv4_mapped
    return str(parsed)


def _seconds_left(limits: Sequence[_Limit], hits: Sequence[float], now: float) -> float:
    waits = (hits[-limit.amount] + limit.seconds - now for limit in limits if len(hits) >= limit.amount)
    return max(0.0, *waits, 0.0)


def _parse(rule: str, text: str) -> list[_Limit]:
    from limits import parse_many

    try:
        parsed = [_Limit(item.amount, item.get_expiry()) for item in parse_many(text)]
    except (ValueError, TypeError):
        parsed = []
    if not parsed or any(limit.amount < 1 or limit.seconds < 1 for limit in parsed):
        raise SettingsError(
            f'LINKED_AUTH_RATE_LIMITS["{rule}"] is {text!r}: write it like "60/minute;600/hour", or None.'
        )
    return sorted(parsed, key=lambda limit: limit.seconds)


def _key(rule: str, parts: tuple[str, ...]) -> str:
    # Hashed: no part can run into the next or be endless, and no address or name lies in the storage.
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()
    return f"{rule}/{digest}"


def _named(key: str, limit: _Limit) -> str:
    return f"linked_auth/{key}/{limit.amount}/{limit.seconds}"

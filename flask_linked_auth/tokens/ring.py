"""The key ring: which key signs now, and which are still accepted. Next, active and retired follow from the clock."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic, time
from typing import Any, Protocol
from urllib.request import Request, urlopen

from ..errors import InternalError, LinkedAuthError, SettingsError, Unavailable
from .keys import Key, from_jwks, jwks

__all__ = ["Held", "JwksUrl", "KeyRing", "KeySource"]

log = logging.getLogger("flask_linked_auth")

_RETRY = 1.0  # seconds between questions to a source that failed
_QUEUE = 5.0  # seconds to wait for another thread's question


@dataclass(frozen=True, slots=True)
class Held:
    """A key and its time: it signs from `active_from` on and is accepted until `accepted_until` (None = no end yet).

    Keys from the settings have `active_from` 0.
    """

    key: Key
    active_from: int = 0
    accepted_until: float | None = None

    def status(self, now: float) -> str:
        """`next`, `active` or `retired`; the newest active one signs."""
        if self.accepted_until is not None and self.accepted_until <= now:
            return "retired"
        return "next" if self.active_from > now else "active"


class KeySource(Protocol):
    """Where further keys come from. `max_age` is after how many seconds to ask again unasked, None for never."""

    max_age: float | None
    pause: float

    def load(self) -> Sequence[Held]:
        """All keys, newest state. Raises anything when the source is out of reach."""

    def create(self, algorithm: str) -> Held:
        """Make and keep a key that is active at once. Raises SettingsError where keys cannot be made."""


class KeyRing(Mapping[str, Key]):
    """The accepted keys by their id. A key that another process made is fetched when it is first met."""

    def __init__(
        self, static: Sequence[Key], *, algorithm: str, retention: int, source: KeySource | None = None
    ) -> None:
        self._static = tuple(Held(key) for key in static)
        self._algorithm, self._retention, self._source = algorithm, retention, source
        self._held: dict[str, Held] = {each.key.kid: each for each in self._static}
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._failed = self._broken = False
        self._wanted = object()  # another one for each piece of news
        self._loaded: object = self._wanted if source is None else None
        self._ready = source is None

    def mark_stale(self) -> None:
        """Ask the source again before the next use."""
        if self._source is not None:
            self._wanted = object()

    def refresh(self) -> None:
        """Load what is new if anything may be.

        Only when nothing was ever loaded, raises Unavailable, or InternalError for what waiting does not mend.
        """
        source = self._source
        if source is None:
            return
        if self._is_due(source):
            self._ask(source, self._is_due, wait=not self._ready)
        if not self._ready:
            if self._broken:
                raise InternalError
            raise Unavailable("The signing keys cannot be loaded right now.")

    def _is_due(self, source: KeySource) -> bool:
        age = monotonic() - self._asked_at
        if self._loaded is not self._wanted:
            return not self._failed or age > _RETRY
        return source.max_age is not None and age > source.max_age

    def _may_be_asked(self, source: KeySource) -> bool:
        return monotonic() - self._asked_at > source.pause

    def _ask(self, source: KeySource, due: Callable[[KeySource], bool], *, wait: bool) -> None:
        """One thread asks; the others go on with what is known, or wait for it where that is not enough."""
        if not self._lock.acquire(timeout=_QUEUE if wait else 0):
            return
        try:
            if due(source):  # else another thread has just asked
                self._load(source)
        finally:
            self._lock.release()

    def _load(self, source: KeySource) -> None:
        wanted, self._asked_at = self._wanted, monotonic()
        try:
            held = (*self._static, *source.load())
        except Exception as error:  # noqa: BLE001 - a database or a web server, each with errors of its own
            # A failed load must not empty the ring (as in CVE-2026-48524): what is known stays good.
            log.warning("The signing keys cannot be loaded: %s", _reason(error))
            self._failed, self._broken = True, isinstance(error, InternalError)
            return
        self._held = {each.key.kid: each for each in self._with_ends(held)}
        self._loaded, self._ready = wanted, True
        self._failed = self._broken = False

    def _with_ends(self, held: Sequence[Held]) -> list[Held]:
        starts = sorted(each.active_from for each in held if each.active_from > 0)
        ended = []
        for each in held:
            successor = next((start for start in starts if start > each.active_from), None)
            ends = [] if each.accepted_until is None else [each.accepted_until]
            ends += [] if successor is None else [successor + self._retention]
            ended.append(replace(each, accepted_until=min(ends, default=None)))
        return ended

    def __getitem__(self, kid: str) -> Key:
        """The accepted key with this id; KeyError if there is none, after asking the source at most once a pause."""
        held = self._held.get(kid)
        if held is None and self._source is not None:
            self._ask(self._source, self._may_be_asked, wait=True)
            held = self._held.get(kid)
        if held is None or held.status(time()) == "retired":
            raise KeyError(kid)
        return held.key

    def __iter__(self) -> Iterator[str]:
        now = time()
        return iter([kid for kid, held in self._held.items() if held.status(now) != "retired"])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def held(self) -> list[Held]:
        """Every key with its times, the oldest first."""
        self.refresh()
        return sorted(self._held.values(), key=lambda each: each.active_from)

    def signing(self) -> Key:
        """The key that signs now. Raises SettingsError if there is none and none can be made."""
        self.refresh()
        active = self._active()
        return active.key if active is not None else self._create().key

    def _create(self) -> Held:
        if self._source is None:
            raise SettingsError("There is no key to sign with: set LINKED_AUTH_SECRET.")
        with self._lock:  # of many first requests at once one makes the key
            active = self._active()
            if active is None:
                active = self._source.create(self._algorithm)
                self._held = {**self._held, active.key.kid: active}
                self.mark_stale()
        return active

    def _active(self) -> Held | None:
        now = time()
        usable = [
            held
            for held in self._held.values()
            if held.key.signing is not None
            and held.key.algorithm == self._algorithm
            and held.status(now) != "retired"
        ]
        active = [held for held in usable if held.status(now) == "active"]
        if not active:  # the last one was taken back: the next one is known to others, a new one would not be
            return min(usable, key=lambda held: held.active_from, default=None)
        # Of several secrets from the settings the first one signs; of several made keys, the newest.
        return max(active, key=lambda held: held.active_from)

    def public(self) -> dict[str, Any]:
        """The public halves as a JWK Set (RFC 7517), the next one among them so that others can learn it early."""
        now = time()
        return jwks([held.key for held in self.held() if held.status(now) != "retired"])


def _reason(error: Exception) -> str:
    """Our own words, which hold no secret; of others only the name, since their words may quote an address."""
    return str(error)[:300] if isinstance(error, LinkedAuthError) else type(error).__name__


class JwksUrl:
    """The public keys of an issuer elsewhere, fetched from its JWK Set and kept while it cannot be reached."""

    max_age: float | None = 300.0
    pause = 30.0
    _LIMIT = 256 * 1024

    def __init__(self, url: str) -> None:
        self._url = url

    def load(self) -> Sequence[Held]:
        """The keys that the issuer publishes now. Raises SettingsError for none, and for a bad one."""
        request = Request(self._url, headers={"Accept": "application/json"})  # noqa: S310 - http(s) by the setting's check
        with urlopen(request, timeout=5) as answer:  # noqa: S310
            body = answer.read(self._LIMIT + 1)
        if len(body) > self._LIMIT:
            raise ValueError("the JWK Set is too large")
        document = json.loads(body)
        if document == {"keys": []}:
            raise SettingsError(
                "The issuer publishes no keys: is it HS256? Set LINKED_AUTH_ALGORITHM in the issuer's settings."
            )
        return [Held(key) for key in from_jwks(document)]

    def create(self, algorithm: str) -> Held:
        """Never: only the issuer makes keys."""
        raise SettingsError(
            "This service only verifies tokens (LINKED_AUTH_JWKS_URL); it has no key to sign with."
        )

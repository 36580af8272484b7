"""What a process remembers of the database, until the revocation feed tells that it has changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from .revocation import Feed

__all__ = ["Memory"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    value: V
    depends: tuple[str, ...]
    since: int
    until: float


class Memory(Generic[K, V]):
    """What `read` found for a key, and on which subjects of the feed (`kind:subject`) that depends.

    A change that is told while a value is being read makes it be read again, since it is noted before how many the
    feed has seen. `lifetime` is in seconds, and must not be longer than the feed remembers changes. The memory has two
    halves of `size` / 2 entries; when the young one is full it becomes the old one.
    """

    def __init__(
        self, feed: Feed, read: Callable[[K], tuple[V, tuple[str, ...]]], *, size: int, lifetime: float
    ) -> None:
        self._feed, self._read, self._lifetime = feed, read, lifetime
        self._half = max(1, size // 2)
        self._young: dict[K, _Entry[V]] = {}
        self._old: dict[K, _Entry[V]] = {}

    def get(self, key: K) -> V:
        """The value by now. Raises what `read` does, and Unavailable if nobody can tell what has changed."""
        feed, now = self._feed, monotonic()
        if now >= feed.due:
            feed.refresh()
        entry = self._young.get(key) or self._old.get(key)
        if (
            entry is None
            or entry.until < now
            or (entry.since < feed.seen and feed.overtaken(entry.since, entry.depends))
        ):
            since = feed.seen
            value, depends = self._read(key)
            entry = _Entry(value, depends, since, monotonic() + self._lifetime)
            if len(self._young) >= self._half:
                self._old, self._young = self._young, {}
            self._young[key] = entry
        return entry.value

"""Which keys are asked for most, told from a small sketch: no more than a bound is remembered."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection
from threading import Lock
from typing import NamedTuple

__all__ = ["Hot", "HotKeys"]

_KEPT = 256
_FADE_AFTER = 100_000
_TOGETHER = 256
_SPREAD = 4
"""How many times the keys that are kept there may be before the others go."""


class Hot(NamedTuple):
    """A key, and about how often it was asked for lately: never less than it was."""

    key: str
    reads: int


class HotKeys:
    """Counts keys by "space saving": a new key takes the count of the least one that it displaces.

    All counts are halved now and then, so that what was hot once does not stay so. Reads are noted,
    and counted some hundreds at a time, which is much quicker. Noting needs no lock.
    """

    def __init__(self, kept: int = _KEPT, fade_after: int = _FADE_AFTER) -> None:
        self._kept = kept
        self._fade_after = fade_after
        self._mutex = Lock()
        self._noted: list[str] = []
        self._counts: dict[str, int] = {}
        self._floor = 0
        self._added = 0

    def add(self, key: str) -> None:
        """Count one read of a key."""
        noted = self._noted
        noted.append(key)
        if len(noted) >= _TOGETHER:
            self._count()

    def add_many(self, keys: Collection[str]) -> None:
        """Count one read of each key."""
        noted = self._noted
        noted.extend(keys)
        if len(noted) >= _TOGETHER:
            self._count()

    def top(self, limit: int) -> list[Hot]:
        """Return the keys asked for most, the first of them first."""
        self._count()
        with self._mutex:
            counts = dict(self._counts)
        best = heapq.nlargest(limit, counts.items(), key=lambda item: item[1])
        return [Hot(key, count) for key, count in best]

    def _count(self) -> None:
        with self._mutex:
            noted = self._noted[:]
            del self._noted[: len(noted)]  # others may note meanwhile
            counts, floor = self._counts, self._floor
            for key, reads in Counter(noted).items():
                counts[key] = counts.get(key, floor) + reads
            self._added += len(noted)
            if len(counts) > _SPREAD * self._kept or self._added >= self._fade_after:
                self._tidy()

    def _tidy(self) -> None:
        """Keep the best; what comes anew begins with the count of the best that had to go."""
        counts, floor = self._counts, self._floor
        if len(counts) > self._kept:
            floor = max(floor, sorted(counts.values())[-self._kept - 1])
            counts = {key: count for key, count in counts.items() if count > floor}
        if self._added >= self._fade_after:
            counts = {key: count // 2 for key, count in counts.items() if count > 1}
            self._added, floor = 0, floor // 2
        self._counts, self._floor = counts, floor

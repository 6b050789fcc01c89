"""Which keys are asked for most, told from a small sketch: no more than a bound is remembered."""

from __future__ import annotations

import heapq
from threading import Lock
from typing import NamedTuple

__all__ = ["Hot", "HotKeys"]

_KEPT = 256
_FADE_AFTER = 100_000


class Hot(NamedTuple):
    """A key, and about how often it was asked for lately: never less than it was."""

    key: str
    reads: int


class HotKeys:
    """Counts keys by "space saving": a new key takes the count of the least one that it displaces.

    All counts are halved now and then, so that what was hot once does not stay so. Adding is not
    locked, as with counters: under many threads a count may miss a few.
    """

    def __init__(self, kept: int = _KEPT, fade_after: int = _FADE_AFTER) -> None:
        self._kept = kept
        self._fade_after = fade_after
        self._mutex = Lock()
        self._counts: dict[str, int] = {}
        self._floor = 0
        self._added = 0

    def add(self, key: str) -> None:
        """Count one read of a key."""
        counts = self._counts
        counts[key] = counts.get(key, self._floor) + 1
        self._added += 1
        if len(counts) > 2 * self._kept or self._added >= self._fade_after:
            self._tidy()

    def top(self, limit: int) -> list[Hot]:
        """Return the keys asked for most, the first of them first."""
        with self._mutex:
            counts = dict(self._counts)
        best = heapq.nlargest(limit, counts.items(), key=lambda item: item[1])
        return [Hot(key, count) for key, count in best]

    def _tidy(self) -> None:
        """Keep the best; what comes anew begins with the count of the best that had to go."""
        with self._mutex:
            ranked = sorted(self._counts.items(), key=lambda item: item[1], reverse=True)
            kept, gone = ranked[: self._kept], ranked[self._kept :]
            floor = max(self._floor, gone[0][1]) if gone else self._floor
            if self._added >= self._fade_after:
                kept = [(key, count // 2) for key, count in kept if count > 1]
                self._added, floor = 0, floor // 2
            self._floor = floor
            self._counts = dict(kept)

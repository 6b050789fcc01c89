"""Find expired entries without looking at the others: buckets of about a second each."""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar

__all__ = ["ExpiryWheel", "Expiring"]

_BUCKET_BITS = 30
_FEW = 64


class Expiring(Protocol):
    """What the wheel sees of an entry. A dead one has left the table."""

    stale_until_ns: int

    @property
    def dead(self) -> bool: ...


E = TypeVar("E", bound=Expiring)


class ExpiryWheel(Generic[E]):
    """Entries by the second of their end. Called under the table's lock; amortised O(1)."""

    def __init__(self) -> None:
        self._buckets: dict[int, list[E]] = {}
        self._order: list[int] = []
        self._held = 0
        self._dead = 0

    def added(self, entry: E) -> None:
        """Note a new entry."""
        bucket = entry.stale_until_ns >> _BUCKET_BITS
        entries = self._buckets.get(bucket)
        if entries is None:
            entries = self._buckets[bucket] = []
            heapq.heappush(self._order, bucket)
        entries.append(entry)
        self._held += 1

    def removed(self) -> None:
        """Note that an entry has left the table. It stays here until its time, or a clean-up."""
        self._dead += 1
        if self._dead > _FEW and self._dead > self._held // 2:
            living = [e for entries in self._buckets.values() for e in entries if not e.dead]
            self.cleared()
            for entry in living:
                self.added(entry)

    def cleared(self) -> None:
        """Forget everything."""
        self._buckets.clear()
        self._order.clear()
        self._held = self._dead = 0

    def due(self, now_ns: int, limit: int) -> list[E]:
        """Return up to `limit` living entries of buckets that have passed, and forget them."""
        found: list[E] = []
        present = now_ns >> _BUCKET_BITS
        while self._order and self._order[0] < present and limit > 0:
            entries = self._buckets[self._order[0]]
            while entries and limit > 0:
                entry = entries.pop()
                self._held -= 1
                limit -= 1
                if entry.dead:
                    self._dead -= 1
                else:
                    found.append(entry)
            if not entries:
                del self._buckets[heapq.heappop(self._order)]
        return found

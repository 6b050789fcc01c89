"""What the L1 table is compared with, written small: they have no lock, no deadlines, no values.

A reference holds keys. It is told of every hit (`hit`), of every miss before room is made for
it (`seek`), and of every key that comes in (`insert`); `evict` chooses the key that leaves.
How large the cache is it sees from what it holds, so that one code serves caches bounded in
entries and in bytes. Needs nothing but the standard library, see `crosscheck.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Protocol

__all__ = [
    "REFERENCES",
    "Arc",
    "Fifo",
    "Lru",
    "Reference",
    "S3Fifo",
    "Sieve",
    "WTinyLfu",
    "hits_of",
    "hits_of_belady",
    "hits_of_bytes",
]

_Queue = OrderedDict[int, None]


class Reference(Protocol):
    """A policy that knows the cache's keys, and nothing of its bounds."""

    def hit(self, key: int) -> None:
        """Note that a key that is held was asked for."""

    def seek(self, key: int) -> None:
        """Note that a key that is not held was asked for."""

    def evict(self) -> int:
        """Choose a key to leave, and let go of it. There is one."""

    def insert(self, key: int) -> None:
        """Take in a key that is not held."""


class Fifo:
    """The oldest leaves."""

    def __init__(self) -> None:
        self._queue: _Queue = OrderedDict()

    def hit(self, key: int) -> None:
        pass

    def seek(self, key: int) -> None:
        pass

    def evict(self) -> int:
        return self._queue.popitem(last=False)[0]

    def insert(self, key: int) -> None:
        self._queue[key] = None


class Lru(Fifo):
    """What was not asked for the longest leaves."""

    def hit(self, key: int) -> None:
        self._queue.move_to_end(key)


class Sieve:
    """SIEVE (Zhang and others, 2024): a hand goes from old to new, and spares what was hit.

    What is spared keeps its place, and new keys come in at the newest end.
    """

    def __init__(self) -> None:
        self._newer: dict[int, int | None] = {}
        self._older: dict[int, int | None] = {}
        self._visited: set[int] = set()
        self._oldest: int | None = None
        self._newest: int | None = None
        self._hand: int | None = None

    def hit(self, key: int) -> None:
        self._visited.add(key)

    def seek(self, key: int) -> None:
        pass

    def evict(self) -> int:
        key = self._oldest if self._hand is None else self._hand
        assert key is not None
        while key in self._visited:
            self._visited.remove(key)
            following = self._newer[key]
            key = self._oldest if following is None else following
            assert key is not None
        self._hand = self._newer[key]
        self._unlink(key)
        return key

    def insert(self, key: int) -> None:
        newest = self._newest
        self._older[key], self._newer[key] = newest, None
        if newest is None:
            self._oldest = key
        else:
            self._newer[newest] = key
        self._newest = key

    def _unlink(self, key: int) -> None:
        older, newer = self._older.pop(key), self._newer.pop(key)
        if older is None:
            self._oldest = newer
        else:
            self._newer[older] = newer
        if newer is None:
            self._newest = older
        else:
            self._older[newer] = older


class S3Fifo:
    """S3-FIFO (Yang and others, 2023): a small queue of a tenth, a main queue, and ghosts.

    A key goes from the small queue to the main one if it was hit twice there; hits are counted
    up to 3, and each round in the main queue takes one off.
    """

    def __init__(self) -> None:
        self._small: _Queue = OrderedDict()
        self._main: _Queue = OrderedDict()
        self._ghosts: _Queue = OrderedDict()
        self._hits: dict[int, int] = {}

    def hit(self, key: int) -> None:
        self._hits[key] = min(self._hits[key] + 1, 3)

    def seek(self, key: int) -> None:
        pass

    def evict(self) -> int:
        small, count = self._small, len(self._hits)
        while small and (len(small) >= max(1, count // 10) or not self._main):
            key = small.popitem(last=False)[0]
            if self._hits[key] < 2:
                self._remember(key, count)
                del self._hits[key]
                return key
            self._hits[key] = 0
            self._main[key] = None
        return self._evict_from_main()

    def _evict_from_main(self) -> int:
        while True:
            key = self._main.popitem(last=False)[0]
            if not self._hits[key]:
                del self._hits[key]
                return key
            self._hits[key] -= 1
            self._main[key] = None

    def _remember(self, key: int, count: int) -> None:
        self._ghosts[key] = None
        while len(self._ghosts) > 0.9 * count:
            self._ghosts.popitem(last=False)

    def insert(self, key: int) -> None:
        self._hits[key] = 0
        if key in self._ghosts:
            del self._ghosts[key]
            self._main[key] = None
        else:
            self._small[key] = None


class Arc:
    """ARC (Megiddo, Modha, 2003): keys seen once, keys seen again, and ghosts of both.

    The share of those seen once follows the ghosts that come back.
    """

    def __init__(self) -> None:
        self._once: _Queue = OrderedDict()
        self._again: _Queue = OrderedDict()
        self._once_ghosts: _Queue = OrderedDict()
        self._again_ghosts: _Queue = OrderedDict()
        self._target = 0.0
        self._from_again = False
        self._known = False

    def hit(self, key: int) -> None:
        if key in self._once:
            del self._once[key]
            self._again[key] = None
        else:
            self._again.move_to_end(key)

    def seek(self, key: int) -> None:
        once, again = self._once_ghosts, self._again_ghosts
        count = len(self._once) + len(self._again)
        self._from_again = key in again
        self._known = key in once or self._from_again
        if key in once:
            step = max(1.0, len(again) / len(once))
            self._target = min(self._target + step, count)
            del once[key]
        elif key in again:
            step = max(1.0, len(once) / len(again))
            self._target = max(self._target - step, 0.0)
            del again[key]

    def evict(self) -> int:
        held, count = self._once, len(self._once) + len(self._again)
        over = len(held) > self._target or (self._from_again and len(held) == self._target)
        if held and (over or not self._again):
            key = held.popitem(last=False)[0]
            self._once_ghosts[key] = None
        else:
            key = self._again.popitem(last=False)[0]
            self._again_ghosts[key] = None
        self._forget(count)
        return key

    def _forget(self, count: int) -> None:
        """Keep no more ghosts than ARC's lists may have: one and two tables' worth in all."""
        while self._once_ghosts and len(self._once) + len(self._once_ghosts) > count:
            self._once_ghosts.popitem(last=False)
        while len(self._once_ghosts) + len(self._again_ghosts) > count:
            self._again_ghosts.popitem(last=False)

    def insert(self, key: int) -> None:
        (self._again if self._known else self._once)[key] = None


class WTinyLfu:
    """W-TinyLFU (Einziger, Friedman, Manes, 2017): a window, and a main part that is earned.

    The window is an LRU of a hundredth; what leaves it stays only if it was asked for more
    often than the one it would push out. The main part is a segmented LRU, four fifths of it
    protected. Frequencies are counted exactly, up to 15, and halved every ten tables' worth of
    requests: a little more than the sketch of the paper knows.
    """

    def __init__(self) -> None:
        self._window: _Queue = OrderedDict()
        self._probation: _Queue = OrderedDict()
        self._protected: _Queue = OrderedDict()
        self._counts: dict[int, int] = {}
        self._requests = 0

    def _count(self) -> int:
        return len(self._window) + len(self._probation) + len(self._protected)

    def hit(self, key: int) -> None:
        self.seek(key)
        if key in self._window:
            self._window.move_to_end(key)
        elif key in self._protected:
            self._protected.move_to_end(key)
        else:
            del self._probation[key]
            self._protected[key] = None
            if len(self._protected) > 0.8 * (len(self._protected) + len(self._probation)):
                self._probation[self._protected.popitem(last=False)[0]] = None

    def seek(self, key: int) -> None:
        self._counts[key] = min(self._counts.get(key, 0) + 1, 15)
        self._requests += 1
        if self._requests >= 10 * max(self._count(), 10):
            self._requests //= 2
            self._counts = {key: n // 2 for key, n in self._counts.items() if n > 1}

    def evict(self) -> int:
        window = self._window
        if not window or len(window) < max(1, self._count() // 100):
            return self._oldest_of_main().popitem(last=False)[0]
        candidate = window.popitem(last=False)[0]
        main = self._oldest_of_main()
        if not main:
            return candidate
        victim = next(iter(main))
        if self._counts.get(candidate, 0) <= self._counts.get(victim, 0):
            return candidate
        del main[victim]
        self._probation[candidate] = None
        return victim

    def _oldest_of_main(self) -> _Queue:
        return self._probation or self._protected

    def insert(self, key: int) -> None:
        self._window[key] = None
        if len(self._window) > max(1, self._count() // 100):
            self._probation[self._window.popitem(last=False)[0]] = None


REFERENCES: dict[str, Callable[[], Reference]] = {
    "LRU": Lru,
    "ARC": Arc,
    "S3-FIFO": S3Fifo,
    "SIEVE": Sieve,
    "W-TinyLFU": WTinyLfu,
}


def hits_of(policy: Reference, keys: Sequence[int], capacity: int) -> int:
    """Return how many requests a cache of `capacity` entries answers."""
    held: set[int] = set()
    hits = 0
    for key in keys:
        if key in held:
            hits += 1
            policy.hit(key)
            continue
        policy.seek(key)
        if len(held) >= capacity:
            held.remove(policy.evict())
        held.add(key)
        policy.insert(key)
    return hits


def hits_of_bytes(
    policy: Reference, keys: Sequence[int], sizes: Sequence[int], capacity: int
) -> int:
    """Return how many requests a cache of `capacity` bytes answers.

    An entry has the size it came in with. What is larger than the cache is not stored.
    """
    held: dict[int, int] = {}
    taken = hits = 0
    for key, size in zip(keys, sizes, strict=True):
        if key in held:
            hits += 1
            policy.hit(key)
            continue
        policy.seek(key)
        if size > capacity:
            continue
        while taken + size > capacity:
            taken -= held.pop(policy.evict())
        held[key] = size
        taken += size
        policy.insert(key)
    return hits


def hits_of_belady(keys: Sequence[int], capacity: int) -> int:
    """Return how many requests can be answered at most, by a cache that stores every miss.

    Belady (1966): what is asked for again the latest leaves. There is no such simple optimum
    for entries of different sizes.
    """
    never = len(keys)
    following = [never] * never
    last: dict[int, int] = {}
    for at in range(never - 1, -1, -1):
        following[at] = last.get(keys[at], never)
        last[keys[at]] = at
    until: dict[int, int] = {}
    latest: list[tuple[int, int]] = []
    hits = 0
    for key, again in zip(keys, following, strict=True):
        if key in until:
            hits += 1
        elif len(until) >= capacity:
            # An entry of the heap counts if it is what its key waits for now.
            while True:
                due, victim = heappop(latest)
                if until.get(victim) == -due:
                    break
            del until[victim]
        until[key] = again
        heappush(latest, (-again, key))
    return hits

"""What the policy is compared with: exact LRU, a plain CLOCK, and S3-FIFO with one mark.

They see the same as the policy does: insertions, evictions, and a mark on what was hit. Only
LRU is told of every hit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from freshwell.engines.entry import Entry
from freshwell.engines.eviction import Policy
from freshwell.engines.ring import Ring

__all__ = ["Clock", "SmallAndMain", "hits_of_lru", "hits_of_policy"]


def hits_of_lru(keys: Sequence[int], capacity: int) -> int:
    """Return how many requests an exact LRU of `capacity` entries answers."""
    held: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in keys:
        if key in held:
            hits += 1
            held.move_to_end(key)
            continue
        if len(held) >= capacity:
            held.popitem(last=False)
        held[key] = None
    return hits


def hits_of_policy(keys: Sequence[int], capacity: int, make: Callable[[], Policy]) -> int:
    """Return how many requests a table with this policy answers, with nothing else in the way."""
    policy = make()
    held: dict[int, Entry] = {}
    hits = 0
    for key in keys:
        entry = held.get(key)
        if entry is not None:
            entry.mark = 1
            hits += 1
            continue
        if len(held) >= capacity:
            victim = policy.evict()
            assert victim is not None
            del held[victim.value]
        held[key] = entry = _entry(key)
        policy.insert(entry)
    return hits


def _entry(key: int) -> Entry:
    return Entry(
        str(key),
        key,
        calm_until_ns=0,
        fresh_until_ns=0,
        stale_until_ns=0,
        born_ns=0,
        cost_ns=0,
        size=0,
        negative=False,
    )


class Clock:
    """Second chance: the oldest entry leaves, unless it was hit, which makes it the newest."""

    def __init__(self) -> None:
        self._ring = Ring()

    def insert(self, entry: Entry) -> None:
        self._ring.append(entry)

    def replace(self, old: Entry, new: Entry) -> None:
        self._ring.substitute(old, new)

    def remove(self, entry: Entry) -> None:
        self._ring.remove(entry)

    def evict(self) -> Entry | None:
        ring = self._ring
        while ring.count:
            entry = ring.end.after
            ring.remove(entry)
            if not entry.mark:
                return entry
            entry.mark = 0
            ring.append(entry)
        return None

    def following(self, entry: Entry | None) -> Entry | None:
        follower = (self._ring.end if entry is None else entry).after
        return None if follower is self._ring.end else follower

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._ring)

    def check(self) -> None:
        self._ring.check()


class SmallAndMain(Clock):
    """S3-FIFO (Yang and others, 2023) with one bit for hits: a small queue of a tenth, a main
    queue, and as many ghosts as entries."""

    def __init__(self) -> None:
        super().__init__()
        self._small = Ring()
        self._ghosts: OrderedDict[str, None] = OrderedDict()

    def insert(self, entry: Entry) -> None:
        known = self._ghosts.pop(entry.key, self) is None
        (self._ring if known else self._small).append(entry)

    def evict(self) -> Entry | None:
        small, main = self._small, self._ring
        count = small.count + main.count
        while small.count and (small.count >= 0.1 * count or not main.count):
            entry = small.end.after
            small.remove(entry)
            if entry.mark:
                entry.mark = 0
                main.append(entry)
                continue
            self._ghosts[entry.key] = None
            if len(self._ghosts) > count:
                self._ghosts.popitem(last=False)
            return entry
        return super().evict()

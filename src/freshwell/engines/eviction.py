"""Which entry leaves a full table.

A policy sees insertions, removals, and whether an entry was hit since it last looked at it
(`Entry.mark`, set by hits without telling anybody). It is called with the table's lock held,
so it runs no code but its own, does an amortised constant amount of work, and never waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from freshwell.engines.entry import Entry
from freshwell.engines.ghosts import Ghosts
from freshwell.engines.ring import Ring

__all__ = ["AdaptiveClock", "Policy"]

_FROM_PROBATION = 0
_FROM_PROVEN = 1


class Policy(Protocol):
    """What a table asks of an eviction policy. The entries it holds are in its queues."""

    def insert(self, entry: Entry) -> None:
        """Take in an entry under a key that the table does not have."""

    def replace(self, old: Entry, new: Entry) -> None:
        """Take in an entry in place of another one under the same key, where that one was."""

    def remove(self, entry: Entry) -> None:
        """Let go of an entry that leaves for another reason than eviction."""

    def evict(self) -> Entry | None:
        """Choose an entry to leave, and let go of it. None: there is none."""

    def following(self, entry: Entry | None) -> Entry | None:
        """Return the entry after this one in a fixed order of all (None: the first, the end)."""

    def __iter__(self) -> Iterator[Entry]:
        """Go through all entries in that order."""

    def check(self) -> None:
        """Raise `AssertionError` where the structure contradicts itself."""


class AdaptiveClock:
    """Two queues with second chances, whose shares follow what evictions are regretted.

    New entries are on *probation*. One that was hit there by the time it is the oldest is
    *proven*; one that was not leaves. A proven entry that was hit since it was last looked at
    goes round again. Ghosts of evicted keys tell which queue was too short: a key that comes
    back soon after it left probation lengthens probation, one that had been proven shortens
    it. Either is proven at once. So one pass over many keys passes through probation, and
    where recency is what counts probation grows to almost the whole table.

    Ghosts teach nothing while eviction finds no entry that was hit, round after round: that is
    a loop longer than the table, in which every key comes back just too late. Then what comes
    back is on probation like anything new, passes through, and leaves the proven ones to be hit.

    At most `_MAX_CHANCES` entries are spared in one eviction, so that none takes long.
    Choices and figures: decision records 2 and 20. The parts are known from CLOCK (Corbato,
    1968), 2Q (Johnson, Shasha, 1994), ARC and CAR (Megiddo, Modha, Bansal, 2003 and 2004).
    """

    __slots__ = ("_barren", "_ghosts", "_probation", "_proven", "_share")

    _MAX_CHANCES = 64
    _MAX_SHARE = 0.9
    _STEP = 2
    _GHOST_SHARE = 0.5
    _FEWEST_GHOSTS = 8
    _BARREN_ROUNDS = 4
    _BARREN_MORE = 128

    def __init__(self) -> None:
        self._probation = Ring()
        self._proven = Ring()
        self._ghosts = Ghosts()
        self._share = 0.0
        self._barren = 0

    def __len__(self) -> int:
        return self._probation.count + self._proven.count

    def insert(self, entry: Entry) -> None:
        count = self._probation.count + self._proven.count + 1
        newest = max(self._FEWEST_GHOSTS, int(count * self._GHOST_SHARE))
        origin = self._ghosts.take(entry.key, newest)
        if origin is None or self._barren >= self._BARREN_ROUNDS * count + self._BARREN_MORE:
            self._probation.append(entry)
            return
        step = self._STEP / count
        if origin == _FROM_PROBATION:
            self._share = min(self._share + step, self._MAX_SHARE)
        else:
            self._share = max(self._share - step, 0.0)
        self._proven.append(entry)

    replace = staticmethod(Ring.substitute)

    def remove(self, entry: Entry) -> None:
        entry.queue.remove(entry)

    def evict(self) -> Entry | None:
        probation, proven = self._probation, self._proven
        count = probation.count + proven.count
        if not count:
            return None
        length = max(1, self._share * count)
        chances = self._MAX_CHANCES
        while True:
            ring = probation if probation.count >= length or not proven.count else proven
            entry = ring.end.after
            ring.remove(entry)
            if not entry.mark or not chances:
                self._barren += 1
                self._ghosts.add(
                    entry.key, _FROM_PROBATION if ring is probation else _FROM_PROVEN, count
                )
                return entry
            entry.mark = 0
            self._barren = 0
            chances -= 1
            proven.append(entry)

    def following(self, entry: Entry | None) -> Entry | None:
        follower = self._probation.end.after if entry is None else entry.after
        if follower is self._probation.end:
            follower = self._proven.end.after
        return None if follower is self._proven.end else follower

    def __iter__(self) -> Iterator[Entry]:
        yield from self._probation
        yield from self._proven

    def check(self) -> None:
        self._probation.check()
        self._proven.check()
        assert 0 <= self._share <= self._MAX_SHARE, f"a share of {self._share} for probation"

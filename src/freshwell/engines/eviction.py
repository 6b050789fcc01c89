"""Which entry leaves a full table.

A policy sees insertions, removals, and whether an entry was hit since it last looked at it
(`Entry.mark`, set by hits without telling anybody). It is called with the table's lock held,
so it runs no code but its own, does an amortised constant amount of work, and never waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from freshwell.engines.entry import Entry
from freshwell.engines.ring import Ring

__all__ = ["Clock", "Policy"]


class Policy(Protocol):
    """What a table asks of an eviction policy. The entries it holds are in its queues."""

    def insert(self, entry: Entry) -> None:
        """Take in an entry under a key that the table does not have."""

    def replace(self, old: Entry, new: Entry) -> None:
        """Take in an entry in place of another one under the same key."""

    def remove(self, entry: Entry) -> None:
        """Let go of an entry that leaves for another reason than eviction."""

    def evict(self) -> Entry | None:
        """Choose an entry to leave, and let go of it. None: there is none."""

    def clear(self) -> None:
        """Let go of all entries, and of what is remembered of earlier ones."""

    def following(self, entry: Entry | None) -> Entry | None:
        """Return the entry after this one in a fixed order of all (None: the first, the end)."""

    def __iter__(self) -> Iterator[Entry]:
        """Go through all entries in that order."""

    def check(self) -> None:
        """Raise `AssertionError` where the structure contradicts itself."""


class Clock:
    """Second chance: the oldest entry leaves, unless it was hit, which makes it the newest.

    At most `_MAX_CHANCES` entries are spared in one eviction, so that none takes long.
    """

    __slots__ = ("_ring",)

    _MAX_CHANCES = 64

    def __init__(self) -> None:
        self._ring = Ring()

    def insert(self, entry: Entry) -> None:
        self._ring.append(entry)

    def replace(self, old: Entry, new: Entry) -> None:
        new.mark = 1
        self._ring.substitute(old, new)

    def remove(self, entry: Entry) -> None:
        self._ring.remove(entry)

    def evict(self) -> Entry | None:
        ring = self._ring
        for _ in range(self._MAX_CHANCES):
            entry = ring.oldest
            if entry is None or not entry.mark:
                break
            entry.mark = 0
            ring.remove(entry)
            ring.append(entry)
        victim = ring.oldest
        if victim is not None:
            ring.remove(victim)
        return victim

    def clear(self) -> None:
        self._ring.clear()

    def following(self, entry: Entry | None) -> Entry | None:
        follower = (self._ring.end if entry is None else entry).after
        return None if follower is self._ring.end else follower

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._ring)

    def check(self) -> None:
        self._ring.check()

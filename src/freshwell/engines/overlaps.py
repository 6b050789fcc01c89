"""Who of this process is writing which entry, and what is left when the last of them has ended.

For a table without L2, which has no announcements. A writer who was alone leaves its value. Of
writers who overlapped, the value with the highest version of the source is left, if each of them
told one: else it cannot be told which of their values the source has.

Every writer drops the entry when it begins and when it ends, so the table's moments alone would
call all of them overtaken. Here the moment is known since which nobody *else* dropped the entry.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from freshwell.engines.table import Entry, Table, let_go

__all__ = ["Ended", "Overlaps", "Writer"]

L = TypeVar("L")


class Writer:
    """One writer. `names`: the entries for which it has not ended yet."""

    __slots__ = ("names",)

    def __init__(self, names: Iterable[str]) -> None:
        self.names = dict.fromkeys(names)


class Ended(NamedTuple, Generic[L]):
    """How a writer's end on one entry came out.

    `left`: what is to be stored, where nobody drops the entry after the moment `since`. None:
    nothing. `waits`: others go on, and the entry has been dropped.
    """

    left: L | None = None
    since: int = 0
    waits: bool = False


@dataclass(slots=True)
class _Overlap(Generic[L]):
    """The writers of one entry, from the first's beginning to the last's end.

    `since`: nobody else dropped the entry since that moment. None: somebody did, or what became
    of a writer's change is not known.
    """

    since: int | None
    writers: int = 1
    crowded: bool = False
    best: L | None = None
    version: int = -1

    def weigh(self, version: int | None, left: L | None) -> None:
        """Keep the best of what writers leave."""
        if not self.crowded:
            self.best = left
        elif version is None or left is None or version == self.version:
            self.since = None
        elif version > self.version:
            self.best, self.version = left, version


class Overlaps(Generic[L]):
    """The writers of a table's entries. Thread-safe."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._mutex = threading.Lock()
        self._open: dict[str, _Overlap[L]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def join(self, names: Iterable[str]) -> Writer:
        """Note a writer of entries, before it drops them. It must `end` on each, or `leave`."""
        writer = Writer(names)
        with self._mutex:
            for name in writer.names:
                overlap = self._open.get(name)
                if overlap is None:
                    self._open[name] = _Overlap(self._table.moment())
                    continue
                overlap.writers += 1
                overlap.crowded = True
                if overlap.since is not None and self._table.dropped_since(overlap.since, name):
                    overlap.since = None
        return writer

    def begin(self, writer: Writer) -> None:
        """Note that a writer has dropped its entries. Its change comes later.

        So it does not matter what others dropped between `join` and this: what this writer
        leaves, or one with a higher version, is newer.
        """
        with self._mutex:
            for name in writer.names:
                overlap = self._open[name]
                if overlap.since is not None:
                    overlap.since = self._table.moment()

    def end(self, writer: Writer, name: str, version: int | None, left: L | None) -> Ended[L]:
        """End on one entry after the change. Where it neither is left nor waits: drop it."""
        dead: list[Entry] = []
        with self._mutex:
            del writer.names[name]
            overlap = self._open[name]
            overlap.weigh(version, left)
            overlap.writers -= 1
            if not overlap.writers:
                del self._open[name]
            elif overlap.since is not None:
                overlap.since = self._table.turn(name, overlap.since, dead)
            ended: Ended[L] = Ended()
            if overlap.since is not None:
                ended = Ended(waits=True) if overlap.writers else Ended(overlap.best, overlap.since)
        let_go(dead)
        return ended

    def leave(self, writer: Writer) -> None:
        """End on what is left of a writer's entries: what became of them is not known."""
        with self._mutex:
            for name in writer.names:
                overlap = self._open[name]
                overlap.since = None
                overlap.writers -= 1
                if not overlap.writers:
                    del self._open[name]
        writer.names.clear()

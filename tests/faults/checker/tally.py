"""What the workers of a run count, in memory that outlives them, and the word that ends them."""

from __future__ import annotations

import mmap
from pathlib import Path
from threading import Lock
from typing import Self

__all__ = ["COUNTED", "Row", "Tallies"]

COUNTED = (
    "reads",
    "violations",
    "forgiven",
    "loads",
    "writes",
    "refused",
    "shed",
    "killed",
    "worst_ns",
    "late_ns",
    "late_cell",
    "late_version",
)
"""The words of a row.

``forgiven``: reads that were outdated while acknowledgements counted for less (`History.weaken`).
``refused``: invalidations that L2 may not have taken, each of which was repeated. ``shed``:
reads that ended in `LoadShed`. ``worst_ns``: how late the most outdated answer was, which is no
violation within the bound. ``late_*``: the worst violation, to tell of it.
"""

_WORD = 8


class Row:
    """The counts of one worker, which alone writes them, from any of its threads."""

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self._mutex = Lock()

    def __getitem__(self, name: str) -> int:
        count: int = self._words[COUNTED.index(name)]
        return count

    def add(self, name: str, count: int = 1) -> None:
        with self._mutex:
            self._words[COUNTED.index(name)] += count

    def raise_to(self, name: str, count: int) -> None:
        """Note a count where it is greater than what is noted."""
        with self._mutex:
            at = COUNTED.index(name)
            self._words[at] = max(self._words[at], count)

    def violated(self, cell: int, version: int, late_ns: int) -> None:
        """Count a violation, and keep the worst of them."""
        self.add("violations")
        with self._mutex:
            if late_ns > self["late_ns"]:
                start = COUNTED.index("late_ns")
                for at, fact in enumerate((late_ns, cell, version), start):
                    self._words[at] = fact


class Tallies:
    """A row for each worker. `create` makes the file; processes open it by its path."""

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._words = memoryview(self._memory).cast("Q")

    @classmethod
    def create(cls, path: Path, rows: int) -> Self:
        """Make the file, with nothing counted yet."""
        path.write_bytes(bytes(_WORD * (1 + rows * len(COUNTED))))
        return cls(str(path))

    @property
    def over(self) -> bool:
        """Whether the workers are to end."""
        return bool(self._words[0])

    def end(self) -> None:
        """Let all workers end soon."""
        self._words[0] = 1

    def row(self, number: int) -> Row:
        start = 1 + number * len(COUNTED)
        return Row(self._words[start : start + len(COUNTED)])

    def rows(self) -> list[Row]:
        return [self.row(n) for n in range((len(self._words) - 1) // len(COUNTED))]

    def total(self, name: str) -> int:
        return sum(row[name] for row in self.rows())

    def greatest(self, name: str) -> int:
        return max(row[name] for row in self.rows())

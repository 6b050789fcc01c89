"""What happened to a versioned source, in memory that many processes share.

A write *commits* the next version of a cell, invalidates, and then notes when that was
acknowledged: from that moment all older versions are *due* to be gone. All processes read one
clock, the machine's monotonic one, so a reader can tell afterwards whether what it got was too
old when it asked.

Any process may write any cell, and be killed between any two steps of it. A word is stored in one
piece, and what is written first is what a reader must not miss.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

__all__ = ["History"]

_SLOTS = 2048
_WORD = 8
_WINDOWS = 1000
_NEVER_NS = 2**63


class History:
    """`cells` versioned values. `create` makes the file; processes open it by its path."""

    def __init__(self, path: str, cells: int) -> None:
        self.cells = cells
        self._file = os.open(path, os.O_RDWR)
        weakref.finalize(self, os.close, self._file)
        self._memory = mmap.mmap(self._file, 0)
        self._words = memoryview(self._memory).cast("Q")
        self._windows = self._words[_start_of_windows(cells) :]
        self._mutex = threading.Lock()

    @classmethod
    def create(cls, path: Path, cells: int) -> Self:
        """Make the file, with every cell at version 0."""
        path.write_bytes(bytes(_WORD * (_start_of_windows(cells) + 2 * _WINDOWS)))
        return cls(str(path), cells)

    def load(self, cell: int) -> int:
        """Return the version that the source has now."""
        return self._words[cell]

    def commit(self, cell: int) -> int:
        """Raise the version of a cell and return it."""
        with self._locked(cell):
            self._words[cell] += 1
            return self._words[cell]

    def acknowledge(self, cell: int, version: int) -> None:
        """Note that everything before `version` is void by now."""
        self.promise(cell, version, time.monotonic_ns())

    def promise(self, cell: int, version: int, at_ns: int) -> None:
        """Note that everything before `version` is void from `at_ns` on, or earlier."""
        with self._locked(cell):
            # What voids this version's forerunners voids theirs: each slot has the earliest.
            while version > 0:
                at = self._slot(cell, version)
                noted = self._words[at]
                if noted > version or (noted == version and self._words[at + 1] <= at_ns):
                    return
                self._words[at + 1] = at_ns
                self._words[at] = version
                version -= 1

    def due_ns(self, cell: int, version: int) -> int:
        """Return since when `version` is void. Far in the future: nothing is known to void it.

        Where that is long ago it is since when the oldest version that is remembered is void.
        """
        noted, at_ns = self._read(cell, version + 1)
        if noted > version + 1:
            oldest = self.load(cell) - _SLOTS + 1
            noted, at_ns = self._read(cell, oldest)
            return at_ns if noted == oldest else _NEVER_NS
        return at_ns if noted == version + 1 else _NEVER_NS

    def late_ns(self, cell: int, version: int, began_ns: int) -> int:
        """Return how long before `began_ns` the end of `version` was due.

        0 or less: it was not, or only afterwards.
        """
        return began_ns - self.due_ns(cell, version)

    # -- times in which acknowledgements count for less --------------------------------------

    def weaken(self, from_ns: int) -> Callable[[], None]:
        """Let what is acknowledged since `from_ns` be due later. For one process, which alone does.

        Returns what ends that: then all of it is due.
        """
        starts = self._windows[::2]
        number = next(n for n in range(_WINDOWS) if not starts[n])
        self._windows[2 * number + 1] = _NEVER_NS
        self._windows[2 * number] = from_ns

        def end() -> None:
            self._windows[2 * number + 1] = time.monotonic_ns()

        return end

    def due_at_last_ns(self, due_ns: int) -> int:
        """Return when what was due is due after all: later only where that was weakened."""
        for number in range(_WINDOWS):
            from_ns, until_ns = self._windows[2 * number : 2 * number + 2]
            if not from_ns:
                return due_ns
            if from_ns <= due_ns <= until_ns:
                return until_ns
        return due_ns

    def _read(self, cell: int, version: int) -> tuple[int, int]:
        at = self._slot(cell, version)
        noted, due_ns = self._words[at], self._words[at + 1]
        # Read anew: the slot may have been given to a later version in between.
        return (noted, due_ns) if self._words[at] == noted else (0, 0)

    def _slot(self, cell: int, version: int) -> int:
        return self.cells + 2 * (cell * _SLOTS + version % _SLOTS)

    @contextmanager
    def _locked(self, cell: int) -> Iterator[None]:
        """Keep the other writers of a cell out; a killed one lets go by itself."""
        with self._mutex:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, cell)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, cell)


def _start_of_windows(cells: int) -> int:
    return cells * (1 + 2 * _SLOTS)

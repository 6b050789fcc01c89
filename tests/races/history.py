"""What happened to a versioned source, in memory that all processes of a race share.

Each key is written by one process only. A write *commits* version n+1, invalidates, and then
notes when that was acknowledged. All processes read one clock, the machine's monotonic one, so
a reader can tell afterwards whether what it got was too old when it asked.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path
from typing import Self

__all__ = ["History"]

_SLOTS = 1024
_WORD = 8


class History:
    """`keys` versioned values. `create` makes the file; processes open it by its path."""

    def __init__(self, path: str, keys: int) -> None:
        self.keys = keys
        with Path(path).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._words = memoryview(self._memory).cast("Q")

    @classmethod
    def create(cls, path: Path, keys: int) -> Self:
        """Make the file, with every key at version 0."""
        path.write_bytes(bytes(_WORD * keys * (1 + 2 * _SLOTS)))
        return cls(str(path), keys)

    def load(self, key: int) -> int:
        """Return the version that the source has now."""
        return self._words[key]

    def commit(self, key: int) -> int:
        """Raise the version of a key and return it. For the key's only writer."""
        self._words[key] += 1
        return self._words[key]

    def acknowledge(self, key: int, version: int) -> None:
        """Note that the invalidation of everything before `version` was acknowledged by now."""
        at = self._slot(key, version)
        self._words[at + 1] = time.monotonic_ns()
        self._words[at] = version

    def late_ns(self, key: int, version: int, began_ns: int) -> int:
        """Return how long before `began_ns` it was acknowledged that `version` is outdated.

        0 or less: it was not, or only afterwards.
        """
        at = self._slot(key, version + 1)
        noted, acked_ns = self._words[at], self._words[at + 1]
        if noted < version + 1:
            return 0
        # The slot was used again: that was long ago.
        return began_ns - acked_ns if noted == version + 1 else 10**12

    def _slot(self, key: int, version: int) -> int:
        return self.keys + 2 * (key * _SLOTS + version % _SLOTS)

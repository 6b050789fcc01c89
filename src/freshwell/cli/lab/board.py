"""The notice board of a run: shared memory in which its processes note acknowledged writes.

It holds, for each id, the newest version whose write has returned, and for every version when
its write returned. A product starts as version 1 and each write adds one, so that the writes of
the workload say how many places each id needs. The clock is the machine's monotonic one, which
all processes share.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from itertools import accumulate, compress, count
from multiprocessing.shared_memory import SharedMemory

from freshwell.cli.lab.workload import Workload

__all__ = ["Board"]

_BYTES = 8


class Board:
    """What the processes of one run tell each other. `lock` is held while a write is noted."""

    def __init__(
        self,
        memory: SharedMemory,
        lock: AbstractContextManager[object],
        distinct: int,
        processes: int,
    ) -> None:
        self._memory = memory
        self._lock = lock
        assert memory.buf is not None
        words = memory.buf.cast("Q")
        self.versions = words[:distinct]
        """By id: the newest acknowledged version; 0 where nothing was written yet."""
        self._starts = words[distinct : 2 * distinct]
        self.done = words[2 * distinct : 2 * distinct + processes]
        """By process: how many requests it has done."""
        self.ended = words[2 * distinct + processes : 2 * distinct + 2 * processes]
        """By process: 1 when it has done all of its requests."""
        self._acks_ns = words[2 * distinct + 2 * processes :]
        self._words = words

    @classmethod
    def create(
        cls, workload: Workload, processes: int, lock: AbstractContextManager[object]
    ) -> tuple[SharedMemory, Board]:
        """Create the board for a run of `workload`. Whoever creates the memory unlinks it."""
        counts = Counter(compress(workload.ids, workload.writes))
        per_id = (counts[id] for id in range(workload.distinct - 1))
        starts = array("Q", accumulate(per_id, initial=0))
        words = 2 * workload.distinct + 2 * processes + counts.total()
        memory = SharedMemory(create=True, size=_BYTES * words)
        board = cls(memory, lock, workload.distinct, processes)
        board._starts.cast("B")[:] = starts.tobytes()
        return memory, board

    def acknowledge(self, id: int, version: int, now_ns: int) -> None:
        """Note that the write which made `version` has returned."""
        with self._lock:
            self._acks_ns[self._starts[id] + version - 2] = now_ns
            if version > self.versions[id]:
                self.versions[id] = version

    def outdated_ns(self, id: int, version: int, known: int) -> int:
        """Return when `version` was outdated: the first return of a write up to `known`."""
        start = self._starts[id]
        return min(ack for ack in self._acks_ns[start + version - 1 : start + known - 1] if ack)

    def unstored(self, versions: Mapping[int, int]) -> int:
        """Return how many acknowledged writes are newer than what `versions`, by id, has."""
        lost = 0
        for id in compress(count(), self.versions):
            newest = self.versions[id]
            start, stored = self._starts[id], max(versions.get(id, 0), 1)
            lost += sum(ack > 0 for ack in self._acks_ns[start + stored - 1 : start + newest - 1])
        return lost

    def close(self) -> None:
        """Let go of the memory."""
        views = (self.versions, self._starts, self.done, self.ended, self._acks_ns)
        for view in (*views, self._words):
            view.release()
        self._memory.close()

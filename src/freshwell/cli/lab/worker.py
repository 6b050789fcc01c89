"""One process of a run: several tasks that take requests in order and time them.

Stale reads are found by versions. When a write has returned, its version and the time are
noted in memory that all processes of the run share; a read that returns an older version than
was noted before it began is stale. The clock is the machine's monotonic one.
"""

from __future__ import annotations

import asyncio
import gc
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from freshwell.cli.lab.contenders import Contender, make
from freshwell.cli.lab.database import Database
from freshwell.cli.lab.plan import Plan
from freshwell.cli.lab.workload import Workload

__all__ = ["Board", "Part", "work"]

_BYTES = 8
_YIELD_EVERY = 64


class Board:
    """Shared memory of one run: for each id the version last acknowledged, and when; and
    for each process how many requests it has done."""

    def __init__(self, memory: SharedMemory, distinct: int, processes: int) -> None:
        self._memory = memory
        words = memory.buf.cast("Q")
        self.versions = words[:distinct]
        self.times_ns = words[distinct : 2 * distinct]
        self.done = words[2 * distinct : 2 * distinct + processes]
        self._words = words

    @classmethod
    def create(cls, distinct: int, processes: int) -> tuple[SharedMemory, Board]:
        """Create the memory. Whoever creates it unlinks it."""
        memory = SharedMemory(create=True, size=_BYTES * (2 * distinct + processes))
        return memory, cls(memory, distinct, processes)

    def close(self) -> None:
        """Let go of the memory."""
        for view in (self.versions, self.times_ns, self.done, self._words):
            view.release()
        self._memory.close()


@dataclass(slots=True)
class Part:
    """What one process measured."""

    latencies_ns: array[int]
    reads: int
    writes: int
    loads: int
    stale_reads: int
    worst_stale_ns: int
    errors: int
    began_ns: int
    ended_ns: int
    memory_bytes: int
    figures: dict[str, float]


def work(
    plan: Plan, workload: Workload, index: int, processes: int, board_name: str, pipe: Connection
) -> None:
    """Do this process's share of a run, and send what it measured through `pipe`."""
    memory = SharedMemory(board_name)
    board = Board(memory, workload.distinct, processes)
    try:
        part = asyncio.run(_work(plan, workload.part(index, processes), index, board))
        pipe.send(part)
    finally:
        board.close()
        pipe.close()


async def _work(plan: Plan, workload: Workload, index: int, board: Board) -> Part:
    database = Database(Path(plan.database), delay_s=plan.delay_s)
    contender = make(plan, database)
    gc.collect()
    before_bytes = _resident_bytes()
    run = _Run(contender, workload, board, index)
    began_ns = time.monotonic_ns()
    async with asyncio.TaskGroup() as group:
        for _ in range(plan.workers):
            group.create_task(run.serve())
    ended_ns = time.monotonic_ns()
    gc.collect()
    grown_bytes = max(0, _resident_bytes() - before_bytes - run.own_bytes())
    figures = contender.figures()
    await contender.aclose()
    database.close()
    return Part(
        run.latencies_ns,
        run.reads,
        run.writes,
        database.loads,
        run.stale_reads,
        run.worst_stale_ns,
        run.errors,
        began_ns,
        ended_ns,
        grown_bytes,
        figures,
    )


class _Run:
    """The requests of one process, shared by its tasks."""

    def __init__(self, contender: Contender, workload: Workload, board: Board, index: int) -> None:
        self._contender = contender
        self._board = board
        self._index = index
        self._requests: Iterator[tuple[int, int]] = iter(zip(workload.ids, workload.writes))
        self.latencies_ns = array("q")
        self.reads = self.writes = self.stale_reads = self.worst_stale_ns = self.errors = 0

    def own_bytes(self) -> int:
        """How much of the process's memory is the measurement's own."""
        return self.latencies_ns.itemsize * len(self.latencies_ns)

    async def serve(self) -> None:
        """Take requests until there are none left."""
        board, since_yield = self._board, 0
        for id, is_write in self._requests:
            if is_write:
                await self._write(id)
            else:
                await self._read(id)
            board.done[self._index] += 1
            since_yield += 1
            if since_yield == _YIELD_EVERY:
                # Hits do not suspend; the other tasks want their turn.
                since_yield = 0
                await asyncio.sleep(0)

    async def _read(self, id: int) -> None:
        board = self._board
        known, known_ns = board.versions[id], board.times_ns[id]
        began_ns = time.monotonic_ns()
        product = await self._contender.read(id)
        self.latencies_ns.append(time.monotonic_ns() - began_ns)
        self.reads += 1
        if product["version"] < known:
            self.stale_reads += 1
            self.worst_stale_ns = max(self.worst_stale_ns, began_ns - known_ns)

    async def _write(self, id: int) -> None:
        version = await self._contender.write(id)
        self.writes += 1
        board = self._board
        if version > board.versions[id]:
            board.times_ns[id] = time.monotonic_ns()
            board.versions[id] = version


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:  # no /proc here: the column stays empty
        return 0

"""One process of a run: several tasks take requests in order, time them, and look for stale reads.

See `plan.Outcome` for what counts as stale.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from freshwell.cli.lab.board import Board
from freshwell.cli.lab.contenders import Contender, make
from freshwell.cli.lab.crew import Parent, in_short, worker
from freshwell.cli.lab.database import Database
from freshwell.cli.lab.plan import Part, Plan
from freshwell.cli.lab.workload import Workload

__all__ = ["serve", "work"]

_YIELD_EVERY = 64
_MAX_ERRORS = 1_000
_POLL_S = 0.01
_NS_PER_S = 1_000_000_000


def work(
    plan: Plan,
    workload: Workload,
    index: int,
    processes: int,
    board_name: str,
    lock: AbstractContextManager[object],
    pipe: Connection,
) -> None:
    """Do the `index`-th process's share, `workload`, and send the `Part` through `pipe`.

    Sends a `WorkerFailure` where that cannot be.
    """
    with worker(pipe):
        board = Board(SharedMemory(board_name), lock, workload.distinct, processes)
        try:
            pipe.send(asyncio.run(_work(plan, workload, index, board)))
        finally:
            board.close()


async def _work(plan: Plan, workload: Workload, index: int, board: Board) -> Part:
    database = Database(plan.database, value_bytes=plan.value_bytes, delay_s=plan.delay_s)
    try:
        contender = make(plan, database)
        try:
            part = await serve(contender, plan, workload, index, board)
        finally:
            await contender.aclose()
    finally:
        database.close()
    part.loads = database.loads
    part.statements, part.rows = database.statements, database.rows
    return part


async def serve(
    contender: Contender, plan: Plan, workload: Workload, index: int, board: Board
) -> Part:
    """Serve `workload` with `contender` and return what was measured.

    The counts of `Database` are not in it.
    """
    run = _Run(contender, workload, board, index, round(plan.max_staleness_s * _NS_PER_S))
    part = run.part
    gc.collect()
    before_bytes = _resident_bytes()
    part.began_ns = time.monotonic_ns()
    tasks = [asyncio.ensure_future(run.serve()) for _ in range(plan.workers)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    part.ended_ns = time.monotonic_ns()
    await run.ended_everywhere()
    flush_began_ns = time.monotonic_ns()
    await contender.finish()
    part.flush_ns = time.monotonic_ns() - flush_began_ns
    gc.collect()
    part.memory_bytes = max(0, _resident_bytes() - before_bytes - run.own_bytes())
    part.latencies_ns = Counter(run.latencies_ns)
    part.write_latencies_ns = Counter(run.write_latencies_ns)
    part.figures = contender.figures()
    return part


class _Run:
    """The requests of one process, shared by its tasks."""

    def __init__(
        self,
        contender: Contender,
        workload: Workload,
        board: Board,
        index: int,
        max_staleness_ns: int,
    ) -> None:
        self._contender = contender
        self._board = board
        self._index = index
        self._max_staleness_ns = max_staleness_ns
        self._parent = Parent()
        self._requests: Iterator[tuple[int, int]] = iter(
            zip(workload.ids, workload.writes, strict=True)
        )
        self.latencies_ns = array("q")
        self.write_latencies_ns = array("q")
        self.part = Part()

    def own_bytes(self) -> int:
        """How much of the process's memory is the measurement's own."""
        return sum(a.itemsize * len(a) for a in (self.latencies_ns, self.write_latencies_ns))

    async def serve(self) -> None:
        """Take requests until there are none left."""
        done = 0
        for id, is_write in self._requests:
            try:
                await (self._write(id) if is_write else self._read(id))
            except Exception as error:  # noqa: BLE001  # counted, and too many end the run
                self._failed(error)
            done += 1
            if done == _YIELD_EVERY:
                self._tick(done)
                done = 0
                # Hits do not suspend; the other tasks want their turn.
                await asyncio.sleep(0)
        self._tick(done)

    async def ended_everywhere(self) -> None:
        """Wait until no process writes any more. So a journal that they share can be emptied."""
        self._board.ended[self._index] = 1
        while not all(self._board.ended):
            self._parent.check()
            await asyncio.sleep(_POLL_S)

    async def _read(self, id: int) -> None:
        known = self._board.versions[id]
        began_ns = time.monotonic_ns()
        product = await self._contender.read(id)
        self.latencies_ns.append(time.monotonic_ns() - began_ns)
        self.part.reads += 1
        if product["version"] < known:
            self._stale(began_ns - self._board.outdated_ns(id, product["version"], known))

    async def _write(self, id: int) -> None:
        began_ns = time.monotonic_ns()
        version = await self._contender.write(id)
        ended_ns = time.monotonic_ns()
        self.write_latencies_ns.append(ended_ns - began_ns)
        self.part.writes += 1
        self._board.acknowledge(id, version, ended_ns)

    def _stale(self, late_ns: int) -> None:
        part = self.part
        part.stale_reads += 1
        part.overdue_reads += late_ns > self._max_staleness_ns
        part.worst_stale_ns = max(part.worst_stale_ns, late_ns)

    def _failed(self, error: Exception) -> None:
        part = self.part
        part.errors += 1
        part.first_error = part.first_error or in_short(error)
        if part.errors > _MAX_ERRORS:
            raise error

    def _tick(self, done: int) -> None:
        self._board.done[self._index] += done
        self._parent.check()


def _resident_bytes() -> int:
    try:
        with Path("/proc/self/statm").open(encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc here: the column stays empty
        return 0

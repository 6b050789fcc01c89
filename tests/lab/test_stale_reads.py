"""Stale reads: what serves old versions is caught, and what serves new ones is not accused."""

from __future__ import annotations

import asyncio
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freshwell.cli.lab.board import Board
from freshwell.cli.lab.plan import Part, Plan
from freshwell.cli.lab.sqlite import SQLite
from freshwell.cli.lab.worker import serve
from freshwell.cli.lab.workload import Row, Workload, generate
from tests.support.blocking import blocking_allowed

PLAN = Plan("test", "run", SQLite(Path()), 60, 0.05, 100, 1, "eventual", None, 0)
BUSY = generate(Row("busy", 1.0, 0.4, 100, 60), requests=3_000, distinct=20, seed=1)


class Truth:
    """A contender without a cache: the versions themselves."""

    def __init__(self) -> None:
        self._versions: dict[int, int] = {}

    def version(self, id: int) -> int:
        return self._versions.get(id, 1)

    async def read(self, id: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"version": self.version(id)}

    async def write(self, id: int) -> int:
        self._versions[id] = version = self.version(id) + 1
        await asyncio.sleep(0)
        return version

    async def finish(self) -> None:
        return None

    def figures(self) -> dict[str, float]:
        return {"made up": 7}

    async def aclose(self) -> None:
        return None


class Behind(Truth):
    """The control: every read is one version behind."""

    async def read(self, id: int) -> dict[str, Any]:
        return {"version": max(1, self.version(id) - 1)}


class SlowReads(Truth):
    """Reads that answer with what was newest when they began, long after it is outdated."""

    async def read(self, id: int) -> dict[str, Any]:
        version = self.version(id)
        for _ in range(20):
            await asyncio.sleep(0)
        return {"version": version}


class Failing(Truth):
    """Every write fails after it has changed the source; every read fails."""

    async def read(self, id: int) -> dict[str, Any]:
        raise ConnectionError("the line\nis cut")

    async def write(self, id: int) -> int:
        await super().write(id)
        raise TimeoutError


@contextmanager
def board_of(workload: Workload, processes: int = 1) -> Iterator[Board]:
    with blocking_allowed():
        memory, board = Board.create(workload, processes, threading.Lock())
    try:
        yield board
    finally:
        with blocking_allowed():
            board.close()
            memory.unlink()


async def served(contender: Truth, workload: Workload, *, workers: int = 1) -> Part:
    with board_of(workload) as board, blocking_allowed():
        return await serve(contender, replace(PLAN, workers=workers), workload, 0, board)


def requests(text: str) -> Workload:
    """``"w0 r0"``: a write and then a read of id 0."""
    words = text.split()
    ids = array("I", (int(word[1:]) for word in words))
    writes = bytearray(word[0] == "w" for word in words)
    return Workload("by hand", ids, writes, max(ids) + 1, 100, 60)


async def test_the_truth_is_never_stale() -> None:
    part = await served(Truth(), BUSY, workers=8)
    assert (part.stale_reads, part.errors) == (0, 0)
    assert part.reads + part.writes == len(BUSY)
    assert part.writes == sum(BUSY.writes)
    assert part.latencies_ns.total() == part.reads
    assert part.write_latencies_ns.total() == part.writes
    assert part.figures == {"made up": 7}


async def test_a_contender_that_is_one_version_behind_is_caught_at_every_read() -> None:
    written: set[int] = set()
    expected = 0
    for id, is_write in zip(BUSY.ids, BUSY.writes, strict=True):
        if is_write:
            written.add(id)
        else:
            expected += id in written
    part = await served(Behind(), BUSY)
    assert expected > 500
    assert part.stale_reads == expected
    assert part.worst_stale_ns > 0


async def test_a_write_that_returns_while_a_read_is_under_way_does_not_make_it_stale() -> None:
    part = await served(SlowReads(), requests("r0 w0 " * 50), workers=2)
    assert part.writes == 50
    assert part.stale_reads == 0


async def test_a_failed_write_outdates_nothing_and_is_counted_as_an_error() -> None:
    part = await served(Failing(), requests("w0 r0 w0 r0"))
    assert (part.reads, part.writes, part.stale_reads, part.errors) == (0, 0, 0, 4)
    assert part.first_error == "TimeoutError"
    assert part.latencies_ns.total() == 0


async def test_too_many_errors_end_the_run() -> None:
    with pytest.raises(ConnectionError):
        await served(Failing(), requests("r0 " * 1_100), workers=3)


async def test_only_reads_later_than_the_allowance_are_overdue() -> None:
    class Sleepy(Behind):
        async def read(self, id: int) -> dict[str, Any]:
            answer = await super().read(id)
            await asyncio.sleep(0.08)
            return answer

    # The first read begins at once after the write, the second one 80 ms after it.
    part = await served(Sleepy(), requests("w0 r0 r0"))
    assert (part.stale_reads, part.overdue_reads) == (2, 1)
    assert part.worst_stale_ns >= 50_000_000


def test_lateness_counts_from_the_first_write_that_outdated_the_version() -> None:
    with board_of(requests("w0 w1 w1 w1 w1 w2")) as board:
        for version, ack_ns in ((2, 100), (4, 200), (3, 300), (5, 400)):
            board.acknowledge(1, version, ack_ns)
        assert list(board.versions) == [0, 5, 0]
        assert board.outdated_ns(1, 1, 5) == 100
        assert board.outdated_ns(1, 2, 5) == 200, "version 4 returned before version 3"
        assert board.outdated_ns(1, 4, 5) == 400


def test_an_older_version_acknowledged_late_does_not_hide_the_newest() -> None:
    with board_of(requests("w0 w0 w0")) as board:
        board.acknowledge(0, 4, 100)
        board.acknowledge(0, 3, 200)
        assert board.versions[0] == 4
        assert board.outdated_ns(0, 1, 4) == 100, "version 2 was never acknowledged"


def test_processes_count_what_they_have_done_in_places_of_their_own() -> None:
    with board_of(BUSY, processes=3) as board:
        board.done[2] += 5
        board.acknowledge(BUSY.distinct - 1, 2, time.monotonic_ns())
        assert list(board.done) == [0, 0, 5]


def test_writes_that_the_database_lacks_are_counted_where_they_were_acknowledged() -> None:
    with board_of(requests("w0 w0 w0 w1 w2 w2 w4")) as board:
        for id, version in ((0, 2), (0, 3), (0, 4), (1, 2), (2, 3)):
            board.acknowledge(id, version, 100)
        assert board.unstored({0: 4, 1: 2, 2: 3, 3: 1, 4: 1}) == 0
        assert board.unstored({0: 2, 1: 1, 2: 3, 3: 1, 4: 1}) == 3
        assert board.unstored({0: 4, 1: 2, 2: 1}) == 1, "version 2 was not acknowledged"
        assert board.unstored({}) == 5
        assert board.unstored({0: 9, 1: 9, 2: 9}) == 0

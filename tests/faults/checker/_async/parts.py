"""What the processes of a run do: read and judge, or write."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from random import Random
from typing import Any

from freshwell import LoadShed
from freshwell._kit.aio import sleep
from tests.faults.checker._async.controls import sabotage
from tests.faults.checker._async.ways import Source, Way, opened
from tests.faults.checker.orders import LEVELS, Orders
from tests.faults.checker.tally import Tallies
from tests.support.aio import all_of
from tests.support.history import History
from tests.support.worker import Talk

__all__ = ["reader", "writer"]

_NS_PER_S = 1_000_000_000
_STINT_S = 3.0
_REST_S = 0.002
_SWITCH_S = 0.0005
_WARMING = 2
_BURSTS = {"eventual": 800, "fresh": 4, "resting": 50}


async def reader(talk: Talk, **arguments: Any) -> None:
    """Read cells at random until the run is over, and count what was too old."""
    work = _Worker(**arguments)
    talk.ready()
    await work.on([partial(work.read, habit) for habit in work.orders.readers])


async def writer(**arguments: Any) -> None:
    """Write cells at random until the run is over."""
    work = _Worker(**arguments)
    await work.on([work.write] * work.orders.writers)


class _Worker:
    """One process of a run."""

    def __init__(
        self, *, url: str, folder: str, row: int, seed: int, orders: dict[str, Any]
    ) -> None:
        self.orders = Orders.heard(orders)
        sys.setswitchinterval(_SWITCH_S)  # threads that wait for answers get their turn soon
        sabotage(self.orders.sabotage)
        self._tallies = Tallies(f"{folder}/tallies")
        self._row = self._tallies.row(row)
        self._past = History(f"{folder}/history", self.orders.cells)
        self._random = Random(seed)
        self._source = Source(self._past, self._row, Random(seed), self.orders.slow_s)
        bound_ns = int(self.orders.bound_s * _NS_PER_S)
        self._bound_ns = {"eventual": bound_ns, "fresh": 0, "own": 0}
        self._parent = os.getppid()
        self._url = url
        # The first reader and writer have the one, the second ones the other.
        self._schema = f"v{row // 2}" if self.orders.schemas else None

    async def on(self, tasks: list[Any]) -> None:
        """Do the tasks at the same time, in stints, until the run is over."""
        way = opened(self._url, self._source, self._tallies, self.orders, self._schema)
        while not self._over:
            until_s = time.monotonic() + _STINT_S
            seeds = [self._random.random() for _ in tasks]
            calls = zip(tasks, map(Random, seeds), strict=True)
            await all_of(*[partial(self._stint, way, *call, until_s) for call in calls])
        await way.aclose()

    @property
    def _over(self) -> bool:
        return self._tallies.over or os.getppid() != self._parent

    async def _stint(self, way: Way, task: Any, random: Random, until_s: float) -> None:
        while not self._over and time.monotonic() < until_s:
            await task(way=way, random=random)

    async def write(self, way: Way, random: Random) -> None:
        """Write one cell, read it anew, and rest. The last cells are written seldom."""
        cell = int(self.orders.cells * random.random() ** 2)
        ask = way.reading(cell, "eventual", random)
        for _ in range(_WARMING):
            await ask()
        if await way.write(cell, random):
            # The process that invalidates serves nothing older at all, not even from L1.
            began_ns = time.monotonic_ns()
            self._judge(cell, await ask(), began_ns, "own")
            self._row.add("reads")
        await sleep(random.uniform(0, self.orders.rest_s))

    async def read(self, habit: str, way: Way, random: Random) -> None:
        """Read one cell several times, and rest."""
        cell, level = random.randrange(self.orders.cells), LEVELS[habit]
        ask, load, now_ns = way.reading(cell, level, random), self._past.load, time.monotonic_ns
        done = 0
        try:
            for _ in range(_BURSTS[habit]):
                began_ns = now_ns()
                version = await ask()
                # What is the newest now is not outdated; the rest is looked up.
                if version != load(cell):
                    self._judge(cell, version, began_ns, level)
                done += 1
                if done == 1 and habit == "resting":
                    await sleep(random.uniform(0.5, 2) * self.orders.bound_s)
        except LoadShed:
            self._row.add("shed")
        self._row.add("reads", done)
        await sleep(random.uniform(0, _REST_S))

    def _judge(self, cell: int, version: int, began_ns: int, level: str) -> None:
        due_ns, bound_ns = self._past.due_ns(cell, version), self._bound_ns[level]
        late_ns = began_ns - due_ns
        if late_ns > bound_ns:
            late_ns = began_ns - self._past.due_at_last_ns(due_ns)
            if late_ns > bound_ns:
                self._row.violated(cell, version, late_ns)
            else:
                self._row.add("forgiven")
        self._row.raise_to("worst_ns", late_ns)

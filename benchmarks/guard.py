"""Fail where a factor was lost: ``python -m benchmarks.guard``, a part of ``make check``.

What can be counted is exact, and the same on any machine: the server's commands, Python's function
calls, bytes. What must be timed is compared with a reference of the same run, by the CPU time of
the best of many short slices that take turns, and the bounds are about three times what is usual.
So a busy machine does not matter, and neither do some percent: for those there is ``make bench``.
"""

from __future__ import annotations

import asyncio
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from types import FrameType
from typing import Any

from redis import Redis

from benchmarks.memory import fill
from freshwell import AsyncCache, Cache
from freshwell.engines.table import Table
from tests.support.aio import until
from tests.support.servers import Server, ServerMissing

__all__ = ["Figure", "calls", "commands", "entry_bytes", "failures", "main", "times"]

_SLICES = 25
_HITS = 2_000
_MISSES = 60
_ENTRIES = 5_000
_CALLERS = 100
_CROWD = 64

_SENT = ("get", "mget", "evalsha", "eval")
"""What the library sends. Others are called by its scripts, and counted too."""

Handicap = Callable[[Any], Any]
"""Makes a measured function slower: for the test of this guard."""


@dataclass(frozen=True)
class Figure:
    """Something measured, how much of it there may be, and how many decimals it is shown with."""

    name: str
    measured: float
    bound: float

    @property
    def lost(self) -> bool:
        return self.measured > self.bound

    def __str__(self) -> str:
        verdict = "LOST" if self.lost else "ok"
        return f"  {self.name:50}{self.measured:>9.4g}{self.bound:>9.4g}  {verdict}"


def main() -> int:
    """Measure, print, and return 1 where something is beyond its bound twice in a row."""
    began = time.monotonic()
    figures = _measured()
    lost = failures(figures, _measured)
    print(f"  {'':50}{'measured':>9}{'at most':>9}")
    print("\n".join(map(str, figures)))
    print(f"guard: {len(lost)} of {len(figures)} lost, {time.monotonic() - began:.1f} s")
    for figure in lost:
        print(f"{figure.name}: {figure.measured:.4g}, at most {figure.bound:.4g}", file=sys.stderr)
    return 1 if lost else 0


def failures(figures: Iterable[Figure], again: Callable[[], list[Figure]]) -> list[Figure]:
    """Return what is beyond its bound, and is so a second time."""
    lost = [figure for figure in figures if figure.lost]
    if not lost:
        return []
    still = {figure.name for figure in again() if figure.lost}
    return [figure for figure in lost if figure.name in still]


def _measured() -> list[Figure]:
    figures = [*calls(), *entry_bytes(), *times()]
    try:
        with Server() as server:
            figures += [*commands(server.url), *crowds(server.url)]
    except ServerMissing as error:
        print(f"commands are not counted: {error}", file=sys.stderr)
    return figures


# -- timed --------------------------------------------------------------------------------------


def times(handicap: Handicap = lambda function: function, *, slices: int = _SLICES) -> list[Figure]:
    """Return what hits and misses cost, as multiples of a reference."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        cache = stack.enter_context(Cache(namespace="guard"))
        a_cache = AsyncCache(namespace="guard")
        stack.callback(lambda: runner.run(a_cache.aclose()))
        fresh = count()
        by_hand = _ByHand()
        load = _loader()

        async def miss(_: int) -> None:
            await a_cache.get_or_load(f"k:{next(fresh)}", load)

        async def miss_by_hand(_: int) -> None:
            await by_hand.get_or_load(f"k:{next(fresh)}", load)

        tags = ["numbers", "number:{n}", "all"]
        runs: dict[str, Callable[[], float]] = {
            "lru_cache": _sync(lru_cache(maxsize=100)(_double)),
            "sync": _sync(handicap(cache.cached("d:{n}")(_double))),
            "tagged": _sync(handicap(cache.cached("t:{n}", tags=tags)(_double))),
            "async": _async(runner, handicap(a_cache.cached("d:{n}")(_a_double)), _HITS),
            "by hand": _async(runner, miss_by_hand, _MISSES),
            "miss": _async(runner, handicap(miss), _MISSES),
        }
        best = dict.fromkeys(runs, float("inf"))
        for _ in range(slices):
            for name, run in runs.items():
                best[name] = min(best[name], run())
    return [
        Figure("L1 hit, sync, x lru_cache", best["sync"] / best["lru_cache"], 9),
        Figure("L1 hit, sync, three tags, x lru_cache", best["tagged"] / best["lru_cache"], 10),
        Figure("L1 hit, async, x lru_cache", best["async"] / best["lru_cache"], 13),
        Figure("miss in process, x a dict and a task", best["miss"] / best["by hand"], 18),
    ]


class _ByHand:
    """The least that makes one load of many callers: a dictionary, and a task for each load."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._loads: dict[str, asyncio.Task[Any]] = {}

    async def get_or_load(self, key: str, load: Callable[[], Any]) -> Any:
        if key not in self._values:
            task = self._loads.get(key)
            if task is None:
                task = self._loads[key] = asyncio.create_task(load())
            self._values[key] = await asyncio.shield(task)
            self._loads.pop(key, None)
        return self._values[key]


def _loader() -> Callable[[], Awaitable[int]]:
    async def load() -> int:
        return 1

    return load


def _double(n: int) -> int:
    return n * 2


async def _a_double(n: int) -> int:
    return n * 2


def _sync(function: Callable[[int], object]) -> Callable[[], float]:
    def run() -> float:
        function(7)
        began_ns = time.thread_time_ns()
        for _ in range(_HITS):
            function(7)
        return (time.thread_time_ns() - began_ns) / _HITS

    return run


def _async(
    runner: asyncio.Runner, function: Callable[[int], Awaitable[object]], times_: int
) -> Callable[[], float]:
    async def run() -> float:
        await function(7)
        began_ns = time.thread_time_ns()
        for _ in range(times_):
            await function(7)
        return (time.thread_time_ns() - began_ns) / times_

    return lambda: runner.run(run())


# -- counted ------------------------------------------------------------------------------------


def calls(handicap: Handicap = lambda function: function) -> list[Figure]:
    """Return how many Python functions run for a hit and for a miss in process."""

    async def counted() -> tuple[int, int]:
        async with AsyncCache(namespace="guard") as cache:
            double = handicap(cache.cached("d:{n}")(_a_double))
            await double(7)
            await double(8)
            hit = await _calls_of(double, 7)
            return hit, await _calls_of(double, 9)

    hit, miss = asyncio.run(counted())
    return [
        Figure("function calls of an L1 hit, async", hit, 1),
        Figure("function calls of a miss in process", miss, 260),
    ]


async def _calls_of(function: Callable[[int], Awaitable[object]], n: int) -> int:
    """Return how many Python functions run, or go on, for one call."""
    seen = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal seen
        seen += event == "call"

    sys.setprofile(note)
    try:
        await function(n)
    finally:
        sys.setprofile(None)
    return seen


def entry_bytes() -> list[Figure]:
    """Return what an entry of L1 takes over its key and value."""
    keys = [f"user:{n:09}" for n in range(_ENTRIES)]
    values = list(range(1 << 40, (1 << 40) + _ENTRIES))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        table = Table(max_entries=_ENTRIES, max_bytes=1 << 50)
        fill(table, keys, values)
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return [Figure("bytes of an entry, over key and value", held / table.entries, 260)]


def commands(url: str, handicap: Handicap = lambda function: function) -> list[Figure]:
    """Return how many commands the server is sent, by its own count."""
    with Redis.from_url(url) as client:
        counts = asyncio.run(_counted(client, url, handicap))
    bounds = {
        "an L2 hit": 1,
        "an L2 hit with three tags": 1,
        "a miss": 3,
        "a miss with three tags": 6,
        f"a stampede of {_CALLERS}": 6,
        "invalidate": 1,
        "invalidate_tags, one tag": 2,
    }
    return [Figure(f"commands of {name}", counts[name], bound) for name, bound in bounds.items()]


async def _counted(client: Redis, url: str, handicap: Handicap) -> dict[str, int]:
    counts: dict[str, int] = {}
    # A slow machine is no outage, and no slow loader whose lease is to be prolonged.
    patience: dict[str, Any] = {"connect_timeout": 10, "command_timeout": 10, "lease": 60}
    async with AsyncCache(url, namespace="guard", l1=False, **patience) as cache:
        plain: Any = handicap(cache.cached("d:{n}")(_a_double))
        tagged: Any = handicap(cache.cached("t:{n}", tags=["a", "b", "c:{n}"])(_a_double))

        async def noted(name: str, *work: Awaitable[object]) -> None:
            await asyncio.to_thread(client.config_resetstat)
            await asyncio.gather(*work)
            facts: Any = await asyncio.to_thread(client.info, "commandstats")
            counts[name] = sum(facts.get(f"cmdstat_{name}", {}).get("calls", 0) for name in _SENT)

        for n in (1, 2):  # connected, and the scripts are known
            await asyncio.gather(plain(n), tagged(n))
        await cache.invalidate("d:2")
        await cache.invalidate_tags("z")
        await noted("an L2 hit", plain(1))
        await noted("an L2 hit with three tags", tagged(1))
        await noted("a miss", plain(3))
        await noted("a miss with three tags", tagged(3))
        await noted(f"a stampede of {_CALLERS}", *(plain(4) for _ in range(_CALLERS)))
        await noted("invalidate", cache.invalidate("d:1"))
        await noted("invalidate_tags, one tag", cache.invalidate_tags("a"))
    return counts


def crowds(url: str, handicap: Handicap = lambda function: function) -> list[Figure]:
    """Return how many Python functions run for each of many callers at a time."""
    counts = asyncio.run(_crowded(url, handicap))
    bounds = {
        "an L2 hit": 78,
        "an L2 hit, tags asked for": 86,
        "an L2 hit, tags told of": 97,
        "a put behind": 102,
    }
    return [
        Figure(f"{_CROWD} at once: function calls of {name}", counts[name], bound)
        for name, bound in bounds.items()
    ]


async def _crowded(url: str, handicap: Handicap) -> dict[str, float]:
    counts: dict[str, float] = {}
    shared: dict[str, Any] = {"namespace": "guard", "connect_timeout": 10, "command_timeout": 10}
    tags = ["a", "b", "c:{n}"]
    async with (
        AsyncCache(url, l1=False, **shared) as asking,
        AsyncCache(url, max_bytes=1, **shared) as told,
        AsyncCache(namespace="guard") as alone,
    ):
        rows: Any = alone.write_behind(
            _Nowhere(), key="row:{id}", journal="memory", flush_every="1h"
        )

        async def put(n: int) -> None:
            await rows.put(n, n)

        await told.get("nothing")
        await until(lambda: told.stats().l1_live, "L1 is live")
        crowds_: dict[str, Any] = {
            "an L2 hit": asking.cached("d:{n}")(_a_double),
            "an L2 hit, tags asked for": asking.cached("t:{n}", tags=tags)(_a_double),
            "an L2 hit, tags told of": told.cached("t:{n}", tags=tags)(_a_double),
            "a put behind": put,
        }
        for name, function in crowds_.items():
            work = handicap(function)
            for n in range(_CROWD):
                await work(n)

            async def all_of(_: int, work: Any = work) -> None:
                await asyncio.gather(*(work(n) for n in range(_CROWD)))

            await all_of(0)
            counts[name] = await _calls_of(all_of, 0) / _CROWD
    return counts


class _Nowhere:
    """A source that takes what it is given, and has nothing."""

    async def load(self, n: int) -> int | None:
        return None

    async def save(self, n: int, value: int) -> None:
        return None


if __name__ == "__main__":
    raise SystemExit(main())

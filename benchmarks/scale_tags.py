"""What hits, fills and invalidations cost as entries have more tags: CPU here and in the server."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from benchmarks.scale_parts import cpu_us, show
from freshwell import AsyncCache
from freshwell.ground.tags import MAX_TAGS

__all__ = ["run"]

_COUNTS = (0, 1, 3, 10, 50, MAX_TAGS)
_KEYS = 64
_TASKS = 16
_SHORT_ROUNDS, _FULL_ROUNDS = 3, 9

Work = Callable[[int], Awaitable[object]]


@dataclass
class _Op:
    """An operation, how often it is made in a round, and what it took: CPU us here and there."""

    name: str
    work: Work
    times: int
    tasks: int = 1
    here_us: list[float] = field(default_factory=list)
    server_us: list[float] = field(default_factory=list)


def run(url: str, *, full: bool) -> None:
    """Measure with the server at `url`; operations and counts of tags take turns."""
    with ExitStack() as stack:
        client = stack.enter_context(Redis.from_url(url))
        runner = stack.enter_context(asyncio.Runner())
        tiered = AsyncCache(url, namespace="scale-tags", command_timeout=5)
        shared = AsyncCache(url, namespace="scale-tags", l1=False, command_timeout=5)
        stack.callback(lambda: runner.run(shared.aclose()))
        stack.callback(lambda: runner.run(tiered.aclose()))
        ops = {count: _ops(tiered, shared, count) for count in _COUNTS}
        for _ in range((_FULL_ROUNDS if full else _SHORT_ROUNDS) + 1):
            for own in ops.values():
                for op in own:
                    _measure(runner, client, op)
    names = [op.name for op in next(iter(ops.values()))]
    rows = []
    for count, own in ops.items():
        # The first round does not count.
        here = [statistics.median(op.here_us[1:]) for op in own]
        there = [statistics.median(op.server_us[1:]) for op in own]
        cells = (
            f"{us:,.2f}" if op.name.startswith("L1") else f"{us:,.0f} + {server_us:,.1f}"
            for op, us, server_us in zip(own, here, there, strict=True)
        )
        rows.append([count, *cells])
    show("Tags: us of CPU for one call, here + in the server", ("tags", *names), rows)


def _ops(tiered: AsyncCache, shared: AsyncCache, count: int) -> list[_Op]:
    tags = [f"tag:{count}:{i}" for i in range(count)]
    fresh = itertools.count()

    async def load() -> int:
        return 1

    async def value(n: int) -> int:
        return n

    key = f"t{count}:{{n}}"
    cached: Any = tiered.cached(key, tags=tags)(value)
    asked: Any = shared.cached(key, tags=tags)(value)

    async def hit(n: int) -> None:
        await cached(n % _KEYS)

    async def hit_by_key(n: int) -> None:
        await tiered.get_or_load(f"t{count}:{n % _KEYS}", load, tags=tags)

    async def hit_l2(n: int) -> None:
        await asked(n % _KEYS)

    async def fill(n: int) -> None:
        await cached(_KEYS + next(fresh))

    async def invalidate(n: int) -> None:
        await tiered.invalidate_tags(*[f"other:{tag}" for tag in tags])

    return [
        _Op("L1 hit, decorated", hit, 5_000),
        _Op("L1 hit, get_or_load", hit_by_key, 1_000),
        _Op("L2 hit", hit_l2, 320, _TASKS),
        _Op("miss, fill", fill, 160, _TASKS),
        _Op("invalidate_tags", invalidate, 50),
    ]


def _measure(runner: asyncio.Runner, client: Redis, op: _Op) -> None:
    async def one(first: int) -> None:
        for n in range(first, first + op.times // op.tasks):
            await op.work(n)

    async def work() -> float:
        for n in range(_KEYS):
            await op.work(n)
        server_us[0] = cpu_us(client)
        began_ns = time.thread_time_ns()
        await asyncio.gather(*(one(i * _KEYS) for i in range(op.tasks)))
        return (time.thread_time_ns() - began_ns) / 1e3 / op.times

    server_us = [0.0]
    op.here_us.append(runner.run(work()))
    op.server_us.append((cpu_us(client) - server_us[0]) / op.times)

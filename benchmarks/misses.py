"""Misses: what freshwell adds to the load itself, in process and through L2."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import ExitStack

import orjson
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

from benchmarks.measure import Group, Row, interleave, show, timed_async
from freshwell import AsyncCache

__all__ = ["run"]

_ROUNDS = 9
_VALUE = {"id": 7, "title": "a product", "price": 12.5}


def run(url: str) -> None:
    """Measure misses; the loader costs nothing, so all that is measured is the caches'."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        pool = BlockingConnectionPool.from_url(url, max_connections=100, timeout=30)
        client = AsyncRedis(connection_pool=pool)
        alone = AsyncCache(namespace="bench-miss")
        tiered = AsyncCache(url, namespace="bench-miss", l1=False)
        stack.callback(lambda: runner.run(pool.disconnect()))
        stack.callback(lambda: runner.run(tiered.aclose()))
        stack.callback(lambda: runner.run(alone.aclose()))
        fresh = itertools.count()

        async def load() -> dict[str, object]:
            return _VALUE

        async def by_hand(_: int) -> None:
            key = f"by-hand:{next(fresh)}"
            if await client.get(key) is None:
                await client.set(key, orjson.dumps(await load()), ex=60)

        async def in_process(_: int) -> None:
            await alone.get_or_load(f"k:{next(fresh)}", load, ttl=60)

        async def shared(_: int) -> None:
            await tiered.get_or_load(f"k:{next(fresh)}", load, ttl=60)

        groups = [
            Group(
                f"Miss, async, {tasks} task(s)",
                [
                    Row("redis-py GET, load, SET", timed_async(runner, tasks, each, by_hand)),
                    Row("AsyncCache, two tiers", timed_async(runner, tasks, each, shared)),
                    Row("AsyncCache, in process", timed_async(runner, tasks, each, in_process)),
                ],
            )
            for tasks, each in ((1, 500), (256, 10))
        ]
        interleave(groups, rounds=_ROUNDS)
        show(groups)

"""Hits in L2 (L1 off), against redis-py's GET and orjson: one task and many, threads too.

And, with tags, hits where L1 is on and its feed healthy, but so small that it has no entry: what
changes is told by the feed then, and no version is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import orjson
from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

from benchmarks.measure import Group, Row, interleave, show, timed_async, timed_threads
from freshwell import AsyncCache, Cache

__all__ = ["run"]

_KEYS = 64
_VALUE = {"id": 7, "title": "a product", "price": 12.5, "tags": ["a", "b"], "body": "x" * 60}
_ROUNDS = 9
_BATCH = [f"k:{i}" for i in range(100)]
Read = Callable[[int], Awaitable[object]]
_TAGS = ["products", "shelf:{n}", "day"]


def run(url: str) -> None:
    """Measure hits in L2 on the server at `url`."""
    with ExitStack() as stack:
        groups = [*_async_groups(stack, url), *_sync_groups(stack, url)]
        interleave(groups, rounds=_ROUNDS)
        show(groups)


def _async_groups(stack: ExitStack, url: str) -> list[Group]:
    runner = stack.enter_context(asyncio.Runner())
    contenders = _Contenders(url)
    stack.callback(lambda: runner.run(contenders.aclose()))
    runner.run(contenders.prepare())
    groups = []
    for tasks, each, target, with_tags in ((1, 1_500, 1.10, 1.2), (256, 40, 0.12, 0.15)):
        goals = (None, target, target, with_tags, with_tags)
        rows = [
            Row(name, timed_async(runner, tasks, each, work), goal)
            for (name, work), goal in zip(contenders.single(), goals, strict=True)
        ]
        groups.append(Group(f"Hit in L2, async, {tasks} task(s)", rows))
    for tasks, each in ((1, 60), (16, 10)):
        rows = [Row(name, timed_async(runner, tasks, each, w)) for name, w in contenders.many()]
        groups.append(Group(f"100 hits in L2 at once, async, {tasks} task(s)", rows))
    return groups


class _Contenders:
    """Caches of one server whose entries are all there."""

    def __init__(self, url: str) -> None:
        self._pool = BlockingConnectionPool.from_url(url, max_connections=100, timeout=30)
        self._client = AsyncRedis(connection_pool=self._pool)
        self._cache = AsyncCache(url, namespace="bench-l2", l1=False, command_timeout=5)
        self._told = AsyncCache(url, namespace="bench-l2-told", max_bytes=1, command_timeout=5)

        async def load(n: int) -> dict[str, Any]:
            return _VALUE

        self._product = self._cache.cached("p:{n}")(load)
        self._tagged = self._cache.cached("t:{n}", tags=_TAGS)(load)
        self._tagged_told = self._told.cached("t:{n}", tags=_TAGS)(load)

    async def prepare(self) -> None:
        """Store what will be read."""
        for key in _BATCH:
            await self._client.set(f"plain:{key}", orjson.dumps(_VALUE))
            await self._cache.set(key, _VALUE)
        for i in range(_KEYS):
            for call in (self._product, self._tagged, self._tagged_told):
                await call(i)

    def single(self) -> list[tuple[str, Read]]:
        """Return what reads one entry."""

        async def raw(i: int) -> None:
            orjson.loads(await self._client.get(f"plain:k:{i % _KEYS}") or b"")

        return [
            ("redis-py GET, orjson.loads", raw),
            ("AsyncCache.get", lambda i: self._cache.get(f"k:{i % _KEYS}")),
            ("AsyncCache.cached", lambda i: self._product(i % _KEYS)),
            ("AsyncCache.cached, 3 tags, healthy feed", lambda i: self._tagged_told(i % _KEYS)),
            ("AsyncCache.cached, 3 tags asked for", lambda i: self._tagged(i % _KEYS)),
        ]

    def many(self) -> list[tuple[str, Read]]:
        """Return what reads a hundred entries at once."""

        async def raw(i: int) -> None:
            for found in await self._client.mget([f"plain:{key}" for key in _BATCH]):
                orjson.loads(found or b"")

        return [
            ("redis-py MGET, orjson.loads", raw),
            ("AsyncCache.get_many", lambda i: self._cache.get_many(_BATCH)),
        ]

    async def aclose(self) -> None:
        """Disconnect all."""
        await self._cache.aclose()
        await self._told.aclose()
        await self._pool.disconnect()


def _sync_groups(stack: ExitStack, url: str) -> list[Group]:
    client = stack.enter_context(Redis.from_url(url))
    cache = stack.enter_context(Cache(url, namespace="bench-l2-sync", l1=False, command_timeout=5))

    @cache.cached("p:{n}")
    def product(n: int) -> dict[str, Any]:
        return _VALUE

    for i in range(len(_BATCH)):
        client.set(f"plain:k:{i}", orjson.dumps(_VALUE))
        cache.set(f"k:{i}", _VALUE)
    for i in range(_KEYS):
        product(i)

    def raw(i: int) -> None:
        orjson.loads(client.get(f"plain:k:{i % _KEYS}") or b"")

    def raw_many(i: int) -> None:
        for found in client.mget([f"plain:{key}" for key in _BATCH]):
            orjson.loads(found or b"")

    works: list[tuple[str, Callable[[int], object]]] = [
        ("redis-py GET, orjson.loads", raw),
        ("Cache.get", lambda i: cache.get(f"k:{i % _KEYS}")),
        ("Cache.cached", lambda i: product(i % _KEYS)),
    ]
    many = [
        Row("redis-py MGET, orjson.loads", timed_threads(1, 60, raw_many)),
        Row("Cache.get_many", timed_threads(1, 60, lambda i: cache.get_many(_BATCH))),
    ]
    groups = [
        Group(
            f"Hit in L2, sync, {threads} thread(s)",
            [
                Row(name, timed_threads(threads, each, work), 1.10 if i else None)
                for i, (name, work) in enumerate(works)
            ],
        )
        for threads, each in ((1, 1_500), (16, 100))
    ]
    return [*groups, Group("100 hits in L2 at once, sync, 1 thread", many)]

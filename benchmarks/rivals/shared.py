"""Hits in Redis without a copy in the process: many tasks, large values, tags, many keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import aiocache
import cashews
import fastapi_cache
import orjson
from aiocache.serializers import JsonSerializer
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache as fastapi_cached
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

from benchmarks.measure import Group, Row, interleave, timed_async
from benchmarks.rivals.aio import aiocache_options, pooled
from benchmarks.rivals.bare import BareRedis
from benchmarks.rivals.values import KEYS, SIZES, record
from freshwell import AsyncCache

__all__ = ["run"]

_TTL_S = 600
_POOL = 100
_BATCH = [f"k:{i}" for i in range(100)]
_TAGS = ["products", "shelf:{n}", "day"]
_REFERENCE = "redis-py GET, orjson.loads"


class Work(NamedTuple):
    """What a contender does for the i-th read."""

    name: str
    read: Callable[[int], Awaitable[object]]


def run(url: str, rounds: int, tasks: Sequence[int]) -> list[Group]:
    """Measure hits of each number of `tasks` and of each size on the server at `url`."""
    groups: list[Group] = []
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        for size, length in SIZES.items():
            rivals = Rivals(url, length, size.replace(" ", ""))
            runner.run(rivals.open())
            stack.callback(lambda rivals=rivals: runner.run(rivals.aclose()))
            groups += [
                Group(
                    f"Async hit in Redis, {size}, {count} task{'s' * (count > 1)}",
                    _rows(runner, count, rivals.single()),
                )
                for count in tasks
            ]
            if length == min(SIZES.values()):
                groups += [
                    Group(
                        f"Async hit in Redis with three tags, {count} task{'s' * (count > 1)}",
                        _rows(runner, count, rivals.tagged()),
                    )
                    for count in (1, 256)
                ]
                rows = _rows(runner, 1, rivals.many(), each=60)
                groups.append(Group("Async get of 100 keys at once, 1 task", rows))
        interleave(groups, rounds=rounds)
    return groups


def _rows(runner: asyncio.Runner, tasks: int, works: list[Work], each: int = 0) -> list[Row]:
    # Each task calls so often that to begin and end it, and cold caches, do not count.
    each = each or max(24, 1_000 // (tasks + 3))
    return [Row(work.name, timed_async(runner, tasks, each, work.read)) for work in works]


class Rivals:
    """Caches of one server whose entries are all there, with records of one length."""

    def __init__(self, url: str, length: int, prefix: str) -> None:
        self._url = url
        self._value = record(length)
        self._prefix = f"{prefix}:"

    async def open(self) -> None:
        """Connect, and store what will be read."""
        pool = BlockingConnectionPool.from_url(self._url, max_connections=_POOL, timeout=30)
        self._redis = AsyncRedis(connection_pool=pool)
        self._bare = await BareRedis.connected(self._url)
        self._own = AsyncCache(self._url, namespace=f"rivals-{self._prefix}".rstrip(":"), l1=False)
        self._cashews = cashews.Cache()
        self._cashews.setup(self._url, max_connections=_POOL, wait_for_connection_timeout=30)
        self._aiocache = pooled(
            aiocache.RedisCache(namespace=self._prefix, serializer=JsonSerializer(), timeout=30),
            self._url,
            _POOL,
        )
        self._decorate()
        await self._fill()

    def _decorate(self) -> None:
        async def product(n: int) -> dict[str, Any]:
            return self._value

        async def page(n: int) -> dict[str, Any]:
            return self._value

        own, ca, prefix = self._own, self._cashews, self._prefix
        self._own_call = own.cached("p:{n}", ttl=_TTL_S)(product)
        self._own_tagged = own.cached("t:{n}", ttl=_TTL_S, tags=_TAGS)(product)
        self._ca_call = ca.cache(ttl=_TTL_S, key=prefix + "p:{n}")(product)
        self._ca_tagged = ca.cache(ttl=_TTL_S, key=prefix + "t:{n}", tags=_TAGS)(product)
        self._aio_call: Any = aiocache.cached(
            **aiocache_options(
                ttl=_TTL_S, key_builder=lambda f, n: f"p:{n}", namespace=self._prefix
            )
        )(product)
        pooled(self._aio_call.cache, self._url, _POOL)
        self._fastapi_call = fastapi_cached(expire=_TTL_S, namespace=prefix)(page)

    async def _fill(self) -> None:
        text = orjson.dumps(self._value)
        for i in range(max(KEYS, len(_BATCH))):
            await self._redis.set(f"{self._prefix}k:{i}", text)
            await self._own.set(f"k:{i}", self._value)
            await self._cashews.set(f"{self._prefix}c:{i}", self._value, expire=_TTL_S)
            await self._aiocache.set(f"k:{i}", self._value, ttl=_TTL_S)
        with self._as_fastapi():
            for i in range(KEYS):
                for call in (self._own_call, self._own_tagged, self._ca_call, self._ca_tagged):
                    await call(i)
                await self._aio_call(i)
                await self._fastapi_call(i)

    @contextmanager
    def _as_fastapi(self) -> Iterator[None]:
        """Its cache is one for the whole process: it gets this one's connection."""
        fastapi_cache.FastAPICache.reset()
        fastapi_cache.FastAPICache.init(RedisBackend(self._redis), prefix="rivals")
        yield

    def single(self) -> list[Work]:
        """Return what reads one entry."""
        prefix = self._prefix

        async def raw(i: int) -> None:
            orjson.loads(await self._redis.get(f"{prefix}k:{i % KEYS}") or b"")

        async def bare(i: int) -> None:
            orjson.loads(await self._bare.ask(b"GET", f"{prefix}k:{i % KEYS}".encode()))

        async def fastapi(i: int) -> None:
            with self._as_fastapi():
                await self._fastapi_call(i % KEYS)

        return [
            Work(_REFERENCE, raw),
            Work("the bare protocol, pipelined, orjson.loads", bare),
            Work("freshwell get", lambda i: self._own.get(f"k:{i % KEYS}")),
            Work("freshwell decorated", lambda i: self._own_call(i % KEYS)),
            Work("cashews get", lambda i: self._cashews.get(f"{prefix}c:{i % KEYS}")),
            Work("cashews decorated", lambda i: self._ca_call(i % KEYS)),
            Work("aiocache get", lambda i: self._aiocache.get(f"k:{i % KEYS}")),
            Work("aiocache decorated", lambda i: self._aio_call(i % KEYS)),
            Work("fastapi-cache2 decorated", fastapi),
        ]

    def tagged(self) -> list[Work]:
        """Return what reads one entry that has three tags."""
        return [
            self.single()[0],
            Work("freshwell decorated", lambda i: self._own_tagged(i % KEYS)),
            Work("cashews decorated", lambda i: self._ca_tagged(i % KEYS)),
        ]

    def many(self) -> list[Work]:
        """Return what reads a hundred entries at once."""
        names = [f"{self._prefix}k:{i}" for i in range(len(_BATCH))]
        theirs = [f"{self._prefix}c:{i}" for i in range(len(_BATCH))]

        async def raw(i: int) -> None:
            for found in await self._redis.mget(names):
                orjson.loads(found or b"")

        return [
            Work("redis-py MGET, orjson.loads", raw),
            Work("freshwell get_many", lambda i: self._own.get_many(_BATCH)),
            Work("cashews get_many", lambda i: self._cashews.get_many(*theirs)),
            Work("aiocache multi_get", lambda i: self._aiocache.multi_get(_BATCH)),
        ]

    async def aclose(self) -> None:
        """Disconnect all."""
        self._bare.close()
        await self._own.aclose()
        await self._cashews.close()
        await self._aiocache.close()
        await self._aio_call.cache.close()
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

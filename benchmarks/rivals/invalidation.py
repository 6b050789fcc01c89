"""Invalidate many entries of a rival at once: how long it takes, and what other clients wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from redis import Redis

from benchmarks.pings import pinging, prefer
from benchmarks.rivals.results import Sweep

__all__ = ["run"]

_TTL_S = 3_600
_BATCH = 1_000
_TASKS = 64
_VALUE = "x" * 100


def run(url: str, count: int) -> list[Sweep]:
    """Fill an empty server with `count` entries of each rival in turn, and invalidate them."""
    sweeps: list[Sweep] = []
    with Redis.from_url(url, socket_timeout=600) as client:
        facts: Any = client.info("server")
        prefer(facts["process_id"])
        for name, rival in RIVALS.items():
            client.flushall()
            pings: list[float] = []
            seconds = rival(url, count, pings)
            sweeps.append(Sweep(name, seconds, max(pings)))
        client.flushall()
    return sweeps


async def _timed(url: str, pings: list[float], work: Callable[[], Awaitable[object]]) -> float:
    """Return how long it takes, while another process sends PINGs."""
    # Not in the loop: it starts a process, and waits for it.
    opened = pinging(url)
    found = await asyncio.to_thread(opened.__enter__)
    began = time.perf_counter()
    await work()
    taken = time.perf_counter() - began
    await asyncio.to_thread(opened.__exit__, None, None, None)
    pings += found
    return taken


def _batches(count: int, prefix: str = "k:") -> Iterator[dict[str, str]]:
    names = (f"{prefix}{i}" for i in range(count))
    while batch := list(islice(names, _BATCH)):
        yield dict.fromkeys(batch, _VALUE)


async def _each(names: Iterable[str], put: Callable[[str], Awaitable[object]]) -> None:
    """Put single entries, some at a time: some rivals take tags in no other way."""
    rest = iter(names)

    async def one() -> None:
        for name in rest:
            await put(name)

    await asyncio.gather(*(one() for _ in range(_TASKS)))


def _freshwell(way: str) -> Callable[[str, int, list[float]], float]:
    async def serve(url: str, count: int, pings: list[float]) -> float:
        from freshwell import AsyncCache

        async with AsyncCache(
            url, namespace="rivals", max_entries=1_000, command_timeout=30
        ) as cache:
            for batch in _batches(count):
                await cache.set_many(batch, ttl=_TTL_S, tags=["all"])
            if way == "tag":
                return await _timed(url, pings, lambda: cache.invalidate_tags("all"))
            return await _timed(url, pings, lambda: cache.invalidate_pattern("k:*"))

    return lambda url, count, pings: asyncio.run(serve(url, count, pings))


def _cashews(way: str) -> Callable[[str, int, list[float]], float]:
    async def serve(url: str, count: int, pings: list[float]) -> float:
        import cashews

        cache = cashews.Cache()
        cache.setup(url, max_connections=_TASKS, wait_for_connection_timeout=60, socket_timeout=60)
        if way == "tag":
            cache.register_tag("all", "k:{n}")
            names = (f"k:{i}" for i in range(count))
            await _each(names, lambda n: cache.set(n, _VALUE, expire=_TTL_S, tags=["all"]))
            taken = await _timed(url, pings, lambda: cache.delete_tags("all"))
        else:
            for batch in _batches(count):
                await cache.set_many(batch, expire=_TTL_S)
            taken = await _timed(url, pings, lambda: cache.delete_match("k:*"))
        await cache.close()
        return taken

    return lambda url, count, pings: asyncio.run(serve(url, count, pings))


def _aiocache(url: str, count: int, pings: list[float]) -> float:
    async def serve() -> float:
        import aiocache

        from benchmarks.rivals.aio import pooled

        cache = pooled(aiocache.RedisCache(namespace="rivals", timeout=600), url, 2)
        for batch in _batches(count):
            await cache.multi_set(list(batch.items()), ttl=_TTL_S)
        taken = await _timed(url, pings, lambda: cache.clear("rivals"))
        await cache.close()
        return taken

    return asyncio.run(serve())


def _fastapi(url: str, count: int, pings: list[float]) -> float:
    async def serve() -> float:
        from fastapi_cache import FastAPICache
        from fastapi_cache.backends.redis import RedisBackend
        from redis.asyncio import Redis as AsyncRedis

        client = AsyncRedis.from_url(url, socket_timeout=600)
        FastAPICache.reset()
        FastAPICache.init(RedisBackend(client), prefix="rivals")
        for batch in _batches(count, "rivals:k:"):
            pipe = client.pipeline(transaction=False)
            for name, value in batch.items():
                pipe.set(name, value, ex=_TTL_S)
            await pipe.execute()
        taken = await _timed(url, pings, FastAPICache.clear)
        await client.aclose()
        return taken

    return asyncio.run(serve())


def _django_redis(url: str, count: int, pings: list[float]) -> float:
    from django.conf import settings
    from django_redis.cache import RedisCache

    if not settings.configured:
        settings.configure()
    cache = RedisCache(url, {"TIMEOUT": _TTL_S})
    for batch in _batches(count):
        cache.set_many(batch)
    with pinging(url) as found:
        began = time.perf_counter()
        cache.delete_pattern("k:*", itersize=1_000)
        taken = time.perf_counter() - began
    pings += found
    return taken


RIVALS: dict[str, Callable[[str, int, list[float]], float]] = {
    "freshwell invalidate_tags": _freshwell("tag"),
    "cashews delete_tags": _cashews("tag"),
    "freshwell invalidate_pattern": _freshwell("pattern"),
    "cashews delete_match": _cashews("pattern"),
    "django-redis delete_pattern (itersize=1000)": _django_redis,
    "aiocache clear(namespace)": _aiocache,
    "fastapi-cache2 clear": _fastapi,
}

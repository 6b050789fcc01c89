"""One cold key, four processes of 1,000 callers each, a load of 200 ms: loads, time, commands."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier as BarrierType
from typing import Any

from redis import Redis

from benchmarks.rivals.results import Stampede

__all__ = ["run"]

_PROCESSES = 4
_CALLERS = 1_000
_LOAD_S = 0.2
_TTL_S = 600
_POOL = 50
_OWN = frozenset({"info", "config|resetstat", "config", "scan", "ping"})


def run(url: str, rounds: int) -> list[Stampede]:
    """Let every rival meet a stampede in each round, on the server at `url`."""
    samples: dict[str, list[tuple[int, int, float, int]]] = {name: [] for name in RIVALS}
    with Redis.from_url(url) as client:
        for number in range(rounds):
            for name, taken in samples.items():
                taken.append(_round(client, url, name, number))
    return [
        Stampede(name, *(statistics.median(column) for column in zip(*taken, strict=True)))
        for name, taken in samples.items()
    ]


def _round(client: Redis, url: str, name: str, number: int) -> tuple[int, int, float, int]:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Barrier(_PROCESSES + 1), context.Barrier(_PROCESSES + 1)
    results: Any = context.Queue()
    workers = [
        context.Process(target=_worker, args=(url, name, number, ready, go, results), daemon=True)
        for _ in range(_PROCESSES)
    ]
    for worker in workers:
        worker.start()
    ready.wait(60)
    client.config_resetstat()
    go.wait(60)
    answers = [results.get(timeout=120) for _ in workers]
    commands = sum(
        facts["calls"]
        for command, facts in client.info("commandstats").items()
        if command.removeprefix("cmdstat_") not in _OWN
    )
    for worker in workers:
        worker.join()
    loads, seconds, errors = zip(*answers, strict=True)
    return sum(loads), commands, max(seconds), sum(errors)


def _worker(
    url: str, name: str, number: int, ready: BarrierType, go: BarrierType, results: Any
) -> None:
    loads = Loads()
    serve = RIVALS[name]
    results.put((*serve(url, f"cold{number}", loads, lambda: (ready.wait(60), go.wait(60))),))


class Loads:
    """A slow source that counts how often it is asked."""

    def __init__(self) -> None:
        self.count = 0

    async def load(self, key: str) -> dict[str, int]:
        self.count += 1
        await asyncio.sleep(_LOAD_S)
        return {"value": 1}

    def load_now(self, key: str) -> dict[str, int]:
        self.count += 1
        time.sleep(_LOAD_S)
        return {"value": 1}


_Served = tuple[int, float, int]
_Wait = Callable[[], object]


async def _all(call: Callable[[str], Any], key: str, loads: Loads, wait: _Wait) -> _Served:
    """Ask a warm key once, so that what is measured is connected; then let all ask at once."""
    await call("warm")
    await asyncio.sleep(0.05)
    loads.count = 0
    wait()
    began = time.perf_counter()
    answers = await asyncio.gather(*(call(key) for _ in range(_CALLERS)), return_exceptions=True)
    taken = time.perf_counter() - began
    return loads.count, taken, sum(isinstance(answer, BaseException) for answer in answers)


def _all_threads(call: Callable[[str], Any], key: str, loads: Loads, wait: _Wait) -> _Served:
    call("warm")
    loads.count = 0
    start, errors = threading.Barrier(_CALLERS + 1), []

    def one() -> None:
        start.wait()
        try:
            call(key)
        except Exception as error:  # noqa: BLE001 - whatever callers get counts
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(_CALLERS)]
    for thread in threads:
        thread.start()
    wait()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return loads.count, time.perf_counter() - began, len(errors)


# -- rivals ---------------------------------------------------------------------------------------


def _freshwell(url: str, key: str, loads: Loads, wait: _Wait) -> _Served:
    from freshwell import AsyncCache

    async def serve() -> _Served:
        async with AsyncCache(url, namespace="rivals-stampede") as cache:
            return await _all(cache.cached("{key}", ttl=_TTL_S)(loads.load), key, loads, wait)

    return asyncio.run(serve())


def _freshwell_threads(url: str, key: str, loads: Loads, wait: _Wait) -> _Served:
    from freshwell import Cache

    with Cache(url, namespace="rivals-stampede-threads") as cache:
        return _all_threads(cache.cached("{key}", ttl=_TTL_S)(loads.load_now), key, loads, wait)


def _cashews(*, lock: bool) -> Callable[..., _Served]:
    def rival(url: str, key: str, loads: Loads, wait: _Wait) -> _Served:
        import cashews

        async def serve() -> _Served:
            cache = cashews.Cache()
            cache.setup(url, max_connections=_POOL, wait_for_connection_timeout=30)
            name = f"cashews-{lock}" + ":{key}"
            call = cache.cache(ttl=_TTL_S, key=name, lock=lock)(loads.load)
            try:
                return await _all(call, key, loads, wait)
            finally:
                await cache.close()

        return asyncio.run(serve())

    return rival


def _aiocache(*, lease: bool) -> Callable[..., _Served]:
    def rival(url: str, key: str, loads: Loads, wait: _Wait) -> _Served:
        import aiocache

        from benchmarks.rivals.aio import aiocache_options, pooled

        options = aiocache_options(
            ttl=_TTL_S, key_builder=lambda function, name: f"aiocache-{lease}:{name}"
        )

        async def serve() -> _Served:
            decorate = (
                aiocache.cached_stampede(lease=2, **options)
                if lease
                else aiocache.cached(**options)
            )
            call: Any = decorate(loads.load)
            pooled(call.cache, url, _POOL)
            try:
                return await _all(call, key, loads, wait)
            finally:
                await call.cache.close()

        return asyncio.run(serve())

    return rival


def _fastapi(url: str, key: str, loads: Loads, wait: _Wait) -> _Served:
    from fastapi_cache import FastAPICache
    from fastapi_cache.backends.redis import RedisBackend
    from fastapi_cache.decorator import cache
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio import Redis as AsyncRedis

    async def load(key: str) -> dict[str, int]:
        return await loads.load(key)

    async def serve() -> _Served:
        pool = BlockingConnectionPool.from_url(url, max_connections=_POOL, timeout=30)
        FastAPICache.init(RedisBackend(AsyncRedis(connection_pool=pool)), prefix="rivals-fastapi")
        try:
            return await _all(cache(expire=_TTL_S)(load), key, loads, wait)
        finally:
            await pool.disconnect()

    return asyncio.run(serve())


def _dogpile(url: str, key: str, loads: Loads, wait: _Wait) -> _Served:
    import dogpile.cache
    from redis import BlockingConnectionPool

    def load(key: str) -> dict[str, int]:
        return loads.load_now(key)

    pool = BlockingConnectionPool.from_url(url, max_connections=_POOL, timeout=30)
    region = dogpile.cache.make_region()
    region.configure(
        "dogpile.cache.redis",
        expiration_time=_TTL_S,
        arguments={
            "connection_pool": pool,
            "distributed_lock": True,
            "lock_timeout": 5,
            "thread_local_lock": False,
        },
    )
    return _all_threads(region.cache_on_arguments()(load), key, loads, wait)


def _django_redis(url: str, key: str, loads: Loads, wait: _Wait) -> _Served:
    from django.conf import settings
    from django_redis.cache import RedisCache

    if not settings.configured:
        settings.configure()
    pool = {
        "CONNECTION_POOL_CLASS": "redis.BlockingConnectionPool",
        "CONNECTION_POOL_KWARGS": {"max_connections": _POOL, "timeout": 30},
    }
    cache = RedisCache(url, {"TIMEOUT": _TTL_S, "OPTIONS": pool})
    return _all_threads(
        lambda name: cache.get_or_set(name, lambda: loads.load_now(name)), key, loads, wait
    )


RIVALS: dict[str, Callable[[str, str, Loads, _Wait], _Served]] = {
    "freshwell, tasks": _freshwell,
    "freshwell, threads": _freshwell_threads,
    "cashews, tasks": _cashews(lock=False),
    "cashews lock=True, tasks": _cashews(lock=True),
    "aiocache, tasks": _aiocache(lease=False),
    "aiocache cached_stampede, tasks": _aiocache(lease=True),
    "fastapi-cache2, tasks": _fastapi,
    "dogpile.cache distributed_lock, threads": _dogpile,
    "django-redis get_or_set, threads": _django_redis,
}

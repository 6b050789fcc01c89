"""The outages of ``benchmarks.outage`` with other caches beside freshwell: the same arguments.

``python -m benchmarks.rivals.outage [--seconds 5] [--rate 200] [--only killed]``. Rivals get the
time limits that freshwell has, by the options that they have for it, and a pool that waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import aiocache
import cashews
import fastapi_cache
from aiocache.serializers import JsonSerializer
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache as fastapi_cached
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

from benchmarks.outage import LIMIT_S, ByHand, Load, Own, Subject, main

__all__ = ["SUBJECTS"]

_TTL_S = 60
_POOL = 50


def _pool(url: str) -> BlockingConnectionPool:
    return BlockingConnectionPool.from_url(
        url,
        max_connections=_POOL,
        timeout=LIMIT_S,
        socket_timeout=LIMIT_S,
        socket_connect_timeout=LIMIT_S,
    )


class Cashews:
    """Its decorator and its own pool; failures of Redis are passed over by default."""

    def __init__(self, url: str, load: Load) -> None:
        self._cache = cashews.Cache()
        self._cache.setup(
            url,
            max_connections=_POOL,
            wait_for_connection_timeout=LIMIT_S,
            socket_timeout=LIMIT_S,
            socket_connect_timeout=LIMIT_S,
        )

        async def read(key: str) -> str:
            return await load(key)

        self._read: Any = self._cache.cache(ttl=_TTL_S, key="{key}")(read)

    async def read(self, key: str) -> str:
        return str(await self._read(key))

    async def invalidate(self, key: str) -> None:
        await self._cache.delete(key)

    async def aclose(self) -> None:
        await self._cache.close()


class Aiocache:
    """Its decorator; failures of Redis are logged and passed over."""

    def __init__(self, url: str, load: Load) -> None:
        self._client = AsyncRedis(connection_pool=_pool(url))

        async def read(key: str) -> str:
            return await load(key)

        self._read: Any = aiocache.cached(
            ttl=_TTL_S,
            key_builder=lambda function, key: key,
            cache=aiocache.RedisCache,
            serializer=JsonSerializer(),
            timeout=LIMIT_S,
        )(read)
        self._read.cache.client = self._client

    async def read(self, key: str) -> str:
        return str(await self._read(key))

    async def invalidate(self, key: str) -> None:
        await self._read.cache.delete(key)

    async def aclose(self) -> None:
        await self._client.connection_pool.disconnect()


class FastapiCache:
    """Its decorator; failures of Redis are logged and passed over."""

    def __init__(self, url: str, load: Load) -> None:
        self._client = AsyncRedis(connection_pool=_pool(url))
        fastapi_cache.FastAPICache.reset()
        self._backend = RedisBackend(self._client)
        fastapi_cache.FastAPICache.init(self._backend, prefix="outage")

        async def read(key: str) -> str:
            return await load(key)

        self._read: Any = fastapi_cached(
            expire=_TTL_S, key_builder=lambda function, *_, args, **__: f"outage:{args[0]}"
        )(read)

    async def read(self, key: str) -> str:
        return str(await self._read(key))

    async def invalidate(self, key: str) -> None:
        await self._backend.clear(key=f"outage:{key}")

    async def aclose(self) -> None:
        await self._client.connection_pool.disconnect()


SUBJECTS: dict[str, Callable[[str, Load], Subject]] = {
    "freshwell": Own,
    "freshwell, spool": lambda url, load: Own(url, load, spool="memory"),
    "cashews": Cashews,
    "aiocache": Aiocache,
    "fastapi-cache2": FastapiCache,
    "redis-py by hand": ByHand,
}


if __name__ == "__main__":
    # Rivals log each failure, with its traceback: what they do is measured, and not printed.
    logging.disable(logging.CRITICAL)
    main(SUBJECTS)

"""How caching is usually written: the controls, which must show what the library prevents."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis

__all__ = ["GetSet", "LockedGetSet", "control"]

_TTL_S = 60


class GetSet:
    """Get; else load and set. Delete after a write."""

    def __init__(self, url: str, source: Any) -> None:
        pool = BlockingConnectionPool.from_url(url, max_connections=32, timeout=30)
        self._source = source
        self._pool = pool
        self._redis = Redis(connection_pool=pool)

    @property
    def loads(self) -> int:
        loads: int = self._source.loads
        return loads

    async def read(self, key: int) -> int:
        found = await self._redis.get(f"plain:{key}")
        return int(found) if found is not None else await self._load(key)

    async def invalidate(self, key: int) -> None:
        await self._redis.delete(f"plain:{key}")

    async def aclose(self) -> None:
        await self._pool.disconnect()

    async def _load(self, key: int) -> int:
        version: int = await self._source.load(key)
        await self._redis.set(f"plain:{key}", version, ex=_TTL_S)
        return version


class LockedGetSet(GetSet):
    """The same with a lock around the load (SET NX), so that only one process loads."""

    async def read(self, key: int) -> int:
        while True:
            found = await self._redis.get(f"plain:{key}")
            if found is not None:
                return int(found)
            if await self._redis.set(f"lock:{key}", 1, nx=True, px=5_000):
                try:
                    return await self._load(key)
                finally:
                    await self._redis.delete(f"lock:{key}")
            await asyncio.sleep(0.001)


def control(name: str, url: str, source: Any) -> Any:
    """Return the control of that name."""
    return {"get-set": GetSet, "locked": LockedGetSet}[name](url, source)

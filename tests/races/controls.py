"""How caching is usually written: the controls, which must show what the library prevents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
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

    def reading(self, cell: int, level: str, random: Random) -> Callable[[], Awaitable[int]]:
        return partial(self.read, cell)

    async def read(self, cell: int) -> int:
        found = await self._redis.get(f"plain:{cell}")
        return int(found) if found is not None else await self._load(cell)

    async def write(self, cell: int, random: Random) -> bool:
        version: int = self._source.past.commit(cell)
        await self._redis.delete(f"plain:{cell}")
        self._source.past.acknowledge(cell, version)
        self._source.row.add("writes")
        return True

    async def aclose(self) -> None:
        await self._pool.disconnect()

    async def _load(self, cell: int) -> int:
        version: int = await self._source.load(cell)
        await self._redis.set(f"plain:{cell}", version, ex=_TTL_S)
        return version


class LockedGetSet(GetSet):
    """The same with a lock around the load (SET NX), so that only one process loads."""

    async def read(self, cell: int) -> int:
        while True:
            found = await self._redis.get(f"plain:{cell}")
            if found is not None:
                return int(found)
            if await self._redis.set(f"lock:{cell}", 1, nx=True, px=5_000):
                try:
                    return await self._load(cell)
                finally:
                    await self._redis.delete(f"lock:{cell}")
            await asyncio.sleep(0.001)


def control(name: str, url: str, source: Any) -> Any:
    """Return the control of that name."""
    return {"get-set": GetSet, "locked": LockedGetSet}[name](url, source)

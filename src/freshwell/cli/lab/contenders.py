"""The ways of reading that the lab compares, behind one small interface."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from freshwell._async.cache import AsyncCache
from freshwell.cli.lab.database import Database
from freshwell.cli.lab.plan import Plan
from freshwell.cli.lab.servers import plain_url

__all__ = ["CONTENDERS", "Contender", "make"]

Product = dict[str, Any]


class Contender(Protocol):
    """One way of reading products. A write has reached the source and the cache on return."""

    async def read(self, id: int) -> Product: ...

    async def write(self, id: int) -> int:
        """Change a product and return its new version."""

    def figures(self) -> dict[str, float]:
        """Return counts of its own, for the JSON report."""

    async def aclose(self) -> None: ...


class NoCache:
    """Every read goes to the source."""

    def __init__(self, plan: Plan, database: Database) -> None:
        self.read = database.load
        self.write = database.write

    def figures(self) -> dict[str, float]:
        return {}

    async def aclose(self) -> None:
        return None


class GetOrSet:
    """The lines that everybody writes: get, else load and set; delete after a write.

    Around a dictionary with a TTL that keeps the entries used last, as many as the others may.
    """

    def __init__(self, plan: Plan, database: Database) -> None:
        self._database = database
        self._ttl_s = plan.ttl_s
        self._entries = plan.entries
        self._kept: OrderedDict[int, tuple[float, Product]] = OrderedDict()

    async def read(self, id: int) -> Product:
        kept = self._kept.get(id)
        if kept is not None and kept[0] > time.monotonic():
            self._kept.move_to_end(id)
            return kept[1]
        product = await self._database.load(id)
        self._kept[id] = (time.monotonic() + self._ttl_s, product)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
        return product

    async def write(self, id: int) -> int:
        version = await self._database.write(id)
        self._kept.pop(id, None)
        return version

    def figures(self) -> dict[str, float]:
        return {"entries": len(self._kept)}

    async def aclose(self) -> None:
        self._kept.clear()


class GetOrSetRedis:
    """The same lines around redis-py."""

    def __init__(self, plan: Plan, database: Database) -> None:
        from redis.asyncio import BlockingConnectionPool, Redis

        assert plan.redis is not None
        self._database = database
        self._ttl_s = max(1, round(plan.ttl_s))
        self._prefix = f"{plan.run}:"
        pool = BlockingConnectionPool.from_url(
            plain_url(plan.redis), max_connections=50, timeout=30
        )
        self._redis = Redis(connection_pool=pool)

    async def read(self, id: int) -> Product:
        key = f"{self._prefix}{id}"
        kept = await self._redis.get(key)
        if kept is not None:
            product: Product = json.loads(kept)
            return product
        product = await self._database.load(id)
        await self._redis.set(key, json.dumps(product), ex=self._ttl_s)
        return product

    async def write(self, id: int) -> int:
        version = await self._database.write(id)
        await self._redis.delete(f"{self._prefix}{id}")
        return version

    def figures(self) -> dict[str, float]:
        return {}

    async def aclose(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()


class _Freshwell:
    """What both strategies of freshwell share here."""

    def __init__(self, plan: Plan, database: Database) -> None:
        self._database = database
        self._cache = AsyncCache(
            plan.redis,
            namespace=plan.run,
            ttl=plan.ttl_s,
            read=plan.read,  # type: ignore[arg-type]
            max_staleness=plan.max_staleness_s,
            max_entries=plan.entries,
            max_bytes=2**31,
            max_loads=256,
            load_wait=60,
        )

    def figures(self) -> dict[str, float]:
        stats = self._cache.stats().as_dict()
        return {name: value for name, value in stats.items() if isinstance(value, int)}

    async def aclose(self) -> None:
        await self._cache.aclose()


class CacheAside(_Freshwell):
    """freshwell's decorator, and an invalidation after each write."""

    def __init__(self, plan: Plan, database: Database) -> None:
        super().__init__(plan, database)

        @self._cache.cached("product:{id}")
        async def product(id: int) -> Product:
            return await database.load(id)

        self.read = product
        self._invalidate = product.invalidate

    async def write(self, id: int) -> int:
        version = await self._database.write(id)
        await self._invalidate(id)
        return version


class ReadThrough(_Freshwell):
    """freshwell's reader over a source."""

    def __init__(self, plan: Plan, database: Database) -> None:
        super().__init__(plan, database)
        self._reader = self._cache.read_through(database, key="product:{}")

    async def read(self, id: int) -> Product:
        product = await self._reader.get(id)
        assert product is not None
        return product

    async def write(self, id: int) -> int:
        version = await self._database.write(id)
        await self._reader.invalidate(id)
        return version


CONTENDERS: Final[Mapping[str, Callable[[Plan, Database], Contender]]] = {
    "no cache": NoCache,
    "get-or-set": GetOrSet,
    "cache-aside": CacheAside,
    "read-through": ReadThrough,
}


def make(plan: Plan, database: Database) -> Contender:
    """Return the contender that `plan` names, ready to be used in this event loop."""
    if plan.contender == "get-or-set" and plan.redis is not None:
        return GetOrSetRedis(plan, database)
    return CONTENDERS[plan.contender](plan, database)

"""What freshwell is compared with: no cache, and the lines that everybody writes."""

from __future__ import annotations

import json
import time
from collections import OrderedDict

from freshwell.cli.lab.database import Database
from freshwell.cli.lab.plan import Plan
from freshwell.cli.lab.products import Product
from freshwell.cli.lab.servers import plain_url

__all__ = ["GetOrSet", "GetOrSetRedis", "NoCache"]


class NoCache:
    """Every read goes to the source."""

    def __init__(self, plan: Plan, database: Database) -> None:
        self.read = database.load
        self.write = database.write

    def figures(self) -> dict[str, float]:
        return {}

    async def finish(self) -> None:
        return None

    async def aclose(self) -> None:
        return None


class GetOrSet:
    """The lines that everybody writes: get, else load and set; delete after a write.

    Around a dictionary with a TTL that keeps the entries used last, as many as the others may.
    With tags, a set of the ids for each category.
    """

    def __init__(self, plan: Plan, database: Database) -> None:
        self._database = database
        self._ttl_s = plan.ttl_s
        self._entries = plan.entries
        self._tags = plan.tags
        self._kept: OrderedDict[int, tuple[float, Product]] = OrderedDict()
        self._members: dict[int, set[int]] = {category: set() for category in range(plan.tags)}

    async def read(self, id: int) -> Product:
        kept = self._kept.get(id)
        if kept is not None and kept[0] > time.monotonic():
            self._kept.move_to_end(id)
            return kept[1]
        product = await self._database.load(id)
        self._kept[id] = (time.monotonic() + self._ttl_s, product)
        if self._tags:
            self._members[id % self._tags].add(id)
        if len(self._kept) > self._entries:
            evicted, _ = self._kept.popitem(last=False)
            if self._tags:
                self._members[evicted % self._tags].discard(evicted)
        return product

    async def write(self, id: int) -> int:
        version = await self._database.write(id)
        if self._tags:
            members = self._members[id % self._tags]
            for member in members:
                self._kept.pop(member, None)
            members.clear()
        else:
            self._kept.pop(id, None)
        return version

    def figures(self) -> dict[str, float]:
        return {"entries": len(self._kept)}

    async def finish(self) -> None:
        return None

    async def aclose(self) -> None:
        self._kept.clear()


class GetOrSetRedis:
    """The same lines around redis-py. With tags, a set of the keys for each category."""

    def __init__(self, plan: Plan, database: Database) -> None:
        from redis.asyncio import BlockingConnectionPool, Redis

        assert plan.redis is not None
        self._database = database
        self._ttl_s = max(1, round(plan.ttl_s))
        self._tags = plan.tags
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
        if self._tags:
            await self._set_with_tag(id, product)
        else:
            # Nothing stands between the two: that is what the lab compares with.
            data = json.dumps(product)
            await self._redis.set(key, data, ex=self._ttl_s)  # freshwell: ignore[FW010]
        return product

    async def _set_with_tag(self, id: int, product: Product) -> None:
        key, members = f"{self._prefix}{id}", self._members(id)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(key, json.dumps(product), ex=self._ttl_s)
            pipe.sadd(members, key)
            pipe.expire(members, self._ttl_s)
            await pipe.execute()

    async def write(self, id: int) -> int:
        version = await self._database.write(id)
        if self._tags:
            members = self._members(id)
            keys = await self._redis.smembers(members)
            await self._redis.delete(members, *keys)
        else:
            await self._redis.delete(f"{self._prefix}{id}")
        return version

    def _members(self, id: int) -> str:
        return f"{self._prefix}category:{id % self._tags}"

    def figures(self) -> dict[str, float]:
        return {}

    async def finish(self) -> None:
        return None

    async def aclose(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

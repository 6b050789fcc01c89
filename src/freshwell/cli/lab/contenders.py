"""The ways of reading that the lab compares, behind one small interface.

With tags (`Plan.tags`) each product is of one of so many categories, and a write ends what is
cached of its whole category.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from freshwell._async.cache import AsyncCache
from freshwell._async.writing import Writing
from freshwell.cli.lab.database import Database
from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.plan import Plan
from freshwell.cli.lab.servers import plain_url

__all__ = ["CONTENDERS", "Contender", "chosen", "make"]

Product = dict[str, Any]

_COMMAND_TIMEOUT_S: Final = 5
"""More than a service would give: a machine that the lab keeps busy is late with everything."""


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
            await self._redis.set(key, json.dumps(product), ex=self._ttl_s)
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

    async def aclose(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()


class _Keyed(Protocol):
    """What a decorated function and a reader have in common."""

    def key(self, id: int, /) -> str: ...

    async def invalidate(self, id: int, /) -> None: ...


class _Freshwell:
    """What both strategies of freshwell share here."""

    _keyed: _Keyed | None = None
    """Names entries. None: with tags nobody has to."""

    def __init__(self, plan: Plan, database: Database) -> None:
        self._database = database
        self._tags = plan.tags
        self._writing = plan.writing
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
            command_timeout=_COMMAND_TIMEOUT_S,
        )

    async def write(self, id: int) -> int:
        if self._writing:
            async with self._announced(id):
                return await self._database.write(id)
        version = await self._database.write(id)
        if self._keyed is None:
            await self._cache.invalidate_tags(self._tag(id))
        else:
            await self._keyed.invalidate(id)
        return version

    def _announced(self, id: int) -> Writing:
        if self._keyed is None:
            return self._cache.writing(tags=[self._tag(id)])
        return self._cache.writing(self._keyed.key(id))

    def _tag(self, id: int) -> str:
        return f"category:{id % self._tags}"

    def figures(self) -> dict[str, float]:
        stats = self._cache.stats().as_dict()
        return {name: value for name, value in stats.items() if isinstance(value, int)}

    async def aclose(self) -> None:
        await self._cache.aclose()


class CacheAside(_Freshwell):
    """freshwell's decorator, and an invalidation after each write."""

    def __init__(self, plan: Plan, database: Database) -> None:
        super().__init__(plan, database)
        self.read: Callable[[int], Coroutine[Any, Any, Product]]
        if plan.tags:
            self.read = self._tagged(database)
            return

        @self._cache.cached("product:{id}")
        async def product(id: int) -> Product:
            return await database.load(id)

        self.read = product
        self._keyed = product

    def _tagged(self, database: Database) -> Callable[[int], Coroutine[Any, Any, Product]]:
        @self._cache.cached("product:{id}", ignore="category", tags=["category:{category}"])
        async def product(id: int, category: int) -> Product:
            return await database.load(id)

        return lambda id: product(id, id % self._tags)


class _ProductId(NamedTuple):
    id: int
    category: int


class ReadThrough(_Freshwell):
    """freshwell's reader over a source."""

    def __init__(self, plan: Plan, database: Database) -> None:
        super().__init__(plan, database)
        if plan.tags:
            self._get = self._tagged(database)
            return
        reader = self._cache.read_through(database, key="product:{}")
        self._keyed = reader
        self._get = reader.get

    def _tagged(self, database: Database) -> Callable[[int], Awaitable[Product | None]]:
        async def load(id: _ProductId) -> Product:
            return await database.load(id.id)

        reader = self._cache.read_through(
            load, key="product:{id.id}", tags=["category:{id.category}"]
        )
        return lambda id: reader.get(_ProductId(id, id % self._tags))

    async def read(self, id: int) -> Product:
        product = await self._get(id)
        assert product is not None
        return product


CONTENDERS: Final[Mapping[str, Callable[[Plan, Database], Contender]]] = {
    "no cache": NoCache,
    "get-or-set": GetOrSet,
    "cache-aside": CacheAside,
    "read-through": ReadThrough,
}

_NONE: Final = "none"
"""What the contender without a cache is called where names are typed."""


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Return the contenders of these names, or of lists of names; all where none is given.

    In the order of `CONTENDERS`. Raises `LabInputError` for a name that is not known.
    """
    typed = {_NONE if name == "no cache" else name: name for name in CONTENDERS}
    wanted = {name.strip() for text in names for name in text.split(",")} or set(typed)
    unknown = sorted(wanted - set(typed))
    if unknown:
        raise LabInputError(f"--strategy: there is no {unknown[0]!r}: use {', '.join(typed)}")
    return tuple(contender for name, contender in typed.items() if name in wanted)


def make(plan: Plan, database: Database) -> Contender:
    """Return the contender that `plan` names, ready to be used in this event loop."""
    if plan.contender == "get-or-set" and plan.redis is not None:
        return GetOrSetRedis(plan, database)
    return CONTENDERS[plan.contender](plan, database)

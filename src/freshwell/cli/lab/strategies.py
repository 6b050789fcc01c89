"""freshwell's strategies, as the lab compares them.

Two are told that a product has changed, and two are given the changed product.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple, Protocol

from freshwell._async.cache import AsyncCache
from freshwell._async.writing import Writing
from freshwell.cli.lab.database import Database
from freshwell.cli.lab.plan import Plan
from freshwell.cli.lab.products import Product

__all__ = ["CacheAside", "ReadThrough", "WriteBehind", "WriteThrough"]

_COMMAND_TIMEOUT_S: Final = 5
"""More than a service would give: a machine that the lab keeps busy is late with everything."""
_TURNS: Final = 1_024
_FLUSH_S: Final = 120
_LOOK_S: Final = 0.02


class _Freshwell:
    """What all strategies of freshwell share here."""

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
            command_timeout=_COMMAND_TIMEOUT_S,
        )

    def figures(self) -> dict[str, float]:
        stats = self._cache.stats().as_dict()
        return {name: value for name, value in stats.items() if isinstance(value, int)}

    async def finish(self) -> None:
        return None

    async def aclose(self) -> None:
        await self._cache.aclose()


class _Keyed(Protocol):
    """What a decorated function and a reader have in common."""

    def key(self, id: int, /) -> str: ...

    async def invalidate(self, id: int, /) -> None: ...


class _Invalidating(_Freshwell):
    """The source is changed, and then what is cached of it ends."""

    _keyed: _Keyed | None = None
    """Names entries. None: with tags nobody has to."""

    def __init__(self, plan: Plan, database: Database) -> None:
        super().__init__(plan, database)
        self._tags = plan.tags
        self._writing = plan.writing

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


class CacheAside(_Invalidating):
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


class ReadThrough(_Invalidating):
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


class _Products(Protocol):
    """What a write-through and a write-behind have in common."""

    async def get(self, id: int, /) -> Product | None: ...

    async def put(self, id: int, value: Product, /) -> object: ...


class _Putting(_Freshwell):
    """The new product is given to freshwell. Writers of one product take turns.

    They have to: each puts the version after the last one. No other process writes it.
    """

    _products: _Products

    def __init__(self, plan: Plan, database: Database) -> None:
        super().__init__(plan, database)
        self._versions: dict[int, int] = {}
        self._turns = [asyncio.Lock() for _ in range(_TURNS)]

    async def read(self, id: int) -> Product:
        product = await self._products.get(id)
        assert product is not None
        return product

    async def write(self, id: int) -> int:
        async with self._turns[id % _TURNS]:
            self._versions[id] = version = self._versions.get(id, 1) + 1
            await self._products.put(id, self._database.product(id, version))
        return version


class WriteThrough(_Putting):
    """freshwell writes the product to the source, and keeps it."""

    def __init__(self, plan: Plan, database: Database) -> None:
        super().__init__(plan, database)
        self._products = self._cache.write_through(database, key="product:{}")


class WriteBehind(_Putting):
    """freshwell keeps the product in a journal and in the cache, and writes batches behind it.

    Looks at the journal many times a second, to say how many writes it held at the most.
    """

    def __init__(self, plan: Plan, database: Database) -> None:
        super().__init__(plan, database)
        self._behind = self._cache.write_behind(
            database,
            key="product:{}",
            journal=plan.journal.format(os.getpid()),
            assume_durable=plan.assume_durable,
        )
        self._products = self._behind
        self._peak = 0
        self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while True:
            self._peak = max(self._peak, (await self._behind.backlog()).records)
            await asyncio.sleep(_LOOK_S)

    async def finish(self) -> None:
        await self._behind.flush(_FLUSH_S)

    def figures(self) -> dict[str, float]:
        return super().figures() | {"backlog_peak": self._peak}

    async def aclose(self) -> None:
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        await self._behind.aclose()
        await super().aclose()

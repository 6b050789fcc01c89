"""Ways of reading a versioned source through a cache, and of voiding what is cached of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any, Protocol

from freshwell import AsyncCache, StoreUnavailable
from freshwell._kit.aio import sleep
from tests.faults.checker.orders import INTENT_S, LEVELS, Orders
from tests.faults.checker.tally import Row, Tallies
from tests.support.history import History

__all__ = ["Source", "Way", "opened"]

_NS_PER_S = 1_000_000_000
_RETRY_S = 0.02
_SLOW_SHARE = 0.03
_SLOWER = 10
_MANY = 4
_MIXED = ("mixed", "every")
_UNDER_WAY_NS = 500_000_000
"""How long the last prolongation of an announcement may have been on its way."""

Ask = Callable[[], Awaitable[int]]
"""Reads one cell once, and returns its version."""


class Source:
    """The system of record: what it answers takes a while to be found, or to arrive."""

    def __init__(self, past: History, row: Row, random: Random, slow_s: float) -> None:
        self.past = past
        self.row = row
        self._random = random
        self._slow_s = slow_s

    async def load(self, cell: int) -> int:
        self.row.add("loads")
        slow_s = self._random.uniform(0, self._slow_s)
        if self._random.random() < _SLOW_SHARE:
            slow_s *= _SLOWER
        if self._random.random() < 0.3:
            await sleep(slow_s)
            return self.past.load(cell)
        version = self.past.load(cell)
        await sleep(slow_s)
        return version


class Way(Protocol):
    """One cache of a process, and how it is used."""

    def reading(self, cell: int, level: str, random: Random) -> Ask:
        """Return a call that reads one key of a cell, in one of the ways there are."""

    async def write(self, cell: int, random: Random) -> bool:
        """Commit the next version of a cell, and void what is cached of it.

        False: that was not acknowledged.
        """

    async def aclose(self) -> None: ...


class Freshwell:
    """The library under test. Each cell is cached under several keys, and has a tag."""

    def __init__(
        self, url: str, source: Source, tallies: Tallies, orders: Orders, schema: str | None
    ) -> None:
        self._source = source
        self._past = source.past
        self._row = source.row
        self._tallies = tallies
        self._orders = orders
        self._parent = os.getppid()
        self._cache = AsyncCache(
            url,
            namespace="history",
            max_staleness=orders.bound_s,
            ttl=orders.ttl_s,
            intent=INTENT_S,
            version=schema,
        )
        apart = orders.way in _MIXED
        self._scopes: list[Any] = [
            self._cache.namespace(f"n{cell}") if apart else self._cache
            for cell in range(orders.cells)
        ]
        self._decorated: dict[tuple[int, str], Any] = {
            (cell, level): self._decorate(cell, level)
            for cell in range(orders.cells)
            for level in {"eventual", *(LEVELS[habit] for habit in orders.readers)}
        }
        self._voidings = {
            "key": [self._by_key],
            "tag": [self._by_tag],
            "mixed": [self._by_key, self._by_tag, self._by_clearing],
            "every": [
                *(self._by_key, self._by_tag, self._by_clearing),
                *(self._by_pattern, self._by_expiring),
            ],
        }

    async def aclose(self) -> None:
        await self._cache.aclose()

    # -- reading -----------------------------------------------------------------------------

    def reading(self, cell: int, level: str, random: Random) -> Ask:
        number, kind = random.randrange(self._orders.width), random.randrange(8)
        if kind < 5:
            return partial(self._decorated[cell, level], number)
        if kind == 5:
            keys = random.sample(self._keys(cell), min(_MANY, self._orders.width))
            return partial(self._read_many, cell, level, keys)
        return partial(
            self._scopes[cell].get_or_load,
            _key(cell, number),
            partial(self._source.load, cell),
            read=level,
            ttl=self._ttl_s(cell),
            tags=self._tags(cell, computed=True),
        )

    def _decorate(self, cell: int, level: str) -> Any:
        async def load(number: int) -> int:
            return await self._source.load(cell)

        return self._scopes[cell].cached(
            f"k:{cell}:{{number}}", read=level, ttl=self._ttl_s(cell), tags=self._tags(cell)
        )(load)

    async def _read_many(self, cell: int, level: str, keys: list[str]) -> int:
        """Return the oldest of what some keys of a cell have."""

        async def load(missing: list[str]) -> dict[str, int]:
            return dict.fromkeys(missing, await self._source.load(cell))

        found = await self._scopes[cell].get_or_load_many(
            keys, load, read=level, ttl=self._ttl_s(cell), tags=self._tags(cell)
        )
        versions: list[int] = [found[key] for key in keys]
        return min(versions)

    def _ttl_s(self, cell: int) -> float:
        return self._orders.ttl_s / 3 if cell % 2 else self._orders.ttl_s

    def _keys(self, cell: int) -> list[str]:
        return [_key(cell, number) for number in range(self._orders.width)]

    def _tags(self, cell: int, *, computed: bool = False) -> list[Any]:
        if self._orders.way == "key":
            return []
        return [lambda version: _tag(cell)] if computed else [_tag(cell)]

    # -- writing -----------------------------------------------------------------------------

    async def write(self, cell: int, random: Random) -> bool:
        dies = random.random() < self._orders.kill_share
        if self._orders.way == "writing" or (self._orders.way in _MIXED and random.random() < 0.3):
            return await self._write_announced(cell, random, dies)
        version = self._past.commit(cell)
        if dies:
            self._die()
        return await self._void(cell, version, random.choice(self._voidings[self._orders.way]))

    async def _write_announced(self, cell: int, random: Random, dies: bool) -> bool:
        """Commit within a writing block. Where the block's end fails, the writer repeats it."""
        named = random.random() < 0.5
        keys, tags = (self._keys(cell), []) if named else ([], [_tag(cell)])
        version, began_ns = 0, time.monotonic_ns()
        try:
            async with self._scopes[cell].writing(*keys, tags=tags):
                version = self._past.commit(cell)
                self._promise(cell, version, began_ns)
                if dies:
                    self._die()
        except StoreUnavailable:
            self._row.add("refused")
            again = self._by_key if named else self._by_tag
            return version > 0 and await self._void(cell, version, again)
        return self._acknowledged(cell, version)

    def _promise(self, cell: int, version: int, began_ns: int) -> None:
        """Note when an announcement has run out at the latest, if it stood at the commit."""
        intent_ns = int(INTENT_S * _NS_PER_S)
        now_ns = time.monotonic_ns()
        if self._orders.promises and now_ns < began_ns + intent_ns:
            self._past.promise(cell, version, now_ns + intent_ns + _UNDER_WAY_NS)

    def _by_key(self, cell: int) -> Any:
        return self._scopes[cell].invalidate(*self._keys(cell))

    def _by_tag(self, cell: int) -> Any:
        return self._cache.invalidate_tags(_tag(cell))

    def _by_pattern(self, cell: int) -> Any:
        return self._scopes[cell].invalidate_pattern(f"k:{cell}:*")

    def _by_expiring(self, cell: int) -> Any:
        return self._scopes[cell].expire(*self._keys(cell))

    def _by_clearing(self, cell: int) -> Any:
        return self._scopes[cell].clear()

    async def _void(self, cell: int, version: int, call: Callable[[int], Any]) -> bool:
        """Repeat an invalidation until it is acknowledged. False: the run ended before."""
        while not self._tallies.over and os.getppid() == self._parent:
            try:
                await call(cell)
            except StoreUnavailable:
                self._row.add("refused")
                await sleep(_RETRY_S)
            else:
                return self._acknowledged(cell, version)
        return False

    def _acknowledged(self, cell: int, version: int) -> bool:
        self._past.acknowledge(cell, version)
        self._row.add("writes")
        return True

    def _die(self) -> None:
        self._row.add("killed")
        os.kill(os.getpid(), signal.SIGKILL)


def _key(cell: int, number: int) -> str:
    return f"k:{cell}:{number}"


def _tag(cell: int) -> str:
    return f"g:{cell}"


def opened(url: str, source: Source, tallies: Tallies, orders: Orders, schema: str | None) -> Way:
    """Return the way of the orders, open."""
    if orders.way in ("key", "tag", "writing", *_MIXED):
        return Freshwell(url, source, tallies, orders, schema)
    from tests.races.controls import control

    way: Way = control(orders.way, url, source)
    return way

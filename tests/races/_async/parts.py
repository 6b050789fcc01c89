"""What the processes of a race do."""

from __future__ import annotations

import time
from random import Random
from typing import Any, Protocol

from freshwell import AsyncCache
from freshwell._kit.aio import sleep
from tests.races.history import History
from tests.support.aio import all_of
from tests.support.worker import Talk

__all__ = ["crowd", "holder", "reader", "successor", "writer"]

_TASKS = 8
_NS_PER_S = 1_000_000_000


class Strategy(Protocol):
    """A way of reading a versioned source through a cache."""

    @property
    def loads(self) -> int: ...

    async def read(self, key: int) -> int: ...

    async def invalidate(self, key: int) -> None: ...

    async def aclose(self) -> None: ...


class Slow:
    """The source: what it answers takes a while to arrive, as over a network."""

    def __init__(self, history: History, random: Random) -> None:
        self._history = history
        self._random = random
        self.loads = 0

    async def load(self, key: int) -> int:
        self.loads += 1
        version = self._history.load(key)
        await sleep(self._random.uniform(0, 0.004))
        return version


class Freshwell:
    """The library under test."""

    def __init__(self, url: str, source: Slow, level: Any, max_staleness_s: float) -> None:
        self._source = source
        self._level = level
        self._cache = AsyncCache(url, namespace="race", max_staleness=max_staleness_s, ttl=60)

    @property
    def loads(self) -> int:
        return self._source.loads

    async def read(self, key: int) -> int:
        async def load() -> int:
            return await self._source.load(key)

        return await self._cache.get_or_load(f"k:{key}", load, read=self._level)

    async def invalidate(self, key: int) -> None:
        await self._cache.invalidate(f"k:{key}")

    async def aclose(self) -> None:
        await self._cache.aclose()


async def opened(
    strategy: str, url: str, history: History, random: Random, max_staleness_s: float
) -> Strategy:
    """Return the strategy of that name."""
    source = Slow(history, random)
    if strategy in ("eventual", "fresh"):
        return Freshwell(url, source, strategy, max_staleness_s)
    from tests.races.controls import control

    way: Strategy = control(strategy, url, source)
    return way


async def reader(
    talk: Talk,
    *,
    strategy: str,
    url: str,
    history: str,
    keys: int,
    seconds: float,
    seed: int,
    bound_s: float,
) -> dict[str, float]:
    """Read keys at random, and count the reads that were older than `bound_s` allows."""
    past = History(history, keys)
    way = await opened(strategy, url, past, Random(seed), bound_s or 2)
    reads = stale = 0
    worst_ns = 0
    talk.ready()
    end_s = time.monotonic() + seconds

    async def one(number: int) -> None:
        nonlocal reads, stale, worst_ns
        random = Random(1_000 * seed + number)
        while time.monotonic() < end_s:
            key = random.randrange(keys)
            began_ns = time.monotonic_ns()
            version = await way.read(key)
            late_ns = past.late_ns(key, version, began_ns)
            reads += 1
            if late_ns > bound_s * _NS_PER_S:
                stale += 1
                worst_ns = max(worst_ns, late_ns)
            await sleep(random.uniform(0, 0.0005))

    await all_of(*[lambda n=n: one(n) for n in range(_TASKS)])
    await way.aclose()
    return {"reads": reads, "stale": stale, "loads": way.loads, "worst_s": worst_ns / _NS_PER_S}


async def writer(
    talk: Talk,
    *,
    strategy: str,
    url: str,
    history: str,
    keys: int,
    seconds: float,
    seed: int,
    own: list[int],
) -> int:
    """Change own keys at random, and invalidate them. Returns how often."""
    past, random = History(history, keys), Random(seed)
    way = await opened(strategy, url, past, random, 2)
    writes = 0
    talk.ready()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        key = random.choice(own)
        version = past.commit(key)
        await way.invalidate(key)
        past.acknowledge(key, version)
        writes += 1
        await sleep(random.uniform(0.001, 0.02))
    await way.aclose()
    return writes


async def crowd(talk: Talk, *, url: str, callers: int, load_s: float) -> int:
    """Ask for one cold key, many callers at once. Returns how often this process loaded it."""
    loads = 0

    async def load() -> dict[str, int]:
        nonlocal loads
        loads += 1
        await sleep(load_s)
        return {"value": 42}

    async with AsyncCache(url, namespace="crowd") as cache:
        await cache.get("warm")
        talk.ready()

        async def ask() -> Any:
            return await cache.get_or_load("cold", load)

        answers = await all_of(*[ask] * callers)
        assert answers == [{"value": 42}] * callers
        return loads


async def holder(talk: Talk, *, url: str, lease_s: float) -> None:
    """Take the lease, tell the test so, and never finish loading."""

    async def load() -> str:
        talk.say("loading")
        await sleep(3600)
        return "never"

    async with AsyncCache(url, namespace="heirs", lease=lease_s) as cache:
        await cache.get_or_load("key", load)


async def successor(talk: Talk, *, url: str, lease_s: float, callers: int) -> dict[str, float]:
    """Wait for the holder's value. Tells how often this process loaded, and when it was done."""
    loads = 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        return "taken over"

    async with AsyncCache(url, namespace="heirs", lease=lease_s) as cache:
        await cache.get("warm")
        talk.ready()

        async def ask() -> str:
            return await cache.get_or_load("key", load)

        answers = await all_of(*[ask] * callers)
        assert answers == ["taken over"] * callers
        return {"loads": loads, "done_ns": time.monotonic_ns()}

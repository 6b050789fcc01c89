"""Loaders and waits of the tests here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from freshwell import AsyncCache
from freshwell._kit.aio import sleep
from tests.support.aio import Latch, until

Make = Callable[..., AsyncCache]


class Loader:
    """Counts its calls and returns their number."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        return self.calls


class Held(Loader):
    """A loader that waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let_go = Latch(), Latch()

    async def __call__(self) -> int:
        number = await super().__call__()
        self.begun.open()
        await self.let_go.passed()
        return number


def of(url: str, **options: Any) -> AsyncCache:
    """Return a cache with limits for a busy machine."""
    return AsyncCache(url, **{"command_timeout": 2, "connect_timeout": 2} | options)


async def listening(*caches: AsyncCache) -> None:
    """Wait until the caches' L1 may answer."""
    for cache in caches:
        await cache.get("nothing")
        await until(partial(is_live, cache), "L1 is live")


def is_live(cache: AsyncCache) -> bool:
    return cache.stats().l1_live


async def rests(cache: AsyncCache, key: str) -> None:
    """Wait until L1 has an entry."""

    async def is_in_l1() -> bool:
        await cache.get(key)
        return (await cache.lookup(key)).tier == "l1"

    await until_so(is_in_l1)


async def leaves(cache: AsyncCache, key: str, **options: Any) -> None:
    """Wait until an entry is absent."""

    async def is_absent() -> bool:
        return await cache.get(key, **options) is None

    await until_so(is_absent)


async def until_so(question: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the answer is yes."""
    for _ in range(1_000):
        if await question():
            return
        await sleep(0.01)
    raise AssertionError("it never came true")

"""Loaders and waits of the tests here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

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


async def listening(cache: AsyncCache) -> None:
    """Wait until the cache's L1 may answer."""
    await cache.get("nothing")
    await until(partial(is_live, cache), "L1 is live")


def is_live(cache: AsyncCache) -> bool:
    return cache.stats().l1_live


async def until_so(question: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the answer is yes."""
    for _ in range(1_000):
        if await question():
            return
        await sleep(0.01)
    raise AssertionError("it never came true")

"""How a process waits for another's load: told by the feed, and never asleep over the news."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell import AsyncCache
from freshwell._async.coordination import loads
from freshwell._async.coordination.loads import Loads
from freshwell._kit.aio import sleep
from tests.support.aio import Latch, start, until


async def ready(cache: AsyncCache) -> None:
    """Wait until the cache is told of changes."""
    await cache.get("nothing")
    await until(lambda: cache.stats().l1_live, "L1 is live")


@pytest.fixture(autouse=True)
def far_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody be saved by asking again after a while."""
    monkeypatch.setattr(loads, "_TOLD_PAUSES_S", (60.0, 60.0))


async def test_a_waiter_is_woken_when_the_value_is_there(redis_url: str) -> None:
    latch = Latch()

    async def load() -> str:
        await latch.passed()
        return "value"

    async with AsyncCache(redis_url, lease=60) as one, AsyncCache(redis_url, lease=60) as other:
        await ready(other)
        holder = await start(lambda: one.get_or_load("a", load))
        await until(lambda: one.stats().loads == 1, "the load is under way")
        waiter = await start(lambda: other.get_or_load("a", load))
        await until(lambda: other.stats().lease_waits > 0, "the other waits")
        latch.open()
        assert await holder.result() == "value"
        assert await waiter.result() == "value"
        assert other.stats().loads == 0


async def test_a_waiter_is_woken_when_the_load_failed_and_loads_itself(redis_url: str) -> None:
    latch = Latch()

    async def fail() -> str:
        await latch.passed()
        raise LookupError("gone")

    async def load() -> str:
        return "value"

    async with AsyncCache(redis_url, lease=60) as one, AsyncCache(redis_url, lease=60) as other:
        await ready(other)
        holder = await start(lambda: one.get_or_load("a", fail))
        await until(lambda: one.stats().loads == 1, "the load is under way")
        waiter = await start(lambda: other.get_or_load("a", load))
        await until(lambda: other.stats().lease_waits > 0, "the other waits")
        latch.open()
        with pytest.raises(LookupError):
            await holder.result()
        assert await waiter.result() == "value"


async def test_news_that_comes_before_the_wait_begins_is_not_slept_over(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    latch, acquire = Latch(), Loads._acquire
    held: list[bool] = []

    async def load() -> str:
        await latch.passed()
        return "value"

    async def slow_acquire(self: Loads, *args: Any) -> Any:
        """Return the answer "held" only after the value was stored, and that was told."""
        answer = await acquire(self, *args)
        if self is other._core.engine().aside.loads and not answer[0] and not held:
            held.append(True)
            told = other.stats().notices
            latch.open()
            await until(lambda: one.stats().fills == 1, "the value is stored")
            await until(lambda: other.stats().notices > told, "it was told")
            await sleep(0.05)
        return answer

    async with AsyncCache(redis_url, lease=60) as one, AsyncCache(redis_url, lease=60) as other:
        await ready(other)
        monkeypatch.setattr(Loads, "_acquire", slow_acquire)
        holder = await start(lambda: one.get_or_load("a", load))
        await until(lambda: one.stats().loads == 1, "the load is under way")
        waiter = await start(lambda: other.get_or_load("a", load))
        assert await waiter.result() == "value"
        assert held
        assert await holder.result() == "value"

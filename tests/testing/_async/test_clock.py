"""A cache goes by the clock that it is given, wherever it looks at the time."""

from __future__ import annotations

import logging
from functools import partial

import pytest

from freshwell import AsyncCache
from freshwell.testing import AsyncCountingLoader, FakeClock
from tests.behaviour._async.parts import listening
from tests.support.aio import until


def has_failed(cache: AsyncCache, times: int) -> bool:
    return cache.stats().refresh_errors == times


async def test_entries_end_by_the_clock_and_not_before(clock: FakeClock) -> None:
    loads = AsyncCountingLoader({1: "tea"})
    async with AsyncCache(ttl="10m", jitter=0, beta=0, clock=clock) as cache:
        names = cache.read_through(loads, key="name:{}")
        assert await names.get(1) == "tea"
        clock.advance(599)
        assert await names.get(1) == "tea"
        loads.assert_once_each(1)
        clock.advance(2)
        assert await names.get(1) == "tea"
        loads.assert_calls({1: 2})


async def test_a_decorated_function_goes_by_it_too(clock: FakeClock) -> None:
    cache = AsyncCache(jitter=0, beta=0, clock=clock)
    loads = AsyncCountingLoader(lambda n: n * n)

    @cache.cached("square:{n}", ttl="1m")
    async def square(n: int) -> int | None:
        return await loads(n)

    assert [await square(3), await square(3)] == [9, 9]
    clock.advance(61)
    assert await square(3) == 9
    loads.assert_calls({3: 2})
    await cache.aclose()


async def test_an_entry_becomes_stale_and_then_expired(clock: FakeClock) -> None:
    async with AsyncCache(ttl="1m", stale_ttl="1h", jitter=0, clock=clock) as cache:
        await cache.set("a", 1)
        clock.advance(30)
        fresh = await cache.lookup("a")
        assert (fresh.state, fresh.age_s, fresh.ttl_left_s) == ("fresh", 30.0, 30.0)
        clock.advance(31)
        stale = await cache.lookup("a")
        assert (stale.state, stale.ttl_left_s) == ("stale", -1.0)
        clock.advance(3_600)
        assert not (await cache.lookup("a")).found


async def test_incidents_are_said_once_a_minute_of_the_clock(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> int:
        raise ValueError

    async with AsyncCache(ttl=1, stale_ttl="1h", jitter=0, clock=clock) as cache:
        await cache.set("a", 1)
        with caplog.at_level(logging.WARNING, "freshwell"):
            for failures in range(1, 4):
                clock.advance(45)
                assert await cache.get_or_load("a", fails) == 1
                await until(partial(has_failed, cache, failures))
    assert len(caplog.records) == 2


async def test_with_redis_it_is_this_process_alone_that_goes_by_it(
    clock: FakeClock, redis_url: str
) -> None:
    async with AsyncCache(
        redis_url, ttl="1m", jitter=0, clock=clock, command_timeout=5, connect_timeout=5
    ) as cache:
        await listening(cache)
        await cache.set("a", 1)
        await until(lambda: cache.stats().notices > 0, "the cache has heard of its own write")
        clock.advance(3_600)
        assert not cache.stats().l1_live
        found = await cache.lookup("a")
        assert (found.value, found.state, found.tier) == (1, "fresh", "l2")
        await until(lambda: cache.stats().l1_live, "the feed is proven at the new time")

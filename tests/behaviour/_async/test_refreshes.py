"""Refreshes in the background, and those who come to need what they bring."""

from __future__ import annotations

from functools import partial

import pytest

from freshwell import AsyncCache
from freshwell._kit.aio import sleep
from tests.behaviour._async.parts import Held, Loader, Make
from tests.support.aio import start, until


class Failing(Held):
    """Raises when it is let go."""

    async def __call__(self) -> int:
        await super().__call__()
        raise LookupError("gone")


async def past_its_ttl(cache: AsyncCache) -> None:
    await cache.get_or_load("a", Loader(), ttl=0.05, stale_ttl=60, jitter=0)
    await sleep(0.1)


async def refreshed_by(cache: AsyncCache, load: Held) -> None:
    """Let a refresh begin."""
    assert await cache.get_or_load("a", load, stale_ttl=60) == 1
    await load.begun.passed()


def has_missed(cache: AsyncCache, misses: int) -> bool:
    return cache.stats().misses >= misses


async def test_who_needs_what_is_being_refreshed_waits_for_that(make: Make) -> None:
    async with make() as cache:
        await past_its_ttl(cache)
        load, other = Held(), Loader()
        load.calls = 1
        await refreshed_by(cache, load)
        callers = [await start(partial(cache.get_or_load, "a", other)) for _ in range(5)]
        await until(partial(has_missed, cache, 6), "they wait")
        await sleep(0.05)
        load.let_go.open()
        assert [await caller.result() for caller in callers] == [2] * 5
        assert (other.calls, cache.stats().loads) == (0, 2), "one load at a time"


async def test_many_wait_for_a_refresh_too(make: Make) -> None:
    async with make() as cache:
        await past_its_ttl(cache)
        load, asked = Held(), []
        load.calls = 1

        async def other(keys: list[str]) -> dict[str, int]:
            asked.extend(keys)
            return dict.fromkeys(keys, 9)

        await refreshed_by(cache, load)
        caller = await start(partial(cache.get_or_load_many, ["a", "b"], other))
        await until(partial(has_missed, cache, 3), "it waits")
        await sleep(0.05)
        load.let_go.open()
        assert await caller.result() == {"a": 2, "b": 9}
        assert asked == ["b"]


async def test_who_waits_for_a_refresh_is_told_of_its_failure(make: Make) -> None:
    async with make() as cache:
        await past_its_ttl(cache)
        load = Failing()
        await refreshed_by(cache, load)
        caller = await start(partial(cache.get_or_load, "a", Loader()))
        await until(partial(has_missed, cache, 2), "it waits")
        await sleep(0.05)
        load.let_go.open()
        with pytest.raises(LookupError, match="gone"):
            await caller.result()


async def test_who_asks_after_an_invalidation_does_not_wait_for_a_refresh(make: Make) -> None:
    async with make() as cache:
        await past_its_ttl(cache)
        load = Held()
        await refreshed_by(cache, load)
        await cache.invalidate("a")
        other = Loader()
        other.calls = 6
        assert await cache.get_or_load("a", other) == 7
        load.let_go.open()
        await until(lambda: cache.stats().in_flight == 0, "all are over")
        assert await cache.get("a") == 7


async def test_what_is_being_loaded_is_not_refreshed_besides(make: Make) -> None:
    async with make() as cache:
        await past_its_ttl(cache)
        load, other = Held(), Loader()
        load.calls = 1
        caller = await start(partial(cache.get_or_load, "a", load))
        await load.begun.passed()
        assert await cache.get_or_load("a", other, stale_ttl=60) == 1
        await sleep(0.05)
        load.let_go.open()
        assert await caller.result() == 2
        assert other.calls == 0


async def test_an_early_refresh_keeps_nobody_waiting(redis_url: str) -> None:
    async with AsyncCache(redis_url, l1=False, ttl=60) as cache:

        async def slow() -> int:
            await sleep(0.02)
            return 1

        await cache.get_or_load("a", slow)
        load = Held()
        read = partial(cache.get_or_load, "a", load, beta=99_999)
        while not load.calls:
            assert await read() == 1
            await sleep(0.005)
        assert await read() == await read(read="fresh") == await cache.get("a") == 1
        load.let_go.open()
        assert cache.stats().early_refreshes == load.calls == 1

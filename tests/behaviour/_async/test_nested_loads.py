"""Loads that wait for other loads, where there are no more slots than the outer ones have."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, LoadShed
from freshwell.testing import Chaos
from tests.behaviour._async.parts import Held, Loader, Make, listening, of
from tests.support.aio import Latch, Running, start, until

_FULL: dict[str, Any] = {"max_loads": 1, "load_wait": 3}
"""One slot, and longer for it than any test here has to wait."""


class Outer:
    """A loader that reads the cache when it is let go, holding the only slot meanwhile."""

    def __init__(self, cache: AsyncCache, inner: Loader, *, many: bool = False) -> None:
        self.begun, self.let_go = Latch(), Latch()
        self._cache, self._inner, self._many = cache, inner, many

    async def __call__(self) -> int:
        self.begun.open()
        await self.let_go.passed()
        if not self._many:
            return 10 + await self._cache.get_or_load("inner", self._inner)

        async def load(keys: list[str]) -> dict[str, int]:
            return {key: await self._inner() for key in keys}

        return 10 + (await self._cache.get_or_load_many(["inner", "more"], load))["inner"]


async def _others(cache: AsyncCache, load: Loader, key: str = "inner") -> Running[int]:
    """Let somebody else begin a load, which waits for a slot."""
    misses = cache.stats().misses
    running = await start(partial(cache.get_or_load, key, load))
    await until(lambda: cache.stats().misses > misses, "it has looked into the tiers")
    await until(lambda: key in cache._core.engine().aside.names(), "its load is under way")
    return running


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
async def test_a_load_that_waits_for_anothers_lends_it_its_slot(make: Make, many: bool) -> None:
    async with make(**_FULL) as cache:
        load = Loader()
        outer = Outer(cache, load, many=many)
        first = await start(partial(cache.get_or_load, "outer", outer))
        await outer.begun.passed()
        other = await _others(cache, load)
        outer.let_go.open()
        assert await first.result() == 10 + await other.result()
        assert load.calls == 1 + many, "each key is loaded once"
        assert cache.stats().shed == 0


async def test_a_load_that_waits_for_a_refresh_lends_it_its_slot() -> None:
    async with AsyncCache(**_FULL) as cache:
        load = Loader()
        await cache.get_or_load("inner", load, stale_ttl=60)
        await cache.expire("inner")
        outer = Outer(cache, load)
        first = await start(partial(cache.get_or_load, "outer", outer))
        await outer.begun.passed()
        assert await cache.get_or_load("inner", load, stale_ttl=60) == 1
        await until(lambda: cache.stats().in_flight == 2, "it is being refreshed")
        outer.let_go.open()
        assert await first.result() == 12
        assert load.calls == 2


async def test_a_load_that_no_load_waits_for_is_shed_as_ever() -> None:
    async with AsyncCache(max_loads=1, load_wait=0.2) as cache:
        load = Held()
        outer = Outer(cache, load)
        first = await start(partial(cache.get_or_load, "outer", outer))
        await outer.begun.passed()
        other, apart = await _others(cache, load), await _others(cache, Loader(), "apart")
        outer.let_go.open()
        await load.begun.passed()
        with pytest.raises(LoadShed):
            await apart.result()
        load.let_go.open()
        assert (await first.result(), await other.result()) == (11, 1)
        assert cache.stats().shed == 1
        assert await cache.get_or_load("apart", Loader()) == 1, "the slot is free again"
        gate = cache._core.engine().tiers.gate
        assert await gate.enter(0)
        assert not await gate.enter(0), "and there is no other"


async def test_a_load_lends_its_slot_to_one_that_another_is_about_to_begin(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    async with of(redis_url, max_loads=1, load_wait=0) as cache:
        chaos.into(cache)
        await listening(cache)
        outer = Outer(cache, load)
        first = await start(partial(cache.get_or_load, "outer", outer))
        await outer.begun.passed()
        chaos.delay("store.fetch", 0.3, times=1)
        looks, misses = chaos.calls["store.fetch"], cache.stats().misses
        other = await start(partial(cache.get_or_load, "inner", load))
        await until(lambda: chaos.calls["store.fetch"] > looks, "it looks")
        outer.let_go.open()
        assert await first.result() == 11
        assert await other.result() == 1
        assert cache.stats().misses - misses == 2
        assert load.calls == 1


async def test_a_load_does_not_share_the_fate_of_one_that_was_shed_already(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    async with of(redis_url, max_loads=1, load_wait=0) as cache:
        chaos.into(cache)
        await listening(cache)
        outer = Outer(cache, load)
        first = await start(partial(cache.get_or_load, "outer", outer))
        await outer.begun.passed()
        chaos.delay("store.release", 0.3, times=1)
        other = await _others(cache, load)
        await until(lambda: chaos.calls["store.release"] > 0, "it gives its lease back")
        outer.let_go.open()
        with pytest.raises(LoadShed):
            await other.result()
        assert await first.result() == 11

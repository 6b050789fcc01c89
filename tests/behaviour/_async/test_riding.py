"""Callers of a cold key who do not load it: what they wait for, what they get, what is counted."""

from __future__ import annotations

from functools import partial

import pytest

from freshwell import AsyncCache
from freshwell._kit.aio import sleep
from freshwell.testing import Chaos
from tests.behaviour._async.parts import Held, Loader, Make, listening, of, rests
from tests.support.aio import Running, start, until

_CALLERS = 20
_LOOK_S = 0.3
"""How long the first caller's look into L2 takes."""


async def _crowd(
    cache: AsyncCache, chaos: Chaos, load: Loader, callers: int = _CALLERS
) -> list[Running[int]]:
    """Let one caller look into L2, and others ask while it does."""
    looks = chaos.calls["store.fetch"]
    first = await start(partial(cache.get_or_load, "a", load))
    await until(lambda: chaos.calls["store.fetch"] == looks + 1, "it looks")
    return [first, *[await start(partial(cache.get_or_load, "a", load)) for _ in range(callers)]]


async def test_who_asks_while_another_looks_into_l2_gets_its_load(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    async with of(redis_url) as cache:
        chaos.into(cache)
        await listening(cache)
        chaos.delay("store.fetch", _LOOK_S, times=1)
        looks, before = chaos.calls["store.fetch"], cache.stats()
        crowd = await _crowd(cache, chaos, load)
        assert [await caller.result() for caller in crowd] == [1] * (_CALLERS + 1)
        after = cache.stats()
    assert chaos.calls["store.fetch"] == looks + 1, "one look is enough"
    assert after.misses - before.misses == _CALLERS + 1
    assert (after.hits_l1, after.hits_l2) == (before.hits_l1, before.hits_l2)
    assert after.loads == load.calls == 1


async def test_who_asks_while_another_looks_into_l2_gets_what_it_finds(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    async with of(redis_url) as other, of(redis_url) as cache:
        chaos.into(cache)
        await listening(cache)
        await other.get_or_load("a", load)
        await until(lambda: cache.stats().notices >= 2, "the feed has told of lease and value")
        chaos.delay("store.fetch", _LOOK_S, times=1)
        looks, before = chaos.calls["store.fetch"], cache.stats()
        crowd = await _crowd(cache, chaos, load)
        assert [await caller.result() for caller in crowd] == [1] * (_CALLERS + 1)
        after = cache.stats()
    assert chaos.calls["store.fetch"] == looks + 1, "L1 has it then"
    assert after.misses == before.misses
    assert (after.hits_l1 - before.hits_l1, after.hits_l2 - before.hits_l2) == (_CALLERS, 1)
    assert load.calls == 1


async def test_all_who_wait_for_a_look_get_the_loaders_exception(redis_url: str) -> None:
    chaos, boom = Chaos(), ValueError("boom")

    class Failing(Loader):
        async def __call__(self) -> int:
            await super().__call__()
            raise boom

    async with of(redis_url) as cache:
        chaos.into(cache)
        await listening(cache)
        chaos.delay("store.fetch", _LOOK_S, times=1)
        load, before = Failing(), cache.stats().misses
        for caller in await _crowd(cache, chaos, load):
            with pytest.raises(ValueError, match="boom") as raised:
                await caller.result()
            assert raised.value is boom
        assert load.calls == 1
        assert cache.stats().misses - before == _CALLERS + 1


async def test_where_the_look_fails_all_share_a_load_without_l2(redis_url: str) -> None:
    chaos, load = Chaos(), Held()
    async with of(redis_url) as cache:
        chaos.into(cache)
        await listening(cache)
        chaos.half_open("store.fetch", _LOOK_S, times=1)
        chaos.fail("store.acquire")
        crowd = await _crowd(cache, chaos, load)
        load.let_go.open()
        assert [await caller.result() for caller in crowd] == [1] * (_CALLERS + 1)
        assert load.calls == 1


async def test_an_invalidation_during_the_look_is_not_undone_by_who_waits(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    async with of(redis_url) as other, of(redis_url) as cache:
        chaos.into(cache)
        await listening(cache)
        await other.get_or_load("a", load)
        chaos.delay("store.fetch", _LOOK_S, times=1)
        crowd = await _crowd(cache, chaos, load, callers=1)
        await cache.invalidate("a")
        late = [await start(partial(cache.get_or_load, "a", load)) for _ in range(5)]
        assert [await caller.result() for caller in late] == [2] * 5
        for caller in crowd:
            assert await caller.result() in (1, 2)
        assert await cache.get_or_load("a", load) == load.calls == 2


async def test_who_could_not_use_anothers_load_leases_its_own(make: Make) -> None:
    async with make(l2_timeout=0.05) as cache:
        load = Held()
        first = await start(partial(cache.get_or_load, "a", load))
        await load.begun.passed()
        second = await start(partial(cache.get_or_load, "a", load, read="source"))
        await until(lambda: cache.stats().misses == 2, "it waits")
        await sleep(0.1)  # longer than L2 may take
        load.let_go.open()
        assert await first.result() == 1
        assert await second.result() == 2
        assert cache.stats().loads_alone == 0


async def test_who_asks_l2_is_not_given_what_a_leader_has_judged_by_memory(redis_url: str) -> None:
    chaos, old, new = Chaos(), Held(), Loader()
    async with of(redis_url) as other, of(redis_url, max_staleness=10) as cache:
        chaos.into(cache)
        await listening(cache)
        await cache.get_or_load("b", Loader(), tags=["x"])
        await rests(cache, "b")  # so it remembers the tag
        heard = chaos.calls["feed.receive"]
        chaos.delay("feed.receive", 3, times=1)
        await other.set("c", 1)
        await until(lambda: chaos.calls["feed.receive"] > heard, "it hears nothing more")
        lessee = await start(partial(other.get_or_load, "a", old, tags=["x"]))
        await old.begun.passed()
        waits = cache.stats().lease_waits
        leader = await start(partial(cache.get_or_load, "a", new, tags=["x"]))
        await until(lambda: cache.stats().lease_waits > waits, "it waits for the other")
        old.let_go.open()
        assert await lessee.result() == 1
        new.calls = 1  # the source changes
        await other.invalidate_tags("x")
        rider = await start(partial(cache.get_or_load, "a", new, tags=["x"], read="fresh"))
        assert await leader.result() in (1, 2)
        assert await rider.result() == 2

"""A cache on the primary of a service: what a failover by hand does to L1 and to invalidations."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, StoreUnavailable
from freshwell._kit.aio import sleep
from tests.behaviour._async.parts import Loader, leaves, listening, of, rests, until_so
from tests.support.aio import until
from tests.support.sentinels import Sentinels


async def test_everything_works_on_the_primary(sentinel_url: str) -> None:
    async with of(sentinel_url) as one, of(sentinel_url, min_replicas=1) as other:
        await listening(one, other)
        await one.set("a", 1, tags=["x"])
        await rests(other, "a")
        await one.invalidate_tags("x")
        await leaves(other, "a")
        await one.namespace("n").set_many({str(n): n for n in range(50)})
        assert await other.namespace("n").invalidate_pattern("*") == 50
        async with other.writing("a", tags=["x"]):
            await one.set("a", 2)
            assert await one.get("a", read="fresh") is None
        assert one.stats().coherence == "feed"


@pytest.mark.slow
async def test_a_failover_by_hand_empties_l1_and_later_invalidations_arrive(
    sentinels: Sentinels,
) -> None:
    async with of(sentinels.url) as one, of(sentinels.url) as other:
        await listening(one, other)
        await one.set("a", 1)
        await rests(other, "a")
        old, new = sentinels.failover()
        for cache in (one, other):
            await until(lambda c=cache: new.port in ports(c), "it listens to the new primary")  # type: ignore[misc]
        await one.invalidate("a")
        await leaves(other, "a")
        await listening(one, other)
        await one.set("a", 2)
        await rests(other, "a")
        await one.invalidate("a")
        await leaves(other, "a")
        assert old.port not in ports(other)


def ports(cache: AsyncCache) -> list[int]:
    """Return where a cache's feeds listen."""
    listening: Any = cache._core.engine()._listening
    return [port for _, port in listening._running]


@pytest.mark.slow
async def test_what_was_invalidated_before_a_failover_is_said_again(sentinels: Sentinels) -> None:
    async with of(sentinels.url) as cache:
        await listening(cache)
        for _ in range(5):
            await cache.set("a", 1)
            await cache.invalidate("a")
            _, new = sentinels.failover()
            # As if the new primary had not heard of it: the old value is back. Where it comes too
            # late, and it has been said again before, there is another failover.
            async with of(f"redis://127.0.0.1:{new.port}/0", l1=False) as other:
                await other.set("a", "old")
                if await is_gone_soon(other, "a"):
                    return
        raise AssertionError("an invalidation was never said again")


async def is_gone_soon(cache: AsyncCache, key: str) -> bool:
    """Tell whether an entry becomes absent within a few seconds."""
    for _ in range(300):
        if await cache.get(key, read="fresh") is None:
            return True
        await sleep(0.01)
    return False


@pytest.mark.slow
async def test_a_frozen_primary_is_left_alone_until_another_is_appointed(
    sentinels: Sentinels,
) -> None:
    limits: dict[str, Any] = {"connect_timeout": 0.2, "command_timeout": 0.1}
    async with AsyncCache(sentinels.url, l1=False, drain=0, **limits) as cache:
        await cache.set("a", 1)
        old = sentinels.primary
        old.freeze()
        load = Loader()
        assert await cache.get_or_load("a", load) == 1
        before = cache.stats()
        assert before.breaker != "closed"
        for number in range(50):
            assert await cache.get_or_load("a", load) == number + 2
        counted = cache.stats()
        assert counted.l2_refused >= before.l2_refused + 100
        assert counted.l2_errors <= before.l2_errors + 20, "but for the surveys"
        await until_so(partial(stores, cache))
        assert sentinels.primary is not old
        old.thaw()


async def stores(cache: AsyncCache) -> bool:
    """Tell whether L2 takes a value and has it then."""
    try:
        await cache.set("a", 2)
    except StoreUnavailable:
        return False
    return await cache.get("a") == 2

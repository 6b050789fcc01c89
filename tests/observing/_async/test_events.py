"""What a cache tells those who listen."""

from __future__ import annotations

import pytest

from freshwell import AsyncCache, ConfigurationError
from freshwell.ground.events import CoherenceChanged, Degraded, Invalidated, LoadEnded
from tests.support.aio import until
from tests.support.servers import Server


async def seven() -> int:
    return 7


async def broken() -> int:
    raise ValueError("the password is swordfish")


async def test_loads_and_invalidations_are_told_by_digests() -> None:
    async with AsyncCache(namespace="shop") as cache:
        with cache.subscribe() as heard:
            await cache.get_or_load("price:tea", seven)
            with pytest.raises(ValueError, match="swordfish"):
                await cache.get_or_load("price:cocoa", broken)
            await cache.invalidate("price:tea")
            await cache.invalidate_tags("a", "b")
            await cache.expire("price:tea")
            await cache.invalidate_pattern("price:*")
        first, second, *rest = heard.take()
    assert isinstance(first, LoadEnded)
    assert isinstance(second, LoadEnded)
    assert (first.error, second.error) == ("", "ValueError")
    assert first.seconds >= 0
    assert rest == [
        Invalidated("shop", "keys", 1),
        Invalidated("shop", "tags", 2),
        Invalidated("shop", "expire", 1),
        Invalidated("shop", "pattern", 0),
    ]
    assert "price" not in repr((first, second))
    assert "swordfish" not in repr(second)


async def test_hits_are_not_told() -> None:
    async with AsyncCache(namespace="shop") as cache:
        await cache.set("a", 1)
        with cache.subscribe() as heard:
            await cache.get("a")
            assert heard.take() == []


async def test_what_degrades_is_told_each_time_and_so_is_the_feed(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url, namespace="shop") as cache:
        with cache.subscribe() as heard:
            await cache.get("a")
            seen: list[object] = []

            def told(event: object) -> bool:
                seen.extend(heard.take())
                return event in seen

            await until(lambda: told(CoherenceChanged("shop", "feed", True)))
            own_redis.stop()
            for _ in range(2):
                await cache.get("a")
            await until(lambda: told(None) or sum(isinstance(e, Degraded) for e in seen) >= 3)
    failures = [event for event in seen if isinstance(event, Degraded)]
    assert {event.kind for event in failures} == {"L2 failed", "L2 is left alone"}


async def test_how_long_a_notice_took_is_measured(redis_url: str) -> None:
    async with AsyncCache(redis_url, namespace="shop") as cache:
        await cache.get("a")
        await until(lambda: cache.stats().l1_live)
        await cache.invalidate("a")
        await until(lambda: cache.observe().notices.times == 1)


async def test_keys_that_go_beyond_memory_are_hot_and_hits_are_not() -> None:
    async with AsyncCache(namespace="shop") as cache:
        for _ in range(3):
            await cache.get("absent")
        await cache.set("kept", 1)
        for _ in range(9):
            await cache.get("kept")
        assert [(one.key, one.reads) for one in cache.hot_keys()] == [("absent", 3)]


@pytest.mark.parametrize("bound", [0, -1, 1.5, True, "10"], ids=repr)
async def test_bounds_are_checked(bound: int) -> None:
    async with AsyncCache(namespace="shop") as cache:
        with pytest.raises(ConfigurationError, match="max_events"):
            cache.subscribe(bound)
        with pytest.raises(ConfigurationError, match="limit"):
            cache.hot_keys(bound)

"""Sources that fail and loaders that speak, where L2 is down or slow as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from freshwell import AsyncCache, InvalidationError, added_tags, loading
from freshwell.ground.frame import rest_until_ms
from tests.behaviour._async.parts import until_so
from tests.support.aio import until
from tests.support.proxy import DOWN, proxy
from tests.support.servers import Server

KEY = b"fw:e:default:a"
SAFE: dict[str, Any] = {"stale_ttl": 60, "stale_serve": "error", "drain": 0}


class Broken(Exception):
    """What a source raises."""


class Source:
    """Returns the number of the call, or fails."""

    def __init__(self) -> None:
        self.calls = 0
        self.broken = False

    async def __call__(self) -> int:
        self.calls += 1
        if self.broken:
            raise Broken
        return self.calls


async def nothing(keys: Sequence[str]) -> dict[str, int]:
    """Load none of the entries."""
    return {}


async def unstored() -> int:
    loading().do_not_store()
    return 0


async def stale(cache: AsyncCache, source: Source) -> None:
    """Leave an entry past its TTL in both tiers."""
    assert await cache.get_or_load("a", source) == 1
    await cache.expire("a")
    assert (await cache.lookup("a")).state == "stale"


async def cut_off(cache: AsyncCache, server: Server) -> None:
    """Kill the server, and wait until the cache knows and L1 is silent."""
    server.kill()
    await cache.get("nothing", read="fresh")
    await until(lambda: cache.stats().breaker != "closed", "the cache knows")
    await until(lambda: not cache.stats().l1_live, "L1 is silent")


# -- what is counted as what -----------------------------------------------------------------


async def test_what_is_served_because_a_load_has_failed_is_no_answer_without_l2(
    own_redis: Server,
) -> None:
    source = Source()
    async with AsyncCache(own_redis.url, **SAFE) as cache:
        await stale(cache, source)
        source.broken = True
        for _ in range(3):  # the first load fails, then the source is left alone
            assert await cache.get_or_load("a", source) == 1
        assert await cache.get_or_load_many(["a"], nothing) == {"a": 1}
        counted = cache.stats()
        assert (counted.stale_serves, counted.degraded, source.calls) == (4, 0, 2)


async def test_what_is_served_because_l2_is_down_is_one_and_says_so(own_redis: Server) -> None:
    source = Source()
    options: dict[str, Any] = {**SAFE, "stale_serve": "refresh"}
    async with AsyncCache(own_redis.url, max_staleness=60, **options) as cache:
        await cache.get("nothing")
        await until(lambda: cache.stats().l1_live, "L1 may answer")
        await stale(cache, source)
        # The lease, the value and its end have been told of, and drop it from L1 no more.
        await until(lambda: cache.stats().notices >= 3, "the feed has told of it")

        async def is_near() -> bool:
            await cache.lookup("a")
            return cache.stats().entries == 1

        await until_so(is_near)
        own_redis.kill()
        for _ in range(3):
            assert await cache.get_or_load("a", source) == 1
        counted = cache.stats()
        assert (counted.stale_serves, counted.degraded, counted.stale_on_error) == (3, 3, 0)
        seen = await cache.lookup("a")
        assert (seen.state, seen.tier, seen.reason) == ("stale", "l1", "l2 down")


# -- the gutter ------------------------------------------------------------------------------


async def test_the_gutter_serves_first_whoever_would_rather_wait_than_be_served_what_is_stale(
    own_redis: Server,
) -> None:
    source = Source()
    async with AsyncCache(own_redis.url, max_staleness=0.2, gutter_ttl=60, **SAFE) as cache:
        await cut_off(cache, own_redis)
        before = cache.stats().degraded
        assert [await cache.get_or_load("a", source) for _ in range(3)] == [1, 1, 1]
        counted = cache.stats()
        assert (counted.gutter_serves, counted.degraded - before) == (2, 3)
        assert counted.stale_on_error == 0


async def test_a_value_that_is_not_to_be_stored_ends_the_one_in_the_gutter(
    own_redis: Server,
) -> None:
    source = Source()
    async with AsyncCache(own_redis.url, max_staleness=0.2, gutter_ttl=60, drain=0) as cache:
        await cut_off(cache, own_redis)
        assert [await cache.get_or_load("a", source) for _ in range(2)] == [1, 1]
        assert await cache.get_or_load("a", unstored, read="fresh") == 0
        assert await cache.get_or_load("a", source) == 2


@pytest.mark.parametrize(("tag", "then"), [("x", 2), ("another", 1)])
async def test_a_tag_that_the_loader_has_added_voids_what_is_in_the_gutter(
    tag: str, then: int, own_redis: Server
) -> None:
    source = Source()

    async def load() -> int:
        loading().add_tags("x")
        return await source()

    async with AsyncCache(own_redis.url, max_staleness=0.2, gutter_ttl=60, drain=0) as cache:
        await cut_off(cache, own_redis)
        tags = [added_tags]
        assert [await cache.get_or_load("a", load, tags=tags) for _ in range(2)] == [1, 1]
        with pytest.raises(InvalidationError):
            await cache.invalidate_tags(tag)
        assert await cache.get_or_load("a", load, tags=tags) == then


# -- a slow L2 -------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [True, False])
async def test_what_becomes_of_the_entry_is_told_to_a_slow_l2_behind_the_callers_back(
    fails: bool, own_redis: Server
) -> None:
    source = Source()
    limits: dict[str, Any] = {"command_timeout": 5, "connect_timeout": 5, "l2_timeout": 0.15}
    with proxy(own_redis.port) as between:
        async with AsyncCache(between.url, l1=False, **SAFE, **limits) as cache:
            await stale(cache, source)
            between.delay(0.1, DOWN)
            if fails:
                source.broken = True
                assert await cache.get_or_load("a", source) == 1
            else:
                assert await cache.get_or_load("a", unstored) == 0
            assert cache.stats().l2_slow == 1
            between.heal()
            if fails:
                await until(lambda: rest_until_ms(own_redis.ask("GET", KEY)) > 0, "it rests")
            else:
                await until(lambda: not own_redis.ask("EXISTS", KEY), "it is gone")

"""Readers while L2 fails in every way it can: what they get, what it costs, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

import pytest

from freshwell import AsyncCache
from freshwell._kit.aio import sleep
from freshwell.engines.counters import Stats
from tests.support.aio import all_of, until
from tests.support.outages import OUTAGES, Outage, outage_of
from tests.support.proxy import Proxy, proxy
from tests.support.servers import Server

pytestmark = pytest.mark.slow

CALLERS = 20
READS = 12
PAUSE_S = 0.05
KEYS = 16
MAX_LOADS = 4
LEVELS: list[Any] = ["eventual", "fresh"]
FEED_ERRORS = 15
"""The feed has a connection of its own, and counts each time that it cannot connect."""


@dataclass
class Source:
    """Answers after a moment, and notes how many ask it at a time."""

    peak: int = 0
    now: int = 0
    mutex: Lock = field(default_factory=Lock)

    async def __call__(self) -> str:
        with self.mutex:
            self.now += 1
            self.peak = max(self.peak, self.now)
        await sleep(0.01)
        with self.mutex:
            self.now -= 1
        return "value"


def cache_at(url: str, **options: Any) -> AsyncCache:
    """Return a cache with tight limits, whose L1 falls silent within an outage."""
    limits = {"command_timeout": 0.25, "connect_timeout": 0.3, "breaker_pause": 0.2}
    rest = {"max_staleness": 0.4, "max_loads": MAX_LOADS, "drain": 0}
    return AsyncCache(url, **{**limits, **rest, **options})


def limits_for(outage: Outage) -> dict[str, Any]:
    """Return limits for a busy machine where no time limit is to be met."""
    return {} if outage.is_silent else {"command_timeout": 5, "connect_timeout": 5}


async def read(cache: AsyncCache, source: Source, caller: int, reads: int) -> None:
    """Read one entry after another, as one of many callers. What a read raises is raised."""
    for i in range(reads):
        level = LEVELS[(caller + i) % 2]
        key = f"key {(caller + i) % KEYS}"
        assert await cache.get_or_load(key, source, read=level) == "value"
        await sleep(PAUSE_S)


async def crowd(cache: AsyncCache, source: Source, reads: int = READS) -> Stats:
    """Let all callers read. Return what has been counted meanwhile."""
    before = cache.stats().as_dict()
    await all_of(*[partial(read, cache, source, caller, reads) for caller in range(CALLERS)])
    after = cache.stats()
    grown = {
        name: int(value) - int(before[name])
        for name, value in after.as_dict().items()
        if not isinstance(value, str)
    }
    return Stats(**{**after.as_dict(), **grown})  # type: ignore[arg-type]


async def served_by_l2_again(cache: AsyncCache, source: Source) -> None:
    """Read until L2 has answered. Nothing else is done to make it."""
    before = cache.stats().hits_l2
    for _ in range(1_000):
        await cache.get_or_load("key 0", source, read="fresh")
        if cache.stats().hits_l2 > before:
            return
        await sleep(0.01)
    raise AssertionError(f"L2 is not used again: {cache.stats()}")


async def outlive(outage: Outage, server: Server, between: Proxy, cache: AsyncCache) -> Stats:
    """Fill a cache, let L2 fail under its readers, and return what was counted meanwhile."""
    source = Source()
    await crowd(cache, source, 2)
    with outage.during(server, between):
        counted = await crowd(cache, source)
    await served_by_l2_again(cache, source)
    assert source.peak <= MAX_LOADS
    answers = counted.hits_l1 + counted.hits_l2 + counted.misses
    assert answers == CALLERS * READS, "every read was answered, and is counted once"
    return counted


REFUSING_READS = [outage for outage in OUTAGES if not outage.serves_reads]
REFUSING_WRITES = [outage for outage in OUTAGES if outage.serves_reads]


@pytest.mark.parametrize("outage", REFUSING_READS, ids=lambda outage: outage.name)
async def test_an_outage_costs_its_readers_one_time_limit_and_nothing_else(
    outage: Outage, own_redis: Server
) -> None:
    with proxy(own_redis.port) as between:
        async with cache_at(outage.url(own_redis, between), **limits_for(outage)) as cache:
            counted = await outlive(outage, own_redis, between, cache)
            await until(lambda: cache.stats().breaker == "closed", "all is as before")
            assert cache.stats().l2_openings >= 1
    assert counted.l2_openings <= 1
    assert counted.misses == counted.degraded > 0, "each answer without L2 is counted as such"
    assert counted.l2_errors <= CALLERS + FEED_ERRORS, "those who were under way, and nobody else"
    assert counted.l2_refused > 0


@pytest.mark.parametrize("outage", REFUSING_WRITES, ids=lambda outage: outage.name)
async def test_where_only_writes_are_refused_reads_go_on(outage: Outage, own_redis: Server) -> None:
    with proxy(own_redis.port) as between:
        async with cache_at(outage.url(own_redis, between), **limits_for(outage)) as cache:
            counted = await outlive(outage, own_redis, between, cache)
    assert counted.hits_l2 > 0
    assert (counted.l2_openings, counted.degraded, counted.misses) == (0, 0, 0)


async def test_control_without_the_breaker_every_read_pays(own_redis: Server) -> None:
    outage, source = outage_of("stopped"), Source()
    with proxy(own_redis.port) as between:
        async with cache_at(own_redis.url, breaker_failures=10**9) as cache:
            await crowd(cache, source, 2)
            with outage.during(own_redis, between):
                counted = await crowd(cache, source, 4)
    assert counted.l2_errors >= counted.degraded > CALLERS + FEED_ERRORS
    assert counted.l2_openings == 0


async def test_control_without_the_bound_the_source_is_asked_by_many_at_a_time(
    own_redis: Server,
) -> None:
    source = Source()
    with proxy(own_redis.port) as between:
        async with cache_at(own_redis.url, max_loads=64) as cache:
            await crowd(cache, source, 2)
            with outage_of("stopped").during(own_redis, between):
                await crowd(cache, source, 4)
    assert source.peak > MAX_LOADS

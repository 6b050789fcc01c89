"""Reads and writes when the way to L2 is cut, slow or closed, or L2 itself will not serve."""

from __future__ import annotations

import time
from functools import partial

import pytest

from freshwell import AsyncCache, InvalidationError, StoreUnavailable
from freshwell._kit.aio import sleep
from freshwell.testing import DOWN, FaultProxy
from tests.support.aio import Latch, all_of, start, until
from tests.support.impostor import impostor
from tests.support.servers import Server


class Loader:
    """Counts its calls and returns their number, when it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.begun = Latch()
        self.may_end = Latch()

    async def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        self.begun.open()
        await self.may_end.passed()
        return number


def ready() -> Loader:
    loader = Loader()
    loader.may_end.open()
    return loader


async def test_a_link_cut_in_the_middle_of_a_load_costs_its_callers_nothing(
    own_redis: Server,
) -> None:
    with FaultProxy(own_redis.port) as between:
        async with AsyncCache(between.url, drain=0) as cache:
            load = Loader()
            loading = await start(partial(cache.get_or_load, "a", load))
            await load.begun.passed()
            between.cut()
            load.may_end.open()
            assert await loading.result() == 1
            assert await cache.get_or_load("a", load) == 1, "filled by the connection after it"
            assert load.calls == 1


async def test_a_link_cut_while_the_fill_is_answered_fills_once(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        async with AsyncCache(between.url, command_timeout=5, drain=0) as cache:
            await cache.get_or_load("b", ready())  # the server knows the scripts now
            load = Loader()
            loading = await start(partial(cache.get_or_load, "a", load))
            await load.begun.passed()
            between.freeze(DOWN)
            load.may_end.open()
            await until(lambda: is_filled(own_redis), "the fill has reached the server")
            between.cut()
            between.heal()
            assert await loading.result() == 1
            assert await cache.get("a", read="fresh") == 1


def is_filled(server: Server) -> bool:
    """Tell whether there is an entry, which lives far longer than a lease."""
    left_ms: int = server.ask("PTTL", "fw:e:default:a")
    return left_ms > 60_000


async def test_a_link_cut_in_the_middle_of_a_load_that_was_invalidated_fills_nothing(
    own_redis: Server,
) -> None:
    with FaultProxy(own_redis.port) as between:
        async with AsyncCache(between.url, drain=0) as cache, AsyncCache(own_redis.url) as other:
            load = Loader()
            loading = await start(partial(cache.get_or_load, "a", load))
            await load.begun.passed()
            between.refuse()
            await other.invalidate("a")
            between.heal()
            load.may_end.open()
            assert await loading.result() == 1, "asked before the invalidation"
            assert await cache.get("a") is None
            assert await other.get("a") is None


async def test_a_way_that_is_closed_leaves_reads_to_the_source(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        async with AsyncCache(between.url, drain=0) as cache:
            between.refuse()
            load = ready()
            assert await all_of(*[partial(cache.get_or_load, "a", load)] * 5)
            assert await cache.get("a") is None
            assert await cache.get_many(["a", "b"]) == {}
            assert cache.stats().l2_errors > 0
            with pytest.raises(InvalidationError):
                await cache.invalidate("a")
            with pytest.raises(StoreUnavailable):
                await cache.set("a", 2)
            between.heal()
            await eventually_stored(cache)


async def eventually_stored(cache: AsyncCache) -> None:
    """Store and read, as soon as the pause after the last failure is over."""
    for _ in range(1_000):
        try:
            await cache.set("b", 3)
            break
        except StoreUnavailable:
            await sleep(0.01)
    assert await cache.get("b", read="fresh") == 3


async def test_a_server_that_stands_still_leaves_reads_to_the_source_in_time(
    own_redis: Server,
) -> None:
    async with AsyncCache(own_redis.url, command_timeout=0.1, drain=0) as cache:
        await cache.get("a")
        own_redis.freeze()
        began_s = time.monotonic()
        assert await cache.get_or_load("a", ready()) == 1
        # Three exchanges at the most (look, lease, fill), and connecting for each.
        assert time.monotonic() - began_s < 3 * (0.1 + 0.5) + 0.5
        own_redis.thaw()


REFUSALS = ["LOADING", "OOM", "READONLY", "MASTERDOWN", "BUSY", "NOPERM", "CLUSTERDOWN", "ERR"]


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_server_that_refuses_everything_is_a_counted_failure(code: str) -> None:
    with impostor(lambda command: f"-{code} no\r\n".encode()) as server:
        async with AsyncCache(server.url, drain=0) as cache:
            assert await cache.get("a") is None
            assert await cache.get_or_load("a", ready()) == 1
            assert await cache.get_many(["a", "b"]) == {}
            assert cache.stats().l2_errors + cache.stats().l2_refused >= 3
            with pytest.raises(InvalidationError):
                await cache.invalidate("a")
            with pytest.raises(StoreUnavailable):
                await cache.set("a", 2)


async def test_a_full_server_still_serves_and_is_told_of_changes(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url, drain=0) as cache:
        await cache.set("a", 1)
        own_redis.ask("CONFIG", "SET", "maxmemory", "1")
        assert await cache.get("a", read="fresh") == 1
        assert await cache.get_or_load("b", ready()) == 1
        assert cache.stats().l2_errors > 0
        with pytest.raises(StoreUnavailable):
            await cache.set("a", 2)


async def test_a_replica_serves_and_refuses_to_change(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url, drain=0) as cache:
        await cache.set("a", 1)
        own_redis.ask("REPLICAOF", "127.0.0.1", "1")
        assert await cache.get("a", read="fresh") == 1
        assert await cache.get_or_load("b", ready()) == 1
        with pytest.raises(InvalidationError):
            await cache.invalidate("a")

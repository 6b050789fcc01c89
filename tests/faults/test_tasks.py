"""What only tasks can do to a cache: cancel its close, or cancel everything."""

from __future__ import annotations

import asyncio

import pytest

from freshwell import AsyncCache
from freshwell.testing import FaultProxy
from tests.support.servers import Server


def connections(server: Server) -> int:
    """Return how many connections the server has, the one that asks among them."""
    return int(server.info("clients")["connected_clients"])


async def live(cache: AsyncCache) -> None:
    await cache.set("a", 1)
    async with asyncio.timeout(10):
        while not cache.stats().l1_live:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


async def gone(server: Server) -> None:
    async with asyncio.timeout(5):
        while connections(server) > 1:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)


async def test_a_close_that_is_given_up_disconnects_all_the_same(own_redis: Server) -> None:
    before = asyncio.all_tasks()
    cache = AsyncCache(own_redis.url, drain=30)
    await live(cache)

    async def load() -> int:
        await asyncio.sleep(3600)
        return 1

    loading = asyncio.create_task(cache.get_or_load("b", load))
    await asyncio.sleep(0.05)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await cache.aclose()
    await asyncio.wait([loading], timeout=5)
    assert loading.done()
    await gone(own_redis)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_all_tasks_cancelled_at_once_leave_no_one_waiting(own_redis: Server) -> None:
    before = asyncio.all_tasks()
    cache = AsyncCache(own_redis.url)
    await live(cache)

    async def load() -> int:
        await asyncio.sleep(3600)
        return 1

    callers = [asyncio.create_task(cache.get_or_load(f"k{i % 3}", load)) for i in range(9)]
    await asyncio.sleep(0.05)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    done, left = await asyncio.wait(callers, timeout=5)
    assert not left
    assert len(done) == 9
    await cache.aclose()
    await gone(own_redis)


async def test_a_caller_cancelled_while_the_link_connects_leaves_nothing(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as between:
        between.freeze()
        cache = AsyncCache(between.url, drain=0)
        calls = [asyncio.create_task(cache.get("a")) for _ in range(5)]
        await asyncio.sleep(0.05)
        for call in calls[:4]:
            call.cancel()
        between.heal()
        assert await calls[4] is None
        assert cache.stats().l2_errors == 0, "the connection was made for who was left"
        await cache.aclose()
    await gone(own_redis)


class Endless:
    """A source whose commit comes after its caller has given up."""

    def __init__(self) -> None:
        self.value = "old"
        self.begun = asyncio.Event()

    async def load(self, id: int, /) -> str:
        return self.value

    async def save(self, id: int, value: str, /) -> None:
        self.begun.set()
        await asyncio.sleep(3600)


@pytest.mark.parametrize("timed_out", [False, True])
async def test_a_put_that_is_given_up_leaves_nothing_that_its_commit_could_outdate(
    redis_url: str, timed_out: bool
) -> None:
    async with AsyncCache(redis_url) as cache:
        source = Endless()
        rows = cache.write_through(source, key="row:{}", read="fresh")
        assert await rows.get(1) == "old"
        putting = asyncio.create_task(rows.put(1, "new"))
        await source.begun.wait()
        if timed_out:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(putting, 0.01)
        else:
            putting.cancel()
            await asyncio.wait([putting])
            assert putting.cancelled()
        assert (await rows.lookup(1)).reason == "intent"
        assert await rows.get(1) == "old"
        source.value = "new"  # the database had got it, and commits now
        assert await rows.get(1) == "new"

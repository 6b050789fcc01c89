"""A cache outlives its event loop, and its process's fork."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading

import pytest

from freshwell import AsyncCache, Cache, ConfigurationError
from tests.support.processes import workers
from tests.support.servers import Server

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


# asyncio warns of what a loop leaves open that was closed before its cache: rightly.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("shared", [False, True])
def test_a_cache_opens_anew_in_the_next_event_loop(redis_url: str, shared: bool) -> None:
    cache = AsyncCache(redis_url if shared else None)
    loads: list[int] = []

    async def load() -> int:
        loads.append(1)
        return len(loads)

    async def use() -> int:
        value = await cache.get_or_load("a", load)
        assert await cache.get_or_load("a", load) == value
        return value

    async def use_and_close() -> int:
        value = await use()
        await cache.aclose()
        return value

    with asyncio.Runner() as first:
        assert first.run(use()) == 1
    assert asyncio.run(use_and_close()) == 1
    gc.collect()


async def test_a_cache_refuses_a_second_loop_while_the_first_runs() -> None:
    async with AsyncCache() as cache:
        await cache.set("a", 1)
        caught: list[Exception] = []

        async def elsewhere() -> None:
            try:
                await cache.get("a")
            except ConfigurationError as error:
                caught.append(error)

        thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert "another running event loop" in str(caught[0])


def test_after_a_fork_both_processes_go_on(redis_url: str) -> None:
    with workers("tests.behaviour.homes:forking", [{"url": redis_url}]) as group:
        (found,) = group.results()
    assert found == {"status": 0, "in_child": "parent", "in_parent": "child"}


async def test_a_loader_runs_in_the_context_of_its_caller() -> None:
    async with AsyncCache() as cache:
        request_id.set("42")

        async def load() -> str:
            return request_id.get()

        assert await cache.get_or_load("a", load) == "42"


def test_a_plain_loader_runs_in_the_thread_of_its_caller() -> None:
    with Cache() as cache:
        assert cache.get_or_load("a", threading.get_ident) == threading.get_ident()


async def test_a_cancelled_caller_leaves_the_load_to_the_others() -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def load() -> str:
        begun.set()
        await end.wait()
        return "value"

    async with AsyncCache() as cache:
        leader = asyncio.create_task(cache.get_or_load("a", load))
        await begun.wait()
        rider = asyncio.create_task(cache.get_or_load("a", load))
        await asyncio.sleep(0)
        leader.cancel()
        await asyncio.sleep(0)
        end.set()
        assert await rider == "value"
        assert leader.cancelled()
        assert cache.stats().loads == 1


async def test_the_last_caller_to_leave_ends_the_load_and_gives_the_lease_back(
    redis_url: str,
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def load() -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "never"

    async def quick() -> str:
        return "value"

    async with AsyncCache(redis_url, lease=30) as one, AsyncCache(redis_url) as other:
        only = asyncio.create_task(one.get_or_load("a", load))
        await begun.wait()
        only.cancel()
        await ended.wait()
        async with asyncio.timeout(5):
            assert await other.get_or_load("a", quick) == "value"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_was_spooled_in_one_event_loop_is_replayed_in_the_next(own_redis: Server) -> None:
    cache = AsyncCache(own_redis.url, spool="memory", l1=False, drain=20)

    async def outage() -> None:
        await cache.set("a", 1)
        await cache.set("b", 1)
        own_redis.freeze()
        await cache.invalidate("a")

    async def after() -> int:
        assert await cache.get("a") is None
        assert await cache.get("b") == 1
        await cache.aclose()
        return cache.stats().spool_records

    with asyncio.Runner() as first:
        first.run(outage())
    own_redis.thaw()
    assert asyncio.run(after()) == 0
    assert cache.stats().replayed == 1
    gc.collect()

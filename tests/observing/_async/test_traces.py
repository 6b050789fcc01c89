"""What answered each read within a block."""

from __future__ import annotations

import pytest

from freshwell import AsyncCache
from tests.support.aio import Latch, start


async def number(n: int) -> int:
    return n


@pytest.fixture(params=["in process", pytest.param("shared", marks=pytest.mark.server)])
def cache(request: pytest.FixtureRequest) -> AsyncCache:
    """Give a cache that the test closes."""
    if request.param == "in process":
        return AsyncCache(namespace="traced")
    return AsyncCache(request.getfixturevalue("redis_url"), namespace="traced", l1=False)


def where(cache: AsyncCache) -> str:
    return "l1" if "in process" in repr(cache) else "l2"


async def test_a_trace_says_what_served_each_read(cache: AsyncCache) -> None:
    async with cache:
        double = cache.cached("d:{n}")(number)
        await double(1)
        with cache.trace() as trace:
            await double(1)
            await double(2)
            await cache.get("nothing")
            await cache.get_or_load("d:1", lambda: number(5))
        seen = [(one.key, one.source, one.state) for one in trace.served]
        assert seen == [
            ("d:1", where(cache), "fresh"),
            ("d:2", "loader", "fresh"),
            ("nothing", None, "absent"),
            ("d:1", where(cache), "fresh"),
        ]


async def test_hits_by_arguments_are_traced_only_within_the_block() -> None:
    async with AsyncCache(namespace="traced") as cache:
        double = cache.cached("d:{n}")(number)
        await double(1)
        await double(1)
        with cache.trace() as trace:
            await double(1)
            await double(1)
        await double(1)
        assert len(trace.served) == 2
        before = cache.stats().hits_l1
        await double(1)
        assert cache.stats().hits_l1 == before + 1


async def test_a_function_that_is_cached_within_a_block_is_traced_and_works_after_it() -> None:
    async with AsyncCache(namespace="traced") as cache:
        with cache.trace() as trace:
            double = cache.cached("d:{n}")(number)
            await double(1)
            await double(1)
        assert [one.source for one in trace.served] == ["loader", "l1"]
        assert await double(1) == 1
        assert len(trace.served) == 2


async def test_blocks_may_be_nested_and_see_what_is_theirs() -> None:
    async with AsyncCache(namespace="one") as cache, AsyncCache(namespace="two") as other:
        with cache.trace() as outer:
            await cache.get("a")
            with cache.trace() as inner:
                await cache.get("b")
                await other.get("c")
            await cache.get("d")
        assert [one.key for one in outer.served] == ["a", "b", "d"]
        assert [one.key for one in inner.served] == ["b"]


async def test_reads_beside_the_block_are_not_traced() -> None:
    async with AsyncCache(namespace="traced") as cache:
        double = cache.cached("d:{n}")(number)
        await double(1)
        gate, here = Latch(), Latch()

        async def beside() -> None:
            here.open()
            await gate.passed()
            await double(1)

        running = await start(beside)
        await here.passed()
        with cache.trace() as trace:
            gate.open()
            await running.result()
        assert trace.served == ()


async def test_the_age_and_the_time_left_are_told() -> None:
    async with AsyncCache(namespace="traced", jitter=0) as cache:
        await cache.set("a", 1, ttl=60)
        with cache.trace() as trace:
            await cache.get("a")
        (one,) = trace.served
        assert one.age_s is not None
        assert 0 <= one.age_s < 30
        assert one.ttl_left_s is not None
        assert 30 < one.ttl_left_s <= 60


async def test_a_stale_answer_is_called_so() -> None:
    async with AsyncCache(namespace="traced", stale_ttl=60) as cache:
        await cache.set("a", 1)
        await cache.expire("a")
        with cache.trace() as trace:
            assert await cache.get_or_load("a", lambda: number(2)) == 1
        (one,) = trace.served
        assert (one.source, one.state) == ("l1", "stale")
        assert 'detail="1 stale l1"' in trace.header()


async def test_entries_of_a_namespace_are_named_with_it_and_many_at_once_each() -> None:
    async with AsyncCache(namespace="traced") as cache:
        reports = cache.namespace("reports")
        await reports.set("a", 1)
        with cache.trace() as trace:
            await reports.get_many(["a", "b"])
        assert [(one.key, one.source) for one in trace.served] == [
            ("reports:a", "l1"),
            ("reports:b", None),
        ]


async def test_the_header_is_a_cache_status_and_names_no_key() -> None:
    async with AsyncCache(namespace="traced", jitter=0) as cache:
        with cache.trace() as trace:
            assert trace.header() == ""
            await cache.set("secret-a", 1, ttl=60)
            await cache.get("secret-a")
            header = trace.header()
            assert header.startswith("freshwell; hit; ttl=")
            assert header.endswith('detail="1 l1"')
            await cache.get_or_load("secret-b", lambda: number(1))
            assert trace.header() == 'freshwell; fwd=miss; detail="1 l1, 1 loader"'
            assert "secret" not in trace.header() + repr(trace) + repr(trace.served)

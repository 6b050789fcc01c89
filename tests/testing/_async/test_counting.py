"""Loaders that count, and what a watched cache is seen to do."""

from __future__ import annotations

from functools import partial

import pytest

from freshwell import AsyncCache, ConfigurationError
from freshwell.testing import AsyncCountingLoader, watched
from tests.support.aio import start, until


async def test_loads_are_counted_by_id_and_what_is_missing_is_none() -> None:
    loads = AsyncCountingLoader({1: "tea"})
    assert [await loads(1), await loads(2), await loads(1)] == ["tea", None, "tea"]
    loads.assert_calls({1: 2, 2: 1})
    assert (loads.total, loads.most_at_once, loads.running) == (3, 1, 0)
    loads.reset()
    loads.assert_calls({})


async def test_a_count_that_is_not_as_expected_is_told() -> None:
    loads = AsyncCountingLoader(str)
    assert [await loads(1), await loads(1)] == ["1", "1"]
    with pytest.raises(AssertionError, match=r"\{1: 2\}, and \{1: 1\} were expected"):
        loads.assert_once_each(1)


async def test_a_stampede_is_one_load() -> None:
    loads = AsyncCountingLoader({1: "tea"})
    loads.hold()
    async with AsyncCache() as cache:
        names = cache.read_through(loads, key="name:{}")
        callers = [await start(partial(names.get, 1)) for _ in range(20)]
        await until(lambda: loads.running == 1, "the load has begun")
        loads.let_go()
        assert {await caller.result() for caller in callers} == {"tea"}
    loads.assert_once_each(1)


async def test_what_runs_at_once_is_counted() -> None:
    """The control of the one above: without a cache, each caller loads."""
    loads = AsyncCountingLoader({1: "tea"})
    loads.hold()
    callers = [await start(loads.of(1)) for _ in range(5)]
    await until(lambda: loads.running == 5, "all have begun")
    loads.let_go()
    assert [await caller.result() for caller in callers] == ["tea"] * 5
    assert (loads.most_at_once, loads.calls) == (5, {1: 5})


async def test_a_loader_that_raises_is_counted() -> None:
    loads: AsyncCountingLoader[str] = AsyncCountingLoader({}.__getitem__)
    with pytest.raises(KeyError):
        await loads(1)
    assert (loads.calls, loads.running) == ({1: 1}, 0)


async def test_what_a_cache_does_within_the_block_is_seen() -> None:
    async with AsyncCache(jitter=0) as cache:
        await cache.get("a")
        with watched(cache.namespace("shop")) as seen:
            await cache.set("a", 1)
            assert await cache.get("a") == 1
            assert seen["hits_l1"] == 1
        await cache.get("a")
        assert seen.counts == {"hits_l1": 1}
        seen.assert_counts(hits_l1=1, loads=0)
        seen.assert_calm()
        with pytest.raises(
            AssertionError, match=r"expected \{'loads': 1\}; in all \{'hits_l1': 1\}"
        ):
            seen.assert_counts(loads=1)
        with pytest.raises(KeyError):
            seen["hits"]


async def test_every_incident_is_seen_and_none_after_the_block() -> None:
    async def fails() -> None:
        raise ValueError

    async with AsyncCache(stale_ttl="1h") as cache:
        await cache.set_many({"a": 1, "b": 2, "c": 3})
        await cache.expire("a", "b", "c")
        with watched(cache) as seen:
            for count, key in enumerate(("a", "b"), 1):
                await cache.get_or_load(key, fails)
                await until(partial(lambda n: len(seen.incidents) == n, count))
        assert [tuple(one) for one in seen.incidents] == [("a refresh failed", "ValueError")] * 2
        with pytest.raises(AssertionError, match="2 incidents"):
            seen.assert_calm()
        await cache.get_or_load("c", fails)
        await until(lambda: cache.stats().refresh_errors == 3, "it failed too")
        assert len(seen.incidents) == 2


async def test_what_no_loader_can_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="type int"):
        AsyncCountingLoader(3)  # type: ignore[arg-type]

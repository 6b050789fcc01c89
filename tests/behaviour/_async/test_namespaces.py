"""Namespaces that are cleared at once, and schema versions that live side by side."""

from __future__ import annotations

from functools import partial

import pytest

from freshwell import AsyncCache, CacheClosed, ConfigurationError
from tests.behaviour._async.parts import Loader, Make
from tests.support.aio import Latch, start
from tests.support.servers import Server


async def test_a_namespace_has_keys_of_its_own(make: Make) -> None:
    async with make() as cache:
        reports = cache.namespace("reports")
        await cache.set("a", "outside")
        await reports.set("a", "inside")
        assert await cache.get("a") == "outside"
        assert await reports.get("a") == "inside"
        assert await cache.namespace("reports").get("a") == "inside"
        await cache.invalidate("a")
        assert await reports.get_many(["a"]) == {"a": "inside"}
        await reports.invalidate("a")
        assert await reports.get("a") is None


async def test_clear_empties_a_namespace_and_nothing_else(make: Make) -> None:
    async with make() as cache:
        reports, others = cache.namespace("reports"), cache.namespace("others")
        for place in (cache, reports, others):
            await place.set_many({"a": 1, "b": 2})
        await reports.clear()
        assert await reports.get_many(["a", "b"]) == {}
        for place in (cache, others):
            assert await place.get_many(["a", "b"]) == {"a": 1, "b": 2}
        load = Loader()
        assert await reports.get_or_load("a", load) == 1
        assert await reports.get_or_load("a", load) == 1


async def test_clear_costs_one_write_whatever_there_is(
    redis_url: str, redis_server: Server
) -> None:
    async with AsyncCache(redis_url) as cache:
        reports = cache.namespace("reports")
        await reports.set_many({str(n): n for n in range(2_000)})
        redis_server.ask("CONFIG", "RESETSTAT")
        await reports.clear()
        stats = redis_server.info("commandstats")
        assert stats["cmdstat_evalsha"].startswith("calls=1,")
        assert stats["cmdstat_set"].startswith("calls=1,")
        assert await reports.get_many([str(n) for n in range(2_000)]) == {}


async def test_clearing_a_namespace_clears_those_inside(make: Make) -> None:
    async with make() as cache:
        outer = cache.namespace("outer")
        inner = outer.namespace("inner")
        for place in (outer, inner):
            await place.set("a", 1)
        await inner.clear()
        assert (await outer.get("a"), await inner.get("a")) == (1, None)
        await inner.set("a", 1)
        await outer.clear()
        assert (await outer.get("a"), await inner.get("a")) == (None, None)


async def test_a_load_from_before_the_clear_is_not_stored(make: Make) -> None:
    async with make() as cache:
        reports = cache.namespace("reports")
        begun, let_go = Latch(), Latch()

        async def load() -> str:
            begun.open()
            await let_go.passed()
            return "old"

        reading = await start(partial(reports.get_or_load, "a", load))
        await begun.passed()
        await reports.clear()
        let_go.open()
        assert await reading.result() == "old"
        assert await reports.get("a") is None


async def test_functions_and_readers_live_in_namespaces(make: Make) -> None:
    async with make() as cache:
        reports = cache.namespace("reports")
        calls: list[int] = []

        @reports.cached("a:{n}", tags=["all"])
        async def square(n: int) -> int:
            calls.append(n)
            return n * n

        async def load(id: int) -> int:
            calls.append(id)
            return id

        reader = reports.read_through(load, key="r:{}")
        for _ in range(2):
            assert (await square(2), await reader.get(7)) == (4, 7)
        assert calls == [2, 7]
        assert square.key(2) == "a:2"
        assert await reports.get("a:2") == 4
        assert await cache.get("a:2") is None
        await square.invalidate(2)
        await square(2)
        await reports.clear()
        await square.many([2])
        await reader.get_many([7])
        await cache.invalidate_tags("all")
        await square(2)
        assert calls == [2, 7, 2, 2, 7, 2]


async def test_a_namespace_ends_with_its_cache() -> None:
    cache = AsyncCache()
    reports = cache.namespace("reports")
    await cache.aclose()
    with pytest.raises(CacheClosed):
        await reports.get("a")


def test_a_namespace_needs_a_name() -> None:
    for name in ("", "a/b", "a:b", "x" * 65):
        with pytest.raises(ConfigurationError, match="namespace is"):
            AsyncCache().namespace(name)


def test_a_namespace_shows_where_it_is() -> None:
    cache = AsyncCache(namespace="shop")
    inner = cache.namespace("a").namespace("b")
    assert repr(inner) == f"<{type(inner).__name__} 'a/b' of {cache!r}>"


# -- schema versions -------------------------------------------------------------------------


async def test_schema_versions_do_not_read_each_other(make: Make) -> None:
    async with make(version=1) as old, make(version=2) as new:
        await old.set("a", "old form")
        assert await new.get("a") is None
        load = Loader()
        assert await new.get_or_load("a", load) == 1
        assert await old.get("a") == "old form"


async def test_an_invalidation_reaches_every_schema_version(redis_url: str) -> None:
    async with AsyncCache(redis_url, version=1) as old, AsyncCache(redis_url, version=2) as new:
        for writer in (old, new):
            for cache in (old, new):
                await cache.get_or_load("a", Loader())
                await cache.namespace("n").get_or_load("a", Loader())
            await writer.invalidate("a")
            await writer.namespace("n").invalidate("a")
            for cache in (old, new):
                assert await cache.get("a", read="fresh") is None
                assert await cache.namespace("n").get("a", read="fresh") is None


async def test_without_a_common_tag_the_other_version_would_stay(redis_url: str) -> None:
    """The control: what a version in the key alone would do."""
    async with AsyncCache(redis_url, version=1) as old, AsyncCache(redis_url, version=2) as new:
        await old.get_or_load("a", Loader())
        new._core.names.versioned = False
        await new.invalidate("a")
        assert await old.get("a", read="fresh") == 1


async def test_a_value_that_is_set_outdates_the_other_versions(redis_url: str) -> None:
    async with AsyncCache(redis_url, version=1) as old, AsyncCache(redis_url, version=2) as new:
        await old.set("a", "old")
        await new.set("a", "new")
        assert await old.get("a", read="fresh") is None
        assert await new.get("a", read="fresh") == "new"


async def test_a_writer_of_one_version_makes_the_others_absent(redis_url: str) -> None:
    async with AsyncCache(redis_url, version=1) as old, AsyncCache(redis_url, version=2) as new:
        load = Loader()
        await old.get_or_load("a", load)
        async with new.writing("a"):
            assert await old.get("a", read="fresh") is None
            assert await old.get_or_load("a", load, read="fresh") == 2
            assert await old.get("a", read="fresh") is None, "nothing is stored meanwhile"
        assert await old.get_or_load("a", load, read="fresh") == 3
        assert await old.get_or_load("a", load, read="fresh") == 3


async def test_a_cache_shows_its_version() -> None:
    assert "version '3'" in repr(AsyncCache(version=3))

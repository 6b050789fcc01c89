"""Many entries at once are answered as they are one by one."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache
from freshwell._async.coordination import sights
from freshwell._kit.aio import sleep
from freshwell.ground.freshness import judge
from tests.behaviour._async.parts import Held, Make, of
from tests.support.aio import start, until
from tests.support.servers import Server

_KEYS = [f"k:{i}" for i in range(12)]
_LARGE = "x" * 5_000
"""Not copied on its way to the codec."""


async def giving(value: Any) -> Any:
    return value


async def filled(cache: AsyncCache, server: Server) -> None:
    """Store entries of every kind."""
    for key in _KEYS:
        await cache.set(key, {"key": key})
    await cache.set("k:1", 1, tags=["kept"])
    await cache.set("k:2", 2, tags=["gone"])
    await cache.invalidate_tags("gone")
    await cache.invalidate("k:3")
    await cache.invalidate("k:4")
    await cache.get_or_load("k:4", partial(giving, None), negative_ttl=60)
    await cache.set("k:5", 5, ttl=0.05, stale_ttl=60)
    await cache.set("k:6", None)
    await cache.set("k:8", _LARGE)
    server.ask("SET", "fw:e:many:k:9", b"fw\x01 garbage")
    server.ask("COPY", "fw:e:many:k:8", "fw:e:many:k:10", "REPLACE")
    server.ask("DEL", "fw:e:many:k:11")
    server.ask("LPUSH", "fw:e:many:k:11", "of another type")
    await sleep(0.1)


async def test_each_is_answered_as_it_is_by_itself(redis_url: str, redis_server: Server) -> None:
    async with of(redis_url, namespace="many", l1=False) as cache:
        await filled(cache, redis_server)
        before, nothing = cache.stats(), object()
        each = {key: await cache.get(key, nothing) for key in _KEYS}
        assert [k for k, value in each.items() if value is nothing] == [
            *("k:2", "k:3", "k:5", "k:9", "k:10", "k:11")
        ]
        one_by_one = cache.stats()
        many = await cache.get_many(_KEYS)
        assert many == {
            k: value for k, value in each.items() if value is not nothing and k != "k:4"
        }
        assert list(many) == [key for key in _KEYS if key in many]
        together = cache.stats()
        for name in ("hits_l2", "misses", "negative_hits", "outdated"):
            first, second, third = (getattr(s, name) for s in (before, one_by_one, together))
            assert third - second == second - first > 0, name


async def test_what_is_missing_is_loaded_and_nothing_else(
    redis_url: str, redis_server: Server
) -> None:
    async with of(redis_url, namespace="many", l1=False) as cache:
        await filled(cache, redis_server)
        asked: list[str] = []

        async def load(keys: list[str]) -> dict[str, Any]:
            asked.extend(keys)
            return dict.fromkeys(keys, "loaded")

        found = await cache.get_or_load_many(_KEYS, load)
        assert sorted(asked) == ["k:10", "k:11", "k:2", "k:3", "k:5", "k:9"]
        assert list(found) == [key for key in _KEYS if key != "k:4"]
        assert [key for key, value in found.items() if value == "loaded"] == [
            *("k:2", "k:3", "k:5", "k:9", "k:10", "k:11")
        ]
        assert found["k:8"] == _LARGE


@pytest.mark.parametrize("traced", [False, True])
async def test_a_trace_is_told_of_each(redis_url: str, traced: bool) -> None:
    async with of(redis_url, l1=False) as cache:
        for key in _KEYS[:3]:
            await cache.set(key, key)
        if not traced:
            assert len(await cache.get_many(_KEYS[:4])) == 3
            return
        with cache.trace() as trace:
            assert len(await cache.get_many(_KEYS[:4])) == 3
        told = {served.key: served.source for served in trace.served}
        assert told == {"k:0": "l2", "k:1": "l2", "k:2": "l2", "k:3": None}


async def test_the_same_key_twice_is_one_entry(make: Make) -> None:
    async with make() as cache:
        await cache.set("a", 1)
        assert await cache.get_many(["a", "b", "a"]) == {"a": 1}


async def test_entries_without_a_tag_that_their_caller_gives_are_absent(redis_url: str) -> None:
    async with of(redis_url, l1=False) as cache:
        await cache.set_many({"a": 1, "b": 2}, tags=["t", "other"])
        await cache.set_many({"c": 3}, tags=["other"])
        await cache.set_many({"d": 4})

        async def load(keys: list[str]) -> dict[str, Any]:
            return dict.fromkeys(keys, "loaded")

        keys = ["a", "b", "c", "d"]
        found = await cache.get_or_load_many(keys, load, tags=["t"])
        assert found == {"a": 1, "b": 2, "c": "loaded", "d": "loaded"}
        await cache.invalidate_tags("other")
        found = await cache.get_or_load_many(keys, load, tags=["t"])
        assert found == dict.fromkeys(keys, "loaded")


async def test_each_call_of_many_has_tags_of_its_own(redis_url: str) -> None:
    async with of(redis_url, l1=False) as cache:
        loaded: list[int] = []

        @cache.cached("t:{n}", tags=["all", "one:{n}"])
        async def product(n: int) -> int:
            loaded.append(n)
            return n

        assert await product.many(range(5)) == list(range(5))
        await cache.invalidate_tags("one:3")
        loaded.clear()
        assert await product.many(range(5)) == list(range(5))
        assert loaded == [3]
        await cache.invalidate_tags("all")
        assert await product.many(range(5)) == list(range(5))
        assert sorted(loaded) == [0, 1, 2, 3, 3, 4]
        assert cache.stats().outdated == 6


async def test_who_joins_a_load_of_many_takes_of_it_what_has_not_been_invalidated_since(
    make: Make,
) -> None:
    async with make() as cache:
        held, version = Held(), 1

        async def old(keys: list[str]) -> dict[str, int]:
            return dict.fromkeys(keys, await held())

        async def new(keys: list[str]) -> dict[str, int]:
            return dict.fromkeys(keys, version)

        first = await start(partial(cache.get_or_load_many, ["a", "b"], old))
        await held.begun.passed()
        version = 2
        await cache.invalidate("a")
        second = await start(partial(cache.get_or_load_many, ["a", "b"], new))
        await until(lambda: cache.stats().misses == 4, "it waits")
        held.let_go.open()
        assert await first.result() == {"a": 1, "b": 1}
        assert await second.result() == {"a": 2, "b": 1}
        assert await cache.get("a") in (None, 2)


async def test_values_of_both_tiers_come_in_the_order_in_which_they_were_asked_for(
    redis_url: str,
) -> None:
    async with (
        AsyncCache(redis_url, namespace="both") as cache,
        AsyncCache(redis_url, namespace="both", l1=False) as other,
    ):
        await other.set_many({key: key for key in _KEYS})
        await cache.get(_KEYS[0])
        await until(lambda: cache.stats().l1_live, "the feed is proven")
        assert list(await cache.get_many(_KEYS[::3])) == _KEYS[::3]
        before = cache.stats()
        found = await cache.get_many([*_KEYS, *_KEYS])
        assert list(found.items()) == [(key, key) for key in _KEYS]
        after = cache.stats()
        assert after.hits_l1 - before.hits_l1 == len(_KEYS[::3])
        assert after.hits_l2 - before.hits_l2 == len(_KEYS) - len(_KEYS[::3])
        again = await cache.get_many(_KEYS)
        assert list(again.items()) == [(key, key) for key in _KEYS]
        assert cache.stats().hits_l1 - after.hits_l1 == len(_KEYS)


async def test_of_many_that_are_kept_each_can_be_overtaken(redis_url: str) -> None:
    async with AsyncCache(redis_url, namespace="both") as cache:
        await cache.set_many({key: key for key in _KEYS}, tags=["all"])
        await until(lambda: cache.stats().l1_live, "the feed is proven")
        assert len(await cache.get_many(_KEYS)) == len(_KEYS)
        assert len(await cache.get_many(_KEYS)) == len(_KEYS)
        await cache.invalidate(_KEYS[0])
        assert list(await cache.get_many(_KEYS)) == _KEYS[1:]
        await cache.invalidate_tags("all")
        assert await cache.get_many(_KEYS) == {}


async def test_ids_that_are_equal_and_of_different_types_are_not_mixed_up(make: Make) -> None:
    async def load(id: Any) -> Any:
        return repr(id)

    async with make() as cache:
        reader = cache.read_through(load, key="r:{}", tags=["of:{}"])
        for _ in range(2):
            assert await reader.get_many([1, 2]) == {1: "1", 2: "2"}
            assert await reader.get_many([True]) == {True: "True"}
            assert await reader.get_many([1.0, 3.5]) == {1.0: "1.0", 3.5: "3.5"}
        await cache.invalidate_tags("of:1")
        assert cache.stats().invalidations == 1
        many = list(range(5_000))
        assert await reader.get_many(many) == {id: repr(id) for id in many}
        assert await reader.get_many(many) == {id: repr(id) for id in many}


async def test_what_leaves_memory_while_it_is_judged_is_still_known_to_be_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with AsyncCache() as cache:

        def dropping(*args: Any, **kwargs: Any) -> Any:
            verdict = judge(*args, **kwargs)
            cache._core.table.drop("a")  # as another thread may
            return verdict

        async def nothing(keys: list[str]) -> dict[str, int]:
            return {}

        read = partial(cache.get_or_load_many, ["a"], nothing)
        assert await read() == {}
        monkeypatch.setattr(sights, "judge", dropping)
        assert await read() == {}
        assert cache.stats().hits_l1 == 1

"""What reading through a cache does, in one process with nothing installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from freshwell import (
    AsyncCache,
    CacheClosed,
    ConfigurationError,
    KeyRejected,
    LoadShed,
    NestedLoadError,
)
from freshwell._kit.aio import sleep


class Loader:
    """Counts its calls and returns their number."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        return self.calls


def giving(value: Any) -> Callable[[], Awaitable[Any]]:
    """Return a loader of `value`."""

    async def load() -> Any:
        return value

    return load


async def test_a_value_is_loaded_once_and_served_from_then_on() -> None:
    async with AsyncCache() as cache:
        loader = Loader()
        assert await cache.get_or_load("a", loader) == 1
        assert await cache.get_or_load("a", loader) == 1
        assert await cache.get("a") == 1
        assert cache.stats().hits_l1 == 2
        assert cache.stats().loads == 1


async def test_an_absent_entry_is_the_default() -> None:
    async with AsyncCache() as cache:
        assert await cache.get("a") is None
        assert await cache.get("a", "default") == "default"


async def test_none_is_a_value() -> None:
    async with AsyncCache() as cache:
        calls: list[int] = []

        async def nothing() -> int | None:
            calls.append(1)
            return None

        assert await cache.get_or_load("a", nothing) is None
        assert await cache.get_or_load("a", nothing) is None
        assert len(calls) == 1
        assert await cache.get("a", "default") is None


async def test_none_is_not_stored_where_negative_ttl_is_zero() -> None:
    async with AsyncCache(negative_ttl=0) as cache:
        calls: list[int] = []

        async def nothing() -> int | None:
            calls.append(1)
            return None

        await cache.get_or_load("a", nothing)
        await cache.get_or_load("a", nothing)
        assert len(calls) == 2


async def test_an_exception_reaches_the_caller_as_it_is_and_nothing_is_stored() -> None:
    async with AsyncCache() as cache:
        boom = LookupError("boom")

        async def broken() -> int:
            raise boom

        with pytest.raises(LookupError) as caught:
            await cache.get_or_load("a", broken)
        assert caught.value is boom
        assert await cache.get_or_load("a", Loader()) == 1
        assert cache.stats().load_errors == 1


async def test_many_are_loaded_by_one_call_with_the_missing_ones() -> None:
    async with AsyncCache() as cache:
        asked: list[list[str]] = []

        async def load(keys: list[str]) -> dict[str, str]:
            asked.append(keys)
            return {key: key.upper() for key in keys if key != "c"}

        await cache.set("a", "A")
        assert await cache.get_or_load_many(["a", "b", "c"], load) == {"a": "A", "b": "B"}
        assert asked == [["b", "c"]]
        assert await cache.get_or_load_many(["c", "b", "a"], load) == {"b": "B", "a": "A"}
        assert asked == [["b", "c"]]


async def test_get_many_returns_what_is_there() -> None:
    async with AsyncCache() as cache:
        await cache.set_many({"a": 1, "b": None})
        assert await cache.get_many(["a", "b", "c"]) == {"a": 1, "b": None}


async def test_what_was_set_is_read_and_what_was_invalidated_is_not() -> None:
    async with AsyncCache() as cache:
        await cache.set("a", 1)
        await cache.invalidate("a")
        assert await cache.get("a") is None
        assert cache.stats().invalidations == 1


async def test_the_source_level_loads_although_there_is_a_fresh_value() -> None:
    async with AsyncCache() as cache:
        loader = Loader()
        await cache.get_or_load("a", loader)
        assert await cache.get_or_load("a", loader, read="source") == 2
        assert await cache.get("a") == 2


async def test_a_value_invalidated_while_it_loads_is_returned_and_not_stored() -> None:
    async with AsyncCache() as cache:

        async def load() -> str:
            await cache.invalidate("a")
            return "old"

        assert await cache.get_or_load("a", load) == "old"
        assert await cache.get("a") is None


async def test_a_value_set_while_another_loads_stays() -> None:
    async with AsyncCache() as cache:

        async def load() -> str:
            await cache.set("a", "set")
            return "loaded"

        assert await cache.get_or_load("a", load) == "loaded"
        assert await cache.get("a") == "set"


async def test_lookup_says_what_is_there_and_loads_nothing() -> None:
    async with AsyncCache() as cache:
        absent = await cache.lookup("a")
        assert (absent.found, absent.state, absent.tier) == (False, "absent", None)
        await cache.set("a", 1, ttl=100, jitter=0)
        there = await cache.lookup("a")
        assert (there.found, there.state, there.tier, there.value) == (True, "fresh", "l1", 1)
        assert there.age_s is not None
        assert 0 <= there.age_s < 50
        assert there.ttl_left_s is not None
        assert 50 < there.ttl_left_s <= 100
        assert "1" not in repr(there).replace("l1", "").split("ttl_left_s")[0].split("age_s")[0]


async def test_an_expired_entry_is_served_stale_only_to_those_who_accept_it() -> None:
    async with AsyncCache() as cache:
        await cache.set("a", "old", stale_ttl=60)
        await cache.expire("a")
        assert await cache.get("a") is None
        assert (await cache.lookup("a", stale_ttl=60)).state == "stale"
        assert (await cache.lookup("a")).state == "expired"
        assert await cache.get_or_load("a", giving("new"), stale_ttl=60) == "old"
        assert cache.stats().stale_serves == 1


async def test_a_source_that_fails_is_left_alone_for_a_while_by_refreshes() -> None:
    calls: list[int] = []

    async def fail() -> str:
        calls.append(1)
        raise LookupError("the source is down")

    async with AsyncCache() as cache:
        await cache.set("a", "old", stale_ttl=60)
        await cache.expire("a")
        for _ in range(50):
            assert await cache.get_or_load("a", fail, stale_ttl=60) == "old"
            await sleep(0.001)
        assert len(calls) == 1
        assert cache.stats().refresh_errors == 1
        assert cache.stats().stale_serves == 50


async def test_an_invalidated_entry_is_not_served_stale() -> None:
    async with AsyncCache() as cache:
        await cache.set("a", "old", stale_ttl=60)
        await cache.invalidate("a")
        assert await cache.get_or_load("a", giving("new"), stale_ttl=60) == "new"


async def test_a_loader_that_waits_for_its_own_entry_is_told_so() -> None:
    async with AsyncCache() as cache:

        async def load() -> Any:
            return await cache.get_or_load("a", load)

        with pytest.raises(NestedLoadError):
            await cache.get_or_load("a", load)


async def test_a_nested_load_needs_no_slot_of_its_own() -> None:
    async with AsyncCache(max_loads=1, load_wait=0) as cache:

        async def outer() -> int:
            inner: int = await cache.get_or_load("inner", giving(1))
            return inner + 1

        assert await cache.get_or_load("outer", outer) == 2


async def test_a_load_without_a_slot_is_shed() -> None:
    async with AsyncCache(max_loads=1, load_wait=0) as cache:
        gate = cache._core.engine().tiers.gate
        assert await gate.enter(0)
        with pytest.raises(LoadShed):
            await cache.get_or_load("a", Loader())
        gate.leave()
        assert await cache.get_or_load("a", Loader()) == 1
        assert cache.stats().shed == 1


@pytest.mark.parametrize(
    "key", ["", "x" * 1025, "a\nb", "\ud800"], ids=["empty", "long", "control", "surrogate"]
)
async def test_a_key_that_cannot_name_an_entry_is_refused(key: str) -> None:
    async with AsyncCache() as cache:
        with pytest.raises(KeyRejected):
            await cache.get(key)
        with pytest.raises(KeyRejected):
            await cache.invalidate("good", key)


async def test_keys_are_text() -> None:
    async with AsyncCache() as cache:
        with pytest.raises(KeyRejected, match="int"):
            await cache.get(1)  # type: ignore[arg-type]


async def test_a_closed_cache_says_so() -> None:
    cache = AsyncCache()
    await cache.set("a", 1)
    await cache.aclose()
    await cache.aclose()
    with pytest.raises(CacheClosed):
        await cache.get("a")
    assert "closed" in repr(cache)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ttl", 0),
        ("ttl", -1),
        ("ttl", "soon"),
        ("ttl", float("inf")),
        ("ttl", True),
        ("ttl", None),
        ("ttl", "31d"),
        ("max_ttl", 0),
        ("stale_ttl", "31d"),
        ("jitter", 1),
        ("jitter", -0.1),
        ("beta", -1),
        ("namespace", "a:b"),
        ("namespace", ""),
        ("read", "stale"),
        ("max_entries", 0),
        ("max_bytes", 1.5),
        ("max_loads", 0),
        ("lease", 0),
    ],
)
async def test_a_wrong_option_is_refused_when_the_cache_is_built(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        AsyncCache(**{option: value})


@pytest.mark.parametrize("ttl", [0, "31d", -5])
async def test_a_wrong_ttl_is_refused_at_the_call(ttl: Any) -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="ttl"):
            await cache.get_or_load("a", Loader(), ttl=ttl)


async def test_read_through_owns_its_loader() -> None:
    class Users:
        def __init__(self) -> None:
            self.asked: list[Any] = []

        async def load(self, id: int) -> str | None:
            self.asked.append(id)
            return None if id == 9 else f"user {id}"

        async def load_many(self, ids: list[int]) -> dict[int, str]:
            self.asked.append(ids)
            return {id: f"user {id}" for id in ids if id != 9}

    async with AsyncCache() as cache:
        source = Users()
        users = cache.read_through(source, key="user:{}")
        assert await users.get(1) == "user 1"
        assert await users.get_many([1, 2, 9]) == {1: "user 1", 2: "user 2"}
        assert source.asked == [1, [2, 9]]
        assert await users.get_many([1, 2, 9]) == {1: "user 1", 2: "user 2"}
        assert await users.get(9) is None
        assert source.asked == [1, [2, 9]]
        await users.invalidate(1)
        assert await users.refresh(1) == "user 1"
        assert source.asked == [1, [2, 9], 1]
        assert (await users.lookup(1)).state in ("fresh", "early")
        assert users.key(1) == "user:1"


async def test_a_source_without_load_is_refused_when_the_reader_is_built() -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="load"):
            cache.read_through(object(), key="user:{}")  # type: ignore[arg-type]


async def test_a_key_template_with_the_wrong_name_is_refused_when_the_reader_is_built() -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match="ident"):
            cache.read_through(lambda id: id, key="user:{ident}")

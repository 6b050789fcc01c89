"""Tags: entries that are forgotten together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, ConfigurationError, KeyRejected, added_tags
from freshwell._kit.aio import sleep
from tests.behaviour._async.parts import Held, Loader, Make, listening, until_so
from tests.support.aio import all_of, start, until


@dataclass
class User:
    id: int
    team: str


async def test_a_tag_ends_all_of_its_entries_and_no_others(make: Make) -> None:
    async with make() as cache:
        loads = {key: Loader() for key in "abc"}

        async def read(key: str, *tags: str) -> int:
            return await cache.get_or_load(key, loads[key], tags=tags)

        for _ in range(2):
            await all_of(
                partial(read, "a", "x"), partial(read, "b", "x", "y"), partial(read, "c", "y")
            )
        assert [load.calls for load in loads.values()] == [1, 1, 1]
        await cache.invalidate_tags("x")
        assert await cache.get("a") is None
        assert await cache.get_many(["a", "b", "c"]) == {"c": 1}
        assert (await read("a", "x"), await read("b", "x", "y"), await read("c", "y")) == (2, 2, 1)
        assert await read("a", "x") == 2, "it is stored under the new version"
        assert cache.stats().invalidations == 1


async def test_an_entry_ends_with_any_of_its_tags(make: Make) -> None:
    async with make() as cache:
        load = Loader()
        for tag in ("x", "y", "z"):
            before = await cache.get_or_load("a", load, tags=["x", "y", "z"])
            await cache.invalidate_tags(tag)
            assert await cache.get_or_load("a", load, tags=["x", "y", "z"]) == before + 1


async def test_several_tags_end_at_once(make: Make) -> None:
    async with make() as cache:
        for key in "xyz":
            await cache.set(key, 1, tags=[key])
        await cache.invalidate_tags("x", "y")
        assert await cache.get_many(list("xyz")) == {"z": 1}
        await cache.invalidate_tags()


async def test_another_process_misses_after_the_ack(redis_url: str) -> None:
    async with AsyncCache(redis_url) as one, AsyncCache(redis_url) as other:
        await listening(other)
        await one.set("a", 1, tags=["x"])
        assert await other.get("a") == 1
        assert await other.get("a", read="fresh") == 1
        await one.invalidate_tags("x")
        assert await other.get("a", read="fresh") is None
        await until_so(partial(misses, other))


async def test_l1_holds_entries_by_their_tags(redis_url: str) -> None:
    async with AsyncCache(redis_url) as one, AsyncCache(redis_url) as other:
        await listening(other)
        await one.set("a", 1, tags=["x"])
        await until_so(partial(in_l1, other))
        await one.invalidate_tags("x")
        await until_so(partial(misses, other))
        assert (await other.lookup("a")).tier is None


async def misses(cache: AsyncCache) -> bool:
    return await cache.get("a") is None


async def in_l1(cache: AsyncCache) -> bool:
    await cache.get("a")
    return (await cache.lookup("a")).tier == "l1"


async def test_what_was_loaded_before_an_invalidation_is_returned_and_not_stored(
    make: Make,
) -> None:
    async with make() as cache:
        load = Held()
        reading = await start(partial(cache.get_or_load, "a", load, tags=["x"]))
        await load.begun.passed()
        await cache.invalidate_tags("x")
        load.let_go.open()
        assert await reading.result() == 1, "who waited gets it"
        assert await cache.get("a") is None, "and nobody else"


async def test_a_tag_of_the_value_ends_the_entry(make: Make) -> None:
    async with make() as cache:
        users = {1: User(1, "red"), 2: User(2, "blue")}

        async def read(id: int) -> User:
            async def load() -> User:
                return users[id]

            return await cache.get_or_load(
                f"u{id}", load, tags=["users", lambda user: f"team:{user.team}"], type=User
            )

        assert await read(1) == users[1]
        assert await read(2) == users[2]
        assert await cache.get("u1", type=User) == users[1]
        await cache.invalidate_tags("team:red")
        assert await cache.get("u1", type=User) is None
        assert await cache.get("u2", type=User) == users[2]


async def test_a_tag_of_the_value_that_changes_during_the_load_refuses_it(make: Make) -> None:
    async with make() as cache:
        load = Held()
        tags = [lambda number: ["even", "odd"][number % 2]]
        reading = await start(partial(cache.get_or_load, "a", load, tags=tags))
        await load.begun.passed()
        await cache.invalidate_tags("odd")
        load.let_go.open()
        assert await reading.result() == 1
        assert await cache.get("a") is None
        assert cache.stats().fills_refused >= 1 or cache.stats().entries == 0


async def test_a_function_among_the_tags_may_return_several_and_none(make: Make) -> None:
    async with make() as cache:

        async def read(key: str, *tags: str) -> str:
            async def load() -> str:
                return key

            return await cache.get_or_load(key, load, tags=[lambda value: tags])

        await read("a", "x", "y")
        await read("b")
        await cache.invalidate_tags("y")
        assert await cache.get_many(["a", "b"]) == {"b": "b"}


async def test_what_a_function_among_the_tags_raises_reaches_the_caller(make: Make) -> None:
    async with make() as cache:

        def broken(value: int) -> str:
            raise LookupError("no such team")

        def no_text(value: int) -> Any:
            return [1]

        with pytest.raises(LookupError, match="no such team"):
            await cache.get_or_load("a", Loader(), tags=[broken])
        with pytest.raises(KeyRejected, match="a tag is text"):
            await cache.get_or_load("a", Loader(), tags=[no_text])
        assert await cache.get("a") is None


async def test_an_entry_without_the_callers_tag_is_of_no_use_to_that_caller(make: Make) -> None:
    async with make() as cache:
        await cache.set("a", 0)
        assert await cache.get("a") == 0
        load = Loader()
        assert await cache.get_or_load("a", load, tags=["x"]) == 1
        assert await cache.get_or_load("a", load, tags=["x"]) == 1
        assert await cache.get("a") == 1, "one who names no tag gets any"


async def test_callers_who_name_an_entrys_tags_in_another_order_or_fewer_find_it(
    make: Make,
) -> None:
    async with make() as cache:
        load = Loader()
        for tags in (["x", "y"], ["y", "x"], ["x"], [], ["x", "y"]):
            assert await cache.get_or_load("a", load, tags=tags) == 1
        await cache.invalidate_tags("y")
        assert await cache.get_or_load("a", load, tags=["x"]) == 2, "it had that tag too"


async def test_tags_may_follow_from_what_is_no_part_of_the_key(make: Make) -> None:
    async with make() as cache:
        calls: list[str] = []

        @cache.cached("a:{n}", tags=["team:{team}"], ignore=("team",))
        async def read(n: int, team: str) -> int:
            calls.append(team)
            return len(calls)

        for _ in range(2):
            assert (await read(1, "red"), await read(1, "blue")) == (len(calls) - 1, len(calls))
        assert calls == ["red", "blue"] * 2, "none has the other's tag"
        await cache.invalidate_tags("team:red")
        assert await read(1, "blue") == 4


async def test_absence_is_tagged_too(make: Make) -> None:
    async with make() as cache:
        names: dict[str, str] = {}

        async def load(keys: list[str]) -> dict[str, str]:
            return {key: names[key] for key in keys if key in names}

        read = partial(cache.get_or_load_many, ["a", "b"], load, tags=["names"])
        assert await read() == {}
        names["a"] = "Ada"
        assert await read() == {}, "that there is none is remembered"
        await cache.invalidate_tags("names")
        assert await read() == {"a": "Ada"}


async def test_many_entries_are_read_and_loaded_under_tags(make: Make) -> None:
    async with make() as cache:
        loaded: list[list[str]] = []

        async def load(keys: list[str]) -> dict[str, str]:
            loaded.append(keys)
            return {key: key.upper() for key in keys}

        read = partial(cache.get_or_load_many, list("abc"), load, tags=["all", lambda v: v])
        for _ in range(2):
            assert await read() == {"a": "A", "b": "B", "c": "C"}
        await cache.invalidate_tags("B")
        await read()
        await cache.invalidate_tags("all")
        await read()
        assert loaded == [list("abc"), ["b"], list("abc")]


async def test_stale_service_ends_with_a_tag(make: Make) -> None:
    async with make() as cache:
        load = Loader()
        read = partial(cache.get_or_load, "a", load, tags=["x"], stale_ttl=60)
        await read()
        await cache.expire("a")
        assert await read() == 1, "stale, while it is refreshed"
        await until(lambda: load.calls == 2 and not cache.stats().in_flight, "it is refreshed")
        await cache.invalidate_tags("x")
        assert await read() == 3


async def test_a_caller_after_the_ack_does_not_join_a_load_from_before(make: Make) -> None:
    async with make() as cache:
        load = Held()
        read = partial(cache.get_or_load, "a", load, tags=["x"])
        first = await start(read)
        await load.begun.passed()
        await cache.invalidate_tags("x")
        second = await start(read)
        await sleep(0.05)
        load.let_go.open()
        assert await first.result() == 1
        assert await second.result() == 2


async def test_a_rider_with_other_tags_does_not_hide_those_of_the_others(make: Make) -> None:
    async with make() as cache:
        load = Held()
        read = partial(cache.get_or_load, "a", load)
        first = await start(partial(read, tags=["x"]))
        await load.begun.passed()
        rider = await start(partial(read, tags=["y"]))
        await sleep(0.05)
        await cache.invalidate_tags("x")
        second = await start(partial(read, tags=["x"]))
        await sleep(0.05)
        load.let_go.open()
        assert await first.result() == 1
        assert await second.result() == 2
        await rider.result()


# -- what is refused -------------------------------------------------------------------------


async def test_tags_that_cannot_be_are_refused(make: Make) -> None:
    async with make() as cache:
        tags: Any
        for tags in ("x", 5, [5], ["x"] * 65):
            with pytest.raises(ConfigurationError, match="tag"):
                await cache.get_or_load("a", Loader(), tags=tags)
        for tags in ([""], ["a\nb"], ["x" * 201], ["\ud800"]):
            with pytest.raises(KeyRejected, match="tag"):
                await cache.get_or_load("a", Loader(), tags=tags)
            with pytest.raises(KeyRejected, match="tag"):
                await cache.invalidate_tags(*tags)
        with pytest.raises(ConfigurationError, match="no parameter"):

            @cache.cached("a:{n}", tags=["b:{m}"])
            async def number(n: int) -> int:
                return n


@pytest.mark.parametrize("names", ["tags", "added"])
async def test_a_load_that_may_have_any_tag_is_shared_though_namespaces_and_keys_change(
    names: str,
) -> None:
    async with AsyncCache(version="v1") as cache:
        load = Held()
        tags = [added_tags] if names == "added" else [lambda number: f"g:{number}"]
        ask = partial(cache.get_or_load, "a", load, tags=tags)
        first = await start(ask)
        await load.begun.passed()
        await cache.namespace("other").clear()
        async with cache.writing("b"):
            pass
        second = await start(ask)
        await until(lambda: cache.stats().misses == 2, "it waits or loads")
        load.let_go.open()
        assert (await first.result(), await second.result()) == (1, 1)
        assert load.calls == 1

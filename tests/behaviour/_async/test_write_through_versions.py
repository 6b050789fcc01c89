"""Write-through to a source with versions: of writers who overlap, the highest is left."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

import pytest

from freshwell import AsyncCache, Saved
from freshwell._kit.aio import sleep
from tests.behaviour._async.parts import Make
from tests.behaviour._async.rows import Rows
from tests.behaviour._async.versioned import ORDERS, Versioned, overlap
from tests.support.aio import all_of, start

each_order = pytest.mark.parametrize("orders", ORDERS)


async def left(cache: AsyncCache) -> Any:
    """Return what is in the cache, whichever tier is asked."""
    found = await cache.get("row:a")
    if is_shared(cache):
        assert await cache.get("row:a", read="fresh") == found
    return found


def is_shared(cache: AsyncCache) -> bool:
    return cache._core.engine().tiers.store.shared


# -- two who overlap -------------------------------------------------------------------------


@each_order
async def test_of_two_that_overlap_the_highest_version_is_left(
    make: Make, orders: tuple[str, str]
) -> None:
    async with make() as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}", ttl="1m", jitter=0)

        async def is_absent() -> None:
            assert await left(cache) is None, "another writer goes on"

        await overlap(rows, rows, source, orders, is_absent)
        assert source.rows["a"] == f"value{orders[0][-1]}"
        assert await left(cache) == await rows.get("a") == source.rows["a"]
        assert source.loads == 0
        left_s = (await rows.lookup("a")).ttl_left_s
        assert left_s is not None
        assert 50 < left_s <= 60
        await rows.put("a", "value3")
        assert await left(cache) == "value3"


@each_order
async def test_without_versions_neither_is_left(make: Make, orders: tuple[str, str]) -> None:
    """The control: of the same writers."""
    async with make() as cache:
        source = Versioned(told=lambda version, value: value)
        rows = cache.write_through(source, key="row:{}")
        await overlap(rows, rows, source, orders)
        assert await left(cache) is None


@each_order
async def test_a_source_that_lies_leaves_the_loser(make: Make, orders: tuple[str, str]) -> None:
    """The control: it is by nothing but the version that the right one is found."""
    async with make() as cache:
        source = Versioned(told=lambda version, value: Saved(version=9 - version))
        rows = cache.write_through(source, key="row:{}")
        await overlap(rows, rows, source, orders)
        assert await left(cache) == f"value{orders[0][0]}" != source.rows["a"]


@pytest.mark.parametrize("orders", [("12", "21"), ("21", "12")])
async def test_who_sets_after_the_save_leaves_the_loser(
    make: Make, orders: tuple[str, str]
) -> None:
    """The control: the last to end wins, whatever the source has."""
    async with make() as cache:
        source = Versioned()

        class Setting:
            async def put(self, id: str, value: str) -> None:
                await source.save(id, value)
                await cache.set("row:a", value)

        rows: Any = Setting()
        await overlap(rows, rows, source, orders)
        assert await left(cache) == f"value{orders[1][-1]}" != source.rows["a"]


@each_order
@pytest.mark.parametrize("silent", ["value1", "value2"])
async def test_where_one_of_the_two_has_no_version_neither_is_left(
    make: Make, orders: tuple[str, str], silent: str
) -> None:
    async with make() as cache:
        source = Versioned(
            told=lambda version, value: None if value == silent else Saved(version=version)
        )
        rows = cache.write_through(source, key="row:{}")
        await overlap(rows, rows, source, orders)
        assert await left(cache) is None


async def test_where_both_have_the_same_version_neither_is_left(make: Make) -> None:
    async with make() as cache:
        source = Versioned(told=lambda version, value: Saved(version=7))
        rows = cache.write_through(source, key="row:{}")
        await overlap(rows, rows, source, ORDERS[0])
        assert await left(cache) is None


@pytest.mark.parametrize("base", [0, 2**32 - 2, 2**53, 2**63 - 3])
@each_order
async def test_versions_are_compared_as_whole_numbers(
    make: Make, orders: tuple[str, str], base: int
) -> None:
    async with make() as cache:
        source = Versioned(told=lambda version, value: Saved(version=base - 1 + version))
        rows = cache.write_through(source, key="row:{}")
        await overlap(rows, rows, source, orders)
        assert await left(cache) == source.rows["a"]


@pytest.mark.parametrize("last", ["1", "2", "3"])
async def test_of_many_who_overlap_one_after_the_other_the_highest_is_left(
    make: Make, last: str
) -> None:
    """The third begins when the first has ended, and the second is there all the time."""
    async with make() as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}")
        writes = {number: source.lead(f"value{number}") for number in "123"}
        one = await start(partial(rows.put, "a", "value1"))
        await writes["1"].begun.passed()
        two = await start(partial(rows.put, "a", "value2"))
        await writes["2"].begun.passed()
        if last == "1":
            writes["2"].commit.open()
            await writes["2"].committed.passed()
        writes["1"].go()
        await one.result()
        three = await start(partial(rows.put, "a", "value3"))
        await writes["3"].begun.passed()
        for number in "23" if last == "3" else "32":
            writes[number].commit.open()
            await writes[number].committed.passed()
        writes["2"].go()
        await two.result()
        assert await left(cache) is None
        writes["3"].go()
        await three.result()
        assert await left(cache) == source.rows["a"]


# -- what else may fall into it --------------------------------------------------------------


@each_order
@pytest.mark.parametrize("error", [LookupError, TimeoutError])
async def test_an_unknown_outcome_among_them_leaves_the_entry_absent(
    make: Make, orders: tuple[str, str], error: type[Exception]
) -> None:
    async with make() as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}")
        source.fails = error

        async def fails_no_more() -> None:
            source.fails = None

        await overlap(rows, rows, source, orders, fails_no_more)
        assert await left(cache) is None
        await rows.put("a", "again")
        stands = error is TimeoutError and is_shared(cache)  # its announcement, for a while
        assert await left(cache) == (None if stands else "again")


@pytest.mark.parametrize("how", ["invalidate", "set", "writing", "delete", "tag"])
@pytest.mark.parametrize("orders", [("12", "12"), ("21", "12")])
@pytest.mark.parametrize("version", [None, 1])
async def test_any_other_change_that_falls_into_it_leaves_the_entry_absent(
    make: Make, how: str, orders: tuple[str, str], version: int | None
) -> None:
    async with make(version=version) as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}", tags=["rows"])

        async def changes() -> None:
            if how == "invalidate":
                await cache.invalidate("row:a")
            elif how == "set":
                await cache.set("row:a", "by hand")
            elif how == "delete":
                await rows.delete("a")
            elif how == "tag":
                await cache.invalidate_tags("rows")
            else:
                async with cache.writing("row:a"):
                    pass

        await overlap(rows, rows, source, orders, changes)
        assert await left(cache) is None


async def test_a_load_from_before_the_last_commit_is_not_stored_over_it(make: Make) -> None:
    async with make() as cache:
        source = Versioned(a="old")
        rows = cache.write_through(source, key="row:{}")
        old = source.lead("old")

        async def slowly() -> Any:
            old.begun.open()
            await old.commit.passed()
            return "old"

        loading: list[Any] = []

        async def load() -> None:
            loading.append(await start(partial(cache.get_or_load, "row:a", slowly)))
            await old.begun.passed()

        await overlap(rows, rows, source, ("12", "21"), load)
        old.commit.open()
        assert await loading[0].result() == "old"
        assert await left(cache) == "value2"


async def test_nobody_joins_a_load_from_before_a_put_that_has_returned(make: Make) -> None:
    async with make() as cache:
        source = Versioned(a="old")
        rows = cache.write_through(source, key="row:{}")
        first, second, old = map(source.lead, ("first", "second", "old"))
        puts = []
        for value, write in (("first", first), ("second", second)):
            puts.append(await start(partial(rows.put, "a", value)))
            await write.begun.passed()

        async def slowly() -> Any:
            old.begun.open()
            await old.commit.passed()
            return "old"

        loading = await start(partial(cache.get_or_load, "row:a", slowly))
        await old.begun.passed()
        first.go()
        await puts[0].result()
        assert await rows.get("a") == "first", "the second goes on"
        old.commit.open()
        assert await loading.result() == "old"
        second.go()
        await puts[1].result()
        assert await left(cache) == "second"


# -- tags, schema versions -------------------------------------------------------------------


@each_order
@pytest.mark.parametrize("version", [None, 1])
async def test_what_is_left_lives_by_its_tags(
    make: Make, orders: tuple[str, str], version: int | None
) -> None:
    async with make(version=version) as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}", tags=["rows", lambda value: value])
        for word in ("rows", f"value{orders[0][-1]}"):
            source.led.clear()
            await overlap(rows, rows, source, orders)
            assert await left(cache) == source.rows["a"]
            await cache.invalidate_tags(word)
            assert await left(cache) is None
        source.led.clear()
        await overlap(rows, rows, source, orders)
        await cache.invalidate("row:a")
        assert await left(cache) is None


@each_order
async def test_of_two_schema_versions_the_entry_of_the_highest_version_is_left(
    redis_url: str, orders: tuple[str, str]
) -> None:
    async with AsyncCache(redis_url, version=1) as old, AsyncCache(redis_url, version=2) as new:
        source = Versioned()
        before = old.write_through(source, key="row:{}")
        after = new.write_through(source, key="row:{}")
        await overlap(before, after, source, orders)
        there = [await cache.get("row:a", read="fresh") for cache in (old, new)]
        assert there == (["value1", None] if orders[0] == "21" else [None, "value2"])


# -- races -----------------------------------------------------------------------------------


class Slow(Versioned):
    """It takes its time before the commit, and after it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)

    async def load(self, id: str, /) -> Any:
        value = self.rows.get(id)
        await sleep(self._random.random() * 0.002)
        return value

    async def save(self, id: str, value: Any, /) -> Any:
        await sleep(self._random.random() * 0.004)
        said = await super().save(id, value)
        await sleep(self._random.random() * 0.004)
        return said


@pytest.mark.race
@pytest.mark.slow
async def test_nobody_reads_what_is_older_than_an_acknowledged_put(make: Make) -> None:
    rounds, older, right = 15, 0, 0
    async with make() as one:
        shared = is_shared(one)
        caches = [one, make() if shared else one]
        source = Slow(seed=1)

        async def write(n: int, value: int) -> None:
            nonlocal older
            rows = caches[n % 2].write_through(source, key="row:{}")
            await rows.put("a", value)
            mine = source.version_of[repr(value)]
            for cache in caches:
                found = await cache.get("row:a", read="fresh" if shared else None)
                older += found is not None and source.version_of[repr(found)] < mine
                await cache.get_or_load("row:a", partial(source.load, "a"))

        for number in range(rounds):
            await all_of(*[partial(write, n, 10 * number + n) for n in range(4)])
            found = await one.get("row:a", read="fresh" if shared else None)
            assert found in (None, source.rows["a"])
            right += found is not None
        if shared:
            await caches[1].aclose()
    assert older == 0
    assert right > rounds / 2


async def test_a_plain_source_may_become_one_with_versions(make: Make) -> None:
    """One entry, written by old code and new code."""
    async with make() as cache:
        plain, source = Rows(), Versioned()
        await cache.write_through(plain, key="row:{}").put("a", 1)
        await cache.write_through(source, key="row:{}").put("a", 2)
        assert await left(cache) == 2
        await cache.write_through(plain, key="row:{}").put("a", 3)
        assert await left(cache) == 3

"""Write-through: writers of one key who overlap or die, and what a source must be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

import pytest

from freshwell import AsyncCache, AsyncWriteThrough, ConfigurationError
from freshwell._kit.aio import sleep
from tests.behaviour._async.parts import Make
from tests.behaviour._async.rows import Rows
from tests.support.aio import all_of, start

_ROUNDS = 25
_WRITERS = 3


class Slow(Rows):
    """The source decides the order: it takes its time before the commit, and after it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)

    async def load(self, id: str, /) -> Any:
        value = self.rows.get(id)
        await sleep(self._random.random() * 0.002)
        return value

    async def save(self, id: str, value: Any, /) -> None:
        before, after = self._random.random() * 0.004, self._random.random() * 0.004
        await sleep(before)
        self.rows[id] = value
        await sleep(after)


Put = Callable[[AsyncCache, Slow, int], Awaitable[None]]


async def write_through(cache: AsyncCache, source: Slow, value: int) -> None:
    await cache.write_through(source, key="row:{}").put("a", value)


async def save_then_set(cache: AsyncCache, source: Slow, value: int) -> None:
    await source.save("a", value)
    await cache.set("row:a", value)


async def race(make: Make, put: Put) -> tuple[int, int]:
    """Let writers and readers of one key meet, several times.

    Returns how often the cache had another value than the source afterwards, and how often it had
    the source's.
    """
    wrong = right = 0
    async with make(max_staleness=0.5) as one:
        shared = one._core.engine().tiers.store.shared
        caches = [one, make() if shared else one]
        source = Slow(seed=1)

        async def read(cache: AsyncCache) -> None:
            for _ in range(3):
                await cache.get_or_load("row:a", partial(source.load, "a"))

        for round_ in range(_ROUNDS):
            writers = [
                partial(put, caches[n % 2], source, _WRITERS * round_ + n) for n in range(_WRITERS)
            ]
            await all_of(*writers, *[partial(read, cache) for cache in caches])
            now = await one.get("row:a", read="fresh" if shared else None)
            wrong += now not in (None, source.rows["a"])
            right += now == source.rows["a"]
            await put(one, source, -1)  # who is alone leaves its value
            assert await one.get("row:a") == -1
        if shared:
            await caches[1].aclose()
    return wrong, right


@pytest.mark.slow
async def test_writers_who_race_leave_what_the_source_has_or_nothing(make: Make) -> None:
    wrong, _ = await race(make, write_through)
    assert wrong == 0


@pytest.mark.slow
async def test_save_and_then_set_leaves_the_loser(make: Make) -> None:
    """The control."""
    wrong, _ = await race(make, save_then_set)
    assert wrong > 0


@pytest.mark.parametrize("inner", [False, True])
async def test_of_two_that_overlap_none_leaves_its_value(make: Make, inner: bool) -> None:
    """One after the other they begin; the source takes them in one order or the other."""
    async with make() as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}")
        first, second = source.lead("first"), source.lead("second")
        one = await start(partial(rows.put, "a", "first"))
        await first.begun.passed()
        other = await start(partial(rows.put, "a", "second"))
        await second.begun.passed()
        early, late = (first, second) if inner else (second, first)
        early.commit.open()
        await early.committed.passed()
        late.go()
        await (other if inner else one).result()
        early.go()
        await (one if inner else other).result()
        assert source.rows["a"] == ("second" if inner else "first")
        assert await cache.get("row:a") is None
        assert await cache.get("row:a", read="fresh") is None


async def test_one_that_begins_and_ends_within_another_leaves_nothing(make: Make) -> None:
    async with make() as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}")
        outer = source.lead("outer")
        putting = await start(partial(rows.put, "a", "outer"))
        await outer.begun.passed()
        await rows.put("a", "inner")
        outer.go()
        await putting.result()
        assert source.rows["a"] == "outer"
        assert await cache.get("row:a") is None


@pytest.mark.parametrize("how", ["invalidate", "set", "writing", "delete"])
async def test_whatever_else_falls_into_a_put_leaves_nothing_of_it(make: Make, how: str) -> None:
    async with make() as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}")
        write = source.lead(1)
        putting = await start(partial(rows.put, "a", 1))
        await write.begun.passed()
        if how == "invalidate":
            await cache.invalidate("row:a")
        elif how == "set":
            await cache.set("row:a", "by hand")
        elif how == "delete":
            await rows.delete("a")
        else:
            async with cache.writing("row:a"):
                pass
        write.go()
        await putting.result()
        assert await cache.get("row:a") is None


async def test_a_put_within_a_block_leaves_nothing(make: Make) -> None:
    async with make() as cache:
        rows = cache.write_through(Rows(), key="row:{}")
        async with cache.writing("row:a"):
            await rows.put("a", 1)
        assert await cache.get("row:a") is None


async def abandoned(url: str, source: Rows) -> None:
    """Do what a writer does that is killed between the source's commit and the end."""
    async with AsyncCache(url, drain=0, intent=3) as cache:
        intents = cache._core.engine().intents

        async def killed(*given: Any, **named: Any) -> int:
            intents._heart.drop(intents._leases(given[0]))
            return 0

        intents.settle = killed  # type: ignore[method-assign]
        await cache.write_through(source, key="row:{}").put("a", 2)


@pytest.mark.slow
async def test_a_writer_who_dies_after_the_commit_leaves_no_old_entry(redis_url: str) -> None:
    async with AsyncCache(redis_url) as reader:
        source = Rows(a=1)
        rows = reader.write_through(source, key="row:{}", read="fresh")
        assert await rows.get("a") == 1
        await abandoned(redis_url, source)
        assert await rows.get("a") == 2
        assert await reader.get("row:a", read="fresh") is None, "the announcement stands"
        await sleep(3.1)
        assert [await rows.get("a"), await rows.get("a")] == [2, 2]
        assert await reader.get("row:a", read="fresh") == 2
        await rows.put("a", 3)
        assert await reader.get("row:a", read="fresh") == 3


# -- what a source must be -------------------------------------------------------------------


class Readable:
    async def load(self, id: str, /) -> int | None:
        return 1


class Yielding(Readable):
    async def save(self, id: str, value: int, /) -> Any:
        yield


class Attribute(Readable):
    save_many = 5

    async def save(self, id: str, value: int, /) -> None:
        pass


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Rows, r"the source is the class Rows: give an object of it, Rows\(\)"),
        (Readable(), r"Readable cannot be written through: .*save\(id, value\)"),
        (len, "cannot be written through"),
        (Yielding(), "Yielding.save is a generator, and a call would not run it"),
        (Attribute(), "Attribute.save_many is no method, but a int"),
    ],
)
def test_a_source_that_cannot_be_written_to_is_refused_when_it_is_given(
    source: Any, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        AsyncCache().write_through(source, key="row:{}")


async def test_a_source_without_delete_says_so_when_one_is_asked_for(make: Make) -> None:
    class Kept(Readable):
        async def save(self, id: str, value: int, /) -> None:
            pass

    async with make() as cache:
        rows: AsyncWriteThrough[int] = cache.write_through(Kept(), key="row:{}")
        with pytest.raises(ConfigurationError, match=r"Kept has no delete\(id\)"):
            await rows.delete("a")

"""Callers of one key who do not name the same tags: each lives by its own."""

from __future__ import annotations

from functools import partial

import pytest

from freshwell import AsyncCache
from freshwell._kit.aio import sleep
from freshwell.typing import ReadLevelName
from tests.behaviour._async.parts import Held, Loader, Make, listening, of
from tests.support.aio import start, until

_LEVELS: tuple[ReadLevelName, ...] = ("eventual", "fresh")


async def test_a_load_that_was_not_watched_for_a_tag_is_not_for_who_asks_after_its_end(
    make: Make,
) -> None:
    for level in _LEVELS:
        async with make(namespace=level) as cache:
            old, new = Held(), Loader()
            first = await start(partial(cache.get_or_load, "a", old))
            await old.begun.passed()
            new.calls = old.calls  # the source changes
            await cache.invalidate_tags("x")
            ask = partial(cache.get_or_load, "a", new, tags=["x"], read=level)
            after = await start(ask)
            await until(partial(asked, cache, 2), "it waits")
            old.let_go.open()
            assert (await first.result(), await after.result()) == (1, 2)


def asked(cache: AsyncCache, misses: int) -> bool:
    return cache.stats().misses >= misses


@pytest.mark.parametrize("level", _LEVELS)
async def test_it_is_not_where_another_process_has_ended_the_tag(
    redis_url: str, level: ReadLevelName
) -> None:
    async with of(redis_url, max_staleness=0.2) as cache, of(redis_url) as other:
        await listening(cache)
        before = cache.stats().misses
        old, new = Held(), Loader()
        first = await start(partial(cache.get_or_load, "a", old))
        await old.begun.passed()
        new.calls = old.calls
        await other.invalidate_tags("x")
        await sleep(0.3)  # longer than its memory may answer
        after = await start(partial(cache.get_or_load, "a", new, tags=["x"], read=level))
        await until(partial(asked, cache, before + 2), "it waits")
        old.let_go.open()
        assert (await first.result(), await after.result()) == (1, 2)


async def test_an_entry_without_the_tag_that_a_leader_finds_is_absent_to_its_rider(
    redis_url: str,
) -> None:
    async with of(redis_url) as cache, of(redis_url) as other:
        await listening(cache)
        before = cache.stats().misses
        held, new = Held(), Loader()
        lessee = await start(partial(other.get_or_load, "a", held))
        await held.begun.passed()
        new.calls = held.calls
        leader = await start(partial(cache.get_or_load, "a", new))
        await until(lambda: cache.stats().lease_waits > 0, "it waits for the other")
        rider = await start(partial(cache.get_or_load, "a", new, tags=["x"]))
        await until(partial(asked, cache, before + 2), "it rides")
        held.let_go.open()
        assert (await lessee.result(), await leader.result()) == (1, 1)
        assert await rider.result() == 2


async def test_crowds_with_tags_of_their_own_all_get_an_answer(make: Make) -> None:
    async with make() as cache:
        load = Held()
        crowd = [
            await start(partial(cache.get_or_load, "a", load, tags=[f"t{n % 3}"]))
            for n in range(30)
        ]
        await load.begun.passed()
        load.let_go.open()
        for caller in crowd:
            assert await caller.result() >= 1
        assert load.calls <= 30


async def test_a_call_is_not_answered_by_what_has_taken_its_entrys_place_meanwhile(
    make: Make,
) -> None:
    async with make() as cache:
        calls: list[int] = []

        @cache.cached("a:{n}", tags=["x"])
        async def read(n: int) -> str:
            calls.append(n)
            if len(calls) == 1:
                await cache.set("a:1", "set", tags=["y"])
            return f"loaded {len(calls)}"

        assert await read(1) == "loaded 1"
        assert await read(1) == "loaded 2", "what was set has not the tag"
        await cache.invalidate_tags("x")
        assert await read(1) == "loaded 3"

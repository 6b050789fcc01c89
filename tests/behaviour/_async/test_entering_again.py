"""A cache that was closed can be entered again: a program is started twice in one process.

It is what tests of a web application do: the cache stands in a module, with its decorated
functions, and each test starts and ends the application.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from freshwell import AsyncCache, CacheClosed
from tests.behaviour._async.behind import Way
from tests.behaviour._async.ledger import Ledger
from tests.behaviour._async.parts import Held, Make
from tests.support.aio import start, until


async def test_a_cache_that_is_entered_again_serves_what_was_built_with_it(make: Make) -> None:
    cache = make()
    calls: list[int] = []

    @cache.cached("square:{n}")
    async def square(n: int) -> int:
        calls.append(n)
        return n * n

    reader, reports = cache.read_through(square.uncached, key="read:{}"), cache.namespace("reports")
    for _ in range(2):
        async with cache:
            assert await square(3) == await square(3) == 9
            assert await reader.get(4) == 16
            await reports.set("a", 1)
            assert await reports.get("a") == 1
            await square.invalidate(3)
            await reader.invalidate(4)
        with pytest.raises(CacheClosed, match="enter it again"):
            await square(3)
    assert calls == [3, 4, 3, 4]


async def test_nothing_is_left_in_memory() -> None:
    cache = AsyncCache()
    async with cache:
        await cache.set("a", 1)
    async with cache:
        assert await cache.get("a") is None
        assert cache.stats().entries == 0


async def test_a_load_that_outlives_the_close_is_not_stored(make: Make) -> None:
    cache, load = make(drain=0), Held()
    async with cache:
        loading = await start(partial(cache.get_or_load, "a", load))
        await load.begun.passed()
    async with cache:
        load.let_go.open()
        await until(lambda: loading.done, "the call has ended")
        assert await cache.get("a") is None
        assert await cache.get_or_load("a", load) == 2


async def test_a_cache_that_is_being_closed_is_not_entered() -> None:
    cache, load = AsyncCache(drain=10), Held()
    loading = await start(partial(cache.get_or_load, "a", load))
    await load.begun.passed()
    closing = await start(cache.aclose)
    await until(lambda: "closed" in repr(cache), "the close has begun")
    with pytest.raises(CacheClosed):
        async with cache:
            pass
    load.let_go.open()
    await closing.result()
    assert await loading.result() == 1
    async with cache:
        await cache.set("a", 2)
        assert await cache.get("a") == 2


async def test_a_writer_is_entered_again_with_its_cache(way: Way) -> None:
    source, cache = Ledger(), way.make()
    rows = way.behind(cache, source, flush_every="1h")
    for value in (1, 2):
        async with cache, rows:
            await rows.put("a", value)
            assert await rows.get("a") == value
        assert source.rows == {"a": value}
    async with cache:
        with pytest.raises(CacheClosed, match="enter it again"):
            await rows.put("a", 3)
        async with rows:
            await rows.put("a", 3)
    assert source.rows == {"a": 3}


async def test_the_spool_is_open_again(tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path / 'spool.db'}"
    cache = AsyncCache("redis://127.0.0.1:1/0", spool=file, drain=0)
    for key in ("a", "b"):
        async with cache:
            await cache.invalidate(key)
            waiting = cache.stats().spool_records
    assert waiting == 2
    assert len(AsyncCache("redis://127.0.0.1:1/0", spool=file)._core.spool) == 2

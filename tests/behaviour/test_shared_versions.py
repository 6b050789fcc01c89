"""Tasks of one tick share the question about a tag's version, and are told the truth by it."""

from __future__ import annotations

import asyncio
from functools import partial

from freshwell import AsyncCache
from tests.behaviour._async.parts import Loader, is_live, of, until_so
from tests.support.aio import until
from tests.support.servers import Server

_ENTRIES = 30


async def test_tasks_of_one_tick_ask_for_a_tags_version_together(
    redis_url: str, redis_server: Server
) -> None:
    async with of(redis_url, l1=False) as cache:
        load = Loader()
        reads = [partial(cache.get_or_load, f"k:{i}", load, tags=["x"]) for i in range(_ENTRIES)]
        await asyncio.gather(*(read() for read in reads))
        before = looked_up(redis_server)
        await asyncio.gather(*(read() for read in reads))
        together = looked_up(redis_server) - before
        # The first may leave at once, before there is anybody to share with; a few more share
        # a question, before there is company enough to ask all in one.
        assert _ENTRIES + 1 <= together <= _ENTRIES + 3
        for read in reads:
            await read()
        assert looked_up(redis_server) - before - together == 2 * _ENTRIES
        assert load.calls == _ENTRIES


async def test_a_tag_that_changes_between_two_ticks_is_seen_by_all_of_the_second(
    redis_url: str,
) -> None:
    async with of(redis_url, l1=False) as cache, of(redis_url, l1=False) as writer:
        load = Loader()
        reads = [partial(cache.get_or_load, f"k:{i}", load, tags=["x"]) for i in range(_ENTRIES)]
        await reads[0]()  # from now on there is a version to be shared
        for round_ in range(1, 4):
            for _ in range(2):
                values = await asyncio.gather(*(read() for read in reads))
                assert all(_ENTRIES * (round_ - 1) < v <= _ENTRIES * round_ for v in values)
            # Whoever reads while the tag changes may be told either way; whoever reads later not.
            during = [asyncio.create_task(read()) for read in reads]
            await writer.invalidate_tags("x")
            await asyncio.gather(*during)
            after = await asyncio.gather(*(read() for read in reads))
            assert load.calls == _ENTRIES * (round_ + 1)
            assert all(v > _ENTRIES * round_ for v in after)
            await writer.invalidate_tags("x")
            load.calls = _ENTRIES * round_


async def test_while_the_feed_is_healthy_no_version_is_asked_for(
    redis_url: str, redis_server: Server
) -> None:
    async with of(redis_url, max_bytes=1) as told, of(redis_url, l1=False) as untold:
        load = Loader()
        await told.get("nothing")
        await until(partial(is_live, told), "L1 is live")

        async def lookups(cache: AsyncCache) -> int:
            before = looked_up(redis_server)
            assert await cache.get_or_load("k", load, tags=["x", "y", "z"]) == 1
            return looked_up(redis_server) - before

        async def is_told() -> bool:
            return await lookups(told) == 1

        await until_so(is_told)
        assert [await lookups(told) for _ in range(3)] == [1, 1, 1]
        assert await lookups(untold) == 4
        assert told.stats().hits_l1 == 0, "it is too small to have an entry"


def looked_up(server: Server) -> int:
    """Return how many keys have been looked up so far."""
    lines = server.ask("INFO", "stats").decode().splitlines()
    told = dict(line.split(":") for line in lines if ":" in line)
    return int(told["keyspace_hits"]) + int(told["keyspace_misses"])

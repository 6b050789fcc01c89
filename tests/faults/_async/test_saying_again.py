"""What is being invalidated while another server becomes primary is said again like the rest."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache
from tests.faults._async.late import hold
from tests.support.aio import Latch, start
from tests.support.servers import Server


async def by_key(cache: AsyncCache) -> None:
    await cache.invalidate("a")


async def by_tag(cache: AsyncCache) -> None:
    await cache.invalidate_tags("t")


async def by_writing(cache: AsyncCache) -> None:
    async with cache.writing("a"):
        pass


CALLS = {"key": (by_key, "void"), "tag": (by_tag, "void"), "writing": (by_writing, "settle")}


@pytest.mark.parametrize("name", CALLS)
async def test_an_invalidation_whose_answer_is_under_way_is_said_again(
    own_redis: Server, name: str
) -> None:
    call, told = CALLS[name]
    async with AsyncCache(own_redis.url, drain=0) as cache:
        applied, may_return = Latch(), Latch()
        engine: Any = cache._core.engine()
        hold(engine.tiers.store, told, applied, may_return)
        calling = await start(partial(call, cache))
        await applied.passed()
        own_redis.ask("FLUSHALL")  # as a replica that has not heard of it
        await engine.writes.say_again(60_000_000_000)
        assert own_redis.ask("DBSIZE") > 0
        may_return.open()
        await calling.result()

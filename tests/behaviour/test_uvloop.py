"""The library in uvloop's event loops, which many services run in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from freshwell import AsyncCache, LoadTimeout
from tests.behaviour._async.parts import is_live, until_so
from tests.support.aio import until


class Rows:
    """A source in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, Any] = {}

    async def load(self, id: int) -> Any:
        return self.rows.get(id)

    async def save(self, id: int, value: Any) -> None:
        self.rows[id] = value


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


def test_processes_share_entries_and_hear_of_their_end(
    runner: asyncio.Runner, redis_url: str
) -> None:
    asked: list[int] = []

    async def run() -> None:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        async with AsyncCache(redis_url) as one, AsyncCache(redis_url) as other:

            async def load() -> int:
                asked.append(1)
                await asyncio.sleep(0.02)
                return len(asked)

            async def read(cache: AsyncCache) -> int:
                value: int = await cache.get_or_load("a", load, ttl="1m", tags=["t"])
                return value

            crowd = [read(cache) for cache in (one, other) for _ in range(100)]
            assert set(await asyncio.gather(*crowd)) == {1}
            assert await other.get_many(["a", "b"]) == {"a": 1}
            await until(partial(is_live, other), "L1 is live")
            assert [await read(other) for _ in range(3)] == [1, 1, 1]
            assert other.stats().hits_l1 > 0

            async def hears() -> bool:
                return await read(other) == 2

            await one.invalidate_tags("t")
            assert await read(one) == 2
            await until_so(hears)

    runner.run(run())
    assert asked == [1, 1]


def test_loads_have_their_limit_and_callers_may_be_cancelled(runner: asyncio.Runner) -> None:
    async def run() -> None:
        async with AsyncCache() as cache:
            came = asyncio.Event()

            async def load() -> int:
                await came.wait()
                return 1

            with pytest.raises(LoadTimeout):
                await cache.get_or_load("slow", load, load_timeout="20ms")
            first = asyncio.create_task(cache.get_or_load("a", load))
            await asyncio.sleep(0)
            second = asyncio.create_task(cache.get_or_load("a", load))
            await asyncio.sleep(0.01)
            first.cancel()
            came.set()
            assert await second == 1
            assert first.cancelled()

    runner.run(run())


def test_what_is_accepted_is_in_the_journal_and_flushed(
    runner: asyncio.Runner, tmp_path: Path
) -> None:
    source = Rows()

    async def run() -> None:
        async with AsyncCache() as cache:
            rows = cache.write_behind(
                source, key="row:{}", journal=f"sqlite:///{tmp_path}/pending.db"
            )
            accepted = await asyncio.gather(*(rows.put(i, i * i) for i in range(50)))
            assert len({ack.sequence for ack in accepted}) == 50
            assert await rows.get(7) == 49
            await rows.flush()

    runner.run(run())
    assert source.rows == {i: i * i for i in range(50)}

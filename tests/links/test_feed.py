"""A feed of an event loop: what the server tells arrives in order, in time, and none is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis import Redis

from freshwell._kit.aio_feed import FeedLine
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.feed_notices import Invalidated, Pong
from freshwell._kit.link_errors import LinkLost


@asynccontextmanager
async def feed(url: str, prefix: bytes) -> AsyncIterator[FeedLine]:
    line = FeedLine(Endpoint.of(url), [prefix], timeout_s=5)
    await line.connect()
    try:
        yield line
    finally:
        await line.aclose()


def write_many(url: str) -> None:
    with Redis.from_url(url) as client:
        for n in range(5_000):  # one at a time, or the server would tell of many at once
            client.set(f"many:{n}", b"x")


async def test_more_than_is_kept_arrives_all_the_same_and_in_order(redis_url: str) -> None:
    async with feed(redis_url, b"many:") as line:
        await asyncio.to_thread(write_many, redis_url)
        await line.ping(b"end")
        heard: list[bytes] = []
        while not isinstance(notice := await line.receive(10), Pong):
            assert isinstance(notice, Invalidated)
            heard += notice.keys
        assert heard == [b"many:%d" % n for n in range(5_000)]
        assert notice.payload == b"end"


async def test_each_wait_ends_in_its_own_time(redis_url: str) -> None:
    async with feed(redis_url, b"quiet:") as line:
        waiting = asyncio.create_task(line.receive(3_600))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait((waiting,))
        began = time.monotonic()
        assert await line.receive(0.02) is None
        assert await line.receive(0.04) is None
        assert 0.06 <= time.monotonic() - began < 5
        await line.ping(b"still there")
        assert await line.receive(10) == Pong(b"still there")


async def test_a_feed_that_is_lost_says_so_to_whoever_waits_and_whoever_comes(
    redis_url: str,
) -> None:
    async with feed(redis_url, b"lost:") as line:
        waiting = asyncio.create_task(line.receive(3_600))
        await asyncio.sleep(0.01)
        line.interrupt()
        with pytest.raises(LinkLost):
            await waiting
        with pytest.raises(LinkLost):
            await line.receive(1)
        with pytest.raises(LinkLost):
            await line.ping(b"x")

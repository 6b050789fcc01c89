"""L1 when the connection that carries the invalidations is cut, silent, late, or lied to."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache
from freshwell._kit.aio import sleep
from freshwell.testing import DOWN, FaultProxy
from tests.support.aio import start, until
from tests.support.impostor import SILENCE, impostor
from tests.support.servers import Server

BOUND_S = 0.6


async def fill(cache: AsyncCache, key: str, value: str) -> None:
    """Load `value` into the tiers, and wait until L1 has it, and no notice of it is under way."""

    async def load() -> str:
        return value

    await cache.get_or_load(key, load)
    for _ in range(200):
        await cache.get(key)
        told = cache.stats().notices
        await sleep(0.05)
        # The own writes are told too: each of them drops the entry once.
        if told == cache.stats().notices and (await cache.lookup(key)).tier == "l1":
            return
    raise AssertionError("the value never came to rest in L1")


def is_live(cache: AsyncCache) -> bool:
    return cache.stats().l1_live


def behind(link: FaultProxy, **options: Any) -> AsyncCache:
    """Return a cache that reaches its server through a proxy."""
    return AsyncCache(link.url, **{"max_staleness": BOUND_S, "drain": 0} | options)


async def listening(cache: AsyncCache) -> None:
    """Wait until the cache's L1 may answer."""
    await cache.get("nothing")
    await until(partial(is_live, cache), "L1 is live")


def feed_of(link: FaultProxy) -> Any:
    """Return the connection that carries the feed."""
    return next(pair for pair in reversed(link.pairs) if b"TRACKING" in pair.passed)


async def test_a_cut_feed_comes_back_and_nothing_missed_is_served(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as link:
        async with behind(link) as cache, AsyncCache(own_redis.url) as other:
            await listening(cache)
            await fill(cache, "a", "old")
            feed_of(link).held = True
            await other.invalidate("a")
            feed_of(link).cut()
            await until(lambda: not is_live(cache) or not cache.stats().entries, "L1 is empty")
            await until(partial(is_live, cache), "the feed is back")
            assert await cache.get("a") is None
            await fill(cache, "a", "new")
            await other.invalidate("a")
            await until(lambda: cache.stats().entries == 0, "the new feed tells")


async def test_a_half_open_feed_silences_l1_within_the_bound(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as link:
        async with behind(link) as cache, AsyncCache(own_redis.url) as other:
            await listening(cache)
            await fill(cache, "a", "old")
            feed_of(link).held = True
            await other.invalidate("a")
            await sleep(BOUND_S)
            assert await cache.get("a") is None
            assert cache.stats().l2_errors == 0, "the data link is whole: L2 answered"


async def test_with_a_longer_bound_a_half_open_feed_serves_the_old_value_for_longer(
    own_redis: Server,
) -> None:
    with FaultProxy(own_redis.port) as link:
        async with behind(link, max_staleness=20) as cache, AsyncCache(own_redis.url) as other:
            await listening(cache)
            await fill(cache, "a", "old")
            feed_of(link).held = True
            await other.invalidate("a")
            await sleep(BOUND_S)
            assert await cache.get("a") == "old", "it is the bound that silences L1"


async def test_a_silent_feed_is_left_for_a_new_one(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as link:
        async with behind(link) as cache:
            await listening(cache)
            silent = feed_of(link)
            silent.held = True
            await until(lambda: not is_live(cache), "L1 is silent")
            await until(partial(is_live, cache), "a new feed is up")
            assert feed_of(link) is not silent


async def test_delayed_notices_are_obeyed_when_they_come(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as link:
        async with behind(link) as cache, AsyncCache(own_redis.url) as other:
            await listening(cache)
            await fill(cache, "a", "old")
            link.delay(0.1, DOWN)
            await other.invalidate("a")
            await until(lambda: cache.stats().entries == 0, "the notice is obeyed")
            assert await cache.get("a") is None


async def test_a_fill_overtaken_by_an_invalidation_is_not_kept(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as link:
        async with behind(link, command_timeout=5) as cache, AsyncCache(own_redis.url) as other:
            await listening(cache)
            await other.set("a", "old")
            data = next(pair for pair in link.pairs if b"TRACKING" not in pair.passed)
            notices = cache.stats().notices
            link.delay(0.1, DOWN)
            reading = await start(partial(cache.get, "a"))
            await until(lambda: b"fw:e:default:a\r\n" in data.passed, "the read has left")
            link.delay(0.0, DOWN)
            await other.invalidate("a")
            assert await reading.result() == "old", "asked before the invalidation"
            await until(lambda: cache.stats().notices > notices, "the notice has come")
            assert await cache.get("a") is None


async def test_what_strangers_publish_on_the_feeds_channel_harms_nobody(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as link:
        async with behind(link) as cache, AsyncCache(own_redis.url) as other:
            await listening(cache)
            for nonsense in ("x", b"\xff\x00", "", "fw:e:default:a", "9" * 100_000):
                assert own_redis.ask("PUBLISH", "__redis__:invalidate", nonsense) == 1
            await fill(cache, "a", "old")
            await other.invalidate("a")
            await until(lambda: cache.stats().entries == 0, "the feed still tells")
            assert link.accepted == 2, "one link and one feed, as in the beginning"


@pytest.mark.parametrize("word", ["BUSY Redis is busy", "LOADING wait", "TRYAGAIN later"])
async def test_a_server_that_cannot_track_now_is_asked_again(word: str) -> None:
    refusals = 0

    def answer(command: list[bytes]) -> bytes | None:
        nonlocal refusals
        if command[0] == b"SUBSCRIBE" and refusals < 2:
            refusals += 1
            return f"-{word}\r\n".encode()
        if command[0] == b"SUBSCRIBE":
            return b"*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"
        if command[0] == b"PING":
            return b"*2\r\n$4\r\npong\r\n$%d\r\n%b\r\n" % (len(command[1]), command[1])
        return b"$-1\r\n" if command[0] == b"GET" else SILENCE

    with impostor(answer) as server:
        async with AsyncCache(server.url, drain=0) as cache:
            await cache.get("a")
            await until(partial(is_live, cache), "the feed is up")
            assert refusals == 2
            assert cache.stats().coherence == "feed"


@pytest.mark.parametrize(
    "word",
    ["NOPERM this user has no permissions", "ERR unknown command 'CLIENT'", "ERR syntax error"],
)
async def test_a_server_that_will_not_track_leaves_l1_to_its_time_limit(word: str) -> None:
    def answer(command: list[bytes]) -> bytes | None:
        if command[0] == b"SUBSCRIBE":
            return f"-{word}\r\n".encode()
        return b"$-1\r\n"

    with impostor(answer) as server:
        async with AsyncCache(server.url, drain=0) as cache:
            await cache.get("a")
            await until(lambda: cache.stats().coherence == "ttl-only", "it falls back")


async def test_closing_a_cache_is_no_fault_and_is_not_told_as_one(
    own_redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    cache = AsyncCache(own_redis.url)
    await listening(cache)
    await cache.aclose()
    assert caplog.records == []
    assert cache.stats().l2_errors == 0


async def test_a_refused_feed_is_tried_again_until_it_is_there(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as link:
        async with behind(link) as cache:
            await listening(cache)
            link.refuse()
            await until(lambda: not is_live(cache), "L1 is silent")
            link.heal()
            await until(partial(is_live, cache), "the feed is back")


async def test_closing_ends_in_time_while_a_feed_hangs_at_its_connect(own_redis: Server) -> None:
    with FaultProxy(own_redis.port) as link:
        link.freeze()
        cache = AsyncCache(link.url, drain=0)
        assert await cache.get("a") is None
        began_s = time.monotonic()
        await cache.aclose()
        assert time.monotonic() - began_s < 1.0


async def test_closing_ends_in_time_while_the_server_stands_still(own_redis: Server) -> None:
    cache = AsyncCache(own_redis.url, drain=0)
    await listening(cache)
    own_redis.freeze()
    assert await cache.get("a") is None
    began_s = time.monotonic()
    await cache.aclose()
    assert time.monotonic() - began_s < 1.0

"""Closing in the worst moments: it ends within `drain` and a little, and leaves nothing behind."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache
from freshwell._async.coordination.heart import Heart
from freshwell._kit.aio import Owner, sleep
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from tests.support.aio import Latch, start, until
from tests.support.servers import Server
from tests.support.ways import Ways

SLACK_S = 1.0


class Hanging:
    """A loader that goes on until it is told to end, and then returns 1."""

    def __init__(self) -> None:
        self.begun = Latch()
        self.may_end = Latch()

    async def __call__(self) -> int:
        self.begun.open()
        await self.may_end.passed()
        return 1


async def test_the_drain_is_for_all_that_goes_on_together(own_redis: Server) -> None:
    cache = AsyncCache(own_redis.url, drain=0.5, lease=60)
    await cache.set("stale", 1, ttl=0.001, stale_ttl=60)
    await sleep(0.05)
    refresh, load = Hanging(), Hanging()
    await cache.get_or_load("stale", refresh, stale_ttl=60)
    await refresh.begun.passed()
    loading = await start(partial(cache.get_or_load, "a", load))
    await load.begun.passed()
    began_s = time.monotonic()
    await cache.aclose()
    assert time.monotonic() - began_s < 0.5 + SLACK_S / 2
    refresh.may_end.open()
    load.may_end.open()
    await until(lambda: loading.done, "the call has ended")


async def test_closing_by_tls_ends_in_time_while_the_server_stands_still(ways: Ways) -> None:
    cache = AsyncCache(ways.tls_url, drain=0, connect_timeout=5, command_timeout=5)
    await cache.set("a", 1)
    await until(lambda: cache.stats().l1_live, "the feed is up")
    ways.server.freeze()
    began_s = time.monotonic()
    await cache.aclose()
    assert time.monotonic() - began_s < SLACK_S
    ways.server.thaw()
    await until(lambda: connections(ways.server) == 1, "both connections are gone")


def connections(server: Server) -> int:
    """Return how many connections the server has, the one that asks among them."""
    return int(server.info("clients")["connected_clients"])


async def test_closing_leaves_no_connection(own_redis: Server) -> None:
    caches = [AsyncCache(own_redis.url, namespace=f"n{i}") for i in range(5)]
    for cache in caches:
        await cache.set("a", 1)
    for cache in caches:
        await cache.aclose()
    await until(lambda: connections(own_redis) == 1, "the connections are gone")


async def test_a_heart_that_stumbled_beats_again_for_the_next_lease() -> None:
    beats: list[int] = []

    class Stumbling:
        async def beat(self, leases: list[tuple[bytes, bytes]]) -> list[bool]:
            beats.append(len(leases))
            if len(beats) == 1:
                raise RuntimeError("nobody foresaw it")
            return [True] * len(leases)

    owner = Owner("test", 1)
    store: Any = Stumbling()
    heart = Heart(store.beat, owner, Incidents(Counters(), "n"), lease_ms=30)
    heart._leases[b"a", b"1"] = None
    heart._beating = True
    with pytest.raises(RuntimeError):
        await heart._beat()
    heart.hold([(b"b", b"2")])
    await until(lambda: len(beats) > 1, "it beats again")
    assert beats[1] == 2
    heart.stop()
    await owner.aclose(1)

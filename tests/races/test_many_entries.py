"""Invalidation of very many entries: by a tag in one round trip, by a pattern in small steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from freshwell import AsyncCache
from freshwell.testing import DOWN, FaultProxy
from tests.support.aio import start, until
from tests.support.processes import Worker, workers
from tests.support.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.race, pytest.mark.timeout(300)]

Work = Callable[[Server], Awaitable[None]]

_ENTRIES = 100_000
_PROCESSES = 4
_PATIENCE_S = 200.0
_ROUNDS = 3
_AT_ONCE = """
local keys = redis.call('KEYS', ARGV[1])
for _, key in ipairs(keys) do
  redis.call('GETRANGE', key, 0, 51)
  redis.call('UNLINK', key)
end
return #keys
"""
"""The control: the same work as the library's, in one go."""


def scripts_run(server: Server) -> int:
    told = server.info("commandstats").get("cmdstat_evalsha", "calls=0,")
    return int(told.removeprefix("calls=").partition(",")[0])


async def test_a_tag_over_100_000_entries_is_invalidated_in_one_round_trip(
    redis_url: str, redis_server: Server
) -> None:
    share = _ENTRIES // _PROCESSES
    arguments = [{"url": redis_url, "first": i * share, "count": share} for i in range(_PROCESSES)]
    with (
        workers("tests.races.many:fill_and_read", arguments) as group,
        FaultProxy(redis_server.port) as line,
    ):
        for member in group:
            member.wait_ready(_PATIENCE_S)
        assert redis_server.ask("DBSIZE") > _ENTRIES
        async with AsyncCache(line.url, l1=False, command_timeout=30) as cache:
            await cache.invalidate_tags("nothing")  # connected, and the script is known
            redis_server.ask("CONFIG", "RESETSTAT")
            line.freeze(DOWN)
            invalidation = await start(lambda: cache.invalidate_tags("all"))
            # No reply has come back: what the server has seen by now has left in one write.
            await until(lambda: scripts_run(redis_server) == 2, "both scripts have run")
            assert not invalidation.done
            line.heal()
            await invalidation.result()
        assert scripts_run(redis_server) == 2, "the tag's version, and the pulse"
        for member in group:
            member.go()
        for found in group.results():
            assert found == dict.fromkeys(found, True)


async def test_pings_stay_short_while_100_000_keys_are_invalidated_by_pattern(
    own_redis: Server,
) -> None:
    await fill(own_redis)
    small, large = [], []
    with workers("tests.races.many:ping", [{"port": own_redis.port}]) as (pinger,):
        # A busy machine makes PINGs longer and never shorter: so the best of some rounds counts.
        for _ in range(_ROUNDS):
            small.append(await longest_ping_s(pinger, own_redis, by_the_library))
            large.append(await longest_ping_s(pinger, own_redis, at_once))
    assert 4 * min(small) < min(large), (small, large)


async def fill(server: Server) -> None:
    """Store the entries, and leave a snapshot of them."""
    async with AsyncCache(server.url, l1=False, command_timeout=30) as cache:
        for first in range(0, _ENTRIES, 1_000):
            await cache.set_many({f"k:{n}": n for n in range(first, first + 1_000)})
    await asyncio.to_thread(server.ask, "SAVE")


async def longest_ping_s(pinger: Worker, server: Server, work: Work) -> float:
    await asyncio.to_thread(server.ask, "DEBUG", "RELOAD", "NOSAVE")
    pinger.say("begin")
    assert await asyncio.to_thread(pinger.hear) == "begun"
    await work(server)
    pinger.say("end")
    longest_s: float = await asyncio.to_thread(pinger.hear)
    return longest_s


async def by_the_library(server: Server) -> None:
    async with AsyncCache(server.url, l1=False, command_timeout=30) as cache:
        assert await cache.invalidate_pattern("k:*") == _ENTRIES


async def at_once(server: Server) -> None:
    reply = await asyncio.to_thread(server.ask, "EVAL", _AT_ONCE, 0, "fw:e:default:k:*")
    assert reply == _ENTRIES

"""Single writes of many tasks share calls to Redis, and each is accepted as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from freshwell._async.stores.redis_journal import RedisJournal
from freshwell._kit.aio_rounds import Rounds
from freshwell.errors import JournalUnavailable
from freshwell.ground.records import Draft
from freshwell.ground.streams import shard_of
from tests.journals._async.redis_parts import draft, opened, stem
from tests.support.aio import until
from tests.support.proxy import DOWN, UP, proxy
from tests.support.servers import Server


class Shared:
    """The way of single writes into a journal: those of one tick share a call for each shard."""

    def __init__(self, journal: RedisJournal) -> None:
        self._journal = journal
        self._rounds: Rounds[int, Draft, int] = Rounds(self._round)

    async def accept(self, one: Draft) -> int:
        return await self._rounds.run(self._journal.shard_of(one.name), one)

    async def _round(self, shard: int, drafts: Sequence[Draft]) -> list[int]:
        return await self._journal.accept(drafts, each=len(drafts) > 1)


class Alone(Shared):
    """A control: everybody makes a call of their own."""

    async def accept(self, one: Draft) -> int:
        return (await self._round(0, [one]))[0]


async def accepted(way: Shared, drafts: Sequence[Draft]) -> list[Any]:
    """Accept writes at the same time, and return the sequence or the error of each."""
    return await asyncio.gather(*map(way.accept, drafts), return_exceptions=True)


def calls(server: Server) -> int:
    """Return how many scripts have run since the last time, and forget them."""
    stats = server.ask("INFO", "commandstats").decode()
    server.ask("CONFIG", "RESETSTAT")
    _, _, found = stats.partition("cmdstat_evalsha:calls=")
    return int(found.partition(",")[0] or 0)


def held(server: Server) -> int:
    count: int = server.ask("XLEN", f"{stem()}:records")
    return count


async def test_the_writes_of_one_tick_travel_in_one_call_for_each_shard(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url, shards=2) as journal:
        way = Shared(journal)
        await accepted(way, [draft("first")])
        calls(redis_server)
        drafts = [draft(f"key:{n}", b"%d" % n) for n in range(100)]
        sequences = await accepted(way, drafts)
        assert calls(redis_server) == 1 + 2
        assert len(set(sequences)) == 100
        for shard in range(2):
            assert await journal.own(shard)
            own = [
                s for s, d in zip(sequences, drafts, strict=True) if shard_of(d.name, 2) == shard
            ]
            assert [r.sequence for r in await journal.take(shard, 0, 200)][-len(own) :] == own
            assert own == sorted(own)


async def test_control_without_rounds_each_write_is_a_call(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url, shards=2) as journal:
        alone = Alone(journal)
        await accepted(alone, [draft("first")])
        calls(redis_server)
        await accepted(alone, [draft(f"key:{n}") for n in range(100)])
        assert calls(redis_server) == 100


async def test_a_call_takes_so_many_writes_and_bytes_and_no_more(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as journal:
        way = Shared(journal)
        await accepted(way, [draft("first")])
        calls(redis_server)
        sequences = await accepted(way, [draft(f"key:{n}") for n in range(1 + 450)])
        assert calls(redis_server) == 1 + 3
        assert sequences == sorted(set(sequences))
        await accepted(way, [draft("large", bytes(900_000)) for _ in range(1 + 5)])
        assert calls(redis_server) == 1 + 3


async def test_one_that_finds_no_room_does_not_keep_out_the_others_of_its_round(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url, bounds={"max_bytes": 1_000}) as journal:
        way = Shared(journal)
        await accepted(way, [draft("first")])
        calls(redis_server)
        drafts = [draft("a"), draft("b"), draft("c", bytes(999)), draft("d")]
        given = await accepted(way, drafts)
        assert calls(redis_server) == 2
        assert [bool(sequence) for sequence in given] == [True, True, False, True]
        # Control: where one caller gives them, what is behind it does not overtake it.
        given = await journal.accept(drafts)
        assert [bool(sequence) for sequence in given] == [True, True, False, False]


async def test_a_full_journal_refuses_everybody_in_a_round(redis_url: str) -> None:
    async with opened(redis_url, bounds={"max_records": 5}) as journal:
        way = Shared(journal)
        await journal.check()
        given = await accepted(way, [draft(f"key:{n}") for n in range(9)])
        assert [bool(sequence) for sequence in given] == [True] * 5 + [False] * 4
        assert (await journal.backlog()).records == 5


async def test_a_shard_in_trouble_fails_its_own_writers_alone(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url, shards=2) as journal:
        way = Shared(journal)
        await journal.check()
        redis_server.ask("SET", f"{stem(1)}:records", "foreign")
        drafts = [draft(f"key:{n}") for n in range(40)]
        for one, found in zip(drafts, await accepted(way, drafts), strict=True):
            if shard_of(one.name, 2):
                assert isinstance(found, JournalUnavailable)
            else:
                assert found > 0


async def test_a_cancelled_caller_takes_nothing_from_the_others_of_its_round(
    own_redis: Server,
) -> None:
    with proxy(own_redis.port) as between:
        async with opened(between.url) as journal:
            way = Shared(journal)
            await journal.accept([draft("first")])
            between.freeze(DOWN)
            tasks = begin(*(way.accept(draft(f"key:{n}")) for n in range(5)))
            await until(lambda: held(own_redis) == 6, "all have arrived")
            tasks[0].cancel()
            tasks[2].cancel()
            between.heal()
            for number in (1, 3, 4):
                assert await tasks[number] > 0
            assert held(own_redis) == 6


async def test_a_write_that_is_cancelled_before_its_round_leaves_is_not_accepted(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as journal:
        way = Shared(journal)
        await journal.accept([draft("first")])
        tasks = begin(*(way.accept(draft(f"key:{n}")) for n in range(5)))
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [False, False, True, False, False]
        assert held(redis_server) == 1 + 4
        assert await journal.latest(["key:2"]) == [None]


async def test_a_round_whose_reply_is_lost_is_not_given_again_and_all_of_it_is_told(
    own_redis: Server,
) -> None:
    with proxy(own_redis.port) as between:
        async with opened(between.url) as journal:
            way = Shared(journal)
            await journal.accept([draft("first")])
            between.freeze(DOWN)
            tasks = begin(*(way.accept(draft(f"key:{n}")) for n in range(5)))
            await until(lambda: held(own_redis) == 6, "all have arrived")
            between.cut()
            between.heal()
            for task in tasks:
                with pytest.raises(JournalUnavailable):
                    await task
            await journal.accept([draft("last")])
            assert held(own_redis) == 7


async def test_a_journal_that_is_closed_keeps_no_caller_waiting(own_redis: Server) -> None:
    with proxy(own_redis.port) as between:
        async with opened(between.url) as journal:
            way = Shared(journal)
            await journal.accept([draft("first")])
            between.freeze(UP)
            tasks = begin(*(way.accept(draft(f"key:{n}")) for n in range(5)))
            await asyncio.sleep(0)
        for task in tasks:
            with pytest.raises(JournalUnavailable):
                await task


def begin(*calls: Coroutine[Any, Any, int]) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(call) for call in calls]

"""Owning shards, taking their records and settling them, on a real server."""

from __future__ import annotations

import pytest

from freshwell.ground.records import Settled, ShardLost
from freshwell.ground.streams import sequence_text
from tests.journals._async.redis_parts import at_desk, draft, opened, settled_as, stem
from tests.support.aio import until
from tests.support.servers import Server


async def test_a_shard_has_one_owner_until_that_gives_it_back(redis_url: str) -> None:
    async with opened(redis_url) as one, opened(redis_url) as two:
        assert await one.own(0)
        assert not await two.own(0)
        assert await one.own(0)
        await two.release([0])
        assert not await two.own(0)
        await one.release([0])
        assert await two.own(0)
        assert not await one.own(0)


async def test_closing_gives_the_shards_back(redis_url: str, redis_server: Server) -> None:
    async with opened(redis_url, shards=3) as one:
        for shard in range(3):
            assert await one.own(shard)
    await one.aclose()
    assert redis_server.ask("KEYS", "*:owner") == []
    assert redis_server.ask("KEYS", "*:flushers") == []


async def test_the_shards_of_a_process_that_is_silent_go_to_another(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as dead, opened(redis_url) as heir:
        await dead.accept([draft("a")])
        assert await dead.own(0)
        taken = await dead.take(0, 0, 9)
        assert 0 < redis_server.ask("PTTL", f"{stem()}:owner") <= 5_000
        redis_server.ask("PEXPIRE", f"{stem()}:owner", 1)
        await until(lambda: redis_server.ask("EXISTS", f"{stem()}:owner") == 0, "it runs out")
        assert await heir.own(0)
        assert await heir.take(0, 0, 9) == taken


async def test_who_has_lost_a_shard_can_neither_take_nor_settle(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as old, opened(redis_url) as new:
        await old.accept([draft("a"), draft("b"), draft("c")])
        assert await old.own(0)
        records = await old.take(0, 0, 9)
        redis_server.ask("DEL", f"{stem()}:owner")
        for holds in (False, True):
            assert await new.own(0) is True or not holds
            with pytest.raises(ShardLost):
                await old.take(0, 0, 9)
            with pytest.raises(ShardLost):
                await old.settle(0, settled_as(records, a="stored", b="failed", c="dead"))
        assert await new.take(0, 0, 9) == records
        assert (await new.backlog()).dead == 0


async def test_control_without_the_owners_word_the_settlement_would_stand(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as old:
        await old.accept([draft("a")])
        assert await old.own(0)
        records = await old.take(0, 0, 9)
        token = redis_server.ask("GET", f"{stem()}:owner")
        redis_server.ask("DEL", f"{stem()}:owner")
        # As if the script did not look at whose word it is.
        redis_server.ask("SET", f"{stem()}:owner", token)
        assert await old.settle(0, settled_as(records, a="stored")) == 0
        assert (await old.backlog()).records == 0


async def test_processes_that_flush_have_equal_parts_of_the_shards(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url, shards=5) as one, opened(redis_url, shards=5) as two:
        for shard in range(5):
            assert await one.own(shard)

        async def round_of(journal: object) -> int:
            return sum([await journal.own(shard) for shard in range(5)])  # type: ignore[attr-defined]

        assert await round_of(two) == 0
        held = 0
        for _ in range(10_000):  # one looks around every second
            held = await round_of(one)
            if held == 3:
                break
        assert held == 3
        assert await round_of(two) == 2
        assert redis_server.ask("ZCARD", "{fw:j:shop:orders}:flushers") == 2


async def test_taking_goes_on_behind_a_sequence_and_changes_nothing(redis_url: str) -> None:
    async with opened(redis_url) as journal:
        sequences = await journal.accept([draft(str(n)) for n in range(600)])
        assert await journal.own(0)
        first = await journal.take(0, 0, 250)
        rest = await journal.take(0, first[-1].sequence, 1_000)
        assert [record.sequence for record in first + rest] == sequences
        assert await journal.take(0, sequences[-1], 10) == []
        assert await journal.take(0, 0, 250) == first


async def test_fewer_are_taken_where_they_are_large(redis_url: str) -> None:
    async with opened(redis_url) as journal:
        for n in range(20):
            await journal.accept([draft(str(n), b"x" * 1_000_000)])
        assert await journal.own(0)
        found: list[str] = []
        after = 0
        while records := await journal.take(0, after, 20):
            assert sum(record.size for record in records) < 6_000_000
            found += [record.name for record in records]
            after = records[-1].sequence
        assert found == [str(n) for n in range(20)]
    async with at_desk(redis_url) as desk:
        assert [r.name for r in await desk.pending()] == ["0", "1", "2", "3"]


async def test_stored_records_are_gone_and_failed_ones_remember_their_attempts(
    redis_url: str,
) -> None:
    async with opened(redis_url) as journal:
        await journal.accept([draft("a"), draft("b"), draft("c")])
        assert await journal.own(0)
        records = await journal.take(0, 0, 9)
        tried = [record._replace(attempts=2) for record in records]
        assert await journal.settle(0, settled_as(tried, a="stored", b="failed", c="failed")) == 0
        left = await journal.take(0, 0, 9)
        assert [(record.name, record.attempts) for record in left] == [("b", 2), ("c", 2)]
        assert [r and r.name for r in await journal.latest(["a", "b"])] == [None, "b"]
        assert await journal.oldest() == [left[0].sequence]
        assert await journal.newest() == [left[1].sequence]
        assert await journal.settle(0, settled_as(left, b="stored", c="stored")) == 0
        assert await journal.oldest() == await journal.newest() == [0]


async def test_an_older_write_that_is_stored_leaves_the_newer_the_newest(redis_url: str) -> None:
    async with opened(redis_url) as journal:
        await journal.accept([draft("a", b"old"), draft("a", b"new")])
        assert await journal.own(0)
        old, new = await journal.take(0, 0, 9)
        await journal.settle(0, Settled(stored=(old,)))
        assert [r and r.payload for r in await journal.latest(["a"])] == [b"new"]
        await journal.settle(0, Settled(stored=(new,)))
        assert await journal.latest(["a"]) == [None]


async def test_nothing_is_left_behind_of_what_is_settled(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as journal:
        await journal.accept([draft(str(n)) for n in range(1_000)])
        assert await journal.own(0)
        records = await journal.take(0, 0, 1_000)
        failed = tuple(record._replace(attempts=1) for record in records)
        assert await journal.settle(0, Settled(failed=failed)) == 0
        assert redis_server.ask("HLEN", f"{stem()}:tries") == 1_000
        assert await journal.settle(0, Settled(stored=failed)) == 0
        assert redis_server.ask("EXISTS", f"{stem()}:tries", f"{stem()}:latest") == 0
        assert (await journal.backlog()).bytes == 0


async def test_a_dead_record_becomes_a_letter_and_is_no_part_of_the_backlog(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as journal, at_desk(redis_url) as desk:
        (sequence,) = await journal.accept([draft("a", b"bad")])
        assert await journal.own(0)
        (record,) = await journal.take(0, 0, 9)
        record = record._replace(attempts=7)
        assert await journal.settle(0, Settled(dead=((record, "refused: é"),))) == 0
        assert await journal.take(0, 0, 9) == []
        assert await journal.latest(["a"]) == [None]
        backlog = await journal.backlog()
        assert (backlog.records, backlog.bytes, backlog.dead) == (0, 0, 1)
        (letter,) = await desk.dead()
        assert letter == await desk.letter(sequence)
        assert letter.record == record
        assert letter.reason == "refused: é"
        assert not letter.superseded
        seconds, _ = redis_server.ask("TIME")
        assert 0 <= int(seconds) - letter.died_ms // 1_000 < 60


async def test_dead_letters_beyond_the_bound_stay_as_if_they_had_failed(redis_url: str) -> None:
    async with opened(redis_url, bounds={"max_dead": 1}) as journal:
        await journal.accept([draft("a"), draft("b")])
        assert await journal.own(0)
        records = [r._replace(attempts=3) for r in await journal.take(0, 0, 9)]
        assert await journal.settle(0, settled_as(records, a="dead", b="dead")) == 0
        assert [(r.name, r.attempts) for r in await journal.take(0, 0, 9)] == [("b", 3)]
        assert (await journal.backlog()).dead == 1


async def test_a_letter_is_superseded_once_a_later_write_of_its_key_is_stored(
    redis_url: str,
) -> None:
    async with opened(redis_url) as journal, at_desk(redis_url) as desk:
        await journal.accept([draft("a"), draft("b")])
        assert await journal.own(0)
        records = await journal.take(0, 0, 9)
        await journal.settle(0, settled_as(records, a="dead", b="dead"))
        await journal.accept([draft("a")])
        assert [letter.superseded for letter in await desk.dead()] == [False, False]
        await journal.settle(0, settled_as(await journal.take(0, 0, 9), a="stored"))
        assert [letter.superseded for letter in await desk.dead()] == [True, False]


async def test_what_is_not_there_any_more_is_counted(redis_url: str, redis_server: Server) -> None:
    async with opened(redis_url) as journal:
        await journal.accept([draft("a"), draft("b"), draft("c")])
        assert await journal.own(0)
        records = await journal.take(0, 0, 9)
        redis_server.ask("FLUSHALL")
        with pytest.raises(ShardLost):
            await journal.settle(0, settled_as(records, a="stored", b="stored", c="stored"))
        assert await journal.own(0)
        assert await journal.settle(0, settled_as(records, a="stored", b="failed", c="dead")) == 3
        backlog = await journal.backlog()
        assert (backlog.records, backlog.bytes, backlog.dead) == (0, 0, 0)


async def test_records_that_cannot_be_read_are_taken_settled_and_gone(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as journal, at_desk(redis_url) as desk:
        await journal.accept([draft("a")])
        torn = [
            ("n", "a", "p", "rest"),
            ("x", b"\xff"),
            ("n", "a", "i", "1", "k", "none", "p", "v", "t", "t"),
            ("n", b"\xff", "i", "1", "k", "999999", "p", "v", "t", "t"),
        ]
        for n, fields in enumerate(torn):
            redis_server.ask("XADD", f"{stem()}:records", f"{2_100_000_000_000 + n}-0", *fields)
        assert await journal.own(0)
        records = await journal.take(0, 0, 9)
        assert [record.id for record in records[1:]] == [b""] * 4
        assert records[1].payload == b"n\0a\0p\0rest"
        await journal.latest(["a"])
        dead = tuple((record, "torn") for record in records)
        assert await journal.settle(0, Settled(dead=dead)) == 0
        assert (await journal.backlog()).records == 0
        assert [letter.record for letter in await desk.dead()] == records


async def test_letters_that_cannot_be_read_are_shown_and_dropped(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as journal, at_desk(redis_url) as desk:
        await journal.check()
        for n, data in enumerate([b"", b"short", bytes(200), b"\xff" * 200], start=1):
            redis_server.ask("HSET", f"{stem()}:dead", sequence_text(n), data)
        redis_server.ask("HSET", f"{stem()}:dead", "no number", "x")
        letters = await desk.dead()
        assert [letter.reason for letter in letters] == ["the letter cannot be read"] * 4
        for letter in letters:
            assert await desk.drop(letter.record.sequence)
        assert await desk.dead() == []


async def test_the_backlog_tells_the_age_of_its_oldest_by_the_servers_clock(redis_url: str) -> None:
    async with opened(redis_url, shards=4) as journal:
        assert (await journal.backlog()).oldest_age_s == 0.0
        await journal.accept([draft(str(n)) for n in range(10)])
        first = await journal.backlog()
        assert first.records == 10
        assert first.durability == "redis"
        second = await journal.backlog()
        assert 0 <= first.oldest_age_s <= second.oldest_age_s < 60

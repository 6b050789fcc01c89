"""Dead letters and waiting records in Redis, in the hands of people."""

from __future__ import annotations

import pytest

from freshwell._async.stores.redis_desk import RedisDesk
from freshwell._async.stores.redis_journal import RedisJournal
from freshwell.errors import ConfigurationError, LetterSuperseded
from freshwell.ground.records import Kind, Settled
from tests.journals._async.redis_parts import at_desk, draft, opened, stem
from tests.support.servers import Server


async def died(journal: RedisJournal, *names: str) -> list[int]:
    """Accept writes of one shard, let them die, and return their sequences."""
    sequences = await journal.accept([draft(name, b"dead") for name in names])
    assert await journal.own(0)
    records = [r for r in await journal.take(0, 0, 99) if r.sequence in sequences]
    await journal.settle(0, Settled(dead=tuple((record, "refused") for record in records)))
    return sequences


async def stored(journal: RedisJournal) -> None:
    """Store all that is in the first shard."""
    await journal.settle(0, Settled(stored=tuple(await journal.take(0, 0, 99))))


async def superseded(desk: RedisDesk) -> list[bool]:
    return [letter.superseded for letter in await desk.dead()]


async def test_there_is_no_desk_without_a_journal(redis_url: str) -> None:
    async with at_desk(redis_url, "none") as desk:
        with pytest.raises(ConfigurationError, match="there is no journal 'none'"):
            await desk.backlog()


async def test_records_are_shown_in_order_whatever_shard_they_are_in(redis_url: str) -> None:
    async with opened(redis_url, shards=4) as journal, at_desk(redis_url) as desk:
        sequences = sorted(await journal.accept([draft(str(n)) for n in range(100)]))
        first = await desk.pending(limit=30)
        rest = await desk.pending(first[-1].sequence, 1_000)
        assert [record.sequence for record in first + rest] == sequences
        assert len(first) == 30
        assert await desk.letter(sequences[7]) == first[7]
        for none in (0, -1, sequences[0] - 1, 2**62, 2**70):
            assert await desk.letter(none) is None
        assert (await desk.backlog()).records == 100


async def test_letters_are_shown_in_order_and_dropped(redis_url: str, redis_server: Server) -> None:
    async with opened(redis_url) as journal, at_desk(redis_url) as desk:
        sequences = await died(journal, *[str(n) for n in range(25)])
        first = await desk.dead(limit=15)
        rest = await desk.dead(first[-1].record.sequence)
        assert [letter.record.sequence for letter in first + rest] == sequences
        for sequence in sequences:
            assert await desk.drop(sequence)
            assert not await desk.drop(sequence)
        assert await desk.dead() == []
        assert redis_server.ask("EXISTS", f"{stem()}:dead", f"{stem()}:deadkeys") == 0


async def test_a_letter_that_is_tried_again_is_the_newest_write(redis_url: str) -> None:
    async with opened(redis_url) as journal, at_desk(redis_url) as desk:
        (old,) = await died(journal, "a")
        before = (await desk.dead())[0].record
        (other,) = await journal.accept([draft("b")])
        new = await desk.retry(old)
        assert new is not None
        assert old < other < new
        (record,) = await journal.latest(["a"])
        assert record is not None
        assert record.kind == Kind.PUT | Kind.REVIVED
        assert (record.sequence, record.token) == (new, before.token)
        assert await desk.dead() == []
        assert await desk.retry(old) is None
        assert await journal.own(0)
        assert [r.sequence for r in await journal.take(0, 0, 9)] == [other, new]
        assert (await journal.backlog()).bytes == sum(r.size for r in await journal.take(0, 0, 9))


async def test_a_letter_whose_key_was_written_since_is_not_tried_again_unless_forced(
    redis_url: str,
) -> None:
    async with opened(redis_url) as journal, at_desk(redis_url) as desk:
        (old,) = await died(journal, "a")
        await journal.accept([draft("a", b"newer")])
        with pytest.raises(LetterSuperseded):
            await desk.retry(old)
        await stored(journal)
        assert await superseded(desk) == [True]
        with pytest.raises(LetterSuperseded):
            await desk.retry(old)
        assert await desk.retry(old, force=True)
        assert await desk.dead() == []
        assert [r.payload for r in await journal.take(0, 0, 9)] == [b"dead"]


async def test_of_several_letters_of_a_key_those_before_a_stored_write_are_superseded(
    redis_url: str, redis_server: Server
) -> None:
    async with opened(redis_url) as journal, at_desk(redis_url) as desk:
        first, second = [(await died(journal, "a"))[0] for _ in range(2)]
        await journal.accept([draft("a")])
        await stored(journal)
        third, fourth = [(await died(journal, "a"))[0] for _ in range(2)]
        assert await superseded(desk) == [True, True, False, False]
        assert await desk.drop(third)
        assert await desk.drop(first)
        assert await superseded(desk) == [True, False]
        assert await desk.retry(second, force=True)
        await stored(journal)
        assert await superseded(desk) == [True]
        assert await desk.drop(fourth)
        assert redis_server.ask("EXISTS", f"{stem()}:dead", f"{stem()}:deadkeys") == 0


async def test_a_full_journal_takes_a_letter_back(redis_url: str) -> None:
    async with (
        opened(redis_url, bounds={"max_records": 1}) as journal,
        at_desk(redis_url) as desk,
    ):
        (old,) = await died(journal, "a")
        await journal.accept([draft("b")])
        assert await desk.retry(old)
        assert (await journal.backlog()).records == 2

"""What every journal does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

import pytest

from freshwell._kit.aio import each
from freshwell.errors import JournalUnavailable
from freshwell.ground.records import Kind, Settled, ShardLost
from freshwell.testing._async.journal_parts import (
    Make,
    Opened,
    all_failed,
    all_stored,
    dies,
    draft,
    names_of,
    owned,
    settle,
    taken,
)
from freshwell.testing._marks.aio import MARKS

__all__ = ["AsyncJournalConformance"]


class AsyncJournalConformance:
    """What every journal does: accepted writes in order, one owner for each shard, nothing lost.

    A subclass overrides the fixture `make` with a function that opens the journal of the test's
    own place, empty at first, as often as it is called, with the bounds that it is given
    (`max_records`, `max_bytes`, `max_dead`; 10,000 records where nothing is said). It must be in
    one shard, or bound each shard so. Each one that is opened is closed by the test.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = MARKS
    kept: ClassVar[bool] = True
    """Whether what one journal has accepted, the next one that is opened there has."""

    @pytest.fixture
    def make(self) -> Make:
        """Open the journal of a place: to be overridden."""
        pytest.fail("give the class a fixture `make`: see the docstring of the suite")

    # -- accepting ---------------------------------------------------------------------------

    async def test_what_was_accepted_is_taken_as_it_was(self, make: Make) -> None:
        async with Opened(make) as journal:
            written = draft("a\0ü\n", b"\0\xff", Kind.DELETE)
            (sequence,) = await journal.accept([written])
            ((record,),) = [records for records in (await taken(journal)).values() if records]
            assert record[:6] == (sequence, *written)
            assert record.attempts == 0
            assert record.accepted_ms > 1_700_000_000_000

    async def test_the_writes_of_a_key_have_growing_sequences(self, make: Make) -> None:
        async with Opened(make) as journal:
            first = await journal.accept([draft("a"), draft("a")])
            second = await journal.accept([draft("a")])
            assert sorted({*first, *second}) == [*first, *second]

    async def test_nothing_is_accepted_of_nothing(self, make: Make) -> None:
        async with Opened(make) as journal:
            assert await journal.accept([]) == []

    async def test_many_accept_at_the_same_time(self, make: Make) -> None:
        async with Opened(make) as journal:
            calls: list[Callable[[], Awaitable[list[int]]]] = [
                partial(journal.accept, [draft(f"key {number}")]) for number in range(50)
            ]
            sequences = [sequence for (sequence,) in await each(calls, 50)]
            assert len(await names_of(journal)) == 50
            found = [r.sequence for records in (await taken(journal)).values() for r in records]
            assert sorted(found) == sorted(sequences)

    async def test_a_full_backlog_takes_the_first_and_says_which(self, make: Make) -> None:
        async with Opened(make, max_records=3) as journal:
            await journal.accept([draft("a")])
            sequences = await journal.accept([draft("a") for _ in range(5)])
            assert [bool(sequence) for sequence in sequences] == [True, True, False, False, False]
            assert (await journal.backlog()).records == 3
            await settle(journal, all_stored)
            await journal.accept([draft("a")])

    async def test_a_backlog_is_full_of_bytes_too(self, make: Make) -> None:
        async with Opened(make, max_bytes=1_000) as journal:
            small, large = await journal.accept([draft("a", bytes(400)), draft("a", bytes(900))])
            assert small > 0 == large

    async def test_the_backlog_is_told(self, make: Make) -> None:
        async with Opened(make) as journal:
            assert (await journal.backlog()).oldest_age_s == 0.0
            drafts = [draft("a"), draft("b", bytes(100)), draft("c")]
            await journal.accept(drafts)
            await settle(journal, dies("c"))
            await journal.accept(drafts[:2])
            told = await journal.backlog()
            assert (told.records, told.dead) == (2, 1)
            assert told.bytes == sum(one.size for one in drafts[:2])
            assert 0.0 <= told.oldest_age_s < 60
            assert told.durability == journal.durability.value

    # -- looking -----------------------------------------------------------------------------

    async def test_the_latest_write_of_each_entry_is_found(self, make: Make) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a", b"1"), draft("b", b"2"), draft("a", b"3")])
            found = await journal.latest(["a", "nothing", "b", "a"])
            assert [record and record.payload for record in found] == [b"3", None, b"2", b"3"]

    async def test_what_is_settled_is_not_found(self, make: Make) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a"), draft("b"), draft("c")])
            await settle(journal, dies("b"))
            assert await journal.latest(["a", "b", "c"]) == [None] * 3

    async def test_the_oldest_and_the_newest_are_told(self, make: Make) -> None:
        async with Opened(make) as journal:
            assert await journal.oldest() == await journal.newest() == [0] * journal.shards
            first, _, last = await journal.accept([draft("a"), draft("a"), draft("a")])
            assert max(await journal.oldest()) == first
            assert max(await journal.newest()) == last

    # -- owning and taking -------------------------------------------------------------------

    async def test_a_shard_that_is_not_owned_gives_nothing_and_takes_nothing(
        self, make: Make
    ) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a")])
            held = await taken(journal)
            await journal.release(range(journal.shards))
            for shard, records in held.items():
                with pytest.raises(ShardLost):
                    await journal.take(shard, 0, 10)
                with pytest.raises(ShardLost):
                    await journal.settle(shard, Settled(stored=tuple(records)))
            assert (await journal.backlog()).records == 1

    async def test_an_owner_remains_one(self, make: Make) -> None:
        async with Opened(make) as journal:
            await owned(journal)
            await owned(journal)

    async def test_what_is_not_owned_can_be_released(self, make: Make) -> None:
        async with Opened(make) as journal:
            await journal.release(range(journal.shards))

    async def test_a_shard_has_one_owner_at_a_time(self, make: Make) -> None:
        if not self.kept:
            pytest.skip("two in memory are two journals")
        async with Opened(make) as first, Opened(make) as second:
            await owned(first)
            assert not await second.own(0)
            await first.release([0])
            assert await second.own(0)

    async def test_records_are_taken_in_order_and_page_by_page(self, make: Make) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a", b"%d" % number) for number in range(25)])
            await owned(journal)
            (shard,) = (n for n, newest in enumerate(await journal.newest()) if newest)
            found: list[bytes] = []
            after = 0
            while page := await journal.take(shard, after, 10):
                assert len(page) <= 10
                found += (record.payload for record in page)
                after = page[-1].sequence
            assert found == [b"%d" % number for number in range(25)]

    async def test_large_records_come_in_smaller_pages(self, make: Make) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a", bytes(3_000_000)) for _ in range(4)])
            held = [records for records in (await taken(journal)).values() if records]
            assert 1 <= len(held[0]) < 4

    # -- settling ----------------------------------------------------------------------------

    async def test_what_is_stored_is_gone(self, make: Make) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a"), draft("b")])
            assert await settle(journal, all_stored) == 0
            assert await names_of(journal) == []
            backlog = await journal.backlog()
            assert (backlog.records, backlog.bytes) == (0, 0)

    async def test_what_has_failed_stays_with_its_attempts(self, make: Make) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a"), draft("b")])
            assert await settle(journal, all_failed) == 0
            found = [r for records in (await taken(journal)).values() for r in records]
            assert [record.attempts for record in found] == [3, 3]

    async def test_what_was_not_there_any_more_is_told(self, make: Make) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a"), draft("a"), draft("a"), draft("a")])
            held = await taken(journal)
            (shard,) = (shard for shard, records in held.items() if records)
            one, two, three, _ = held[shard]
            assert await journal.settle(shard, Settled(stored=(one, two, three))) == 0
            again = Settled(stored=(one,), failed=(two,), dead=((three, "refused"),))
            assert await journal.settle(shard, again) == 3
            backlog = await journal.backlog()
            assert (backlog.records, backlog.bytes, backlog.dead) == (1, draft("a").size, 0)

    async def test_dead_letters_beyond_the_bound_stay_records(self, make: Make) -> None:
        async with Opened(make, max_dead=2) as journal:
            await journal.accept([draft("a") for _ in range(3)])
            assert await settle(journal, dies("a")) == 0
            backlog = await journal.backlog()
            assert (backlog.records, backlog.dead) == (1, 2)

    # -- the end -----------------------------------------------------------------------------

    async def test_what_was_accepted_outlives_the_journal_that_accepted_it(
        self, make: Make
    ) -> None:
        async with Opened(make) as journal:
            (first,) = await journal.accept([draft("a", b"value")])
            await settle(journal, all_failed)
        async with Opened(make) as journal:
            (found,) = await journal.latest(["a"])
            if not self.kept:
                assert found is None
                return
            ((record,),) = [records for records in (await taken(journal)).values() if records]
            assert found is not None
            assert found._replace(attempts=3) == record
            assert (record.sequence, record.payload, record.attempts) == (first, b"value", 3)
            (second,) = await journal.accept([draft("a")])
            assert second > first

    async def test_a_closed_journal_says_so(self, make: Make) -> None:
        async with Opened(make) as journal:
            await journal.accept([draft("a")])
            await journal.aclose()
            await journal.aclose()
            with pytest.raises(JournalUnavailable):
                await journal.accept([draft("a")])
            with pytest.raises(JournalUnavailable):
                await journal.backlog()

    async def test_a_closed_journal_has_given_its_shards_back(self, make: Make) -> None:
        if not self.kept:
            pytest.skip("two in memory are two journals")
        async with Opened(make) as first, Opened(make) as second:
            await owned(first)
            await first.aclose()
            await owned(second)

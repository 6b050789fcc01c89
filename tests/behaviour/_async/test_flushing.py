"""What was accepted reaches the source: at least once, in order per key, whoever is in the way."""

from __future__ import annotations

import random

import pytest

from freshwell._kit.aio import sleep
from freshwell.errors import JournalUnavailable
from freshwell.ground.batches import Outcome
from freshwell.testing import FakeClock
from tests.behaviour._async.flushes import LONG, Fleet, Refused, S
from tests.behaviour._async.journals import MemoryJournal
from tests.support.aio import start, until

# -- the way of a write ----------------------------------------------------------------------


async def test_what_was_accepted_reaches_the_source_by_itself_and_leaves_the_journal() -> None:
    async with Fleet() as fleet:
        fleet.flusher().start()
        await fleet.put(("a", b"1"), ("b", b"2"))
        await until(lambda: not fleet.ledger.all(), "all is settled")
        assert fleet.target.rows == {"a": b"1", "b": b"2"}
        assert [record.payload for record in fleet.told[0]] == [b"1", b"2"]
        assert fleet.counters.writes_stored == 2


async def test_writes_of_a_key_that_wait_together_go_as_one() -> None:
    async with Fleet() as fleet:
        await fleet.put(("a", b"1"), ("b", b"2"), ("a", b"3"))
        assert await fleet.flusher().flush(LONG)
        assert fleet.target.calls == [[b"3", b"2"]]
        assert fleet.counters.writes_stored == 3


async def test_without_coalescing_each_goes_in_its_turn() -> None:
    async with Fleet() as fleet:
        await fleet.put(("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"4"))
        assert await fleet.flusher(coalesce=False).flush(LONG)
        assert fleet.target.calls == [[b"1", b"2"], [b"3"], [b"4"]]


async def test_a_batch_that_is_full_does_not_wait_for_more() -> None:
    clock = FakeClock()
    async with Fleet() as fleet:
        fleet.flusher(now_ns=clock, batch=2).start()
        await fleet.put(("a", b"1"), ("b", b"2"), ("c", b"3"))
        await until(lambda: len(fleet.target.calls) == 1)
        await until(lambda: len(fleet.journal.taken) == 3)
        assert fleet.target.calls == [[b"1", b"2"]], "the third waits, for the clock stands still"
        clock.advance(ms=10)
        await until(lambda: not fleet.ledger.all())


async def test_who_asks_for_a_flush_gets_all_that_is_there_flushed() -> None:
    async with Fleet() as fleet:
        await fleet.put(*[(f"k{n}", b"%d" % n) for n in range(5)])
        fleet.flusher(now_ns=FakeClock(), batch=2).flush_now()
        await until(lambda: len(fleet.target.rows) == 5, "even what does not fill a batch")


@pytest.mark.parametrize("coalesce", [True, False])
async def test_each_key_is_stored_in_order_whatever_fails(coalesce: bool) -> None:
    draw = random.Random(7)

    def fails(payloads: list[bytes]) -> Exception | None:
        return draw.choice([None, None, Refused(), ConnectionError()])

    async with Fleet(shards=3) as fleet:
        fleet.target.fails = fails
        flusher = fleet.flusher(coalesce=coalesce, max_attempts=1_000, batch=8)
        flusher.start()
        for n in range(200):
            await fleet.put((f"k{draw.randrange(9)}", b"%d" % n))
            await sleep(0)
        assert await flusher.flush(LONG)
        assert not fleet.ledger.dead
        for payloads in fleet.target.stored.values():
            numbers = [int(payload) for payload in payloads]
            assert numbers == sorted(numbers)
        if not coalesce:
            assert sum(map(len, fleet.target.stored.values())) == 200


# -- doubt -----------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
async def test_a_settlement_without_an_answer_loses_nothing(made: bool) -> None:
    async with Fleet() as fleet:
        fleet.journal.lost_replies, fleet.journal.lost_requests = int(made), int(not made)
        await fleet.put(("a", b"1"))
        assert await fleet.flusher().flush(LONG)
        assert fleet.target.stored == {"a": [b"1"] if made else [b"1", b"1"]}
        await until(lambda: fleet.counters.flush_errors == 1)
        assert fleet.counters.writes_lost == 0


async def test_where_the_cache_cannot_be_told_the_write_is_delivered_again() -> None:
    async with Fleet() as fleet:
        fleet.untold = 2
        await fleet.put(("a", b"1"))
        assert await fleet.flusher().flush(LONG)
        assert fleet.target.stored == {"a": [b"1"] * 3}
        assert fleet.counters.flush_errors == 2


async def test_it_goes_on_when_the_journal_is_back() -> None:
    async with Fleet() as fleet:
        flusher = fleet.flusher()
        await fleet.put(("a", b"1"))
        fleet.journal.down = True
        flusher.start()
        await until(lambda: fleet.counters.flush_errors > 0)
        fleet.journal.down = False
        await until(lambda: fleet.target.rows == {"a": b"1"})


async def test_what_the_journal_has_lost_meanwhile_is_told() -> None:
    async with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        await fleet.put(("a", b"1"))
        fleet.flusher().flush_now()
        await fleet.target.held.passed()
        fleet.ledger.records[0].clear()
        fleet.target.let_go.open()
        await until(lambda: fleet.counters.writes_lost == 1)


async def test_who_has_lost_a_shard_settles_nothing_and_waits_for_it() -> None:
    async with Fleet() as fleet:
        other = MemoryJournal(fleet.ledger)
        fleet.target.holds = {b"1"}
        await fleet.put(("a", b"1"), ("b", b"2"))
        fleet.flusher(batch=1).flush_now()
        await fleet.target.held.passed()
        fleet.target.holds = set()
        fleet.ledger.owners[0] = other
        second = fleet.flusher(other)
        assert await second.flush(LONG)
        assert fleet.target.stored == {"a": [b"1", b"1"], "b": [b"2"]}
        fleet.target.let_go.open()
        await fleet.put(("c", b"3"))
        assert await second.flush(LONG)
        assert await second.aclose(LONG)
        assert other.released == [0]
        await fleet.put(("d", b"4"))
        await until(lambda: fleet.target.rows.get("d") == b"4", "the first has the shard again")
        assert fleet.target.stored == {"a": [b"1", b"1"], "b": [b"2"], "c": [b"3"], "d": [b"4"]}


@pytest.mark.parametrize("trust_s", [3, 1_000], ids=["doubts", "control"])
async def test_a_process_that_stood_still_forgets_what_it_held(trust_s: int) -> None:
    clock = FakeClock()
    async with Fleet() as fleet:
        fleet.flusher(now_ns=clock, trust_ns=trust_s * S, beat_ns=1_000 * S).start()
        (sequence,) = await fleet.put(("a", b"1"))
        await until(lambda: fleet.journal.taken == [sequence])
        del fleet.ledger.records[0][sequence]  # another had the shard meanwhile, and left it
        await fleet.put(("b", b"2"))
        clock.advance(10)
        await until(lambda: len(fleet.journal.taken) >= 2)
        clock.advance(ms=10)
        await until(lambda: fleet.target.rows.get("b") == b"2")
        assert ("a" in fleet.target.rows) == (trust_s > 10)


# -- waiting and leaving ---------------------------------------------------------------------


async def test_a_flush_gives_up_in_time_and_the_flushing_goes_on() -> None:
    async with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        await fleet.put(("a", b"1"))
        flusher = fleet.flusher()
        assert not await flusher.flush(0.05)
        fleet.target.let_go.open()
        assert await flusher.flush(LONG)


async def test_a_flush_does_not_wait_for_what_is_accepted_after_it_began() -> None:
    async with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        fleet.target.says = {b"2": Outcome.retry("busy")}
        await fleet.put(("a", b"1"))
        flusher = fleet.flusher(max_attempts=10**6)
        flushing = await start(lambda: flusher.flush(LONG))
        await fleet.target.held.passed()
        await fleet.put(("b", b"2"))
        fleet.target.let_go.open()
        assert await flushing.result()
        assert [record.payload for record in fleet.ledger.all()] == [b"2"]


async def test_a_flush_sees_what_another_process_flushes() -> None:
    async with Fleet(shards=2) as fleet:
        other = MemoryJournal(fleet.ledger)
        fleet.flusher(other).start()
        await until(lambda: fleet.ledger.owners == [other, other])
        await fleet.put(("a", b"1"), ("b", b"2"))
        assert await fleet.flusher().flush(LONG)
        assert fleet.journal.taken == []


async def test_a_flush_says_that_the_journal_is_down() -> None:
    async with Fleet() as fleet:
        flusher = fleet.flusher()
        fleet.journal.down = True
        with pytest.raises(JournalUnavailable):
            await flusher.flush(0.05)
        assert not await flusher.aclose(0.1)


async def test_a_close_flushes_what_there_is_and_gives_the_shards_back() -> None:
    async with Fleet(shards=4) as fleet:
        flusher = fleet.flusher(flush_every_ns=1_000 * S)
        flusher.start()
        await fleet.put(*[(f"k{n}", b"%d" % n) for n in range(50)])
        assert await flusher.aclose(LONG)
        assert not fleet.ledger.all()
        assert sorted(fleet.journal.released) == [0, 1, 2, 3]
        assert await flusher.aclose(LONG)
        await fleet.put(("later", b"1"))
        flusher.flush_now()
        assert not await flusher.flush(0.05), "it is closed"


async def test_a_close_reports_that_something_is_left() -> None:
    async with Fleet() as fleet:
        fleet.target.fails = lambda payloads: ConnectionRefusedError()
        await fleet.put(("a", b"1"))
        flusher = fleet.flusher()
        flusher.start()
        await until(lambda: flusher.source_down)
        assert not await flusher.aclose(0.05)
        assert fleet.attempts == [0]
        assert fleet.journal.released == [0]


async def test_a_close_leaves_a_shard_to_run_out_whose_source_is_still_at_it() -> None:
    async with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        await fleet.put(("a", b"1"))
        flusher = fleet.flusher()
        flusher.start()
        await fleet.target.held.passed()
        assert not await flusher.aclose(0.05)
        assert fleet.journal.released == []
        assert len(fleet.ledger.all()) == 1

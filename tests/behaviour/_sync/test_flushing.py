"""What was accepted reaches the source: at least once, in order per key, whoever is in the way."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import random

import pytest

from freshwell._kit.threads import sleep
from freshwell.errors import JournalUnavailable
from freshwell.ground.batches import Outcome
from freshwell.testing import FakeClock
from tests.behaviour._sync.flushes import LONG, Fleet, Refused, S
from tests.behaviour._sync.journals import MemoryJournal
from tests.support.threads import start, until

# -- the way of a write ----------------------------------------------------------------------


def test_what_was_accepted_reaches_the_source_by_itself_and_leaves_the_journal() -> None:
    with Fleet() as fleet:
        fleet.flusher().start()
        fleet.put(("a", b"1"), ("b", b"2"))
        until(lambda: not fleet.ledger.all(), "all is settled")
        assert fleet.target.rows == {"a": b"1", "b": b"2"}
        assert [record.payload for record in fleet.told[0]] == [b"1", b"2"]
        assert fleet.counters.writes_stored == 2


def test_writes_of_a_key_that_wait_together_go_as_one() -> None:
    with Fleet() as fleet:
        fleet.put(("a", b"1"), ("b", b"2"), ("a", b"3"))
        assert fleet.flusher().flush(LONG)
        assert fleet.target.calls == [[b"3", b"2"]]
        assert fleet.counters.writes_stored == 3


def test_without_coalescing_each_goes_in_its_turn() -> None:
    with Fleet() as fleet:
        fleet.put(("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"4"))
        assert fleet.flusher(coalesce=False).flush(LONG)
        assert fleet.target.calls == [[b"1", b"2"], [b"3"], [b"4"]]


def test_a_batch_that_is_full_does_not_wait_for_more() -> None:
    clock = FakeClock()
    with Fleet() as fleet:
        fleet.flusher(now_ns=clock, batch=2).start()
        fleet.put(("a", b"1"), ("b", b"2"), ("c", b"3"))
        until(lambda: len(fleet.target.calls) == 1)
        until(lambda: len(fleet.journal.taken) == 3)
        assert fleet.target.calls == [[b"1", b"2"]], "the third waits, for the clock stands still"
        clock.advance(ms=10)
        until(lambda: not fleet.ledger.all())


def test_who_asks_for_a_flush_gets_all_that_is_there_flushed() -> None:
    with Fleet() as fleet:
        fleet.put(*[(f"k{n}", b"%d" % n) for n in range(5)])
        fleet.flusher(now_ns=FakeClock(), batch=2).flush_now()
        until(lambda: len(fleet.target.rows) == 5, "even what does not fill a batch")


@pytest.mark.parametrize("coalesce", [True, False])
def test_each_key_is_stored_in_order_whatever_fails(coalesce: bool) -> None:
    draw = random.Random(7)

    def fails(payloads: list[bytes]) -> Exception | None:
        return draw.choice([None, None, Refused(), ConnectionError()])

    with Fleet(shards=3) as fleet:
        fleet.target.fails = fails
        flusher = fleet.flusher(coalesce=coalesce, max_attempts=1_000, batch=8)
        flusher.start()
        for n in range(200):
            fleet.put((f"k{draw.randrange(9)}", b"%d" % n))
            sleep(0)
        assert flusher.flush(LONG)
        assert not fleet.ledger.dead
        for payloads in fleet.target.stored.values():
            numbers = [int(payload) for payload in payloads]
            assert numbers == sorted(numbers)
        if not coalesce:
            assert sum(map(len, fleet.target.stored.values())) == 200


# -- doubt -----------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_a_settlement_without_an_answer_loses_nothing(made: bool) -> None:
    with Fleet() as fleet:
        fleet.journal.lost_replies, fleet.journal.lost_requests = int(made), int(not made)
        fleet.put(("a", b"1"))
        assert fleet.flusher().flush(LONG)
        assert fleet.target.stored == {"a": [b"1"] if made else [b"1", b"1"]}
        until(lambda: fleet.counters.flush_errors == 1)
        assert fleet.counters.writes_lost == 0


def test_where_the_cache_cannot_be_told_the_write_is_delivered_again() -> None:
    with Fleet() as fleet:
        fleet.untold = 2
        fleet.put(("a", b"1"))
        assert fleet.flusher().flush(LONG)
        assert fleet.target.stored == {"a": [b"1"] * 3}
        assert fleet.counters.flush_errors == 2


def test_it_goes_on_when_the_journal_is_back() -> None:
    with Fleet() as fleet:
        flusher = fleet.flusher()
        fleet.put(("a", b"1"))
        fleet.journal.down = True
        flusher.start()
        until(lambda: fleet.counters.flush_errors > 0)
        fleet.journal.down = False
        until(lambda: fleet.target.rows == {"a": b"1"})


def test_what_the_journal_has_lost_meanwhile_is_told() -> None:
    with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        fleet.put(("a", b"1"))
        fleet.flusher().flush_now()
        fleet.target.held.passed()
        fleet.ledger.records[0].clear()
        fleet.target.let_go.open()
        until(lambda: fleet.counters.writes_lost == 1)


def test_who_has_lost_a_shard_settles_nothing_and_waits_for_it() -> None:
    with Fleet() as fleet:
        other = MemoryJournal(fleet.ledger)
        fleet.target.holds = {b"1"}
        fleet.put(("a", b"1"), ("b", b"2"))
        fleet.flusher(batch=1).flush_now()
        fleet.target.held.passed()
        fleet.target.holds = set()
        fleet.ledger.owners[0] = other
        second = fleet.flusher(other)
        assert second.flush(LONG)
        assert fleet.target.stored == {"a": [b"1", b"1"], "b": [b"2"]}
        fleet.target.let_go.open()
        fleet.put(("c", b"3"))
        assert second.flush(LONG)
        assert second.close(LONG)
        assert other.released == [0]
        fleet.put(("d", b"4"))
        until(lambda: fleet.target.rows.get("d") == b"4", "the first has the shard again")
        assert fleet.target.stored == {"a": [b"1", b"1"], "b": [b"2"], "c": [b"3"], "d": [b"4"]}


@pytest.mark.parametrize("trust_s", [3, 1_000], ids=["doubts", "control"])
def test_a_process_that_stood_still_forgets_what_it_held(trust_s: int) -> None:
    clock = FakeClock()
    with Fleet() as fleet:
        fleet.flusher(now_ns=clock, trust_ns=trust_s * S, beat_ns=1_000 * S).start()
        (sequence,) = fleet.put(("a", b"1"))
        until(lambda: fleet.journal.taken == [sequence])
        del fleet.ledger.records[0][sequence]  # another had the shard meanwhile, and left it
        fleet.put(("b", b"2"))
        clock.advance(10)
        until(lambda: len(fleet.journal.taken) >= 2)
        clock.advance(ms=10)
        until(lambda: fleet.target.rows.get("b") == b"2")
        assert ("a" in fleet.target.rows) == (trust_s > 10)


# -- waiting and leaving ---------------------------------------------------------------------


def test_a_flush_gives_up_in_time_and_the_flushing_goes_on() -> None:
    with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        fleet.put(("a", b"1"))
        flusher = fleet.flusher()
        assert not flusher.flush(0.05)
        fleet.target.let_go.open()
        assert flusher.flush(LONG)


def test_a_flush_does_not_wait_for_what_is_accepted_after_it_began() -> None:
    with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        fleet.target.says = {b"2": Outcome.retry("busy")}
        fleet.put(("a", b"1"))
        flusher = fleet.flusher(max_attempts=10**6)
        flushing = start(lambda: flusher.flush(LONG))
        fleet.target.held.passed()
        fleet.put(("b", b"2"))
        fleet.target.let_go.open()
        assert flushing.result()
        assert [record.payload for record in fleet.ledger.all()] == [b"2"]


def test_a_flush_sees_what_another_process_flushes() -> None:
    with Fleet(shards=2) as fleet:
        other = MemoryJournal(fleet.ledger)
        fleet.flusher(other).start()
        until(lambda: fleet.ledger.owners == [other, other])
        fleet.put(("a", b"1"), ("b", b"2"))
        assert fleet.flusher().flush(LONG)
        assert fleet.journal.taken == []


def test_a_flush_says_that_the_journal_is_down() -> None:
    with Fleet() as fleet:
        flusher = fleet.flusher()
        fleet.journal.down = True
        with pytest.raises(JournalUnavailable):
            flusher.flush(0.05)
        assert not flusher.close(0.1)


def test_a_close_flushes_what_there_is_and_gives_the_shards_back() -> None:
    with Fleet(shards=4) as fleet:
        flusher = fleet.flusher(flush_every_ns=1_000 * S)
        flusher.start()
        fleet.put(*[(f"k{n}", b"%d" % n) for n in range(50)])
        assert flusher.close(LONG)
        assert not fleet.ledger.all()
        assert sorted(fleet.journal.released) == [0, 1, 2, 3]
        assert flusher.close(LONG)
        fleet.put(("later", b"1"))
        flusher.flush_now()
        assert not flusher.flush(0.05), "it is closed"


def test_a_close_reports_that_something_is_left() -> None:
    with Fleet() as fleet:
        fleet.target.fails = lambda payloads: ConnectionRefusedError()
        fleet.put(("a", b"1"))
        flusher = fleet.flusher()
        flusher.start()
        until(lambda: flusher.source_down)
        assert not flusher.close(0.05)
        assert fleet.attempts == [0]
        assert fleet.journal.released == [0]


def test_a_close_leaves_a_shard_to_run_out_whose_source_is_still_at_it() -> None:
    with Fleet() as fleet:
        fleet.target.holds = {b"1"}
        fleet.put(("a", b"1"))
        flusher = fleet.flusher()
        flusher.start()
        fleet.target.held.passed()
        assert not flusher.close(0.05)
        assert fleet.journal.released == []
        assert len(fleet.ledger.all()) == 1

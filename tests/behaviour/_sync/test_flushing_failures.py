"""What the source refuses, and what it cannot be blamed for: attempts, dead letters, a breaker."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from itertools import pairwise

import pytest

from freshwell._kit.threads import sleep
from freshwell.ground.batches import Outcome
from freshwell.testing import FakeClock
from tests.behaviour._sync.flushes import LONG, MS, Fleet, Refused, S, refusing
from tests.support.threads import until

# -- writes that fail ------------------------------------------------------------------------


def test_one_poison_among_a_thousand_is_found_and_the_others_are_stored() -> None:
    clock = FakeClock()
    with Fleet() as fleet:
        fleet.put(*[(f"k{n}", b"%d" % n) for n in range(1_000)])
        fleet.target.fails = refusing(b"613")
        flusher = fleet.flusher(now_ns=clock, batch=1_000)
        flusher.flush_now()
        until(lambda: flusher.parked == 1)
        assert len(fleet.target.calls) <= 21, "halving takes two calls for each of ten levels"
        assert fleet.attempts == [1]
        assert len(fleet.target.rows) == 999
        assert not flusher.source_down


def test_a_parked_key_keeps_its_later_writes_and_lets_others_go_on() -> None:
    clock = FakeClock()
    with Fleet() as fleet:
        fleet.target.fails = refusing(b"bad")
        flusher = fleet.flusher(now_ns=clock, coalesce=False)
        fleet.put(("a", b"bad"), ("a", b"later"))
        flusher.flush_now()
        until(lambda: flusher.parked == 1)
        fleet.put(("b", b"1"))
        flusher.flush_now()
        until(lambda: fleet.target.rows == {"b": b"1"})
        fleet.target.fails = refusing()
        clock.advance(1)
        assert flusher.flush(LONG)
        assert fleet.target.stored["a"] == [b"bad", b"later"]


def test_the_waits_between_the_tries_of_a_write_grow() -> None:
    clock = FakeClock()
    called_ns: list[int] = []

    def fails(payloads: list[bytes]) -> Exception:
        called_ns.append(clock())
        return Refused()

    with Fleet() as fleet:
        fleet.target.fails = fails
        fleet.put(("a", b"1"))
        flusher = fleet.flusher(
            now_ns=clock, retry_base_ns=100 * MS, retry_most_ns=10 * S, trust_ns=1_000 * S
        )
        flusher.flush_now()
        while len(called_ns) < 5:
            sleep(0.002)
            clock.advance(ms=10)
        waits_ms = [(b - a) // MS for a, b in pairwise(called_ns)]
        for waited_ms, least_ms in zip(waits_ms, (100, 200, 400, 800), strict=True):
            assert waited_ms >= least_ms


def test_who_takes_over_a_write_that_failed_waits_before_it_tries() -> None:
    clock = FakeClock()
    with Fleet() as fleet:
        fleet.target.fails = refusing(b"bad")
        fleet.put(("a", b"bad"), ("b", b"1"))
        first, second = fleet.flusher(now_ns=clock), fleet.flusher(now_ns=clock)
        first.flush_now()
        until(lambda: first.parked == 1)
        first.close(0)
        calls = len(fleet.target.calls)
        second.flush_now()
        until(lambda: second.parked == 1)
        assert len(fleet.target.calls) == calls


def test_a_write_that_failed_too_often_becomes_a_dead_letter_with_those_it_covers() -> None:
    with Fleet() as fleet:
        fleet.target.fails = refusing(b"bad")
        fleet.put(("a", b"old"), ("a", b"bad"), ("b", b"1"))
        assert fleet.flusher(max_attempts=3).flush(LONG)
        letters = [(r.payload, r.attempts, why) for r, why in fleet.ledger.dead]
        why = f"{Refused.__module__}.Refused"
        assert letters == [(b"old", 0, why), (b"bad", 3, why)]
        assert "secret" not in why
        assert [record.payload for record in fleet.told[1]] == [b"old", b"bad"]
        assert fleet.target.rows == {"b": b"1"}
        assert (fleet.counters.writes_retried, fleet.counters.writes_dead) == (2, 2)


def test_what_the_source_wants_to_be_asked_again_is_tried_again() -> None:
    with Fleet() as fleet:
        fleet.target.says = {b"1": Outcome.retry("busy")}
        flusher = fleet.flusher(max_attempts=1_000)
        fleet.put(("a", b"1"), ("b", b"2"))
        flusher.flush_now()
        until(lambda: len(fleet.target.calls) > 2)
        assert fleet.target.rows == {"b": b"2"}
        fleet.target.says = {}
        assert flusher.flush(LONG)
        assert fleet.target.rows == {"a": b"1", "b": b"2"}


def test_a_rejected_write_dies_when_the_one_before_it_is_stored() -> None:
    with Fleet() as fleet:
        fleet.target.says = {b"bad": Outcome.reject("no such column" + 300 * ".")}
        fleet.put(("a", b"good"), ("a", b"bad"))
        assert fleet.flusher().flush(LONG)
        assert fleet.target.calls == [[b"bad"], [b"good"], [b"bad"]]
        ((record, why),) = fleet.ledger.dead
        assert (record.payload, record.attempts) == (b"bad", 1)
        assert why.startswith("no such column.")
        assert len(why) == 200


def test_dead_letters_for_which_there_is_no_room_die_later() -> None:
    clock = FakeClock()
    with Fleet(dead_room=0) as fleet:
        fleet.target.says = {b"bad": Outcome.reject("never")}
        fleet.put(("a", b"bad"))
        flusher = fleet.flusher(now_ns=clock, trust_ns=1_000 * S)
        flusher.flush_now()
        until(lambda: fleet.counters.writes_dead == 1)
        assert fleet.attempts == [1], "it stayed in the journal"
        fleet.ledger.dead_room = 1
        clock.advance(31)
        until(lambda: len(fleet.journal.taken) == 2)
        clock.advance(1)
        assert flusher.flush(LONG)
        assert len(fleet.ledger.dead) == 1


# -- a source that is down -------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False], ids=["known to be down", "control"])
def test_a_source_that_is_down_for_long_burns_no_attempts(known: bool) -> None:
    clock = FakeClock()
    with Fleet() as fleet:
        fleet.target.fails = lambda payloads: ConnectionRefusedError()
        fleet.put(*[(f"k{n}", b"%d" % n) for n in range(20)])
        is_down = None if known else lambda error: False
        flusher = fleet.flusher(
            now_ns=clock,
            is_down=is_down,
            breaker_base_ns=100 * MS,
            breaker_most_ns=30 * S,
            trust_ns=1_000 * S,
        )
        flusher.flush_now()
        for _ in range(300):
            sleep(0.001)
            clock.advance(ms=100)
        until(lambda: flusher.source_down)
        if not known:
            assert any(fleet.attempts)
            return
        assert fleet.attempts == [0] * 20
        assert len(fleet.target.calls) <= 10, "0.1 s, doubled each time, are 25.6 s after nine"
        assert [len(call) for call in fleet.target.calls[1:]] == [1] * (len(fleet.target.calls) - 1)
        fleet.target.fails, probes = refusing(), len(fleet.target.calls)
        clock.advance(31)
        assert flusher.flush(LONG)
        assert not flusher.source_down
        sizes = [len(call) for call in fleet.target.calls[probes:]]
        assert sizes == [1, 2, 4, 8, 5], "it is not overrun when it is back"
        assert len(fleet.target.rows) == 20
        assert not fleet.ledger.dead


def test_a_fault_of_the_source_itself_costs_few_writes_an_attempt() -> None:
    clock = FakeClock()
    with Fleet() as fleet:
        fleet.target.fails = lambda payloads: Refused()
        fleet.put(*[(f"k{n}", b"%d" % n) for n in range(200)])
        flusher = fleet.flusher(now_ns=clock, trust_ns=1_000 * S)
        flusher.flush_now()
        until(lambda: flusher.source_down)
        until(lambda: sum(fleet.attempts) > 0)
        assert sum(fleet.attempts) == 8
        fleet.target.fails = refusing()
        clock.advance(60)
        assert flusher.flush(LONG)
        assert len(fleet.target.rows) == 200
        assert not fleet.ledger.dead


def test_a_write_that_brings_the_source_down_does_not_hold_up_the_others() -> None:
    def fails(payloads: list[bytes]) -> Exception | None:
        return TimeoutError() if b"huge" in payloads else None

    with Fleet() as fleet:
        fleet.target.fails = fails
        fleet.put(("a", b"huge"), *[(f"k{n}", b"%d" % n) for n in range(50)])
        flusher = fleet.flusher()
        flusher.flush_now()
        until(lambda: len(fleet.target.rows) == 50, "all others are stored")
        assert fleet.attempts == [0]

"""What L2 may take of a read's time is taken call by call."""

from __future__ import annotations

from contextlib import suppress

from freshwell.engines.allowance import Allowance
from tests.support.clock import ManualClock

MS = 1_000_000


def test_only_what_calls_last_is_taken(clock: ManualClock) -> None:
    allowance = Allowance(100 * MS, clock)
    for _ in range(2):
        clock.advance(seconds=60)  # a load, or a wait for somebody else's
        assert not allowance.is_used_up
        with allowance:
            clock.advance(ms=50)
    assert allowance.is_used_up


def test_a_call_that_raises_has_taken_time_too(clock: ManualClock) -> None:
    allowance = Allowance(100 * MS, clock)
    with suppress(ValueError), allowance:
        clock.advance(ms=100)
        raise ValueError("late")
    assert allowance.is_used_up


def test_nothing_may_be_left_from_the_beginning(clock: ManualClock) -> None:
    assert Allowance(0, clock).is_used_up
    assert Allowance(-5, clock).is_used_up

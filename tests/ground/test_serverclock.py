"""The estimate of the server's clock: how wrong it can be, and which sample is gone by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freshwell.ground.serverclock import ClockSample, ahead_ns, better, sample

SECOND = 1_000_000_000
MICROSECOND = 1_000


def server_ms(taken: ClockSample, now_ns: int) -> int:
    return (now_ns + ahead_ns(taken)) // 1_000_000


@given(
    sent=st.integers(0, 2**60),
    to_server=st.integers(0, 10 * SECOND),
    back=st.integers(0, 10 * SECOND),
    offset=st.integers(-(2**60), 2**62),
    after=st.integers(0, 100 * SECOND),
)
def test_true_server_time_is_within_half_a_round_trip_of_the_estimate(
    sent: int, to_server: int, back: int, offset: int, after: int
) -> None:
    read_at = sent + to_server
    received = read_at + back
    taken = sample(sent, received, (read_at + offset) // MICROSECOND)
    now = received + after
    estimate_ns = now + taken.offset_ns
    assert abs(estimate_ns - (now + offset)) <= (received - sent) / 2 + MICROSECOND
    true_ms = (now + offset) // 1_000_000
    assert true_ms <= server_ms(taken, now) <= true_ms + (received - sent) / 1_000_000 + 2


def test_a_sample_says_what_its_round_trip_took_and_when_it_ended() -> None:
    taken = sample(10 * SECOND, 12 * SECOND, 5_000_000)
    assert taken == ClockSample(-6 * SECOND, 2 * SECOND, 12 * SECOND)


def test_the_server_clock_goes_on_with_the_readers_own() -> None:
    taken = sample(0, 0, 1_000_000)
    assert server_ms(taken, 0) == 1_000
    assert server_ms(taken, 998_999) == 1_000
    assert server_ms(taken, 1_000_000) == 1_001


def test_the_first_sample_is_taken() -> None:
    first = ClockSample(5, 100, 0)
    assert better(None, first) is first


def test_a_tighter_sample_replaces_the_old_one() -> None:
    old, new = ClockSample(0, 100, 0), ClockSample(3, 90, 1)
    assert better(old, new) is new


def test_of_equally_tight_samples_the_newer_is_gone_by() -> None:
    old, new = ClockSample(0, 100, 0), ClockSample(3, 100, 1)
    assert better(old, new) is new


def test_a_looser_sample_that_agrees_does_not_replace_the_old_one() -> None:
    old, new = ClockSample(0, 100, 0), ClockSample(150, 200, 1)
    assert better(old, new) is old


def test_a_sample_that_contradicts_the_old_one_replaces_it() -> None:
    """The server's clock was set: half of both round trips cannot explain the difference."""
    old = ClockSample(0, 100, 0)
    assert better(old, ClockSample(150, 200, 1)) is old
    stepped = ClockSample(151, 200, 1)
    assert better(old, stepped) is stepped
    back = ClockSample(-151, 200, 1)
    assert better(old, back) is back


def test_an_aged_sample_is_replaced_by_a_looser_one() -> None:
    old = ClockSample(0, 100, 0)
    before = ClockSample(0, 200, 30 * SECOND - 1)
    assert better(old, before) is old
    after = ClockSample(0, 200, 30 * SECOND)
    assert better(old, after) is after


@given(
    offset=st.integers(-(2**50), 2**50),
    trips=st.lists(
        st.tuples(st.integers(0, SECOND), st.integers(0, SECOND), st.integers(0, 40 * SECOND)),
        min_size=1,
        max_size=20,
    ),
)
def test_the_sample_gone_by_is_always_right_within_its_own_round_trip(
    offset: int, trips: list[tuple[int, int, int]]
) -> None:
    now, held = 0, None
    for to_server, back, pause in trips:
        sent, read_at = now, now + to_server
        now = read_at + back
        new = sample(sent, now, (read_at + offset) // MICROSECOND)
        held = better(held, new)
        assert abs(held.offset_ns - offset) <= held.round_trip_ns / 2 + MICROSECOND
        assert held.round_trip_ns <= new.round_trip_ns or held is new
        now += pause

"""Waits between tries grow, and differ from one to the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freshwell.ground.backoff import backoff_ns

_DRAWS = st.floats(0, 1, exclude_max=True)


def wait(attempt: int, u: float = 0.0) -> int:
    return backoff_ns(attempt, base_ns=100, most_ns=3_000, u=u)


def test_it_doubles_up_to_the_most() -> None:
    assert [wait(attempt) for attempt in range(1, 8)] == [100, 200, 400, 800, 1_600, 3_000, 3_000]


def test_a_draw_shortens_it_by_up_to_a_half() -> None:
    assert wait(3, 0.5) == 300
    assert wait(3, 0.999) == 201


@given(attempt=st.integers(1, 10_000), u=_DRAWS, v=_DRAWS)
def test_a_later_one_is_never_shorter_below_the_most(attempt: int, u: float, v: float) -> None:
    earlier, later = wait(attempt, u), wait(attempt + 1, v)
    assert later >= min(earlier, 1_500)
    assert 50 <= earlier <= 3_000


@given(attempt=st.integers(-5, 10**9))
def test_it_stays_within_its_bounds_whatever_the_number(attempt: int) -> None:
    assert 100 <= wait(attempt) <= 3_000


def test_many_that_failed_together_do_not_come_back_together() -> None:
    assert len({wait(6, draw / 100) for draw in range(100)}) == 100

"""The manual clock."""

from __future__ import annotations

import pytest

from freshwell.testing import FakeClock


def test_it_stands_still_until_told(clock: FakeClock) -> None:
    assert clock() == clock() == clock.now_ns


def test_it_advances_by_the_sum_of_what_is_given(clock: FakeClock) -> None:
    before_ns = clock()
    assert clock.advance(1.5, ms=20, ns=3) == before_ns + 1_520_000_003
    assert clock() == before_ns + 1_520_000_003


def test_it_never_goes_back(clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="cannot go back by 1 ns"):
        clock.advance(ns=-1)

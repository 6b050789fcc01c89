"""Jitter, XFetch, and the calm window before it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from freshwell.ground.ttl import calm_until_ns, jittered_ns, refreshes_early

SECOND = 1_000_000_000
# Up to 100 days, where nanoseconds are whole numbers in a float.
instants = st.integers(0, 2**53)
lives = st.integers(1, 2**52)
costs = st.integers(0, 3_600 * SECOND)
betas = st.floats(0.01, 10)
draws = st.floats(0, 1, exclude_min=True)


@given(st.integers(1, 2**53), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_jitter_only_shortens_and_by_its_share_at_most(ttl: int, jitter: float, u: float) -> None:
    found = jittered_ns(ttl, jitter, u)
    assert 1 <= found <= ttl
    assert found >= ttl * (1 - jitter) - 1 - ttl * 1e-15


@given(st.integers(1, 2**53), st.floats(0, 0.99))
def test_a_greater_draw_never_lives_longer(ttl: int, jitter: float) -> None:
    lives_found = [jittered_ns(ttl, jitter, u / 10) for u in range(10)]
    assert lives_found == sorted(lives_found, reverse=True)


def test_without_jitter_the_ttl_is_exact() -> None:
    assert jittered_ns(3_600 * SECOND, 0.0, 0.999) == 3_600 * SECOND


def test_jitter_spreads_expiries_over_its_whole_share() -> None:
    rng = random.Random(1)
    found = [jittered_ns(1_000_000, 0.2, rng.random()) for _ in range(2_000)]
    assert min(found) < 810_000
    assert max(found) > 990_000
    assert sum(found) / len(found) == pytest.approx(900_000, rel=0.01)


@given(instants, instants, costs, betas, draws, draws)
def test_a_smaller_draw_refreshes_whenever_a_greater_one_does(
    now: int, end: int, cost: int, beta: float, u: float, v: float
) -> None:
    assume(refreshes_early(now, end, cost, beta, max(u, v)))
    assert refreshes_early(now, end, cost, beta, min(u, v))


@given(instants, instants, costs, costs, betas, draws)
def test_a_dearer_load_is_refreshed_whenever_a_cheaper_one_is(
    now: int, end: int, cost: int, other: int, beta: float, u: float
) -> None:
    assume(refreshes_early(now, end, min(cost, other), beta, u))
    assert refreshes_early(now, end, max(cost, other), beta, u)


@given(instants, instants, instants, costs, betas, draws)
def test_a_later_reader_refreshes_whenever_an_earlier_one_does(
    now: int, later: int, end: int, cost: int, beta: float, u: float
) -> None:
    assume(refreshes_early(min(now, later), end, cost, beta, u))
    assert refreshes_early(max(now, later), end, cost, beta, u)


@given(instants, instants, costs, st.floats(0.01, 5), st.floats(0.01, 5), draws)
def test_a_greater_beta_refreshes_whenever_a_smaller_one_does(
    now: int, end: int, cost: int, beta: float, more: float, u: float
) -> None:
    assume(refreshes_early(now, end, cost, beta, u))
    assert refreshes_early(now, end, cost, beta + more, u)


@given(instants, costs, betas)
def test_the_greatest_draw_refreshes_at_the_end_and_not_before(
    end: int, cost: int, beta: float
) -> None:
    assert refreshes_early(end, end, cost, beta, 1.0)
    assert not refreshes_early(end - 1, end, cost, beta, 1.0)


@given(
    st.integers(2**52, 2**53),
    st.integers(0, 2**40),
    betas,
    st.floats(math.exp(-9.999), 1),
    st.integers(2, 2**40),  # what floats round away
)
def test_no_draw_but_the_rarest_refreshes_within_the_calm_window(
    end: int, cost: int, beta: float, u: float, earlier: int
) -> None:
    ttl = 2**52
    assume(cost * beta * 10 <= ttl // 2)
    calm = calm_until_ns(end, cost, beta, ttl)
    assert not refreshes_early(calm - earlier, end, cost, beta, u)


@given(instants, costs, betas, lives)
def test_the_calm_window_ends_within_the_life_and_lasts_half_of_it_at_least(
    end: int, cost: int, beta: float, ttl: int
) -> None:
    assert end - ttl // 2 <= calm_until_ns(end, cost, beta, ttl) <= end


@given(instants, costs, lives)
def test_without_early_refresh_all_of_the_life_is_calm(end: int, cost: int, ttl: int) -> None:
    assert calm_until_ns(end, cost, 0.0, ttl) == end


def test_one_reader_in_a_second_refreshes_about_one_cost_before_the_end() -> None:
    """With beta 1 the earliness of a draw is exponential with the load's cost as its mean."""
    rng = random.Random(2)
    cost, end = SECOND, 100 * SECOND
    earliness = []
    for _ in range(4_000):
        u = 1.0 - rng.random()
        low, high = 0, end  # the first instant at which this draw refreshes
        while low < high:
            middle = (low + high) // 2
            if refreshes_early(middle, end, cost, 1.0, u):
                high = middle
            else:
                low = middle + 1
        earliness.append(end - low)
    assert sum(earliness) / len(earliness) == pytest.approx(cost, rel=0.06)


def test_many_readers_make_few_early_refreshes() -> None:
    """Of readers all along the last minute, those that refresh are as many as a cost has."""
    rng = random.Random(3)
    cost, end, per_second = SECOND // 10, 60 * SECOND, 1_000
    step = SECOND // per_second
    refreshes = sum(
        refreshes_early(now, end, cost, 1.0, 1.0 - rng.random()) for now in range(0, end, step)
    )
    # The sum over readers of exp(-(end - now) / cost): rate times cost.
    assert refreshes == pytest.approx(per_second * cost / SECOND, rel=0.35)

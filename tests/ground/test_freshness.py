"""What an entry's times mean: fresh, early, stale, absent, and never anything past its bound."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.ground.freshness import (
    LONG_AGO_NS,
    Times,
    Verdict,
    judge,
    local_times,
    times_after_load,
)

MS = 1_000_000
SECOND = 1_000 * MS
SURE = math.exp(-10)
"""A draw so small that XFetch refreshes ten costs ahead."""

# Up to 100 days, where nanoseconds are whole numbers in a float.
instants = st.integers(0, 2**52)
spans = st.integers(0, 2**51)
draws = st.floats(0, 1, exclude_min=True)
betas = st.just(0.0) | st.floats(0, 10)
entries = st.builds(
    times_after_load,
    instants,
    ttl_ns=st.integers(1, 2**51),
    stale_ns=spans,
    cost_ns=st.integers(0, 3_600 * SECOND),
)

LOADED = times_after_load(1_000 * SECOND, ttl_ns=60 * SECOND, stale_ns=30 * SECOND, cost_ns=SECOND)


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        pytest.param(1_000, Verdict.FRESH, id="just loaded"),
        pytest.param(1_049, Verdict.FRESH, id="more than ten costs before the end"),
        pytest.param(1_051, Verdict.EARLY, id="less than ten costs before the end"),
        pytest.param(1_060, Verdict.STALE, id="at the end of its TTL"),
        pytest.param(1_089, Verdict.STALE, id="within what is accepted"),
        pytest.param(1_090, Verdict.ABSENT, id="at the end of what is accepted"),
        pytest.param(2_000, Verdict.ABSENT, id="long after"),
    ],
)
def test_a_life_from_load_to_end(second: int, verdict: Verdict) -> None:
    found = judge(LOADED, second * SECOND, stale_ns=30 * SECOND, beta=1.0, u=SURE)
    assert found is verdict


def test_bounds_are_exact_to_the_nanosecond() -> None:
    end, last = LOADED.fresh_until_ns, LOADED.stale_until_ns

    def at(now_ns: int) -> Verdict:
        return judge(LOADED, now_ns, stale_ns=30 * SECOND, beta=0.0, u=1.0)

    assert [at(end - 1), at(end)] == [Verdict.FRESH, Verdict.STALE]
    assert [at(last - 1), at(last)] == [Verdict.STALE, Verdict.ABSENT]


@given(entries, instants, spans, betas, draws)
def test_nothing_is_fresh_after_its_ttl_and_nothing_stale_before(
    times: Times, now: int, stale: int, beta: float, u: float
) -> None:
    verdict = judge(times, now, stale_ns=stale, beta=beta, u=u)
    in_time = now < times.fresh_until_ns
    assert (verdict in (Verdict.FRESH, Verdict.EARLY)) == in_time


@given(entries, st.integers(0, 2**53), spans, betas, draws)
def test_nothing_is_served_stale_beyond_what_the_caller_accepts_or_the_entry_allows(
    times: Times, after: int, stale: int, beta: float, u: float
) -> None:
    verdict = judge(times, times.fresh_until_ns + after, stale_ns=stale, beta=beta, u=u)
    allowed = after < stale and times.fresh_until_ns + after < times.stale_until_ns
    assert verdict is (Verdict.STALE if allowed else Verdict.ABSENT)


@given(entries, instants, betas, draws)
def test_who_accepts_nothing_stale_gets_nothing_stale(
    times: Times, now: int, beta: float, u: float
) -> None:
    assert judge(times, now, stale_ns=0, beta=beta, u=u) is not Verdict.STALE


@given(entries, instants, spans, draws)
def test_with_beta_zero_nothing_is_refreshed_early(
    times: Times, now: int, stale: int, u: float
) -> None:
    assert judge(times, now, stale_ns=stale, beta=0.0, u=u) is not Verdict.EARLY


ORDER = [Verdict.FRESH, Verdict.EARLY, Verdict.STALE, Verdict.ABSENT]


@given(entries, instants, instants, spans, betas, draws)
def test_an_entry_never_gets_better_with_time(
    times: Times, now: int, later: int, stale: int, beta: float, u: float
) -> None:
    first, then = (
        ORDER.index(judge(times, at, stale_ns=stale, beta=beta, u=u)) for at in sorted((now, later))
    )
    assert first <= then


@given(entries, instants, spans, spans, betas, draws)
def test_a_caller_who_accepts_more_gets_no_less(
    times: Times, now: int, stale: int, more: int, beta: float, u: float
) -> None:
    strict = judge(times, now, stale_ns=stale, beta=beta, u=u)
    lenient = judge(times, now, stale_ns=stale + more, beta=beta, u=u)
    assert lenient is strict or (strict, lenient) == (Verdict.ABSENT, Verdict.STALE)


@given(entries, st.floats(0.01, 10), st.floats(math.exp(-9.999), 1), st.floats(0, 1))
def test_within_the_calm_window_every_entry_is_fresh_unless_its_load_is_dear(
    times: Times, beta: float, u: float, share: float
) -> None:
    calm = times.calm_until_ns(beta)
    life = times.fresh_until_ns - times.born_ns
    now = times.born_ns + int((calm - times.born_ns) * share) - 2
    verdict = judge(times, now, stale_ns=0, beta=beta, u=u)
    dear = times.cost_ns * beta * 10 > life // 2
    assert verdict is Verdict.FRESH or (dear and verdict is Verdict.EARLY)


@given(entries, betas)
def test_the_calm_window_lies_within_the_life(times: Times, beta: float) -> None:
    assert times.born_ns <= times.calm_until_ns(beta) <= times.fresh_until_ns


@given(st.integers(0, 2**62), st.integers(1, 2**62), spans)
def test_a_deadline_of_long_ago_has_passed_on_every_clock(now: int, ttl: int, stale: int) -> None:
    gone = Times(now, LONG_AGO_NS, LONG_AGO_NS, 0)
    assert judge(gone, now, stale_ns=stale, beta=0.0, u=1.0) is Verdict.ABSENT


# -- times of L2 on the reader's clock --------------------------------------------------------


def test_remaining_life_is_what_counts_of_the_servers_times() -> None:
    found = local_times(
        born_ms=1_700_000_000_000,
        fresh_until_ms=1_700_000_060_000,
        cost_us=250,
        server_ms=1_700_000_020_000,
        now_ns=500 * SECOND,
        stale_ns=30 * SECOND,
    )
    assert found == Times(480 * SECOND, 540 * SECOND, 570 * SECOND, 250_000)


def test_an_entry_from_the_servers_future_is_born_now() -> None:
    """The estimate of the server's clock may be behind."""
    found = local_times(
        born_ms=1_005,
        fresh_until_ms=2_000,
        cost_us=0,
        server_ms=1_000,
        now_ns=SECOND,
        stale_ns=0,
    )
    assert found.born_ns == SECOND
    assert found.fresh_until_ns == 2 * SECOND


server_times = st.integers(0, 2**41)


@given(server_times, server_times, server_times, st.integers(0, 2**60), spans, draws)
def test_l2_entries_are_fresh_exactly_while_the_server_says_so(
    born: int, fresh: int, server: int, now: int, stale: int, u: float
) -> None:
    found = local_times(
        born_ms=born,
        fresh_until_ms=fresh,
        cost_us=0,
        server_ms=server,
        now_ns=now,
        stale_ns=stale,
    )
    verdict = judge(found, now, stale_ns=stale, beta=0.0, u=u)
    if server < fresh:
        assert verdict is Verdict.FRESH
    elif (server - fresh) * MS < stale:
        assert verdict is Verdict.STALE
    else:
        assert verdict is Verdict.ABSENT
    assert found.born_ns <= now
    assert found.stale_until_ns - found.fresh_until_ns == stale


@given(st.integers(0, 2**50), st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 2**41))
def test_an_entry_stored_and_read_back_has_the_times_it_was_loaded_with(
    now: int, ttl_ms: int, age_ms: int, server: int
) -> None:
    stored = times_after_load(now, ttl_ns=ttl_ms * MS, stale_ns=5, cost_ns=7_000)
    read = local_times(
        born_ms=server,
        fresh_until_ms=server + ttl_ms,
        cost_us=7,
        server_ms=server + age_ms,
        now_ns=now + age_ms * MS,
        stale_ns=5,
    )
    assert read == stored


@given(before=entries, cap_ns=instants)
def test_capped_times_end_at_the_cap_and_change_in_nothing_else(before: Times, cap_ns: int) -> None:
    after = before.capped(cap_ns)
    assert after.fresh_until_ns == min(before.fresh_until_ns, cap_ns)
    assert after.stale_until_ns == min(before.stale_until_ns, cap_ns)
    assert (after.born_ns, after.cost_ns) == (before.born_ns, before.cost_ns)

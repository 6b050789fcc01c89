"""What an entry keeps of its times, and what a kill leaves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freshwell.engines.entry import AliasedEntry, Aliases, Entry, packed, round_down

_DAY_NS = 86_400 * 1_000_000_000
_TIMES = st.integers(0, 300 * _DAY_NS)


@given(
    born=_TIMES, life=_TIMES, lag=_TIMES, grace=_TIMES, cost=st.integers(0, 10**13),
    size=st.integers(0, 1 << 35), negative=st.booleans(),
)  # fmt: skip
def test_an_entry_gives_back_what_was_put_in(
    born: int, life: int, lag: int, grace: int, cost: int, size: int, negative: bool
) -> None:
    fresh = born + life
    calm = max(fresh - lag, 0)
    entry = _entry(born, calm, fresh, fresh + grace, cost, size, negative)
    assert entry.born_ns == born
    assert entry.calm_until_ns == calm
    assert entry.fresh_until_ns == fresh
    assert entry.stale_until_ns == fresh + grace
    assert (entry.cost_ns, entry.size, entry.negative) == (cost, size, negative)
    assert entry.alive


@given(born=_TIMES, life=_TIMES, calm=_TIMES)
def test_a_calm_end_too_far_back_to_keep_moves_no_later_than_birth(
    born: int, life: int, calm: int
) -> None:
    fresh = born + life
    entry = _entry(born, min(calm, fresh), fresh, fresh, 0, 0, False)
    assert min(calm, fresh) <= entry.calm_until_ns <= max(min(calm, fresh), born)
    assert (entry.born_ns, entry.fresh_until_ns) == (born, fresh)


@given(born=_TIMES, calm=_TIMES, fresh=_TIMES, stale=_TIMES, cost=st.integers(-5, 5))
def test_times_that_contradict_each_other_are_put_in_order_and_end_no_later(
    born: int, calm: int, fresh: int, stale: int, cost: int
) -> None:
    entry = _entry(born, calm, fresh, stale, cost, 0, False)
    assert entry.born_ns <= entry.fresh_until_ns == fresh
    assert entry.calm_until_ns == min(calm, fresh)
    assert entry.stale_until_ns == max(stale, fresh)
    assert entry.cost_ns == max(cost, 0)
    assert entry.alive


@given(size=st.integers(0, 1 << 35), negative=st.booleans())
def test_a_killed_entry_says_only_its_size(size: int, negative: bool) -> None:
    entry = _entry(5, 10, 20, 30, 40, size, negative)
    entry.kill()
    entry.kill()
    past = (entry.born_ns, entry.calm_until_ns, entry.fresh_until_ns, entry.stale_until_ns)
    assert past == (-1, -1, -1, -1)
    assert (entry.size, entry.cost_ns, entry.negative, entry.alive) == (size, 0, False, False)


def test_what_is_too_large_is_cut_down_and_never_served_longer() -> None:
    entry = _entry(0, 10_000 * _DAY_NS, 10_000 * _DAY_NS, 10_000 * _DAY_NS, 1 << 60, 1 << 60, False)
    assert 400 * _DAY_NS < entry.fresh_until_ns < 10_000 * _DAY_NS
    assert entry.calm_until_ns <= entry.fresh_until_ns <= entry.stale_until_ns
    assert entry.size == (1 << 36) - 1
    assert entry.cost_ns == (1 << 44) - 1


@given(deadline=st.integers(1, 10**19), life=st.integers(1, 10**18))
def test_rounding_ends_a_life_early_by_less_than_a_hundredth(deadline: int, life: int) -> None:
    rounded = round_down(deadline, life)
    assert 0 <= deadline - rounded <= life / 100


def test_a_representation_shows_neither_key_nor_value() -> None:
    assert repr(_entry(0, 1, 1, 1, 0, 33, False)) == "<Entry alive, 33 bytes>"


def _entry(
    born: int, calm: int, fresh: int, stale: int, cost: int, size: int, negative: bool
) -> Entry:
    times = packed(
        calm_until_ns=calm,
        fresh_until_ns=fresh,
        stale_until_ns=stale,
        born_ns=born,
        cost_ns=cost,
        size=size,
        negative=negative,
    )
    return Entry("secret", "secret", *times)


@given(size=st.integers(0, 1 << 35), other=st.integers(0, 1 << 35), killed=st.booleans())
def test_a_growth_is_the_difference_of_the_sizes(size: int, other: int, killed: bool) -> None:
    new, old = (_entry(1, 2, 3, 4, 5, it, False) for it in (size, other))
    if killed:
        old.kill()
    assert new.growth(old) == size - other


def test_an_entry_that_has_ended_is_killed_and_found_by_nobody() -> None:
    aliases = Aliases()
    entry = AliasedEntry("k", "value", *packed(2, 1, 3, 4, 0, 0, False))
    entry.link(aliases.place(int), 7)
    entry.end()
    assert (entry.alive, dict(aliases)) == (False, {})

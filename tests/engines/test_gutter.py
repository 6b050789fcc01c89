"""What the gutter serves, and to whom; that changes void it is shown where L2 is down."""

from __future__ import annotations

import pytest

from freshwell.engines.gutter import Gutter
from freshwell.engines.shelf import Reading
from freshwell.engines.table import Table
from freshwell.ground.freshness import Times
from freshwell.ground.plan import L2Word
from tests.support.clock import ManualClock

S = 1_000_000_000


@pytest.fixture
def l1(clock: ManualClock) -> Table:
    return Table(max_entries=400, max_bytes=1 << 20, now_ns=clock)


def draft(clock: ManualClock, ttl_s: int = 60, value: object = 1) -> Reading:
    until_ns = clock() + ttl_s * S
    return Reading(L2Word.FRESH, value, False, Times(clock(), until_ns, until_ns, 0))


def keep(gutter: Gutter, l1: Table, clock: ManualClock, key: str = "a", **options: int) -> None:
    gutter.keep(key, draft(clock, **options), clock(), l1.moment(), (b"tag",))


def test_without_a_time_nothing_is_kept(l1: Table, clock: ManualClock) -> None:
    gutter = Gutter(l1, ttl_ns=0, now_ns=clock)
    keep(gutter, l1, clock)
    assert gutter.get("a", ()) is None
    assert len(gutter) == 0


def test_a_value_is_served_as_stale_until_its_time_is_over(l1: Table, clock: ManualClock) -> None:
    gutter = Gutter(l1, ttl_ns=5 * S, now_ns=clock)
    keep(gutter, l1, clock)
    found = gutter.get("a", (b"tag",))
    assert found is not None
    assert (found.word, found.value, found.tier, found.reason) == (L2Word.STALE, 1, "l1", "gutter")
    clock.advance(5)
    assert gutter.get("a", ()) is None


def test_it_is_not_served_past_its_own_ttl(l1: Table, clock: ManualClock) -> None:
    gutter = Gutter(l1, ttl_ns=5 * S, now_ns=clock)
    keep(gutter, l1, clock, ttl_s=2)
    clock.advance(2)
    assert gutter.get("a", ()) is None


def test_what_is_not_to_be_stored_is_not_kept(l1: Table, clock: ManualClock) -> None:
    gutter = Gutter(l1, ttl_ns=5 * S, now_ns=clock)
    gutter.keep("a", Reading(L2Word.FRESH, 1), clock(), l1.moment(), ())
    assert gutter.get("a", ()) is None


@pytest.mark.parametrize("what", ["key", "tag", "everything"])
def test_a_drop_from_l1_voids_it(what: str, l1: Table, clock: ManualClock) -> None:
    gutter = Gutter(l1, ttl_ns=5 * S, now_ns=clock)
    keep(gutter, l1, clock)
    if what == "key":
        l1.drop("a")
    elif what == "tag":
        l1.drop_tags([b"tag"])
    else:
        l1.clear()
    assert gutter.get("a", ()) is None
    keep(gutter, l1, clock)
    assert gutter.get("a", ()) is not None, "what was loaded since is another matter"


def test_it_takes_a_quarter_of_what_l1_may(l1: Table, clock: ManualClock) -> None:
    gutter = Gutter(l1, ttl_ns=5 * S, now_ns=clock)
    for number in range(1_000):
        keep(gutter, l1, clock, f"k{number}")
    assert len(gutter) == 100


def test_all_of_it_ends_when_l2_is_back(l1: Table, clock: ManualClock) -> None:
    gutter = Gutter(l1, ttl_ns=5 * S, now_ns=clock)
    keep(gutter, l1, clock)
    gutter.clear()
    assert gutter.get("a", ()) is None

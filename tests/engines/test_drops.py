"""The memory of drops: what it says of a fill, and that it is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freshwell.engines import drops
from freshwell.engines.drops import Drops
from freshwell.testing import FakeClock
from tests.engines.parts import fill, make_table, serve


@given(st.lists(st.sampled_from(["a", "b", "c", None])), st.integers(0, 30))
def test_a_fill_is_overtaken_by_every_later_drop_of_its_key(
    events: list[str | None], at: int
) -> None:
    seen = Drops()
    before, after = events[:at], events[at:]
    for part in (before, after):
        if part is after:
            since = seen.count
        for key in part:
            if key is None:
                seen.note_all()
            else:
                seen.note(key)
        seen.check()
    assert seen.overtook(since, "a") == ("a" in after or None in after)


def test_of_keys_that_are_dropped_together_each_is_known() -> None:
    seen = Drops()
    since = seen.count
    seen.note_many(["a", "b"])
    assert seen.overtook(since, "a")
    assert seen.overtook(since, "b")
    assert not seen.overtook(since, "c")
    assert not seen.overtook(seen.count, "a")
    for i in range(3 * drops._LIMIT // 100):
        seen.note_many([f"{i}:{n}" for n in range(100)])
        seen.check()
    assert seen.overtook(since, "c"), "forgotten"
    assert len(seen) >= drops._LIMIT


def test_only_the_latest_drops_are_remembered_and_older_fills_are_overtaken() -> None:
    seen = Drops()
    first = seen.count
    for i in range(2 * drops._LIMIT - 1):
        seen.note(str(i))
    assert not seen.overtook(first, "x")
    assert seen.overtook(first, "0")
    seen.note("one too many")
    assert seen.overtook(first, "x")
    assert not seen.overtook(seen.count, "x")
    assert len(seen) == drops._LIMIT
    seen.check()


def test_at_least_a_generation_is_remembered() -> None:
    seen = Drops()
    for i in range(5 * drops._LIMIT):
        since = seen.count
        seen.note(str(i))
        if i % 997 == 0:
            assert seen.overtook(since, str(i))
            assert not seen.overtook(seen.count, str(i))
            assert not seen.overtook(max(0, seen.count - drops._LIMIT), "x")
            seen.check()
    assert drops._LIMIT <= len(seen) <= 2 * drops._LIMIT


def test_a_key_that_is_dropped_again_is_remembered_once() -> None:
    seen = Drops()
    for _ in range(10):
        seen.note("k")
    assert len(seen) == 1


def test_fills_are_voided_all_at_once_and_entries_stay(clock: FakeClock) -> None:
    table = make_table(clock)
    assert fill(table, clock, "kept") is not None
    before = table.moment()
    table.void_fills()
    assert fill(table, clock, "late", since=before) is None
    assert fill(table, clock, "new", since=table.moment()) is not None
    assert serve(table, clock, "kept") == "value"

"""What one thread sees of the L1 table: bounds, replacement, removal, aliases, overtaken fills."""

from __future__ import annotations

import pytest

from freshwell.engines.entry import ENTRY_BYTES, Aliases, Entry
from freshwell.engines.table import Table
from freshwell.testing import FakeClock
from tests.engines.parts import NS, fill, make_table, serve

# -- bounds ----------------------------------------------------------------------------------


def test_there_are_never_more_entries_than_allowed(clock: FakeClock) -> None:
    table = make_table(clock, max_entries=3)
    for i in range(10):
        fill(table, clock, f"k{i}")
        table.check()
    assert table.entries == len(table) == 3
    assert table.evictions == 7


def test_there_are_never_more_bytes_than_allowed(clock: FakeClock) -> None:
    table = make_table(clock, max_bytes=10 * (ENTRY_BYTES + 102))
    for i in range(30):
        fill(table, clock, f"{i:02}", size_bytes=100)
        table.check()
    assert table.entries == 10
    assert table.bytes == 10 * (ENTRY_BYTES + 102)


def test_one_large_value_makes_room_for_itself_by_several_evictions(clock: FakeClock) -> None:
    table = make_table(clock, max_bytes=10 * (ENTRY_BYTES + 100))
    for i in range(9):
        fill(table, clock, str(i), size_bytes=99)
    assert fill(table, clock, "x", size_bytes=5 * (ENTRY_BYTES + 100)) is not None
    assert table.evictions >= 4
    assert serve(table, clock, "x") == "value"


def test_a_value_larger_than_the_table_is_refused_and_evicts_nothing(clock: FakeClock) -> None:
    table = make_table(clock, max_bytes=10_000)
    fill(table, clock, "small")
    assert fill(table, clock, "large", size_bytes=10_000) is None
    assert table.refused == 1
    assert table.evictions == 0
    assert serve(table, clock, "small") == "value"


def test_a_value_too_large_to_replace_an_older_one_ends_the_older_one(clock: FakeClock) -> None:
    table = make_table(clock, max_bytes=10_000)
    old = fill(table, clock, "k", "old")
    assert fill(table, clock, "k", "new", size_bytes=10_000) is None
    assert serve(table, clock, "k") is None
    assert old is not None
    assert not old.alive


def test_a_table_of_no_entries_refuses_every_fill(clock: FakeClock) -> None:
    table = make_table(clock, max_entries=0)
    assert fill(table, clock, "k") is None
    assert table.entries == table.bytes == 0
    assert table.refused == 1


def test_the_size_is_estimated_where_it_is_not_given(clock: FakeClock) -> None:
    table = make_table(clock)
    fill(table, clock, "k", "x" * 5_000, size_bytes=None)
    assert 5_000 < table.bytes < 5_200 + ENTRY_BYTES


# -- replacement -----------------------------------------------------------------------------


def test_a_new_value_takes_the_place_of_the_old_one(clock: FakeClock) -> None:
    table = make_table(clock)
    old = fill(table, clock, "k", "old", size_bytes=1_000)
    fill(table, clock, "k", "new", size_bytes=10)
    assert serve(table, clock, "k") == "new"
    assert table.bytes == 10 + 1 + ENTRY_BYTES
    assert old is not None
    assert not old.alive
    assert old.value is None


def test_a_larger_new_value_evicts_others_until_the_bytes_fit(clock: FakeClock) -> None:
    table = make_table(clock, max_bytes=4 * (ENTRY_BYTES + 101))
    for key in "abcd":
        fill(table, clock, key, size_bytes=100)
    fill(table, clock, "d", "new", size_bytes=250)
    table.check()
    assert table.evictions == 1


# -- expiry ----------------------------------------------------------------------------------


def test_a_sweep_removes_what_may_not_be_served_and_nothing_else(clock: FakeClock) -> None:
    table = make_table(clock)
    fill(table, clock, "short", ttl_s=1)
    fill(table, clock, "stale", ttl_s=1, stale_s=5)
    fill(table, clock, "long", ttl_s=9)
    clock.advance(2)
    assert table.sweep(100) == 1
    assert table.expirations == 1
    assert table.get("short") is None
    assert serve(table, clock, "stale") == serve(table, clock, "long") == "value"


def test_an_entry_that_was_hit_expires_like_any_other(clock: FakeClock) -> None:
    table = make_table(clock)
    fill(table, clock, "k", ttl_s=1)
    table.get("k")
    clock.advance(1)
    assert serve(table, clock, "k") is None
    assert table.sweep(1) == 1


def test_a_sweep_looks_at_a_bounded_number_of_entries_and_goes_on_from_there(
    clock: FakeClock,
) -> None:
    table = make_table(clock)
    for i in range(40):
        fill(table, clock, f"long{i}", ttl_s=100)
    fill(table, clock, "short", ttl_s=1)
    clock.advance(2)
    found = [table.sweep(1) for _ in range(7)]
    assert found[0] == 0, "the expired entry was found at once: the sweep looked at all entries"
    assert sum(found) == 1


def test_fills_remove_expired_entries_before_they_evict_living_ones(clock: FakeClock) -> None:
    table = make_table(clock, max_entries=64)
    for i in range(32):
        fill(table, clock, f"short{i}", ttl_s=1)
    for i in range(32):
        fill(table, clock, f"long{i}", ttl_s=1_000)
    clock.advance(2)
    for i in range(32):
        fill(table, clock, f"new{i}", ttl_s=1_000)
    assert table.expirations == 32
    assert table.evictions == 0
    assert all(serve(table, clock, f"long{i}") == "value" for i in range(32))


def test_a_sweep_survives_that_the_entry_it_stands_on_leaves(clock: FakeClock) -> None:
    table = make_table(clock)
    for i in range(20):
        fill(table, clock, str(i))
    table.sweep(1)
    for i in range(20):
        table.drop(str(i))
        table.check()
        table.sweep(1)
        table.check()


# -- removal, and fills that it overtakes ----------------------------------------------------


@pytest.mark.parametrize("removal", ["drop", "drop_many", "expire", "clear"])
def test_an_invalidation_voids_the_fills_under_way(clock: FakeClock, removal: str) -> None:
    table = make_table(clock)
    since = table.moment()
    _remove(table, removal, "k")
    assert fill(table, clock, "k", "old", since=since) is None
    assert serve(table, clock, "k") is None
    assert table.refused == 1


@pytest.mark.parametrize("removal", ["drop", "drop_many", "expire", "clear"])
def test_without_a_moment_the_old_value_would_have_been_stored(
    clock: FakeClock, removal: str
) -> None:
    table = make_table(clock)
    _remove(table, removal, "k")
    fill(table, clock, "k", "old")
    assert serve(table, clock, "k") == "old"


def test_a_fill_that_voids_others_is_stored_and_theirs_are_not(clock: FakeClock) -> None:
    table = make_table(clock)
    since = table.moment()
    assert fill(table, clock, "k", "newest", since=since, voids=True) is not None
    assert fill(table, clock, "k", "older", since=since) is None
    assert fill(table, clock, "k", "another's", since=since, voids=True) is None
    assert serve(table, clock, "k") == "newest"
    assert fill(table, clock, "other", since=since) is not None
    assert fill(table, clock, "k", "later", since=table.moment()) is not None


def test_a_fill_begun_after_the_invalidation_is_stored(clock: FakeClock) -> None:
    table = make_table(clock)
    voided = table.moment()
    table.drop("k")
    live = table.moment()
    assert fill(table, clock, "k", "new", since=live) is not None
    assert fill(table, clock, "k", "old", since=voided) is None
    assert serve(table, clock, "k") == "new"


def test_an_invalidation_leaves_the_fills_of_other_keys_alone(clock: FakeClock) -> None:
    table = make_table(clock)
    since = table.moment()
    table.drop("other")
    table.expire("other")
    assert fill(table, clock, "k", since=since) is not None


def test_a_fill_older_than_all_drops_that_are_remembered_is_refused(clock: FakeClock) -> None:
    table = make_table(clock)
    since = table.moment()
    table.drop_many(str(i) for i in range(20_000))
    assert fill(table, clock, "k", since=since) is None
    assert fill(table, clock, "k", since=table.moment()) is not None


@pytest.mark.parametrize("removal", ["drop", "drop_many", "expire", "clear"])
def test_who_holds_an_entry_sees_that_it_is_out_of_service(clock: FakeClock, removal: str) -> None:
    table = make_table(clock)
    entry = fill(table, clock, "k")
    assert entry is not None
    assert entry.calm_until_ns > clock()
    _remove(table, removal, "k")
    deadlines = (entry.calm_until_ns, entry.fresh_until_ns, entry.stale_until_ns)
    assert max(deadlines) < clock()
    assert not entry.alive


def test_an_evicted_entry_is_out_of_service(clock: FakeClock) -> None:
    table = make_table(clock, max_entries=1)
    entry = fill(table, clock, "a")
    fill(table, clock, "b")
    assert entry is not None
    assert not entry.alive
    assert entry.value is None


def test_removals_say_what_there_was(clock: FakeClock) -> None:
    table = make_table(clock)
    for key in "abcde":
        fill(table, clock, key)
    assert table.drop("a")
    assert not table.drop("a")
    assert table.drop_many(iter(["a", "b", "c", "b"])) == 2
    assert table.expire("d")
    assert not table.expire("a")
    assert table.clear() == 2
    assert table.clear() == 0
    assert table.entries == table.bytes == 0


def test_thousands_of_keys_are_dropped_by_one_call(clock: FakeClock) -> None:
    table = make_table(clock, max_entries=5_000)
    for i in range(3_000):
        fill(table, clock, str(i))
    assert table.drop_many(map(str, range(1, 3_000))) == 2_999
    assert serve(table, clock, "0") == "value"


def test_expire_ends_freshness_and_keeps_the_allowance_to_be_stale(clock: FakeClock) -> None:
    table = make_table(clock)
    fill(table, clock, "k", ttl_s=10, stale_s=20)
    stale_until_ns = clock() + 30 * NS
    clock.advance(3)
    table.expire("k")
    entry = table.get("k")
    assert entry is not None
    assert entry.fresh_until_ns == clock()
    assert entry.calm_until_ns < clock()
    assert entry.stale_until_ns == stale_until_ns
    assert entry.value == "value"


# -- aliases ---------------------------------------------------------------------------------


def _attached(table: Table, clock: FakeClock) -> Aliases:
    aliases = Aliases()
    entry = fill(table, clock, "k", alias=(aliases, 7, int))
    assert aliases == {7: entry}
    return aliases


@pytest.mark.parametrize("removal", ["drop", "drop_many", "clear", "replace", "sweep", "evict"])
def test_an_alias_leaves_with_its_entry(clock: FakeClock, removal: str) -> None:
    table = make_table(clock, max_entries=1)
    aliases = _attached(table, clock)
    _remove(table, removal, "k", clock)
    assert aliases == {}


def test_an_expired_entry_is_not_found_by_its_alias(clock: FakeClock) -> None:
    table = make_table(clock)
    aliases = _attached(table, clock)
    table.expire("k")
    assert aliases == {}
    assert table.get("k") is not None


def test_an_entry_has_one_alias_at_a_time(clock: FakeClock) -> None:
    table = make_table(clock)
    aliases = _attached(table, clock)
    other = Aliases()
    assert table.attach("k", other, "seven", str)
    assert aliases == {}
    assert other == {"seven": table.get("k")}


def test_an_entry_made_before_aliases_were_expected_is_attached_as_well(clock: FakeClock) -> None:
    table = make_table(clock)
    slim = fill(table, clock, "k", stale_s=5, size_bytes=77)
    assert slim is not None
    before = _facts(slim)
    aliases = Aliases()
    assert table.attach("k", aliases, 7, int)
    entry = table.get("k")
    assert entry is not None
    assert aliases == {7: entry}
    assert _facts(entry) == before
    assert not slim.alive, "an entry that is no longer in the table could not be invalidated"
    table.drop("k")
    assert aliases == {}


def test_an_entry_made_when_aliases_are_expected_stays_itself(clock: FakeClock) -> None:
    table = make_table(clock)
    table.expect_aliases()
    entry = fill(table, clock, "k")
    assert table.attach("k", Aliases(), 7, int)
    assert table.get("k") is entry


def _facts(entry: Entry) -> tuple[object, ...]:
    times = (entry.calm_until_ns, entry.fresh_until_ns, entry.stale_until_ns, entry.born_ns)
    return (*times, entry.cost_ns, entry.size, entry.negative, entry.value)


def test_nothing_is_attached_to_an_entry_that_is_not_there(clock: FakeClock) -> None:
    table = make_table(clock)
    aliases = Aliases()
    assert not table.attach("k", aliases, 7, int)
    assert aliases == {}


def test_an_alias_that_was_taken_over_stays_with_the_new_entry(clock: FakeClock) -> None:
    table = make_table(clock)
    aliases = _attached(table, clock)
    new = fill(table, clock, "other", alias=(aliases, 7, int))
    table.drop("k")
    assert aliases == {7: new}


def test_a_refused_fill_leaves_no_alias(clock: FakeClock) -> None:
    table = make_table(clock)
    since = table.moment()
    table.drop("k")
    aliases = Aliases()
    fill(table, clock, "k", since=since, alias=(aliases, 7, int))
    assert aliases == {}


def _remove(table: Table, removal: str, key: str, clock: FakeClock | None = None) -> None:
    match removal:
        case "drop":
            table.drop(key)
        case "drop_many":
            table.drop_many([key])
        case "expire":
            table.expire(key)
        case "clear":
            table.clear()
        case _:
            assert clock is not None
            _leave(table, removal, key, clock)


def _leave(table: Table, way: str, key: str, clock: FakeClock) -> None:
    match way:
        case "replace":
            fill(table, clock, key, "new")
        case "sweep":
            clock.advance(60)
            assert table.sweep(10) == 1
        case "evict":
            fill(table, clock, "another")
            assert table.evictions == 1
        case _:
            raise AssertionError(way)

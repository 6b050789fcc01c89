"""Who holds the cells of tags: entries do, for as long as they are in the table, and no longer."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.engines.stamps import CELL_BYTES, Bonds
from freshwell.engines.table import Table, let_go
from freshwell.testing import FakeClock
from tests.engines.tagged import STAMP, X, Y, Z, assert_counted, draft, held, make, put, serves
from tests.support.examples import examples

# -- a full table ----------------------------------------------------------------------------


@pytest.mark.parametrize("tags", [1, 2, 3, 64])
def test_tags_of_their_own_take_no_entry_out_of_a_table_with_room(tags: int) -> None:
    own = make(max_entries=100)
    for key in map(str, range(90)):
        assert put(own, key, *[b"%s:%d" % (key.encode(), tag) for tag in range(tags)])
    assert all(serves(own, str(key)) for key in range(90))
    assert own.evictions == 0
    own.check()


def test_a_tag_that_all_share_outlives_the_entries_that_a_full_table_evicts() -> None:
    own = make(max_entries=50)
    for key in range(500):
        put(own, str(key), b"products", b"product:%d" % key)
        assert own.entries == min(key + 1, 50)
        assert serves(own, str(key))
    assert sum(serves(own, str(key)) for key in range(500)) == 50
    assert len(own.stamps) == 1 + 50 + 50, "the shared one, those that are held, and idle ones"
    own.check()


def test_no_hit_has_to_look_anew_because_a_version_is_forgotten() -> None:
    own = make(max_entries=50)
    for key in range(500):
        put(own, str(key), b"product:%d" % key)
    assert own.stamps.known(b"product:0") is None
    assert own.stamps.moment == 0


def test_no_hit_has_to_look_anew_because_a_tag_ends_that_no_entry_holds() -> None:
    own = make()
    put(own, "a", X)
    put(own, "b", Y)
    own.drop("b")
    own.drop_tags([Y])
    assert own.stamps.moment == 0
    own.drop_tags([X])
    assert own.stamps.moment == 1


def test_a_version_that_no_entry_holds_is_known_until_there_are_too_many() -> None:
    own = make(max_entries=3)
    for tag in (X, Y, Z):
        put(own, "k", tag)
        own.drop("k")
    assert held(own) == {X: 0, Y: 0, Z: 0}
    put(own, "k", X)
    put(own, "k", b"another")
    assert held(own) == {X: 0, Y: 0, Z: 0}
    own.drop("k")
    assert held(own) == {X: 0, Z: 0}, "the one that has been idle for longest is forgotten"


def test_a_version_that_was_forgotten_is_not_believed() -> None:
    own = make(max_entries=1)
    since = own.moment()
    put(own, "k", X)
    assert own.stamps.written((X,)) is not None
    put(own, "k", Y)
    put(own, "k", Z)
    assert own.stamps.known(X) is None
    assert own.stamps.written((X,)) is None, "nobody would be told that it has changed"
    own.drop_tags([X])
    assert not put(own, "k", X, since=since)


# -- memory ----------------------------------------------------------------------------------


def test_cells_count_among_the_bytes_once_each_and_while_they_are_held() -> None:
    own = make()
    put(own, "a")
    plain = own.bytes
    put(own, "b", X, Y)
    bare = own.bytes - 2 * CELL_BYTES
    put(own, "c", X, Y)
    assert own.bytes - 2 * CELL_BYTES == bare + (bare - plain)
    own.drop("b")
    own.drop("c")
    assert own.bytes == plain


def test_a_table_has_no_more_bytes_than_allowed_with_64_own_tags_per_entry() -> None:
    own = make(max_entries=1_000, max_bytes=400_000)
    for key in range(100):
        assert put(own, str(key), *[b"%d:%d" % (key, tag) for tag in range(64)])
        assert own.bytes <= own.max_bytes
        assert serves(own, str(key))
        own.check()
    assert 15 < own.entries < 25
    assert own.evictions == 100 - own.entries


def test_versions_that_no_entry_holds_take_a_quarter_of_the_bytes_at_most() -> None:
    for max_bytes, known in [(1, 1_000), (2_000 * 4 * 410, 2_000), (2**24, 3_000)]:
        own = make(max_entries=3_000, max_bytes=max_bytes)
        for tag in range(4_000):
            put(own, "k", b"%d" % tag)
        assert len(own.stamps) - own.entries == known
        own.check()


def test_an_entry_whose_cells_alone_are_too_large_is_refused() -> None:
    own = make(max_bytes=64 * CELL_BYTES)
    put(own, "other")
    assert not put(own, "k", *[b"%d" % tag for tag in range(64)])
    assert own.entries == 1
    assert own.stamps.known(b"0") is not None, "what it has taught is known"
    own.check()


def test_what_a_cell_is_said_to_take_is_about_what_it_takes() -> None:
    own = make(max_entries=10_000)
    # Pieces of memory are multiples of 16 bytes; what is traced is what was asked for.
    waste = 8 + 2 * 7
    tracemalloc.start()
    try:
        for key in range(200):
            before = own.bytes, tracemalloc.get_traced_memory()[0]
            stamps = tuple((b"%04d%04d" % (key, tag), b"%08d" % tag) for tag in range(64))
            until_ns = tuple(10**15 + key * 64 + tag for tag in range(64))
            fresh = draft(f"key:{key:09}")._replace(bonds=Bonds(stamps, until_ns, None))
            own.put_many([fresh])
            del stamps, until_ns, fresh
            if key == 99:
                first = before
        counted = own.bytes - first[0]
        taken = tracemalloc.get_traced_memory()[0] - first[1] + 100 * 64 * waste
    finally:
        tracemalloc.stop()
    assert 0.8 < counted / taken < 1.25


# -- ways to leave ---------------------------------------------------------------------------


def turn(own: Table) -> None:
    dead: list[Any] = []
    own.turn("k", own.moment(), dead)
    let_go(dead)


def evict(own: Table) -> None:
    for number in range(own.max_entries):
        put(own, f"new:{number}")


WAYS: dict[str, Callable[[Table], object]] = {
    "drop": lambda own: own.drop("k"),
    "drop_many": lambda own: own.drop_many(["k", "nothing"]),
    "turn": turn,
    "evict": evict,
    "replace": lambda own: put(own, "k"),
    "too large": lambda own: put(own, "k", size=2**30),
    "too large to know": lambda own: own.room_for("k", b"x" * 2**24),
    "expire and drop": lambda own: (own.expire("k"), own.drop("k")),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_entry_that_leaves_lets_go_of_its_cells(way: str) -> None:
    own = make(max_entries=10)
    put(own, "k", X, Y)
    put(own, "other", Y)
    assert held(own) == {X: 1, Y: 2}
    WAYS[way](own)
    assert held(own) == {X: 0, Y: int("other" in own)}


def test_entries_that_are_over_let_go_of_their_cells() -> None:
    clock = FakeClock(0)
    own = make(clock=clock)
    put(own, "k", X)
    clock.advance(3)
    own.sweep(1)
    assert held(own) == {X: 0}


def test_a_clear_lets_go_of_all_cells() -> None:
    own = make()
    put(own, "k", X, Y)
    own.clear()
    assert held(own) == {}
    assert own.bytes == own.stamps.held == 0


def test_an_entry_that_dies_by_one_tag_lets_go_of_the_others_when_it_leaves() -> None:
    own = make()
    put(own, "k", X, Y)
    before = own.bytes
    own.drop_tags([X])
    assert held(own) == {Y: 1}
    assert own.bytes == before, "it is still there"
    assert not serves(own, "k")
    assert held(own) == {Y: 0}
    assert own.bytes == 0


def test_an_entry_takes_cells_over_from_the_one_before_it() -> None:
    own = make(max_entries=1)
    put(own, "k", X, Y)
    put(own, "k", Y, Z)
    assert held(own) == {X: 0, Y: 1, Z: 1}
    own.expire("k")
    assert held(own) == {X: 0, Y: 1, Z: 1}


def test_an_entry_that_is_refused_holds_nothing() -> None:
    own = make()
    since = own.moment()
    own.drop("k")
    assert not put(own, "k", X, Y, since=since)
    own.drop_tags([Z])
    assert not put(own, "other", X, Y, Z, since=since)
    assert held(own) == {X: 0, Y: 0}
    put(own, "a", X)
    odd = Bonds.of(((Y, STAMP), (X, b"another")), None)
    assert own.put_many([draft("b", Y)._replace(bonds=odd)]) == [False]
    assert held(own) == {Y: 0}, "which of X's is newer cannot be told"


# -- anything, in any order ------------------------------------------------------------------

_TAGS = st.lists(st.sampled_from([b"%d" % tag for tag in range(6)]), unique=True, max_size=4)
_KEYS = st.sampled_from("abcdef")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), _KEYS, _TAGS, st.integers(0, 800)),
        st.tuples(st.just("put many"), st.lists(st.tuples(_KEYS, _TAGS), max_size=4)),
        st.tuples(st.just("drop tags"), _TAGS),
        st.tuples(st.just("contradict"), _KEYS, _TAGS),
        st.tuples(st.sampled_from(["drop", "expire", "turn", "read", "overtaken"]), _KEYS),
        st.tuples(st.sampled_from(["clear", "sweep", "wait"])),
    ),
    max_size=60,
)


@examples(200)
@given(steps)
def test_counts_are_what_entries_hold_whatever_happens(given_steps: list[Any]) -> None:
    clock = FakeClock(0)
    own = make(max_entries=4, max_bytes=4_000, clock=clock)
    for name, *arguments in given_steps:
        match name, arguments:
            case "put", [key, tags, size]:
                put(own, key, *tags, since=own.moment(), size=size)
            case "put many", [pairs]:
                own.put_many([draft(key, *tags) for key, tags in pairs])
            case "drop tags", [tags]:
                own.drop_tags(tags)
            case "contradict", [key, tags]:
                bonds = Bonds.of(tuple((tag, b"other") for tag in tags), None)
                own.put_many([draft(key, X)._replace(bonds=bonds)])
            case "drop", [key]:
                own.drop(key)
            case "expire", [key]:
                own.expire(key)
            case "turn", [key]:
                own.turn(key, own.moment(), [])
            case "read", [key]:
                serves(own, key)
            case "overtaken", [key]:
                since = own.moment()
                own.drop(key)
                assert not put(own, key, X, b"1", since=since)
            case "clear", _:
                own.clear()
            case "sweep", _:
                own.sweep(3)
            case "wait", _:
                clock.advance(0.7)
        assert_counted(own)
    own.clear()
    own.check()
    assert own.bytes == 0

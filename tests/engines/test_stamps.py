"""Entries that live by their tags' cells."""

from __future__ import annotations

from itertools import count, islice
from time import thread_time_ns
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freshwell.engines.drops import Drops
from freshwell.engines.entry import Aliases, TaggedEntry
from freshwell.engines.stamps import Bonds, Stamps
from freshwell.engines.table import Table
from freshwell.testing import FakeClock
from tests.support.examples import examples

X, Y, Z = b"x-digest", b"y-digest", b"z-digest"
TIMES: dict[str, Any] = {
    "calm_until_ns": 100,
    "fresh_until_ns": 100,
    "stale_until_ns": 200,
    "born_ns": 0,
    "cost_ns": 1,
}


def table(max_entries: int = 100) -> Table:
    return Table(max_entries=max_entries, max_bytes=2**24, now_ns=FakeClock(0))


def put(own: Table, key: str, *tags: bytes, since: int | None = None, stamp: bytes = b"1") -> Any:
    bonds = Bonds.of(tuple((tag, stamp) for tag in tags), since) if tags else None
    return own.put(key, key, **TIMES, bonds=bonds)


def serves(own: Table, key: str, *tags: bytes) -> bool:
    entry = own.get(key)
    return entry is not None and own.is_current(entry, tags)


def test_a_dropped_tag_ends_all_its_entries_and_no_others() -> None:
    own = table()
    put(own, "a", X)
    put(own, "b", X, Y)
    put(own, "c", Y)
    put(own, "d")
    own.drop_tags([X])
    assert [serves(own, key) for key in "abcd"] == [False, False, True, True]
    assert own.entries == 2, "entries that have ended leave when they are looked at"
    own.check()


def test_what_an_entry_of_tags_carries_is_known_until_one_of_them_changes() -> None:
    own = table(2)
    written = own.stamps.written
    assert written((X,)) is None
    put(own, "a", X, Y)
    assert written((X, Y)) == written((X, Y)) == X + b"1" + Y + b"1"
    assert written((Y, X)) == Y + b"1" + X + b"1"
    assert written((X, Z)) is None
    own.drop_tags([X])
    assert written((X, Y)) is None
    assert written((Y,)) == Y + b"1"
    put(own, "b", X, stamp=b"2")
    assert written((X, Y)) == X + b"2" + Y + b"1"
    put(own, "c", Z)
    assert written((X, Y)) == X + b"2" + Y + b"1", "there is room for what no entry holds"
    own.clear()
    assert written((Z,)) is None


def test_dropping_a_tag_costs_the_same_whatever_it_has() -> None:
    own = table(10_000)
    for number in range(5_000):
        put(own, str(number), X)
    before = own.entries
    own.drop_tags([X])
    assert own.entries == before, "no entry was touched"
    assert not any(serves(own, str(number)) for number in range(5_000))


def test_a_hit_asks_the_cells_only_after_some_tag_has_changed() -> None:
    own = table()
    entry = put(own, "a", X)
    assert isinstance(entry, TaggedEntry)
    assert entry.checked == own.stamps.moment
    own.drop_tags([Y])
    assert entry.checked == own.stamps.moment, "nothing here has that tag"
    put(own, "b", Y)
    own.drop_tags([Y])
    assert entry.checked != own.stamps.moment
    assert serves(own, "a")
    assert entry.checked == own.stamps.moment


def test_a_fill_that_a_drop_of_its_tag_has_overtaken_is_refused() -> None:
    own = table()
    since = own.moment()
    own.drop_tags([X])
    assert put(own, "a", X, since=since) is None
    assert put(own, "a", Y, since=since) is not None
    assert put(own, "b", X, since=own.moment()) is not None


def test_a_clear_voids_fills_and_ends_cells() -> None:
    own = table()
    since = own.moment()
    entry = put(own, "a", X)
    own.clear()
    assert not own.is_current(entry)
    assert put(own, "a", X, since=since) is None


def test_a_version_that_contradicts_what_is_known_is_refused_and_forgotten() -> None:
    own = table()
    put(own, "a", X, stamp=b"1")
    assert put(own, "b", X, stamp=b"2") is None
    assert not serves(own, "a"), "which of the two is newer is not known"
    assert put(own, "b", X, stamp=b"2") is not None


def test_entries_that_have_ended_are_swept() -> None:
    own = table()
    put(own, "a", X)
    put(own, "b", Y)
    own.drop_tags([X])
    assert own.sweep(10) == 1
    assert own.entries == 1


def test_an_entry_lacks_the_tags_that_it_was_not_stored_under() -> None:
    own = table()
    put(own, "a", X, Y)
    put(own, "b")
    assert serves(own, "a", X)
    assert serves(own, "a", Y, X)
    assert not serves(own, "a", Z)
    assert serves(own, "b")
    assert not serves(own, "b", X)


def test_expiry_keeps_an_entrys_tags() -> None:
    own = table()
    put(own, "a", X)
    own.expire("a")
    entry = own.get("a")
    assert isinstance(entry, TaggedEntry)
    own.drop_tags([X])
    assert not serves(own, "a")


def test_aliases_are_for_wrappers_that_look_at_tags() -> None:
    own = table()
    aliases = Aliases()
    put(own, "a", X)
    put(own, "b")
    assert not own.attach("a", aliases, 1, int)
    assert own.attach("a", aliases, 1, int, tagged=True)
    assert not own.attach("b", aliases, 2, int, tagged=True)
    assert own.attach("b", aliases, 2, int)
    own.drop_tags([X])
    assert not serves(own, "a")
    assert list(aliases) == [2]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abc"), st.sets(st.sampled_from([X, Y, Z]))),
        st.tuples(st.just("drop"), st.sampled_from([X, Y, Z]), st.just(set[bytes]())),
        st.tuples(st.just("drop key"), st.sampled_from("abc"), st.just(set[bytes]())),
        st.tuples(st.just("clear"), st.just(""), st.just(set[bytes]())),
    ),
    max_size=30,
)


@examples(200)
@given(steps)
def test_a_table_with_tags_does_what_a_dictionary_does(given_steps: list[Any]) -> None:
    own = table(1_000)
    model: dict[str, set[bytes]] = {}
    for step, name, tags in given_steps:
        if step == "put":
            put(own, name, *tags, since=own.moment())
            model[name] = tags
        elif step == "drop":
            own.drop_tags([name])
            model = {key: held for key, held in model.items() if name not in held}
        elif step == "drop key":
            own.drop(name)
            model.pop(name, None)
        else:
            own.clear()
            model = {}
        assert {key for key in "abc" if serves(own, key)} == set(model)
        own.check()


def test_a_new_tag_costs_about_the_same_however_many_are_remembered() -> None:
    def each_ns(limit: int) -> float:
        stamps = Stamps(Drops(), limit)
        new = (Bonds.of(((b"%d" % number, b"1"),), None) for number in count())

        def come_and_go(bonds: Bonds) -> None:
            stamps.release(stamps.cells_for(bonds) or ())

        for bonds in islice(new, limit):
            come_and_go(bonds)
        todo = list(islice(new, 15_000))
        began_ns = thread_time_ns()
        for bonds in todo:
            come_and_go(bonds)
        assert len(stamps) == limit
        return (thread_time_ns() - began_ns) / len(todo)

    # Where the oldest is looked for in linear time, the ratio is 4 and more.
    assert any(each_ns(50_000) / each_ns(500) < 2.5 for _ in range(3))

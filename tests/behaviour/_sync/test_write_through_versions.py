"""Write-through to a source with versions: of writers who overlap, the highest is left."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from random import Random
from typing import Any

import pytest

from freshwell import Cache, Saved
from freshwell._kit.threads import sleep
from tests.behaviour._sync.parts import Make
from tests.behaviour._sync.rows import Rows
from tests.behaviour._sync.versioned import ORDERS, Versioned, overlap
from tests.support.threads import all_of, start

each_order = pytest.mark.parametrize("orders", ORDERS)


def left(cache: Cache) -> Any:
    """Return what is in the cache, whichever tier is asked."""
    found = cache.get("row:a")
    if is_shared(cache):
        assert cache.get("row:a", read="fresh") == found
    return found


def is_shared(cache: Cache) -> bool:
    return cache._core.engine().tiers.store.shared


# -- two who overlap -------------------------------------------------------------------------


@each_order
def test_of_two_that_overlap_the_highest_version_is_left(
    make: Make, orders: tuple[str, str]
) -> None:
    with make() as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}", ttl="1m", jitter=0)

        def is_absent() -> None:
            assert left(cache) is None, "another writer goes on"

        overlap(rows, rows, source, orders, is_absent)
        assert source.rows["a"] == f"value{orders[0][-1]}"
        assert left(cache) == rows.get("a") == source.rows["a"]
        assert source.loads == 0
        left_s = rows.lookup("a").ttl_left_s
        assert left_s is not None
        assert 50 < left_s <= 60
        rows.put("a", "value3")
        assert left(cache) == "value3"


@each_order
def test_without_versions_neither_is_left(make: Make, orders: tuple[str, str]) -> None:
    """The control: of the same writers."""
    with make() as cache:
        source = Versioned(told=lambda version, value: value)
        rows = cache.write_through(source, key="row:{}")
        overlap(rows, rows, source, orders)
        assert left(cache) is None


@each_order
def test_a_source_that_lies_leaves_the_loser(make: Make, orders: tuple[str, str]) -> None:
    """The control: it is by nothing but the version that the right one is found."""
    with make() as cache:
        source = Versioned(told=lambda version, value: Saved(version=9 - version))
        rows = cache.write_through(source, key="row:{}")
        overlap(rows, rows, source, orders)
        assert left(cache) == f"value{orders[0][0]}" != source.rows["a"]


@pytest.mark.parametrize("orders", [("12", "21"), ("21", "12")])
def test_who_sets_after_the_save_leaves_the_loser(
    make: Make, orders: tuple[str, str]
) -> None:
    """The control: the last to end wins, whatever the source has."""
    with make() as cache:
        source = Versioned()

        class Setting:
            def put(self, id: str, value: str) -> None:
                source.save(id, value)
                cache.set("row:a", value)

        rows: Any = Setting()
        overlap(rows, rows, source, orders)
        assert left(cache) == f"value{orders[1][-1]}" != source.rows["a"]


@each_order
@pytest.mark.parametrize("silent", ["value1", "value2"])
def test_where_one_of_the_two_has_no_version_neither_is_left(
    make: Make, orders: tuple[str, str], silent: str
) -> None:
    with make() as cache:
        source = Versioned(
            told=lambda version, value: None if value == silent else Saved(version=version)
        )
        rows = cache.write_through(source, key="row:{}")
        overlap(rows, rows, source, orders)
        assert left(cache) is None


def test_where_both_have_the_same_version_neither_is_left(make: Make) -> None:
    with make() as cache:
        source = Versioned(told=lambda version, value: Saved(version=7))
        rows = cache.write_through(source, key="row:{}")
        overlap(rows, rows, source, ORDERS[0])
        assert left(cache) is None


@pytest.mark.parametrize("base", [0, 2**32 - 2, 2**53, 2**63 - 3])
@each_order
def test_versions_are_compared_as_whole_numbers(
    make: Make, orders: tuple[str, str], base: int
) -> None:
    with make() as cache:
        source = Versioned(told=lambda version, value: Saved(version=base - 1 + version))
        rows = cache.write_through(source, key="row:{}")
        overlap(rows, rows, source, orders)
        assert left(cache) == source.rows["a"]


@pytest.mark.parametrize("last", ["1", "2", "3"])
def test_of_many_who_overlap_one_after_the_other_the_highest_is_left(
    make: Make, last: str
) -> None:
    """The third begins when the first has ended, and the second is there all the time."""
    with make() as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}")
        writes = {number: source.lead(f"value{number}") for number in "123"}
        one = start(partial(rows.put, "a", "value1"))
        writes["1"].begun.passed()
        two = start(partial(rows.put, "a", "value2"))
        writes["2"].begun.passed()
        if last == "1":
            writes["2"].commit.open()
            writes["2"].committed.passed()
        writes["1"].go()
        one.result()
        three = start(partial(rows.put, "a", "value3"))
        writes["3"].begun.passed()
        for number in "23" if last == "3" else "32":
            writes[number].commit.open()
            writes[number].committed.passed()
        writes["2"].go()
        two.result()
        assert left(cache) is None
        writes["3"].go()
        three.result()
        assert left(cache) == source.rows["a"]


# -- what else may fall into it --------------------------------------------------------------


@each_order
@pytest.mark.parametrize("error", [LookupError, TimeoutError])
def test_an_unknown_outcome_among_them_leaves_the_entry_absent(
    make: Make, orders: tuple[str, str], error: type[Exception]
) -> None:
    with make() as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}")
        source.fails = error

        def fails_no_more() -> None:
            source.fails = None

        overlap(rows, rows, source, orders, fails_no_more)
        assert left(cache) is None
        rows.put("a", "again")
        stands = error is TimeoutError and is_shared(cache)  # its announcement, for a while
        assert left(cache) == (None if stands else "again")


@pytest.mark.parametrize("how", ["invalidate", "set", "writing", "delete", "tag"])
@pytest.mark.parametrize("orders", [("12", "12"), ("21", "12")])
@pytest.mark.parametrize("version", [None, 1])
def test_any_other_change_that_falls_into_it_leaves_the_entry_absent(
    make: Make, how: str, orders: tuple[str, str], version: int | None
) -> None:
    with make(version=version) as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}", tags=["rows"])

        def changes() -> None:
            if how == "invalidate":
                cache.invalidate("row:a")
            elif how == "set":
                cache.set("row:a", "by hand")
            elif how == "delete":
                rows.delete("a")
            elif how == "tag":
                cache.invalidate_tags("rows")
            else:
                with cache.writing("row:a"):
                    pass

        overlap(rows, rows, source, orders, changes)
        assert left(cache) is None


def test_a_load_from_before_the_last_commit_is_not_stored_over_it(make: Make) -> None:
    with make() as cache:
        source = Versioned(a="old")
        rows = cache.write_through(source, key="row:{}")
        old = source.lead("old")

        def slowly() -> Any:
            old.begun.open()
            old.commit.passed()
            return "old"

        loading: list[Any] = []

        def load() -> None:
            loading.append(start(partial(cache.get_or_load, "row:a", slowly)))
            old.begun.passed()

        overlap(rows, rows, source, ("12", "21"), load)
        old.commit.open()
        assert loading[0].result() == "old"
        assert left(cache) == "value2"


def test_nobody_joins_a_load_from_before_a_put_that_has_returned(make: Make) -> None:
    with make() as cache:
        source = Versioned(a="old")
        rows = cache.write_through(source, key="row:{}")
        first, second, old = map(source.lead, ("first", "second", "old"))
        puts = []
        for value, write in (("first", first), ("second", second)):
            puts.append(start(partial(rows.put, "a", value)))
            write.begun.passed()

        def slowly() -> Any:
            old.begun.open()
            old.commit.passed()
            return "old"

        loading = start(partial(cache.get_or_load, "row:a", slowly))
        old.begun.passed()
        first.go()
        puts[0].result()
        assert rows.get("a") == "first", "the second goes on"
        old.commit.open()
        assert loading.result() == "old"
        second.go()
        puts[1].result()
        assert left(cache) == "second"


# -- tags, schema versions -------------------------------------------------------------------


@each_order
@pytest.mark.parametrize("version", [None, 1])
def test_what_is_left_lives_by_its_tags(
    make: Make, orders: tuple[str, str], version: int | None
) -> None:
    with make(version=version) as cache:
        source = Versioned()
        rows = cache.write_through(source, key="row:{}", tags=["rows", lambda value: value])
        for word in ("rows", f"value{orders[0][-1]}"):
            source.led.clear()
            overlap(rows, rows, source, orders)
            assert left(cache) == source.rows["a"]
            cache.invalidate_tags(word)
            assert left(cache) is None
        source.led.clear()
        overlap(rows, rows, source, orders)
        cache.invalidate("row:a")
        assert left(cache) is None


@each_order
def test_of_two_schema_versions_the_entry_of_the_highest_version_is_left(
    redis_url: str, orders: tuple[str, str]
) -> None:
    with Cache(redis_url, version=1) as old, Cache(redis_url, version=2) as new:
        source = Versioned()
        before = old.write_through(source, key="row:{}")
        after = new.write_through(source, key="row:{}")
        overlap(before, after, source, orders)
        there = [cache.get("row:a", read="fresh") for cache in (old, new)]
        assert there == (["value1", None] if orders[0] == "21" else [None, "value2"])


# -- races -----------------------------------------------------------------------------------


class Slow(Versioned):
    """It takes its time before the commit, and after it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)

    def load(self, id: str, /) -> Any:
        value = self.rows.get(id)
        sleep(self._random.random() * 0.002)
        return value

    def save(self, id: str, value: Any, /) -> Any:
        sleep(self._random.random() * 0.004)
        said = super().save(id, value)
        sleep(self._random.random() * 0.004)
        return said


@pytest.mark.race
@pytest.mark.slow
def test_nobody_reads_what_is_older_than_an_acknowledged_put(make: Make) -> None:
    rounds, older, right = 15, 0, 0
    with make() as one:
        shared = is_shared(one)
        caches = [one, make() if shared else one]
        source = Slow(seed=1)

        def write(n: int, value: int) -> None:
            nonlocal older
            rows = caches[n % 2].write_through(source, key="row:{}")
            rows.put("a", value)
            mine = source.version_of[repr(value)]
            for cache in caches:
                found = cache.get("row:a", read="fresh" if shared else None)
                older += found is not None and source.version_of[repr(found)] < mine
                cache.get_or_load("row:a", partial(source.load, "a"))

        for number in range(rounds):
            all_of(*[partial(write, n, 10 * number + n) for n in range(4)])
            found = one.get("row:a", read="fresh" if shared else None)
            assert found in (None, source.rows["a"])
            right += found is not None
        if shared:
            caches[1].close()
    assert older == 0
    assert right > rounds / 2


def test_a_plain_source_may_become_one_with_versions(make: Make) -> None:
    """One entry, written by old code and new code."""
    with make() as cache:
        plain, source = Rows(), Versioned()
        cache.write_through(plain, key="row:{}").put("a", 1)
        cache.write_through(source, key="row:{}").put("a", 2)
        assert left(cache) == 2
        cache.write_through(plain, key="row:{}").put("a", 3)
        assert left(cache) == 3

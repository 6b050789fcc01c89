"""Write-through: writers of one key who overlap or die, and what a source must be."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest

from freshwell import Cache, WriteThrough, ConfigurationError
from freshwell._kit.threads import sleep
from tests.behaviour._sync.parts import Make
from tests.behaviour._sync.rows import Rows
from tests.support.threads import all_of, start

_ROUNDS = 25
_WRITERS = 3


class Slow(Rows):
    """The source decides the order: it takes its time before the commit, and after it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)

    def load(self, id: str, /) -> Any:
        value = self.rows.get(id)
        sleep(self._random.random() * 0.002)
        return value

    def save(self, id: str, value: Any, /) -> None:
        before, after = self._random.random() * 0.004, self._random.random() * 0.004
        sleep(before)
        self.rows[id] = value
        sleep(after)


Put = Callable[[Cache, Slow, int], None]


def write_through(cache: Cache, source: Slow, value: int) -> None:
    cache.write_through(source, key="row:{}").put("a", value)


def save_then_set(cache: Cache, source: Slow, value: int) -> None:
    source.save("a", value)
    cache.set("row:a", value)


def race(make: Make, put: Put) -> tuple[int, int]:
    """Let writers and readers of one key meet, several times.

    Returns how often the cache had another value than the source afterwards, and how often it had
    the source's.
    """
    wrong = right = 0
    with make(max_staleness=0.5) as one:
        shared = one._core.engine().tiers.store.shared
        caches = [one, make() if shared else one]
        source = Slow(seed=1)

        def read(cache: Cache) -> None:
            for _ in range(3):
                cache.get_or_load("row:a", partial(source.load, "a"))

        for round_ in range(_ROUNDS):
            writers = [
                partial(put, caches[n % 2], source, _WRITERS * round_ + n) for n in range(_WRITERS)
            ]
            all_of(*writers, *[partial(read, cache) for cache in caches])
            now = one.get("row:a", read="fresh" if shared else None)
            wrong += now not in (None, source.rows["a"])
            right += now == source.rows["a"]
            put(one, source, -1)  # who is alone leaves its value
            assert one.get("row:a") == -1
        if shared:
            caches[1].close()
    return wrong, right


@pytest.mark.slow
def test_writers_who_race_leave_what_the_source_has_or_nothing(make: Make) -> None:
    wrong, _ = race(make, write_through)
    assert wrong == 0


@pytest.mark.slow
def test_save_and_then_set_leaves_the_loser(make: Make) -> None:
    """The control."""
    wrong, _ = race(make, save_then_set)
    assert wrong > 0


@pytest.mark.parametrize("inner", [False, True])
def test_of_two_that_overlap_none_leaves_its_value(make: Make, inner: bool) -> None:
    """One after the other they begin; the source takes them in one order or the other."""
    with make() as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}")
        first, second = source.lead("first"), source.lead("second")
        one = start(partial(rows.put, "a", "first"))
        first.begun.passed()
        other = start(partial(rows.put, "a", "second"))
        second.begun.passed()
        early, late = (first, second) if inner else (second, first)
        early.commit.open()
        early.committed.passed()
        late.go()
        (other if inner else one).result()
        early.go()
        (one if inner else other).result()
        assert source.rows["a"] == ("second" if inner else "first")
        assert cache.get("row:a") is None
        assert cache.get("row:a", read="fresh") is None


def test_one_that_begins_and_ends_within_another_leaves_nothing(make: Make) -> None:
    with make() as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}")
        outer = source.lead("outer")
        putting = start(partial(rows.put, "a", "outer"))
        outer.begun.passed()
        rows.put("a", "inner")
        outer.go()
        putting.result()
        assert source.rows["a"] == "outer"
        assert cache.get("row:a") is None


@pytest.mark.parametrize("how", ["invalidate", "set", "writing", "delete"])
def test_whatever_else_falls_into_a_put_leaves_nothing_of_it(make: Make, how: str) -> None:
    with make() as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}")
        write = source.lead(1)
        putting = start(partial(rows.put, "a", 1))
        write.begun.passed()
        if how == "invalidate":
            cache.invalidate("row:a")
        elif how == "set":
            cache.set("row:a", "by hand")
        elif how == "delete":
            rows.delete("a")
        else:
            with cache.writing("row:a"):
                pass
        write.go()
        putting.result()
        assert cache.get("row:a") is None


def test_a_put_within_a_block_leaves_nothing(make: Make) -> None:
    with make() as cache:
        rows = cache.write_through(Rows(), key="row:{}")
        with cache.writing("row:a"):
            rows.put("a", 1)
        assert cache.get("row:a") is None


def abandoned(url: str, source: Rows) -> None:
    """Do what a writer does that is killed between the source's commit and the end."""
    with Cache(url, drain=0, intent=3) as cache:
        intents = cache._core.engine().intents

        def killed(*given: Any, **named: Any) -> int:
            intents._heart.drop(intents._leases(given[0]))
            return 0

        intents.settle = killed  # type: ignore[method-assign]
        cache.write_through(source, key="row:{}").put("a", 2)


@pytest.mark.slow
def test_a_writer_who_dies_after_the_commit_leaves_no_old_entry(redis_url: str) -> None:
    with Cache(redis_url) as reader:
        source = Rows(a=1)
        rows = reader.write_through(source, key="row:{}", read="fresh")
        assert rows.get("a") == 1
        abandoned(redis_url, source)
        assert rows.get("a") == 2
        assert reader.get("row:a", read="fresh") is None, "the announcement stands"
        sleep(3.1)
        assert [rows.get("a"), rows.get("a")] == [2, 2]
        assert reader.get("row:a", read="fresh") == 2
        rows.put("a", 3)
        assert reader.get("row:a", read="fresh") == 3


# -- what a source must be -------------------------------------------------------------------


class Readable:
    def load(self, id: str, /) -> int | None:
        return 1


class Yielding(Readable):
    def save(self, id: str, value: int, /) -> Any:
        yield


class Attribute(Readable):
    save_many = 5

    def save(self, id: str, value: int, /) -> None:
        pass


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Rows, r"the source is the class Rows: give an object of it, Rows\(\)"),
        (Readable(), r"Readable cannot be written through: .*save\(id, value\)"),
        (len, "cannot be written through"),
        (Yielding(), "Yielding.save is a generator, and a call would not run it"),
        (Attribute(), "Attribute.save_many is no method, but a int"),
    ],
)
def test_a_source_that_cannot_be_written_to_is_refused_when_it_is_given(
    source: Any, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Cache().write_through(source, key="row:{}")


def test_a_source_without_delete_says_so_when_one_is_asked_for(make: Make) -> None:
    class Kept(Readable):
        def save(self, id: str, value: int, /) -> None:
            pass

    with make() as cache:
        rows: WriteThrough[int] = cache.write_through(Kept(), key="row:{}")
        with pytest.raises(ConfigurationError, match=r"Kept has no delete\(id\)"):
            rows.delete("a")

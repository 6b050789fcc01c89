"""The writers of a table without L2: what is left when the last of them has ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from freshwell.engines.entry import Entry
from freshwell.engines.eviction import AdaptiveClock
from freshwell.engines.overlaps import Ended, Overlaps, Writer
from freshwell.engines.table import Table
from tests.engines.parts import fill, make_table, serve
from tests.support.clock import ManualClock
from tests.support.episodes import Episodes, events


class Key:
    """One entry, written as the strategies do."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.table: Table = make_table(clock)
        self.overlaps: Overlaps[str] = Overlaps(self.table)

    def begin(self) -> Writer:
        writer = self.overlaps.join(["k"])
        self.table.drop("k")
        self.overlaps.begin(writer)
        return writer

    def end(self, writer: Writer, version: int | None, left: str | None) -> Ended[str]:
        ended = self.overlaps.end(writer, "k", version, left)
        if ended.left is not None:
            fill(self.table, self.clock, "k", ended.left, since=ended.since, voids=True)
        elif not ended.waits:
            self.table.drop("k")
        self.table.check()
        return ended

    @property
    def value(self) -> str | None:
        found: str | None = serve(self.table, self.clock, "k")
        return found


@pytest.fixture
def key(clock: ManualClock) -> Key:
    return Key(clock)


def test_who_is_alone_leaves_its_value_with_or_without_a_version(key: Key) -> None:
    for version in (None, 0, 7, 3):
        key.end(key.begin(), version, f"value of {version}")
        assert key.value == f"value of {version}"
    assert len(key.overlaps) == 0


@pytest.mark.parametrize("versions", [(1, 2), (2, 1), (0, 2**63 - 1)])
def test_of_two_the_highest_is_left_when_both_have_ended(
    key: Key, versions: tuple[int, int]
) -> None:
    one, other = key.begin(), key.begin()
    assert key.end(one, versions[0], str(versions[0])) == Ended(waits=True)
    assert key.value is None
    key.end(other, versions[1], str(versions[1]))
    assert key.value == str(max(versions))
    assert len(key.overlaps) == 0


def test_what_was_loaded_in_between_gives_way(key: Key) -> None:
    since = key.table.moment()
    one, other = key.begin(), key.begin()
    key.end(one, 2, "new")
    assert fill(key.table, key.clock, "k", "from before", since=since) is None
    between = key.table.moment()
    assert fill(key.table, key.clock, "k", "loaded", since=between) is not None
    key.end(other, 1, "old")
    assert key.value == "new"
    assert fill(key.table, key.clock, "k", "loaded", since=between) is None


def drop(key: Key) -> None:
    key.table.drop("k")


def expire(key: Key) -> None:
    key.table.expire("k")


def clear(key: Key) -> None:
    key.table.clear()


def forget_much(key: Key) -> None:
    key.table.drop_many(map(str, range(20_000)))


@pytest.mark.parametrize("change", [drop, expire, clear, forget_much])
@pytest.mark.parametrize("when", ["before the second", "between the ends", "before the ends"])
def test_a_drop_by_anyone_else_leaves_nothing(
    key: Key, change: Callable[[Key], None], when: str
) -> None:
    one = key.begin()
    if when == "before the second":
        change(key)
    other = key.begin()
    if when == "before the ends":
        change(key)
    key.end(one, 1, "old")
    if when == "between the ends":
        change(key)
    key.end(other, 2, "new")
    assert key.value is None
    assert len(key.overlaps) == 0
    key.end(key.begin(), None, "alone")
    assert key.value == "alone"


def test_a_drop_just_before_a_writer_has_begun_is_older_than_its_change(key: Key) -> None:
    one = key.begin()
    other = key.overlaps.join(["k"])
    key.table.drop("k")
    key.table.drop("k")
    key.overlaps.begin(other)
    key.end(one, 1, "old")
    key.end(other, 2, "new")
    assert key.value == "new"


@pytest.mark.parametrize("first", [True, False])
def test_one_who_leaves_without_an_end_spoils_it_for_the_others(key: Key, first: bool) -> None:
    one, other = key.begin(), key.begin()
    if first:
        key.overlaps.leave(one)
        key.end(other, 1, "new")
    else:
        key.end(other, 1, "new")
        key.overlaps.leave(one)
    key.overlaps.leave(other)
    assert key.value is None
    assert len(key.overlaps) == 0


def test_entries_of_one_writer_are_apart(key: Key) -> None:
    one = key.overlaps.join(["k", "l", "k"])
    other = key.overlaps.join(["l"])
    key.overlaps.begin(one)
    key.overlaps.begin(other)
    assert key.overlaps.end(one, "k", None, "value").left == "value"
    assert key.overlaps.end(one, "l", 1, "value").waits
    assert key.overlaps.end(other, "l", None, "value") == Ended()
    key.overlaps.leave(one)
    assert len(key.overlaps) == 0


class _Interrupted(AdaptiveClock):
    """A policy in whose middle foreign code runs, as a finaliser or a signal's handler does."""

    __slots__ = ("foreign",)

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[Callable[[], object]] = []

    def remove(self, entry: Entry) -> None:
        while self.foreign:
            self.foreign.pop()()
        super().remove(entry)


def test_a_drop_from_inside_the_end_of_a_writer_is_noticed(key: Key) -> None:
    policy = key.table._policy = _Interrupted()
    one, other = key.begin(), key.begin()
    assert fill(key.table, key.clock, "k", "loaded") is not None
    policy.foreign.append(lambda: key.table.drop("k"))
    assert key.end(one, 1, "old") == Ended()
    assert policy.foreign == []
    key.end(other, 2, "new")
    assert key.value is None


def test_an_end_from_inside_a_section_leaves_nothing(key: Key) -> None:
    policy = key.table._policy = _Interrupted()
    one, other = key.begin(), key.begin()
    assert fill(key.table, key.clock, "another") is not None
    policy.foreign.append(lambda: key.overlaps.end(one, "k", 1, "old"))
    key.table.drop("another")
    assert policy.foreign == []
    key.end(other, 2, "new")
    assert key.value is None


@pytest.mark.parametrize("seed", range(40))
def test_whatever_writers_do_the_rule_holds(key: Key, seed: int) -> None:
    episodes, writers = Episodes(), {}
    for word, number, version in events(seed):
        if word == "begin":
            writers[number] = key.begin()
            episodes.begin(number)
        elif word == "end":
            key.end(writers.pop(number), version, str(number))
            episodes.end(number, version)
        else:
            key.table.drop("k")
            episodes.change()
        assert key.value == (None if episodes.left is None else str(episodes.left))
    assert len(key.overlaps) == 0

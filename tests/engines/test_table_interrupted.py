"""The table when it is called in the middle of a change: by finalisers, and by many threads."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from freshwell.engines.entry import Aliases, Entry
from freshwell.engines.eviction import AdaptiveClock
from freshwell.engines.table import Table
from freshwell.testing import FakeClock
from tests.engines.parts import NS, fill, make_table
from tests.support.switching import switching_every

# -- a call from inside a section ------------------------------------------------------------


class _Interrupted(AdaptiveClock):
    """A policy in whose middle foreign code runs, as a finaliser or a signal's handler does."""

    __slots__ = ("foreign",)

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[Callable[[], object]] = []

    def insert(self, entry: Entry) -> None:
        while self.foreign:
            self.foreign.pop()()
        super().insert(entry)


def _interrupted(clock: FakeClock) -> tuple[Table, list[Callable[[], object]]]:
    policies: list[_Interrupted] = []

    def make() -> _Interrupted:
        policies.append(_Interrupted())
        return policies[-1]

    table = Table(max_entries=100, max_bytes=1_000_000, now_ns=clock, policy=make)
    return table, policies[0].foreign


def test_a_drop_inside_a_change_is_in_force_at_once_and_done_afterwards(clock: FakeClock) -> None:
    table, foreign = _interrupted(clock)
    old = fill(table, clock, "k")
    seen: list[object] = []

    def drop() -> None:
        seen.append(table.drop("k"))
        assert old is not None
        seen.append(old.alive)

    foreign.append(drop)
    fill(table, clock, "other")
    assert seen == [True, False]
    assert table.get("k") is None
    assert table.get("other") is not None
    table.check()


def test_a_drop_inside_the_storing_of_the_same_key_wins(clock: FakeClock) -> None:
    table, foreign = _interrupted(clock)
    since = table.moment()
    foreign.append(lambda: table.drop("k"))
    entry = fill(table, clock, "k", since=since)
    assert table.get("k") is None
    assert entry is None or not entry.alive


def test_a_fill_inside_a_change_is_refused(clock: FakeClock) -> None:
    table, foreign = _interrupted(clock)
    results: list[object] = []
    foreign.append(lambda: results.append(fill(table, clock, "inner", since=table.moment())))
    fill(table, clock, "outer")
    assert results == [None]
    assert table.get("inner") is None


@pytest.mark.parametrize("removal", ["expire", "clear"])
def test_an_expire_or_clear_inside_a_change_ends_what_there_was(
    clock: FakeClock, removal: str
) -> None:
    table, foreign = _interrupted(clock)
    old = fill(table, clock, "k")
    since = table.moment()
    calls: dict[str, Callable[[], object]] = {
        "expire": lambda: table.expire("k"),
        "clear": table.clear,
    }
    foreign.append(calls[removal])
    fill(table, clock, "other")
    assert old is not None
    assert not old.alive
    assert fill(table, clock, "k", "old", since=since) is None
    assert table.get("k") is None


def test_a_change_that_an_exception_breaks_off_leaves_an_empty_whole_table(
    clock: FakeClock,
) -> None:
    table, foreign = _interrupted(clock)
    aliases = Aliases()
    old = fill(table, clock, "k", alias=(aliases, 1, int))
    since = table.moment()

    def interrupt() -> None:
        raise KeyboardInterrupt

    foreign.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        fill(table, clock, "other")
    table.check()
    assert table.entries == table.bytes == 0
    assert old is not None
    assert not old.alive
    assert aliases == {}
    assert fill(table, clock, "k", since=since) is None
    assert fill(table, clock, "k") is not None


# -- finalisers ------------------------------------------------------------------------------


class _Caller:
    """A value that calls the table when it is let go of."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call

    def __del__(self) -> None:
        self._call()


def test_values_whose_finalisers_call_the_table_do_not_stop_it(clock: FakeClock) -> None:
    table = make_table(clock, max_entries=4)
    called = []

    def call(i: int) -> Callable[[], object]:
        def body() -> None:
            fill(table, clock, f"from-{i}")
            table.drop(str(i - 1))
            called.append(i)

        return body

    for i in range(50):
        fill(table, clock, str(i), _Caller(call(i)))
        table.check()
    table.clear()
    table.clear()
    table.check()
    assert sorted(called) == list(range(50))


def test_a_collection_in_the_middle_of_anything_does_not_stop_the_table(
    clock: FakeClock,
) -> None:
    """Cycles are collected wherever an object is allocated, so also with the lock held."""
    table = make_table(clock, max_entries=50)
    called = []

    class Cycle:
        def __init__(self, i: int) -> None:
            self.me = self
            self.i = i

        def __del__(self) -> None:
            table.drop(str(self.i))
            called.append(fill(table, clock, f"{self.i}"))

    with _collecting_all_the_time():
        for i in range(2_000):
            Cycle(i % 100)
            since = table.moment()
            fill(table, clock, str(i % 100), since=since, size_bytes=None)
    table.check()
    assert called


@contextmanager
def _collecting_all_the_time() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(3)
    try:
        yield
    finally:
        gc.set_threshold(*before)


# -- threads ---------------------------------------------------------------------------------


@pytest.fixture
def eager_switching() -> Iterator[None]:
    with switching_every(1e-6):
        yield


@pytest.mark.race
@pytest.mark.usefixtures("eager_switching")
def test_threads_that_do_everything_at_once_leave_a_whole_table(clock: FakeClock) -> None:
    table = make_table(clock, max_entries=40, max_bytes=40 * 300)
    aliases = Aliases()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while time.monotonic() < until:
            _anything(table, clock, aliases, chance)

    until = time.monotonic() + 1.0
    _together(work, 4)
    table.check()
    for alias, entry in aliases.items():
        assert entry.alive, "an alias names a killed entry"
        assert table.get(str(alias)) is entry, "an alias names an entry that left"
    fill(table, clock, "last")
    assert table.clear() > 0
    assert aliases == {}


def _anything(table: Table, clock: FakeClock, aliases: Aliases, chance: random.Random) -> None:
    number = chance.randrange(80)
    key = str(number)
    match chance.randrange(12):
        case 0:
            table.drop(key)
        case 1:
            table.expire(key)
        case 2 if number < 4:
            table.clear()
        case 3:
            table.attach(key, aliases, number, int)
        case 4:
            table.sweep(3)
        case 5 | 6 | 7:
            table.get(key)
        case _:
            since = table.moment()
            size = chance.randrange(100)
            fill(table, clock, key, ttl_s=chance.random() / 100, size_bytes=size, since=since)
            clock.advance(ns=NS // 10_000)


@pytest.mark.race
@pytest.mark.usefixtures("eager_switching")
def test_no_reader_gets_a_value_that_was_dropped_before_it_looked(clock: FakeClock) -> None:
    """One thread raises a version, then drops; what is read is never older than the last drop."""
    table = make_table(clock)
    source = [0]
    acked = [0]
    wrong: list[tuple[int, int]] = []

    def write(_: int) -> None:
        while time.monotonic() < until:
            source[0] += 1
            version = source[0]
            table.drop("k")
            acked[0] = version
        done.set()

    def read(_: int) -> None:
        while not done.is_set():
            at_least = acked[0]
            entry = table.get("k")
            if entry is not None:
                value = entry.value
                if clock() < entry.calm_until_ns and value < at_least:
                    wrong.append((value, at_least))
            since = table.moment()
            fill(table, clock, "k", source[0], since=since)

    done = threading.Event()
    until = time.monotonic() + 0.7
    _together(lambda i: write(i) if i == 0 else read(i), 4)
    assert wrong == []
    assert source[0] > 10


def _together(work: Callable[[int], None], count: int) -> None:
    errors: list[BaseException] = []

    def carry(i: int) -> None:
        try:
            work(i)
        except BaseException as error:  # noqa: BLE001  # it is the test's to judge
            errors.append(error)

    threads = [threading.Thread(target=carry, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "threads hang"
    assert errors == []

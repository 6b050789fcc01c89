"""What the L1 table's eviction promises, beside policies that do not keep it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from benchmarks.policies.references import Arc, Fifo, Lru, Reference, S3Fifo, hits_of, hits_of_bytes
from benchmarks.policies.replay import counted_bytes, hits_of_table, hits_of_table_bytes
from freshwell.engines.entry import Entry
from freshwell.engines.ring import Ring


class _OldestLeaves:
    """The control in the same table: FIFO, with nothing learned from hits."""

    def __init__(self) -> None:
        self._ring = Ring()

    def insert(self, entry: Entry) -> None:
        self._ring.append(entry)

    def replace(self, old: Entry, new: Entry) -> None:
        self._ring.substitute(old, new)

    def remove(self, entry: Entry) -> None:
        self._ring.remove(entry)

    def evict(self) -> Entry | None:
        oldest = self.following(None)
        if oldest is not None:
            self._ring.remove(oldest)
        return oldest

    def following(self, entry: Entry | None) -> Entry | None:
        follower = (self._ring.end if entry is None else entry).after
        return None if follower is self._ring.end else follower

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._ring)

    def check(self) -> None:
        self._ring.check()


def _in_turn(many: int, count: int) -> list[int]:
    return [i % many for i in range(count)]


def _zipf(count: int, many: int = 5_000) -> list[int]:
    chance = random.Random(7)
    weights = [1 / (rank + 1) for rank in range(many)]
    return chance.choices(range(many), weights, k=count)


@pytest.mark.parametrize(("many", "least"), [(105, 0.6), (125, 0.5)])
def test_a_loop_a_little_longer_than_the_table_is_mostly_served(many: int, least: float) -> None:
    requests = _in_turn(many, 8_000)
    assert hits_of_table(requests, 100) > least * len(requests)


@pytest.mark.parametrize("control", [Fifo(), Lru(), Arc()])
def test_the_control_serves_nothing_of_such_a_loop(control: Reference) -> None:
    assert hits_of(control, _in_turn(105, 8_000), 100) == 0


def test_the_same_table_with_another_policy_serves_nothing_of_it() -> None:
    assert hits_of_table(_in_turn(105, 8_000), 100, _OldestLeaves) == 0


def test_with_another_policy_the_table_has_exactly_the_hits_of_its_reference() -> None:
    requests = _zipf(6_000)
    assert hits_of_table(requests, 50, _OldestLeaves) == hits_of(Fifo(), requests, 50)


def test_after_a_loop_it_gets_used_to_other_keys() -> None:
    loop, other = _in_turn(125, 5_000), [key + 1_000 for key in _zipf(5_000)]
    alone = hits_of_table(other, 100)
    both = hits_of_table(loop + other, 100) - hits_of_table(loop, 100)
    assert both > 0.9 * alone


@pytest.mark.parametrize("capacity", [10, 20])
def test_a_tiny_table_keeps_what_is_asked_for_often_through_scans(capacity: int) -> None:
    requests: list[int] = []
    for start in range(50):
        requests += [i % 5 for i in range(30)]
        requests += range(1_000 + 100 * start, 1_100 + 100 * start)
    most = hits_of_table(requests, capacity)
    for control in (Fifo(), Lru()):
        # The controls lose all five keys to each scan, the table no more than one of them.
        assert hits_of(control, requests, capacity) == 25 * 50
    assert most > 28 * 50


def _recent(count: int) -> list[int]:
    """Requests of which the lately asked for come again, LRU's best case."""
    chance = random.Random(3)
    recent: list[int] = []
    for i in range(count):
        back = int(200 ** chance.random())
        again = len(recent) >= back and chance.random() < 0.7
        recent.append(recent[-back] if again else i)
    return recent


@pytest.mark.parametrize("capacity", [1, 3, 5, 10, 30])
def test_a_tiny_table_is_about_as_good_as_lru_where_lru_is_best(capacity: int) -> None:
    requests = _recent(6_000)
    least = hits_of(Lru(), requests, capacity) - 0.015 * len(requests)
    assert hits_of_table(requests, capacity) >= least


@pytest.mark.parametrize("capacity", [3, 5, 10])
def test_the_control_falls_far_below_lru_there(capacity: int) -> None:
    requests = _recent(6_000)
    lost = hits_of(Lru(), requests, capacity) - hits_of(S3Fifo(), requests, capacity)
    assert lost > 0.03 * len(requests)


@pytest.mark.parametrize("capacity", [3, 10, 30])
def test_a_tiny_table_keeps_favourites_better_than_lru(capacity: int) -> None:
    requests = _zipf(6_000)
    assert hits_of_table(requests, capacity) > 1.2 * hits_of(Lru(), requests, capacity)


def test_most_requests_of_a_few_favourites_are_served_among_many_that_never_return() -> None:
    requests = [i if i % 2 else i // 2 % 40 - 100 for i in range(8_000)]
    assert hits_of_table(requests, 60) > 0.45 * len(requests)
    assert hits_of(Lru(), requests, 60) == 0
    assert hits_of(Fifo(), requests, 60) < 0.4 * len(requests)


def test_a_table_bounded_in_bytes_keeps_the_promise_as_well() -> None:
    requests = _zipf(6_000, 1_000)
    sizes = [100 + key * 37 % 4_000 for key in requests]
    counted = [counted_bytes(*pair) for pair in zip(requests, sizes, strict=True)]
    lru = hits_of_bytes(Lru(), requests, counted, 50_000)
    assert hits_of_table_bytes(requests, sizes, 50_000) > lru + 0.02 * len(requests)

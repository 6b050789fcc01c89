"""What a policy's knowledge costs: one hit, and one put into a full cache.

The references are plain Python without deadlines, a lock or a value to let go of, so a put is
cheaper there for reasons that have nothing to do with eviction. "LRU, locked" is what a cache
of threads needs at least if hits move entries.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import Lock

from benchmarks.measure import Group, Row, Timed, interleave
from benchmarks.policies.references import REFERENCES, Reference
from benchmarks.policies.replay import put
from freshwell.engines.table import Table

__all__ = ["Cost", "costs"]

_ENTRIES = 1_000


@dataclass(frozen=True)
class Cost:
    """Nanoseconds of a hit and of a put that evicts; ratios to the reference LRU without lock."""

    hit_ns: float
    put_ns: float
    hit_ratio: float
    put_ratio: float


def costs(calls: int, rounds: int) -> dict[str, Cost]:
    """Measure all contenders in turn. The table's hits and puts are whole calls of its methods."""
    contenders: dict[str, tuple[Timed, Timed]] = {
        name: _of_reference(make, calls) for name, make in REFERENCES.items()
    }
    contenders["LRU, locked"] = _of_locked(calls)
    contenders["freshwell"] = _of_table(calls)
    hits = Group("a hit", [Row(name, pair[0]) for name, pair in contenders.items()])
    puts = Group("a put", [Row(name, pair[1]) for name, pair in contenders.items()])
    interleave([hits, puts], rounds=rounds)
    pairs = {
        hit.name: (hit.median, put.median) for hit, put in zip(hits.rows, puts.rows, strict=True)
    }
    base_hit, base_put = pairs["LRU"]
    return {
        name: Cost(hit, put, hit / base_hit, put / base_put) for name, (hit, put) in pairs.items()
    }


def _of_reference(make: Callable[[], Reference], calls: int) -> tuple[Timed, Timed]:
    policy = make()
    held: dict[str, int] = {}
    names = [str(number) for number in range(_ENTRIES)]
    fresh = count(_ENTRIES)
    for number, name in enumerate(names):
        held[name] = number
        policy.seek(number)
        policy.insert(number)

    def read(name: str) -> None:
        number = held.get(name)
        if number is not None:
            policy.hit(number)

    def fill() -> None:
        number = next(fresh)
        policy.seek(number)
        del held[str(policy.evict())]
        held[str(number)] = number
        policy.insert(number)

    return _timed_hits(read, held, calls), _timed(fill, calls // 4)


def _of_locked(calls: int) -> tuple[Timed, Timed]:
    held: OrderedDict[str, None] = OrderedDict.fromkeys(str(i) for i in range(_ENTRIES))
    fresh = count(_ENTRIES)
    lock = Lock()

    def read(name: str) -> None:
        with lock:
            if name in held:
                held.move_to_end(name)

    def fill() -> None:
        with lock:
            held.popitem(last=False)
            held[str(next(fresh))] = None

    return _timed_hits(read, held, calls), _timed(fill, calls // 4)


def _of_table(calls: int) -> tuple[Timed, Timed]:
    table = Table(max_entries=_ENTRIES, max_bytes=1 << 60)
    fresh = count(_ENTRIES)
    for number in range(_ENTRIES):
        put(table, str(number))
    return (
        _timed_hits(table.get, table, calls),
        _timed(lambda: put(table, str(next(fresh))), calls // 4),
    )


def _timed_hits(
    read: Callable[[str], object], held: dict[str, int] | OrderedDict[str, None] | Table, calls: int
) -> Timed:
    def run() -> float:
        names = list(held.keys())[:100]
        rounds = range(max(1, calls // len(names)))
        began = time.perf_counter_ns()
        for _ in rounds:
            for name in names:
                read(name)
        return (time.perf_counter_ns() - began) / (len(rounds) * len(names))

    return run


def _timed(work: Callable[[], None], calls: int) -> Timed:
    def run() -> float:
        began = time.perf_counter_ns()
        for _ in range(calls):
            work()
        return (time.perf_counter_ns() - began) / calls

    return run

"""What an operation costs as L1 grows: hit, miss and fill, invalidation, eviction.

Each size is a process of its own; they are filled once and measured in turn, by CPU time.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.scale_parts import answer, child, show
from freshwell import Cache
from freshwell.engines.stamps import Bonds

__all__ = ["run"]

_SHORT, _FULL = (1_000, 20_000, 200_000), (1_000, 10_000, 100_000, 1_000_000, 5_000_000)
_ROUNDS = 5
_STEP = 500
_HITS = 10_000
_MIB = 2**20
_TTL_NS = 86_400 * 1_000_000_000

_COLUMNS = (
    "hit, 500 of them",
    "hit, any",
    "lru_cache, any",
    "invalidate",
    "miss, fill",
    "fill, evict",
    "fill, evict, own tag",
)


def run(url: str, *, full: bool) -> None:
    """Measure L1 in process; no server has a part in it."""
    sizes = _FULL if full else _SHORT
    samples: dict[int, list[tuple[float, ...]]] = {size: [] for size in sizes}
    with ExitStack() as stack:
        pipes = {}
        for size in sizes:
            pipes[size] = stack.enter_context(child(_serve, size))
            answer(pipes[size])
        for _ in range(_ROUNDS):
            for size, pipe in pipes.items():
                pipe.send("round")
                samples[size].append(answer(pipe))
        ends = []
        for pipe in pipes.values():
            pipe.send("end")
            ends.append(answer(pipe))
    medians = [[statistics.median(c) for c in zip(*rows, strict=True)] for rows in samples.values()]
    first = medians[0]
    rows = [
        [f"{size:,}", *(f"{ns:,.0f} {ns / least:.2f}x" for ns, least in zip(m, first, strict=True))]
        for size, m in zip(sizes, medians, strict=True)
    ]
    show("L1: ns of CPU for one call, and its ratio to the first row", ("entries", *_COLUMNS), rows)
    show(
        "L1: memory, and what a full collection of the interpreter takes",
        ("entries", "MiB", "bytes/entry", "gc.collect() ms", "after gc.freeze() ms"),
        [
            (f"{size:,}", f"{held / _MIB:.0f}", f"{held / size:.0f}", f"{gc_ms:.1f}", f"{cold:.2f}")
            for size, (held, gc_ms, cold) in zip(sizes, ends, strict=True)
        ],
    )


def _serve(pipe: Connection, size: int) -> None:
    gc.collect()
    before = _resident_bytes()
    with _cache(size + _STEP) as roomy, _cache(size) as full:
        user = roomy.cached("user:{n}")(_value)
        _fill(roomy, user, "user", size)
        held = _resident_bytes() - before
        reference = lru_cache(maxsize=None)(_value)
        for n in range(size):
            reference(n)
        owned = full.cached("owned:{n}", tags=["owner:{n}"])(_value)
        _fill(full, owned, "owned", size, tagged=True)
        other = full.cached("other:{n}")(_value)
        room = _Room(user, reference, other, owned, size)
        pipe.send("ready")
        while pipe.recv() == "round":
            pipe.send(room.round())
        pipe.send((held, _collected_ms(), _frozen_ms()))


def _fill(cache: Cache, function: Any, stem: str, size: int, *, tagged: bool = False) -> None:
    """Put what calls of the function would have put, in a tenth of the time."""
    table = cache._core.table
    aliases = function.__globals__["_fw_find"].__self__
    until_ns = time.monotonic_ns() + _TTL_NS
    for n in range(size):
        name = f"{stem}:{n}"
        table.put(
            name,
            _value(n),
            calm_until_ns=until_ns,
            fresh_until_ns=until_ns,
            stale_until_ns=until_ns,
            born_ns=until_ns - _TTL_NS,
            cost_ns=1_000,
            bonds=Bonds.of(((b"%d" % n, b"version"),), None) if tagged else None,
        )
        assert table.attach(name, aliases, n, int, tagged=tagged)


class _Room:
    """An L1 of `size` entries, and what is measured on it."""

    def __init__(self, user: Any, reference: Any, other: Any, owned: Any, size: int) -> None:
        self._user, self._reference, self._other, self._owned = user, reference, other, owned
        self._size = size
        self._next = size
        self._random = random.Random(1)

    def round(self) -> tuple[float, ...]:
        user, size = self._user, self._size
        hot = [self._random.randrange(size) for _ in range(_STEP)]
        spread = [self._random.randrange(size) for _ in range(_HITS)]
        few = self._random.sample(range(size), min(_STEP, size))
        return (
            _each_ns(user, hot * (_HITS // _STEP)),
            _each_ns(user, spread),
            _each_ns(self._reference, spread),
            _each_ns(user.invalidate, few),
            _each_ns(user, few),
            _each_ns(self._other, self._new()),
            _each_ns(self._owned, self._new()),
        )

    def _new(self) -> range:
        self._next += _STEP
        return range(self._next - _STEP, self._next)


def _cache(max_entries: int) -> Cache:
    return Cache(
        namespace="scale", ttl=_TTL_NS / 1e9, jitter=0, max_entries=max_entries, max_bytes=1 << 50
    )


def _value(n: int) -> int:
    return n + (1 << 40)


def _each_ns(work: Callable[[int], object], numbers: Iterable[int]) -> float:
    todo = list(numbers)
    began_ns = time.thread_time_ns()
    for n in todo:
        work(n)
    return (time.thread_time_ns() - began_ns) / len(todo)


def _collected_ms() -> float:
    samples = []
    for _ in range(3):
        began_ns = time.thread_time_ns()
        gc.collect()
        samples.append((time.thread_time_ns() - began_ns) / 1e6)
    return min(samples)


def _frozen_ms() -> float:
    gc.freeze()
    return _collected_ms()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

"""The cells of tags when the table is called in the middle of a change, and by many threads."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import pytest

from freshwell.engines.table import Table
from tests.engines.tagged import X, Y, Z, assert_counted, make, put, serves
from tests.support.switching import switching_every

_STEP, _FEWEST = ("opcode", 50) if sys.version_info < (3, 12) else ("line", 5)
"""What a step is. Later interpreters tell of some opcodes only."""

# -- a call in the middle of a change --------------------------------------------------------


@contextmanager
def interrupted(
    at: int, call: Callable[[], object], look: Callable[[], object]
) -> Iterator[list[int]]:
    """Have `call` made at the step `at` of what the table does, as a finaliser may be.

    From then on others `look`, as threads may that take no lock.
    """
    seen, aside = [0], False

    def do_aside(what: Callable[[], object]) -> None:
        nonlocal aside
        aside = True  # and not `settrace(None)`: 3.13 forgets then which frames to tell of
        what()
        aside = False

    def step(frame: FrameType, event: str, argument: object) -> Any:
        if aside:
            return None if event == "call" else step
        if event == "call":
            if not frame.f_code.co_filename.endswith(("engines/table.py", "engines/stamps.py")):
                return None
            frame.f_trace_opcodes = True
        elif event == _STEP:
            seen[0] += 1
            if seen[0] == at:
                do_aside(call)
        if event == "line" and seen[0] >= at:
            do_aside(look)
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        yield seen
    finally:
        sys.settrace(before)


WORKS: dict[str, Callable[[Table, int], object]] = {
    "put": lambda own, since: put(own, "c", Z, X, since=since),
    "replace": lambda own, since: put(own, "a", Z, X, since=since),
    "evict": lambda own, since: put(own, "c", b"another", b"and one more", since=since),
    "refuse": lambda own, since: put(own, "c", X, Z, since=since, size=2**30),
    "drop": lambda own, _: own.drop("a"),
    "expire": lambda own, _: own.expire("a"),
    "forget": lambda own, _: own.drop("c"),
}
CALLS: dict[str, Callable[[Table], object]] = {
    "drop X": lambda own: own.drop_tags([X]),
    "drop all": lambda own: own.drop_tags([X, Y, Z, b"another"]),
    "clear": lambda own: own.clear(),
}


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("call", CALLS)
def test_what_ends_in_the_middle_of_a_change_stays_ended(work: str, call: str) -> None:
    at, last = 0, 1
    while at < last:
        at += 1
        own = make(max_entries=2)
        put(own, "a", X, Y)
        put(own, "b", Y, Z)
        put(own, "b", Y)
        if work == "forget":
            own.drop_many("ab")
            put(own, "c", Z, b"another")
        since = own.moment()
        assert own.stamps.written((X,)) is not None
        # A fill may bring the old version back, but no entry by it, and not beyond the change.
        ended = partial(assert_ended, own, X, known=work in ("put", "replace", "refuse"))
        with interrupted(at, partial(CALLS[call], own), ended) as steps_seen:
            WORKS[work](own, since)
        last = steps_seen[0]
        assert_counted(own)
        if at <= last:
            assert own.stamps.known(X) is None
            assert_ended(own, X)
            assert not put(own, "late", X, since=since)
    assert at > _FEWEST


def assert_ended(own: Table, tag: bytes, *, known: bool = False) -> None:
    assert known or own.stamps.written((tag,)) is None
    for entry in own.find("abc"):
        if entry is not None and tag in [cell.digest for cell in entry.cells]:
            assert not own.is_current(entry) or not entry.alive


@pytest.mark.race
def test_threads_that_fill_and_end_tags_at_once_leave_true_counts() -> None:
    own = make(max_entries=20, max_bytes=30_000)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while time.monotonic() < until:
            tags = [b"%d" % tag for tag in chance.sample(range(40), chance.randrange(8))]
            key = str(chance.randrange(40))
            match chance.randrange(10):
                case 0:
                    own.drop_tags(tags)
                case 1:
                    own.drop(key)
                case 2:
                    own.expire(key)
                case 3:
                    serves(own, key)
                    own.stamps.written(tuple(tags))
                case 4 if key == "0":
                    own.clear()
                case _:
                    put(own, key, *tags, since=own.moment())

    until = time.monotonic() + 1
    with switching_every(1e-6), ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert_counted(own)
    own.drop_many(own.keys())
    assert own.bytes == 0

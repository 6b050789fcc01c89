"""Interleave contenders, and report medians and their ratio to the first of each group.

Machines are shared and their speed drifts. So every round runs every contender, in an order
that changes, and what is reported is the median over rounds and its ratio to the reference.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Group", "Row", "Timed", "interleave", "show", "timed_async", "timed_threads"]

Timed = Callable[[], float]
"""Runs a contender once and returns nanoseconds per operation."""


@dataclass
class Row:
    """A contender and what it took, in nanoseconds per operation, round by round."""

    name: str
    run: Timed
    target: float | None = None
    samples: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


@dataclass
class Group:
    """Contenders that are compared with the first of them. `target`: the ratio aimed at."""

    title: str
    rows: Sequence[Row]


def interleave(groups: Sequence[Group], *, rounds: int) -> None:
    """Run every contender once a round, after one round that does not count."""
    rows = [row for group in groups for row in group.rows]
    order = random.Random(1)
    gc.collect()
    for number in range(rounds + 1):
        for row in order.sample(rows, len(rows)):
            taken = row.run()
            if number:
                row.samples.append(taken)


def show(groups: Sequence[Group]) -> None:
    """Print medians and ratios."""
    for group in groups:
        print(f"\n{group.title}")
        print(f"  {'':44}{'median':>12}{'ratio':>8}{'target':>8}")
        reference = group.rows[0].median
        for row in group.rows:
            target = "" if row.target is None else f"<={row.target:g}"
            ratio = row.median / reference
            print(f"  {row.name:44}{_time(row.median):>12}{ratio:>8.2f}{target:>8}")


def timed_async(
    runner: asyncio.Runner, tasks: int, each: int, work: Callable[[int], Awaitable[object]]
) -> Timed:
    """Return a contender: `tasks` tasks, each of which awaits ``work(i)`` `each` times.

    No two tasks are given the same numbers, so that they do not share what they do.
    """

    async def one(first: int) -> None:
        for i in range(first, first + each):
            await work(i)

    async def run() -> float:
        began = time.perf_counter_ns()
        async with asyncio.TaskGroup() as group:
            for number in range(tasks):
                group.create_task(one(number * each))
        return (time.perf_counter_ns() - began) / (tasks * each)

    return lambda: runner.run(run())


def timed_threads(threads: int, each: int, work: Callable[[int], object]) -> Timed:
    """Return a contender: `threads` threads, each of which calls ``work(i)`` `each` times.

    As with `timed_async`, no two are given the same numbers. What a call raises ends the run.
    """

    def one(start: threading.Barrier, first: int, failed: list[Exception]) -> None:
        start.wait()
        try:
            for i in range(first, first + each):
                work(i)
        except Exception as error:  # noqa: BLE001 - raised again where it is seen
            failed.append(error)

    def run() -> float:
        start, failed = threading.Barrier(threads + 1), list[Exception]()
        group = [
            threading.Thread(target=one, args=(start, number * each, failed))
            for number in range(threads)
        ]
        for thread in group:
            thread.start()
        start.wait()
        began = time.perf_counter_ns()
        for thread in group:
            thread.join()
        if failed:
            raise failed[0]
        return (time.perf_counter_ns() - began) / (threads * each)

    return run


def _time(ns: float) -> str:
    return f"{ns:,.0f} ns" if ns < 10_000 else f"{ns / 1_000:,.1f} us"

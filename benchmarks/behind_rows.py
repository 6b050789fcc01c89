"""Contenders of `behind_accept`, interleaved, and beside what they have to be compared with."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ALONE", "BESIDE", "LEAST", "Append", "Group", "Row", "interleave", "show"]

LEAST = "by hand: the least of an accept"
ALONE = "the journal alone"
BESIDE = "the journal alone, entry beside"

Append = Callable[[int], Any]
"""Appends for a number, which is the key's. Returns what is to be awaited, where it is."""


@dataclass
class Row:
    """A contender, and what its rounds took: medians, 99th percentiles, rates, processor's time."""

    name: str
    append: Append
    bare: bool = False
    medians_us: list[float] = field(default_factory=list)
    highs_us: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpus_us: list[float] = field(default_factory=list)

    @property
    def median_us(self) -> float:
        return statistics.median(self.medians_us)

    @property
    def cpu_us(self) -> float:
        return statistics.median(self.cpus_us)


@dataclass
class Group:
    """Contenders at the same durability, and how many at a time; the first is the reference."""

    title: str
    rows: Sequence[Row]
    callers: int
    each: int
    run: Callable[[Append, int, int], list[int]]


def interleave(groups: Sequence[Group], rounds: int) -> None:
    """Run all of them in `rounds` rounds, and one before that does not count."""
    order = random.Random(1)
    rows = [(group, row) for group in groups for row in group.rows]
    for number in range(rounds + 1):
        for group, row in order.sample(rows, len(rows)):
            began, cpu_began = time.perf_counter(), time.process_time()
            taken = sorted(group.run(row.append, group.callers, group.each))
            seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
            if number:
                row.medians_us.append(statistics.median(taken) / 1_000)
                row.highs_us.append(taken[len(taken) * 99 // 100] / 1_000)
                row.rates.append(len(taken) / seconds)
                row.cpus_us.append(cpu_s / len(taken) * 1e6)


def show(groups: Sequence[Group]) -> None:
    """Print medians over rounds, and their ratios to the first row, the least and the journal."""
    ratios = f"{'ratio':>7}{'of least':>9}{'of journal':>11}"
    for group in groups:
        print(f"\n{group.title}")
        print(f"  {'':42}{'p50':>10}{'p99':>11}{'a second':>9}{ratios}{'cpu':>8}{ratios}")
        first = group.rows[0]
        for row in group.rows:
            high, rate = statistics.median(row.highs_us), statistics.median(row.rates)
            least = _beside(group, row, LEAST + row.name.partition(", put")[2])
            alone = _beside(group, row, BESIDE if row.name.endswith("beside") else ALONE)
            print(
                f"  {row.name:42}{row.median_us:>7,.0f} us{high:>8,.0f} us{rate:>9,.0f}"
                f"{row.median_us / first.median_us:>7.2f}"
                f"{_ratio(row.median_us, least and least.median_us):>9}"
                f"{_ratio(row.median_us, alone and alone.median_us):>11}"
                f"{row.cpu_us:>5,.0f} us{row.cpu_us / first.cpu_us:>7.2f}"
                f"{_ratio(row.cpu_us, least and least.cpu_us):>9}"
                f"{_ratio(row.cpu_us, alone and alone.cpu_us):>11}"
            )


def _beside(group: Group, row: Row, name: str) -> Row | None:
    """Return the row of a name with which one of the library's is to be compared."""
    return None if row.bare else next((one for one in group.rows if one.name == name), None)


def _ratio(taken_us: float, other_us: float | None) -> str:
    return "" if other_us is None else f"{taken_us / other_us:.2f}"

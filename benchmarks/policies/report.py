"""The figures of all policies: tables for people, JSON for machines, and whether targets hold."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.policies.cost import Cost

__all__ = ["OURS", "Cell", "as_json", "as_markdown", "failures"]

OURS = "freshwell"
_RIVALS = ("LRU", "S3-FIFO", "ARC")
_TOLERANCE = 0.5


@dataclass(frozen=True)
class Cell:
    """One trace through caches of one size: hit ratios in percent by policy.

    `size` is in entries, or in bytes where `unit` says so. `recorded`: no made trace.
    """

    trace: str
    size: int
    unit: str
    recorded: bool
    ratios: dict[str, float]


def failures(cells: Sequence[Cell]) -> list[str]:
    """Return in words what is below target. It is set for recorded traces, not for made ones."""
    recorded = [cell for cell in cells if cell.recorded]
    found = [
        f"{cell.trace}, {cell.size} {cell.unit}: {cell.ratios[OURS]:.2f} % is more than"
        f" {_TOLERANCE} below LRU's {cell.ratios['LRU']:.2f} %"
        for cell in recorded
        if cell.ratios[OURS] < cell.ratios["LRU"] - _TOLERANCE
    ]
    for title, group in _groups(recorded):
        ours = _mean(group, OURS)
        best = max(_RIVALS, key=lambda name: _mean(group, name))
        if ours <= _mean(group, best):
            found.append(f"{title}: a mean of {ours:.2f} % is not above {best}'s")
    return found


def as_json(head: dict[str, Any], cells: Sequence[Cell], costs: dict[str, Cost]) -> dict[str, Any]:
    """Return everything in plain types."""
    return {
        **head,
        "cells": [asdict(cell) for cell in cells],
        "costs": {name: asdict(cost) for name, cost in costs.items()},
        "failures": failures(cells),
    }


def as_markdown(cells: Sequence[Cell], costs: dict[str, Cost]) -> str:
    """Return a table of cells and one of means for each kind of traces, and one of costs."""
    parts = []
    for title, group in _groups(cells):
        names = list(group[0].ratios)
        rows = [[cell.trace, f"{cell.size:,} {cell.unit}", *_shown(cell, names)] for cell in group]
        parts.append(_table(f"{title}: hits in percent", ["trace", "table", *names], rows))
        parts.append(_table(f"{title}: gain and cost", _SUMMARY, _summary(group, names, costs)))
    if costs:
        rows = [[name, *_shown_cost(cost)] for name, cost in costs.items()]
        parts.append(_table("Cost of one hit, and of one put into a full cache", _COSTS, rows))
    return "\n\n".join(parts) + "\n"


_SUMMARY = ["policy", "mean", "over LRU", "least over LRU", "a hit, x LRU's", "a put, x LRU's"]
_COSTS = ["", "a hit, ns", "x LRU", "a put, ns", "x LRU"]


def _groups(cells: Sequence[Cell]) -> list[tuple[str, list[Cell]]]:
    kinds = {
        "Recorded traces": [cell for cell in cells if cell.recorded and cell.unit == "entries"],
        "Made traces": [cell for cell in cells if not cell.recorded and cell.unit == "entries"],
        "Bounded in bytes": [cell for cell in cells if cell.unit == "bytes"],
    }
    return [(title, group) for title, group in kinds.items() if group]


def _shown(cell: Cell, names: Iterable[str]) -> list[str]:
    return [f"{cell.ratios[name]:.2f}" for name in names]


def _shown_cost(cost: Cost) -> list[str]:
    hit, put = f"{cost.hit_ns:,.0f}", f"{cost.put_ns:,.0f}"
    return [hit, f"{cost.hit_ratio:.2f}", put, f"{cost.put_ratio:.2f}"]


def _summary(
    group: Sequence[Cell], names: Iterable[str], costs: dict[str, Cost]
) -> list[list[str]]:
    rows = []
    for name in names:
        gains = [cell.ratios[name] - cell.ratios["LRU"] for cell in group]
        cost = costs.get(name)
        rows.append(
            [
                name,
                f"{_mean(group, name):.2f}",
                f"{statistics.mean(gains):+.2f}",
                f"{min(gains):+.2f}",
                f"{cost.hit_ratio:.2f}" if cost else "",
                f"{cost.put_ratio:.2f}" if cost else "",
            ]
        )
    return rows


def _mean(group: Sequence[Cell], name: str) -> float:
    return statistics.mean(cell.ratios[name] for cell in group)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"### {title}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        cells = [f"**{cell}**" if cell and OURS in row else cell for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)

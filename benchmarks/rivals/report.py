"""Turn what was measured into tables: Markdown for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import Group
from benchmarks.rivals.results import Stampede, Sweep

__all__ = ["Table", "as_json", "as_markdown", "of_groups", "of_memory", "of_stampedes", "of_sweeps"]


@dataclass
class Table:
    """Rows of a contender's name and its figures, under a title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, tuple[float, ...]]]


def of_groups(groups: Iterable[Group]) -> list[Table]:
    """Return a table for each group: medians, and their ratio to the first of the group."""
    tables = []
    for group in groups:
        reference = group.rows[0].median
        rows = [(row.name, (row.median / 1_000, row.median / reference)) for row in group.rows]
        tables.append(Table(group.title, ("us", "ratio"), rows))
    return tables


def of_memory(bytes_each: dict[str, float], count: int) -> Table:
    """Return the table of what an entry takes."""
    reference = next(iter(bytes_each.values()))
    rows = [(name, (taken, taken / reference)) for name, taken in bytes_each.items()]
    title = f"Memory of {count:,} small entries, over their keys and values"
    return Table(title, ("bytes per entry", "ratio"), rows)


def of_stampedes(stampedes: Sequence[Stampede]) -> Table:
    """Return the table of stampedes."""
    rows = [(one.name, (one.loads, one.commands, one.seconds, one.errors)) for one in stampedes]
    title = "Stampede: 4 processes of 1,000 callers, one cold key, a load of 200 ms"
    return Table(title, ("loads", "commands", "seconds", "errors"), rows)


def of_sweeps(sweeps: Sequence[Sweep], count: int) -> Table:
    """Return the table of invalidations."""
    reference = sweeps[0].seconds
    rows = [
        (one.name, (one.seconds, one.seconds / reference, one.longest_ping_ms)) for one in sweeps
    ]
    title = f"Invalidation of {count:,} entries"
    return Table(title, ("seconds", "ratio", "another client's longest PING, ms"), rows)


def as_json(head: dict[str, Any], tables: Sequence[Table]) -> dict[str, Any]:
    """Return what was measured, in plain types."""
    return {
        **head,
        "tables": [
            {
                "title": table.title,
                "rows": [
                    {"name": name, **dict(zip(table.columns, figures, strict=True))}
                    for name, figures in table.rows
                ],
            }
            for table in tables
        ],
    }


def as_markdown(tables: Sequence[Table]) -> str:
    """Return the tables as Markdown; freshwell's rows stand out."""
    return "\n\n".join(_markdown(table) for table in tables) + "\n"


def _markdown(table: Table) -> str:
    lines = [
        f"### {table.title}",
        "",
        f"| | {' | '.join(table.columns)} |",
        "|---|" + "---:|" * len(table.columns),
    ]
    for name, figures in table.rows:
        shown = f"**{name}**" if name.startswith("freshwell") else name
        lines.append(f"| {shown} | {' | '.join(_number(figure) for figure in figures)} |")
    return "\n".join(lines)


def _number(figure: float) -> str:
    if figure == int(figure):
        return f"{int(figure):,}"
    digits = 0 if figure >= 100 else 1 if figure >= 10 else 2 if figure >= 0.1 else 4
    return f"{figure:,.{digits}f}"

"""The tables that comparisons with other caches are kept in."""

from __future__ import annotations

import json

from benchmarks.measure import Group, Row
from benchmarks.rivals.report import (
    as_json,
    as_markdown,
    of_groups,
    of_memory,
    of_stampedes,
    of_sweeps,
)
from benchmarks.rivals.results import Stampede, Sweep


def row(name: str, *samples: float) -> Row:
    return Row(name, lambda: 0.0, samples=list(samples))


HITS = Group("Hits", [row("redis-py", 2_000, 1_000, 9_000), row("freshwell", 400, 500, 600)])


def test_ratios_are_those_of_medians_to_the_first_of_the_group() -> None:
    (table,) = of_groups([HITS])
    assert table.rows == [("redis-py", (2.0, 1.0)), ("freshwell", (0.5, 0.25))]


def test_freshwell_stands_out_in_markdown() -> None:
    assert as_markdown(of_groups([HITS])).splitlines() == [
        "### Hits",
        "",
        "| | us | ratio |",
        "|---|---:|---:|",
        "| redis-py | 2 | 1 |",
        "| **freshwell** | 0.50 | 0.25 |",
    ]


def test_every_figure_is_in_the_json() -> None:
    tables = [
        of_memory({"dict": 30.0, "freshwell": 180.0}, 1_000),
        of_stampedes([Stampede("freshwell", 1, 40, 0.25, 0)]),
        of_sweeps([Sweep("freshwell", 0.001, 0.1), Sweep("KEYS", 0.5, 200.0)], 1_000),
    ]
    kept = json.loads(json.dumps(as_json({"python": "3"}, tables)))
    assert kept["python"] == "3"
    assert [table["rows"][-1] for table in kept["tables"]] == [
        {"name": "freshwell", "bytes per entry": 180.0, "ratio": 6.0},
        {"name": "freshwell", "loads": 1, "commands": 40, "seconds": 0.25, "errors": 0},
        {
            "name": "KEYS",
            "seconds": 0.5,
            "ratio": 500.0,
            "another client's longest PING, ms": 200.0,
        },
    ]

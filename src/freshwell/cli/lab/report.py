"""Show what was measured: a table, a JSON file, a plot."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.plan import Outcome
from freshwell.cli.lab.runner import Settings
from freshwell.cli.lab.workload import Workload

__all__ = ["as_table", "write_json", "write_plot"]


def as_table(outcomes: Sequence[Outcome], title: str) -> Table:
    """Return the outcomes as a table, one row a contender."""
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("contender")
    for name in ("requests", "hit ratio", "source loads", "p50", "p99", "requests/s",
                 "stale reads", "memory"):
        table.add_column(name, justify="right")
    for outcome in outcomes:
        table.add_row(*_cells(outcome))
    return table


def _cells(outcome: Outcome) -> list[str]:
    stale = f"{outcome.stale_reads:,}"
    if outcome.stale_reads:
        stale = f"[red]{stale}[/red] (to {outcome.worst_stale_ms:,.0f} ms)"
    return [
        outcome.contender,
        f"{outcome.requests:,}",
        f"{100 * outcome.hit_ratio:.1f} %",
        f"{outcome.loads:,}",
        _latency(outcome.p50_us),
        _latency(outcome.p99_us),
        f"{outcome.throughput:,.0f}",
        stale,
        f"{outcome.memory_bytes / 2**20:,.1f} MB",
    ]


def _latency(us: float) -> str:
    return f"{us:.1f} us" if us < 1_000 else f"{us / 1_000:.1f} ms"


def write_json(
    path: Path, outcomes: Sequence[Outcome], workload: Workload, settings: Settings
) -> None:
    """Write everything measured. Raises `LabInputError` where the file cannot be written."""
    report: dict[str, Any] = {
        "workload": {
            "name": workload.name,
            "requests": len(workload),
            "distinct": workload.distinct,
            "write_share": workload.write_share,
            "value_bytes": workload.value_bytes,
        },
        "settings": dataclasses.asdict(settings) | {"redis": settings.redis is not None},
        "python": platform.python_version(),
        "outcomes": [
            dataclasses.asdict(outcome)
            | {"hit_ratio": outcome.hit_ratio, "requests_per_s": outcome.throughput}
            for outcome in outcomes
        ],
    }
    try:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise LabInputError(f"--json: {path} cannot be written: {error.strerror}") from None


def write_plot(path: Path, outcomes: Sequence[Outcome], title: str) -> None:
    """Draw the outcomes as bars into a PNG. Raises `LabInputError` where that cannot be."""
    try:
        import matplotlib
    except ImportError:
        raise LabInputError('--plot needs matplotlib: pip install "freshwell[lab]"') from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [outcome.contender for outcome in outcomes]
    panels = [
        ("hit ratio, %", [100 * o.hit_ratio for o in outcomes], False),
        ("requests per second", [o.throughput for o in outcomes], True),
        ("p50 latency, us", [o.p50_us for o in outcomes], True),
        ("p99 latency, us", [o.p99_us for o in outcomes], True),
        ("source loads", [float(o.loads) for o in outcomes], True),
        ("stale reads", [float(o.stale_reads) for o in outcomes], False),
    ]
    figure, axes = pyplot.subplots(2, 3, figsize=(13, 7), layout="constrained")
    for axis, (label, values, logarithmic) in zip(axes.flat, panels, strict=True):
        bars = axis.bar(names, values, color=["#9aa0a6", "#c9a227", "#1f77b4", "#2ca02c"][: len(names)])
        axis.bar_label(bars, fmt=lambda value: f"{value:,.4g}", fontsize=8)
        axis.set_title(label, fontsize=10)
        axis.tick_params(axis="x", labelsize=8)
        if logarithmic and min(values) > 0:
            axis.set_yscale("log")
        axis.margins(y=0.18)
    figure.suptitle(title, fontsize=11)
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise LabInputError(f"--plot: {path} cannot be written: {error}") from None
    finally:
        pyplot.close(figure)

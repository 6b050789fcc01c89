"""Show the coherence view: bars in the terminal, a JSON file, a picture."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.table import Table

from freshwell.cli.lab.coherence.board import Plan
from freshwell.cli.lab.coherence.lateness import Lateness
from freshwell.cli.lab.coherence.run import Coherence
from freshwell.cli.lab.plot import saved_figure
from freshwell.cli.lab.report import time_text, write_report

__all__ = ["as_figures", "as_histogram", "notes", "title", "write_json", "write_plot"]

_BAR: Final = 32
_COLOURS: Final = {"key": "#2f6fb0", "tag": "#d9a441"}


def title(plan: Plan, coherence: Coherence) -> str:
    """Say in two lines what was done."""
    tags = f", {plan.tags:,} tags" if plan.tags else ""
    return (
        f"coherence: {coherence.invalidations:,} invalidations in one process, "
        f"{coherence.reads:,} reads in another\n"
        f"{plan.keys:,} keys{tags}, at most {plan.max_staleness_s:g} s behind"
    )


def as_histogram(coherence: Coherence) -> Table:
    """Return how many invalidations had their last stale read how late, as bars."""
    table = _table()
    table.add_column("last stale read\nafter the ack", no_wrap=True)
    for lateness in coherence.kinds:
        table.add_column(f"by {lateness.kind}\n", justify="right", no_wrap=True)
        table.add_column("\n", no_wrap=True, width=_BAR)
    columns = [_cells(lateness) for lateness in coherence.kinds]
    for number, bucket in enumerate(coherence.kinds[0].histogram()):
        table.add_row(bucket.label, *(cell for cells in columns for cell in cells[number]))
    return table


def _cells(lateness: Lateness) -> list[tuple[str, str]]:
    histogram = lateness.histogram()
    most = max(1, *(bucket.count for bucket in histogram))
    style = _COLOURS[lateness.kind]
    cells = [(f"{b.count:,}", f"[{style}]{'█' * -(-b.count * _BAR // most)}[/]") for b in histogram]
    if lateness.beyond:
        cells[-1] = (f"[red]{lateness.beyond:,}[/]", cells[-1][1].replace(style, "red"))
    return cells


def as_figures(coherence: Coherence, plan: Plan) -> Table:
    """Return the quantiles, one row a kind of invalidation."""
    table = _table()
    table.add_column("\ninvalidated", no_wrap=True)
    for name in ("\ntimes", "\np50", "\np99", "\nmax", f"later\nthan {plan.max_staleness_s:g} s"):
        table.add_column(name, justify="right", no_wrap=True)
    for lateness in coherence.kinds:
        times = (lateness.p50_ms, lateness.p99_ms, lateness.max_ms)
        table.add_row(
            f"by {lateness.kind}",
            f"{len(lateness.late_ns):,}",
            *(time_text(1_000 * ms) for ms in times),
            f"[red]{lateness.beyond:,}[/]" if lateness.beyond else "0",
        )
    return table


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))


def notes(plan: Plan, coherence: Coherence) -> Iterator[str]:
    """Yield what a reader of the figures has to know besides."""
    yield (
        "From the return of an invalidation in one process to the beginning of the last read in "
        "another that still returned the old value, by one clock. none: there was no such read."
    )
    if coherence.invalidations < plan.rounds:
        yield f"The time was up before all {plan.rounds:,} invalidations were done."


def write_json(path: Path, plan: Plan, coherence: Coherence) -> None:
    """Write everything measured. Raises `LabRunError` where the file cannot be written."""
    report = {
        "settings": {k: v for k, v in dataclasses.asdict(plan).items() if k not in _PRIVATE},
        "python": platform.python_version(),
        "invalidations": coherence.invalidations,
        "reads": coherence.reads,
        "stale_reads": coherence.stale_reads,
        "kinds": [_facts(lateness) for lateness in coherence.kinds],
    }
    write_report(path, report)


_PRIVATE: Final = ("run", "redis")
"""The URL may hold a password."""


def _facts(lateness: Lateness) -> dict[str, Any]:
    return {
        "kind": lateness.kind,
        "invalidations": len(lateness.late_ns),
        "p50_ms": lateness.p50_ms,
        "p99_ms": lateness.p99_ms,
        "max_ms": lateness.max_ms,
        "beyond_max_staleness": lateness.beyond,
        "histogram": [dataclasses.asdict(bucket) for bucket in lateness.histogram()],
        "late_us": [late / 1_000 for late in lateness.late_ns],
    }


def write_plot(path: Path, plan: Plan, coherence: Coherence) -> None:
    """Draw the histogram into a PNG. Raises `LabRunError` where the file cannot be written."""
    kinds = coherence.kinds
    with saved_figure(path, title(plan, coherence), rows=1, columns=len(kinds)) as axes:
        for axis, lateness in zip(axes, kinds, strict=True):
            histogram = lateness.histogram()[::-1]
            labels = [bucket.label for bucket in histogram]
            counts = [bucket.count for bucket in histogram]
            bars = axis.barh(labels, counts, color=_COLOURS[lateness.kind], height=0.7)
            axis.bar_label(bars, [f"{count:,}" for count in counts], fontsize=9, padding=3)
            axis.set_title(
                f"Last stale read after the ack, by {lateness.kind}", fontsize=11, loc="left"
            )
            axis.spines[["top", "right", "bottom"]].set_visible(False)
            axis.tick_params(axis="both", length=0, labelsize=9)
            axis.set_xticks([])
            axis.margins(x=0.12)

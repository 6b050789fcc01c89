"""Show what was measured: a table, a JSON file."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from freshwell.cli.lab.copies import SQLITE
from freshwell.cli.lab.errors import LabRunError
from freshwell.cli.lab.plan import Outcome
from freshwell.cli.lab.runner import Settings
from freshwell.cli.lab.workload import Workload

__all__ = ["alarming", "as_table", "notes", "time_text", "title", "write_json", "write_report"]


def title(workload: Workload, settings: Settings) -> str:
    """Say in two or three lines what was served, and how."""
    where = "in process" if settings.redis is None else "Redis behind L1"
    where += "" if settings.database == SQLITE else ", PostgreSQL behind it"
    processes = f"{settings.processes} process" + ("es" if settings.processes > 1 else "")
    return (
        f"{workload.name}: {len(workload):,} requests on {workload.distinct:,} keys, "
        f"{100 * workload.write_share:.0f} % writes\n"
        f"{processes} of {settings.workers} tasks, {where}, {settings.entries:,} entries in "
        f"memory, TTL {settings.ttl_s:g} s, reads {settings.read}{_how_written(settings)}"
    )


def _how_written(settings: Settings) -> str:
    how = [f"invalidate by one of {settings.tags:,} tags"] if settings.tags else []
    how += ["are announced where freshwell serves"] if settings.writing else []
    return f"\nwrites {', and '.join(how)}" if how else ""


def as_table(outcomes: Sequence[Outcome], settings: Settings) -> Table:
    """Return the outcomes as a table, one row a contender."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("\ncontender", no_wrap=True)
    columns = (
        *("\nrequests", "hit\nratio", "source\nloads", "read\np50", "read\np99"),
        *("requests\nper s", "stale\nreads", f"later\nthan {settings.max_staleness_s:g} s"),
        *("worst\nlate by", "memory\nMB"),
    )
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for outcome in outcomes:
        table.add_row(*_cells(outcome))
    return table


def _cells(outcome: Outcome) -> list[str]:
    return [
        outcome.contender,
        f"{outcome.requests:,}",
        f"{100 * outcome.hit_ratio:.1f} %",
        f"{outcome.loads:,}",
        time_text(outcome.p50_us),
        time_text(outcome.p99_us),
        f"{outcome.throughput:,.0f}",
        alarming(outcome.stale_reads, "yellow"),
        alarming(outcome.overdue_reads, "red"),
        time_text(1_000 * outcome.worst_stale_ms) if outcome.stale_reads else "-",
        f"{outcome.memory_bytes / 2**20:,.1f}",
    ]


def alarming(count: int, style: str) -> str:
    """Return a count that should be 0, coloured where it is not."""
    return f"[{style}]{count:,}[/]" if count else "0"


def time_text(us: float) -> str:
    """Return microseconds as a reader wants them."""
    if us < 1_000:
        return f"{us:.1f} us"
    return f"{us / 1_000:.1f} ms" if us < 1_000_000 else f"{us / 1_000_000:.1f} s"


def notes(outcomes: Sequence[Outcome], settings: Settings) -> Iterator[str]:
    """Yield what a reader of the table has to know besides."""
    yield (
        "A read is stale when it returns a version that had been outdated before it began: a "
        "newer version's write, with its invalidation, had returned."
    )
    if any(outcome.contender == "no cache" for outcome in outcomes):
        yield f"no cache: the first {settings.plain_requests:,} requests at the most."
    if settings.database == SQLITE and not settings.delay_s:
        yield (
            "A file of SQLite in the process answers in microseconds, so caching saves loads here "
            "and no time: --source-delay 5 stands for a database at the end of a network."
        )
    if settings.redis is None and settings.processes > 1:
        yield (
            "Without --redis each process has a cache of its own: it learns nothing of the "
            "others' writes before the TTL ends."
        )
    for outcome in outcomes:
        if outcome.errors:
            yield (
                f"{outcome.contender}: {outcome.errors:,} requests failed, the first one with "
                f"{outcome.first_error}"
            )


def write_json(
    path: Path, outcomes: Sequence[Outcome], workload: Workload, settings: Settings
) -> None:
    """Write everything measured. Raises `LabRunError` where the file cannot be written."""
    report: dict[str, Any] = {
        "workload": {
            "name": workload.name,
            "requests": len(workload),
            "distinct": workload.distinct,
            "write_share": workload.write_share,
            "value_bytes": workload.value_bytes,
        },
        "settings": dataclasses.asdict(settings)
        | {
            "redis": settings.redis is not None,
            "database": "sqlite" if settings.database == SQLITE else "postgresql",
        },
        "python": platform.python_version(),
        "outcomes": [
            dataclasses.asdict(outcome)
            | {"hit_ratio": outcome.hit_ratio, "requests_per_s": outcome.throughput}
            for outcome in outcomes
        ],
    }
    write_report(path, report)


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON. Raises `LabRunError` where the file cannot be written."""
    try:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise LabRunError(f"--json: {path} cannot be written: {error.strerror}") from None

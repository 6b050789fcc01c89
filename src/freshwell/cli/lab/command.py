"""``freshwell lab``: serve a real workload from a real database, with and without a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from freshwell.cli.lab.contenders import CONTENDERS
from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.plan import Outcome
from freshwell.cli.lab.report import as_table, write_json, write_plot
from freshwell.cli.lab.runner import Settings, check_redis, run_all
from freshwell.cli.lab.traces import read_trace
from freshwell.cli.lab.workload import ROWS, Workload, generate, named_row, read_row, with_writes
from freshwell.errors import ConfigurationError
from freshwell.ground.durations import duration_ns
from freshwell.ground.options import as_read_level

__all__ = ["lab"]

_NS_PER_S = 1_000_000_000


def lab(
    trace: Annotated[
        Path | None,
        typer.Option(help="Serve this request trace (.trace, .trace.xz, .csv).", show_default=False),
    ] = None,
    row: Annotated[
        str, typer.Option(help=f"Generate a workload like this row: {', '.join(ROWS)}.")
    ] = "cluster29",
    stats: Annotated[
        Path | None,
        typer.Option(help="Take the row from this statistics CSV.", show_default=False),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option(min=1, help="Requests to serve. [default: 100,000 generated; a whole trace]",
                     show_default=False),
    ] = None,
    distinct: Annotated[int, typer.Option(min=1, help="Distinct keys of a generated workload.")] = 20_000,
    writes: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of writes. [default: the row's; none in traces]",
                     show_default=False),
    ] = None,
    ttl: Annotated[
        str | None, typer.Option(help='TTL such as "5m". [default: the row\'s]', show_default=False)
    ] = None,
    entries: Annotated[
        int | None,
        typer.Option(min=1, help="Bound of L1. [default: a tenth of the distinct keys]",
                     show_default=False),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=10_000, help="Tasks in each process.")] = 16,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the work.")] = 1,
    redis: Annotated[
        str | None,
        typer.Option(help="Put Redis or Valkey behind it, such as redis://localhost:6379/0.",
                     show_default=False),
    ] = None,
    read: Annotated[str, typer.Option(help="Read level: eventual, fresh or source.")] = "eventual",
    source_delay: Annotated[
        float, typer.Option(min=0, help="Milliseconds added to each read of the database.")
    ] = 0.0,
    plain_requests: Annotated[
        int, typer.Option(min=1, help="Requests for the contender without a cache.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of generated workloads.")] = 1,
    json: Annotated[
        Path | None, typer.Option(help="Write everything measured to this file.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw a plot (PNG) into this file.", show_default=False)
    ] = None,
) -> None:
    """Serve a workload from a SQLite database: without a cache, with the usual get-or-set, and
    with freshwell as cache-aside and read-through.

    Each contender runs in processes of its own on a fresh database. Stale reads are found by
    comparing versions: a read that returns a version older than one whose write had returned
    before the read began.
    """
    console = Console()
    try:
        workload = _workload(trace, row, stats, requests, distinct, writes, seed)
        settings = _settings(
            workload, ttl, entries, workers, processes, redis, read, source_delay, plain_requests
        )
        title = _title(workload, settings)
        outcomes = _watched(workload, settings, console)
        console.print(as_table(outcomes, title))
        if json is not None:
            write_json(json, outcomes, workload, settings)
        if plot is not None:
            write_plot(plot, outcomes, title)
    except (LabInputError, ConfigurationError) as error:
        Console(stderr=True).print(f"freshwell lab: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None


def _workload(
    trace: Path | None,
    row: str,
    stats: Path | None,
    requests: int | None,
    distinct: int,
    writes: float | None,
    seed: int,
) -> Workload:
    if trace is not None:
        workload = read_trace(trace, limit=requests)
    else:
        found = named_row(row) if stats is None else read_row(stats, row)
        workload = generate(found, requests=requests or 100_000, distinct=distinct, seed=seed)
    return workload if writes is None else with_writes(workload, writes, seed)


def _settings(
    workload: Workload,
    ttl: str | None,
    entries: int | None,
    workers: int,
    processes: int,
    redis: str | None,
    read: str,
    source_delay: float,
    plain_requests: int,
) -> Settings:
    if redis is not None:
        check_redis(redis)
    return Settings(
        contenders=tuple(CONTENDERS),
        workers=workers,
        processes=processes,
        entries=entries or max(100, workload.distinct // 10),
        ttl_s=workload.ttl_s if ttl is None else duration_ns(ttl, name="--ttl") / _NS_PER_S,
        read=as_read_level(read).value,
        redis=redis,
        delay_s=source_delay / 1_000,
        plain_requests=plain_requests,
    )


def _watched(workload: Workload, settings: Settings, console: Console) -> list[Outcome]:
    """Run everything under a progress bar for each contender."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks = {name: bars.add_task(name, total=None, start=False) for name in settings.contenders}

        def progress(contender: str, done: int, total: int) -> None:
            task = tasks[contender]
            bars.start_task(task)
            bars.update(task, completed=done, total=total)

        return run_all(workload, settings, progress)


def _title(workload: Workload, settings: Settings) -> str:
    where = "in process" if settings.redis is None else "L1 and Redis"
    return (
        f"{workload.name}: {len(workload):,} requests on {workload.distinct:,} keys, "
        f"{100 * workload.write_share:.0f} % writes; {settings.processes} process(es) x "
        f"{settings.workers} tasks, {where}, L1 of {settings.entries:,} entries"
    )

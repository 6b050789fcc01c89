"""``freshwell lab``: serve a real workload from a real database, with and without a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from freshwell.cli.lab.comparison import as_comparison, check_lost, comparison_notes
from freshwell.cli.lab.contenders import CONTENDERS, PUTTING, STRATEGIES, USUAL, chosen
from freshwell.cli.lab.copies import SQLITE, check_database
from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.plan import Outcome
from freshwell.cli.lab.plot import write_plot
from freshwell.cli.lab.report import as_table, notes, title, write_json
from freshwell.cli.lab.runner import BUILDING, Settings, run_all
from freshwell.cli.lab.servers import check_redis, has_aof
from freshwell.cli.lab.terminal import check_outputs, exits, new_console
from freshwell.cli.lab.traces import read_trace
from freshwell.cli.lab.workload import ROWS, Workload, generate, named_row, read_row, with_writes
from freshwell.ground.durations import duration_ns
from freshwell.ground.options import as_read_level, ttl_ns

__all__ = ["lab"]

_NS_PER_S: Final = 1_000_000_000
_MAX_TTL_NS: Final = 30 * 86_400 * _NS_PER_S
_MAX_DISTINCT: Final = 10_000_000
_MAX_REQUESTS: Final = 50_000_000
_MAX_TAGS: Final = 1_000_000
_REQUESTS: Final = 100_000
_BUSY_REQUESTS: Final = 20_000
_ROW: Final = "cluster29"
_BUSY_ROW: Final = "cluster40"
"""Half of its requests are writes, and a key is asked for often enough to be worth caching."""


def lab(
    context: typer.Context,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="Serve this request trace (.trace, .trace.xz, .csv).", show_default=False
        ),
    ] = None,
    row: Annotated[
        str | None,
        typer.Option(
            help=f"Generate a workload like this row: {', '.join(ROWS)}. "
            f"[default: {_ROW}; {_BUSY_ROW} with --compare]",
            show_default=False,
        ),
    ] = None,
    stats: Annotated[
        Path | None,
        typer.Option(help="Take the row from this statistics CSV.", show_default=False),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MAX_REQUESTS,
            help=f"Requests to serve. [default: {_REQUESTS:,} generated, "
            f"{_BUSY_REQUESTS:,} with --compare; a whole trace]",
            show_default=False,
        ),
    ] = None,
    distinct: Annotated[
        int, typer.Option(min=1, max=_MAX_DISTINCT, help="Distinct keys of a generated workload.")
    ] = 20_000,
    writes: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of writes. [default: the row's; none in traces]",
            show_default=False,
        ),
    ] = None,
    ttl: Annotated[
        str | None, typer.Option(help='TTL such as "5m". [default: the row\'s]', show_default=False)
    ] = None,
    entries: Annotated[
        int | None,
        typer.Option(
            min=1, help="Bound of L1. [default: a quarter of the distinct keys]", show_default=False
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=10_000, help="Tasks in each process.")] = 16,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that share the work.")
    ] = 1,
    redis: Annotated[
        str | None,
        typer.Option(
            help="Put Redis or Valkey behind it, such as redis://localhost:6379/0.",
            show_default=False,
        ),
    ] = None,
    max_staleness: Annotated[
        str, typer.Option(help="What freshwell is told: the longest that L1 may be behind.")
    ] = "2s",
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Run these only: {', '.join(['none', *list(CONTENDERS)[1:]])}. "
            "May be repeated, or a list with commas. [default: the first four]",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Compare strategies as to reads and writes: all of freshwell's, or those named.",
        ),
    ] = False,
    database: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Serve from PostgreSQL: postgresql://user:password@host:port/database.",
        ),
    ] = SQLITE,
    tags: Annotated[
        int,
        typer.Option(
            min=0,
            max=_MAX_TAGS,
            help="Give each product one of so many tags; a write invalidates by tag. 0: by key.",
        ),
    ] = 0,
    writing: Annotated[
        bool,
        typer.Option("--writing", help="freshwell announces writes: cache.writing(...) blocks."),
    ] = False,
    read: Annotated[str, typer.Option(help="Read level: eventual, fresh or source.")] = "eventual",
    source_delay: Annotated[
        float,
        typer.Option(
            min=0, max=60_000, help="Milliseconds added to each read and write of the database."
        ),
    ] = 0.0,
    plain_requests: Annotated[
        int, typer.Option(min=1, help="Requests for the contender without a cache.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of generated workloads.")] = 1,
    json: Annotated[
        Path | None,
        typer.Option(help="Write everything measured to this file.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw a plot (PNG) into this file.", show_default=False)
    ] = None,
) -> None:
    """Serve a workload from a database, with freshwell and without.

    The contenders: no cache, the usual get-or-set, freshwell as cache-aside and as read-through.
    With --compare: freshwell's strategies on a workload with many writes, and what became of each
    write.

    Each contender runs in processes of its own on a fresh copy of the database. A read is stale
    when it returns a version that had been outdated before the read began: a newer version's
    write, with its invalidation, had returned. All stale reads are shown, with those that came
    later than --max-staleness, and how late the worst one came.
    """
    if context.invoked_subcommand is not None:
        _check_alone(context)
        return
    with exits():
        check_outputs(json, plot)
        workload = _workload(trace, row, stats, requests, distinct, writes, seed, compare)
        settings = _settings(
            workload,
            ttl,
            max_staleness,
            entries,
            workers,
            processes,
            redis,
            read,
            source_delay,
            plain_requests,
            chosen(strategy or (), STRATEGIES if compare else USUAL),
            tags,
            writing,
            database,
            compare,
        )
        console = new_console()
        outcomes = _watched(workload, settings, console)
        _show(outcomes, workload, settings, console)
        if json is not None:
            write_json(json, outcomes, workload, settings)
        if plot is not None:
            write_plot(plot, outcomes, title(workload, settings))
        check_lost(outcomes)


def _check_alone(context: typer.Context) -> None:
    """Refuse options of the run with a cache and without where another command was asked for."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            with exits():
                raise LabInputError(
                    f"{option} stands before {context.invoked_subcommand!r}, which has options of "
                    "its own: write them after it"
                )


def _workload(
    trace: Path | None,
    row: str | None,
    stats: Path | None,
    requests: int | None,
    distinct: int,
    writes: float | None,
    seed: int,
    compare: bool,
) -> Workload:
    if trace is not None:
        workload = read_trace(trace, limit=requests)
    else:
        name = row or (_BUSY_ROW if compare else _ROW)
        found = named_row(name) if stats is None else read_row(stats, name)
        count = requests or (_BUSY_REQUESTS if compare else _REQUESTS)
        workload = generate(found, requests=count, distinct=distinct, seed=seed)
    return workload if writes is None else with_writes(workload, writes, seed)


def _settings(
    workload: Workload,
    ttl: str | None,
    max_staleness: str,
    entries: int | None,
    workers: int,
    processes: int,
    redis: str | None,
    read: str,
    source_delay: float,
    plain_requests: int,
    contenders: tuple[str, ...],
    tags: int,
    writing: bool,
    database: str,
    compare: bool,
) -> Settings:
    putting = [name for name in contenders if name in PUTTING]
    if tags and putting:
        raise LabInputError(
            f"--tags does not go with {putting[0]}, whose writes leave the new value: name others "
            "by --strategy"
        )
    if redis is not None:
        check_redis(redis)
    check_database(database)
    return Settings(
        contenders=contenders,
        workers=workers,
        processes=processes,
        entries=entries or max(100, workload.distinct // 4),
        ttl_s=ttl_ns(ttl or workload.ttl_s, name="--ttl", max_ns=_MAX_TTL_NS) / _NS_PER_S,
        max_staleness_s=duration_ns(max_staleness, name="--max-staleness") / _NS_PER_S,
        read=as_read_level(read).value,
        redis=redis,
        delay_s=source_delay / 1_000,
        plain_requests=plain_requests,
        tags=tags,
        writing=writing,
        database=database,
        compare=compare,
        aof=redis is not None and has_aof(redis),
    )


def _watched(workload: Workload, settings: Settings, console: Console) -> list[Outcome]:
    """Run everything under a progress bar for each contender."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        names = (BUILDING, *settings.contenders)
        tasks = {name: bars.add_task(name, total=None, start=False) for name in names}

        def progress(contender: str, done: int, total: int) -> None:
            task = tasks[contender]
            bars.start_task(task)
            bars.update(task, completed=done, total=total)

        return run_all(workload, settings, progress)


def _show(
    outcomes: list[Outcome], workload: Workload, settings: Settings, console: Console
) -> None:
    console.print(title(workload, settings), highlight=False, markup=False)
    compare = settings.compare
    console.print(as_comparison(outcomes, settings) if compare else as_table(outcomes, settings))
    for note in (comparison_notes if compare else notes)(outcomes, settings):
        console.print(note, style="dim", highlight=False, markup=False)

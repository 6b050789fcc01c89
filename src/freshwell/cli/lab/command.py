"""``freshwell lab``: serve a real workload from a real database, with and without a cache."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from freshwell.cli.lab.contenders import CONTENDERS
from freshwell.cli.lab.errors import LabInputError, LabRunError
from freshwell.cli.lab.plan import Outcome
from freshwell.cli.lab.plot import check_plot, write_plot
from freshwell.cli.lab.report import as_table, notes, title, write_json
from freshwell.cli.lab.runner import BUILDING, Settings, run_all
from freshwell.cli.lab.servers import check_redis
from freshwell.cli.lab.traces import read_trace
from freshwell.cli.lab.workload import ROWS, Workload, generate, named_row, read_row, with_writes
from freshwell.errors import ConfigurationError
from freshwell.ground.durations import duration_ns
from freshwell.ground.options import as_read_level, ttl_ns

__all__ = ["lab"]

_NS_PER_S: Final = 1_000_000_000
_MAX_TTL_NS: Final = 30 * 86_400 * _NS_PER_S
_TABLE_WIDTH: Final = 110
_MAX_DISTINCT: Final = 10_000_000
_MAX_REQUESTS: Final = 50_000_000


def lab(
    trace: Annotated[
        Path | None,
        typer.Option(
            help="Serve this request trace (.trace, .trace.xz, .csv).", show_default=False
        ),
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
        typer.Option(
            min=1,
            max=_MAX_REQUESTS,
            help="Requests to serve. [default: 100,000 generated; a whole trace]",
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
    read: Annotated[str, typer.Option(help="Read level: eventual, fresh or source.")] = "eventual",
    source_delay: Annotated[
        float,
        typer.Option(min=0, max=60_000, help="Milliseconds added to each read of the database."),
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
    """Serve a workload from a SQLite database, with freshwell and without.

    The contenders: no cache, the usual get-or-set, freshwell as cache-aside and as read-through.
    Each contender runs in processes of its own on a fresh copy of the database. A read is stale
    when it returns a version that had been outdated before the read began: a newer version's
    write, with its invalidation, had returned. All stale reads are shown, with those that came
    later than --max-staleness, and how late the worst one came.
    """
    console = _console()
    try:
        with _interruptible():
            _check_outputs(json, plot)
            workload = _workload(trace, row, stats, requests, distinct, writes, seed)
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
            )
            outcomes = _watched(workload, settings, console)
            _show(outcomes, workload, settings, console)
            if json is not None:
                write_json(json, outcomes, workload, settings)
            if plot is not None:
                write_plot(plot, outcomes, title(workload, settings))
    except (LabInputError, ConfigurationError) as error:
        _say(str(error))
        raise typer.Exit(2) from None
    except LabRunError as error:
        _say(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        _say("stopped")
        raise typer.Exit(130) from None


def _say(sentence: str) -> None:
    Console(stderr=True, soft_wrap=True).print(
        f"freshwell lab: {sentence}", style="red", highlight=False, markup=False
    )


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, _TABLE_WIDTH))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: with nothing left behind."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_outputs(json: Path | None, plot: Path | None) -> None:
    """Raise `LabInputError` now, and not after the run, where a file cannot be written."""
    if plot is not None:
        check_plot()
    for option, path in (("--json", json), ("--plot", plot)):
        if path is None:
            continue
        existed = path.exists()
        try:
            path.open("ab").close()
        except OSError as error:
            raise LabInputError(f"{option}: {path} cannot be written: {error.strerror}") from None
        if not existed:
            path.unlink()


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
    max_staleness: str,
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
        entries=entries or max(100, workload.distinct // 4),
        ttl_s=ttl_ns(ttl or workload.ttl_s, name="--ttl", max_ns=_MAX_TTL_NS) / _NS_PER_S,
        max_staleness_s=duration_ns(max_staleness, name="--max-staleness") / _NS_PER_S,
        read=as_read_level(read).value,
        redis=redis,
        delay_s=source_delay / 1_000,
        plain_requests=plain_requests,
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
    console.print(as_table(outcomes, settings))
    for note in notes(outcomes, settings):
        console.print(note, style="dim", highlight=False, markup=False)

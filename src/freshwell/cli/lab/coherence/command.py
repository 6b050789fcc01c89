"""``freshwell lab coherence``: what another process serves after an invalidation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from freshwell.cli.lab.coherence.board import Plan
from freshwell.cli.lab.coherence.report import (
    as_figures,
    as_histogram,
    notes,
    title,
    write_json,
    write_plot,
)
from freshwell.cli.lab.coherence.run import Coherence, run
from freshwell.cli.lab.errors import LabRunError
from freshwell.cli.lab.servers import check_redis
from freshwell.cli.lab.terminal import check_outputs, exits, new_console
from freshwell.ground.durations import duration_ns

__all__ = ["coherence"]

_NS_PER_S: Final = 1_000_000_000
_MAX_ROUNDS: Final = 1_000_000
_MAX_KEYS: Final = 100_000


def coherence(
    redis: Annotated[str, typer.Option(help="Redis or Valkey, such as redis://localhost:6379/0.")],
    invalidations: Annotated[
        int, typer.Option(min=1, max=_MAX_ROUNDS, help="How many times to invalidate.")
    ] = 1_000,
    keys: Annotated[
        int, typer.Option(min=1, max=_MAX_KEYS, help="Keys that are changed in turn.")
    ] = 100,
    tags: Annotated[
        int,
        typer.Option(
            min=0,
            max=_MAX_KEYS,
            help="Give each key one of so many tags; every second invalidation is by tag.",
        ),
    ] = 0,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=3_600, help="Begin none after so many seconds.")
    ] = 30,
    max_staleness: Annotated[
        str, typer.Option(help="What freshwell is told: the longest that L1 may be behind.")
    ] = "2s",
    json: Annotated[
        Path | None,
        typer.Option(help="Write everything measured to this file.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the histogram (PNG) here.", show_default=False)
    ] = None,
) -> None:
    """Invalidate in one process, and time the last stale read of another from its L1.

    Both use one server and one clock. One process changes a key and invalidates it, by key or by
    tag; the other reads it all the while. Shown is the time from the ack, which is the return of
    the invalidation, to the beginning of the last read that still returned the old value. One
    that is later than --max-staleness breaks the contract: then the exit code is 1.
    """
    with exits():
        check_outputs(json, plot)
        staleness_s = duration_ns(max_staleness, name="--max-staleness") / _NS_PER_S
        check_redis(redis)
        name = f"lab-{os.getpid()}-coherence"
        plan = Plan(name, redis, invalidations, keys, tags, seconds, staleness_s)
        console = new_console()
        measured = _watched(plan, console)
        _show(plan, measured, console)
        if json is not None:
            write_json(json, plan, measured)
        if plot is not None:
            write_plot(plot, plan, measured)
        if measured.beyond:
            raise LabRunError(
                f"{measured.beyond} invalidations had a stale read later than {max_staleness}"
            )


def _watched(plan: Plan, console: Console) -> Coherence:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("invalidations", total=plan.rounds)
        return run(plan, lambda done: bars.update(task, completed=done))


def _show(plan: Plan, measured: Coherence, console: Console) -> None:
    console.print(title(plan, measured), highlight=False, markup=False)
    console.print(as_histogram(measured))
    console.print(as_figures(measured, plan))
    for note in notes(plan, measured):
        console.print(note, style="dim", highlight=False, markup=False)

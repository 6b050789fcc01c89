"""``freshwell top``: a live view of all processes that publish their caches."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from freshwell._sync.cache import Cache
from freshwell.cli.fleet.board import board
from freshwell.cli.fleet.model import Fleet, View, as_dict
from freshwell.cli.fleet.reading import snapshots_at
from freshwell.cli.target import UrlOption, UsageFault, answering, opened, print_line
from freshwell.errors import StoreUnavailable
from freshwell.ground.keys import check_namespace

__all__ = ["top"]

_WIDTH = 132


def top(
    url: UrlOption,
    cache: Annotated[
        str | None,
        typer.Option(
            "--cache",
            metavar="NAME",
            help="Only this cache: what its code gives as Cache(namespace=NAME).",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="SECONDS", help="How long to wait between two looks."),
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, print, and end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each look.")
    ] = False,
) -> None:
    """Watch all processes that publish their caches: rates, hit ratios, journals, hot keys.

    Processes take part that have called cache.publish(). Ctrl-C ends it. Where the output is no
    terminal, one table follows the other. Exit code 2: nothing could be read.
    """
    with answering("top", unanswered=2):
        if not 0.1 <= interval <= 3_600:
            raise UsageFault(f"--interval is {interval:g}: use 0.1 to 3600 seconds")
        if cache is not None:
            check_namespace(cache)
        with opened(url, cache or "default", None, None, named_by="--cache") as (made, _):
            where = repr(made._core.place)
            watch = _Watch(made, cache, interval, once=once)
            try:
                if as_json:
                    watch.run(lambda view: print_line(json.dumps(as_dict(view))))
                else:
                    _show(watch, where)
            except KeyboardInterrupt:
                return


class _Watch:
    """Looks at the fleet, once or until it is stopped.

    A server that does not answer at the first look is an error; later it is waited for.
    """

    def __init__(
        self, cache: Cache, namespace: str | None, interval_s: float, *, once: bool
    ) -> None:
        self._cache = cache
        self._namespace = namespace
        self._interval_s = interval_s
        self._once = once
        self._fleet = Fleet()

    def run(self, show: Callable[[View], object], lost: Callable[[str], object] = str) -> None:
        """Give each view to `show`, and what is wrong to `lost`."""
        show(self._look())
        while not self._once:
            time.sleep(self._interval_s)
            try:
                view = self._look()
            except StoreUnavailable as error:
                lost(str(error))
            else:
                show(view)

    def _look(self) -> View:
        return self._fleet.look(snapshots_at(self._cache, self._namespace))


def _show(watch: _Watch, where: str) -> None:
    console = Console()
    if not console.is_terminal or watch._once:
        wide = console if console.is_terminal else Console(width=max(console.width, _WIDTH))
        watch.run(
            lambda view: wide.print(board(view, where)),
            lambda error: wide.print(error, style="red", markup=False),
        )
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def show(shown: RenderableType) -> None:
            live.update(shown, refresh=True)

        watch.run(lambda view: show(board(view, where)), lambda error: show(error))

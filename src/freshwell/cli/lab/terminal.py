"""What the lab's commands share in a terminal: how they end, and where they print."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import typer
from rich.console import Console

from freshwell.cli.lab.errors import LabInputError, LabRunError
from freshwell.cli.lab.plot import check_plot
from freshwell.errors import ConfigurationError

__all__ = ["check_outputs", "exits", "new_console"]

_TABLE_WIDTH: Final = 110


@contextmanager
def exits() -> Iterator[None]:
    """End the command with one sentence and an exit code, whatever goes wrong inside.

    2: an input cannot be used; 1: the run could not be finished, or failed; 130: stopped.
    """
    try:
        with _interruptible():
            yield
    except (LabInputError, ConfigurationError) as error:
        _say(str(error))
        raise typer.Exit(2) from None
    except LabRunError as error:
        _say(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        _say("stopped")
        raise typer.Exit(130) from None


def new_console() -> Console:
    """Return a console, wide enough for the tables where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, _TABLE_WIDTH))


def check_outputs(json: Path | None, plot: Path | None) -> None:
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


def _say(sentence: str) -> None:
    Console(stderr=True, soft_wrap=True).print(
        f"freshwell lab: {sentence}", style="red", highlight=False, markup=False
    )


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

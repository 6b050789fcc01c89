"""The commands of ``freshwell``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from freshwell.cli.dashboard import dashboard
from freshwell.cli.doctor.command import doctor
from freshwell.cli.fleet.top import top
from freshwell.cli.inspect import inspect
from freshwell.cli.invalidate import invalidate
from freshwell.cli.journal import journals
from freshwell.cli.lab.coherence.command import coherence
from freshwell.cli.lab.command import lab
from freshwell.cli.lint.command import lint
from freshwell.cli.worker import flush_worker

__all__ = ["app"]

app = typer.Typer(
    name="freshwell",
    help="Cache slow reads, and keep them right.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
laboratory = typer.Typer(rich_markup_mode=None)
laboratory.callback(invoke_without_command=True)(lab)
laboratory.command()(coherence)
app.add_typer(laboratory, name="lab")
app.command()(invalidate)
app.command()(inspect)
app.add_typer(journals, name="journal")
app.command()(flush_worker)
app.command()(doctor)
app.command("lint")(lint)
app.command()(top)
app.command()(dashboard)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"freshwell {version('freshwell')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Cache slow reads, and keep them right."""

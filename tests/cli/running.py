"""Run commands in this process."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from typer.testing import CliRunner

from freshwell import Cache
from freshwell.cli.app import app

__all__ = ["Ran", "run", "service"]

service = partial(Cache, l1=False, command_timeout=5)
"""Builds the cache of a service that runs, patient enough for a busy machine."""


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def run(*words: str, url: str | None = None) -> Ran:
    """Run ``freshwell WORDS --url URL`` where there is no terminal."""
    given = [*words] if url is None else [words[0], "--url", url, *words[1:]]
    done = CliRunner(env={"FRESHWELL_URL": None, "COLUMNS": "200"}).invoke(app, given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)

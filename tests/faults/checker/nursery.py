"""A process that has writers, one after the other: when one is killed the next takes its place."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import signal
import traceback
from typing import Any

from tests.faults.checker.tally import Tallies
from tests.support.worker import Talk

__all__ = ["writers"]


def writers(talk: Talk, *, colour: str, folder: str, seed: int, **arguments: Any) -> None:
    """Have writers until the run is over. Raises what one of them raised."""
    writer = importlib.import_module(f"tests.faults.checker.{colour}.parts").writer
    tallies = Tallies(f"{folder}/tallies")
    talk.ready()
    number = 0
    while not tallies.over:
        _have_one(writer, {"folder": folder, "seed": seed + number, **arguments})
        number += 1


def _have_one(writer: Any, arguments: dict[str, Any]) -> None:
    """Fork a writer and wait for its end. Being killed is what it is there for."""
    hearing, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(hearing)
        os._exit(_live(writer, arguments, telling))
    os.close(telling)
    with os.fdopen(hearing) as pipe:
        trace = pipe.read()
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not killed and status != 0:
        raise AssertionError(f"a writer ended with {status}:\n{trace}")


def _live(writer: Any, arguments: dict[str, Any], telling: int) -> int:
    try:
        if inspect.iscoroutinefunction(writer):
            asyncio.run(writer(**arguments))
        else:
            writer(**arguments)
    except BaseException:  # noqa: BLE001 - whatever it is, the test is told
        os.write(telling, traceback.format_exc().encode())
        return 1
    return 0

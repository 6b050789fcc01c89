"""The processes of a run: started together, heard, and all ended in the end."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final

from freshwell.cli.lab.errors import LabRunError
from freshwell.cli.lab.plan import WorkerFailure

__all__ = ["Orphaned", "Parent", "crew", "gather", "in_short", "worker"]

_TICK_S: Final = 0.1
_END_S: Final = 10.0

Target = Callable[..., None]


class Orphaned(Exception):
    """The process that started this one is gone."""


class Parent:
    """The process that started this one."""

    def __init__(self) -> None:
        self._pid = os.getppid()

    def check(self) -> None:
        """Raise `Orphaned` when it is gone. Costs one system call."""
        if os.getppid() != self._pid:
            raise Orphaned


@contextmanager
def worker(pipe: Connection) -> Iterator[None]:
    """Do a process's work inside: what it raises is sent through `pipe` as a `WorkerFailure`."""
    # Ctrl-C reaches the whole group of processes; the one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    except Orphaned:
        pass
    except Exception as error:  # noqa: BLE001  # it is reported where the run was asked for
        pipe.send(WorkerFailure(in_short(error)))
    finally:
        pipe.close()


def in_short(error: Exception) -> str:
    """Return an error in one line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextmanager
def crew(
    members: Sequence[tuple[Target, tuple[Any, ...]]],
) -> Iterator[dict[Connection, BaseProcess]]:
    """Start a process for each function and its arguments, and end them in the end.

    The last argument of each is the end of a pipe to send one answer through; the other ends,
    to read from, are given.
    """
    context = multiprocessing.get_context("spawn")
    started: dict[Connection, BaseProcess] = {}
    try:
        for target, arguments in members:
            ours, theirs = context.Pipe(duplex=False)
            process: BaseProcess = context.Process(
                target=target, args=(*arguments, theirs), daemon=True
            )
            started[ours] = process
            with _signals_held():
                process.start()
            theirs.close()
        yield started
    finally:
        for pipe, process in started.items():
            _end(process)
            pipe.close()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Put off what SIGINT and SIGTERM do here, and keep SIGINT from a process started meanwhile.

    A process that is being started could not be ended; and one that was interrupted while it
    starts would show a trace. Blocking alone would not do: other threads take signals too.
    """
    came: list[int] = []
    held = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, lambda n, _: came.append(n)) for number in held}
    mask = getattr(signal, "pthread_sigmask", lambda *_: ())  # Windows has none
    before = mask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        mask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _end(process: BaseProcess) -> None:
    """End a process that has sent its part, or whose part nobody wants any more."""
    if process.pid is None:
        return
    process.terminate()
    process.join(timeout=_END_S)
    if process.is_alive():
        process.kill()
        process.join()


def gather(
    started: Mapping[Connection, BaseProcess], whose: str, tick: Callable[[], None]
) -> list[Any]:
    """Return what the processes send, in the order in which it comes; call `tick` meanwhile.

    Raises `LabRunError` where one could not go on, or died. `whose` names it then.
    """
    answers: list[Any] = []
    waiting = dict(started)
    while waiting:
        for pipe in wait(list(waiting), timeout=_TICK_S):
            assert isinstance(pipe, Connection)
            answers.append(_received(pipe, waiting.pop(pipe), whose))
        tick()
    return answers


def _received(pipe: Connection, process: BaseProcess, whose: str) -> Any:
    try:
        received = pipe.recv()
    except EOFError:
        process.join(timeout=_END_S)
        raise LabRunError(f"a process of {whose!r} died (exit code {process.exitcode})") from None
    if isinstance(received, WorkerFailure):
        raise LabRunError(f"a process of {whose!r} could not go on: {received.reason}")
    return received

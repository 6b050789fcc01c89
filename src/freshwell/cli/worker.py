"""``freshwell flush-worker``: a process that flushes, so that those that serve need not."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import Annotated, Any, Final, Self

import typer

from freshwell import AsyncWriteBehind, WriteBehind
from freshwell._kit import aio, threads
from freshwell.cli.target import UsageFault, answering, counted, print_line
from freshwell.ground.records import Backlog, Durability

__all__ = ["flush_worker"]

_MOST: Final = 64
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def flush_worker(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:OBJECT",
            help="What write_behind returned, or a function without arguments that returns it, or "
            "a list of them. Modules are looked for in the current folder first.",
            show_default=False,
        ),
    ],
    drain: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long to flush on when it is to end. Left out: what write_behind was given, "
            "10 seconds unless told otherwise.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Flush a journal until SIGTERM or SIGINT, as a process of its own.

    Then the batch under way is finished and noted, the rest flushed for as long as --drain says,
    and the journal left to others. A second signal ends it at once: what was not noted is flushed
    again, by whoever comes next. Any number of workers share a journal on Redis; one flushes a
    file while others stand by.

    Exit code 0: ended by a signal; a line says what is left. 1: the journal did not answer at the
    start. 2: it cannot be used as it is configured. 130 and 143: ended by a second signal.
    """
    with answering("flush-worker", unanswered=1, logged=True):
        found = _found(target)
        many_async = [behind for behind in found if isinstance(behind, AsyncWriteBehind)]
        many = [behind for behind in found if isinstance(behind, WriteBehind)]
        if many_async and many:
            raise UsageFault(f"{target} has async and sync ones: run a worker for each")
        with _Stop() as stop:
            if many_async:
                asyncio.run(_work_async(many_async, stop, drain))
            else:
                _work(many, stop, drain)


class _Stop:
    """The wish that this process ends, from now on. The second ends it at once."""

    def __init__(self) -> None:
        # Whoever waits is woken by the number of the signal, which Python writes at once: its
        # handlers run when the main thread runs, and do not wake it. It may be about to wait, or
        # the signal may have met another thread.
        self._numbers, told = socket.socketpair()
        told.setblocking(False)
        self._told = told
        self._is_wished = False
        for number in _SIGNALS:
            signal.signal(number, self._handle)
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        signal.set_wakeup_fd(-1)
        self._told.close()
        self._numbers.close()

    def wait(self) -> None:
        """Wait for it."""
        while self._numbers.recv(1)[0] not in _SIGNALS:
            continue

    async def wait_async(self) -> None:
        """Wait for it, in a loop."""
        loop = asyncio.get_running_loop()
        self._numbers.setblocking(False)
        while (await loop.sock_recv(self._numbers, 1))[0] not in _SIGNALS:
            continue

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._is_wished:
            os._exit(128 + number)
        self._is_wished = True


async def _work_async(
    behinds: Sequence[AsyncWriteBehind[Any]], stop: _Stop, drain: float | None
) -> None:
    begun: list[AsyncWriteBehind[Any]] = []
    engines: dict[int, Any] = {}
    try:
        for behind in behinds:
            await behind.start(flush=True)
            begun.append(behind)
            engines[id(behind._call.engine)] = behind._call.engine
            _say_begun(behind)
        await stop.wait_async()
        _say_left(begun, await aio.each([partial(b.aclose, drain=drain) for b in begun], _MOST))
    finally:
        for behind in begun:
            await behind.aclose(drain=0)
        for engine in engines.values():
            await engine.aclose()


def _work(behinds: Sequence[WriteBehind[Any]], stop: _Stop, drain: float | None) -> None:
    begun: list[WriteBehind[Any]] = []
    engines: dict[int, Any] = {}
    try:
        for behind in behinds:
            behind.start(flush=True)
            begun.append(behind)
            engines[id(behind._call.engine)] = behind._call.engine
            _say_begun(behind)
        stop.wait()
        _say_left(begun, threads.each([partial(b.close, drain=drain) for b in begun], _MOST))
    finally:
        for behind in begun:
            behind.close(drain=0)
        for engine in engines.values():
            engine.close()


def _say_begun(behind: AsyncWriteBehind[Any] | WriteBehind[Any]) -> None:
    journal = behind._open().journal
    if journal.durability is Durability.MEMORY:
        raise UsageFault(f"the journal of {behind!r} is in memory: only its own process can flush")
    print_line(f"flushing {behind!r} from journal {journal}")


def _say_left(behinds: Sequence[object], left: Sequence[Backlog | None]) -> None:
    for behind, backlog in zip(behinds, left, strict=True):
        if backlog is None:
            said = "the journal did not say what is left"
        else:
            dead = f", and {counted(backlog.dead, 'dead letter')}" if backlog.dead else ""
            said = f"{counted(backlog.records, 'write')} left{dead}"
        print_line(f"ended {behind!r}: {said}")


# -- what is to be flushed -------------------------------------------------------------------


def _found(target: str) -> list[AsyncWriteBehind[Any] | WriteBehind[Any]]:
    """Return what a target names. Raises `UsageFault`, and whatever its module raises."""
    module_name, colon, path = target.partition(":")
    if not colon or not module_name or not path:
        raise UsageFault(f"{target!r} names no object: write module:object, as in shop.prices:rows")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # sys.path is of text
    named: Any = _imported(module_name)
    for part in path.split("."):
        if not hasattr(named, part):
            raise UsageFault(f"module {module_name!r} has no {path!r}")
        named = getattr(named, part)
    if callable(named) and not isinstance(named, AsyncWriteBehind | WriteBehind):
        if inspect.iscoroutinefunction(named):
            raise UsageFault(f"{target} is an async function: give a plain one")
        named = named()
    found = [*named] if isinstance(named, list | tuple) else [named]
    for each in found:
        if not isinstance(each, AsyncWriteBehind | WriteBehind):
            raise UsageFault(
                f"{target} gives an object of type {type(each).__name__}: give what "
                "cache.write_behind(...) returns"
            )
    if not 0 < len(found) <= _MOST:
        raise UsageFault(f"{target} gives {len(found)} of them: give 1 to {_MOST}")
    return found


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise UsageFault(f"there is no module {name!r} here or on the path") from None
        raise

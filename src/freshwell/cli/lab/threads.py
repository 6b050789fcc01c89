"""Threads that run queries for an event loop, a connection each.

A pool of the standard library wakes the loop once for each result, which costs several times
what a query of SQLite does; here results that pile up while the loop is busy share one wake-up.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar

__all__ = ["ConnectionThreads"]

T = TypeVar("T")
_Job = tuple["asyncio.Future[Any]", Callable[[Any], Any]]
_STOP: Final = None


class ConnectionThreads:
    """Run functions of a connection in `count` threads, for the event loop that made this."""

    def __init__(self, connect: Callable[[], Any], count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[tuple[asyncio.Future[Any], Any, Exception | None]] = deque()
        self._wake_due = False
        self._threads = [
            threading.Thread(target=self._serve, args=(connect(),), name="lab-database")
            for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, function: Callable[[Any], T]) -> T:
        """Return what `function` returns in one of the threads, or raise what it raises."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((future, function))
        return await future

    def close(self) -> None:
        """End the threads, when they have done what they were given. Idempotent."""
        for _ in self._threads:
            self._jobs.put(_STOP)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _serve(self, connection: Any) -> None:
        try:
            while (job := self._jobs.get()) is not _STOP:
                future, function = job
                try:
                    self._done.append((future, function(connection), None))
                except Exception as error:  # noqa: BLE001  # it is raised where it is awaited
                    self._done.append((future, None, error))
                self._wake()
        finally:
            connection.close()

    def _wake(self) -> None:
        # `_settle` clears the mark before it looks: what is added after that wakes it again.
        if not self._wake_due:
            self._wake_due = True
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._wake_due = False
        while self._done:
            future, result, error = self._done.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

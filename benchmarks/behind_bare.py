"""What a journal does when nobody stands before it: the bare appends that `behind` compares with.

SQLite: a group commit as one writes it by hand, with the journal's own settings of the file and
its two columns that matter; alone, INSERT and COMMIT with no thread between. Redis: XADD through
the library's own connection, which redis-py's is slower than.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["AsyncGroupCommit", "GroupCommit", "InsertCommit", "connect"]

_INSERT = "INSERT INTO records (payload) VALUES (?)"


def connect(path: str) -> sqlite3.Connection:
    """Open a file with the settings of ``engines/journal_file``, and one table of payloads."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    for setting in ("synchronous=FULL", "fullfsync=ON", "wal_autocheckpoint=2000"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS records (seq INTEGER PRIMARY KEY, payload BLOB NOT NULL)"
    )
    return connection


class InsertCommit:
    """One row to a transaction, in the caller's own thread, one caller after the other."""

    def __init__(self, path: str) -> None:
        self._connection = connect(path)
        self._mutex = threading.Lock()

    def append(self, payload: bytes) -> None:
        with self._mutex:
            self._connection.execute(_INSERT, (payload,))

    def close(self) -> None:
        self._connection.close()


class _Committing:
    """A thread that commits what came in while it was busy with the last."""

    def __init__(self, path: str, wake: Callable[[list[Any]], None]) -> None:
        self._connection = connect(path)
        self._wake = wake
        self._jobs: queue.SimpleQueue[tuple[bytes, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def give(self, payload: bytes, waiter: Any) -> None:
        self._jobs.put((payload, waiter))

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            while not self._jobs.empty() and (more := self._jobs.get()) is not None:
                group.append(more)
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_INSERT, [(payload,) for payload, _ in group])
            self._connection.execute("COMMIT")
            self._wake([waiter for _, waiter in group])


class AsyncGroupCommit:
    """Appends of many tasks share a commit. No limit to a wait, no bound, no errors."""

    def __init__(self, path: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._committing = _Committing(path, self._wake)

    async def append(self, payload: bytes) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._committing.give(payload, waiter)
        await waiter

    def close(self) -> None:
        self._committing.close()

    def _wake(self, waiters: list[Any]) -> None:
        self._loop.call_soon_threadsafe(_settle, waiters)


class GroupCommit:
    """Appends of many threads share a commit."""

    def __init__(self, path: str) -> None:
        self._committing = _Committing(path, _release)

    def append(self, payload: bytes) -> None:
        waiter = threading.Lock()
        waiter.acquire()
        self._committing.give(payload, waiter)
        waiter.acquire()

    def close(self) -> None:
        self._committing.close()


def _settle(waiters: list[Any]) -> None:
    for waiter in waiters:
        waiter.set_result(None)


def _release(waiters: list[Any]) -> None:
    for waiter in waiters:
        waiter.release()

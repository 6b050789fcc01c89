"""What a journal does when nobody stands before it: the bare appends that `behind` compares with.

SQLite: a group commit as one writes it by hand, with the journal's own settings of the file and
its two columns that matter; alone, INSERT and COMMIT with no thread between. Redis: XADD through
the library's own connection, which redis-py's is slower than.

A bare append has the bytes at hand, and leaves none of what the contract asks of an accept. So
there is the least that does, by hand, without options, checks, errors or limits in time: the
value is encoded, the record has a key, an id, an idempotency id and a sequence, is found by its
key, and is refused where the journal is full; the entry has the value when the write is told
(`Entries`, or in the same step in Redis).
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = [
    "LEAST_SCRIPT",
    "AsyncGroupCommit",
    "Entries",
    "GroupCommit",
    "InsertCommit",
    "connect",
    "least_command",
    "least_row",
]

_INSERT = "INSERT INTO records (payload) VALUES (?)"
_LEAST = """
    CREATE TABLE IF NOT EXISTS records (seq INTEGER PRIMARY KEY, name TEXT NOT NULL,
    id BLOB NOT NULL, token BLOB NOT NULL, accepted_ms INTEGER NOT NULL, payload BLOB NOT NULL)"""
_LEAST_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)"
_MOST = 10_000_000
_TTL_NS = 300_000_000_000

LEAST_SCRIPT = """
    if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return false end
    local id = redis.call('XADD', KEYS[1], '*', 'n', ARGV[2], 'i', ARGV[3], 't', ARGV[4],
        'p', ARGV[5])
    redis.call('HSET', KEYS[2], ARGV[2], id)
    if KEYS[3] then redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[6]) end
    return id"""
"""Record, newest record of its key, and entry where it is on the same server: in one step."""

_encode = msgspec.json.encode


Row = tuple[Any, ...]


class Entries:
    """The least of an L1: values by their keys, with when they end. Thread-safe."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[Any, int]] = {}

    def keep(self, name: str, value: Any) -> None:
        self._values[name] = value, time.monotonic_ns() + _TTL_NS

    def drop(self, name: str) -> None:
        self._values.pop(name, None)


def least_row(i: int, value: Any) -> Row:
    """Return a record but for its sequence, which the thread that writes gives."""
    return f"user:{i}", b"%d" % i, os.urandom(16), time.time_ns() // 1_000_000, _encode(value)


def least_command(sha: str, stem: bytes, i: int, value: Any, *, entry: bool) -> tuple[Any, ...]:
    """Return what accepts a write on a server that knows `LEAST_SCRIPT`."""
    name = b"user:%d" % i
    keys = (stem + b":records", stem + b":latest") + ((stem + b":" + name,) if entry else ())
    own = name, b"%d" % i, os.urandom(16), _encode(value)
    return (b"EVALSHA", sha, len(keys), *keys, _MOST, *own, 300_000)


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
    """A thread that commits what came in while it was busy with the last.

    `least`: rows are those of `least_row`, are found by their names, and have a bound.
    """

    def __init__(self, path: str, wake: Callable[[list[Any], int], None], least: bool) -> None:
        self._connection = connect(path)
        self._least = least
        self._last = 0
        if least:
            self._connection.execute("DROP TABLE records")
            self._connection.execute(_LEAST)
            self._connection.execute("CREATE INDEX records_of_name ON records (name, seq)")
        self._wake = wake
        self._jobs: queue.SimpleQueue[tuple[Row, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def give(self, row: Row, waiter: Any) -> None:
        self._jobs.put((row, waiter))

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
            first = self._last + 1
            if self._least:
                assert self._last + len(group) <= _MOST
                rows = [(seq, *row) for seq, (row, _) in enumerate(group, first)]
                self._last += len(group)
                self._connection.executemany(_LEAST_INSERT, rows)
            else:
                self._connection.executemany(_INSERT, [row for row, _ in group])
            self._connection.execute("COMMIT")
            self._wake([waiter for _, waiter in group], first)


class AsyncGroupCommit:
    """Appends of many tasks share a commit. No limit to a wait, no bound, no errors."""

    def __init__(self, path: str, *, least: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._committing = _Committing(path, self._wake, least)
        self._entries = Entries()

    async def append(self, payload: bytes) -> None:
        waiter: asyncio.Future[int] = self._loop.create_future()
        self._committing.give((payload,), waiter)
        await waiter

    async def put(self, i: int, value: Any) -> tuple[int, bytes]:
        """Do the least that an accept must."""
        waiter: asyncio.Future[int] = self._loop.create_future()
        row = least_row(i, value)
        self._committing.give(row, waiter)
        sequence = await waiter
        self._entries.keep(row[0], value)
        return sequence, row[2]

    def close(self) -> None:
        self._committing.close()

    def _wake(self, waiters: list[Any], first: int) -> None:
        self._loop.call_soon_threadsafe(_settle, waiters, first)


class GroupCommit:
    """Appends of many threads share a commit."""

    def __init__(self, path: str, *, least: bool = False) -> None:
        self._committing = _Committing(path, _release, least)
        self._entries = Entries()

    def append(self, payload: bytes) -> None:
        self._wait((payload,))

    def put(self, i: int, value: Any) -> tuple[int, bytes]:
        """Do the least that an accept must."""
        row = least_row(i, value)
        sequence = self._wait(row)
        self._entries.keep(row[0], value)
        return sequence, row[2]

    def _wait(self, row: Row) -> int:
        waiter = _Waiter()
        self._committing.give(row, waiter)
        waiter.lock.acquire()
        return waiter.sequence

    def close(self) -> None:
        self._committing.close()


class _Waiter:
    __slots__ = ("lock", "sequence")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.sequence = 0


def _settle(waiters: list[Any], first: int) -> None:
    for sequence, waiter in enumerate(waiters, first):
        waiter.set_result(sequence)


def _release(waiters: list[Any], first: int) -> None:
    for sequence, waiter in enumerate(waiters, first):
        waiter.sequence = sequence
        waiter.lock.release()

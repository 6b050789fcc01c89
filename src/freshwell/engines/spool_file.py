"""The file in which invalidations wait that L2 has missed.

Processes may share one file. Each writes and removes rows of its own, and at its start takes over
what it finds: an invalidation may be repeated by anybody, and a row that another has removed
meanwhile stands for one that L2 has taken. A row is known by its *mark*, which is never given
twice: a row written anew has another, and is not removed by who has told L2 of the one before.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from freshwell.engines.group_commit import Answer, Job, Lane
from freshwell.engines.sqlite_file import (
    Layout,
    begin_writing,
    close,
    forked_with,
    identity,
    is_broken_by,
    left_to_parent,
    open_file,
    unavailable,
)
from freshwell.errors import ConfigurationError, JournalError
from freshwell.ground.spooling import Act, Missed, Row

__all__ = ["SpoolFile"]

_LAYOUT: Final = Layout(
    "spool",
    0x66777370,  # "fwsp"
    1,
    (
        """CREATE TABLE missed (place INTEGER PRIMARY KEY AUTOINCREMENT, mark BLOB NOT NULL UNIQUE,
            namespace TEXT NOT NULL, version TEXT NOT NULL, act INTEGER NOT NULL,
            name TEXT NOT NULL, since_ms INTEGER NOT NULL,
            UNIQUE (namespace, version, act, name))""",
    ),
)
_INSERT: Final = "INSERT OR REPLACE INTO missed VALUES (NULL, ?, ?, ?, ?, ?, ?)"
_DELETE: Final = "DELETE FROM missed WHERE mark = ?"
_SELECT: Final = """SELECT mark, act, name, version, since_ms FROM missed
    WHERE namespace = ? ORDER BY place"""


class SpoolFile:
    """The rows of one cache's namespace in a file. Thread-safe; nothing waits but `rows`.

    What is asked is done by one thread, in order and in groups, each durable when it is answered
    (see ``sqlite_file``). `answer` is told what came of each group. Errors are `JournalError`s.
    """

    def __init__(
        self,
        path: str,
        namespace: str,
        answer: Callable[[list[Answer]], None],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._path = path
        self._namespace = namespace
        self._answer = answer
        self.now_ms = now_ms
        self._is_closed = False
        self._closers_ticket: object = None
        self._begin_anew()
        forked_with(self)

    def _begin_anew(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._lane: Lane[sqlite3.Connection] = Lane("freshwell:spool", self._perform, self._end)

    def rows(self) -> list[Row]:
        """Return what is in the file; make it where there is none. Waits for the disk.

        Raises `ConfigurationError` where the file cannot be used.
        """
        try:
            connection = open_file(self._path, _LAYOUT)
            try:
                found = connection.execute(_SELECT, (self._namespace,)).fetchall()
            finally:
                close(connection)
        except (JournalError, sqlite3.Error) as error:
            raise ConfigurationError(f"the spool {self._path!r} cannot be used: {error}") from error
        return [
            Row(Missed(Act(act), name, version), mark, since_ms)
            for mark, act, name, version, since_ms in found
        ]

    def record(self, rows: Sequence[Row], ticket: object) -> None:
        """Write rows, in the place of those that say the same."""
        self._lane.submit(Job(partial(self._insert, rows), ticket, len(rows)))

    def remove(self, marks: Sequence[bytes], ticket: object) -> None:
        """Remove those of the rows that are there."""
        self._lane.submit(Job(partial(_deleted, marks), ticket, len(marks)))

    def close(self, ticket: object) -> bool:
        """Do what was asked before, then close; `ticket` is answered then. False: it is closed."""
        if self._is_closed:
            return False
        self._is_closed, self._closers_ticket = True, ticket
        self._lane.close()
        return True

    def leave_behind(self) -> None:
        """Be as new in a forked child. What the parent has open is its own."""
        left_to_parent(self._connection)
        if not self._is_closed:
            self._begin_anew()

    # -- the thread that writes -------------------------------------------------------------

    def _perform(self, jobs: list[Job[sqlite3.Connection]]) -> None:
        try:
            connection = self._opened()
            begin_writing(connection)
            answers: list[Answer] = [(job.ticket, job.work(connection), None) for job in jobs]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            self._undo(error)
            answers = [(job.ticket, None, unavailable(error, "spool")) for job in jobs]
        self._answer(answers)

    def _opened(self) -> sqlite3.Connection:
        # One that was removed is made anew: what it had is in this process's memory still.
        if self._connection is not None and identity(self._path) != self._identity:
            self._close()
        if self._connection is None:
            self._connection = open_file(self._path, _LAYOUT)
            self._identity = identity(self._path)
        return self._connection

    def _insert(self, rows: Sequence[Row], connection: sqlite3.Connection) -> None:
        connection.executemany(
            _INSERT,
            [
                (mark, self._namespace, missed.version, int(missed.act), missed.name, since_ms)
                for missed, mark, since_ms in rows
            ],
        )

    def _undo(self, error: Exception) -> None:
        connection = self._connection
        if connection is not None and is_broken_by(error, connection):
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            close(connection)

    def _end(self) -> None:
        self._close()
        self._answer([(self._closers_ticket, None, None)])


def _deleted(marks: Sequence[bytes], connection: sqlite3.Connection) -> Any:
    connection.executemany(_DELETE, [(mark,) for mark in marks])

"""One transaction of a local journal: what several callers ask of it, written together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from freshwell.engines.journal_rows import HIGHEST
from freshwell.engines.sqlite_file import begin_writing
from freshwell.errors import BacklogFull, LetterSuperseded
from freshwell.ground.records import Draft, Kind, Record, Settled

__all__ = ["Bounds", "Group"]

_COLUMNS: Final = "seq, name, kind, size, attempts, accepted_ms, token, id, payload"
_WIDTH: Final = 9
_ROW: Final = f"({', '.join('?' * _WIDTH)})"
# Several rows to a statement, because each statement gives the interpreter lock away once. Few
# lengths, so that they stay prepared; 64 rows are below the 999 variables of older SQLite.
_INSERTS: Final = tuple(
    (rows, f"INSERT INTO records ({_COLUMNS}) VALUES {', '.join([_ROW] * rows)}")  # noqa: S608
    for rows in (64, 32, 16, 8, 4, 2, 1)
)
_DELETE: Final = "DELETE FROM records WHERE seq IN (SELECT value FROM json_each(?))"
_NOTE: Final = "UPDATE records SET attempts = ? WHERE seq IN (SELECT value FROM json_each(?))"
_BURY: Final = """
    INSERT INTO dead SELECT seq, name, kind, size, ?, accepted_ms, token, id, payload, ?, ?, 0
    FROM records WHERE seq = ?"""
_DEAD: Final = """
    SELECT name, id, kind, payload, token, superseded OR EXISTS (
        SELECT 1 FROM records WHERE records.name = dead.name AND records.seq > dead.seq
    ) FROM dead WHERE seq = ?"""


class Bounds(NamedTuple):
    """How much a journal holds: records and their bytes, and dead letters."""

    records: int
    bytes: int
    dead: int


class Group:
    """A transaction under way. For one thread.

    What is done raises `sqlite3.Error` where the whole cannot be, and else an error of this
    library's, which is that caller's answer: it leaves nothing half done, and the others be.
    """

    def __init__(
        self, connection: sqlite3.Connection, bounds: Bounds, now_ms: Callable[[], int]
    ) -> None:
        begin_writing(connection)
        self._connection = connection
        self._bounds = bounds
        self._now_ms = now_ms()
        self._rows: list[Any] = []
        self._was = connection.execute("SELECT last, records, bytes, dead FROM totals").fetchone()
        self._last: int
        self.records: int
        self._bytes: int
        self._dead: int
        self._last, self.records, self._bytes, self._dead = self._was
        self.added: list[tuple[str, int]] = []
        self.gone: list[tuple[str, int]] = []
        self.is_admitted = False
        """Whether it is known that this process may accept."""

    @property
    def connection(self) -> sqlite3.Connection:
        """Return the connection, to read what has been done so far."""
        self._insert()
        return self._connection

    def accept(self, drafts: Sequence[Draft], *, each: bool = False) -> list[int]:
        """Append writes and return their sequences; 0 for one without room.

        And for those behind it, unless they are of a caller `each`.
        """
        sequences: list[int] = []
        for draft in drafts:
            size = draft.size
            if self._has_room(size):
                sequences.append(self._append(draft, size))
            elif each:
                sequences.append(0)
            else:
                return sequences + [0] * (len(drafts) - len(sequences))
        return sequences

    def settle(self, settled: Settled) -> int:
        """Note what came of records. Return how many were not there any more."""
        self._insert()
        room = max(0, self._bounds.dead - self._dead)
        self._bury(settled.dead[:room])
        missing = self._remove([record for record, _ in settled.dead[:room]])
        missing += self._remove(settled.stored)
        missing += self._note_attempts(
            [*settled.failed, *(record for record, _ in settled.dead[room:])]
        )
        self._supersede(settled.stored)
        return missing

    def retry(self, sequence: int, force: bool) -> int | None:
        """Accept a dead letter's write anew. None: there is none. Raises `LetterSuperseded`."""
        self._insert()
        if not 0 < sequence <= HIGHEST:
            return None
        row = self._connection.execute(_DEAD, (sequence,)).fetchone()
        if row is None:
            return None
        name, id, kind, payload, token, superseded = row
        draft = Draft(name, id, Kind(kind) | Kind.REVIVED, payload, token)
        if superseded and not force:
            raise LetterSuperseded("the letter's key has been written since")
        if not self._has_room(draft.size):
            raise BacklogFull("the journal's backlog is full")
        self.drop(sequence)
        return self._append(draft, draft.size)

    def drop(self, sequence: int) -> bool:
        """Forget a dead letter. False: there is none."""
        if not 0 < sequence <= HIGHEST:
            return False
        count = self._run("DELETE FROM dead WHERE seq = ?", sequence)
        self._dead -= count
        return count > 0

    def commit(self) -> None:
        """Write what is left to write, and commit."""
        self._insert()
        totals = (self._last, self.records, self._bytes, self._dead)
        if totals != self._was:
            self._run("UPDATE totals SET last = ?, records = ?, bytes = ?, dead = ?", *totals)
        self._connection.execute("COMMIT")

    # -- records ----------------------------------------------------------------------------

    def _has_room(self, size: int) -> bool:
        return self.records < self._bounds.records and self._bytes + size <= self._bounds.bytes

    def _append(self, draft: Draft, size: int) -> int:
        name, id, kind, payload, token = draft
        self._last = sequence = self._last + 1
        self._rows += (sequence, name, int(kind), size, 0, self._now_ms, token, id, payload)
        self.records += 1
        self._bytes += size
        self.added.append((name, sequence))
        return sequence

    def _insert(self) -> None:
        """Write the rows that were appended: no earlier, so that they go together."""
        rows, self._rows, at = self._rows, [], 0
        for count, statement in _INSERTS:
            width = count * _WIDTH
            while len(rows) - at >= width:
                self._connection.execute(statement, rows[at : at + width])
                at += width

    def _remove(self, records: Sequence[Record]) -> int:
        """Delete records and return how many were not there."""
        if not records:
            return 0
        count = self._run(_DELETE, _sequences(records))
        self.gone += ((record.name, record.sequence) for record in records)
        if count == len(records):
            self.records -= count
            self._bytes -= sum(record.size for record in records)
        else:  # which of them were there is not told: count what is left
            self.records, self._bytes = self._connection.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM records"
            ).fetchone()
        return len(records) - count

    def _note_attempts(self, records: Sequence[Record]) -> int:
        """Write the attempts of records and return how many were not there."""
        count = 0
        for attempts in {record.attempts for record in records}:
            its = [record for record in records if record.attempts == attempts]
            count += self._run(_NOTE, attempts, _sequences(its))
        return len(records) - count

    # -- dead letters -----------------------------------------------------------------------

    def _bury(self, dead: Sequence[tuple[Record, str]]) -> None:
        """Copy records to the dead letters, those that are there."""
        for record, reason in dead:
            self._dead += self._run(_BURY, record.attempts, reason, self._now_ms, record.sequence)

    def _supersede(self, stored: Sequence[Record]) -> None:
        """Mark the dead letters of keys that have a later write in the source."""
        if self._dead:
            for name, sequence in {r.name: r.sequence for r in sorted(stored)}.items():
                self._run(
                    "UPDATE dead SET superseded = 1 WHERE name = ? AND seq < ?", name, sequence
                )

    def _run(self, statement: str, *values: Any) -> int:
        """Return how many rows were changed."""
        return self._connection.execute(statement, values).rowcount


def _sequences(records: Sequence[Record]) -> str:
    return json.dumps([record.sequence for record in records])

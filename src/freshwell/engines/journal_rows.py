"""Reading the tables of a local journal.

Python lets go of its interpreter lock for every row that SQLite steps to, and in a process that
is busy it may wait for milliseconds to get it back, each time. So rows come as one text that
SQLite writes in one step.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from freshwell.ground.records import DeadLetter, Record, kind_of

__all__ = [
    "HIGHEST",
    "Rows",
    "dead_letters",
    "latest",
    "letter_of",
    "newest",
    "oldest",
    "records_after",
    "sequences_by_name",
    "state",
]

Rows: TypeAlias = sqlite3.Connection
"""What the tables are read through."""

HIGHEST: Final = 2**63 - 1
_PAGE_BYTES: Final = 4_000_000

_RECORD: Final = "seq, hex(name), hex(id), kind, hex(payload), hex(token), attempts, accepted_ms"
_LETTER: Final = f"{_RECORD}, hex(reason), died_ms, superseded"

_PAGE: Final = """
    SELECT json_group_array(json_array({columns})) FROM {table} WHERE seq IN (
        SELECT seq FROM (
            SELECT seq, size, sum(size) OVER (ORDER BY seq) AS upto
            FROM (SELECT seq, size FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?)
        ) WHERE upto - size < ?
    )"""
_PAGE_OF_RECORDS: Final = _PAGE.format(columns=_RECORD, table="records")
_PAGE_OF_LETTERS: Final = _PAGE.format(columns=_LETTER, table="dead")
_LATEST: Final = f"""
    SELECT json_group_array(json_array({_RECORD})) FROM records
    WHERE seq = (SELECT max(seq) FROM records WHERE name = ?)"""  # noqa: S608


def records_after(connection: sqlite3.Connection, after: int, limit: int) -> list[Record]:
    """Return records above a sequence, in order: up to `limit`, and fewer where they are large."""
    return [_record(row) for row in _page(connection, _PAGE_OF_RECORDS, after, limit)]


def dead_letters(connection: sqlite3.Connection, after: int, limit: int) -> list[DeadLetter]:
    """Return dead letters above a sequence, in order, as `records_after` does records."""
    return [_letter(row) for row in _page(connection, _PAGE_OF_LETTERS, after, limit)]


def latest(connection: sqlite3.Connection, names: Sequence[str]) -> list[Record | None]:
    """Return the last record of each name."""
    found = [_rows(connection, _LATEST, (name,)) for name in names]
    return [_record(rows[0]) if rows else None for rows in found]


def letter_of(connection: sqlite3.Connection, sequence: int) -> DeadLetter | Record | None:
    """Return the dead letter, or else the record, of a sequence."""
    if not 0 < sequence <= HIGHEST:
        return None
    letters = dead_letters(connection, sequence - 1, 1)
    if letters and letters[0].record.sequence == sequence:
        return letters[0]
    records = records_after(connection, sequence - 1, 1)
    return records[0] if records and records[0].sequence == sequence else None


def oldest(connection: sqlite3.Connection) -> int:
    """Return the lowest sequence of a record. 0: there is none."""
    return _number(connection, "SELECT coalesce(min(seq), 0) FROM records")


def newest(connection: sqlite3.Connection) -> int:
    """Return the highest sequence of a record. 0: there is none."""
    return _number(connection, "SELECT coalesce(max(seq), 0) FROM records")


def state(connection: sqlite3.Connection) -> tuple[int, int, int, int | None]:
    """Return how many records there are, their bytes, dead letters, and when the oldest came."""
    found: tuple[int, int, int, int | None] = connection.execute(
        "SELECT records, bytes, dead, (SELECT accepted_ms FROM records ORDER BY seq LIMIT 1)"
        " FROM totals"
    ).fetchone()
    return found


def sequences_by_name(connection: sqlite3.Connection) -> dict[str, list[int]]:
    """Return the sequences of every name that has records."""
    rows = _rows(
        connection,
        "SELECT json_group_array(json_array(hex(name), seq)) FROM"
        " (SELECT name, seq FROM records ORDER BY name, seq)",
    )
    found: dict[str, list[int]] = {}
    for name, sequence in rows:
        found.setdefault(_text(name), []).append(sequence)
    return found


def _page(connection: sqlite3.Connection, query: str, after: int, limit: int) -> list[Any]:
    if not limit > 0 or after >= HIGHEST:
        return []
    # The order of an aggregate is SQLite's own affair.
    return sorted(_rows(connection, query, (max(0, after), limit, _PAGE_BYTES)))


def _rows(connection: sqlite3.Connection, query: str, values: Sequence[Any] = ()) -> list[Any]:
    (text,) = connection.execute(query, values).fetchone()
    rows: list[Any] = json.loads(text)
    return rows


def _number(connection: sqlite3.Connection, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)


def _record(row: Sequence[Any]) -> Record:
    sequence, name, id, kind, payload, token, attempts, accepted_ms = row
    return Record(
        sequence,
        _text(name),
        bytes.fromhex(id),
        kind_of(kind),
        bytes.fromhex(payload),
        bytes.fromhex(token),
        attempts,
        accepted_ms,
    )


def _letter(row: Sequence[Any]) -> DeadLetter:
    *record, reason, died_ms, superseded = row
    return DeadLetter(_record(record), _text(reason), died_ms, bool(superseded))


def _text(told: str) -> str:
    """Return a text that was told in hexadecimal: what is none, somebody else has put there."""
    return bytes.fromhex(told).decode(errors="replace")

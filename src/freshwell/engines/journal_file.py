"""The file of a local journal: its tables, and whose it is."""

from __future__ import annotations

import sqlite3
from typing import Final

from freshwell.engines.sqlite_file import Begin, Layout, close, connect, make
from freshwell.engines.sqlite_file import open_file as open_any
from freshwell.errors import ConfigurationError
from freshwell.ground.records import sequence_of

__all__ = ["open_file", "open_memory"]

FORMAT: Final = 1
_APPLICATION: Final = 0x66776A6C  # "fwjl"

_COLUMNS: Final = """
    seq INTEGER PRIMARY KEY, name TEXT NOT NULL, kind INTEGER NOT NULL, size INTEGER NOT NULL,
    attempts INTEGER NOT NULL, accepted_ms INTEGER NOT NULL, token BLOB NOT NULL,
    id BLOB NOT NULL, payload BLOB NOT NULL"""

_LAYOUT: Final = Layout(
    "journal",
    _APPLICATION,
    FORMAT,
    (
        f"CREATE TABLE records ({_COLUMNS})",
        "CREATE INDEX records_of_name ON records (name, seq)",
        f"""CREATE TABLE dead ({_COLUMNS}, reason TEXT NOT NULL, died_ms INTEGER NOT NULL,
            superseded INTEGER NOT NULL)""",
        "CREATE INDEX dead_of_name ON dead (name, seq)",
        "CREATE TABLE totals (last INTEGER NOT NULL, records INTEGER NOT NULL,"
        " bytes INTEGER NOT NULL, dead INTEGER NOT NULL)",
        "CREATE TABLE meta (owner TEXT NOT NULL)",
    ),
)


def open_memory(now_ms: int) -> sqlite3.Connection:
    """Return a journal that ends with its connection."""
    connection = connect(":memory:")
    make(connection, _LAYOUT, _begin("", now_ms))
    return connection


def open_file(path: str, owner: str | None, now_ms: int, *, writes: bool) -> sqlite3.Connection:
    """Open the journal of `owner`, and make it where there is none. Waits, seconds at most.

    `owner` None: whosoever it is, but it must be there. For one that `writes` sequences go on
    from `now_ms` where they are behind it: an older file of that name may have had those before.
    Raises `ConfigurationError` for a file that is not the owner's journal, and leaves it as it
    is; `JournalUnfit` where there can be no log; else `JournalUnavailable`.
    """
    connection = open_any(
        path,
        _LAYOUT,
        _begin(owner or "", now_ms),
        always=writes,
        must_be_there=owner is None,
    )
    try:
        _check_owner(connection, path, owner)
    except BaseException:
        close(connection)
        raise
    return connection


def _begin(owner: str, now_ms: int) -> Begin:
    def begin(connection: sqlite3.Connection, new: bool) -> None:
        if new:
            connection.execute("INSERT INTO totals VALUES (0, 0, 0, 0)")
            connection.execute("INSERT INTO meta VALUES (?)", (owner,))
        first = sequence_of(now_ms)
        connection.execute("UPDATE totals SET last = ? WHERE last < ?", (first, first))

    return begin


def _check_owner(connection: sqlite3.Connection, path: str, owner: str | None) -> None:
    (found,) = connection.execute("SELECT owner FROM meta").fetchone()
    if owner is not None and found != owner:
        raise ConfigurationError(
            f"the journal {path!r} belongs to the key {found!r}, and not to {owner!r}: give each "
            "strategy a file of its own"
        )

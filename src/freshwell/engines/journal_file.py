"""The file of a local journal: how it is opened, made, and told from files of others.

With ``journal_mode=WAL`` and ``synchronous=FULL`` SQLite flushes the log (``fdatasync``, and
``F_FULLFSYNC`` where there is one) before COMMIT returns, and checksums every page of it. So what
is committed survives the end of the process and, as far as the disk does not lie about having
flushed, the loss of power. It does not survive the loss of the disk.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from typing import Final

from freshwell.errors import ConfigurationError, FreshwellError, JournalUnavailable, JournalUnfit
from freshwell.ground.records import sequence_of

__all__ = ["code_of", "open_file", "open_memory", "unavailable"]

FORMAT: Final = 1
_APPLICATION: Final = 0x66776A6C  # "fwjl"
_BUSY_MS: Final = 2_000
_PAUSE_S: Final = 0.02
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_COLUMNS: Final = """
    seq INTEGER PRIMARY KEY, name TEXT NOT NULL, kind INTEGER NOT NULL, size INTEGER NOT NULL,
    attempts INTEGER NOT NULL, accepted_ms INTEGER NOT NULL, token BLOB NOT NULL,
    id BLOB NOT NULL, payload BLOB NOT NULL"""

_TABLES: Final = (
    f"CREATE TABLE records ({_COLUMNS})",
    "CREATE INDEX records_of_name ON records (name, seq)",
    f"""CREATE TABLE dead ({_COLUMNS}, reason TEXT NOT NULL, died_ms INTEGER NOT NULL,
        superseded INTEGER NOT NULL)""",
    "CREATE INDEX dead_of_name ON dead (name, seq)",
    "CREATE TABLE totals (last INTEGER NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " dead INTEGER NOT NULL)",
    "CREATE TABLE meta (owner TEXT NOT NULL)",
)


def open_memory(now_ms: int) -> sqlite3.Connection:
    """Return a journal that ends with its connection."""
    connection = _connect(":memory:")
    _make(connection, "", now_ms)
    return connection


def open_file(path: str, owner: str | None, now_ms: int, *, writes: bool) -> sqlite3.Connection:
    """Open the journal of `owner`, and make it where there is none. Waits, seconds at most.

    `owner` None: whosoever it is, but it must be there. For one that `writes` sequences go on
    from `now_ms` where they are behind it: an older file of that name may have had those before.
    Raises `ConfigurationError` for a file that is not the owner's journal, and leaves it as it
    is; `JournalUnfit` where there can be no log; else `JournalUnavailable`.
    """
    _check_place(path, must_be_there=owner is None)
    until_s = time.monotonic() + _BUSY_MS / 1_000
    while True:
        try:
            return _opened(path, owner, now_ms, writes)
        except sqlite3.Error as error:
            if code_of(error) not in _BUSY or time.monotonic() > until_s:
                raise _refusal(path, error) from error
        time.sleep(_PAUSE_S)  # two that make the file at the same time do not wait in SQLite


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code. 0: it is an error of Python's module."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def unavailable(error: Exception) -> JournalUnavailable:
    """Say that the journal could not do it."""
    return JournalUnavailable(f"the journal could not write or read: {error}")


def _check_place(path: str, *, must_be_there: bool) -> None:
    folder = os.path.dirname(path) or "."  # noqa: PTH120  # a path of text has no other use here
    if not os.path.isdir(folder):  # noqa: PTH112
        raise ConfigurationError(f"there is no folder {folder!r} for the journal: make it first")
    if must_be_there:
        if not os.path.isfile(path):  # noqa: PTH113
            raise ConfigurationError(f"there is no journal {path!r}")
        return
    try:
        # Whoever may read the journal may read what was written. The mode is its companions' too.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise unavailable(error) from error


def _opened(path: str, owner: str | None, now_ms: int, writes: bool) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        made = _check_kind(connection, path)
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise JournalUnfit(
                f"the journal {path!r} cannot have a write-ahead log where it is: put it on a "
                "local file system"
            )
        if writes or not made:
            _make(connection, owner or "", now_ms)
        _check_owner(connection, path, owner)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for setting in (
        f"busy_timeout={_BUSY_MS}",
        "synchronous=FULL",
        "fullfsync=ON",
        "wal_autocheckpoint=2000",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {setting}")
    return connection


def _check_kind(connection: sqlite3.Connection, path: str) -> bool:
    """Refuse what is no journal, before anything of it is changed. False: it is empty."""
    # In one transaction: another may be making the journal, and half of it is something else.
    connection.execute("BEGIN")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("COMMIT")
    if application != _APPLICATION and (tables or application or version):
        raise ConfigurationError(f"{path!r} is the database of something else: name another file")
    if version > FORMAT:
        raise ConfigurationError(
            f"the journal {path!r} has format {version}, and this is too old to read more than "
            f"{FORMAT}: upgrade freshwell"
        )
    return bool(version)


def _make(connection: sqlite3.Connection, owner: str, now_ms: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if not version:
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO totals VALUES (0, 0, 0, 0)")
            connection.execute("INSERT INTO meta VALUES (?)", (owner,))
            connection.execute(f"PRAGMA application_id={_APPLICATION}")
            connection.execute(f"PRAGMA user_version={FORMAT}")
        first = sequence_of(now_ms)
        connection.execute("UPDATE totals SET last = ? WHERE last < ?", (first, first))
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _check_owner(connection: sqlite3.Connection, path: str, owner: str | None) -> None:
    (found,) = connection.execute("SELECT owner FROM meta").fetchone()
    if owner is not None and found != owner:
        raise ConfigurationError(
            f"the journal {path!r} belongs to the key {found!r}, and not to {owner!r}: give each "
            "strategy a file of its own"
        )


def _refusal(path: str, error: sqlite3.Error) -> FreshwellError:
    if code_of(error) == sqlite3.SQLITE_NOTADB:
        return ConfigurationError(f"{path!r} is no journal: name another file")
    return unavailable(error)

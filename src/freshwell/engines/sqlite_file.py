"""Files of this library's own: how they are opened, made, and told from files of others.

With ``journal_mode=WAL`` and ``synchronous=FULL`` SQLite flushes the log (``fdatasync``, and
``F_FULLFSYNC`` where there is one) before COMMIT returns, and checksums every page of it. So what
is committed survives the end of the process and, as far as the disk does not lie about having
flushed, the loss of power. It does not survive the loss of the disk.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from freshwell.errors import ConfigurationError, FreshwellError, JournalUnavailable, JournalUnfit

__all__ = [
    "KEEPS",
    "Begin",
    "Forked",
    "Layout",
    "begin_writing",
    "close",
    "code_of",
    "connect",
    "forked_with",
    "identity",
    "is_broken_by",
    "left_to_parent",
    "make",
    "open_file",
    "read_only",
    "unavailable",
]

KEEPS: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
"""Errors after which a connection is as good as before."""

_BUSY_MS: Final = 2_000
_PAUSE_S: Final = 0.02
_TURN_S: Final = 0.001
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Layout(NamedTuple):
    """A kind of file. `noun` is what errors call it, `application` what SQLite knows it by."""

    noun: str
    application: int
    format: int
    tables: tuple[str, ...]


Begin = Callable[[sqlite3.Connection, bool], None]
"""What is to be done in the transaction in which a file is opened, and whether it is new."""


def open_file(
    path: str,
    layout: Layout,
    begin: Begin | None = None,
    *,
    always: bool = False,
    must_be_there: bool = False,
) -> sqlite3.Connection:
    """Open a file, and make it where there is none. Waits, seconds at most.

    `begin` is called where the file is made, and `always` where it is there too. Raises
    `ConfigurationError` for a file of another kind, and leaves it as it is; `JournalUnfit`
    where there can be no log; else `JournalUnavailable`.
    """
    _check_place(path, layout, must_be_there=must_be_there)
    until_s = time.monotonic() + _BUSY_MS / 1_000
    while True:
        try:
            return _opened(path, layout, begin, always=always)
        except sqlite3.Error as error:
            if code_of(error) not in _BUSY or time.monotonic() > until_s:
                raise _refusal(path, layout, error) from error
        time.sleep(_PAUSE_S)  # two that make the file at the same time do not wait in SQLite


def connect(path: str) -> sqlite3.Connection:
    """Return a connection with the settings that make COMMIT durable.

    It waits for nobody: whoever writes waits in `begin_writing`.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for setting in (
            "busy_timeout=0",
            "synchronous=FULL",
            "fullfsync=ON",
            "wal_autocheckpoint=2000",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {setting}")
    except BaseException:  # where another is making the file, it is busy already
        connection.close()
        raise
    return connection


def begin_writing(connection: sqlite3.Connection) -> None:
    """Begin a transaction, when others' have ended. Waits for them, seconds at most.

    SQLite itself would wait ever longer between its attempts. A process that writes without pause
    leaves the file free for a moment now and then, which is met by trying often.
    """
    until_s = 0.0
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.Error as error:
            now_s = time.monotonic()
            until_s = until_s or now_s + _BUSY_MS / 1_000
            if code_of(error) not in _BUSY or now_s > until_s:
                raise
        time.sleep(_TURN_S)


def read_only(connection: sqlite3.Connection) -> None:
    """Have a connection read only, and wait where another process repairs the log."""
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    connection.execute("PRAGMA query_only=ON")


def make(connection: sqlite3.Connection, layout: Layout, begin: Begin | None = None) -> None:
    """Make the tables where there are none, and do what `begin` does."""
    begin_writing(connection)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if not version:
            for statement in layout.tables:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={layout.application}")
            connection.execute(f"PRAGMA user_version={layout.format}")
        if begin is not None:
            begin(connection, not version)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def close(connection: sqlite3.Connection) -> None:
    """Close a connection, whatever state it is in."""
    with suppress(sqlite3.Error):
        connection.close()


def is_broken_by(error: Exception, connection: sqlite3.Connection) -> bool:
    """Undo what is begun on a connection, and tell whether it has to be opened anew."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return True
    return isinstance(error, sqlite3.Error) and code_of(error) not in KEEPS


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code. 0: it is an error of Python's module."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another that has its name. None: there is no file."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


def unavailable(error: Exception, noun: str = "journal") -> JournalUnavailable:
    """Say that the file could not do it."""
    return JournalUnavailable(f"the {noun} could not write or read: {error}")


def _check_place(path: str, layout: Layout, *, must_be_there: bool) -> None:
    folder = os.path.dirname(path) or "."  # noqa: PTH120  # a path of text has no other use here
    if not os.path.isdir(folder):  # noqa: PTH112
        raise ConfigurationError(
            f"there is no folder {folder!r} for the {layout.noun}: make it first"
        )
    if must_be_there:
        if not os.path.isfile(path):  # noqa: PTH113
            raise ConfigurationError(f"there is no {layout.noun} {path!r}")
        return
    try:
        # Whoever may read the file may read what was written. The mode is its companions' too.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise unavailable(error, layout.noun) from error


def _opened(path: str, layout: Layout, begin: Begin | None, *, always: bool) -> sqlite3.Connection:
    connection = connect(path)
    try:
        made = _check_kind(connection, path, layout)
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise JournalUnfit(
                f"the {layout.noun} {path!r} cannot have a write-ahead log where it is: put it on "
                "a local file system"
            )
        if always or not made:
            make(connection, layout, begin)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_kind(connection: sqlite3.Connection, path: str, layout: Layout) -> bool:
    """Refuse another kind of file, before anything of it is changed. False: it is empty."""
    # In one transaction: another may be making the file, and half of it is something else.
    connection.execute("BEGIN")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("COMMIT")
    if application != layout.application and (tables or application or version):
        raise ConfigurationError(f"{path!r} is the database of something else: name another file")
    if version > layout.format:
        raise ConfigurationError(
            f"the {layout.noun} {path!r} has format {version}, and this is too old to read more "
            f"than {layout.format}: upgrade freshwell"
        )
    return bool(version)


def _refusal(path: str, layout: Layout, error: sqlite3.Error) -> FreshwellError:
    if code_of(error) == sqlite3.SQLITE_NOTADB:
        return ConfigurationError(f"{path!r} is no {layout.noun}: name another file")
    return unavailable(error, layout.noun)


# -- forks ----------------------------------------------------------------------------------


class Forked(Protocol):
    """What has files open, and must begin anew in a forked child."""

    def leave_behind(self) -> None:
        """Be as new in a forked child. What the parent has open is its own."""


def forked_with(opener: Forked) -> None:
    """Have `leave_behind` called in forked children, for as long as the object lives."""
    _openers.add(opener)


def left_to_parent(connection: sqlite3.Connection | None) -> None:
    """Never close a connection: SQLite must not close in a child what a parent opened."""
    if connection is not None:
        _parents.append(connection)


_openers: weakref.WeakSet[Forked] = weakref.WeakSet()
_parents: list[sqlite3.Connection] = []
"""Connections of the process that this one was forked from: kept, so that nothing closes them."""


def _after_fork() -> None:
    for opener in list(_openers):
        opener.leave_behind()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

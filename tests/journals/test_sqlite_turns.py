"""Who writes to a file that another writes to without pause."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from freshwell.engines.journal_file import open_file
from freshwell.engines.sqlite_file import begin_writing, connect
from tests.support.threads import until

_WRITES_S = 0.06
_PAUSES_S = 0.0012
_OTHERS = 6


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """Give a journal that somebody writes to all the time but for a moment now and then."""
    path = tmp_path / "journal.db"
    over, writes = threading.Event(), threading.Event()

    def write() -> None:
        with closing(open_file(str(path), "row:{}", 1, writes=True)) as connection:
            while not over.is_set():
                begin_writing(connection)
                writes.set()
                time.sleep(_WRITES_S)
                connection.execute("COMMIT")
                time.sleep(_PAUSES_S)

    writer = threading.Thread(target=write)
    writer.start()
    until(writes.is_set, "somebody writes")
    yield path
    over.set()
    writer.join()


def by_us(path: Path) -> None:
    with closing(open_file(str(path), "row:{}", 1, writes=False)) as connection:
        begin_writing(connection)
        connection.execute("COMMIT")


def by_sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=2, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")


def refused(path: Path, write: Callable[[Path], None]) -> int:
    """Return how many of several who write at the same time come to nothing."""

    def fails(_: int) -> bool:
        try:
            write(path)
        except sqlite3.OperationalError:
            return True
        return False

    with ThreadPoolExecutor(_OTHERS) as pool:
        return sum(pool.map(fails, range(_OTHERS)))


def test_everybody_gets_a_turn(busy: Path) -> None:
    assert refused(busy, by_us) == 0


def test_control_whoever_waits_as_sqlite_does_may_get_none(busy: Path) -> None:
    # Mostly several get none; that all of them are lucky happens, but not again and again.
    assert any(refused(busy, by_sqlite) for _ in range(10))


def test_a_turn_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    with (
        closing(open_file(path, "row:{}", 1, writes=True)) as holder,
        closing(open_file(path, "row:{}", 1, writes=False)) as other,
    ):
        begin_writing(holder)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            begin_writing(other)


class Noted(sqlite3.Connection):
    """A connection that tells whether it was closed."""

    made: ClassVar[list[Noted]] = []

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.made.append(self)
        self.closed = False

    def execute(self, *given: Any) -> sqlite3.Cursor:
        raise sqlite3.OperationalError("database is locked")

    def close(self) -> None:
        self.closed = True
        super().close()


def test_a_file_that_was_busy_when_it_was_opened_is_closed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Noted))
    with pytest.raises(sqlite3.OperationalError):
        connect(":memory:")
    assert [connection.closed for connection in Noted.made] == [True]

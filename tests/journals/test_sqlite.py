"""What an SQLite file can do to a journal, and a journal to an SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from freshwell._async.stores.local_journal import LocalJournal as AsyncLocalJournal
from freshwell._kit.threads_promise import Promise
from freshwell._sync.stores.local_journal import LocalJournal
from freshwell.engines import journal_file, sqlite_file, sqlite_journal
from freshwell.engines.journal_group import Bounds, Group
from freshwell.engines.sqlite_journal import SqliteJournal
from freshwell.errors import ConfigurationError, JournalUnavailable, JournalUnfit
from freshwell.ground.records import Settled, sequence_of
from tests.journals._sync.parts import Local, draft
from tests.support.processes import workers
from tests.support.threads import until

Make = Callable[..., LocalJournal]


class Hold:
    """A job that keeps the journal's thread until it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self, group: object) -> None:
        self.begun.set()
        self.let_go.wait(20)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give what SQLite is told, by any connection of the test."""
    told: list[str] = []
    real = journal_file.open_file

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = real(*arguments, **options)
        connection.set_trace_callback(told.append)
        return connection

    monkeypatch.setattr(sqlite_journal, "open_file", traced)
    return told


# -- group commit ---------------------------------------------------------------------------


async def test_callers_that_wait_at_the_same_time_share_a_commit(
    path: Path, statements: list[str]
) -> None:
    journal = AsyncLocalJournal(
        str(path), owner="x", max_records=1_000, max_bytes=2**30, max_dead=1
    )
    await asyncio.gather(*(journal.accept([draft(str(n))]) for n in range(100)))
    assert 1 <= statements.count("COMMIT") < 20
    statements.clear()
    for number in range(20):
        await journal.accept([draft(str(number))])
    assert statements.count("COMMIT") == 20
    await journal.aclose()


def test_a_write_that_cannot_be_fails_alone(make: Make) -> None:
    journal = make()
    hold = Hold()
    results: list[object] = []

    def accept(name: str) -> None:
        try:
            results.append(journal.accept([draft()._replace(name=name)]))
        except UnicodeEncodeError as error:
            results.append(error)

    journal._engine.write(hold, Promise())
    hold.begun.wait(20)
    callers = [threading.Thread(target=accept, args=(name,)) for name in ("a", "\ud800", "b")]
    queue = journal._engine._writes._jobs
    for number, caller in enumerate(callers, start=1):
        caller.start()
        until(lambda number=number: len(queue) == number)  # type: ignore[misc]
    hold.let_go.set()
    for caller in callers:
        caller.join()
    assert sum(isinstance(result, UnicodeEncodeError) for result in results) == 1
    assert [record.name for record in journal.pending()] == ["a", "b"]
    assert journal.backlog().records == 2


def test_what_fails_at_its_commit_is_not_accepted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make()
    journal.accept([draft("a")])

    def broken(group: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(Group, "commit", broken)
        with pytest.raises(JournalUnavailable):
            journal.accept([draft("b")])
    assert not journal.is_pending("b")
    journal.accept([draft("c")])
    assert [record.name for record in journal.pending()] == ["a", "c"]


def test_what_waits_when_a_journal_is_closed_is_accepted_first(make: Make) -> None:
    journal = make()
    hold, kept = Hold(), [Promise[list[int]]() for _ in range(3)]
    journal._engine.write(hold, Promise())
    hold.begun.wait(20)
    for promise in kept:
        journal._engine.accept([draft("a")], promise)
    closing = threading.Thread(target=journal.close)
    closing.start()
    until(lambda: journal._engine._is_closed)
    hold.let_go.set()
    closing.join()
    sequences = [promise.wait(20) for promise in kept]
    assert [[record.sequence] for record in make().pending()] == sequences


def test_a_journal_is_flushed_at_each_commit(make: Make) -> None:
    journal = make()
    ask = partial(journal._asked, journal._engine.write)
    settings = ("journal_mode", "synchronous", "fullfsync")
    found = [
        ask(lambda group, name=name: group.connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in settings
    ]
    assert found == ["wal", 2, 1]


# -- when the disk is full, or another holds it ---------------------------------------------


def test_a_full_disk_is_unavailable_until_there_is_room(make: Make) -> None:
    journal = make()
    journal.accept([draft("a")])
    ask = partial(journal._asked, journal._engine.write)
    ask(lambda group: group.connection.execute("PRAGMA max_page_count=30").fetchone())
    accepted = 1 + _accepted_until(journal, "full")
    assert journal.backlog().records == accepted == len(journal.pending(0, 1_000))
    ask(lambda group: group.connection.execute("PRAGMA max_page_count=3000").fetchone())
    journal.accept([draft("a", bytes(3_000))])
    assert journal.backlog().records == accepted + 1


def _accepted_until(journal: LocalJournal, word: str) -> int:
    """Accept writes until the journal is unavailable, and return how many there were."""
    for number in range(1_000):
        try:
            journal.accept([draft("a", bytes(3_000))])
        except JournalUnavailable as error:
            assert word in str(error)  # noqa: PT017
            return number
    raise AssertionError("there is room for everything")


def test_files_that_cannot_grow_are_unavailable_until_they_can(path: Path) -> None:
    with workers("tests.journals.working:filling", [{"path": str(path)}]) as group:
        (told,) = group.results()
    assert told["refusals"] == 3
    assert len(told["accepted"]) > 3
    assert set(told["accepted"]) <= set(told["found"])


def test_a_file_that_another_holds_is_unavailable_until_it_lets_go(
    make: Make, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_MS", 10)
    journal = make()
    journal.accept([draft("a")])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalUnavailable, match="locked"):
        journal.accept([draft("b")])
    assert len(journal.pending()) == 1
    other.execute("ROLLBACK")
    other.close()
    journal.accept([draft("c")])
    assert [record.name for record in journal.pending()] == ["a", "c"]


def test_a_disk_that_does_not_answer_is_unavailable(make: Make) -> None:
    journal = make(timeout_s=0.01)
    hold = Hold()
    journal._engine.write(hold, Promise())
    with pytest.raises(JournalUnavailable, match="did not answer"):
        journal.accept([draft("a")])
    hold.let_go.set()


def test_no_more_waits_than_may() -> None:
    engine = SqliteJournal(
        ":memory:", owner="x", bounds=Bounds(10**6, 10**9, 1), answer=lambda answers: None
    )
    hold = Hold()
    engine.write(hold, None)
    hold.begun.wait(20)
    for _ in range(10_000):
        engine.accept([draft("a")], None)
    with pytest.raises(JournalUnavailable, match="too much waits"):
        engine.accept([draft("a")], None)
    hold.let_go.set()
    engine.close(None)


# -- what is known without the disk ---------------------------------------------------------


def test_a_process_that_does_not_write_asks_the_file(make: Make) -> None:
    writer, reader = make(), make()
    writer.accept([draft("a")])
    assert reader.is_pending("anything")
    assert [record and record.name for record in reader.latest(["a", "b"])] == ["a", None]


def test_nothing_is_read_for_what_is_not_pending(make: Make, statements: list[str]) -> None:
    journal = make()
    journal.accept([draft("a")])
    statements.clear()
    assert journal.latest(["b", "c"]) == [None, None]
    assert statements == []
    assert journal.latest(["a"]) != [None]
    assert statements


def test_what_an_earlier_process_left_is_known(make: Make) -> None:
    earlier = make()
    earlier.accept([draft("a"), draft("a")])
    earlier.close()
    journal = make()
    journal.accept([draft("b")])
    assert journal.is_pending("a")
    assert not journal.is_pending("c")
    assert journal.own(0)
    journal.settle(0, Settled(stored=tuple(journal.take(0, 0, 1))))
    assert journal.is_pending("a")
    journal.settle(0, Settled(stored=tuple(journal.take(0, 0, 1))))
    assert not journal.is_pending("a")


# -- sequences ------------------------------------------------------------------------------


def test_the_sequences_of_a_journal_in_the_place_of_a_lost_one_go_on(
    make: Make, path: Path
) -> None:
    lost = make()
    last = lost.accept([draft("a") for _ in range(1_000)])[-1]
    lost.close()
    path.unlink()
    (first,) = make().accept([draft("a")])
    assert first > last


def test_sequences_begin_with_the_clock_and_never_go_back(make: Make) -> None:
    journal = make()
    engine = journal._engine
    for at_ms, lowest in ((5_000, 5_000), (9_000, 9_000), (1_000, 9_000)):
        engine._now_ms = lambda at_ms=at_ms: at_ms  # type: ignore[misc]
        (sequence,) = journal.accept([draft("a")])
        assert sequence_of(lowest) < sequence < sequence_of(lowest + 1)
        engine._close_connection_of_writer()


# -- files that are not the journal's -------------------------------------------------------


def test_a_file_is_for_its_owner_alone(make: Make, path: Path) -> None:
    make().accept([draft("a")])
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_the_file_of_another_key_is_refused(make: Make) -> None:
    make(owner="user:{id}").accept([draft("a")])
    with pytest.raises(ConfigurationError, match=r"belongs to the key 'user:\{id\}'"):
        make(owner="order:{id}").accept([draft("a")])


def test_who_looks_may_look_at_the_file_of_any_key(make: Make) -> None:
    make(owner="user:{id}").accept([draft("a")])
    assert len(make(owner=None).pending()) == 1


def test_who_looks_makes_no_file(make: Make, path: Path) -> None:
    journal = make(owner=None)
    for ask in (journal.backlog, partial(journal.retry, 1), partial(journal.drop, 1)):
        with pytest.raises(ConfigurationError, match="there is no journal"):
            ask()
    assert list(path.parent.iterdir()) == []


def _no_database(path: Path) -> None:
    path.write_bytes(b"a file of somebody's, and no database at all. " * 50)


def _other_database(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE records (seq)")
    other.close()


def _later_format(path: Path) -> None:
    journal_file.open_file(str(path), "user:{id}", 0, writes=True).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=2")
    other.close()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_no_database, "is no journal"),
        (_other_database, "database of something else"),
        (_later_format, "format 2"),
    ],
    ids=["no database", "other database", "later format"],
)
def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(
    make: Make, path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(path)
    before = path.read_bytes()
    journal = make()
    with pytest.raises(ConfigurationError, match=words):
        journal.accept([draft("a")])
    with pytest.raises(ConfigurationError, match=words):
        journal.pending()
    journal.close()
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    journal = Local(tmp_path / "none").made()
    with pytest.raises(ConfigurationError, match="there is no folder"):
        journal.accept([draft("a")])
    journal.close()


def test_nothing_is_accepted_into_a_file_that_was_removed(make: Make, path: Path) -> None:
    journal = make()
    journal.accept([draft("a")])
    assert journal.own(0)
    records = journal.take(0, 0, 10)
    aside = path.with_name("aside")
    path.rename(aside)
    with pytest.raises(JournalUnfit, match="moved or removed"):
        journal.accept([draft("b")])
    # What it has can still be flushed.
    assert journal.settle(0, Settled(failed=tuple(records))) == 0
    assert journal.take(0, 0, 10) == records
    assert not path.exists()
    aside.rename(path)
    journal.accept([draft("c")])
    assert [record.name for record in journal.pending()] == ["a", "c"]


def test_a_file_that_was_removed_is_not_made_anew_by_who_reads(make: Make, path: Path) -> None:
    journal = make()
    journal.accept([draft("a")])
    path.unlink()
    with pytest.raises(JournalUnfit, match="moved or removed"):
        journal.pending()
    assert not path.exists()


def test_a_damaged_file_is_unavailable(make: Make, path: Path) -> None:
    journal = make()
    for _ in range(20):
        journal.accept([draft("a", bytes(3_000))])
    journal.close()
    damaged = bytearray(path.read_bytes())
    damaged[4096:-4096] = b"\xff" * (len(damaged) - 8192)
    path.write_bytes(damaged)
    with pytest.raises(JournalUnavailable):
        make().pending(0, 100)

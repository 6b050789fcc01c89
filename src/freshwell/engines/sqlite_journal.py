"""Accepted writes in an SQLite file, for one process that writes and one that flushes.

Nothing here waits for the disk: two threads do, one that writes and one that reads, and answer
through `answer`, which is given for each group of jobs what came of them. A write is reported as
accepted when the COMMIT that has it has returned, which is durable as ``sqlite_file`` tells.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from freshwell.engines import journal_rows
from freshwell.engines.group_commit import Answer, Job, Lane
from freshwell.engines.journal_file import open_file, open_memory
from freshwell.engines.journal_group import Bounds, Group
from freshwell.engines.journal_locks import FileLock
from freshwell.engines.pending_names import PendingNames
from freshwell.engines.sqlite_file import (
    close,
    forked_with,
    identity,
    is_broken_by,
    left_to_parent,
    read_only,
    unavailable,
)
from freshwell.errors import ConfigurationError, FreshwellError, JournalUnavailable, JournalUnfit
from freshwell.ground.records import Draft, Durability, Record, Settled, ShardLost

__all__ = ["MEMORY", "SqliteJournal"]

MEMORY: Final = ":memory:"

Reading = Callable[[sqlite3.Connection], Any]
Writing = Callable[[Group], Any]


class SqliteJournal:
    """A journal in a file, or with the path `MEMORY` in none. Thread-safe; nothing waits.

    Each method has a ticket, which comes back with its answer: a value or an error. Errors are
    this library's: `JournalUnavailable` for the whole group of jobs that could not be written,
    after which the journal goes on. Methods raise `JournalUnavailable` themselves when closed, or
    when too much waits.

    - `owner` names whose journal it is; None: anybody's, which must be there.
    - Files are opened by the first job. A forked child begins as if nothing had been opened, and
      without the locks, which stay the parent's.
    """

    def __init__(
        self,
        path: str,
        *,
        owner: str | None,
        bounds: Bounds,
        answer: Callable[[list[Answer]], None],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._path = path
        self._owner = owner
        self._bounds = bounds
        self._answer = answer
        self._now_ms = now_ms
        self.durability = Durability.MEMORY if path == MEMORY else Durability.LOCAL
        self._begin_anew()
        forked_with(self)

    def _begin_anew(self) -> None:
        self._mutex = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._writer_lock = FileLock(f"{self._path}.writer.lock")
        self._flusher_lock = FileLock(f"{self._path}.flusher.lock")
        self.is_owned = False
        """Whether this journal's flusher is the only one."""
        self._is_writer = self.durability is Durability.MEMORY
        self._pending = PendingNames()
        self._writes: Lane[Group] = Lane("freshwell:journal", self._write_all, self._close_writer)
        self._reads: Lane[sqlite3.Connection] = Lane(
            "freshwell:journal-reader", self._read_all, self._close_reader
        )
        self._left_to_close = 2
        self.is_closed = False
        """Whether nothing can be asked any more."""
        self._closers_ticket: object = None

    # -- what is asked ----------------------------------------------------------------------

    def is_pending(self, name: str) -> bool:
        """Tell whether a write of this name may be unsettled. False is certain. Costs little.

        Always True where another process may be the one that writes.
        """
        return not self._is_writer or name in self._pending

    def accept(self, drafts: Sequence[Draft], ticket: object) -> None:
        """Append writes; the answer is their sequences.

        `ConfigurationError` while another process writes; `JournalUnfit` where the file is gone.
        """
        size = 0
        for draft in drafts:  # most often one: sum() would cost as much as all the rest here
            size += draft.size
        self._writes.submit(Job(partial(self._accept, drafts), ticket, len(drafts), size))

    def accept_each(self, drafts: Sequence[Draft], ticket: object) -> None:
        """Append writes of several callers; the answer is the sequence or the error of each."""
        size = sum([draft.size for draft in drafts])
        work = partial(self._accept, drafts, each=True)
        self._writes.submit(Job(work, ticket, len(drafts), size, partial(self._one_by_one, drafts)))

    def settle(self, settled: Settled, ticket: object) -> None:
        """Note what came of records; the answer is how many were not there any more.

        `ShardLost` where this is not the flusher.
        """
        self._writes.submit(Job(partial(self._settle, settled), ticket, sum(map(len, settled))))

    def write(self, work: Writing, ticket: object) -> None:
        """Have something done in a transaction; the answer is what `work` returns."""
        self._writes.submit(Job(work, ticket))

    def read(self, work: Reading, ticket: object) -> None:
        """Have something read; the answer is what `work` returns."""
        if self.durability is Durability.MEMORY:
            self._writes.submit(Job(lambda group: work(group.connection), ticket))
        else:
            self._reads.submit(Job(work, ticket))

    def latest(self, names: Sequence[str], ticket: object) -> None:
        """Look for the last record of each name; the answer is those, or None for each."""
        self.read(partial(self._latest, names), ticket)

    def own(self, ticket: object) -> None:
        """Become the flusher; the answer is whether this is the one."""
        self.write(self._own, ticket)

    def release(self, ticket: object) -> None:
        """Be the flusher no more."""
        self.write(self._release, ticket)

    def flusher(self) -> str:
        """Return the id of the process that last became the flusher, as it wrote it, or ``?``."""
        return self._flusher_lock.holder()

    def close(self, ticket: object) -> bool:
        """Do what was asked for before, then close; `ticket` is answered then.

        False, and no answer: it is being closed already.
        """
        with self._mutex:
            if self.is_closed:
                return False
            self.is_closed = True
            self._closers_ticket = ticket
        self._reads.close()
        self._writes.close()
        return True

    def leave_behind(self) -> None:
        """Be as new in a forked child, or remain closed. What the parent has open is its own."""
        left_to_parent(self._writer)
        left_to_parent(self._reader)
        self._writer_lock.release()
        self._flusher_lock.release()
        if not self.is_closed:
            self._begin_anew()

    # -- the thread that writes -------------------------------------------------------------

    def _write_all(self, jobs: list[Job[Group]]) -> None:
        answers = self._attempt(jobs)
        if answers is None:  # one of them is not fit for company: each is on its own
            answers = [self._alone(job) for job in jobs]
        self._answer(answers)

    def _alone(self, job: Job[Group]) -> Answer:
        """Do a job in a transaction of its own, or where one of its parts is at fault, in many."""
        for answer in self._attempt([job]) or ():
            return answer
        assert job.parts is not None
        outcomes: list[Any] = []
        for part in job.parts():
            _, given, error = self._alone(Job(part, job.ticket))
            outcomes += given if error is None else [error]
        return (job.ticket, outcomes, None)

    def _attempt(self, jobs: list[Job[Group]]) -> list[Answer] | None:
        """Do jobs in one transaction. None: nothing was done, and they should go apart."""
        try:
            group = Group(self._opened(), self._bounds, self._now_ms)
            answers = [_outcome(job, group) for job in jobs]
            group.commit()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            self._undo(error)
            if (len(jobs) > 1 or jobs[0].parts is not None) and _is_one_jobs_own(error):
                return None
            return [(job.ticket, None, _told(error)) for job in jobs]
        self._note(group)
        return answers

    def _opened(self) -> sqlite3.Connection:
        if self._writer is not None:
            return self._writer
        if self.durability is Durability.MEMORY:
            self._writer = open_memory(self._now_ms())
            return self._writer
        self._writer = self._open_file(writes=True)
        if self._is_writer:
            self._pending.replace(journal_rows.sequences_by_name(self._writer))
        return self._writer

    def _undo(self, error: Exception) -> None:
        connection = self._writer
        if connection is None:
            return
        broken = is_broken_by(error, connection)
        if broken and self.durability is not Durability.MEMORY:
            self._close_connection_of_writer()

    def _note(self, group: Group) -> None:
        """Keep what is known as pending in step with what was committed."""
        begins = group.is_admitted and not self._is_writer
        if self._is_writer:
            self._pending.change(group.added, group.gone)
        if begins or (self._is_writer and self._pending.exceeds(group.records)):
            with suppress(sqlite3.Error):  # it is tried again after the next group
                self._pending.replace(journal_rows.sequences_by_name(group.connection))
                self._is_writer = True

    def _accept(self, drafts: Sequence[Draft], group: Group, *, each: bool = False) -> list[int]:
        if not group.is_admitted:
            self._admit(group)
        return group.accept(drafts, each=each)

    def _one_by_one(self, drafts: Sequence[Draft]) -> list[Writing]:
        return [partial(self._accept, (draft,)) for draft in drafts]

    def _settle(self, settled: Settled, group: Group) -> int:
        if not self.is_owned:
            raise ShardLost("the journal's flusher is another")
        return group.settle(settled)

    def _admit(self, group: Group) -> None:
        if self.durability is not Durability.MEMORY:
            self._become_writer()
            self._check_file()
        group.is_admitted = True

    def _become_writer(self) -> None:
        if not self._writer_lock.acquire():
            raise ConfigurationError(
                f"the journal {self._path!r} is written by process {self._writer_lock.holder()}: "
                "give each process a file of its own"
            )

    def _open_file(self, *, writes: bool) -> sqlite3.Connection:
        if self._identity is not None:
            self._check_file()
        connection = open_file(self._path, self._owner, self._now_ms(), writes=writes)
        self._identity = identity(self._path)
        return connection

    def _check_file(self) -> None:
        """Refuse to write where nobody would find it again, and to take another's for the same."""
        if identity(self._path) != self._identity:
            raise JournalUnfit(
                f"the journal {self._path!r} was moved or removed while it was open: put it back, "
                "or start anew"
            )

    def _own(self, group: Group) -> bool:
        self.is_owned = self.durability is Durability.MEMORY or self._flusher_lock.acquire()
        return self.is_owned

    def _release(self, group: Group) -> None:
        self.is_owned = False
        self._flusher_lock.release()

    # -- the thread that reads --------------------------------------------------------------

    def _read_all(self, jobs: list[Job[sqlite3.Connection]]) -> None:
        for job in jobs:
            try:
                answer: Answer = (job.ticket, job.work(self._opened_reader()), None)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
                answer = (job.ticket, None, _told(error))
                self._close_connection_of_reader()
            self._answer([answer])

    def _opened_reader(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = self._open_file(writes=False)
            read_only(self._reader)
        return self._reader

    def _latest(self, names: Sequence[str], connection: sqlite3.Connection) -> list[Record | None]:
        known = [self._pending.known(name) for name in names]
        found = journal_rows.latest(connection, names)
        for name, sequences, record in zip(names, known, found, strict=True):
            if record is None:
                self._pending.forget(name, sequences)
        return found

    # -- the end ----------------------------------------------------------------------------

    def _close_writer(self) -> None:
        self._close_connection_of_writer()
        self._end_of_lane()

    def _close_reader(self) -> None:
        self._close_connection_of_reader()
        self._end_of_lane()

    def _close_connection_of_writer(self) -> None:
        connection, self._writer = self._writer, None
        if connection is not None:
            close(connection)

    def _close_connection_of_reader(self) -> None:
        connection, self._reader = self._reader, None
        if connection is not None:
            close(connection)

    def _end_of_lane(self) -> None:
        with self._mutex:
            self._left_to_close -= 1
            if self._left_to_close:
                return
        self.is_owned = False
        self._writer_lock.release()
        self._flusher_lock.release()
        self._answer([(self._closers_ticket, None, None)])


def _outcome(job: Job[Group], group: Group) -> Answer:
    try:
        return (job.ticket, job.work(group), None)
    except (FreshwellError, ShardLost) as error:
        return (job.ticket, None, error)
    except OSError as error:  # of a lock's file, and no matter of the others
        return (job.ticket, None, unavailable(error))


def _is_one_jobs_own(error: Exception) -> bool:
    """Tell whether an error comes of what one job gave to be written, and not of the disk.

    Never for one that COMMIT may have raised: what it did is not known.
    """
    if isinstance(error, sqlite3.DataError | sqlite3.IntegrityError | sqlite3.ProgrammingError):
        return True
    return not isinstance(error, sqlite3.Error | OSError | FreshwellError)


def _told(error: Exception) -> Exception:
    """Return an error of a caller's own."""
    if isinstance(error, sqlite3.Error | OSError):
        return unavailable(error)
    if isinstance(error, JournalUnavailable | JournalUnfit | ConfigurationError):
        return type(error)(*error.args)
    return error

"""A journal in an SQLite file of this machine."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from freshwell._sync.stores.base import Fill
from freshwell._kit.threads_promise import Promise, deliver_all
from freshwell.engines import journal_rows
from freshwell.engines.journal_group import Bounds
from freshwell.engines.sqlite_journal import MEMORY, SqliteJournal
from freshwell.errors import JournalUnavailable
from freshwell.ground.records import Backlog, DeadLetter, Draft, Record, Settled, ShardLost

__all__ = ["LocalJournal"]

T = TypeVar("T")

_ANSWER_S = 10.0
"""How long a disk may take. Close to what SQLite waits for others, and some."""


class LocalJournal:
    """A `Journal` and a `Desk`, in one shard, in a file or in memory.

    - `path` None: in memory. What is accepted is lost with the process.
    - `owner` says whose it is: a file that is another's is refused. None: anybody's, if it is
      there, for those who look at it.
    - One process accepts: in any other it is `ConfigurationError`. One flushes, that or another;
      the file's locks end with the process.
    - Dead letters beyond `max_dead` stay records.

    A write that was accepted survives the process and the loss of power, as far as the disk tells
    the truth about having flushed. Writes of many callers share a flush.
    """

    shards = 1
    together = False

    def __init__(
        self,
        path: str | None,
        *,
        owner: str | None,
        max_records: int,
        max_bytes: int,
        max_dead: int,
        timeout_s: float = _ANSWER_S,
    ) -> None:
        self._shown = "in memory" if path is None else repr(path)
        self._engine = SqliteJournal(
            MEMORY if path is None else path,
            owner=owner,
            bounds=Bounds(max_records, max_bytes, max_dead),
            answer=deliver_all,
        )
        self._timeout_s = timeout_s
        self.durability = self._engine.durability

    def __str__(self) -> str:
        """Return what people call it."""
        return self._shown

    @property
    def is_closed(self) -> bool:
        """Whether it takes and tells nothing any more."""
        return self._engine.is_closed

    def is_pending(self, name: str) -> bool:
        """Tell whether an entry may have a write that is not settled. Never waits; False is sure.

        It is True for every entry until this process has accepted a write. A dead letter that
        another process tries again is not known of.
        """
        return self._engine.is_pending(name)

    def check(self) -> None:
        """Raise where the file cannot be opened, or is another's."""
        self.newest()

    def shard_of(self, name: str) -> int:
        """Return 0: there is one shard."""
        return 0

    def accept(
        self, drafts: Sequence[Draft], entries: Sequence[Fill] = (), *, each: bool = False
    ) -> list[Any]:
        """Make writes durable and return their sequences. See `Sharing.accept`."""
        ask = self._engine.accept_each if each else self._engine.accept
        accepted: list[Any] = self._asked(ask, drafts)
        return accepted

    def latest(self, names: Sequence[str]) -> list[Record | None]:
        """Return the last unsettled write of each entry. Asks the disk only if there may be one."""
        asked = [name for name in names if self._engine.is_pending(name)]
        if not asked:
            return [None] * len(names)
        records: list[Record | None] = self._asked(self._engine.latest, asked)
        found = dict(zip(asked, records, strict=True))
        return [found.get(name) for name in names]

    def own(self, shard: int) -> bool:
        """Become the one that flushes. See `Journal.own`."""
        owned: bool = self._engine.is_owned or self._asked(self._engine.own)
        return owned

    def release(self, shards: Sequence[int]) -> None:
        """Let another flush."""
        if shards and self._engine.is_owned:
            self._asked(self._engine.release)

    def take(self, shard: int, after: int, limit: int) -> list[Record]:
        """Return records above a sequence, in order. See `Journal.take`."""
        if not self._engine.is_owned:
            raise ShardLost("the journal's flusher is another")
        return self._read(lambda rows: journal_rows.records_after(rows, after, limit))

    def settle(self, shard: int, settled: Settled) -> int:
        """Note what came of records. See `Journal.settle`."""
        missing: int = self._asked(self._engine.settle, settled)
        return missing

    def backlog(self) -> Backlog:
        """Return what is in the journal."""
        records, size, dead, oldest_ms = self._read(journal_rows.state)
        age_s = 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1_000)
        return Backlog(
            records=records,
            bytes=size,
            dead=dead,
            oldest_age_s=age_s,
            durability=self.durability.value,
        )

    def oldest(self) -> list[int]:
        """Return the lowest sequence of a record, or 0."""
        return [self._read(journal_rows.oldest)]

    def newest(self) -> list[int]:
        """Return the highest sequence of a record, or 0."""
        return [self._read(journal_rows.newest)]

    def flushers(self) -> list[str]:
        """Return the process that flushes. Empty: none does.

        Looks whether it could flush itself: who begins at that moment has to try again.
        """
        if self.own(0):
            self.release([0])
            return [""]
        return [f"process {self._engine.flusher()}"]

    def pending(self, after: int = 0, limit: int = 100) -> list[Record]:
        """Return records above a sequence, in order."""
        return self._read(lambda rows: journal_rows.records_after(rows, after, limit))

    def dead(self, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Return dead letters above a sequence, in order."""
        return self._read(lambda rows: journal_rows.dead_letters(rows, after, limit))

    def letter(self, sequence: int) -> DeadLetter | Record | None:
        """Return a dead letter, or else a record, by its sequence."""
        return self._read(lambda rows: journal_rows.letter_of(rows, sequence))

    def retry(self, sequence: int, *, force: bool = False) -> int | None:
        """Accept a dead letter's write anew. See `Desk.retry`."""
        anew: int | None = self._asked(
            self._engine.write, lambda group: group.retry(sequence, force)
        )
        return anew

    def drop(self, sequence: int) -> bool:
        """Forget a dead letter. False: there is none."""
        found: bool = self._asked(self._engine.write, lambda group: group.drop(sequence))
        return found

    def close(self) -> None:
        """Finish what was asked for, give back the locks, and close the file. Idempotent."""
        ended: Promise[None] = Promise()
        if self._engine.close(ended):
            try:
                ended.wait(self._timeout_s)
            except TimeoutError:
                return  # its threads end with the disk's answer, or with the process

    def _read(self, work: Callable[[journal_rows.Rows], T]) -> T:
        found: T = self._asked(self._engine.read, work)
        return found

    def _asked(self, ask: Callable[..., None], *arguments: object) -> Any:
        promise: Promise[Any] = Promise()
        ask(*arguments, promise)
        return promise.wait(self._timeout_s, self._late)

    def _late(self) -> Exception:
        return JournalUnavailable(f"the journal did not answer within {self._timeout_s:g} s")

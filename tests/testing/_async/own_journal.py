"""A journal as somebody else would write it: from what is public, over a list."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock
from typing import Any

from freshwell import Backlog, JournalUnavailable
from freshwell.journals import Draft, Durability, Record, Settled, ShardLost, sequence_of

_PAGE_BYTES = 8 * 2**20


class OwnJournal:
    """Keeps records in this process, in one shard."""

    durability = Durability.MEMORY
    shards = 1
    together = False

    def __init__(
        self, *, max_records: int = 10_000, max_bytes: int = 2**30, max_dead: int = 100
    ) -> None:
        self._bounds = max_records, max_bytes
        self._max_dead = max_dead
        self._records: dict[int, Record] = {}
        self._dead: list[tuple[Record, str]] = []
        self._last = sequence_of(_now_ms())
        self._owned = self._closed = False
        self._mutex = Lock()

    def __str__(self) -> str:
        return "a list"

    async def check(self) -> None:
        self._open()

    async def accept(self, drafts: Sequence[Draft], entries: Sequence[Any] = ()) -> list[int]:
        self._open()
        with self._mutex:
            return [self._accept(draft) for draft in drafts]

    def _accept(self, draft: Draft) -> int:
        most_records, most_bytes = self._bounds
        held = sum(record.size for record in self._records.values())
        if len(self._records) >= most_records or held + draft.size > most_bytes:
            return 0
        self._last = max(self._last + 1, sequence_of(_now_ms()))
        self._records[self._last] = Record(self._last, *draft, accepted_ms=_now_ms())
        return self._last

    async def latest(self, names: Sequence[str]) -> list[Record | None]:
        self._open()
        with self._mutex:
            by_name = {record.name: record for record in self._records.values()}
        return [by_name.get(name) for name in names]

    async def own(self, shard: int) -> bool:
        self._open()
        self._owned = True
        return True

    async def release(self, shards: Sequence[int]) -> None:
        self._owned = self._owned and 0 not in shards

    async def take(self, shard: int, after: int, limit: int) -> list[Record]:
        self._open_and_owned()
        page: list[Record] = []
        with self._mutex:
            for sequence, record in self._records.items():
                if sequence > after and len(page) < limit:
                    if page and sum(one.size for one in (*page, record)) > _PAGE_BYTES:
                        break
                    page.append(record)
        return page

    async def settle(self, shard: int, settled: Settled) -> int:
        self._open_and_owned()
        with self._mutex:
            named = [*settled.stored, *settled.failed, *(record for record, _ in settled.dead)]
            missing = sum(record.sequence not in self._records for record in named)
            for record in settled.stored:
                self._records.pop(record.sequence, None)
            for record in settled.failed:
                if record.sequence in self._records:
                    self._records[record.sequence] = record
            for record, reason in settled.dead:
                if len(self._dead) >= self._max_dead:
                    break
                if self._records.pop(record.sequence, None) is not None:
                    self._dead.append((record, reason))
            return missing

    async def backlog(self) -> Backlog:
        self._open()
        with self._mutex:
            held = list(self._records.values())
        oldest_ms = min((record.accepted_ms for record in held), default=_now_ms())
        return Backlog(
            records=len(held),
            bytes=sum(record.size for record in held),
            dead=len(self._dead),
            oldest_age_s=max(0, _now_ms() - oldest_ms) / 1_000 if held else 0.0,
            durability=self.durability.value,
        )

    async def oldest(self) -> list[int]:
        return [min(self._records, default=0)]

    async def newest(self) -> list[int]:
        return [max(self._records, default=0)]

    async def aclose(self) -> None:
        self._closed, self._owned = True, False

    def _open(self) -> None:
        if self._closed:
            raise JournalUnavailable("the list is closed")

    def _open_and_owned(self) -> None:
        self._open()
        if not self._owned:
            raise ShardLost


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

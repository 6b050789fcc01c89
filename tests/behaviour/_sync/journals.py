"""A journal in memory, for tests of who uses one: real order and ownership, and faults to order."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Sequence
from threading import Lock

from freshwell._sync.stores.base import Fill
from freshwell.errors import JournalUnavailable
from freshwell.ground.records import (
    Backlog,
    Draft,
    Durability,
    Kind,
    Record,
    Settled,
    ShardLost,
    sequence_of,
)

__all__ = ["Ledger", "MemoryJournal", "draft"]


def draft(key: str, payload: bytes = b"") -> Draft:
    """Return a write of a key."""
    return Draft(key, key.encode(), Kind.PUT, payload, bytes(16))


class Ledger:
    """What the journals of several processes share. `dead_room`: how many dead letters fit."""

    def __init__(self, shards: int = 1, dead_room: int = 1_000) -> None:
        self.shards = shards
        self.dead_room = dead_room
        self.mutex = Lock()
        self.count = 0
        self.records: list[dict[int, Record]] = [{} for _ in range(shards)]
        self.dead: list[tuple[Record, str]] = []
        self.owners: list[object | None] = [None] * shards

    def all(self) -> list[Record]:
        """Return what is not settled."""
        return [record for shard in self.records for record in shard.values()]


class MemoryJournal:
    """One process's way to a ledger.

    `down`: every call raises. `lost_replies`, `lost_requests`: so many settlements are not
    answered, and were made, or not. `taken`: sequences, as often as they were given out.
    """

    durability = Durability.MEMORY
    together = False

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.shards = ledger.shards
        self.down = False
        self.lost_replies = self.lost_requests = 0
        self.taken: list[int] = []
        self.released: list[int] = []

    def accept(self, drafts: Sequence[Draft], entries: Sequence[Fill] = ()) -> list[int]:
        self._check()
        sequences = []
        with self.ledger.mutex:
            for one in drafts:
                self.ledger.count += 1
                sequence = sequence_of(1_000, self.ledger.count)
                shard = sum(one.id) % self.shards
                self.ledger.records[shard][sequence] = Record(sequence, *one)
                sequences.append(sequence)
        return sequences

    def latest(self, names: Sequence[str]) -> list[Record | None]:
        self._check()
        newest = {record.name: record for record in self.ledger.all()}
        return [newest.get(name) for name in names]

    def own(self, shard: int) -> bool:
        self._check()
        with self.ledger.mutex:
            if self.ledger.owners[shard] is None:
                self.ledger.owners[shard] = self
            return self.ledger.owners[shard] is self

    def release(self, shards: Sequence[int]) -> None:
        self._check()
        with self.ledger.mutex:
            for shard in shards:
                if self.ledger.owners[shard] is self:
                    self.ledger.owners[shard] = None
                    self.released.append(shard)

    def take(self, shard: int, after: int, limit: int) -> list[Record]:
        self._check(shard)
        with self.ledger.mutex:
            found = [r for sequence, r in self.ledger.records[shard].items() if sequence > after]
            self.taken += [record.sequence for record in found[:limit]]
            return found[:limit]

    def settle(self, shard: int, settled: Settled) -> int:
        self._check(shard)
        if self.lost_requests:
            self.lost_requests -= 1
            raise JournalUnavailable("the request was lost")
        gone = 0
        with self.ledger.mutex:
            records = self.ledger.records[shard]
            for record in settled.stored:
                gone += records.pop(record.sequence, None) is None
            for record in settled.failed:
                gone += record.sequence not in records
                if record.sequence in records:
                    records[record.sequence] = record
            for record, reason in settled.dead:
                if record.sequence not in records:
                    gone += 1
                elif len(self.ledger.dead) < self.ledger.dead_room:
                    del records[record.sequence]
                    self.ledger.dead.append((record, reason))
                else:
                    records[record.sequence] = record
        if self.lost_replies:
            self.lost_replies -= 1
            raise JournalUnavailable("the reply was lost")
        return gone

    def backlog(self) -> Backlog:
        self._check()
        records = self.ledger.all()
        size = sum(record.size for record in records)
        return Backlog(
            records=len(records),
            bytes=size,
            dead=len(self.ledger.dead),
            oldest_age_s=0.0,
            durability="memory",
        )

    def oldest(self) -> list[int]:
        self._check()
        with self.ledger.mutex:
            return [min(records, default=0) for records in self.ledger.records]

    def check(self) -> None:
        self._check()

    def newest(self) -> list[int]:
        self._check()
        with self.ledger.mutex:
            return [max(records, default=0) for records in self.ledger.records]

    def close(self) -> None:
        pass

    def _check(self, shard: int | None = None) -> None:
        if self.down:
            raise JournalUnavailable("it is down")
        if shard is not None and self.ledger.owners[shard] is not self:
            raise ShardLost

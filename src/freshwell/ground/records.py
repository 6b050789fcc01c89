"""What a journal holds: writes that were accepted, and that the source does not have yet.

A record's *sequence* orders the writes of one key, and is the fencing number that a source may
compare: it grows within a shard, over restarts and over a new journal in the place of a lost one,
for it begins with the journal's clock (milliseconds, then 22 bits of count: 63 bits in all).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntFlag
from typing import Final, NamedTuple

__all__ = [
    "COUNT_BITS",
    "TOKEN_BYTES",
    "Backlog",
    "DeadLetter",
    "Draft",
    "Durability",
    "Kind",
    "Record",
    "Settled",
    "ShardLost",
    "kind_of",
    "sequence_of",
]

TOKEN_BYTES: Final = 16
COUNT_BITS: Final = 22
_MOST_COUNT: Final = 2**COUNT_BITS - 1


class Durability(Enum):
    """What an accepted write survives."""

    MEMORY = "memory"
    """Nothing: it is lost with the process."""
    LOCAL = "local"
    """The end of the process and the loss of power: it is on this machine's disk."""
    REDIS = "redis"
    """The end of the process. Of the server, as far as its append-only file goes."""
    REDIS_WAIT = "redis+wait"
    """As `REDIS`, and replicas have it."""


class Kind(IntFlag):
    """What a record asks for."""

    PUT = 1
    DELETE = 2
    REVIVED = 4
    """It was a dead letter: the cache does not have its value."""


_DELETE: Final = int(Kind.DELETE)
_REVIVED: Final = int(Kind.REVIVED)
_KINDS: Final = {number: Kind(number) for number in range(8)}


def kind_of(number: int) -> Kind:
    """Return the kind of a number. Faster than asking the class, once for every record."""
    kind = _KINDS.get(number)
    return Kind(number) if kind is None else kind


class Draft(NamedTuple):
    """One write to be accepted.

    `name` is the entry's inner name, `id` what the source calls it (see ``ground/ids``), `token`
    the idempotency id: `TOKEN_BYTES` random bytes.
    """

    name: str
    id: bytes
    kind: Kind
    payload: bytes
    token: bytes

    @property
    def size(self) -> int:
        """Return what it counts for in the backlog's bytes."""
        return len(self.name) + len(self.id) + len(self.payload)


class Record(NamedTuple):
    """One write that was accepted. `attempts`: how often the source has refused it so far.

    `accepted_ms` is the journal's own clock: of the machine, or of the Redis server.
    """

    sequence: int
    name: str
    id: bytes
    kind: Kind
    payload: bytes
    token: bytes
    attempts: int = 0
    accepted_ms: int = 0

    @property
    def is_delete(self) -> bool:
        """Tell whether the source is to delete."""
        return int.__and__(self.kind, _DELETE) != 0  # that of a flag takes ten times as long

    @property
    def is_revived(self) -> bool:
        """Tell whether it was a dead letter."""
        return int.__and__(self.kind, _REVIVED) != 0

    @property
    def size(self) -> int:
        """Return what it counts for in the backlog's bytes."""
        return len(self.name) + len(self.id) + len(self.payload)


class DeadLetter(NamedTuple):
    """A write that the source will not have. `superseded`: a later write of its key is stored."""

    record: Record
    reason: str
    died_ms: int
    superseded: bool = False


class Settled(NamedTuple):
    """What came of records that were taken from a shard.

    `stored`: the source has them, or a later one of their key. `failed`: to be tried again, with
    the attempts in the record. `dead`: with the reason.
    """

    stored: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()
    dead: tuple[tuple[Record, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What a journal holds.

    - `records`, `bytes`: writes accepted and not yet in the source, and their size.
    - `dead`: dead letters, which are not among them.
    - `oldest_age_s`: seconds since the oldest was accepted, by the journal's clock. 0.0: none.
    - `durability`: what a write in it survives.
    - `parked`: keys that wait for another try, as far as this process flushes.
    - `source_down`: this process's flusher waits for the source to come back.
    """

    records: int
    bytes: int
    dead: int
    oldest_age_s: float
    durability: str
    parked: int = 0
    source_down: bool = False


class ShardLost(Exception):
    """Another process owns the shard now: what is held of it is void."""


def sequence_of(at_ms: int, count: int = 0) -> int:
    """Return the sequence of the record number `count` of a millisecond. Later is larger.

    More than fit into a millisecond run on into the next ones.
    """
    if count > _MOST_COUNT:
        at_ms, count = at_ms + (count >> COUNT_BITS), count & _MOST_COUNT
    return at_ms << COUNT_BITS | count

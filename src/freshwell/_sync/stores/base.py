"""What a store of the L2 tier must do, and the store that stands in where there is none."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

__all__ = [
    "ALONE_STAMP",
    "Acquired",
    "Captured",
    "Fill",
    "Grant",
    "Mark",
    "NullStore",
    "Peeked",
    "Settlement",
    "Store",
]


ALONE_STAMP = bytes(8)
"""The version of every tag where there is no L2: the process knows what has changed."""


class Grant(Enum):
    """How an `acquire` ended."""

    FRESH = "fresh"
    GRANTED = "granted"
    HELD = "held"
    ANNOUNCED = "announced"
    """A writer is about to change the source: load, and store nothing."""
    ALONE = "alone"
    """L2 cannot be asked: load, and store nothing. No store says so itself."""


@dataclass(frozen=True, slots=True)
class Acquired:
    """The answer to an `acquire` of one entry.

    `token` is the lease's when granted, `frame` is set when a fresh value was found, `left_ms`
    when another holds the lease.
    """

    grant: Grant
    token: bytes
    frame: bytes | None = None
    left_ms: int = 0


class Fill(NamedTuple):
    """One value to store: under the lease `token`, or unconditionally where it is empty.

    The entry is fresh for `fresh_ms` and exists for `keep_ms`, on the store's own clock.
    """

    key: bytes
    token: bytes
    frame: bytes
    fresh_ms: int
    keep_ms: int


class Mark(NamedTuple):
    """What is to stand under a key in the place of what it held, and for how long.

    `busy_ms`: of a tag's version, for how long writers of tags are at work.
    """

    key: bytes
    frame: bytes
    keep_ms: int
    busy_ms: int = 0


class Captured(NamedTuple):
    """A tag's version: empty while a writer has announced a change.

    `left_ms` is how long it is kept at least, `busy_ms` for how long writers may be at work.
    """

    stamp: bytes
    left_ms: int
    busy_ms: int


class Peeked(NamedTuple):
    """What stands under a key, for people to look at.

    `data` is None where nothing does, and empty where it is no text; `kind` is the server's word
    for its type. `left_ms` is for how long it is kept: -1 for ever, -2 where it is not there.
    """

    data: bytes | None
    left_ms: int
    kind: str


class Settlement(NamedTuple):
    """The end of a write: `left` is what it leaves, or `fill` where it was alone all the time.

    With `version`, the source's, `fill` is left too where only writers with versions overlapped
    and this is the highest of them.
    """

    token: bytes
    left: Mark
    fill: Fill | None = None
    version: int | None = None


class Store(Protocol):
    """A shared tier. Every method may raise `StoreUnavailable`, within its time limits.

    Keys are whole L2 keys. The methods that take sequences answer in the same order and cost
    one round trip each.
    """

    @property
    def shared(self) -> bool:
        """Tell whether other processes see it. False: there is no L2."""

    @property
    def sole(self) -> bool:
        """Tell whether one server has all keys: then they can be read, or not, together."""

    def server_ms(self, key: bytes = b"") -> int:
        """Return the clock of the server that has `key`, as estimated now, in milliseconds."""

    def clocks(self, keys: Sequence[bytes]) -> Sequence[int]:
        """Return what `server_ms` says of each key."""

    def fetch(self, key: bytes) -> bytes | None:
        """Return the frame stored under `key`, or None."""

    def fetch_beside(
        self, key: bytes, beside: Sequence[bytes]
    ) -> tuple[bytes | None, list[bytes | None]]:
        """Return the frame of `key`, and of each key `beside` it, in one trip.

        Callers may share the questions about those beside: none is older than this call.
        """

    def fetch_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the frame of each key, or None."""

    def peek(self, key: bytes) -> Peeked:
        """Return what stands under `key`, whatever it is. Changes nothing."""

    def acquire(
        self,
        keys: Sequence[bytes],
        *,
        fresh_beyond_ms: int = 0,
        forced: bool = False,
        useless: Mapping[bytes, bytes] | None = None,
        stale_does: bool = False,
    ) -> list[Acquired]:
        """Ask for the lease on each key.

        A value that stays fresh for more than `fresh_beyond_ms` is returned instead, unless
        it is the one named in `useless` (its `identity_of`, by key); and a lease that stands
        is respected. With `stale_does`, so is a value whose source is left alone, having failed.
        `forced` looks at none of them.
        """

    def beat(self, leases: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        """Prolong leases given as (key, token). False where the lease is gone."""

    def fill(self, fills: Sequence[Fill]) -> list[bool]:
        """Store values. False where the lease no longer stands. Leased fills are safe to repeat."""

    def release(
        self, leases: Sequence[tuple[bytes, bytes]], *, rest_ms: int = 0, drop: bool = False
    ) -> None:
        """Give leases back, so that nobody waits for their end.

        `rest_ms`: the load has failed, and where there is a value, its source is to be left alone
        for so long. `drop`: a value that stands there is removed.
        """

    def invalidate(self, keys: Sequence[bytes], also: Sequence[Mark] = ()) -> None:
        """Leave a tombstone on each key: leases are void, stored values gone, peers told.

        What `also` names is replaced in the same round trip.
        """

    def expire(self, keys: Sequence[bytes]) -> None:
        """End the freshness of each key and void its lease; keep the body for stale service."""

    def capture(self, wanted: Sequence[Mark]) -> list[Captured]:
        """Return the versions of tags, made where there is none, and kept as long as asked for."""

    def void(self, marks: Sequence[Mark], *, first: Sequence[Mark] = ()) -> None:
        """Replace what stands under keys. Those in `first` are replaced before the others."""

    def busy(self, key: bytes, frame: bytes, busy_ms: int) -> None:
        """Note under a tag's version for how long writers are still at work."""

    def announce(
        self, marks: Sequence[Mark], token: bytes, *, prolong: bool = False
    ) -> list[int]:
        """Announce a writer on keys. Return how many others each has (-1: too many)."""

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """End a writer's announcements. True where its value stands, or a later one."""

    def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        """Return some keys that match a glob, and from which place to go on. None: that is all.

        Keys that exist all the time come at least once.
        """

    def forget(self, keys: Sequence[bytes]) -> int:
        """Remove keys, but for announcements of writers. Return how many held a value."""

    def post(self, key: bytes, data: bytes, keep_ms: int) -> None:
        """Leave bytes under a key that is no entry's, for so long."""

    def close(self) -> None:
        """Close the connections. Idempotent."""


class NullStore:
    """No L2: every entry is absent, every lease is granted, nothing is kept."""

    shared = False
    sole = True

    def server_ms(self, key: bytes = b"") -> int:
        return 0

    def clocks(self, keys: Sequence[bytes]) -> Sequence[int]:
        return [0] * len(keys)

    def fetch(self, key: bytes) -> bytes | None:
        return None

    def fetch_beside(
        self, key: bytes, beside: Sequence[bytes]
    ) -> tuple[bytes | None, list[bytes | None]]:
        return None, [None] * len(beside)

    def fetch_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [None] * len(keys)

    def peek(self, key: bytes) -> Peeked:
        return Peeked(None, -2, "none")

    def acquire(
        self,
        keys: Sequence[bytes],
        *,
        fresh_beyond_ms: int = 0,
        forced: bool = False,
        useless: Mapping[bytes, bytes] | None = None,
        stale_does: bool = False,
    ) -> list[Acquired]:
        return [Acquired(Grant.GRANTED, b"")] * len(keys)

    def beat(self, leases: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        return [True] * len(leases)

    def fill(self, fills: Sequence[Fill]) -> list[bool]:
        return [True] * len(fills)

    def release(
        self, leases: Sequence[tuple[bytes, bytes]], *, rest_ms: int = 0, drop: bool = False
    ) -> None:
        return None

    def invalidate(self, keys: Sequence[bytes], also: Sequence[Mark] = ()) -> None:
        return None

    def expire(self, keys: Sequence[bytes]) -> None:
        return None

    def capture(self, wanted: Sequence[Mark]) -> list[Captured]:
        return [Captured(ALONE_STAMP, 0, 0)] * len(wanted)

    def void(self, marks: Sequence[Mark], *, first: Sequence[Mark] = ()) -> None:
        return None

    def busy(self, key: bytes, frame: bytes, busy_ms: int) -> None:
        return None

    def announce(
        self, marks: Sequence[Mark], token: bytes, *, prolong: bool = False
    ) -> list[int]:
        return [0] * len(marks)

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        return [False] * len(settlements)

    def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        return None, []

    def forget(self, keys: Sequence[bytes]) -> int:
        return 0

    def post(self, key: bytes, data: bytes, keep_ms: int) -> None:
        return None

    def close(self) -> None:
        return None

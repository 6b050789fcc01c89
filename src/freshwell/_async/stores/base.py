"""What a store of the L2 tier must do, and the store that stands in where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

__all__ = ["Acquired", "Fill", "Grant", "NullStore", "Store"]


class Grant(Enum):
    """How an `acquire` ended."""

    FRESH = "fresh"
    GRANTED = "granted"
    HELD = "held"


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


@dataclass(frozen=True, slots=True)
class Fill:
    """One value to store: under the lease `token`, or unconditionally where it is empty.

    The entry is fresh for `fresh_ms` and exists for `keep_ms`, on the store's own clock.
    """

    key: bytes
    token: bytes
    frame: bytes
    fresh_ms: int
    keep_ms: int


class Store(Protocol):
    """A shared tier. Every method may raise `StoreUnavailable`, within its time limits.

    Keys are whole L2 keys. The methods that take sequences answer in the same order and cost
    one round trip each.
    """

    @property
    def shared(self) -> bool:
        """Tell whether other processes see it. False: there is no L2."""

    def server_ms(self, key: bytes = b"") -> int:
        """Return the clock of the server that has `key`, as estimated now, in milliseconds."""

    async def fetch(self, key: bytes) -> bytes | None:
        """Return the frame stored under `key`, or None."""

    async def fetch_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the frame of each key, or None."""

    async def acquire(
        self, keys: Sequence[bytes], *, fresh_beyond_ms: int = 0, forced: bool = False
    ) -> list[Acquired]:
        """Ask for the lease on each key.

        A value that stays fresh for more than `fresh_beyond_ms` is returned instead, and a
        lease that stands is respected; `forced` looks at neither.
        """

    async def beat(self, leases: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        """Prolong leases given as (key, token). False where the lease is gone."""

    async def fill(self, fills: Sequence[Fill]) -> list[bool]:
        """Store values. False where the lease no longer stands. Leased fills are safe to repeat."""

    async def release(self, leases: Sequence[tuple[bytes, bytes]]) -> None:
        """Give leases back, so that nobody waits for their end."""

    async def invalidate(self, keys: Sequence[bytes]) -> None:
        """Leave a tombstone on each key: leases are void, stored values gone, peers told."""

    async def expire(self, keys: Sequence[bytes]) -> None:
        """End the freshness of each key and void its lease; keep the body for stale service."""

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""


class NullStore:
    """No L2: every entry is absent, every lease is granted, nothing is kept."""

    shared = False

    def server_ms(self, key: bytes = b"") -> int:
        return 0

    async def fetch(self, key: bytes) -> bytes | None:
        return None

    async def fetch_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [None] * len(keys)

    async def acquire(
        self, keys: Sequence[bytes], *, fresh_beyond_ms: int = 0, forced: bool = False
    ) -> list[Acquired]:
        return [Acquired(Grant.GRANTED, b"")] * len(keys)

    async def beat(self, leases: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        return [True] * len(leases)

    async def fill(self, fills: Sequence[Fill]) -> list[bool]:
        return [True] * len(fills)

    async def release(self, leases: Sequence[tuple[bytes, bytes]]) -> None:
        return None

    async def invalidate(self, keys: Sequence[bytes]) -> None:
        return None

    async def expire(self, keys: Sequence[bytes]) -> None:
        return None

    async def aclose(self) -> None:
        return None

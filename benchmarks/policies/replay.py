"""Requests replayed through the real L1 table, as a cache's reads and fills would use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from freshwell.engines.entry import ENTRY_BYTES
from freshwell.engines.eviction import AdaptiveClock, Policy
from freshwell.engines.table import Table

__all__ = ["counted_bytes", "hits_of_table", "hits_of_table_bytes", "names_of", "put"]

_FOREVER_NS = 1 << 50
_UNBOUNDED = 1 << 60


def hits_of_table(
    keys: Sequence[int], capacity: int, policy: Callable[[], Policy] = AdaptiveClock
) -> int:
    """Return how many requests an L1 table of `capacity` entries answers."""
    table = Table(max_entries=capacity, max_bytes=_UNBOUNDED, now_ns=_standing_clock, policy=policy)
    names = names_of(keys)
    hits = 0
    for key in keys:
        name = names[key]
        if table.get(name) is not None:
            hits += 1
        else:
            put(table, name)
    table.check()
    return hits


def hits_of_table_bytes(keys: Sequence[int], sizes: Sequence[int], capacity: int) -> int:
    """Return how many requests an L1 table of `capacity` bytes answers.

    `sizes` are those of the values alone; `counted_bytes` tells what the table makes of them.
    """
    names = names_of(keys)
    table = Table(max_entries=len(names), max_bytes=capacity, now_ns=_standing_clock)
    hits = 0
    for key, size in zip(keys, sizes, strict=True):
        name = names[key]
        if table.get(name) is not None:
            hits += 1
        else:
            put(table, name, size)
    table.check()
    return hits


def counted_bytes(key: int, size: int) -> int:
    """Return what an entry counts in a table that is bounded in bytes."""
    return size + len(str(key)) + ENTRY_BYTES


def names_of(keys: Sequence[int]) -> dict[int, str]:
    """Return the table's key for each key of a trace."""
    return {key: str(key) for key in set(keys)}


def put(table: Table, name: str, size_bytes: int = 0) -> None:
    """Store a value that does not end."""
    table.put(
        name,
        None,
        calm_until_ns=_FOREVER_NS,
        fresh_until_ns=_FOREVER_NS,
        stale_until_ns=_FOREVER_NS,
        born_ns=0,
        cost_ns=0,
        size_bytes=size_bytes,
    )


def _standing_clock() -> int:
    return 0

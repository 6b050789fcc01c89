"""What the tests of the engines share: a table on a standing clock, and short ways to fill it."""

from __future__ import annotations

from typing import Any

from freshwell.engines.entry import Aliases, Entry
from freshwell.engines.table import Table
from freshwell.testing import FakeClock

__all__ = ["NS", "fill", "make_table", "serve"]

NS = 1_000_000_000


def make_table(clock: FakeClock, *, max_entries: int = 100, max_bytes: int = 10_000_000) -> Table:
    return Table(max_entries=max_entries, max_bytes=max_bytes, now_ns=clock)


def fill(
    table: Table,
    clock: FakeClock,
    key: str,
    value: object = "value",
    *,
    ttl_s: float = 10,
    stale_s: float = 0,
    size_bytes: int | None = 0,
    since: int | None = None,
    alias: tuple[Aliases, Any, Any] | None = None,
    voids: bool = False,
) -> Entry | None:
    """Store a value that was loaded now, and let a function find it by its `alias`."""
    fresh_until_ns = clock() + int(ttl_s * NS)
    entry = table.put(
        key,
        value,
        calm_until_ns=fresh_until_ns,
        fresh_until_ns=fresh_until_ns,
        stale_until_ns=fresh_until_ns + int(stale_s * NS),
        born_ns=clock(),
        cost_ns=1_000_000,
        size_bytes=size_bytes,
        since=since,
        voids=voids,
    )
    if entry is not None and alias is not None and table.attach(key, *alias):
        return alias[0][alias[1]]
    return entry


def serve(table: Table, clock: FakeClock, key: str) -> Any:
    """Read as the caches do: the value first, then its deadline. None: nothing to serve."""
    entry = table.get(key)
    if entry is None:
        return None
    value = entry.value
    return value if clock() < entry.stale_until_ns else None

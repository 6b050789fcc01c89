"""What the tests of entries with tags share: a table, ways to fill it, and who holds what."""

from __future__ import annotations

from freshwell.engines.stamps import CELL_BYTES, Bonds
from freshwell.engines.table import Draft, Table
from freshwell.ground.freshness import Times
from freshwell.testing import FakeClock
from tests.engines.parts import NS

__all__ = ["STAMP", "X", "Y", "Z", "assert_counted", "draft", "held", "make", "put", "serves"]

X, Y, Z, STAMP = b"x-digest", b"y-digest", b"z-digest", b"a stamp."


def make(max_entries: int = 100, max_bytes: int = 2**24, clock: FakeClock | None = None) -> Table:
    return Table(max_entries=max_entries, max_bytes=max_bytes, now_ns=clock or FakeClock(0))


def draft(key: str, *tags: bytes, since: int | None = None, size: int = 0) -> Draft:
    """Return an entry that is fresh for a second, and may be served stale for another."""
    bonds = Bonds.of(tuple((tag, STAMP) for tag in tags), since)
    return Draft(key, key, NS, Times(0, NS, 2 * NS, 1), since, bonds if tags else None, size)


def put(own: Table, key: str, *tags: bytes, since: int | None = None, size: int = 0) -> bool:
    return own.put_many([draft(key, *tags, since=since, size=size)])[0]


def serves(own: Table, key: str) -> bool:
    entry = own.get(key)
    return entry is not None and own.is_current(entry)


def held(own: Table) -> dict[bytes, int]:
    """Return how many entries hold each cell that is known, and 0 for what is idle."""
    own.check()
    cells = map(own.stamps.known, (X, Y, Z))
    return {cell.digest: cell.held for cell in cells if cell is not None}


def assert_counted(own: Table) -> None:
    """Check the table, and what it counts, against its entries."""
    own.check()
    entries = [entry for entry in own.find(own.keys()) if entry is not None]
    cells = {cell for entry in entries for cell in entry.cells}
    assert own.bytes == sum(entry.size for entry in entries) + CELL_BYTES * len(cells)

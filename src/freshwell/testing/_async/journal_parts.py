"""Drafts, and what the suites do with any journal."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from freshwell._async.stores.journal import Desk, Journal
from freshwell.ground.records import Draft, Kind, Record, Settled

__all__ = [
    "Both",
    "Make",
    "Opened",
    "all_failed",
    "all_stored",
    "dies",
    "draft",
    "names_of",
    "owned",
    "settle",
    "taken",
]

_numbers = count(1)


class Both(Journal, Desk, Protocol):
    """A journal that is a desk as well."""


Make = Callable[..., Any]
"""Opens the journal of a test's place: `max_records`, `max_bytes`, `max_dead` are its bounds."""


class Opened:
    """A journal for the time of a block, and for no longer."""

    def __init__(self, make: Make, **bounds: int) -> None:
        self._make = make
        self._bounds = bounds

    async def __aenter__(self) -> Both:
        journal: Both = self._make(**self._bounds)
        self._journal = journal
        return journal

    async def __aexit__(self, *_: object) -> None:
        await self._journal.aclose()


def draft(name: str = "a", payload: bytes = b"value", kind: Kind = Kind.PUT) -> Draft:
    """Return a write with a token of its own."""
    return Draft(name, b'"' + name.encode() + b'"', kind, payload, next(_numbers).to_bytes(16))


async def owned(journal: Journal) -> None:
    """Become the owner of all shards."""
    for shard in range(journal.shards):
        assert await journal.own(shard)


async def taken(journal: Journal) -> dict[int, list[Record]]:
    """Become the owner of all shards, and return their records."""
    await owned(journal)
    return {shard: await journal.take(shard, 0, 1_000) for shard in range(journal.shards)}


async def names_of(journal: Journal) -> list[str]:
    """Return the names of all records, shard by shard."""
    return [record.name for records in (await taken(journal)).values() for record in records]


async def settle(journal: Journal, choose: Callable[[list[Record]], Settled]) -> int:
    """Settle what is in the shards as `choose` says. Return how many were not there."""
    missing = 0
    for shard, records in (await taken(journal)).items():
        missing += await journal.settle(shard, choose(records))
    return missing


def dies(*names: str) -> Callable[[list[Record]], Settled]:
    """Choose death for the records of these names, and the source for the others."""
    return lambda records: Settled(
        stored=tuple(record for record in records if record.name not in names),
        dead=tuple((record, "refused") for record in records if record.name in names),
    )


def all_stored(records: list[Record]) -> Settled:
    """Choose the source for all."""
    return Settled(stored=tuple(records))


def all_failed(records: list[Record]) -> Settled:
    """Choose another try for all, the third having failed."""
    return Settled(failed=tuple(record._replace(attempts=3) for record in records))

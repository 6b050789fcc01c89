"""Drafts, and what every journal can be asked for, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Protocol, cast

from freshwell._async.stores.journal import Desk, Journal
from freshwell._async.stores.journal_places import open_desk, open_journal
from freshwell._async.stores.local_journal import LocalJournal
from freshwell._async.stores.redis_journal import Layout
from freshwell._kit.places import place_of
from freshwell.ground.records import Draft, Kind, Record, Settled

__all__ = [
    "Both",
    "Local",
    "Opened",
    "Place",
    "Served",
    "dies",
    "draft",
    "owned",
    "settle",
    "taken",
]

_numbers = count(1)


class Both(Journal, Desk, Protocol):
    """A journal that is a desk as well."""


class Opened:
    """A journal for the time of a block, and for no longer."""

    def __init__(self, make: Callable[[], Both]) -> None:
        self._make = make

    async def __aenter__(self) -> Both:
        self._journal = self._make()
        return self._journal

    async def __aexit__(self, *_: object) -> None:
        await self._journal.aclose()


class Place(Protocol):
    """Where journals are. `is_kept`: what one has accepted there, the next one has."""

    is_kept: bool

    def opened(self, **bounds: int) -> Opened:
        """Open the journal of this place: `max_records`, `max_bytes`, `max_dead`."""


class Local:
    """A journal in a file of a folder, or in memory."""

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else str(folder / "writes")
        self.is_kept = folder is not None

    def opened(self, **bounds: int) -> Opened:
        return Opened(lambda: self.made(**bounds))

    def made(self, **options: Any) -> LocalJournal:
        usual: dict[str, Any] = {
            "owner": "user:{id}",
            "max_records": 10_000,
            "max_bytes": 2**30,
            "max_dead": 100,
        }
        return LocalJournal(self.path, **usual | options)


class Served:
    """A journal in Redis, in one shard, for each has its part of the bounds; and its desk."""

    is_kept = True

    def __init__(self, url: str) -> None:
        self._place = place_of(url)

    def opened(self, **bounds: int) -> Opened:
        layout = Layout("shop", "users", "user:{id}", shards=1, **bounds)
        journal = open_journal(self._place, layout, assume_durable=True)
        return Opened(lambda: cast("Both", _Both(journal, open_desk(self._place, "shop", "users"))))


class _Both:
    def __init__(self, journal: Any, desk: Any) -> None:
        self._journal, self._desk = journal, desk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal if hasattr(self._journal, name) else self._desk, name)

    async def aclose(self) -> None:
        await self._journal.aclose()
        await self._desk.aclose()


def draft(name: str = "a", payload: bytes = b"value", kind: Kind = Kind.PUT) -> Draft:
    """Return a write with a token of its own."""
    return Draft(name, b'"' + name.encode() + b'"', kind, payload, next(_numbers).to_bytes(16))


async def owned(journal: Both) -> None:
    """Become the owner of all shards."""
    for shard in range(journal.shards):
        assert await journal.own(shard)


async def taken(journal: Both) -> dict[int, list[Record]]:
    """Become the owner of all shards, and return their records."""
    await owned(journal)
    return {shard: await journal.take(shard, 0, 1_000) for shard in range(journal.shards)}


async def settle(journal: Both, choose: Callable[[list[Record]], Settled]) -> int:
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

"""The places of our own journals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

from freshwell._async.stores.journal_places import open_desk, open_journal
from freshwell._async.stores.local_journal import LocalJournal
from freshwell._async.stores.redis_journal import Layout
from freshwell._kit.places import place_of
from freshwell.testing._async.journal_parts import Both, Make, draft

__all__ = ["Local", "Make", "Place", "Served", "draft"]


class Place(Protocol):
    """Where journals are."""

    def made(self, **bounds: int) -> Both:
        """Open the journal of this place: `max_records`, `max_bytes`, `max_dead`."""


class Local:
    """A journal in a file of a folder, or in memory."""

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else str(folder / "writes")

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

    def __init__(self, url: str) -> None:
        self._place = place_of(url)

    def made(self, **bounds: int) -> Both:
        layout = Layout("shop", "users", "user:{id}", shards=1, **bounds)
        journal = open_journal(self._place, layout, assume_durable=True)
        return cast("Both", _Both(journal, open_desk(self._place, "shop", "users")))


class _Both:
    def __init__(self, journal: Any, desk: Any) -> None:
        self._journal, self._desk = journal, desk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal if hasattr(self._journal, name) else self._desk, name)

    async def aclose(self) -> None:
        await self._journal.aclose()
        await self._desk.aclose()

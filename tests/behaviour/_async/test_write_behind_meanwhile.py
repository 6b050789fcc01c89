"""Write-behind in one process: what is read of an entry while its write is being accepted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, AsyncWriteBehind, JournalUnavailable
from freshwell._async.stores.base import Fill
from freshwell._kit.aio import sleep
from freshwell.ground.records import Draft
from tests.behaviour._async.journals import Ledger as Records
from tests.behaviour._async.journals import MemoryJournal
from tests.behaviour._async.ledger import Ledger
from tests.support.aio import Latch, Running, start


class Held(MemoryJournal):
    """Has what it is given, and says so when the latch of that call is opened, or raises then."""

    def __init__(self) -> None:
        super().__init__(Records())
        self.calls: list[Latch] = []
        self.lost: set[int] = set()

    async def accept(self, drafts: Sequence[Draft], entries: Sequence[Fill] = ()) -> list[int]:
        sequences = await super().accept(drafts, entries)
        number, latch = len(self.calls), Latch()
        self.calls.append(latch)
        await latch.passed()
        if number in self.lost:
            raise JournalUnavailable("the answer was lost")
        return sequences


class Scene:
    """A cache with one entry, and writers that are held."""

    def __init__(self, cache: AsyncCache) -> None:
        self.cache = cache
        self.source = Ledger(a=1)
        self.journal = Held()
        self.rows: AsyncWriteBehind[Any] = cache.write_behind(
            self.source, key="row:{}", journal=self.journal, flusher=False, drain=0
        )

    async def begun(self, value: Any) -> Running[Any]:
        """Begin to put a value, None: to delete, up to where the journal has it."""
        known = len(self.journal.calls)
        call = (
            partial(self.rows.delete, "a") if value is None else partial(self.rows.put, "a", value)
        )
        running = await start(call)
        while len(self.journal.calls) == known:
            await sleep(0.001)
        return running

    async def end(self, number: int, running: Running[Any]) -> None:
        self.journal.calls[number].open()
        await running.result()

    async def kept(self) -> Any:
        """Return what L1 has."""
        return await self.cache.get("row:a")


async def test_the_old_value_is_read_until_the_new_one_takes_its_place() -> None:
    async with AsyncCache() as cache:
        scene = Scene(cache)
        assert await scene.rows.get("a") == 1
        putting = await scene.begun(2)
        assert [await scene.rows.get("a"), await scene.kept()] == [1, 1]
        await scene.end(0, putting)
        assert [await scene.kept(), await scene.rows.get("a")] == [2, 2]
        assert scene.source.loads == 1
        assert cache.stats().invalidations == 1


async def test_a_deleted_entry_is_read_until_the_journal_has_it() -> None:
    async with AsyncCache() as cache:
        scene = Scene(cache)
        assert await scene.rows.get("a") == 1
        deleting = await scene.begun(None)
        assert await scene.rows.get("a") == 1
        await scene.end(0, deleting)
        assert [await scene.kept(), await scene.rows.get("a")] == [None, None]


@pytest.mark.parametrize("change", ["invalidate", "set", "expire"])
async def test_who_changes_the_entry_meanwhile_leaves_it_absent(change: str) -> None:
    async with AsyncCache() as cache:
        scene = Scene(cache)
        assert await scene.rows.get("a") == 1
        putting = await scene.begun(2)
        given = (9,) if change == "set" else ()
        await getattr(cache, change)("row:a", *given)
        await scene.end(0, putting)
        assert await scene.kept() is None
        assert await scene.rows.get("a") == 2
        assert cache.stats().fills_refused == 1


async def test_a_load_from_before_does_not_take_its_place() -> None:
    async with AsyncCache() as cache:
        scene = Scene(cache)
        loading, asked = Latch(), Latch()

        async def load() -> Any:
            asked.open()
            await loading.passed()
            return 1

        reading = await start(partial(cache.get_or_load, "row:a", load))
        await asked.passed()
        await scene.end(0, await scene.begun(2))
        loading.open()
        assert await reading.result() == 1
        assert await scene.kept() == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_of_two_writers_who_overlap_none_leaves_what_is_not_the_last(
    order: tuple[int, int],
) -> None:
    async with AsyncCache() as cache:
        scene = Scene(cache)
        putting = [await scene.begun(2), await scene.begun(3)]
        await scene.end(order[0], putting[order[0]])
        assert await scene.kept() == 2 + order[0]
        await scene.end(order[1], putting[order[1]])
        assert await scene.kept() is None
        assert await scene.rows.get("a") == 3


async def test_a_write_of_which_nothing_is_known_leaves_the_entry_absent() -> None:
    async with AsyncCache() as cache:
        scene = Scene(cache)
        assert await scene.rows.get("a") == 1
        scene.journal.lost.add(0)
        putting = await scene.begun(2)
        with pytest.raises(JournalUnavailable):
            await scene.end(0, putting)
        assert await scene.kept() is None
        assert await scene.rows.get("a") == 2


async def test_a_tag_that_is_invalidated_meanwhile_leaves_the_entry_absent() -> None:
    async with AsyncCache() as cache:
        scene = Scene(cache)
        scene.rows = cache.write_behind(
            scene.source, key="row:{}", journal=scene.journal, flusher=False, tags=["rows"], drain=0
        )
        await scene.end(0, await scene.begun(2))
        assert await scene.kept() == 2
        putting = await scene.begun(3)
        await cache.invalidate_tags("rows")
        await scene.end(1, putting)
        assert await scene.kept() is None
        assert await scene.rows.get("a") == 3

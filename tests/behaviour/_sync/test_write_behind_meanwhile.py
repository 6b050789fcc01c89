"""Write-behind in one process: what is read of an entry while its write is being accepted."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from freshwell import Cache, WriteBehind, JournalUnavailable
from freshwell._sync.stores.base import Fill
from freshwell._kit.threads import sleep
from freshwell.ground.records import Draft
from tests.behaviour._sync.journals import Ledger as Records
from tests.behaviour._sync.journals import MemoryJournal
from tests.behaviour._sync.ledger import Ledger
from tests.support.threads import Latch, Running, start


class Held(MemoryJournal):
    """Has what it is given, and says so when the latch of that call is opened, or raises then."""

    def __init__(self) -> None:
        super().__init__(Records())
        self.calls: list[Latch] = []
        self.lost: set[int] = set()

    def accept(self, drafts: Sequence[Draft], entries: Sequence[Fill] = ()) -> list[int]:
        sequences = super().accept(drafts, entries)
        number, latch = len(self.calls), Latch()
        self.calls.append(latch)
        latch.passed()
        if number in self.lost:
            raise JournalUnavailable("the answer was lost")
        return sequences


class Scene:
    """A cache with one entry, and writers that are held."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.source = Ledger(a=1)
        self.journal = Held()
        self.rows: WriteBehind[Any] = cache.write_behind(
            self.source, key="row:{}", journal=self.journal, flusher=False, drain=0
        )

    def begun(self, value: Any) -> Running[Any]:
        """Begin to put a value, None: to delete, up to where the journal has it."""
        known = len(self.journal.calls)
        call = (
            partial(self.rows.delete, "a") if value is None else partial(self.rows.put, "a", value)
        )
        running = start(call)
        while len(self.journal.calls) == known:
            sleep(0.001)
        return running

    def end(self, number: int, running: Running[Any]) -> None:
        self.journal.calls[number].open()
        running.result()

    def kept(self) -> Any:
        """Return what L1 has."""
        return self.cache.get("row:a")


def test_the_old_value_is_read_until_the_new_one_takes_its_place() -> None:
    with Cache() as cache:
        scene = Scene(cache)
        assert scene.rows.get("a") == 1
        putting = scene.begun(2)
        assert [scene.rows.get("a"), scene.kept()] == [1, 1]
        scene.end(0, putting)
        assert [scene.kept(), scene.rows.get("a")] == [2, 2]
        assert scene.source.loads == 1
        assert cache.stats().invalidations == 1


def test_a_deleted_entry_is_read_until_the_journal_has_it() -> None:
    with Cache() as cache:
        scene = Scene(cache)
        assert scene.rows.get("a") == 1
        deleting = scene.begun(None)
        assert scene.rows.get("a") == 1
        scene.end(0, deleting)
        assert [scene.kept(), scene.rows.get("a")] == [None, None]


@pytest.mark.parametrize("change", ["invalidate", "set", "expire"])
def test_who_changes_the_entry_meanwhile_leaves_it_absent(change: str) -> None:
    with Cache() as cache:
        scene = Scene(cache)
        assert scene.rows.get("a") == 1
        putting = scene.begun(2)
        given = (9,) if change == "set" else ()
        getattr(cache, change)("row:a", *given)
        scene.end(0, putting)
        assert scene.kept() is None
        assert scene.rows.get("a") == 2
        assert cache.stats().fills_refused == 1


def test_a_load_from_before_does_not_take_its_place() -> None:
    with Cache() as cache:
        scene = Scene(cache)
        loading, asked = Latch(), Latch()

        def load() -> Any:
            asked.open()
            loading.passed()
            return 1

        reading = start(partial(cache.get_or_load, "row:a", load))
        asked.passed()
        scene.end(0, scene.begun(2))
        loading.open()
        assert reading.result() == 1
        assert scene.kept() == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_writers_who_overlap_none_leaves_what_is_not_the_last(
    order: tuple[int, int],
) -> None:
    with Cache() as cache:
        scene = Scene(cache)
        putting = [scene.begun(2), scene.begun(3)]
        scene.end(order[0], putting[order[0]])
        assert scene.kept() == 2 + order[0]
        scene.end(order[1], putting[order[1]])
        assert scene.kept() is None
        assert scene.rows.get("a") == 3


def test_a_write_of_which_nothing_is_known_leaves_the_entry_absent() -> None:
    with Cache() as cache:
        scene = Scene(cache)
        assert scene.rows.get("a") == 1
        scene.journal.lost.add(0)
        putting = scene.begun(2)
        with pytest.raises(JournalUnavailable):
            scene.end(0, putting)
        assert scene.kept() is None
        assert scene.rows.get("a") == 2


def test_a_tag_that_is_invalidated_meanwhile_leaves_the_entry_absent() -> None:
    with Cache() as cache:
        scene = Scene(cache)
        scene.rows = cache.write_behind(
            scene.source, key="row:{}", journal=scene.journal, flusher=False, tags=["rows"], drain=0
        )
        scene.end(0, scene.begun(2))
        assert scene.kept() == 2
        putting = scene.begun(3)
        cache.invalidate_tags("rows")
        scene.end(1, putting)
        assert scene.kept() is None
        assert scene.rows.get("a") == 3

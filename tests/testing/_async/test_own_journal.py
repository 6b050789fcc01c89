"""A journal that somebody else has written passes the suite, and write-behind works with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from freshwell import AsyncCache, ConfigurationError
from freshwell.testing import Chaos
from freshwell.testing.conformance import AsyncJournalConformance
from tests.testing._async.own_journal import OwnJournal


class TestOwnJournal(AsyncJournalConformance):
    kept = False

    @pytest.fixture
    def make(self) -> Callable[..., OwnJournal]:
        return OwnJournal


class Rows:
    """A source in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, str] = {}

    async def load(self, id: int) -> str | None:
        return self.rows.get(id)

    async def save(self, id: int, value: str) -> None:
        self.rows[id] = value


async def test_write_behind_keeps_its_promises_with_it() -> None:
    rows, journal = Rows(), OwnJournal()
    async with AsyncCache() as cache:
        names = cache.write_behind(rows, key="name:{}", journal=journal, flusher=False)
        ack = await names.put(1, "a")
        assert (ack.durability, rows.rows) == ("memory", {})
        assert await names.get(1) == "a"
        assert (await names.backlog()).records == 1
        await names.start(flush=True)
        await names.flush()
        assert rows.rows == {1: "a"}
    with pytest.raises(Exception, match="the list is closed"):
        await journal.backlog()


async def test_with_redis_what_waits_in_it_is_read_first(redis_url: str) -> None:
    rows = Rows()
    async with AsyncCache(redis_url, command_timeout=5, connect_timeout=5) as cache:
        names = cache.write_behind(rows, key="name:{}", journal=OwnJournal(), flusher=False)
        await names.put(1, "a")
        await cache.invalidate("name:1")
        assert await names.get(1) == "a"
        await names.start(flush=True)
        await names.flush()
    assert rows.rows == {1: "a"}


async def test_chaos_reaches_it_too() -> None:
    chaos, cache = Chaos(), AsyncCache()
    chaos.into(cache)
    async with cache:
        names = cache.write_behind(Rows(), key="name:{}", journal=OwnJournal())
        await names.put(1, "a")
        await names.flush()
    assert chaos.calls["journal.accept"] == 1


class Half:
    """Accepts and settles, and that is all."""

    durability = OwnJournal.durability
    together = False

    async def accept(self) -> None: ...

    async def settle(self) -> None: ...


class Undurable(OwnJournal):
    durability: Any = "memory"


class Together(OwnJournal):
    together = True


@pytest.mark.parametrize(
    ("journal", "options", "word"),
    [
        (Half(), {}, "Half lacks check, latest, own"),
        (Undurable(), {}, "its `durability` must be one of"),
        (Together(), {}, "its `together` False"),
        (OwnJournal(), {"durability": "local"}, "a OwnJournal gives 'memory'"),
    ],
    ids=["half", "undurable", "together", "another durability"],
)
async def test_an_object_that_can_be_no_journal_is_refused(
    journal: Any, options: dict[str, Any], word: str
) -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match=word):
            cache.write_behind(Rows(), key="name:{}", journal=journal, **options)

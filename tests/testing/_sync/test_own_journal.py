"""A journal that somebody else has written passes the suite, and write-behind works with it."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from typing import Any

import pytest

from freshwell import Cache, ConfigurationError
from freshwell.testing import Chaos
from freshwell.testing.conformance import JournalConformance
from tests.testing._sync.own_journal import OwnJournal


class TestOwnJournal(JournalConformance):
    kept = False

    @pytest.fixture
    def make(self) -> Callable[..., OwnJournal]:
        return OwnJournal


class Rows:
    """A source in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, str] = {}

    def load(self, id: int) -> str | None:
        return self.rows.get(id)

    def save(self, id: int, value: str) -> None:
        self.rows[id] = value


def test_write_behind_keeps_its_promises_with_it() -> None:
    rows, journal = Rows(), OwnJournal()
    with Cache() as cache:
        names = cache.write_behind(rows, key="name:{}", journal=journal, flusher=False)
        ack = names.put(1, "a")
        assert (ack.durability, rows.rows) == ("memory", {})
        assert names.get(1) == "a"
        assert names.backlog().records == 1
        names.start(flush=True)
        names.flush()
        assert rows.rows == {1: "a"}
    with pytest.raises(Exception, match="the list is closed"):
        journal.backlog()


def test_with_redis_what_waits_in_it_is_read_first(redis_url: str) -> None:
    rows = Rows()
    with Cache(redis_url, command_timeout=5, connect_timeout=5) as cache:
        names = cache.write_behind(rows, key="name:{}", journal=OwnJournal(), flusher=False)
        names.put(1, "a")
        cache.invalidate("name:1")
        assert names.get(1) == "a"
        names.start(flush=True)
        names.flush()
    assert rows.rows == {1: "a"}


def test_chaos_reaches_it_too() -> None:
    chaos, cache = Chaos(), Cache()
    chaos.into(cache)
    with cache:
        names = cache.write_behind(Rows(), key="name:{}", journal=OwnJournal())
        names.put(1, "a")
        names.flush()
    assert chaos.calls["journal.accept"] == 1


class Half:
    """Accepts and settles, and that is all."""

    durability = OwnJournal.durability
    together = False

    def accept(self) -> None: ...

    def settle(self) -> None: ...


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
def test_an_object_that_can_be_no_journal_is_refused(
    journal: Any, options: dict[str, Any], word: str
) -> None:
    with Cache() as cache:
        with pytest.raises(ConfigurationError, match=word):
            cache.write_behind(Rows(), key="name:{}", journal=journal, **options)

"""What write-behind is told: each option is checked at once, by name."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from freshwell.errors import ConfigurationError
from freshwell.ground.journaling import BehindOptions, JournalKind, journal_name, journal_spec
from freshwell.ground.records import Durability

MS = 1_000_000
SECOND = 1_000 * MS

GOOD: dict[str, Any] = {
    "batch": 500,
    "flush_every": "100ms",
    "max_backlog": 1_000,
    "max_backlog_bytes": 1 << 20,
    "on_full": "reject",
    "full_wait": 0,
    "max_attempts": 3,
    "retry_after": 0.5,
    "retry_at_most": timedelta(minutes=1),
    "max_dead": 0,
    "coalesce": False,
    "shards": 4,
    "replicas": 2,
    "assume_durable": True,
    "flusher": False,
    "drain": "2s",
}
NO_DURATION: list[Any] = [math.inf, math.nan, -1, "soon", True, [], None]
NO_COUNT: list[Any] = [0, -1, 1.5, "5", None, True, math.inf]
NO_BOOL: list[Any] = [None, 0, 1, "yes"]
BAD: dict[str, list[Any]] = {
    "batch": NO_COUNT,
    "flush_every": [0, *NO_DURATION],
    "max_backlog": NO_COUNT,
    "max_backlog_bytes": NO_COUNT,
    "on_full": [None, "", "BLOCK", True, "wait"],
    "full_wait": NO_DURATION,
    "max_attempts": NO_COUNT,
    "retry_after": [0, *NO_DURATION],
    "retry_at_most": [0, 0.4, *NO_DURATION],
    "max_dead": [-1, 1.5, None, True],
    "coalesce": NO_BOOL,
    "shards": [257, *NO_COUNT],
    "replicas": NO_COUNT,
    "assume_durable": NO_BOOL,
    "flusher": NO_BOOL,
    "drain": NO_DURATION,
}


def options(**changes: Any) -> BehindOptions:
    return BehindOptions.checked(**(GOOD | changes))


def test_good_options_become_integers() -> None:
    made = options()
    assert (made.flush_every_ns, made.full_wait_ns, made.blocks) == (100 * MS, 0, False)
    assert (made.retry_ns, made.retry_most_ns) == (SECOND // 2, 60 * SECOND)
    assert (made.drain_ns, made.shards, made.replicas, made.flusher) == (2 * SECOND, 4, 2, False)
    assert options(on_full="block").blocks


def test_the_flusher_gets_its_part() -> None:
    part = options().flush_options
    assert (part.batch, part.flush_every_ns, part.coalesce) == (500, 100 * MS, False)
    assert (part.max_attempts, part.retry_base_ns, part.retry_most_ns) == (
        3,
        SECOND // 2,
        60 * SECOND,
    )


def test_every_option_has_its_bad_values_here() -> None:
    assert set(BAD) == set(GOOD)


@pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(name, bad, id=f"{name}={bad!r}"[:60]) for name in BAD for bad in BAD[name]],
)
def test_a_bad_option_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} is "):
        options(**{name: value})


@pytest.mark.parametrize(
    ("journal", "kind", "durability", "place"),
    [
        ("memory", JournalKind.MEMORY, Durability.MEMORY, None),
        ("sqlite:///pending.db", JournalKind.FILE, Durability.LOCAL, "pending.db"),
        ("sqlite:////var/pending.db", JournalKind.FILE, Durability.LOCAL, "/var/pending.db"),
        ("redis", JournalKind.BESIDE, Durability.REDIS, None),
        ("redis://other:6379/1", JournalKind.APART, Durability.REDIS, "redis://other:6379/1"),
    ],
)
def test_a_journal_is_named_by_where_it_is(
    journal: str, kind: JournalKind, durability: Durability, place: str | None
) -> None:
    assert journal_spec(journal, None, shared=True) == (kind, durability, place)
    assert journal_spec(journal, durability.value, shared=True).durability is durability


def test_a_client_may_name_a_redis_of_its_own() -> None:
    client = object()
    assert journal_spec(client, "redis+wait", shared=False) == (
        JournalKind.APART,
        Durability.REDIS_WAIT,
        client,
    )


@pytest.mark.parametrize(
    "journal",
    [None, "", "pending.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:pending.db"],
)
def test_what_names_no_journal_is_refused_with_what_does(journal: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^journal is .*sqlite:///"):
        journal_spec(journal, None, shared=True)


def test_a_journal_beside_the_entries_needs_entries_in_redis() -> None:
    with pytest.raises(ConfigurationError, match="give the cache a URL"):
        journal_spec("redis", None, shared=False)


@pytest.mark.parametrize(
    ("journal", "durability"),
    [
        ("memory", "local"),
        ("sqlite:///pending.db", "redis"),
        ("redis", "local"),
        ("redis://user:secret@other", "memory"),
        ("redis", "REDIS"),
        ("redis", "fsync"),
    ],
)
def test_a_durability_that_the_journal_cannot_give_is_refused(
    journal: str, durability: str
) -> None:
    with pytest.raises(ConfigurationError, match="durability is") as caught:
        journal_spec(journal, durability, shared=True)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("user:{}", "user"),
        ("shop/{id}:order", "shop-id-order"),
        ("{}", "journal"),
        ("a" * 99 + ":{}", "a" * 64),
    ],
)
def test_a_journal_is_called_after_its_keys(template: str, name: str) -> None:
    assert journal_name(None, template) == name


@pytest.mark.parametrize("name", ["", "a b", "a{b}", "x" * 65, 5])
def test_a_name_that_cannot_be_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^name is "):
        journal_name(name, "user:{}")

"""Caches with a spool, a source that changes, and replays that wait until a test lets them go."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from freshwell import Cache
from freshwell._sync.coordination.writes import Writes
from freshwell._kit.threads import sleep
from freshwell.ground.spooling import Missed
from tests.support.threads import Latch

__all__ = [
    "ACTS",
    "TAGS",
    "Act",
    "Held",
    "Source",
    "assert_withheld",
    "by_key",
    "by_tag",
    "cache_of",
    "hold_replays",
    "is_told",
    "load_of",
    "reaches",
]


TAGS: list[str | Callable[[int], str]] = ["t", lambda value: "all"]

Act = Callable[[Cache], None]


class Source:
    """A source of one number, which counts how often it is asked."""

    def __init__(self) -> None:
        self.value = 1
        self.calls = 0

    def load(self) -> int:
        self.calls += 1
        return self.value


class Held:
    """Replays that wait. `let_go`: now and later they do not."""

    def __init__(self) -> None:
        self.begun, self._may_go = Latch(), Latch()

    def let_go(self) -> None:
        self._may_go.open()

    def passed(self) -> None:
        self.begun.open()
        self._may_go.passed()


def cache_of(url: str, **options: Any) -> Cache:
    """Return a cache without early refresh, for a busy machine, that closes at once."""
    return Cache(
        url, **{"command_timeout": 2, "connect_timeout": 2, "drain": 0, "beta": 0} | options
    )


def hold_replays(patch: pytest.MonkeyPatch) -> Held:
    """Let whatever a spool tells L2 from now on wait."""
    held = Held()
    tell: Callable[[Writes, Sequence[Missed]], None] = Writes._tell

    def late(writes: Writes, missed: Sequence[Missed]) -> None:
        held.passed()
        tell(writes, missed)

    patch.setattr(Writes, "_tell", late)
    return held


def is_told(cache: Cache) -> bool:
    """Tell whether nothing waits in the spool."""
    return cache.stats().spool_records == 0


def reaches(*caches: Cache) -> None:
    """Wait until L2 answers caches again: a link rests for a moment after it could not be made."""
    for cache in caches:
        for _ in range(2_000):
            if cache.lookup("nothing").reason != "l2 down":
                break
            sleep(0.01)
        else:
            raise AssertionError("L2 does not answer")


def by_key(cache: Cache) -> None:
    cache.namespace("reports").invalidate("a")


def by_tag(cache: Cache) -> None:
    cache.invalidate_tags("t")


def by_tag_of_the_value(cache: Cache) -> None:
    cache.invalidate_tags("all")


def by_namespace(cache: Cache) -> None:
    cache.namespace("reports").clear()


def by_expiring(cache: Cache) -> None:
    cache.namespace("reports").expire("a")


ACTS: list[Act] = [by_key, by_tag, by_tag_of_the_value, by_namespace, by_expiring]


def load_of(source: Source, cache: Cache) -> Callable[[], int]:
    """Return a call that reads the entry, or loads it."""
    reports = cache.namespace("reports")
    return partial(reports.get_or_load, "a", source.load, tags=TAGS)


def assert_withheld(cache: Cache, source: Source) -> None:
    """Assert that whatever reads the entry is given what the source has, or nothing."""
    reports, load = cache.namespace("reports"), load_of(source, cache)
    for _ in range(2):
        calls = source.calls
        assert load() == source.value
        assert source.calls == calls + 1, "it is not stored"
        assert reports.get("a") is None
        assert reports.get("a", read="fresh") is None
        assert reports.get_many(["a"]) == {}
        many = reports.get_or_load_many(["a"], partial(load_many, source), tags=TAGS)
        assert many == {"a": source.value}
        assert not reports.lookup("a").found


def load_many(source: Source, keys: list[str]) -> dict[str, int]:
    return dict.fromkeys(keys, source.value)

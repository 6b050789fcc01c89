"""Refreshes in the background, and those who come to need what they bring."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell import Cache
from freshwell._kit.threads import sleep
from tests.behaviour._sync.parts import Held, Loader, Make
from tests.support.threads import start, until


class Failing(Held):
    """Raises when it is let go."""

    def __call__(self) -> int:
        super().__call__()
        raise LookupError("gone")


def past_its_ttl(cache: Cache) -> None:
    cache.get_or_load("a", Loader(), ttl=0.05, stale_ttl=60, jitter=0)
    sleep(0.1)


def refreshed_by(cache: Cache, load: Held) -> None:
    """Let a refresh begin."""
    assert cache.get_or_load("a", load, stale_ttl=60) == 1
    load.begun.passed()


def has_missed(cache: Cache, misses: int) -> bool:
    return cache.stats().misses >= misses


def test_who_needs_what_is_being_refreshed_waits_for_that(make: Make) -> None:
    with make() as cache:
        past_its_ttl(cache)
        load, other = Held(), Loader()
        load.calls = 1
        refreshed_by(cache, load)
        callers = [start(partial(cache.get_or_load, "a", other)) for _ in range(5)]
        until(partial(has_missed, cache, 6), "they wait")
        sleep(0.05)
        load.let_go.open()
        assert [caller.result() for caller in callers] == [2] * 5
        assert (other.calls, cache.stats().loads) == (0, 2), "one load at a time"


def test_many_wait_for_a_refresh_too(make: Make) -> None:
    with make() as cache:
        past_its_ttl(cache)
        load, asked = Held(), []
        load.calls = 1

        def other(keys: list[str]) -> dict[str, int]:
            asked.extend(keys)
            return dict.fromkeys(keys, 9)

        refreshed_by(cache, load)
        caller = start(partial(cache.get_or_load_many, ["a", "b"], other))
        until(partial(has_missed, cache, 3), "it waits")
        sleep(0.05)
        load.let_go.open()
        assert caller.result() == {"a": 2, "b": 9}
        assert asked == ["b"]


def test_who_waits_for_a_refresh_is_told_of_its_failure(make: Make) -> None:
    with make() as cache:
        past_its_ttl(cache)
        load = Failing()
        refreshed_by(cache, load)
        caller = start(partial(cache.get_or_load, "a", Loader()))
        until(partial(has_missed, cache, 2), "it waits")
        sleep(0.05)
        load.let_go.open()
        with pytest.raises(LookupError, match="gone"):
            caller.result()


def test_who_asks_after_an_invalidation_does_not_wait_for_a_refresh(make: Make) -> None:
    with make() as cache:
        past_its_ttl(cache)
        load = Held()
        refreshed_by(cache, load)
        cache.invalidate("a")
        other = Loader()
        other.calls = 6
        assert cache.get_or_load("a", other) == 7
        load.let_go.open()
        until(lambda: cache.stats().in_flight == 0, "all are over")
        assert cache.get("a") == 7


def test_what_is_being_loaded_is_not_refreshed_besides(make: Make) -> None:
    with make() as cache:
        past_its_ttl(cache)
        load, other = Held(), Loader()
        load.calls = 1
        caller = start(partial(cache.get_or_load, "a", load))
        load.begun.passed()
        assert cache.get_or_load("a", other, stale_ttl=60) == 1
        sleep(0.05)
        load.let_go.open()
        assert caller.result() == 2
        assert other.calls == 0


def test_an_early_refresh_keeps_nobody_waiting(redis_url: str) -> None:
    with Cache(redis_url, l1=False, ttl=60) as cache:

        def slow() -> int:
            sleep(0.02)
            return 1

        cache.get_or_load("a", slow)
        load = Held()
        read = partial(cache.get_or_load, "a", load, beta=99_999)
        while not load.calls:
            assert read() == 1
            sleep(0.005)
        assert read() == read(read="fresh") == cache.get("a") == 1
        load.let_go.open()
        assert cache.stats().early_refreshes == load.calls == 1

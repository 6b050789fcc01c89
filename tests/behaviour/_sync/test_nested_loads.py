"""Loads that wait for other loads, where there are no more slots than the outer ones have."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import Cache, LoadShed
from freshwell.testing import Chaos
from tests.behaviour._sync.parts import Held, Loader, Make, listening, of
from tests.support.threads import Latch, Running, start, until

_FULL: dict[str, Any] = {"max_loads": 1, "load_wait": 3}
"""One slot, and longer for it than any test here has to wait."""


class Outer:
    """A loader that reads the cache when it is let go, holding the only slot meanwhile."""

    def __init__(self, cache: Cache, inner: Loader, *, many: bool = False) -> None:
        self.begun, self.let_go = Latch(), Latch()
        self._cache, self._inner, self._many = cache, inner, many

    def __call__(self) -> int:
        self.begun.open()
        self.let_go.passed()
        if not self._many:
            return 10 + self._cache.get_or_load("inner", self._inner)

        def load(keys: list[str]) -> dict[str, int]:
            return {key: self._inner() for key in keys}

        return 10 + self._cache.get_or_load_many(["inner", "more"], load)["inner"]


def _others(cache: Cache, load: Loader, key: str = "inner") -> Running[int]:
    """Let somebody else begin a load, which waits for a slot."""
    misses = cache.stats().misses
    running = start(partial(cache.get_or_load, key, load))
    until(lambda: cache.stats().misses > misses, "it has looked into the tiers")
    until(lambda: key in cache._core.engine().aside.names(), "its load is under way")
    return running


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_load_that_waits_for_anothers_lends_it_its_slot(make: Make, many: bool) -> None:
    with make(**_FULL) as cache:
        load = Loader()
        outer = Outer(cache, load, many=many)
        first = start(partial(cache.get_or_load, "outer", outer))
        outer.begun.passed()
        other = _others(cache, load)
        outer.let_go.open()
        assert first.result() == 10 + other.result()
        assert load.calls == 1 + many, "each key is loaded once"
        assert cache.stats().shed == 0


def test_a_load_that_waits_for_a_refresh_lends_it_its_slot() -> None:
    with Cache(**_FULL) as cache:
        load = Loader()
        cache.get_or_load("inner", load, stale_ttl=60)
        cache.expire("inner")
        outer = Outer(cache, load)
        first = start(partial(cache.get_or_load, "outer", outer))
        outer.begun.passed()
        assert cache.get_or_load("inner", load, stale_ttl=60) == 1
        until(lambda: cache.stats().in_flight == 2, "it is being refreshed")
        outer.let_go.open()
        assert first.result() == 12
        assert load.calls == 2


def test_a_load_that_no_load_waits_for_is_shed_as_ever() -> None:
    with Cache(max_loads=1, load_wait=0.2) as cache:
        load = Held()
        outer = Outer(cache, load)
        first = start(partial(cache.get_or_load, "outer", outer))
        outer.begun.passed()
        other, apart = _others(cache, load), _others(cache, Loader(), "apart")
        outer.let_go.open()
        load.begun.passed()
        with pytest.raises(LoadShed):
            apart.result()
        load.let_go.open()
        assert (first.result(), other.result()) == (11, 1)
        assert cache.stats().shed == 1
        assert cache.get_or_load("apart", Loader()) == 1, "the slot is free again"
        gate = cache._core.engine().tiers.gate
        assert gate.enter(0)
        assert not gate.enter(0), "and there is no other"


def test_a_load_lends_its_slot_to_one_that_another_is_about_to_begin(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    with of(redis_url, max_loads=1, load_wait=0) as cache:
        chaos.into(cache)
        listening(cache)
        outer = Outer(cache, load)
        first = start(partial(cache.get_or_load, "outer", outer))
        outer.begun.passed()
        chaos.delay("store.fetch", 0.3, times=1)
        looks, misses = chaos.calls["store.fetch"], cache.stats().misses
        other = start(partial(cache.get_or_load, "inner", load))
        until(lambda: chaos.calls["store.fetch"] > looks, "it looks")
        outer.let_go.open()
        assert first.result() == 11
        assert other.result() == 1
        assert cache.stats().misses - misses == 2
        assert load.calls == 1


def test_a_load_does_not_share_the_fate_of_one_that_was_shed_already(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    with of(redis_url, max_loads=1, load_wait=0) as cache:
        chaos.into(cache)
        listening(cache)
        outer = Outer(cache, load)
        first = start(partial(cache.get_or_load, "outer", outer))
        outer.begun.passed()
        chaos.delay("store.release", 0.3, times=1)
        other = _others(cache, load)
        until(lambda: chaos.calls["store.release"] > 0, "it gives its lease back")
        outer.let_go.open()
        with pytest.raises(LoadShed):
            other.result()
        assert first.result() == 11

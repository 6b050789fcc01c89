"""Callers of a cold key who do not load it: what they wait for, what they get, what is counted."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell import Cache
from freshwell._kit.threads import sleep
from freshwell.testing import Chaos
from tests.behaviour._sync.parts import Held, Loader, Make, listening, of, rests
from tests.support.threads import Running, start, until

_CALLERS = 20
_LOOK_S = 0.3
"""How long the first caller's look into L2 takes."""


def _crowd(
    cache: Cache, chaos: Chaos, load: Loader, callers: int = _CALLERS
) -> list[Running[int]]:
    """Let one caller look into L2, and others ask while it does."""
    looks = chaos.calls["store.fetch"]
    first = start(partial(cache.get_or_load, "a", load))
    until(lambda: chaos.calls["store.fetch"] == looks + 1, "it looks")
    return [first, *[start(partial(cache.get_or_load, "a", load)) for _ in range(callers)]]


def test_who_asks_while_another_looks_into_l2_gets_its_load(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    with of(redis_url) as cache:
        chaos.into(cache)
        listening(cache)
        chaos.delay("store.fetch", _LOOK_S, times=1)
        looks, before = chaos.calls["store.fetch"], cache.stats()
        crowd = _crowd(cache, chaos, load)
        assert [caller.result() for caller in crowd] == [1] * (_CALLERS + 1)
        after = cache.stats()
    assert chaos.calls["store.fetch"] == looks + 1, "one look is enough"
    assert after.misses - before.misses == _CALLERS + 1
    assert (after.hits_l1, after.hits_l2) == (before.hits_l1, before.hits_l2)
    assert after.loads == load.calls == 1


def test_who_asks_while_another_looks_into_l2_gets_what_it_finds(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    with of(redis_url) as other, of(redis_url) as cache:
        chaos.into(cache)
        listening(cache)
        other.get_or_load("a", load)
        until(lambda: cache.stats().notices >= 2, "the feed has told of lease and value")
        chaos.delay("store.fetch", _LOOK_S, times=1)
        looks, before = chaos.calls["store.fetch"], cache.stats()
        crowd = _crowd(cache, chaos, load)
        assert [caller.result() for caller in crowd] == [1] * (_CALLERS + 1)
        after = cache.stats()
    assert chaos.calls["store.fetch"] == looks + 1, "L1 has it then"
    assert after.misses == before.misses
    assert (after.hits_l1 - before.hits_l1, after.hits_l2 - before.hits_l2) == (_CALLERS, 1)
    assert load.calls == 1


def test_all_who_wait_for_a_look_get_the_loaders_exception(redis_url: str) -> None:
    chaos, boom = Chaos(), ValueError("boom")

    class Failing(Loader):
        def __call__(self) -> int:
            super().__call__()
            raise boom

    with of(redis_url) as cache:
        chaos.into(cache)
        listening(cache)
        chaos.delay("store.fetch", _LOOK_S, times=1)
        load, before = Failing(), cache.stats().misses
        for caller in _crowd(cache, chaos, load):
            with pytest.raises(ValueError, match="boom") as raised:
                caller.result()
            assert raised.value is boom
        assert load.calls == 1
        assert cache.stats().misses - before == _CALLERS + 1


def test_where_the_look_fails_all_share_a_load_without_l2(redis_url: str) -> None:
    chaos, load = Chaos(), Held()
    with of(redis_url) as cache:
        chaos.into(cache)
        listening(cache)
        chaos.half_open("store.fetch", _LOOK_S, times=1)
        chaos.fail("store.acquire")
        crowd = _crowd(cache, chaos, load)
        load.let_go.open()
        assert [caller.result() for caller in crowd] == [1] * (_CALLERS + 1)
        assert load.calls == 1


def test_an_invalidation_during_the_look_is_not_undone_by_who_waits(redis_url: str) -> None:
    chaos, load = Chaos(), Loader()
    with of(redis_url) as other, of(redis_url) as cache:
        chaos.into(cache)
        listening(cache)
        other.get_or_load("a", load)
        chaos.delay("store.fetch", _LOOK_S, times=1)
        crowd = _crowd(cache, chaos, load, callers=1)
        cache.invalidate("a")
        late = [start(partial(cache.get_or_load, "a", load)) for _ in range(5)]
        assert [caller.result() for caller in late] == [2] * 5
        for caller in crowd:
            assert caller.result() in (1, 2)
        assert cache.get_or_load("a", load) == load.calls == 2


def test_who_could_not_use_anothers_load_leases_its_own(make: Make) -> None:
    with make(l2_timeout=0.05) as cache:
        load = Held()
        first = start(partial(cache.get_or_load, "a", load))
        load.begun.passed()
        second = start(partial(cache.get_or_load, "a", load, read="source"))
        until(lambda: cache.stats().misses == 2, "it waits")
        sleep(0.1)  # longer than L2 may take
        load.let_go.open()
        assert first.result() == 1
        assert second.result() == 2
        assert cache.stats().loads_alone == 0


def test_who_asks_l2_is_not_given_what_a_leader_has_judged_by_memory(redis_url: str) -> None:
    chaos, old, new = Chaos(), Held(), Loader()
    with of(redis_url) as other, of(redis_url, max_staleness=10) as cache:
        chaos.into(cache)
        listening(cache)
        cache.get_or_load("b", Loader(), tags=["x"])
        rests(cache, "b")  # so it remembers the tag
        heard = chaos.calls["feed.receive"]
        chaos.delay("feed.receive", 3, times=1)
        other.set("c", 1)
        until(lambda: chaos.calls["feed.receive"] > heard, "it hears nothing more")
        lessee = start(partial(other.get_or_load, "a", old, tags=["x"]))
        old.begun.passed()
        waits = cache.stats().lease_waits
        leader = start(partial(cache.get_or_load, "a", new, tags=["x"]))
        until(lambda: cache.stats().lease_waits > waits, "it waits for the other")
        old.let_go.open()
        assert lessee.result() == 1
        new.calls = 1  # the source changes
        other.invalidate_tags("x")
        rider = start(partial(cache.get_or_load, "a", new, tags=["x"], read="fresh"))
        assert leader.result() in (1, 2)
        assert rider.result() == 2

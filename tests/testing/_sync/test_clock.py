"""A cache goes by the clock that it is given, wherever it looks at the time."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import logging
from functools import partial

import pytest

from freshwell import Cache
from freshwell.testing import CountingLoader, FakeClock
from tests.behaviour._sync.parts import listening
from tests.support.threads import until


def has_failed(cache: Cache, times: int) -> bool:
    return cache.stats().refresh_errors == times


def test_entries_end_by_the_clock_and_not_before(clock: FakeClock) -> None:
    loads = CountingLoader({1: "tea"})
    with Cache(ttl="10m", jitter=0, beta=0, clock=clock) as cache:
        names = cache.read_through(loads, key="name:{}")
        assert names.get(1) == "tea"
        clock.advance(599)
        assert names.get(1) == "tea"
        loads.assert_once_each(1)
        clock.advance(2)
        assert names.get(1) == "tea"
        loads.assert_calls({1: 2})


def test_a_decorated_function_goes_by_it_too(clock: FakeClock) -> None:
    cache = Cache(jitter=0, beta=0, clock=clock)
    loads = CountingLoader(lambda n: n * n)

    @cache.cached("square:{n}", ttl="1m")
    def square(n: int) -> int | None:
        return loads(n)

    assert [square(3), square(3)] == [9, 9]
    clock.advance(61)
    assert square(3) == 9
    loads.assert_calls({3: 2})
    cache.close()


def test_an_entry_becomes_stale_and_then_expired(clock: FakeClock) -> None:
    with Cache(ttl="1m", stale_ttl="1h", jitter=0, clock=clock) as cache:
        cache.set("a", 1)
        clock.advance(30)
        fresh = cache.lookup("a")
        assert (fresh.state, fresh.age_s, fresh.ttl_left_s) == ("fresh", 30.0, 30.0)
        clock.advance(31)
        stale = cache.lookup("a")
        assert (stale.state, stale.ttl_left_s) == ("stale", -1.0)
        clock.advance(3_600)
        assert not cache.lookup("a").found


def test_incidents_are_said_once_a_minute_of_the_clock(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> int:
        raise ValueError

    with Cache(ttl=1, stale_ttl="1h", jitter=0, clock=clock) as cache:
        cache.set("a", 1)
        with caplog.at_level(logging.WARNING, "freshwell"):
            for failures in range(1, 4):
                clock.advance(45)
                assert cache.get_or_load("a", fails) == 1
                until(partial(has_failed, cache, failures))
    assert len(caplog.records) == 2


def test_with_redis_it_is_this_process_alone_that_goes_by_it(
    clock: FakeClock, redis_url: str
) -> None:
    with Cache(
        redis_url, ttl="1m", jitter=0, clock=clock, command_timeout=5, connect_timeout=5
    ) as cache:
        listening(cache)
        cache.set("a", 1)
        until(lambda: cache.stats().notices > 0, "the cache has heard of its own write")
        clock.advance(3_600)
        assert not cache.stats().l1_live
        found = cache.lookup("a")
        assert (found.value, found.state, found.tier) == (1, "fresh", "l2")
        until(lambda: cache.stats().l1_live, "the feed is proven at the new time")

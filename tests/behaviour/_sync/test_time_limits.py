"""A source that is slow: who waits for how long, what they get, and what becomes of the load."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Mapping
from typing import Any

import pytest

from freshwell import Cache, ConfigurationError, LoadError, LoadShed, LoadTimeout
from freshwell._kit.threads import ASYNCHRONOUS, sleep
from tests.behaviour._sync.failing import Slow, with_stale
from tests.behaviour._sync.parts import Held, Make
from tests.support.threads import start, until

ON_ERROR: dict[str, Any] = {"stale_ttl": 600, "stale_serve": "error"}


def test_after_the_soft_limit_the_stale_entry_is_served_and_the_load_goes_on(
    make: Make,
) -> None:
    load = Slow()
    with make(**ON_ERROR, load_soft_timeout=0.02) as cache:
        with_stale(cache, "a", load)
        assert cache.get_or_load("a", load) == 1
        assert cache.get_or_load("a", load) == 1, "a second caller joins, and loses patience"
        assert load.calls == 2
        assert cache.stats().soft_timeouts == 2
        assert cache.stats().stale_serves == 2
        assert cache.stats().stale_on_error == 0
        load.let_go.open()
        until(lambda: cache.stats().fills == 2, "the load is stored")
        assert cache.get_or_load("a", load) == 2
        assert load.calls == 2


def test_without_something_stale_the_soft_limit_does_not_count(make: Make) -> None:
    load = Slow()
    with make(**ON_ERROR, load_soft_timeout=0.02) as cache:
        with_stale(cache, "a", load)
        cache.invalidate("a")
        call = start(lambda: cache.get_or_load("a", load))
        until(lambda: load.calls == 2, "it loads")
        many = start(lambda: cache.get_or_load_many(["a"], lambda keys: load_many(keys)))
        load.let_go.open()
        assert call.result() == 2
        assert many.result() == {"a": 2}
        assert cache.stats().soft_timeouts == 0


def load_many(keys: list[str]) -> Mapping[str, int]:
    return dict.fromkeys(keys, 2)


def test_what_is_invalidated_while_one_waits_is_not_served() -> None:
    load = Slow()
    with Cache(**ON_ERROR, load_soft_timeout=0.5) as cache:
        with_stale(cache, "a", load)
        call = start(lambda: cache.get_or_load("a", load))
        until(lambda: load.calls == 2, "it loads")
        cache.invalidate("a")
        until(lambda: load.calls == 3, "the caller has lost patience, and loads anew")
        load.let_go.open()
        assert call.result() == 3
        assert cache.stats().stale_serves == 0


def test_many_lose_patience_where_all_are_stale(make: Make) -> None:
    load = Held()

    def slow(keys: list[str]) -> Mapping[str, int]:
        number = load()
        return dict.fromkeys(keys, number)

    with make(**ON_ERROR, load_soft_timeout=0.02) as cache:
        cache.get_or_load_many(["a", "b"], lambda keys: load_many(keys))
        cache.expire("a", "b")
        assert cache.get_or_load_many(["a", "b"], slow) == {"a": 2, "b": 2}
        load.let_go.open()
        until(lambda: cache.stats().fills == 4, "the load is stored")
        assert cache.get_or_load_many(["a", "b"], slow) == {"a": 1, "b": 1}


def test_after_the_hard_limit_all_who_wait_are_told(make: Make) -> None:
    load = Held()
    with make(load_timeout=0.3) as cache:
        calls = [start(lambda: cache.get_or_load("a", load)) for _ in range(5)]
        load.begun.passed()  # else the patient one may lead
        patient = start(lambda: cache.get_or_load("a", load, load_timeout=None))
        for call in (*calls, patient):
            with pytest.raises(LoadTimeout, match=r"0\.3 s|0 s"):
                call.result()
        assert load.calls == 1
        assert cache.stats().load_timeouts >= 5
        assert cache.stats().in_flight == 0
        load.let_go.open()
        assert issubclass(LoadTimeout, TimeoutError)
        assert issubclass(LoadTimeout, LoadError)


def test_without_a_limit_callers_wait(make: Make) -> None:
    load = Held()
    with make() as cache:
        call = start(lambda: cache.get_or_load("a", load))
        load.begun.passed()
        until(lambda: cache.stats().in_flight == 1, "it loads")
        assert not call.done
        load.let_go.open()
        assert call.result() == 1


def test_an_impatient_rider_does_not_end_the_load_of_the_others(make: Make) -> None:
    load = Held()
    with make() as cache:
        leader = start(lambda: cache.get_or_load("a", load))
        load.begun.passed()
        with pytest.raises(LoadTimeout):
            cache.get_or_load("a", load, load_timeout=0.02)
        assert not leader.done
        load.let_go.open()
        assert leader.result() == 1
        assert load.calls == 1
        assert cache.get("a") == 1


def test_what_is_late_is_answered_with_what_is_stale_and_left_alone(make: Make) -> None:
    load = Slow()
    with make(**ON_ERROR, load_timeout=0.05, stale_throttle=60) as cache:
        with_stale(cache, "a", load)
        for _ in range(3):
            assert cache.get_or_load("a", load) == 1
        assert load.calls == 2
        assert cache.stats().load_timeouts == 1
        assert cache.stats().stale_on_error == 3
        load.let_go.open()


def test_a_refresh_that_is_late_is_over(make: Make) -> None:
    load = Slow()
    with make(stale_ttl=600, load_timeout=0.05, stale_throttle=60) as cache:
        with_stale(cache, "a", load)
        assert cache.get_or_load("a", load) == 1
        until(lambda: cache.stats().refresh_errors == 1, "the refresh is over")
        assert cache.stats().in_flight == 0
        assert cache.get_or_load("a", load) == 1
        assert load.calls == 2
        load.let_go.open()


def test_a_late_load_is_cancelled_or_goes_on_and_is_stored() -> None:
    """A task is cancelled. A thread ends by itself, and what it has then is still right."""
    load = Slow()
    with Cache(load_timeout=0.05) as cache:
        with_stale(cache, "a", load)
        with pytest.raises(LoadTimeout):
            cache.get_or_load("a", load)
        load.let_go.open()
        if ASYNCHRONOUS:
            until(lambda: cache.stats().load_errors == 1, "it is cancelled")
            assert (load.ended, cache.get("a")) == (1, None)
        else:
            until(lambda: cache.stats().fills == 2, "it is stored")
            assert (load.ended, cache.get("a")) == (2, 2)


def test_what_a_late_load_brings_after_an_invalidation_is_not_stored(make: Make) -> None:
    load = Slow()
    with make(load_timeout=0.05) as cache:
        with_stale(cache, "a", load)
        with pytest.raises(LoadTimeout):
            cache.get_or_load("a", load)
        cache.invalidate("a")
        load.let_go.open()
        stats = cache.stats
        until(
            lambda: bool(stats().load_errors or stats().fills_refused or stats().fills == 2),
            "it is over",
        )
        assert cache.get("a") is None


def test_a_late_load_does_not_replace_what_a_later_one_brought(make: Make) -> None:
    late, quick = Slow(), Slow()
    late.calls, quick.calls = 1, 40
    quick.let_go.open()
    with make(lease=0.1) as cache:
        with pytest.raises(LoadTimeout):
            cache.get_or_load("a", late, load_timeout=0.05)
        assert cache.get_or_load("a", quick, load_timeout=10) == 41
        late.let_go.open()
        stats = cache.stats
        until(
            lambda: bool(late.ended or stats().load_errors) and stats().in_flight == 0,
            "the late one is over",
        )
        for _ in range(20):  # storing is what comes last
            assert cache.get("a") == 41
            sleep(0.002)


def test_a_late_load_keeps_its_slot_until_it_is_over() -> None:
    """A task that is cancelled frees it at once; a thread still burdens the source."""
    load = Slow()
    with Cache(load_timeout=0.2, max_loads=1, load_wait=0) as cache:
        with_stale(cache, "a", load)
        with pytest.raises(LoadTimeout):
            cache.get_or_load("a", load)
        if ASYNCHRONOUS:
            until(lambda: cache.stats().load_errors == 1, "it is cancelled")
        else:
            with pytest.raises(LoadShed):
                cache.get_or_load("b", load)
            load.let_go.open()
            until(lambda: load.ended == 2, "it is over")
            until(lambda: cache.stats().fills == 2, "it is stored")
        load.let_go.open()
        assert cache.get_or_load("b", load, load_timeout=None) == 3


def test_another_process_takes_over_from_a_late_load(redis_url: str) -> None:
    load, quick = Slow(), Slow()
    with (
        Cache(redis_url, load_timeout=0.1, lease=0.3) as one,
        Cache(redis_url, load_timeout=10) as other,
    ):
        with_stale(one, "a", load)
        with pytest.raises(LoadTimeout):
            one.get_or_load("a", load)
        assert other.get_or_load("a", quick) == 1
        load.let_go.open()
        assert other.get("a", read="fresh") == 1


def test_a_load_in_another_process_is_waited_for_no_longer_than_that(redis_url: str) -> None:
    load = Held()
    with Cache(redis_url) as one, Cache(redis_url, load_timeout=0.1) as other:
        call = start(lambda: one.get_or_load("a", load))
        load.begun.passed()
        with pytest.raises(LoadTimeout):
            other.get_or_load("a", load)
        load.let_go.open()
        assert call.result() == 1
        assert load.calls == 1


def test_a_soft_limit_beyond_the_hard_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="load_soft_timeout is 2s"):
        Cache(load_soft_timeout=2, load_timeout=1)
    with Cache(load_soft_timeout=2) as cache:
        with pytest.raises(ConfigurationError, match="make it shorter"):
            cache.cached("a", load_timeout=1)

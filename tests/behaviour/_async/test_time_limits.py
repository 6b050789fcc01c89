"""A source that is slow: who waits for how long, what they get, and what becomes of the load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from freshwell import AsyncCache, ConfigurationError, LoadError, LoadShed, LoadTimeout
from freshwell._kit.aio import ASYNCHRONOUS, sleep
from tests.behaviour._async.failing import Slow, with_stale
from tests.behaviour._async.parts import Held, Make
from tests.support.aio import start, until

ON_ERROR: dict[str, Any] = {"stale_ttl": 600, "stale_serve": "error"}


async def test_after_the_soft_limit_the_stale_entry_is_served_and_the_load_goes_on(
    make: Make,
) -> None:
    load = Slow()
    async with make(**ON_ERROR, load_soft_timeout=0.02) as cache:
        await with_stale(cache, "a", load)
        assert await cache.get_or_load("a", load) == 1
        assert await cache.get_or_load("a", load) == 1, "a second caller joins, and loses patience"
        assert load.calls == 2
        assert cache.stats().soft_timeouts == 2
        assert cache.stats().stale_serves == 2
        assert cache.stats().stale_on_error == 0
        load.let_go.open()
        await until(lambda: cache.stats().fills == 2, "the load is stored")
        assert await cache.get_or_load("a", load) == 2
        assert load.calls == 2


async def test_without_something_stale_the_soft_limit_does_not_count(make: Make) -> None:
    load = Slow()
    async with make(**ON_ERROR, load_soft_timeout=0.02) as cache:
        await with_stale(cache, "a", load)
        await cache.invalidate("a")
        call = await start(lambda: cache.get_or_load("a", load))
        await until(lambda: load.calls == 2, "it loads")
        many = await start(lambda: cache.get_or_load_many(["a"], lambda keys: load_many(keys)))
        load.let_go.open()
        assert await call.result() == 2
        assert await many.result() == {"a": 2}
        assert cache.stats().soft_timeouts == 0


async def load_many(keys: list[str]) -> Mapping[str, int]:
    return dict.fromkeys(keys, 2)


async def test_what_is_invalidated_while_one_waits_is_not_served() -> None:
    load = Slow()
    async with AsyncCache(**ON_ERROR, load_soft_timeout=0.5) as cache:
        await with_stale(cache, "a", load)
        call = await start(lambda: cache.get_or_load("a", load))
        await until(lambda: load.calls == 2, "it loads")
        await cache.invalidate("a")
        await until(lambda: load.calls == 3, "the caller has lost patience, and loads anew")
        load.let_go.open()
        assert await call.result() == 3
        assert cache.stats().stale_serves == 0


async def test_many_lose_patience_where_all_are_stale(make: Make) -> None:
    load = Held()

    async def slow(keys: list[str]) -> Mapping[str, int]:
        number = await load()
        return dict.fromkeys(keys, number)

    async with make(**ON_ERROR, load_soft_timeout=0.02) as cache:
        await cache.get_or_load_many(["a", "b"], lambda keys: load_many(keys))
        await cache.expire("a", "b")
        assert await cache.get_or_load_many(["a", "b"], slow) == {"a": 2, "b": 2}
        load.let_go.open()
        await until(lambda: cache.stats().fills == 4, "the load is stored")
        assert await cache.get_or_load_many(["a", "b"], slow) == {"a": 1, "b": 1}


async def test_after_the_hard_limit_all_who_wait_are_told(make: Make) -> None:
    load = Held()
    async with make(load_timeout=0.3) as cache:
        calls = [await start(lambda: cache.get_or_load("a", load)) for _ in range(5)]
        await load.begun.passed()  # else the patient one may lead
        patient = await start(lambda: cache.get_or_load("a", load, load_timeout=None))
        for call in (*calls, patient):
            with pytest.raises(LoadTimeout, match=r"0\.3 s|0 s"):
                await call.result()
        assert load.calls == 1
        assert cache.stats().load_timeouts >= 5
        assert cache.stats().in_flight == 0
        load.let_go.open()
        assert issubclass(LoadTimeout, TimeoutError)
        assert issubclass(LoadTimeout, LoadError)


async def test_without_a_limit_callers_wait(make: Make) -> None:
    load = Held()
    async with make() as cache:
        call = await start(lambda: cache.get_or_load("a", load))
        await load.begun.passed()
        await until(lambda: cache.stats().in_flight == 1, "it loads")
        assert not call.done
        load.let_go.open()
        assert await call.result() == 1


async def test_an_impatient_rider_does_not_end_the_load_of_the_others(make: Make) -> None:
    load = Held()
    async with make() as cache:
        leader = await start(lambda: cache.get_or_load("a", load))
        await load.begun.passed()
        with pytest.raises(LoadTimeout):
            await cache.get_or_load("a", load, load_timeout=0.02)
        assert not leader.done
        load.let_go.open()
        assert await leader.result() == 1
        assert load.calls == 1
        assert await cache.get("a") == 1


async def test_what_is_late_is_answered_with_what_is_stale_and_left_alone(make: Make) -> None:
    load = Slow()
    async with make(**ON_ERROR, load_timeout=0.05, stale_throttle=60) as cache:
        await with_stale(cache, "a", load)
        for _ in range(3):
            assert await cache.get_or_load("a", load) == 1
        assert load.calls == 2
        assert cache.stats().load_timeouts == 1
        assert cache.stats().stale_on_error == 3
        load.let_go.open()


async def test_a_refresh_that_is_late_is_over(make: Make) -> None:
    load = Slow()
    async with make(stale_ttl=600, load_timeout=0.05, stale_throttle=60) as cache:
        await with_stale(cache, "a", load)
        assert await cache.get_or_load("a", load) == 1
        await until(lambda: cache.stats().refresh_errors == 1, "the refresh is over")
        assert cache.stats().in_flight == 0
        assert await cache.get_or_load("a", load) == 1
        assert load.calls == 2
        load.let_go.open()


async def test_a_late_load_is_cancelled_or_goes_on_and_is_stored() -> None:
    """A task is cancelled. A thread ends by itself, and what it has then is still right."""
    load = Slow()
    async with AsyncCache(load_timeout=0.05) as cache:
        await with_stale(cache, "a", load)
        with pytest.raises(LoadTimeout):
            await cache.get_or_load("a", load)
        load.let_go.open()
        if ASYNCHRONOUS:
            await until(lambda: cache.stats().load_errors == 1, "it is cancelled")
            assert (load.ended, await cache.get("a")) == (1, None)
        else:
            await until(lambda: cache.stats().fills == 2, "it is stored")
            assert (load.ended, await cache.get("a")) == (2, 2)


async def test_what_a_late_load_brings_after_an_invalidation_is_not_stored(make: Make) -> None:
    load = Slow()
    async with make(load_timeout=0.05) as cache:
        await with_stale(cache, "a", load)
        with pytest.raises(LoadTimeout):
            await cache.get_or_load("a", load)
        await cache.invalidate("a")
        load.let_go.open()
        stats = cache.stats
        await until(
            lambda: bool(stats().load_errors or stats().fills_refused or stats().fills == 2),
            "it is over",
        )
        assert await cache.get("a") is None


async def test_a_late_load_does_not_replace_what_a_later_one_brought(make: Make) -> None:
    late, quick = Slow(), Slow()
    late.calls, quick.calls = 1, 40
    quick.let_go.open()
    async with make(lease=0.1) as cache:
        with pytest.raises(LoadTimeout):
            await cache.get_or_load("a", late, load_timeout=0.05)
        assert await cache.get_or_load("a", quick, load_timeout=10) == 41
        late.let_go.open()
        stats = cache.stats
        await until(
            lambda: bool(late.ended or stats().load_errors) and stats().in_flight == 0,
            "the late one is over",
        )
        for _ in range(20):  # storing is what comes last
            assert await cache.get("a") == 41
            await sleep(0.002)


async def test_a_late_load_keeps_its_slot_until_it_is_over() -> None:
    """A task that is cancelled frees it at once; a thread still burdens the source."""
    load = Slow()
    async with AsyncCache(load_timeout=0.2, max_loads=1, load_wait=0) as cache:
        await with_stale(cache, "a", load)
        with pytest.raises(LoadTimeout):
            await cache.get_or_load("a", load)
        if ASYNCHRONOUS:
            await until(lambda: cache.stats().load_errors == 1, "it is cancelled")
        else:
            with pytest.raises(LoadShed):
                await cache.get_or_load("b", load)
            load.let_go.open()
            await until(lambda: load.ended == 2, "it is over")
            await until(lambda: cache.stats().fills == 2, "it is stored")
        load.let_go.open()
        assert await cache.get_or_load("b", load, load_timeout=None) == 3


async def test_another_process_takes_over_from_a_late_load(redis_url: str) -> None:
    load, quick = Slow(), Slow()
    async with (
        AsyncCache(redis_url, load_timeout=0.1, lease=0.3) as one,
        AsyncCache(redis_url, load_timeout=10) as other,
    ):
        await with_stale(one, "a", load)
        with pytest.raises(LoadTimeout):
            await one.get_or_load("a", load)
        assert await other.get_or_load("a", quick) == 1
        load.let_go.open()
        assert await other.get("a", read="fresh") == 1


async def test_a_load_in_another_process_is_waited_for_no_longer_than_that(redis_url: str) -> None:
    load = Held()
    async with AsyncCache(redis_url) as one, AsyncCache(redis_url, load_timeout=0.1) as other:
        call = await start(lambda: one.get_or_load("a", load))
        await load.begun.passed()
        with pytest.raises(LoadTimeout):
            await other.get_or_load("a", load)
        load.let_go.open()
        assert await call.result() == 1
        assert load.calls == 1


async def test_a_soft_limit_beyond_the_hard_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="load_soft_timeout is 2s"):
        AsyncCache(load_soft_timeout=2, load_timeout=1)
    async with AsyncCache(load_soft_timeout=2) as cache:
        with pytest.raises(ConfigurationError, match="make it shorter"):
            cache.cached("a", load_timeout=1)

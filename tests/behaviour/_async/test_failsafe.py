"""A source that fails: what is stale is served, by whose choice, for how long, and to whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from freshwell import AsyncCache, ConfigurationError, LoadShed
from tests.behaviour._async.failing import Broken, Gone, Source, stopped, with_stale
from tests.behaviour._async.parts import Make, listening, until_so
from tests.support.aio import Latch, all_of, start, until
from tests.support.servers import Server

ON_ERROR: dict[str, Any] = {"stale_ttl": 600, "stale_serve": "error"}


async def test_a_broken_source_is_asked_once_for_each_throttle_period() -> None:
    load = Source()
    async with AsyncCache(**ON_ERROR, stale_throttle=10) as cache:
        clock = stopped(cache)
        await with_stale(cache, "a", load)
        load.raises = Broken("down")
        for period in range(1, 4):
            for _ in range(20):
                assert await cache.get_or_load("a", load) == 1
            assert load.calls == 1 + period
            clock.advance(9.99)
            assert await cache.get_or_load("a", load) == 1
            assert load.calls == 1 + period
            clock.advance(0.01)
        stats = cache.stats()
        assert stats.stale_on_error == stats.stale_serves == 63
        assert stats.load_errors == 3


async def test_without_stale_ttl_every_call_gets_the_sources_own_exception() -> None:
    load = Source()
    async with AsyncCache(stale_serve="error", stale_throttle=10) as cache:
        await with_stale(cache, "a", load)
        load.raises = Broken("down")
        for _ in range(5):
            with pytest.raises(Broken) as raised:
                await cache.get_or_load("a", load)
            assert raised.value is load.raises
        assert load.calls == 6
        assert cache.stats().stale_serves == 0


async def test_on_error_nobody_is_served_stale_while_the_source_answers(make: Make) -> None:
    load = Source()
    async with make(**ON_ERROR) as cache:
        await with_stale(cache, "a", load)
        assert await cache.get_or_load("a", load) == 2
        assert cache.stats().stale_serves == 0
        await cache.expire("a")
        assert await cache.get_or_load("a", load, stale_serve="refresh") == 2, "the other way"


async def test_a_failing_load_is_answered_with_what_is_stale(make: Make) -> None:
    load = Source()
    async with make(**ON_ERROR, stale_throttle=60) as cache:
        await with_stale(cache, "a", load)
        load.raises = Broken("down")
        for _ in range(10):
            assert await cache.get_or_load("a", load) == 1
        assert load.calls == 2
        seen = await cache.lookup("a")
        assert (seen.state, seen.reason) == ("stale", "load failed")
        assert await cache.get("a") is None, "get takes what is fresh"
        with pytest.raises(Broken):
            await cache.get_or_load("a", load, stale_ttl=0)


async def test_a_trace_says_why_something_old_was_given(make: Make) -> None:
    load = Source()
    async with make(**ON_ERROR) as cache:
        await with_stale(cache, "a", load)
        load.raises = Broken("down")
        with cache.trace() as trace:
            await cache.get_or_load("a", load)
            await cache.get_or_load("a", load)
        assert [(one.state, one.reason) for one in trace.served] == [("stale", "load failed")] * 2


async def test_a_source_that_is_back_is_believed_after_the_throttle(make: Make) -> None:
    load = Source()
    async with make(**ON_ERROR, stale_throttle=0.2) as cache:
        await with_stale(cache, "a", load)
        load.raises = Broken("down")
        assert await cache.get_or_load("a", load) == 1
        load.raises = None

        async def is_back() -> bool:
            return bool(await cache.get_or_load("a", load) == 3)

        while not await is_back():
            pass
        assert load.calls == 3
        assert (await cache.lookup("a")).state == "fresh"


async def test_a_rest_is_told_to_other_processes(redis_url: str) -> None:
    load = Source()
    options: dict[str, Any] = {**ON_ERROR, "stale_throttle": 60}
    async with AsyncCache(redis_url, **options) as one, AsyncCache(redis_url, **options) as other:
        await listening(one, other)
        await with_stale(one, "a", load)
        load.raises = Broken("down")
        assert await one.get_or_load("a", load) == 1
        for _ in range(5):
            assert await other.get_or_load("a", load) == 1
        assert await other.get_or_load("a", load, stale_serve="refresh") == 1
        assert load.calls == 2, "the other has not asked"
        assert (await other.lookup("a")).reason == "load failed"
        assert other.stats().stale_on_error == 6
        with pytest.raises(Broken):
            await other.get_or_load("a", load, stale_ttl=0)
        assert load.calls == 3, "who accepts nothing stale is not held up"


async def test_who_waits_for_a_failing_load_elsewhere_does_not_ask_again(redis_url: str) -> None:
    load, begun, let_go = Source(), Latch(), Latch()

    async def failing() -> int:
        load.calls += 1
        begun.open()
        await let_go.passed()
        raise Broken("down")

    options: dict[str, Any] = {**ON_ERROR, "stale_throttle": 60}
    async with AsyncCache(redis_url, **options) as one, AsyncCache(redis_url, **options) as other:
        await with_stale(one, "a", load)
        first = await start(lambda: one.get_or_load("a", failing))
        await begun.passed()
        second = await start(lambda: other.get_or_load("a", failing))
        await until(lambda: other.stats().lease_waits > 0, "the other waits")
        let_go.open()
        assert (await first.result(), await second.result()) == (1, 1)
        assert load.calls == 2
        assert other.stats().stale_on_error == 1


async def test_all_who_wait_for_a_failing_load_are_served(make: Make) -> None:
    load = Source()
    async with make(**ON_ERROR) as cache:
        await with_stale(cache, "a", load)
        load.raises = Broken("down")
        ask: Callable[[], Any] = lambda: cache.get_or_load("a", load)  # noqa: E731
        assert await all_of(*[ask] * 10) == [1] * 10
        assert load.calls == 2


async def test_invalidate_ends_the_allowance_and_expire_keeps_it(make: Make) -> None:
    load = Source()
    async with make(**ON_ERROR) as cache:
        await with_stale(cache, "kept", load)
        await with_stale(cache, "ended", load)
        await cache.invalidate("ended")
        load.raises = Broken("down")
        assert await cache.get_or_load("kept", load) == 1
        with pytest.raises(Broken):
            await cache.get_or_load("ended", load)


async def test_what_is_invalidated_while_its_load_fails_is_not_served(make: Make) -> None:
    load, begun, let_go = Source(), Latch(), Latch()

    async def failing() -> int:
        begun.open()
        await let_go.passed()
        raise Broken("down")

    async with make(**ON_ERROR) as cache:
        await with_stale(cache, "a", load)
        call = await start(lambda: cache.get_or_load("a", failing))
        await begun.passed()
        await cache.invalidate("a")
        let_go.open()
        with pytest.raises(Broken):
            await call.result()


async def test_expire_ends_a_rest(make: Make) -> None:
    load = Source()
    async with make(**ON_ERROR, stale_throttle=60) as cache:
        await with_stale(cache, "a", load)
        load.raises = Broken("down")
        assert await cache.get_or_load("a", load) == 1
        await cache.expire("a")
        assert await cache.get_or_load("a", load) == 1
        assert load.calls == 3


@pytest.mark.parametrize(
    "stale_on",
    [Broken, (OSError, Broken), lambda error: isinstance(error, Broken)],
    ids=["class", "classes", "function"],
)
async def test_only_exceptions_that_are_meant_are_answered_with_what_is_stale(
    stale_on: Any,
) -> None:
    load = Source()
    async with AsyncCache(**ON_ERROR, stale_on=stale_on) as cache:
        await with_stale(cache, "a", load)
        load.raises = Gone("deleted")
        for calls in (2, 3):
            with pytest.raises(Gone):
                await cache.get_or_load("a", load)
            assert load.calls == calls, "and the source is not left alone"


async def test_each_failure_is_judged_by_itself() -> None:
    load = Source()
    async with AsyncCache(**ON_ERROR, stale_on=Broken) as cache:
        await with_stale(cache, "a", load)
        load.raises = Gone("deleted")
        with pytest.raises(Gone):
            await cache.get_or_load("a", load)
        load.raises = Broken("down")
        assert await cache.get_or_load("a", load) == 1


async def test_a_function_that_raises_has_said_no() -> None:
    def confused(error: Exception) -> bool:
        raise ZeroDivisionError

    load = Source()
    async with AsyncCache(**ON_ERROR, stale_on=confused) as cache:
        await with_stale(cache, "a", load)
        load.raises = Broken("down")
        with pytest.raises(Broken):
            await cache.get_or_load("a", load)


async def test_a_refresh_that_is_refused_otherwise_reaches_the_next_callers() -> None:
    load = Source()
    async with AsyncCache(stale_ttl=600, stale_on=Broken) as cache:
        await with_stale(cache, "a", load)
        load.raises = Gone("deleted")
        assert await cache.get_or_load("a", load) == 1, "nobody knows yet"
        await until(lambda: cache.stats().refresh_errors == 1, "the refresh has failed")
        for _ in range(3):
            with pytest.raises(Gone):
                await cache.get_or_load("a", load)
        load.raises = None
        assert await cache.get_or_load("a", load) == load.calls
        await cache.expire("a")
        assert await cache.get_or_load("a", load) > 1, "served as stale again"
        assert cache.stats().stale_serves == 2


async def test_a_fault_of_the_program_is_not_hidden_by_what_is_stale() -> None:
    load = Source()

    async def generator() -> Any:
        return (x for x in "abc")

    async with AsyncCache(**ON_ERROR) as cache:
        await with_stale(cache, "a", load)
        with pytest.raises(ConfigurationError):
            await cache.get_or_load("a", generator)


async def test_a_load_that_is_shed_is_answered_with_what_is_stale() -> None:
    load = Source()
    async with AsyncCache(**ON_ERROR, max_loads=1, load_wait=0) as cache:
        await with_stale(cache, "a", load)
        gate = cache._core.engine().tiers.gate
        assert await gate.enter(0)
        assert await cache.get_or_load("a", load) == 1
        with pytest.raises(LoadShed):
            await cache.get_or_load("b", load)
        gate.leave()
        assert cache.stats().shed == 2


async def test_the_source_level_and_refresh_raise_and_keep_the_entry(make: Make) -> None:
    async with make(**ON_ERROR) as cache:
        load = Source()

        @cache.cached("a")
        async def answer() -> int:
            return await load()

        assert await answer() == 1
        load.raises = Broken("down")
        with pytest.raises(Broken):
            await answer.refresh()
        with pytest.raises(Broken):
            await cache.get_or_load("a", load, read="source")
        assert await answer() == 1
        await answer.expire()
        assert await answer() == 1, "served as stale"


async def test_many_are_served_where_all_are_there_and_else_the_call_fails(make: Make) -> None:
    down = False

    async def load(keys: list[str]) -> Mapping[str, str]:
        if down:
            raise Broken("down")
        return {key: key.upper() for key in keys}

    async with make(**ON_ERROR, stale_throttle=60) as cache:
        wanted = {"a": "A", "b": "B"}
        assert await cache.get_or_load_many(["a", "b"], load) == wanted
        await cache.expire("a", "b")
        down = True
        assert await cache.get_or_load_many(["a", "b"], load) == wanted
        assert await cache.get_or_load_many(["a", "b"], load) == wanted
        assert cache.stats().loads == 2
        with pytest.raises(Broken):
            await cache.get_or_load_many(["a", "b", "c"], load)
        assert cache.stats().stale_on_error >= 4


async def test_readers_and_functions_take_the_options(make: Make) -> None:
    load = Source()
    async with make() as cache:
        reader = cache.read_through(lambda id: load(), key="r:{}", **ON_ERROR)

        @cache.cached("f", **ON_ERROR)
        async def function() -> int:
            return await load()

        assert (await reader.get(1), await function()) == (1, 2)
        await reader.expire(1)
        await function.expire()
        load.raises = Broken("down")
        assert (await reader.get(1), await function()) == (1, 2)
        assert (await function.lookup()).reason == "load failed"


async def test_without_the_server_what_memory_has_is_served(own_redis: Server) -> None:
    load = Source()
    limits: dict[str, Any] = {"max_staleness": 60, "command_timeout": 0.2}
    async with AsyncCache(own_redis.url, **ON_ERROR, **limits) as cache:
        await listening(cache)
        await with_stale(cache, "a", load)
        load.raises = Broken("down")

        async def is_in_memory() -> bool:
            await cache.lookup("a")
            return cache._core.engine().tiers.table.get("a") is not None

        await until_so(is_in_memory)
        own_redis.freeze()
        try:
            assert await cache.get_or_load("a", load) == 1
            assert await cache.get_or_load("a", load) == 1
            assert load.calls == 2
        finally:
            own_redis.thaw()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("stale_serve", "always"),
        ("stale_on", "OSError"),
        ("stale_throttle", -1),
        ("load_timeout", 0),
        ("load_soft_timeout", "soon"),
    ],
)
async def test_a_wrong_option_is_refused_at_the_call_and_when_decorating(
    option: str, value: Any
) -> None:
    async with AsyncCache() as cache:
        with pytest.raises(ConfigurationError, match=option):
            await cache.get_or_load("a", Source(), **{option: value})
        with pytest.raises(ConfigurationError, match=option):
            cache.cached("a", **{option: value})
        with pytest.raises(TypeError, match="stale_sevre"):
            cache.cached("a", stale_sevre="error")  # type: ignore[call-arg]

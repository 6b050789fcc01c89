"""What L2 does not take: nothing old is served here at once, and nowhere after the replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from freshwell import AsyncCache, InvalidationError, StoreUnavailable
from freshwell._async import assembly
from freshwell.engines.spool import Spool
from tests.faults._async.late import hold
from tests.faults._async.spools import (
    ACTS,
    Act,
    Held,
    Source,
    assert_withheld,
    cache_of,
    is_told,
    load_of,
    reaches,
)
from tests.support.aio import Latch, start, until
from tests.support.plugin import MakeServer
from tests.support.proxy import Proxy
from tests.support.servers import Server


@pytest.mark.parametrize("l1", [True, False], ids=["l1", "no l1"])
@pytest.mark.parametrize("act", ACTS)
async def test_after_a_restart_that_brings_the_old_value_back_nobody_serves_it_once_it_is_replayed(
    make_redis: MakeServer, held: Held, act: Act, l1: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "_RETURN_NS", 0)  # as if it had been away for longer than that
    server, source = make_redis(aof=True), Source()
    async with (
        cache_of(server.url, spool="memory", l1=l1) as cache,
        cache_of(server.url, l1=False) as other,
    ):
        load = load_of(source, cache)
        assert await load() == await load() == 1
        server.kill()
        source.value = 2
        await act(cache)
        assert (cache.stats().spooled, cache.stats().spool_records) == (1, 1)
        assert await load() == 2
        server.start()
        await reaches(cache, other)
        assert await load_of(source, other)() == 1, "L2 has it still"
        await assert_withheld(cache, source)
        await held.begun.passed()
        await assert_withheld(cache, source)
        assert await load_of(source, other)() == 1, "and nothing was stored"
        held.let_go()
        await until(partial(is_told, cache), "the replay")
        assert await load_of(source, other)() == 2
        assert await load() == 2
        assert cache.stats().replayed == 1
        calls = source.calls
        assert await load() == 2
        assert source.calls == calls, "it is stored again"


@pytest.mark.parametrize("act", ACTS)
async def test_control_without_a_spool_an_error_that_is_swallowed_leaves_the_old_value(
    make_redis: MakeServer, act: Act
) -> None:
    server, source = make_redis(aof=True), Source()
    async with cache_of(server.url, l1=False) as cache:
        load = load_of(source, cache)
        assert await load() == 1
        server.kill()
        source.value = 2
        with pytest.raises(InvalidationError):
            await act(cache)
        server.start()
        await reaches(cache)
        assert await load() == 1


class Row:
    """A source for write-through."""

    def __init__(self, on_save: Callable[[], None]) -> None:
        self.value = 1
        self._on_save = on_save

    async def load(self, id: str) -> int:
        return self.value

    async def save(self, id: str, value: int) -> None:
        self.value = value
        self._on_save()


@pytest.mark.parametrize("through", [True, False], ids=["write-through", "writing"])
async def test_the_end_of_a_write_that_l2_does_not_hear_of_is_replayed(
    own_redis: Server, between: Proxy, held: Held, through: bool
) -> None:
    async with cache_of(between.url, spool="memory", l1=False) as cache:
        rows = cache.write_through(Row(between.refuse), key="{}")
        assert await rows.get("a") == 1
        old = own_redis.ask("DUMP", "fw:e:default:a")
        if through:
            await rows.put("a", 2)
        else:
            async with cache.writing("a", tags=["t"]):
                between.refuse()
        between.heal()
        await reaches(cache)
        # As a replica that has not heard of the announcement, and becomes primary.
        own_redis.ask("RESTORE", "fw:e:default:a", 60_000, old, "REPLACE")
        assert await cache.get("a") is None
        held.let_go()
        await until(partial(is_told, cache), "the replay")
        assert await cache.get("a") is None
        assert own_redis.ask("PTTL", "fw:e:default:a") <= 1_000, "a tombstone"


async def test_a_set_comes_after_what_was_spooled_before_it(
    own_redis: Server, between: Proxy
) -> None:
    async with (
        cache_of(between.url, spool="memory", l1=False) as cache,
        cache_of(own_redis.url, l1=False) as other,
    ):
        spooling = cache._core.engine().writes.spooling
        spooling._pause_s = lambda failures: 60.0  # type: ignore[method-assign]
        hurry = spooling.hurry
        spooling.hurry = lambda: None  # type: ignore[method-assign]
        reports = cache.namespace("reports")
        await reports.set("a", 1, tags=["t"])
        between.refuse()
        await reports.invalidate("a")
        await reports.clear()
        await cache.invalidate_tags("t", "u")
        with pytest.raises(StoreUnavailable):
            await reports.set("a", 2, tags=["t"])
        assert cache.stats().spool_records == 4
        between.heal()
        await reaches(cache)
        await reports.set("a", 3, tags=["t"])
        assert cache.stats().spool_records == 1, "u is no matter of that key"
        assert await reports.get("a") == 3
        hurry()
        await until(partial(is_told, cache), "the replay")
        assert await other.namespace("reports").get("a") == 3


async def test_a_load_that_began_before_stores_nothing_when_l2_is_back_before_the_replay(
    own_redis: Server, between: Proxy, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "_RETURN_NS", 0)
    begun, may_end, source = Latch(), Latch(), Source()

    async def old() -> int:
        begun.open()
        await may_end.passed()
        return 1

    async with (
        cache_of(between.url, spool="memory", lease=30) as cache,
        cache_of(own_redis.url, l1=False) as other,
    ):
        loading = await start(partial(cache.get_or_load, "a", old))
        await begun.passed()
        between.refuse()
        source.value = 2
        await cache.invalidate("a")
        between.heal()
        await reaches(cache)
        await until(lambda: cache.stats().l1_live, "L1 may answer")
        may_end.open()
        assert await loading.result() == 1
        assert await cache.get_or_load("a", source.load) == 2
        assert await other.get("a") is None
        held.let_go()
        await until(partial(is_told, cache), "the replay")
        assert await cache.get_or_load("a", source.load) == 2


@pytest.mark.parametrize("loads", [True, False])
async def test_a_tag_whose_versions_were_read_before_the_replay_is_judged_after_it(
    own_redis: Server, between: Proxy, held: Held, loads: bool
) -> None:
    source = Source()
    async with cache_of(between.url, spool="memory", l1=False) as cache:
        await cache.set("a", 1, tags=["t"])
        between.refuse()
        source.value = 2
        await cache.invalidate_tags("t")
        between.heal()
        await reaches(cache)
        applied, may_return = Latch(), Latch()
        hold(cache._core.engine().tiers.store, "fetch_many", applied, may_return)
        get = partial(cache.get_or_load, "a", source.load) if loads else partial(cache.get, "a")
        getting = await start(get)
        await applied.passed()
        held.let_go()
        await until(partial(is_told, cache), "the replay")
        may_return.open()
        assert await getting.result() == (2 if loads else None)


async def test_a_full_spool_raises_and_names_the_keys() -> None:
    async with AsyncCache("redis://127.0.0.1:1/0", spool="memory", max_spool=2, drain=0) as cache:
        await cache.invalidate("a", "b")
        await cache.invalidate("b")
        with pytest.raises(InvalidationError, match="the spool holds 2, and max_spool is 2") as e:
            await cache.invalidate("b", "c")
        assert len(e.value.key_digests) == 2
        with pytest.raises(InvalidationError):
            await cache.invalidate_tags("t")
        assert cache.stats().spool_records == 2
        assert cache.stats().spooled == 3


async def test_neither_patterns_nor_announcements_are_spooled() -> None:
    async with AsyncCache("redis://127.0.0.1:1/0", spool="memory", drain=0) as cache:
        with pytest.raises(InvalidationError):
            await cache.invalidate_pattern("a*")
        with pytest.raises(InvalidationError):
            async with cache.writing("a"):
                pytest.fail("the block was run")
        assert cache.stats().spool_records == 0


async def test_thousands_are_replayed_in_the_background_when_the_way_is_whole_again(
    own_redis: Server, between: Proxy
) -> None:
    keys = [f"k{number}" for number in range(1_200)]
    async with cache_of(between.url, spool="memory") as cache:
        await cache.set_many(dict.fromkeys(keys, 1))
        between.refuse()
        await cache.invalidate(*keys)
        between.heal()
        await until(partial(is_told, cache), "the replay")
        assert cache.stats().replayed == 1_200
        assert await cache.get_many(keys, read="fresh") == {}


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
async def test_what_the_spool_takes_while_a_read_asks_it_is_not_kept_from_what_l2_says(
    between: Proxy, held: Held, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cache_of(between.url, spool="memory") as cache:
        await cache.set("a", 1)
        between.refuse()
        await cache.invalidate("something else")
        between.heal()
        await reaches(cache)
        await until(lambda: cache.stats().l1_live, "L1 is live")
        withholds, asked = Spool.withholds, list[str]()

        def late(spool: Spool, name: str, digests: Sequence[bytes] = ()) -> bool:
            found = withholds(spool, name, digests)
            if not asked:
                asked.append(name)
                cache._core.table.drop(name)  # as another thread does, when the spool has it
            return found

        monkeypatch.setattr(Spool, "withholds", late)
        await (cache.get_many(["a"]) if many else cache.get("a"))
        assert asked == ["a"]
        assert "a" not in cache._core.table

"""What L2 does not take: nothing old is served here at once, and nowhere after the replay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from freshwell import AsyncCache, InvalidationError, StoreUnavailable
from freshwell._async import assembly
from tests.faults._async.late import hold
from tests.faults._async.spools import Held, Source, cache_of, hold_replays, is_told, reaches
from tests.support.aio import Latch, start, until
from tests.support.plugin import MakeServer
from tests.support.proxy import Proxy, proxy
from tests.support.servers import Server

TAGS: list[Any] = ["t", lambda value: "all"]


@pytest.fixture
def between(own_redis: Server) -> Iterator[Proxy]:
    """Give the way to a server of the test's own."""
    with proxy(own_redis.port) as between:
        yield between


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Give replays that wait until they are let go."""
    held = hold_replays(monkeypatch)
    yield held
    held.let_go()


async def by_key(cache: AsyncCache) -> None:
    await cache.namespace("reports").invalidate("a")


async def by_tag(cache: AsyncCache) -> None:
    await cache.invalidate_tags("t")


async def by_tag_of_the_value(cache: AsyncCache) -> None:
    await cache.invalidate_tags("all")


async def by_namespace(cache: AsyncCache) -> None:
    await cache.namespace("reports").clear()


async def by_expiring(cache: AsyncCache) -> None:
    await cache.namespace("reports").expire("a")


Act = Callable[[AsyncCache], Awaitable[None]]
ACTS: list[Act] = [by_key, by_tag, by_tag_of_the_value, by_namespace, by_expiring]


def load_of(source: Source, cache: AsyncCache) -> Callable[[], Awaitable[int]]:
    """Return a call that reads the entry, or loads it."""
    reports = cache.namespace("reports")
    return partial(reports.get_or_load, "a", source.load, tags=TAGS)


async def assert_withheld(cache: AsyncCache, source: Source) -> None:
    """Assert that whatever reads the entry is given what the source has, or nothing."""
    reports, load = cache.namespace("reports"), load_of(source, cache)
    for _ in range(2):
        calls = source.calls
        assert await load() == source.value
        assert source.calls == calls + 1, "it is not stored"
        assert await reports.get("a") is None
        assert await reports.get("a", read="fresh") is None
        assert await reports.get_many(["a"]) == {}
        many = await reports.get_or_load_many(["a"], partial(load_many, source), tags=TAGS)
        assert many == {"a": source.value}
        assert not (await reports.lookup("a")).found


async def load_many(source: Source, keys: list[str]) -> dict[str, int]:
    return dict.fromkeys(keys, source.value)


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
        cache._core.engine().writes.spooling._pause_s = lambda failures: 60.0  # type: ignore[method-assign]
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
        cache._core.engine().writes.spooling.hurry()
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


@pytest.mark.parametrize("spool", ["memory", "file"])
async def test_closing_replays_for_as_long_as_it_may_and_says_what_is_left(
    own_redis: Server,
    between: Proxy,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spool: str,
) -> None:
    where = "memory" if spool == "memory" else f"sqlite:///{tmp_path / 'spool.db'}"
    for drains in (True, False):
        caplog.clear()
        cache = cache_of(between.url, spool=where, drain=20 if drains else 0)
        await cache.set("a", 1)
        between.refuse()
        await cache.invalidate("a")
        if drains:
            between.heal()
        await cache.aclose()
        between.heal()
        async with cache_of(own_redis.url, l1=False) as other:
            assert await other.get("a") == (None if drains else 1)
        left = [r.message for r in caplog.records if "closed with invalidations" in r.message]
        assert len(left) == (0 if drains else 1)
        assert not left or ("lost" if spool == "memory" else "next process") in left[0]


async def test_what_one_left_in_a_file_the_next_withholds_from_its_first_read_on(
    own_redis: Server, between: Proxy, tmp_path: Path, held: Held
) -> None:
    options: dict[str, Any] = {"spool": f"sqlite:///{tmp_path / 'spool.db'}"}
    source = Source()
    async with cache_of(between.url, version="1", **options) as cache:
        assert await load_of(source, cache)() == 1
        between.refuse()
        source.value = 2
        await by_key(cache)
        await by_tag(cache)
    between.heal()
    async with (
        cache_of(own_redis.url, version="1", **options) as cache,
        cache_of(own_redis.url, version="1", l1=False) as other,
    ):
        assert cache.stats().spool_records == 2
        await assert_withheld(cache, source)
        assert await load_of(source, other)() == 1
        held.let_go()
        await until(partial(is_told, cache), "the replay")
        assert await load_of(source, other)() == 2
    async with cache_of(own_redis.url, version="1", **options) as cache:
        assert cache.stats().spool_records == 0


async def test_another_schema_version_replays_for_the_one_before(
    own_redis: Server, between: Proxy, tmp_path: Path
) -> None:
    spool = f"sqlite:///{tmp_path / 'spool.db'}"
    async with cache_of(between.url, spool=spool, l1=False) as cache:
        await cache.set("a", 1)
        between.refuse()
        await cache.invalidate("a")
    between.heal()
    async with (
        cache_of(own_redis.url, version="2", spool=spool) as newer,
        cache_of(own_redis.url, l1=False) as older,
    ):
        assert await newer.get("a") is None
        await until(partial(is_told, newer), "the replay")
        assert await older.get("a") is None


async def test_caches_that_share_a_file_do_not_lose_each_others(
    own_redis: Server, between: Proxy, tmp_path: Path
) -> None:
    spool = f"sqlite:///{tmp_path / 'spool.db'}"
    async with (
        cache_of(between.url, spool=spool, drain=20) as one,
        cache_of(between.url, spool=spool, drain=20) as other,
    ):
        await one.set_many(dict.fromkeys("abc", 1))
        between.refuse()
        await one.invalidate("a", "b")
        await other.invalidate("b", "c")
        between.heal()
        await until(partial(is_told, one), "the replay of one")
        await until(partial(is_told, other), "the replay of the other")
        assert await one.get_many(list("abc"), read="fresh") == {}
    async with cache_of(own_redis.url, spool=spool) as after:
        assert after.stats().spool_records == 0


async def test_what_the_file_does_not_take_is_raised_and_the_old_value_is_not_withheld(
    own_redis: Server, between: Proxy, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with cache_of(between.url, spool=f"sqlite:///{folder / 'spool.db'}", l1=False) as cache:
        await cache.set("a", 1)
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()
        between.refuse()
        with pytest.raises(InvalidationError, match="no folder"):
            await cache.invalidate("a")
        between.heal()
        await reaches(cache)
        assert cache.stats().spool_records == 0
        assert await cache.get("a") == 1, "as without a spool"

"""Where L1 has no room for what a look into L2 finds, those who waited for the look are given it.

Unless L1 could not have answered with it: each of these tests has a late caller, who begins while
an old answer of L2 is on its way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache
from freshwell._async.strategies.sharing import SharedLoads
from freshwell.engines.session import Session
from tests.behaviour._async.parts import Loader, listening, of
from tests.support.aio import Latch, Running, start, until

TAGS = ["day", "shelf"]


class LateAnswers:
    """A store around another: from `hold` on, what it has read of an entry is on its way."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.looks = 0
        self.read, self.let_go = Latch(), Latch()
        self.let_go.open()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def hold(self) -> None:
        self.looks, self.read, self.let_go = 0, Latch(), Latch()

    async def fetch(self, key: bytes) -> Any:
        return await self._late(partial(self._store.fetch, key))

    async def fetch_beside(self, key: bytes, beside: Any) -> Any:
        return await self._late(partial(self._store.fetch_beside, key, beside))

    async def _late(self, look: Callable[[], Awaitable[Any]]) -> Any:
        self.looks += 1
        answer = await look()
        self.read.open()
        await self.let_go.passed()
        return answer


class Shop:
    """A cache whose L1 has no room, what its L2 says late, and callers of one entry."""

    def __init__(self, url: str, **options: Any) -> None:
        self.cache = of(url, max_bytes=1, **options)
        self.load = Loader()
        self.cache._core.seams.wrapper = self._wrapped
        self.store: Any = None

    def _wrapped(self, where: str, part: Any) -> Any:
        if where != "store":
            return part
        self.store = LateAnswers(part)
        return self.store

    async def ask(self, **options: Any) -> Any:
        return await self.cache.get_or_load("a", self.load, **{"tags": TAGS} | options)

    async def look(self, *, asks: bool = False) -> Running[Any]:
        """Store an entry, and let somebody look for it whose answer is on its way.

        `asks`: the versions of its tags are asked for beside it.
        """
        await listening(self.cache)
        await self.ask()
        await until(lambda: self.cache.stats().notices >= 2, "the feed has told of it")
        assert await self.ask() == 1
        if asks:
            self.cache._core.table.clear()
        self.store.hold()
        first = await start(self.ask)
        await self.store.read.passed()
        return first

    async def waiting(self, count: int = 1, **options: Any) -> list[Running[Any]]:
        """Let others ask meanwhile, who wait for that look."""
        late = [await start(partial(self.ask, **options)) for _ in range(count)]
        roster = self.cache._core.engine().aside._flights._roster

        def riders() -> int:
            flight = roster._announced["a"].flight
            return 0 if flight is None else flight.riders

        await until(lambda: riders() == count, "they wait")
        return late


@pytest.mark.parametrize("tags", [[], TAGS])
async def test_one_look_is_enough_for_all_who_wait_for_it(redis_url: str, tags: list[str]) -> None:
    shop = Shop(redis_url)
    shop.ask = partial(shop.ask, tags=tags)  # type: ignore[method-assign]
    async with shop.cache as cache:
        first = await shop.look()
        before = cache.stats()
        crowd = await shop.waiting(20)
        shop.store.let_go.open()
        assert [await one.result() for one in (first, *crowd)] == [1] * 21
        after = cache.stats()
    assert shop.store.looks == 1
    assert (after.hits_l2 - before.hits_l2, after.hits_l1, after.misses) == (21, 0, before.misses)
    assert shop.load.calls == 1


# -- changes that are acknowledged while the old answer is on its way ---------------------------

Change = Callable[[AsyncCache], Awaitable[object]]


async def _of_the_entry(cache: AsyncCache) -> None:
    await cache.invalidate("a")


async def _of_a_tag(cache: AsyncCache) -> None:
    await cache.invalidate_tags("shelf")


async def _of_a_pattern(cache: AsyncCache) -> None:
    await cache.invalidate_pattern("a*")


async def _by_expiring(cache: AsyncCache) -> None:
    await cache.expire("a")


async def _by_a_writer(cache: AsyncCache) -> None:
    async with cache.writing("a"):
        pass


async def _by_a_writer_of_a_tag(cache: AsyncCache) -> None:
    async with cache.writing(tags=["day"]):
        pass


CHANGES = {
    "the entry": _of_the_entry,
    "a tag": _of_a_tag,
    "a pattern": _of_a_pattern,
    "expired": _by_expiring,
    "a writer": _by_a_writer,
    "a writer of a tag": _by_a_writer_of_a_tag,
}


async def _read_late(shop: Shop, change: Change, *, asks: bool = True) -> Any:
    """Return what somebody gets who begins after a change was acknowledged."""
    async with shop.cache as cache:
        first = await shop.look(asks=asks)
        await change(cache)
        (late,) = await shop.waiting()
        shop.store.let_go.open()
        assert await first.result() in (1, 2), "who began before may be given either"
        return await late.result()


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("what", list(CHANGES))
async def test_who_begins_after_a_change_is_not_given_what_was_before(
    redis_url: str, what: str, asks: bool
) -> None:
    assert await _read_late(Shop(redis_url), CHANGES[what], asks=asks) == 2


@pytest.mark.parametrize("what", list(CHANGES))
async def test_the_control_without_the_question_gives_what_was_before(
    redis_url: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SharedLoads, "_shows", lambda *_: True)
    assert await _read_late(Shop(redis_url), CHANGES[what]) == 1


async def test_a_value_that_was_set_is_what_later_callers_get(redis_url: str) -> None:
    async def set_anew(cache: AsyncCache) -> None:
        await cache.set("a", 7, tags=TAGS)

    assert await _read_late(Shop(redis_url), set_anew) == 7


async def test_what_another_process_changes_is_not_given_once_the_feed_has_told(
    redis_url: str,
) -> None:
    async with of(redis_url) as other:

        async def change(cache: AsyncCache) -> None:
            told = cache.stats().notices
            await other.invalidate("a")
            await until(lambda: cache.stats().notices > told, "the feed has told")

        assert await _read_late(Shop(redis_url), change) == 2


async def test_where_the_feed_may_be_behind_each_looks_for_itself(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(redis_url)
    async with shop.cache as cache:
        first = await shop.look()
        late = await shop.waiting(3)
        monkeypatch.setattr(Session, "proven", lambda *_: None)
        cache._core.session.live_until_ns = 0
        shop.store.let_go.open()
        assert [await one.result() for one in (first, *late)] == [1] * 4
    assert shop.store.looks == 4


# -- callers whose own look would have come to something else ------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"tags": []}, {"tags": ["day"]}, {"tags": [*TAGS, "more"]}, {"type": int}, {"beta": 9.0}],
    ids=["no tags", "fewer tags", "more tags", "another type", "other terms"],
)
async def test_who_reads_on_other_terms_looks_for_itself(
    redis_url: str, options: dict[str, Any]
) -> None:
    shop = Shop(redis_url)
    async with shop.cache:
        first = await shop.look()
        late = await shop.waiting(**options)
        shop.store.let_go.open()
        assert await first.result() == 1
        assert await late[0].result() == (2 if "more" in options.get("tags", ()) else 1)
    assert shop.store.looks == 2


async def test_who_traces_is_told_what_it_has_seen_itself(redis_url: str) -> None:
    shop = Shop(redis_url)
    async with shop.cache as cache:
        first = await shop.look()

        async def traced() -> Any:
            with cache.trace() as trace:
                await shop.ask()
            return trace.served

        late = await start(traced)
        shop.store.let_go.open()
        assert await first.result() == 1
        (served,) = await late.result()
    assert (served.source, served.state) == ("l2", "fresh")
    assert served.age_s is not None


# -- versions of tags ----------------------------------------------------------------------------


async def test_versions_are_asked_for_once_though_l1_has_no_room(redis_url: str) -> None:
    shop = Shop(redis_url)
    async with shop.cache as cache:
        await listening(cache)
        await shop.ask()
        await until(lambda: cache.stats().notices >= 4, "the feed has told of all")
        asked: list[int] = []
        beside = shop.store.fetch_beside

        async def counted(key: bytes, others: Any) -> Any:
            asked.append(len(others))
            return await beside(key, others)

        shop.store.fetch_beside = counted
        for _ in range(5):
            assert await shop.ask() == 1
        assert len(asked) <= 1, "what is known of them does not hang on the entry"
        await cache.invalidate_tags("day")
        assert await shop.ask() == 2
        assert cache.stats().entries == 0

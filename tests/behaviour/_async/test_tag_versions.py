"""The versions of tags in L2, and the tags of functions and readers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, InvalidationError
from freshwell._kit.aio import sleep
from tests.behaviour._async.parts import Loader, Make, listening, until_so
from tests.support.aio import all_of
from tests.support.servers import Server


async def test_a_lost_version_is_a_miss_and_brings_nothing_back(
    redis_url: str, redis_server: Server
) -> None:
    async with AsyncCache(redis_url, l1=False) as cache:
        load = Loader()
        read = partial(cache.get_or_load, "a", load, tags=["x"])
        assert [await read(), await read()] == [1, 1]
        await cache.invalidate_tags("x")
        for _ in range(2):
            for key in redis_server.ask("KEYS", "fw:t:*"):
                redis_server.ask("DEL", key)
            assert await cache.get("a") is None
        assert await read() == 2
        assert await read() == 2


async def test_two_processes_load_once_after_a_tag_was_invalidated(redis_url: str) -> None:
    async with AsyncCache(redis_url) as one, AsyncCache(redis_url) as other:
        await listening(one)
        await listening(other)
        load = Loader()

        async def slowly() -> int:
            number = await load()
            await sleep(0.2)
            return number

        async def read(cache: AsyncCache) -> int:
            return await cache.get_or_load("a", slowly, tags=["x"])

        for round_ in range(1, 4):
            assert set(await all_of(*[partial(read, c) for c in (one, other)] * 3)) == {round_}
            assert load.calls == round_
            await one.invalidate_tags("x")
            # The bound on staleness is the other's: this is about loads.
            await until_so(partial(misses, other))


async def misses(cache: AsyncCache) -> bool:
    return await cache.get("a") is None


async def test_versions_have_an_end_and_are_kept_as_long_as_entries_need_them(
    redis_url: str, redis_server: Server
) -> None:
    async with AsyncCache(redis_url) as cache:
        await cache.invalidate_tags("unused")
        await cache.get_or_load("a", Loader(), tags=["x"], ttl=3600)
        left = [redis_server.ask("PTTL", key) for key in redis_server.ask("KEYS", "fw:t:*")]
        assert all(ms > 0 for ms in left)
        assert max(left) > 3_600_000


async def test_foreign_bytes_in_the_place_of_a_version_are_a_miss(
    redis_url: str, redis_server: Server
) -> None:
    async with AsyncCache(redis_url, l1=False) as cache:
        load = Loader()
        read = partial(cache.get_or_load, "a", load, tags=["x"])
        for number, junk in enumerate((b"", b"fw", b"fw\x01S" + bytes(70)), start=1):
            assert await read() == number
            for key in redis_server.ask("KEYS", "fw:t:*"):
                redis_server.ask("SET", key, junk)
            assert await cache.get("a") is None


async def test_an_invalidation_that_l2_may_not_have_taken_is_an_error(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url) as cache:
        await cache.set("a", 1, tags=["x"])
        own_redis.kill()
        with pytest.raises(InvalidationError) as caught:
            await cache.invalidate_tags("x", "y")
        assert len(caught.value.key_digests) == 2
        assert "x" not in caught.value.key_digests


# -- decorated functions and readers ---------------------------------------------------------


async def test_a_cached_functions_tags_are_templates_over_its_arguments(make: Make) -> None:
    async with make() as cache:
        calls: list[Any] = []

        @cache.cached(
            "page:{site}:{n}", tags=["pages", "site:{site}", lambda text: f"length:{len(text)}"]
        )
        async def page(site: str, n: int) -> str:
            calls.append((site, n))
            return site * n

        async def all_pages() -> None:
            for site, n in (("a", 1), ("a", 2), ("b", 2)):
                await page(site, n)
                await page(site, n)

        await all_pages()
        assert len(calls) == 3
        await cache.invalidate_tags("site:b")
        await all_pages()
        assert calls[3:] == [("b", 2)]
        await cache.invalidate_tags("length:2")
        await all_pages()
        assert calls[4:] == [("a", 2), ("b", 2)]
        await cache.invalidate_tags("pages")
        await page.many([("a", 1), ("b", 2)])
        await page.many([("a", 1), ("b", 2)])
        assert calls[6:] == [("a", 1), ("b", 2)]
        await page.invalidate("a", 1)
        assert not (await page.lookup("a", 1)).found
        await page.refresh("a", 1)
        assert (await page.lookup("a", 1)).found


async def test_a_tag_may_name_what_is_no_part_of_the_key(make: Make) -> None:
    async with make() as cache:
        calls: list[int] = []

        @cache.cached("user:{id}", ignore="tenant", tags=["tenant:{tenant.name}"])
        async def user(id: int, tenant: Any) -> int:
            calls.append(id)
            return id

        class Tenant:
            name = "acme"

        await user(1, Tenant())
        await user(1, tenant=Tenant())
        assert calls == [1]
        await cache.invalidate_tags("tenant:acme")
        await user(1, Tenant())
        assert calls == [1, 1]


async def test_hits_of_a_tagged_function_are_found_by_their_arguments() -> None:
    async with AsyncCache() as cache:

        @cache.cached("a:{n}", tags=["x"])
        async def number(n: int) -> int:
            return n

        await number(1)
        for _ in range(5):
            await number(1)
        assert cache.stats().hits_l1 == 5
        await cache.invalidate_tags("other")
        assert await number(1) == 1, "a change of another tag costs a second look, no load"
        assert cache.stats().loads == 1


async def test_a_readers_tags_are_templates_over_the_id(make: Make) -> None:
    async with make() as cache:
        loads: list[int] = []

        async def load(id: int) -> int:
            loads.append(id)
            return id

        reader = cache.read_through(load, key="user:{}", tags=["user:{}", lambda n: f"m{n % 2}"])
        assert await reader.get_many([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
        assert await reader.get(2) == 2
        await cache.invalidate_tags("user:2", "m1")
        assert await reader.get_many([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
        assert sorted(loads) == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("tags", [["t0:{n}", "t1:{n}", "t2:{n}"], ["all", "own:{n}"]])
async def test_tags_of_their_own_take_no_room_from_entries(tags: list[str]) -> None:
    async with AsyncCache(max_entries=100) as cache:
        loads: list[int] = []

        @cache.cached("k:{n}", ttl=600, tags=tags)
        async def read(n: int) -> int:
            loads.append(n)
            return n

        for n in [*range(90)] * 3:
            assert await read(n) == n
        assert len(loads) == 90
        before = cache.stats().bytes
        for n in range(90, 300):
            await read(n)
        assert cache.stats().entries == 100, "and who leaves takes no others along"
        assert abs(cache.stats().bytes - before * 100 // 90) < before // 10
        await cache.invalidate(*[f"k:{n}" for n in range(300)])
        assert cache.stats().bytes == 0

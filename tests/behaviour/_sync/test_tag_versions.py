"""The versions of tags in L2, and the tags of functions and readers."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import Cache, InvalidationError
from freshwell._kit.threads import sleep
from tests.behaviour._sync.parts import Loader, Make, listening, until_so
from tests.support.threads import all_of
from tests.support.servers import Server


def test_a_lost_version_is_a_miss_and_brings_nothing_back(
    redis_url: str, redis_server: Server
) -> None:
    with Cache(redis_url, l1=False) as cache:
        load = Loader()
        read = partial(cache.get_or_load, "a", load, tags=["x"])
        assert [read(), read()] == [1, 1]
        cache.invalidate_tags("x")
        for _ in range(2):
            for key in redis_server.ask("KEYS", "fw:t:*"):
                redis_server.ask("DEL", key)
            assert cache.get("a") is None
        assert read() == 2
        assert read() == 2


def test_two_processes_load_once_after_a_tag_was_invalidated(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url) as other:
        listening(one)
        listening(other)
        load = Loader()

        def slowly() -> int:
            number = load()
            sleep(0.2)
            return number

        def read(cache: Cache) -> int:
            return cache.get_or_load("a", slowly, tags=["x"])

        for round_ in range(1, 4):
            assert set(all_of(*[partial(read, c) for c in (one, other)] * 3)) == {round_}
            assert load.calls == round_
            one.invalidate_tags("x")
            # The bound on staleness is the other's: this is about loads.
            until_so(partial(misses, other))


def misses(cache: Cache) -> bool:
    return cache.get("a") is None


def test_versions_have_an_end_and_are_kept_as_long_as_entries_need_them(
    redis_url: str, redis_server: Server
) -> None:
    with Cache(redis_url) as cache:
        cache.invalidate_tags("unused")
        cache.get_or_load("a", Loader(), tags=["x"], ttl=3600)
        left = [redis_server.ask("PTTL", key) for key in redis_server.ask("KEYS", "fw:t:*")]
        assert all(ms > 0 for ms in left)
        assert max(left) > 3_600_000


def test_foreign_bytes_in_the_place_of_a_version_are_a_miss(
    redis_url: str, redis_server: Server
) -> None:
    with Cache(redis_url, l1=False) as cache:
        load = Loader()
        read = partial(cache.get_or_load, "a", load, tags=["x"])
        for number, junk in enumerate((b"", b"fw", b"fw\x01S" + bytes(70)), start=1):
            assert read() == number
            for key in redis_server.ask("KEYS", "fw:t:*"):
                redis_server.ask("SET", key, junk)
            assert cache.get("a") is None


def test_an_invalidation_that_l2_may_not_have_taken_is_an_error(own_redis: Server) -> None:
    with Cache(own_redis.url) as cache:
        cache.set("a", 1, tags=["x"])
        own_redis.kill()
        with pytest.raises(InvalidationError) as caught:
            cache.invalidate_tags("x", "y")
        assert len(caught.value.key_digests) == 2
        assert "x" not in caught.value.key_digests


# -- decorated functions and readers ---------------------------------------------------------


def test_a_cached_functions_tags_are_templates_over_its_arguments(make: Make) -> None:
    with make() as cache:
        calls: list[Any] = []

        @cache.cached(
            "page:{site}:{n}", tags=["pages", "site:{site}", lambda text: f"length:{len(text)}"]
        )
        def page(site: str, n: int) -> str:
            calls.append((site, n))
            return site * n

        def all_pages() -> None:
            for site, n in (("a", 1), ("a", 2), ("b", 2)):
                page(site, n)
                page(site, n)

        all_pages()
        assert len(calls) == 3
        cache.invalidate_tags("site:b")
        all_pages()
        assert calls[3:] == [("b", 2)]
        cache.invalidate_tags("length:2")
        all_pages()
        assert calls[4:] == [("a", 2), ("b", 2)]
        cache.invalidate_tags("pages")
        page.many([("a", 1), ("b", 2)])
        page.many([("a", 1), ("b", 2)])
        assert calls[6:] == [("a", 1), ("b", 2)]
        page.invalidate("a", 1)
        assert not page.lookup("a", 1).found
        page.refresh("a", 1)
        assert page.lookup("a", 1).found


def test_a_tag_may_name_what_is_no_part_of_the_key(make: Make) -> None:
    with make() as cache:
        calls: list[int] = []

        @cache.cached("user:{id}", ignore="tenant", tags=["tenant:{tenant.name}"])
        def user(id: int, tenant: Any) -> int:
            calls.append(id)
            return id

        class Tenant:
            name = "acme"

        user(1, Tenant())
        user(1, tenant=Tenant())
        assert calls == [1]
        cache.invalidate_tags("tenant:acme")
        user(1, Tenant())
        assert calls == [1, 1]


def test_hits_of_a_tagged_function_are_found_by_their_arguments() -> None:
    with Cache() as cache:

        @cache.cached("a:{n}", tags=["x"])
        def number(n: int) -> int:
            return n

        number(1)
        for _ in range(5):
            number(1)
        assert cache.stats().hits_l1 == 5
        cache.invalidate_tags("other")
        assert number(1) == 1, "a change of another tag costs a second look, no load"
        assert cache.stats().loads == 1


def test_a_readers_tags_are_templates_over_the_id(make: Make) -> None:
    with make() as cache:
        loads: list[int] = []

        def load(id: int) -> int:
            loads.append(id)
            return id

        reader = cache.read_through(load, key="user:{}", tags=["user:{}", lambda n: f"m{n % 2}"])
        assert reader.get_many([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
        assert reader.get(2) == 2
        cache.invalidate_tags("user:2", "m1")
        assert reader.get_many([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
        assert sorted(loads) == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("tags", [["t0:{n}", "t1:{n}", "t2:{n}"], ["all", "own:{n}"]])
def test_tags_of_their_own_take_no_room_from_entries(tags: list[str]) -> None:
    with Cache(max_entries=100) as cache:
        loads: list[int] = []

        @cache.cached("k:{n}", ttl=600, tags=tags)
        def read(n: int) -> int:
            loads.append(n)
            return n

        for n in [*range(90)] * 3:
            assert read(n) == n
        assert len(loads) == 90
        before = cache.stats().bytes
        for n in range(90, 300):
            read(n)
        assert cache.stats().entries == 100, "and who leaves takes no others along"
        assert abs(cache.stats().bytes - before * 100 // 90) < before // 10
        cache.invalidate(*[f"k:{n}" for n in range(300)])
        assert cache.stats().bytes == 0

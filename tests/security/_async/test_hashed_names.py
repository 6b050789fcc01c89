"""Names that are hashed: everything works as with others, but for patterns."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, ConfigurationError
from freshwell._kit.aio import sleep
from tests.security.parts import KEYS, OTHERS
from tests.security.watching import held_by
from tests.support.aio import until
from tests.support.servers import Server

Build = Any


@pytest.fixture(params=[False, True], ids=["without a version", "with a version"])
def build(request: pytest.FixtureRequest, redis_url: str) -> Build:
    version = 3 if request.param else None
    return partial(
        AsyncCache,
        redis_url,
        namespace="shop",
        version=version,
        hash_keys=KEYS,
        command_timeout=5,
    )


async def test_what_one_stores_others_find_and_invalidate(build: Build) -> None:
    one: AsyncCache
    async with build() as one, build() as other:

        @one.cached("user:{id}", tags=["team:{id}"])
        async def user(id: int) -> list[int]:
            return [id]

        await user(1)
        await until(lambda: one.stats().l1_live)
        assert await other.get("user:1") == [1]
        assert user.key(1) == "user:1"
        for invalidate in (
            partial(other.invalidate, "user:1"),
            partial(other.invalidate_tags, "team:1"),
        ):
            while (await user.lookup(1)).tier != "l1":
                assert await user(1) == [1]
                await sleep(0.01)
            seen = one.stats().notices
            await invalidate()
            assert await other.get("user:1") is None
            await until(lambda seen=seen: one.stats().notices > seen)  # type: ignore[misc]
            assert not (await user.lookup(1)).found


async def test_many_are_called_as_each_is(build: Build) -> None:
    async with build(l1=False) as cache:
        for place in (cache, cache.namespace("x")):
            await place.set("a", repr(place))
            await place.set_many({"b": 2})

            async def load(keys: list[str]) -> dict[str, Any]:
                return dict.fromkeys(keys, "loaded")

            found = {"a": repr(place), "b": 2}
            assert await place.get_many(["a", "b", "c"]) == found
            many = await place.get_or_load_many(["c", "a", "b"], load)
            assert many == {"c": "loaded", **found}
            assert await place.get("c") == "loaded"


async def test_namespaces_are_apart_and_are_cleared(build: Build) -> None:
    async with build() as cache, build(l1=False) as other:
        for place in (cache, cache.namespace("x"), cache.namespace("y")):
            await place.set("a", repr(place))
        assert len({await other.namespace(n).get("a") for n in ("x", "y")}) == 2
        await cache.namespace("x").clear()
        assert await other.namespace("x").get("a") is None
        assert await other.namespace("y").get("a") == repr(cache.namespace("y"))
        assert await other.get("a") == repr(cache)


async def test_neither_keys_nor_tags_are_to_be_read_in_redis(
    build: Build, redis_server: Server
) -> None:
    async with build() as cache:
        await cache.set("patient:4711", 1, tags=["illness:secret"])
        await cache.namespace("x").set("patient:4711", 1)
        async with cache.writing("patient:4712", tags=["illness:other"]):
            held = held_by(redis_server)
            assert b"fw:e:shop" in held
            for told in (b"patient", b"4711", b"illness"):
                assert told not in held
        held = held_by(redis_server)
        assert not [told for told in (b"patient", b"4712", b"illness") if told in held]


async def test_the_same_is_to_be_read_where_names_are_not_hashed(
    redis_url: str, redis_server: Server
) -> None:
    async with AsyncCache(redis_url) as cache:
        await cache.set("patient:4711", 1, tags=["illness:secret"])
        held = held_by(redis_server)
        assert b"patient:4711" in held
        assert b"illness:secret" in held


async def test_patterns_are_refused_with_what_to_do_instead(build: Build) -> None:
    async with build() as cache:
        for place in (cache, cache.namespace("x")):
            with pytest.raises(ConfigurationError, match=r"hash_keys.*tags"):
                await place.invalidate_pattern("user:*")


async def test_another_key_is_another_cache(build: Build, redis_server: Server) -> None:
    async with build() as cache, build(hash_keys=OTHERS) as other:
        await cache.set("a", 1)
        assert await other.get("a") is None
        await other.set("a", 2)
        assert await cache.get("a") == 1
        assert len(redis_server.ask("KEYS", "fw:e:*")) == 2


async def test_a_key_has_another_name_in_each_cache_and_namespace(
    build: Build, redis_server: Server
) -> None:
    async with build() as cache, build(namespace="other") as other:
        for place in (cache, cache.namespace("x"), cache.namespace("y"), other):
            await place.set("a", 1)
        keys = redis_server.ask("KEYS", "fw:e:*")
        assert len({key.rpartition(b":")[2] for key in keys}) == len(keys) == 4

"""A user with the rights that the page on Redis names, and no others."""

from __future__ import annotations

from functools import partial

import pytest

from freshwell import AsyncCache, InvalidationError
from freshwell._kit.aio_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import ReplicasMissing, ServerReplied
from freshwell._kit.resp import unerring
from tests.docs import pages
from tests.support.aio import until
from tests.support.sentinels import Sentinel
from tests.support.servers import Server

PAGE = pages.ROOT / "docs" / "how-to" / "redis.md"
RULES = next(b.text for b in pages.blocks(PAGE.read_text()) if b.text.startswith("~fw:")).split()
COMMANDS = {rule.removeprefix("+") for rule in RULES if rule.startswith("+")}


@pytest.fixture
def as_user(own_redis: Server) -> str:
    """Give the URL of database 3 of a server, for a user with the rights of the page."""
    own_redis.ask("ACL", "SETUSER", "shop", "reset", "on", ">pw", *RULES)
    own_redis.ask("CONFIG", "RESETSTAT")
    return own_redis.url.replace("redis://", "redis://shop:pw@").removesuffix("/0") + "/3"


async def load() -> int:
    return 1


async def fail() -> int:
    raise LookupError


async def use(cache: AsyncCache, other: AsyncCache) -> None:
    """Use all that a cache can do on a server."""
    assert await cache.get_or_load("a", load, tags=["t"], stale_ttl=60) == 1
    await until(lambda: cache.stats().l1_live, "the feed is up")
    assert await cache.get("a") == 1
    assert await other.get("a", read="fresh") == 1
    await other.expire("a")
    assert await cache.get_or_load("a", load, stale_ttl=60) == 1
    await other.invalidate("a")
    await until(partial(is_gone, cache), "the feed tells")
    await cache.set_many({"b": 1, "c": 2}, tags=["t"])
    assert await other.get_many(["b", "c"]) == {"b": 1, "c": 2}
    await other.invalidate_tags("t")
    assert await cache.get("b", read="fresh") is None
    async with cache.writing("b"):
        assert await cache.get_or_load("b", load) == 1
    with pytest.raises(LookupError):
        await cache.get_or_load("d", fail)
    await cache.namespace("reports").set("x", 1)
    await cache.namespace("reports").invalidate_pattern("*")
    assert await cache.namespace("reports").get("x", read="fresh") is None


def is_gone(cache: AsyncCache) -> bool:
    return cache.stats().entries == 0


def refused(server: Server) -> list[bytes]:
    """Return what users were refused, but for what clients tell of themselves unasked."""
    objects = [dict(zip(entry[::2], entry[1::2], strict=True))[b"object"] for entry in _log(server)]
    return [name for name in objects if name != b"client|setinfo"]


def _log(server: Server) -> list[list[bytes]]:
    entries: list[list[bytes]] = server.ask("ACL", "LOG")
    return entries


async def test_it_may_do_all_that_a_cache_does_and_nothing_that_none_does(
    own_redis: Server, as_user: str
) -> None:
    async with (
        AsyncCache(as_user, namespace="shop", command_timeout=5) as cache,
        AsyncCache(as_user, namespace="shop", command_timeout=5) as other,
        AsyncCache(as_user, namespace="shop", command_timeout=5, version=2) as newer,
        AsyncCache(as_user, namespace="shop", command_timeout=0.1, min_replicas=1) as sure,
    ):
        await use(cache, other)
        await newer.set("a", 1)
        with pytest.raises(InvalidationError) as caught:
            await sure.invalidate("a")
        assert isinstance(caught.value.__cause__, ReplicasMissing)
        assert cache.stats().l2_errors == other.stats().l2_errors == 0
    assert refused(own_redis) == []
    used = {name.removeprefix("cmdstat_") for name in own_redis.info("commandstats")}
    assert COMMANDS - used == set()


async def test_under_sentinels_it_needs_one_more_and_little_of_the_sentinels(
    own_redis: Server, as_user: str
) -> None:
    own_redis.ask("ACL", "SETUSER", "shop", "+role")
    with Sentinel("shop", own_redis.port, 1) as sentinel:
        rights = ("+sentinel|get-master-addr-by-name", "+sentinel|master")
        sentinel.ask("ACL", "SETUSER", "me", "reset", "on", ">pw2", *rights)
        options = "sentinel_username=me&sentinel_password=pw2"
        url = f"redis+sentinel://shop:pw@127.0.0.1:{sentinel.port}/shop/3?{options}"
        async with (
            AsyncCache(url, namespace="shop", command_timeout=5) as cache,
            AsyncCache(url, namespace="shop", command_timeout=5) as other,
        ):
            await use(cache, other)
            assert cache.stats().l2_errors == other.stats().l2_errors == 0
        assert refused(sentinel) == []
    assert refused(own_redis) == []


async def test_other_keys_and_what_ends_a_server_are_refused(
    own_redis: Server, as_user: str
) -> None:
    own_redis.ask("SET", "foreign", 1)
    own = Link(Endpoint.of(as_user), command_timeout_s=5)
    for command in (
        ("GET", "foreign"),
        ("GET", "fw:e:shopping:a"),
        ("SET", "fw:e:other:a", "x"),
        ("EVAL", "return redis.call('GET', 'foreign')", "0"),
        ("EVAL", "return redis.call('FLUSHALL')", "0"),
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("CONFIG", "GET", "*"),
        ("KEYS", "*"),
        ("SUBSCRIBE", "news"),
        ("PUBLISH", "__redis__:invalidate", "x"),
        ("ACL", "LIST"),
    ):
        with pytest.raises(ServerReplied) as caught:
            unerring((await own.batch([command]))[0])
        assert caught.value.code == ("ERR" if command[0] == "EVAL" else "NOPERM")
    assert own_redis.ask("GET", "foreign") == b"1"
    await own.aclose()


async def test_control_the_right_to_all_writes_is_one_to_empty_the_server(
    own_redis: Server, as_user: str
) -> None:
    own_redis.ask("SET", "foreign", 1)
    own_redis.ask("ACL", "SETUSER", "shop", "+@write")
    own = Link(Endpoint.of(as_user), command_timeout_s=5)
    assert await own.batch([("FLUSHALL",)]) == [b"OK"]
    assert own_redis.ask("GET", "foreign") is None
    await own.aclose()


async def test_without_the_right_to_scan_all_but_patterns_works(
    own_redis: Server, as_user: str
) -> None:
    own_redis.ask("ACL", "SETUSER", "shop", "-scan")
    async with AsyncCache(as_user, namespace="shop", command_timeout=5) as cache:
        await cache.set("a", 1)
        await cache.invalidate("a")
        with pytest.raises(InvalidationError):
            await cache.invalidate_pattern("*")

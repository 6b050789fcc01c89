"""Many tasks look into L2 together, and each is told what it would be told alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache
from freshwell._async.coordination import beyond
from freshwell._async.coordination.tags import Tags
from tests.behaviour._async.parts import Loader, listening, of
from tests.support.servers import Server

_MANY = 64
_UNLIKE = ("hits_l2", "misses", "negative_hits", "rejected_frames", "outdated", "degraded", "loads")

Read = Callable[[AsyncCache, str], Awaitable[object]]


async def filled(redis_url: str, redis_server: Server) -> list[str]:
    """Leave entries of all kinds in L2, and return their keys."""
    keys: dict[str, list[str]] = {
        kind: [f"{kind}:{n}" for n in range(_MANY // 8)]
        for kind in ("fresh", "tagged", "outdated", "none", "stale", "garbage", "text", "absent")
    }
    async with of(redis_url, l1=False) as cache:
        await cache.set_many({key: {"key": key} for key in keys["fresh"] + keys["garbage"]})
        await cache.set_many({key: key for key in keys["text"]})
        for key in keys["stale"]:
            await cache.set(key, {"key": key}, stale_ttl=60)
        await cache.expire(*keys["stale"])
        for key in keys["none"]:
            await cache.get_or_load(key, nothing, negative_ttl=60)
        for key in keys["tagged"]:
            await cache.set(key, {"key": key}, tags=["kept", key])
        for key in keys["outdated"]:
            await cache.set(key, {"key": key}, tags=["ended", key])
        await cache.invalidate_tags("ended")
    for key in keys["garbage"]:
        redis_server.ask("SET", f"fw:e:default:{key}", "no frame")
    return [key for group in zip(*keys.values(), strict=True) for key in group]


async def loader() -> object:
    return {"loaded": "now"}


async def nothing() -> None:
    return None


async def got(cache: AsyncCache, key: str) -> object:
    return await cache.get(key)


async def loaded(cache: AsyncCache, key: str) -> object:
    return await cache.get_or_load(key, loader, stale_ttl=60, negative_ttl=60)


async def looked_up(cache: AsyncCache, key: str) -> object:
    return await cache.get_or_load(key, loader, tags=["kept"], negative_ttl=60)


@pytest.mark.parametrize("read", [got, loaded, looked_up])
@pytest.mark.parametrize("l1", [False, True])
async def test_all_are_told_what_they_would_be_told_alone(
    redis_url: str, redis_server: Server, l1: bool, read: Read
) -> None:
    told: list[tuple[list[object], dict[str, int]]] = []
    for together in (False, True):
        redis_server.wipe()
        keys = await filled(redis_url, redis_server)
        async with of(redis_url, l1=l1) as cache:
            await listening(cache) if l1 else await cache.get("nothing")
            before = asdict(cache.stats())
            reads = [partial(read, cache, key) for key in keys]
            values = (
                await asyncio.gather(*(one() for one in reads))
                if together
                else [await one() for one in reads]
            )
            after = asdict(cache.stats())
            told.append((values, {name: after[name] - before[name] for name in _UNLIKE}))
    assert told[1] == told[0]
    assert all(told[0][1][name] > 0 for name in ("hits_l2", "misses", "rejected_frames"))


async def test_they_ask_once(redis_url: str, redis_server: Server) -> None:
    async with of(redis_url, l1=False) as cache:
        keys = [f"k:{n}" for n in range(_MANY)]
        await cache.set_many({key: key for key in keys})
        redis_server.ask("CONFIG", "RESETSTAT")
        assert await asyncio.gather(*map(cache.get, keys)) == keys
        assert commands(redis_server) == {"get": beyond._COMPANY, "mget": 1}


async def test_they_ask_once_on_whatever_terms(redis_url: str, redis_server: Server) -> None:
    async with of(redis_url, l1=False) as cache:
        reads = []
        for number in range(_MANY):

            async def load(n: int) -> int:
                return n

            tags = [[], ["even:{n}"], ["all", "odd"]][number % 3]
            read = cache.cached(f"f{number}:{{n}}", ttl=100 + number, tags=tags)(load)
            reads.append(partial(read, number))
        for call in reads:
            await call()
        redis_server.ask("CONFIG", "RESETSTAT")
        assert await asyncio.gather(*(call() for call in reads)) == [*range(_MANY)]
        assert commands(redis_server)["mget"] <= 4, (
            "the first few share a question, the rest ask one"
        )
        await cache.invalidate_tags("all")
        before = cache.stats().loads
        assert await asyncio.gather(*(call() for call in reads)) == [*range(_MANY)]
        assert cache.stats().loads - before == len(range(2, _MANY, 3))


async def test_who_names_another_tag_than_the_others_is_told_by_it(redis_url: str) -> None:
    async with of(redis_url, l1=False) as cache:
        load = Loader()
        await cache.set_many({f"k:{n}": "old" for n in range(_MANY)})
        await cache.set("k", "old", tags=["a"])
        company = [cache.get(f"k:{n}") for n in range(_MANY)]
        tags: list[list[str]] = [["a"], ["b"], [], ["a"]]
        own = [cache.get_or_load("k", load, tags=given, read="fresh") for given in tags]
        told = await asyncio.gather(*company, *own)
        assert told[-4:] == ["old", 1, "old", "old"]


async def test_what_changes_while_they_look_is_not_kept(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, let_go = asyncio.Event(), asyncio.Event()
    fetch = Tags.fetch

    async def slow(tags: Tags, *asked: Any) -> Any:
        found = await fetch(tags, *asked)
        answered.set()
        await let_go.wait()
        return found

    async with of(redis_url) as cache:
        await listening(cache)
        keys = [f"k:{n}" for n in range(_MANY)]
        await cache.set_many(dict.fromkeys(keys, "old"))
        monkeypatch.setattr(Tags, "fetch", slow)
        reads = [asyncio.create_task(cache.get(key, read="fresh")) for key in keys]
        await answered.wait()
        await cache.invalidate(*keys)
        let_go.set()
        assert await asyncio.gather(*reads) == ["old"] * _MANY  # they began before it
        assert await cache.get_many(keys) == {}


async def test_who_traces_looks_alone(redis_url: str) -> None:
    async with of(redis_url, l1=False) as cache:
        keys = [f"k:{n}" for n in range(_MANY)]
        await cache.set_many({key: key for key in keys})
        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(cache.get(key))
            with cache.trace() as trace:
                await asyncio.gather(*map(cache.get, keys))
        assert sorted(one.key for one in trace.served) == sorted(keys)


def commands(server: Server) -> dict[str, int]:
    """Return how often it was sent each command that reads."""
    told = server.ask("INFO", "commandstats").decode()
    counts = dict(re.findall(r"cmdstat_(get|mget):calls=(\d+)", told))
    return {name: int(count) for name, count in counts.items()}

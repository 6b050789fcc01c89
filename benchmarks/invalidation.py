"""Invalidate many entries at once, by tag and by pattern: the library, and by hand.

``python -m benchmarks invalidation`` has 100,000 entries; ``python -m benchmarks.invalidation
100000 1000000`` has as many as are named, one size after the other.

The entries are written once, with one tag, and brought back from the server's snapshot for each
contender. PINGs are those of another client meanwhile; the longest command is the server's own
word, which knows nothing of a machine that is busy.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from redis import Redis

from benchmarks.pings import pinging, prefer
from freshwell import AsyncCache
from tests.support.servers import Server

__all__ = ["run"]

_COUNT = 100_000
_NAMESPACE = "bench-invalidation"
_MEMBERS = "members"
_BATCH = 1_000
_IDLE_S = 2.0
_FEW = 200_000
_SLOW_US = 500
_MAX_SLOW = 100_000


@dataclass
class _Row:
    """A contender, and what its rounds took."""

    name: str
    work: Callable[[str, int], float]
    group: str = ""
    seconds: list[float] = field(default_factory=list)
    longest_pings_ms: list[float] = field(default_factory=list)
    longest_commands_ms: list[float] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    """Measure the sizes that are named, on a server of its own."""
    with Server() as server:
        for count in [int(argument) for argument in arguments] or [_COUNT]:
            run(server.url, count)
    return 0


def run(url: str, count: int = _COUNT) -> None:
    """Measure with `count` entries on the server at `url`, which is emptied before."""
    with Redis.from_url(url, socket_timeout=600) as client:
        facts: Any = client.info("server")
        prefer(facts["process_id"])
        client.flushall()
        began = time.perf_counter()
        asyncio.run(_fill(url, count))
        _fill_members(client, count)
        client.save()
        print(f"\n{count:,} entries, written in {time.perf_counter() - began:.0f} s")
        rows = _rows()
        for _ in range(3 if count <= _FEW else 1):
            for row in rows:
                _reload(client)
                _round(client, url, count, row)
        _show(rows)
        _reload(client)
        _show_tags(client, url, count)


def _rows() -> list[_Row]:
    return [
        _Row("nothing at all", _nothing),
        _Row("a set of members: SMEMBERS, DEL", _members_by_hand, "tag"),
        _Row("AsyncCache.invalidate_tags", _by_tag, "tag"),
        _Row("KEYS, DEL", _keys_and_del, "pattern"),
        _Row("SCAN, UNLINK", _scan_and_unlink, "pattern"),
        _Row("AsyncCache.invalidate_pattern", _by_pattern, "pattern"),
    ]


def _cache(url: str) -> AsyncCache:
    return AsyncCache(url, namespace=_NAMESPACE, max_entries=1_000, command_timeout=30)


async def _fill(url: str, count: int) -> None:
    async with _cache(url) as cache:
        for start in range(0, count, _BATCH):
            values = {f"k:{i}": i for i in range(start, min(start + _BATCH, count))}
            await cache.set_many(values, tags=["all"])
        await cache.set("one", 1, tags=["few"])


def _fill_members(client: Redis, count: int) -> None:
    for start in range(0, count, _BATCH):
        client.sadd(_MEMBERS, *(_key(i) for i in range(start, min(start + _BATCH, count))))


def _key(number: int | str) -> str:
    return f"fw:e:{_NAMESPACE}:k:{number}"


def _reload(client: Redis) -> None:
    client.execute_command("DEBUG", "RELOAD", "NOSAVE")


# -- contenders: each returns the seconds it took ---------------------------------------------


def _nothing(url: str, count: int) -> float:
    time.sleep(_IDLE_S)
    return 0.0


def _members_by_hand(url: str, count: int) -> float:
    with Redis.from_url(url, socket_timeout=600) as client:
        client.time()
        began = time.perf_counter()
        members: Any = client.smembers(_MEMBERS)
        client.delete(_MEMBERS, *members)
        return time.perf_counter() - began


def _keys_and_del(url: str, count: int) -> float:
    with Redis.from_url(url, socket_timeout=600) as client:
        client.time()
        began = time.perf_counter()
        keys: Any = client.keys(_key("*"))
        client.delete(*keys)
        return time.perf_counter() - began


def _scan_and_unlink(url: str, count: int) -> float:
    with Redis.from_url(url, socket_timeout=600) as client:
        client.time()
        began = time.perf_counter()
        batch: list[bytes] = []
        for key in client.scan_iter(match=_key("*"), count=_BATCH):
            batch.append(key)
            if len(batch) == _BATCH:
                client.unlink(*batch)
                batch.clear()
        if batch:
            client.unlink(*batch)
        return time.perf_counter() - began


def _by_tag(url: str, count: int) -> float:
    async def work() -> float:
        async with _cache(url) as cache:
            await cache.invalidate_tags("few")  # connected, and the script is known
            began = time.perf_counter()
            await cache.invalidate_tags("all")
            return time.perf_counter() - began

    return asyncio.run(work())


def _by_pattern(url: str, count: int) -> float:
    async def work() -> float:
        async with _cache(url) as cache:
            await cache.invalidate_tags("few")
            began = time.perf_counter()
            assert await cache.invalidate_pattern("k:*") == count
            return time.perf_counter() - began

    return asyncio.run(work())


# -- measuring ----------------------------------------------------------------------------------


def _round(client: Redis, url: str, count: int, row: _Row) -> None:
    client.config_set("slowlog-log-slower-than", _SLOW_US)
    client.config_set("slowlog-max-len", _MAX_SLOW)
    client.slowlog_reset()
    with pinging(url) as pings:
        row.seconds.append(row.work(url, count))
    row.longest_pings_ms.append(max(pings))
    slow: Any = client.slowlog_get(_MAX_SLOW)
    row.longest_commands_ms.append(max((entry["duration"] for entry in slow), default=0) / 1_000)


def _show(rows: list[_Row]) -> None:
    heads = ("seconds", "ratio", "longest PING", "longest command")
    print(f"  {'':34}" + "".join(f"{head:>{_width(head)}}" for head in heads))
    for row in rows:
        seconds = statistics.median(row.seconds)
        first = next(one for one in rows if one.group == row.group)
        ratio = f"{seconds / statistics.median(first.seconds):.3g}" if row.group else ""
        longest_ms = statistics.median(row.longest_commands_ms)
        cells = (
            f"{seconds:.4f}" if row.group else "",
            ratio,
            f"{statistics.median(row.longest_pings_ms):.1f} ms",
            f"{longest_ms:.1f} ms" if longest_ms else f"<{_SLOW_US / 1_000:g} ms",
        )
        texts = (f"{c:>{_width(h)}}" for c, h in zip(cells, heads, strict=True))
        print(f"  {row.name:34}" + "".join(texts))
    print(f"  {'target for the library':34}{'':20}{'<=10 ms':>14}")


def _width(head: str) -> int:
    return max(10, len(head) + 2)


# -- what a tag costs, and whether it is believed -------------------------------------------------


def _show_tags(client: Redis, url: str, count: int) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    reader = context.Process(target=_read, args=(url, theirs), daemon=True)
    reader.start()
    try:
        assert ours.recv() == [7, 7], "the entry is in L1 of another process"
        commands, us = asyncio.run(_invalidated(client, url))
        ours.send("read")
        found = ours.recv()
    finally:
        reader.join(30)
        reader.terminate()
    print(f"\n  One tag of {count:,} entries: {commands}")
    print(f"    median of 200: {us['all']:.0f} us; of a tag of one entry: {us['few']:.0f} us")
    print(f"    the next fresh read of another process: {'a miss' if found is None else found}")


async def _invalidated(client: Redis, url: str) -> tuple[str, dict[str, float]]:
    async with _cache(url) as cache:
        await cache.invalidate_tags("few")
        client.config_resetstat()
        await cache.invalidate_tags("all")
        stats: Any = client.info("commandstats")
        scripts = stats["cmdstat_evalsha"]["calls"]
        samples: dict[str, list[float]] = {"all": [], "few": []}
        for _ in range(200):
            for tag, taken in samples.items():
                began = time.perf_counter()
                await cache.invalidate_tags(tag)
                taken.append((time.perf_counter() - began) * 1e6)
    medians = {tag: statistics.median(taken) for tag, taken in samples.items()}
    return f"{scripts} scripts on the server (the tag's version, and the pulse)", medians


def _read(url: str, pipe: Connection) -> None:
    async def read() -> None:
        async with _cache(url) as cache:
            pipe.send([await cache.get("k:7"), await cache.get("k:7")])
            pipe.recv()
            pipe.send(await cache.get("k:7", read="fresh"))

    asyncio.run(read())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

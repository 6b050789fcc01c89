"""A stampede: 4 processes of 1,000 callers each ask for one cold key; the load takes 200 ms."""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from multiprocessing.synchronize import Barrier as BarrierType
from typing import Any

import orjson
from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

from freshwell import AsyncCache

__all__ = ["run"]

_PROCESSES = 4
_CALLERS = 1_000
_LOAD_S = 0.2
_ROUNDS = 5
_OWN = frozenset({"info", "config|resetstat", "config", "scan", "ping"})


def run(url: str) -> None:
    """Run rounds with get-or-set and with freshwell in turn, and print what they cost."""
    with Redis.from_url(url) as client:
        figures: dict[str, list[tuple[int, int, float]]] = {"get-or-set": [], "freshwell": []}
        for number in range(_ROUNDS):
            for kind, samples in figures.items():
                samples.append(_round(client, url, kind, number))
    print(f"\nStampede: {_PROCESSES} processes x {_CALLERS} callers, load of {_LOAD_S:g} s")
    print(f"  {'':44}{'loads':>8}{'commands':>10}{'seconds':>9}")
    for kind, samples in figures.items():
        loads, commands, seconds = (
            statistics.median(column) for column in zip(*samples, strict=True)
        )
        print(f"  {kind:44}{loads:>8g}{commands:>10g}{seconds:>9.3f}")
    print(f"  {'target':44}{'1':>8}{'<=60':>10}{'<=0.250':>9}")


def _round(client: Redis, url: str, kind: str, number: int) -> tuple[int, int, float]:
    context = multiprocessing.get_context("spawn")
    ready, go = context.Barrier(_PROCESSES + 1), context.Barrier(_PROCESSES + 1)
    results: Any = context.Queue()
    workers = [
        context.Process(target=_worker, args=(url, kind, number, ready, go, results), daemon=True)
        for _ in range(_PROCESSES)
    ]
    for worker in workers:
        worker.start()
    ready.wait(30)
    client.config_resetstat()
    go.wait(30)
    answers = [results.get(timeout=60) for _ in workers]
    commands = sum(
        facts["calls"]
        for name, facts in client.info("commandstats").items()
        if name.removeprefix("cmdstat_") not in _OWN
    )
    for worker in workers:
        worker.join()
    return sum(loads for loads, _ in answers), commands, max(seconds for _, seconds in answers)


def _worker(
    url: str, kind: str, number: int, ready: BarrierType, go: BarrierType, results: Any
) -> None:
    loads = 0

    async def load() -> dict[str, int]:
        nonlocal loads
        loads += 1
        await asyncio.sleep(_LOAD_S)
        return {"value": 1}

    async def serve() -> float:
        opened = await _opened(url, kind)
        ready.wait(30)
        go.wait(30)
        began = time.perf_counter()
        await asyncio.gather(*(opened.read(f"cold:{number}", load) for _ in range(_CALLERS)))
        taken = time.perf_counter() - began
        await opened.aclose()
        return taken

    seconds = asyncio.run(serve())
    results.put((loads, seconds))


async def _opened(url: str, kind: str) -> Any:
    """Return a cache that is connected, so that only the stampede is measured."""
    if kind == "freshwell":
        cache = AsyncCache(url, namespace="bench-stampede")
        await cache.get("warm")
        await asyncio.sleep(0.05)
        cache.read = cache.get_or_load  # type: ignore[attr-defined]
        return cache
    return _ByHand(url)


class _ByHand:
    def __init__(self, url: str) -> None:
        self._pool = BlockingConnectionPool.from_url(url, max_connections=50, timeout=30)
        self._client = AsyncRedis(connection_pool=self._pool)

    async def read(self, key: str, load: Any) -> Any:
        found = await self._client.get(key)
        if found is not None:
            return orjson.loads(found)
        value = await load()
        await self._client.set(key, orjson.dumps(value), ex=60)
        return value

    async def aclose(self) -> None:
        await self._pool.disconnect()

"""What is left of L1 as ever more entries are invalidated each second.

One process reads, at a rate that is fixed; another invalidates keys at random. How many reads can
find their key as it was, whoever caches it, follows from the two rates: the column "possible". The
delay is that of keys that the reader invalidates itself now and then, until its feed tells of them.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from multiprocessing.connection import Connection

from redis import Redis

from benchmarks.scale_parts import answer, child, cpu_us, show
from freshwell import AsyncCache

__all__ = ["possible", "run"]

_RATES = (1, 10, 100, 1_000, 10_000)
_SHORT_S, _FULL_S = 2.0, 15.0
_NAMESPACE = "scale-rates"
_KEYS = 10_000
_READS_PER_S = 2_000
_TICK_S = 0.005
_PROBE_S = 0.02

_WEIGHTS = [1 / (rank + 1) for rank in range(_KEYS)]
_TOTAL = sum(_WEIGHTS)


def run(url: str, *, full: bool) -> None:
    """Measure with the server at `url`."""
    seconds = _FULL_S if full else _SHORT_S
    with Redis.from_url(url, socket_timeout=60) as client:
        rows = [_row(client, url, rate, seconds) for rate in _RATES]
    show(
        f"{_KEYS:,} keys, read {_READS_PER_S:,} times a second (Zipf), invalidated at random",
        (
            "wanted/s",
            "invalidated/s",
            "L1 hits",
            "possible",
            "median delay ms",
            "99 % ms",
            "server CPU",
            "reader CPU",
        ),
        rows,
    )


def _row(client: Redis, url: str, rate: int, seconds: float) -> list[object]:
    with child(_read, url, seconds) as reader, child(_write, url, rate, seconds) as writer:
        answer(reader)
        answer(writer)
        before_us, began = cpu_us(client), time.perf_counter()
        reader.send("go")
        writer.send("go")
        ratio, delays_ms, cpu_s, reads = answer(reader)
        written = answer(writer)
        taken_s, spent_us = time.perf_counter() - began, cpu_us(client) - before_us
    done = written / seconds
    return [
        f"{rate:,}",
        f"{done:,.0f}",
        f"{ratio:.1%}",
        f"{possible(done, reads / seconds, seconds):.1%}",
        f"{statistics.median(delays_ms):.2f}",
        f"{statistics.quantiles(delays_ms, n=100)[98]:.2f}",
        f"{spent_us / 1e6 / taken_s:.1%}",
        f"{cpu_s / seconds:.1%}",
    ]


def possible(
    ended: float, read: float, seconds: float, *, shares: Sequence[float] | None = None
) -> float:
    """Return the share of reads that find their key as it was, where all were there at first.

    `ended`, `read`: keys invalidated, and reads, in a second. `shares`: of the reads, by key.
    """
    each = [weight / _TOTAL for weight in _WEIGHTS] if shares is None else shares
    b, found = ended / len(each), 0.0
    for share in each:
        both = share * read + b
        lost = b / both
        found += share * (1 - lost + lost * (1 - math.exp(-both * seconds)) / (both * seconds))
    return found


def _read(pipe: Connection, url: str, seconds: float) -> None:
    async def load() -> int:
        return 1

    async def serve() -> tuple[float, list[float], float, int]:
        async with AsyncCache(url, namespace=_NAMESPACE, command_timeout=30) as cache:
            await cache.set_many({f"k:{n}": n for n in range(_KEYS)})
            await cache.get("k:0")
            while not cache.stats().l1_live:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            for start in range(0, _KEYS, 1_000):
                await cache.get_many([f"k:{n}" for n in range(start, start + 1_000)])
            delays_s: list[float] = []
            cache.observing.notices.listener = delays_s.append
            pipe.send("ready")
            pipe.recv()
            before, began_s = cache.stats(), time.process_time()
            probing = asyncio.create_task(_probe(cache, seconds))
            reads = 0
            async for due in _ticks(_READS_PER_S, seconds):
                for n in random.choices(range(_KEYS), cum_weights=_CUMULATED, k=due):
                    await cache.get_or_load(f"k:{n}", load)
                reads += due
            await probing
            after, spent_s = cache.stats(), time.process_time() - began_s
            hits = after.hits_l1 - before.hits_l1
            return hits / reads, [delay * 1e3 for delay in delays_s], spent_s, reads

    pipe.send(asyncio.run(serve()))
    pipe.recv()


async def _probe(cache: AsyncCache, seconds: float) -> None:
    for number in range(int(seconds / _PROBE_S)):
        await asyncio.sleep(_PROBE_S)
        await cache.invalidate(f"probe:{number}")


async def _write_all(pipe: Connection, url: str, rate: int, seconds: float) -> int:
    async with AsyncCache(url, namespace=_NAMESPACE, l1=False, command_timeout=30) as cache:
        await cache.get("k:0")
        pipe.send("ready")
        pipe.recv()
        written = 0
        async for due in _ticks(rate, seconds):
            if due:
                await cache.invalidate(*[f"k:{random.randrange(_KEYS)}" for _ in range(due)])
                written += due
        return written


def _write(pipe: Connection, url: str, rate: int, seconds: float) -> None:
    pipe.send(asyncio.run(_write_all(pipe, url, rate, seconds)))
    pipe.recv()


async def _ticks(rate: int, seconds: float) -> AsyncIterator[int]:
    """Say again and again how many are due by now, at a rate, for as long as it is said."""
    began, done = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        due = min(int(passed * rate) - done, max(1, rate // 10))
        yield due
        done += due
        await asyncio.sleep(_TICK_S)


_CUMULATED = list(itertools.accumulate(_WEIGHTS))

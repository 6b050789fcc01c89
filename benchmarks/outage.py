"""Readers while L2 is down: ``python -m benchmarks.outage [--seconds 5] [--rate 200] [--only X]``.

For each outage of ``tests/support/outages.py`` and each subject, a server of its own is filled,
fails under an even stream of reads, and comes back. Reads begin on time whether earlier ones have
ended or not, so that a subject which waits is not spared the load that it would have had. Meanwhile
values change in the source, and are invalidated as their writer would; what is still served of
them as it was, after all is well again, is stale.

A *subject* is a way to read through a cache: see `Subject`. More of them may be added to
`SUBJECTS`; everything else here knows none of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import platform
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

from freshwell import AsyncCache
from tests.support.outages import OUTAGES, Outage
from tests.support.proxy import proxy
from tests.support.servers import Server

__all__ = ["SUBJECTS", "ByHand", "Own", "Result", "Source", "Subject", "main", "measure"]

KEYS = 1_000
MAX_LOADS = 16
LIMIT_S = 0.25
"""The time limit of a command, for every subject."""
_LATE_S = 0.9 * LIMIT_S
_LOAD_S = 0.01
_WARM_S = 1.0
_GIVE_UP_S = 20.0
_CHANGE_EVERY_S = 0.1
_SETTLE_S = 1.5
"""For how long after the end of an outage nothing is judged: what waits is made up for."""

Load = Callable[[str], Awaitable[str]]


class Subject(Protocol):
    """A way to read through a cache, open at a URL, with the source that it was given."""

    async def read(self, key: str) -> str:
        """Return the value of a key, from the cache or the source."""

    async def invalidate(self, key: str) -> None:
        """Make what is cached of a key absent: its value has changed. Raises where it cannot."""

    async def aclose(self) -> None:
        """Disconnect."""


class Source:
    """Takes a moment for each value, and notes how many are asked for at a time."""

    def __init__(self) -> None:
        self.calls = self.peak = self._now = 0
        self.versions: dict[str, int] = {}

    def change(self, key: str) -> None:
        """Give a key another value."""
        self.versions[key] = self.versions.get(key, 0) + 1

    def value(self, key: str) -> str:
        """Return the value of a key."""
        return f"value {self.versions.get(key, 0)} of {key}"

    async def __call__(self, key: str) -> str:
        self.calls += 1
        self._now += 1
        self.peak = max(self.peak, self._now)
        try:
            await asyncio.sleep(_LOAD_S)
        finally:
            self._now -= 1
        return self.value(key)


class Own:
    """freshwell, with its defaults but for what is given."""

    def __init__(self, url: str, load: Load, **options: Any) -> None:
        given: dict[str, Any] = {"max_loads": MAX_LOADS, "command_timeout": LIMIT_S, "drain": 0}
        self._cache = AsyncCache(url, namespace="outage", **given | options)
        self._load = load

    async def read(self, key: str) -> str:
        value: str = await self._cache.get_or_load(key, lambda: self._load(key))
        return value

    async def invalidate(self, key: str) -> None:
        await self._cache.invalidate(key)

    async def aclose(self) -> None:
        await self._cache.aclose()


class ByHand:
    """What one writes oneself: a pool of connections, a time limit, and the source on any error."""

    def __init__(self, url: str, load: Load) -> None:
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=50,
            timeout=LIMIT_S,
            socket_timeout=LIMIT_S,
            socket_connect_timeout=LIMIT_S,
        )
        self._client = AsyncRedis(connection_pool=self._pool)
        self._load = load

    async def read(self, key: str) -> str:
        with contextlib.suppress(Exception):
            found = await self._client.get(key)
            if found is not None:
                text: str = orjson.loads(found)
                return text
        value = await self._load(key)
        with contextlib.suppress(Exception):
            await self._client.set(key, orjson.dumps(value), ex=60)
        return value

    async def invalidate(self, key: str) -> None:
        await self._client.delete(key)

    async def aclose(self) -> None:
        await self._pool.disconnect()


SUBJECTS: dict[str, Callable[[str, Load], Subject]] = {
    "freshwell": Own,
    "freshwell, spool": lambda url, load: Own(url, load, spool="memory"),
    "freshwell, gutter_ttl=10": lambda url, load: Own(url, load, gutter_ttl=10),
    "freshwell without L1": lambda url, load: Own(url, load, l1=False),
    "... and without the breaker": lambda url, load: Own(
        url, load, l1=False, breaker_failures=10**9
    ),
    "redis-py by hand": ByHand,
}


@dataclass
class Result:
    """What became of the reads of one outage."""

    taken_s: list[float] = field(default_factory=list)
    raised: int = 0
    refused: int = 0
    """Invalidations that raised: the writer knows, and can repeat them."""
    stale: int = 0
    """Changed keys that were served as they had been, when all was well again."""
    source_calls: int = 0
    source_peak: int = 0
    back_s: float = -1.0
    """How long after its end L2 was used again. -1: not within 20 s."""

    def quantile(self, share: float) -> float:
        """Return the time within which this share of the reads was answered."""
        taken = sorted(self.taken_s)
        return taken[min(len(taken) - 1, int(share * len(taken)))]

    @property
    def late(self) -> int:
        """How many reads have paid a whole time limit, or more."""
        return sum(taken >= _LATE_S for taken in self.taken_s)


async def measure(
    outage: Outage,
    new_subject: Callable[[str, Load], Subject],
    *,
    seconds: float,
    rate: float,
    seed: int = 1,
) -> Result:
    """Let one subject live through one outage."""
    chance, source, result = random.Random(seed), Source(), Result()
    with Server() as server, proxy(server.port) as between:
        subject = new_subject(outage.url(server, between), source)
        try:
            for start in range(0, KEYS, MAX_LOADS):
                wanted = range(start, min(start + MAX_LOADS, KEYS))
                await asyncio.gather(*(subject.read(f"key {n}") for n in wanted))
            await _stream(subject, Result(), chance, _WARM_S, rate)
            calls, source.peak = source.calls, 0
            await asyncio.to_thread(outage.begin, server, between)
            try:
                changing = asyncio.create_task(_change(subject, source, result, seconds))
                await _stream(subject, result, chance, seconds, rate)
                await changing
            finally:
                await asyncio.to_thread(outage.end, server, between)
            result.source_calls, result.source_peak = source.calls - calls, source.peak
            result.back_s = await _time_until_back(subject, source)
            await asyncio.sleep(_SETTLE_S)
            for key in source.versions:
                result.stale += await subject.read(key) != source.value(key)
        finally:
            await subject.aclose()
    return result


async def _stream(
    subject: Subject, result: Result, chance: random.Random, seconds: float, rate: float
) -> None:
    """Begin reads at an even pace, the popular keys more often, and wait for all of them."""
    began_s = time.perf_counter()
    reads: list[asyncio.Task[None]] = []
    for number in range(int(seconds * rate)):
        pause_s = began_s + number / rate - time.perf_counter()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        key = f"key {int(KEYS * chance.random() ** 3)}"
        reads.append(asyncio.create_task(_read(subject, key, result)))
    await asyncio.gather(*reads)


async def _change(subject: Subject, source: Source, result: Result, seconds: float) -> None:
    """Change popular keys at an even pace, and invalidate each without waiting for the last."""
    writers: list[asyncio.Task[None]] = []
    for number in range(int(seconds / _CHANGE_EVERY_S)):
        await asyncio.sleep(_CHANGE_EVERY_S)
        key = f"key {number}"
        source.change(key)
        writers.append(asyncio.create_task(_invalidate(subject, key, result)))
    await asyncio.gather(*writers)


async def _invalidate(subject: Subject, key: str, result: Result) -> None:
    try:
        await subject.invalidate(key)
    except Exception:  # noqa: BLE001 - whatever a subject raises is what is counted
        result.refused += 1


async def _read(subject: Subject, key: str, result: Result) -> None:
    began_s = time.perf_counter()
    try:
        await subject.read(key)
    except Exception:  # noqa: BLE001 - whatever a subject raises is what is counted
        result.raised += 1
    result.taken_s.append(time.perf_counter() - began_s)


async def _time_until_back(subject: Subject, source: Source) -> float:
    """Return how long it takes until a value that was loaded once comes from the cache."""
    began_s, number = time.perf_counter(), 0
    while (taken_s := time.perf_counter() - began_s) < _GIVE_UP_S:
        number += 1
        with contextlib.suppress(Exception):
            await subject.read(f"back {number}")
            calls = source.calls
            await subject.read(f"back {number}")
            if source.calls == calls:
                return taken_s
        await asyncio.sleep(0.02)
    return -1.0


def _show(outage: Outage, rows: Sequence[tuple[str, Result]], reads: int) -> None:
    columns = (
        *("raised", "late", "p50 ms", "p99 ms", "max ms", "loads", "at once", "back s"),
        *("refused", "stale"),
    )
    print(f"\n{outage.name}, {reads} reads")
    print(f"  {'':28}" + "".join(f"{column:>9}" for column in columns))
    for name, found in rows:
        taken = [f"{1_000 * found.quantile(share):.1f}" for share in (0.5, 0.99, 1.0)]
        back = f"{found.back_s:.2f}" if found.back_s >= 0 else "never"
        told = [found.raised, found.late, *taken, found.source_calls, found.source_peak, back]
        told += [found.refused, found.stale]
        print(f"  {name:28}" + "".join(f"{value:>9}" for value in told))


def main(subjects: dict[str, Callable[[str, Load], Subject]] | None = None) -> None:
    """Measure what the arguments name, and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each outage lasts")
    parser.add_argument("--rate", type=float, default=200.0, help="reads in a second")
    names = [outage.name for outage in OUTAGES]
    parser.add_argument("--only", action="append", choices=names, help="these outages only")
    given = parser.parse_args()
    with Server() as server:
        version = ".".join(map(str, server.version()))
    day = datetime.now(UTC).date()
    print(f"{day}, Python {platform.python_version()}, Redis {version}, {platform.machine()}")
    for outage in OUTAGES:
        if given.only and outage.name not in given.only:
            continue
        rows = []
        for name, new_subject in (subjects or SUBJECTS).items():
            scenario = measure(outage, new_subject, seconds=given.seconds, rate=given.rate)
            rows.append((name, asyncio.run(scenario)))
        _show(outage, rows, int(given.seconds * given.rate))


if __name__ == "__main__":
    main()

"""Memory of a million small entries, over what their keys and values take, each in a process."""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

__all__ = ["run"]

_TTL_S = 600
_PAGE = 4_096

_Keep = Callable[[list[str], list[int]], object]


def run(count: int, rounds: int) -> dict[str, float]:
    """Return the bytes per entry of each cache, as the median of rounds."""
    samples: dict[str, list[float]] = {name: [] for name in RIVALS}
    for _ in range(rounds):
        for name in RIVALS:
            command = [sys.executable, "-m", "benchmarks.rivals.memory", name, str(count)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            samples[name].append(float(done.stdout))
    return {name: statistics.median(figures) for name, figures in samples.items()}


def _measured(name: str, count: int) -> float:
    keys = [f"user:{i:09}" for i in range(count)]
    values = [i + (1 << 40) for i in range(count)]
    RIVALS[name](keys[:10], values[:10])  # what is imported and made once is not an entry's
    gc.collect()
    before = _resident_bytes()
    kept = RIVALS[name](keys, values)
    gc.collect()
    taken = _resident_bytes() - before
    assert kept is not None
    return taken / count


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _dict(keys: list[str], values: list[int]) -> object:
    return dict(zip(keys, values, strict=True))


def _freshwell(keys: list[str], values: list[int]) -> object:
    from freshwell import Cache

    cache = Cache(namespace="rivals", ttl=_TTL_S, max_entries=len(keys), max_bytes=1 << 50)
    return _set_all(cache, cache.set, keys, values)


def _cachebox(keys: list[str], values: list[int]) -> object:
    import cachebox

    cache: Any = cachebox.TTLCache(len(keys), _TTL_S)
    return _set_all(cache, cache.__setitem__, keys, values)


def _cachetools(keys: list[str], values: list[int]) -> object:
    import cachetools

    cache: Any = cachetools.TTLCache(len(keys), _TTL_S)
    return _set_all(cache, cache.__setitem__, keys, values)


def _theine(keys: list[str], values: list[int]) -> object:
    import theine

    cache: Any = theine.Cache(len(keys))
    ttl = timedelta(seconds=_TTL_S)
    return _set_all(cache, lambda key, value: cache.set(key, value, ttl), keys, values)


def _dogpile(keys: list[str], values: list[int]) -> object:
    import dogpile.cache

    cache: Any = dogpile.cache.make_region()
    cache.configure("dogpile.cache.memory", expiration_time=_TTL_S)
    return _set_all(cache, cache.set, keys, values)


def _aiocache(keys: list[str], values: list[int]) -> object:
    from aiocache import SimpleMemoryCache

    cache = SimpleMemoryCache()

    async def fill() -> None:
        for key, value in zip(keys, values, strict=True):
            await cache.set(key, value, ttl=_TTL_S)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(fill())
    return loop, cache  # the loop holds a timer for each entry


def _cashews(keys: list[str], values: list[int]) -> object:
    import cashews

    cache = cashews.Cache()
    cache.setup("mem://", size=len(keys) + 1)

    async def fill() -> None:
        for key, value in zip(keys, values, strict=True):
            await cache.set(key, value, expire=_TTL_S)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(fill())
    return loop, cache


def _set_all(
    cache: object, put: Callable[[str, int], object], keys: list[str], values: list[int]
) -> object:
    for key, value in zip(keys, values, strict=True):
        put(key, value)
    return cache


RIVALS: dict[str, _Keep] = {
    "dict (no TTL)": _dict,
    "freshwell": _freshwell,
    "cachebox": _cachebox,
    "cachetools": _cachetools,
    "theine": _theine,
    "dogpile.cache": _dogpile,
    "aiocache": _aiocache,
    "cashews": _cashews,
}


if __name__ == "__main__":
    print(_measured(sys.argv[1], int(sys.argv[2])))

"""What a call leaves behind: nothing that only the cyclic collector could free."""

from __future__ import annotations

import gc

from freshwell import AsyncCache
from freshwell._kit.aio import sleep


async def test_hits_misses_and_invalidations_leave_no_cycles() -> None:
    async with AsyncCache(max_entries=50) as cache:

        @cache.cached("n:{n}")
        async def load(n: int) -> int:
            await sleep(0)
            return n

        async def use(numbers: range) -> None:
            for n in numbers:
                await load(n)
                await load(n)
                await cache.get_or_load_many([f"m:{n}", f"o:{n}"], many)
                await load.invalidate(n)

        async def many(keys: list[str]) -> dict[str, int]:
            return dict.fromkeys(keys, 1)

        await use(range(100))
        gc.collect()
        gc.disable()
        try:
            await use(range(100, 300))
            assert gc.collect() < 20
        finally:
            gc.enable()

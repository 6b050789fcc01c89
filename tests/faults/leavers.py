"""Programs that end without closing their caches, and processes short of what they need."""

from __future__ import annotations

__all__ = ["LEAVE_IN_A_LOOP", "LEAVE_IN_A_THREAD", "LEAVE_IN_LOOPS"]

LEAVE_IN_A_LOOP = """
import asyncio, sys
from freshwell import AsyncCache

cache = AsyncCache(sys.argv[1])

async def main():
    await cache.set("a", 1)
    while not cache.stats().l1_live:
        await asyncio.sleep(0.001)
    print(await cache.get("a"))

asyncio.run(main())
"""

LEAVE_IN_LOOPS = """
import asyncio, sys
from freshwell import AsyncCache

cache = AsyncCache(sys.argv[1])

async def main(n):
    await cache.set("a", n)
    while not cache.stats().l1_live:
        await asyncio.sleep(0.001)
    return await cache.get("a")

print(*[asyncio.run(main(n)) for n in range(3)])
asyncio.run(cache.aclose())
"""

LEAVE_IN_A_THREAD = """
import sys, time
from freshwell import Cache

cache = Cache(sys.argv[1])
cache.set("a", 1)
while not cache.stats().l1_live:
    time.sleep(0.001)
print(cache.get("a"))
"""

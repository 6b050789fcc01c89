"""Nobody waits for a refresh: an entry past its TTL is served while it is loaded anew."""

from __future__ import annotations

import asyncio

from freshwell import AsyncCache

versions = iter(range(1, 100))
loaded = asyncio.Event()


async def report() -> str:
    version = next(versions)
    await asyncio.sleep(0.05)
    loaded.set()
    if version == 2:
        raise ConnectionError("the source is down")
    return f"report {version}"


async def one_load() -> None:
    loaded.clear()
    await loaded.wait()
    await asyncio.sleep(0.05)  # for it to be stored


async def main() -> None:
    async with AsyncCache(ttl="1h", stale_ttl="10m", stale_throttle=1) as cache:
        print("loaded:", await cache.get_or_load("report", report))

        await cache.expire("report")  # as if the TTL had passed
        print("stale, at once:", await cache.get_or_load("report", report))
        await one_load()  # its refresh fails, and the entry stays
        await asyncio.sleep(1)  # `stale_throttle`: for so long the source is left alone

        print("stale again:", await cache.get_or_load("report", report))
        await one_load()
        print("refreshed:", await cache.get_or_load("report", report))

        await cache.invalidate("report")  # ends the allowance: the next caller waits
        print("after invalidate:", await cache.get_or_load("report", report))
        print("stale serves:", cache.stats().stale_serves)
        print("failed refreshes:", cache.stats().refresh_errors)


if __name__ == "__main__":
    asyncio.run(main())

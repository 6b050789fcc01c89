"""Ask for many entries at once: the loader is called once, with the missing ones."""

from __future__ import annotations

import asyncio

from freshwell import AsyncCache

STOCK = {"stock:tea": 12, "stock:coffee": 7, "stock:cocoa": 0}


async def load(keys: list[str]) -> dict[str, int]:
    print("  asking the source for", keys)
    return {key: STOCK[key] for key in keys if key in STOCK}  # left out: there is none


async def main() -> None:
    async with AsyncCache(ttl="5m", negative_ttl="30s") as cache:
        print(await cache.get_or_load_many(["stock:tea", "stock:cocoa"], load))
        print(await cache.get_or_load_many([*STOCK, "stock:milk"], load))
        print(await cache.get_or_load_many([*STOCK, "stock:milk"], load))

        @cache.cached("square:{n}")
        async def square(n: int) -> int:
            print("  computing", n)
            return n * n

        print(await square(2))
        print(await square.many([1, 2, 3]))


if __name__ == "__main__":
    asyncio.run(main())

"""Cache the results of a function by its arguments, and invalidate one of them."""

from __future__ import annotations

import asyncio

from freshwell import AsyncCache

cache = AsyncCache()
PRICES = {"tea": 3, "coffee": 4}


@cache.cached("price:{product}", ttl="5m")
async def price(product: str) -> int:
    print(f"  asking the source for {product}")
    await asyncio.sleep(0.01)
    return PRICES[product]


async def main() -> None:
    async with cache:
        print("first call:", await price("tea"))
        print("second call:", await price("tea"))

        PRICES["tea"] = 5  # the source first,
        await price.invalidate("tea")  # then the entry of the same arguments
        print("after the change:", await price("tea"))


if __name__ == "__main__":
    asyncio.run(main())

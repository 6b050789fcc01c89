"""Cache the results of a method, with what matters of its object in the key."""

from __future__ import annotations

import asyncio

from freshwell import AsyncCache

cache = AsyncCache()


class Shop:
    def __init__(self, country: str) -> None:
        self.country = country

    @cache.cached("tax:{self.country}:{amount}", ttl="1h")
    async def tax(self, amount: int) -> float:
        print(f"  computing the tax of {amount} in {self.country}")
        return amount * {"de": 0.19, "fr": 0.20}[self.country]


async def main() -> None:
    async with cache:
        berlin, lyon = Shop("de"), Shop("fr")
        print(await berlin.tax(100), await lyon.tax(100))
        print(await berlin.tax(100), await lyon.tax(100))

        # Two shops of one country share their entries: the key says so.
        print(await Shop("de").tax(100))
        print("the key:", berlin.tax.key(100))


if __name__ == "__main__":
    asyncio.run(main())

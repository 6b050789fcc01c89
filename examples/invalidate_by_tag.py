"""One row changes, and all that was made from it is forgotten by one word."""

from __future__ import annotations

import asyncio

from freshwell import AsyncCache

cache = AsyncCache(ttl="10m")
PRICES = {"tea": 3, "coffee": 4, "cocoa": 5}
MENUS = {"breakfast": ["tea", "coffee"], "winter": ["cocoa", "tea"], "strong": ["coffee"]}


@cache.cached("price:{product}", tags=["product:{product}"])
async def price(product: str) -> int:
    print("  asking for the price of", product)
    return PRICES[product]


# Which products are on a menu is known when it has been loaded: a function of the value says it.
@cache.cached("menu:{name}", tags=["menus", lambda menu: [f"product:{one}" for one in menu]])
async def menu(name: str) -> dict[str, int]:
    print("  making the menu", name)
    return {product: PRICES[product] for product in MENUS[name]}


async def read_all(when: str) -> None:
    print(when)
    print(" ", [await price(product) for product in PRICES], [await menu(name) for name in MENUS])


async def main() -> None:
    async with cache:
        await read_all("cold:")
        await read_all("all of it is cached:")

        PRICES["tea"] = 6  # the source first,
        await cache.invalidate_tags("product:tea")  # then all that has to do with tea
        await read_all("after a change of tea:")

        await cache.invalidate_tags("menus")
        await read_all("after a change of all menus:")


if __name__ == "__main__":
    asyncio.run(main())

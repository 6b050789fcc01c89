"""Two processes' caches over one Redis: one load for both, and an invalidation reaches both.

Set FRESHWELL_URL to a server you may write to, such as redis://localhost:6379/0.
"""

from __future__ import annotations

import asyncio
import os

from freshwell import AsyncCache

source = {"user:42": "Ada"}


async def load() -> str:
    print("  asking the source")
    return source["user:42"]


async def main(url: str) -> None:
    # Each cache stands for a process: it has connections and memory (L1) of its own.
    async with (
        AsyncCache(url, namespace="example") as here,
        AsyncCache(url, namespace="example") as there,
    ):
        await here.invalidate("user:42")  # from an earlier run
        print("here:", await here.get_or_load("user:42", load, type=str))
        print("there:", await there.get_or_load("user:42", load, type=str))

        source["user:42"] = "Ada Lovelace"
        await here.invalidate("user:42")
        # "fresh" asks Redis itself: nothing loaded before the invalidation is returned.
        print("there, fresh:", await there.get_or_load("user:42", load, type=str, read="fresh"))
        # L1 learns by push, within `max_staleness` even where the connection is cut.
        print("loads there:", there.stats().loads, "of", there.stats().misses, "misses")


if __name__ == "__main__":
    address = os.environ.get("FRESHWELL_URL")
    if address is None:
        print("FRESHWELL_URL is not set: nothing to share with")
    else:
        asyncio.run(main(address))

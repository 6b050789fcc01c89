"""What the processes of a race do."""

from __future__ import annotations

import time
from typing import Any

from freshwell import AsyncCache
from freshwell._kit.aio import sleep
from tests.support.aio import all_of
from tests.support.worker import Talk

__all__ = ["crowd", "holder", "successor"]

_PATIENT: dict[str, Any] = {"command_timeout": 10, "connect_timeout": 10}
"""Limits for a busy machine. A process that L2 does not answer in time loads without a lease."""

_LONG_S = 30
"""A lease that stands though its holder is not let run for a while: who waits would take over."""


async def crowd(talk: Talk, *, url: str, callers: int, load_s: float) -> int:
    """Ask for one cold key, many callers at once. Returns how often this process loaded it."""
    loads = 0

    async def load() -> dict[str, int]:
        nonlocal loads
        loads += 1
        await sleep(load_s)
        return {"value": 42}

    async with AsyncCache(url, namespace="crowd", lease=_LONG_S, **_PATIENT) as cache:
        await cache.get("warm")
        talk.ready()

        async def ask() -> Any:
            return await cache.get_or_load("cold", load)

        answers = await all_of(*[ask] * callers)
        assert answers == [{"value": 42}] * callers
        return loads


async def holder(talk: Talk, *, url: str, lease_s: float) -> None:
    """Take the lease, tell the test so, and never finish loading."""

    async def load() -> str:
        talk.say("loading")
        await sleep(3600)
        return "never"

    async with AsyncCache(url, namespace="heirs", lease=lease_s, **_PATIENT) as cache:
        await cache.get_or_load("key", load)


async def successor(talk: Talk, *, url: str, lease_s: float, callers: int) -> dict[str, float]:
    """Wait for the holder's value. Tells how often this process loaded, and when it was done."""
    loads = 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        return "taken over"

    async with AsyncCache(url, namespace="heirs", lease=lease_s, **_PATIENT) as cache:
        await cache.get("warm")
        talk.ready()

        async def ask() -> str:
            return await cache.get_or_load("key", load)

        answers = await all_of(*[ask] * callers)
        assert answers == ["taken over"] * callers
        return {"loads": loads, "done_ns": time.monotonic_ns()}

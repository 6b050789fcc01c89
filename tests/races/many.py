"""Worker processes for tests of what concerns very many entries."""

from __future__ import annotations

import asyncio
import threading
import time

from freshwell import AsyncCache
from tests.support.resp import Line
from tests.support.worker import Talk

__all__ = ["fill_and_read", "ping"]

_BATCH = 1_000
_PAUSE_S = 0.0005
_GIVE_UP_S = 20.0


async def fill_and_read(talk: Talk, url: str, first: int, count: int) -> dict[str, bool]:
    """Store `count` entries from `first` on, read some, and say whether they are there later.

    All have the tag ``all``; the entry ``other:{first}`` has another tag.
    """
    async with AsyncCache(url, max_entries=1_000, command_timeout=30) as cache:
        for start in range(first, first + count, _BATCH):
            numbers = range(start, min(start + _BATCH, first + count))
            await cache.set_many({f"k:{n}": n for n in numbers}, tags=["all"])
        other = f"other:{first}"
        await cache.set(other, 1, tags=["others"])
        wanted = [f"k:{n}" for n in (first, first + count // 2, first + count - 1)]
        before = await cache.get_many([*wanted, other])
        await talk.ready_async()
        fresh = await cache.get_many(wanted, read="fresh")
        async with asyncio.timeout(_GIVE_UP_S):
            while await cache.get_many(wanted):  # noqa: ASYNC110  # L1 may be behind a little
                await asyncio.sleep(0.001)
        return {
            "there before": len(before) == len(wanted) + 1,
            "a miss afterwards": fresh == {},
            "other tags stay": await cache.get(other) == 1,
        }


def ping(talk: Talk, port: int) -> None:
    """Send PINGs from one word of the test's to the next, and say how long the longest took."""
    while True:
        talk.hear()
        ended, taken_s = threading.Event(), [0.0]
        begun = threading.Event()
        pinger = threading.Thread(target=_ping, args=(port, begun, ended, taken_s))
        pinger.start()
        begun.wait()
        talk.say("begun")
        talk.hear()
        ended.set()
        pinger.join()
        talk.say(max(taken_s))


def _ping(port: int, begun: threading.Event, ended: threading.Event, taken_s: list[float]) -> None:
    with Line(port, timeout_s=50) as line:
        while not ended.is_set():
            began_s = time.monotonic()
            line.ask("PING")
            taken_s.append(time.monotonic() - began_s)
            begun.set()
            time.sleep(_PAUSE_S)

"""Caches with a spool, a source that changes, and replays that wait until a test lets them go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from freshwell import AsyncCache
from freshwell._async.coordination.writes import Writes
from freshwell._kit.aio import sleep
from freshwell.ground.spooling import Missed
from tests.support.aio import Latch

__all__ = ["Held", "Source", "cache_of", "hold_replays", "is_told", "reaches"]


class Source:
    """A source of one number, which counts how often it is asked."""

    def __init__(self) -> None:
        self.value = 1
        self.calls = 0

    async def load(self) -> int:
        self.calls += 1
        return self.value


class Held:
    """Replays that wait. `let_go`: now and later they do not."""

    def __init__(self) -> None:
        self.begun, self._may_go = Latch(), Latch()

    def let_go(self) -> None:
        self._may_go.open()

    async def passed(self) -> None:
        self.begun.open()
        await self._may_go.passed()


def cache_of(url: str, **options: Any) -> AsyncCache:
    """Return a cache without early refresh, for a busy machine, that closes at once."""
    return AsyncCache(
        url, **{"command_timeout": 2, "connect_timeout": 2, "drain": 0, "beta": 0} | options
    )


def hold_replays(patch: pytest.MonkeyPatch) -> Held:
    """Let whatever a spool tells L2 from now on wait."""
    held = Held()
    tell: Callable[[Writes, Sequence[Missed]], Awaitable[None]] = Writes._tell

    async def late(writes: Writes, missed: Sequence[Missed]) -> None:
        await held.passed()
        await tell(writes, missed)

    patch.setattr(Writes, "_tell", late)
    return held


def is_told(cache: AsyncCache) -> bool:
    """Tell whether nothing waits in the spool."""
    return cache.stats().spool_records == 0


async def reaches(*caches: AsyncCache) -> None:
    """Wait until L2 answers caches again: a link rests for a moment after it could not be made."""
    for cache in caches:
        for _ in range(2_000):
            if (await cache.lookup("nothing")).reason != "l2 down":
                break
            await sleep(0.01)
        else:
            raise AssertionError("L2 does not answer")

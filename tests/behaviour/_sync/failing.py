"""Sources that fail, hang and come back, and clocks of caches that stand still."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import time
from typing import Any

from freshwell import Cache
from tests.support.threads import Latch
from tests.support.clock import ManualClock


class Broken(Exception):
    """What a source raises that is down."""


class Gone(Exception):
    """What a source raises that knows better."""


class Source:
    """Counts its calls and returns their number, or raises what it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.raises: Exception | None = None

    def __call__(self) -> int:
        self.calls += 1
        if self.raises is not None:
            raise self.raises
        return self.calls


class Slow(Source):
    """Hangs from its second call on, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = Latch()
        self.ended = 0

    def __call__(self) -> int:
        number = super().__call__()
        if number > 1:
            self.let_go.passed()
        self.ended += 1
        return number


def stopped(cache: Cache) -> ManualClock:
    """Let the clock by which a cache judges stand still. L2's and the waits go on."""
    clock = ManualClock(time.monotonic_ns())
    tiers = cache._core.engine().tiers
    object.__setattr__(tiers, "now_ns", clock)
    tiers.table._now_ns = clock
    return clock


def with_stale(cache: Cache, key: str, load: Any, **options: Any) -> None:
    """Load an entry without time limits, and end its freshness."""
    unlimited: dict[str, Any] = {"load_timeout": None, "load_soft_timeout": None}
    cache.get_or_load(key, load, **unlimited, **options)
    cache.expire(key)

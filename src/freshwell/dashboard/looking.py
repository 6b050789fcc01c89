"""Look at the fleet now and then, and give what is seen to every page that is open.

One look for all pages, in a worker thread; none while no page is open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from freshwell.cli.fleet.model import Fleet, as_dict
from freshwell.errors import StoreUnavailable
from freshwell.ground.snapshots import Snapshot

__all__ = ["Looking"]

_WAIT_S = 0.05


class Looking:
    """Looks at most every `interval_s`. Belongs to one event loop."""

    def __init__(self, look: Callable[[], Iterable[Snapshot]], interval_s: float) -> None:
        self._look = look
        self._interval_s = interval_s
        self._fleet = Fleet()
        self._lock = asyncio.Lock()
        self._looked_s = -1e9
        self._seen: dict[str, Any] = {}
        self._number = 0

    async def views(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the state of the fleet, now and whenever it was looked at again."""
        shown = 0
        while True:
            await self._renew()
            if shown != self._number:
                shown = self._number
                yield self._seen
            await asyncio.sleep(max(_WAIT_S, self._looked_s + self._interval_s - time.monotonic()))

    async def _renew(self) -> None:
        async with self._lock:
            if time.monotonic() - self._looked_s < self._interval_s:
                return
            try:
                snapshots = await asyncio.to_thread(self._look)
                self._seen = {"error": None, **as_dict(self._fleet.look(snapshots))}
            except StoreUnavailable as error:
                self._seen = {**self._seen, "error": str(error)}
            self._number += 1
            self._looked_s = time.monotonic()

"""Tell the fleet how this process's cache is doing, now and then, under a key that soon ends.

For people who look (``freshwell top``): a snapshot that could not be written is not missed.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable

from freshwell._sync.stores.base import Store
from freshwell._kit.threads import Signal
from freshwell.errors import StoreUnavailable
from freshwell.ground.snapshots import Snapshot, packed, snapshot_key

__all__ = ["Publisher"]

_LIVES = 3
"""Periods for which a snapshot lives: who misses two of them is not taken for dead."""


class Publisher:
    """Publishes snapshots of one open cache until it is stopped."""

    def __init__(
        self, store: Store, snapshot: Callable[[], Snapshot], *, every_ms: int
    ) -> None:
        self._store = store
        self._snapshot = snapshot
        self._every_ms = every_ms
        self._stop = Signal()

    def stop(self) -> None:
        """End it soon."""
        self._stop.notify()

    def run(self) -> None:
        """Publish, and wait, until stopped."""
        stopped = False
        while not stopped:
            try:
                snapshot = self._snapshot()
                key = snapshot_key(snapshot.namespace, snapshot.process)
                self._store.post(key, packed(snapshot), _LIVES * self._every_ms)
            except StoreUnavailable:
                # Whoever reads or writes the cache has told so already.
                pass
            stopped = self._stop.wait(self._every_ms / 1_000)

"""Which shards of a journal in Redis this process owns, by leases, and its fair part of them."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from freshwell._sync.stores.redis_shards import Shards, sound, unavailable
from freshwell._sync.stores.scripts import Call, script
from freshwell.errors import JournalUnavailable, StoreUnavailable
from freshwell.ground.records import ShardLost

__all__ = ["Owners"]

_LOOK_EVERY_NS = 1_000_000_000


class Owners:
    """The shards that this process owns. `token` is what the leases name it by.

    Processes that flush have equal parts of the shards. A process that has more, since others
    have come, gives shards back as it is asked about them.
    """

    def __init__(
        self,
        shards: Shards,
        count: int,
        *,
        lease_ms: int,
        survey: Callable[[], object] | None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.token = os.urandom(16).hex().encode()
        self.lease_ms = lease_ms
        self._shards = shards
        self._count = count
        self._survey = survey
        self._now_ns = now_ns
        self._mutex = threading.Lock()
        self._owned: set[int] = set()
        self._part = count
        self._due_ns = now_ns()
        self._joined = False
        self._own = script("journal_own")
        self._share = script("journal_share")

    def own(self, shard: int) -> bool:
        """Become the owner of a shard, or remain it. False: another is, or ought to be."""
        self._look_around()
        with self._mutex:
            mine, owned = shard in self._owned, len(self._owned)
        if mine and owned > self._part:
            self.release([shard])
            return False
        if not mine and owned >= self._part:
            return False
        (reply,) = self._lease([shard], self.lease_ms)
        with self._mutex:
            (self._owned.add if reply == 1 else self._owned.discard)(shard)
        return bool(reply == 1)

    def release(self, shards: Sequence[int]) -> None:
        """Give shards back. What is not owned is left alone."""
        with self._mutex:
            self._owned.difference_update(shards)
        self._lease(shards, 0)

    def lost(self, shard: int) -> ShardLost:
        """Note that a shard is another's, and return the error that says so."""
        with self._mutex:
            self._owned.discard(shard)
        return ShardLost(f"another process owns shard {shard} now")

    def leave(self) -> None:
        """Give all shards back. Where that cannot be told, the leases run out."""
        if not self._joined:
            return
        with self._mutex:
            owned = sorted(self._owned)
        with suppress(JournalUnavailable):
            self.release(owned)
            self._shards.ask([(b"ZREM", self._shards.keys.flushers, self.token)])

    def _lease(self, shards: Sequence[int], lease_ms: int) -> list[Any]:
        calls: list[Call] = [(self._shards.of(s).owner, [self.token, lease_ms]) for s in shards]
        return self._shards.run(self._own, calls, repeat=True)

    def _look_around(self) -> None:
        """Find out, every second, who the primary is, and how many processes flush."""
        with self._mutex:
            now_ns = self._now_ns()
            if now_ns < self._due_ns:
                return
            self._due_ns = now_ns + _LOOK_EVERY_NS
        if self._survey is not None:
            try:
                self._survey()
            except StoreUnavailable as error:
                raise unavailable(error) from error
        self._joined = True
        calls: list[Call] = [(self._shards.keys.flushers, [self.token, self.lease_ms])]
        (flushers,) = self._shards.run(self._share, calls, repeat=True)
        self._part = -(-self._count // max(1, sound(flushers, int)))

"""Which shards of a journal this process owns: won, renewed by a beat, and doubted in time.

Where the renewal is late, a shard may have been another's for a while, although it is won back:
what was taken from it before is void then. So ownership counts only while its last renewal was
*sent* less than `trust_ns` ago, and has to be begun anew after that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock

from freshwell._async.stores.journal import Journal
from freshwell._kit.aio import each
from freshwell.engines.incidents import Incidents
from freshwell.errors import JournalError

__all__ = ["Tenure"]

_AT_ONCE = 8


class Tenure:
    """The shards that are held. Safe for any number of tasks or threads."""

    def __init__(
        self,
        journal: Journal,
        incidents: Incidents,
        *,
        trust_ns: int,
        now_ns: Callable[[], int],
    ) -> None:
        self._journal = journal
        self._incidents = incidents
        self._trust_ns = trust_ns
        self._now_ns = now_ns
        self._mutex = Lock()
        self._sent_ns: dict[int, int] = {}

    def holds(self, shard: int) -> bool:
        """Tell whether a shard is held, without a gap since it was begun."""
        with self._mutex:
            sent_ns = self._sent_ns.get(shard)
        return sent_ns is not None and self._now_ns() - sent_ns <= self._trust_ns

    async def begin(self, shard: int) -> bool:
        """Try to become a shard's owner. What was taken from it before is void."""
        sent_ns = self._now_ns()
        if not await self._journal.own(shard):
            return False
        with self._mutex:
            self._sent_ns[shard] = sent_ns
        return True

    def end(self, shard: int) -> None:
        """Hold a shard no longer. Nobody is told."""
        with self._mutex:
            self._sent_ns.pop(shard, None)

    async def renew(self) -> None:
        """Renew what is held. Where that is not sure, the shard is held no longer."""
        with self._mutex:
            shards = list(self._sent_ns)
        await each([partial(self._renew, shard) for shard in shards], _AT_ONCE)

    async def _renew(self, shard: int) -> None:
        sent_ns = self._now_ns()
        try:
            owned = await self._journal.own(shard)
        except JournalError as error:
            self._incidents.journal_failed(error)
            owned = False
        if owned and self.holds(shard):
            with self._mutex:
                if shard in self._sent_ns:
                    self._sent_ns[shard] = sent_ns
        else:
            self.end(shard)

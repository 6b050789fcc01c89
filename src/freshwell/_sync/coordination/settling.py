"""What follows for the tiers when records have been flushed, or never will be.

- Stored: where others may have cached what the source had before, or this process may because a
  writer did not learn that its write was accepted, the entries are made absent between the
  source's commit and the end of the records. Who loads one in between is given the record, which
  is the same.
- Dead: the cache must not go on with a value that the source will not have. The entries are
  announced before the records end: a flusher that dies in between leaves none of them.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from freshwell._sync.coordination.accepting import Doubts, accepts_together, is_local
from freshwell._sync.coordination.keeper import Tiers
from freshwell._sync.coordination.saving import Change, Saves
from freshwell._sync.coordination.writes import Writes
from freshwell._sync.stores.journal import Journal
from freshwell.engines.shelf import Terms
from freshwell.ground.records import Settled
from freshwell.ground.tags import UNTAGGED, Tagging

__all__ = ["Settling"]


class Settling:
    """The end of records of one journal. Safe for any number of tasks or threads."""

    def __init__(
        self,
        journal: Journal,
        tiers: Tiers,
        writes: Writes,
        saves: Saves,
        terms: Terms,
        doubts: Doubts,
    ) -> None:
        self._journal = journal
        self._writes = writes
        self._saves = saves
        self._terms = terms
        self._doubts = doubts
        if is_local(journal):
            self._cached_elsewhere = tiers.store.shared
        else:
            self._cached_elsewhere = not accepts_together(journal, tiers)

    def settle(self, shard: int, settled: Settled) -> int:
        """Settle records in the journal and the tiers. Return how many were gone already.

        Raises what `Journal.settle` does, and `InvalidationError` where L2 may not have been told:
        the records are to be delivered again then.
        """
        outdated = [
            record.name
            for record in settled.stored
            if self._cached_elsewhere or record.is_revived or record.name in self._doubts
        ]
        if outdated:
            # Until L2 has taken it the journal has the records: it is the better spool.
            self._writes.invalidate(list(dict.fromkeys(outdated)), spools=False)
        if not settled.dead:
            return self._journal.settle(shard, settled)
        gone = 0

        def act() -> None:
            nonlocal gone
            gone = self._journal.settle(shard, settled)

        names = list(dict.fromkeys(record.name for record, _ in settled.dead))
        self._saves.run(Change(names, {}, self._terms, _untagged), act)
        return gone


def _untagged(name: str) -> Tagging:
    return UNTAGGED

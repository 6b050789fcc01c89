"""Accept writes for later: into the journal, and into the tiers, so that readers have them.

Three ways, by where the journal is:

- *local* (a file, memory): the change is announced, accepted, and the value left by one who was
  alone, as in write-through; the journal stands for the source.
- *together* with the entries on one Redis server: record and entry appear in one step.
- *apart* (a Cluster, a Redis of its own): accepted, then the entry made absent; whoever loads it
  asks the journal first. A writer who dies in between has not acknowledged anything; the flusher
  makes the entry absent once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any

from freshwell._async.coordination.keeper import Tiers
from freshwell._async.coordination.saving import NOTHING_SAID, Change, Saves
from freshwell._async.coordination.writes import Writes
from freshwell._async.stores.base import Fill
from freshwell._async.stores.journal import Journal
from freshwell.errors import InvalidationError, StoreUnavailable
from freshwell.ground.frame import tombstone_frame
from freshwell.ground.records import Draft, Durability
from freshwell.ground.saved import Saved

__all__ = ["Accepting", "Doubts", "accepts_together", "is_local"]

_TOMBSTONE_MS = 1_000
_MOST_DOUBTS = 10_000


class _NoRoom(Exception):
    """The journal has no room for any of the writes."""


class _Heard:
    """What the journal has said: `sequences`, empty until then. If one is 0, no value is left."""

    __slots__ = ("sequences",)

    def __init__(self) -> None:
        self.sequences: list[int] = []

    def __call__(self, answer: list[int]) -> Mapping[str, Saved[Any]]:
        self.sequences = answer
        if 0 in answer:
            raise _NoRoom
        return NOTHING_SAID


class Doubts:
    """Entries whose last write may have been accepted without its writer knowing. Thread-safe.

    A reader may have stored what the source had before it. They stay in doubt, for nobody learns
    when that write is stored, and whether; at most so many are known, and beyond, all are doubted.
    """

    def __init__(self) -> None:
        self._mutex = Lock()
        self._names: set[str] = set()
        self._all = False

    def __contains__(self, name: str) -> bool:
        return self._all or name in self._names

    def add(self, names: Sequence[str]) -> None:
        """Doubt entries."""
        with self._mutex:
            self._names.update(names)
            if len(self._names) > _MOST_DOUBTS:
                self._names, self._all = set(), True


def is_local(journal: Journal) -> bool:
    """Tell whether only this machine sees the journal."""
    return journal.durability in (Durability.MEMORY, Durability.LOCAL)


def accepts_together(journal: Journal, tiers: Tiers) -> bool:
    """Tell whether record and entry can appear in one step.

    Not with schema versions: the entries of others are reached by a tag, which is another key.
    """
    return journal.together and not tiers.names.versioned


class Accepting:
    """Acceptance for one journal. Safe for any number of tasks or threads.

    `payload_at`: where in a draft's payload begins what its entry has for one in L2. None: nowhere.
    """

    def __init__(
        self,
        journal: Journal,
        tiers: Tiers,
        writes: Writes,
        saves: Saves,
        *,
        payload_at: int | None = None,
    ) -> None:
        self._journal = journal
        self._payload_at = payload_at
        self._t = tiers
        self._writes = writes
        self._saves = saves
        self.doubts = Doubts()
        self._way: Callable[[Sequence[Draft], Change], Awaitable[list[int]]]
        if is_local(journal):
            self._way = self._locally
        elif accepts_together(journal, tiers):
            self._way = self._together
        else:
            self._way = self._apart

    def accept(self, drafts: Sequence[Draft], change: Change) -> Awaitable[list[int]]:
        """Accept writes, one for each of the change's names, and return their sequences.

        0: there was no room for it. Raises what `Journal.accept` does; before anything is
        accepted, `StoreUnavailable` and `CodecError` as write-through does; and
        `InvalidationError` where all *is* accepted and L2 may not know.
        """
        return self._way(drafts, change)

    async def _locally(self, drafts: Sequence[Draft], change: Change) -> list[int]:
        heard = _Heard()
        accepting = Change(change.names, change.values, change.terms, change.taggings, heard)
        try:
            await self._saves.run(accepting, partial(self._journal.accept, drafts))
        except _NoRoom:
            pass
        except InvalidationError as error:
            if heard.sequences:
                raise _accepted_all_the_same(error) from error
            raise StoreUnavailable(f"nothing was accepted: {error}") from error
        except BaseException:
            self.doubts.add(change.names)
            raise
        return heard.sequences

    async def _together(self, drafts: Sequence[Draft], change: Change) -> list[int]:
        at, values = self._payload_at, change.values
        known = {} if at is None else {d.name: d.payload[at:] for d in drafts if d.name in values}
        fills = await self._writes.fills(values, change.terms, change.taggings, known)
        entries = [fills.get(name) or self._tombstone(name) for name in change.names]
        try:
            return await self._journal.accept(drafts, entries)
        finally:
            self._writes.drop(change.names)

    async def _apart(self, drafts: Sequence[Draft], change: Change) -> list[int]:
        sequences = await self._journal.accept(drafts)
        taken = [n for n, given in zip(change.names, sequences, strict=True) if given]
        if taken:
            try:
                await self._writes.invalidate(taken)
            except InvalidationError as error:
                raise _accepted_all_the_same(error) from error
        return sequences

    def _tombstone(self, name: str) -> Fill:
        key = self._t.names.entry(name)
        return Fill(key, b"", tombstone_frame(key), 0, _TOMBSTONE_MS)


def _accepted_all_the_same(error: InvalidationError) -> InvalidationError:
    return InvalidationError(
        f"the journal has the write, and L2 may serve what was there before until it is flushed "
        f"({error})",
        error.key_digests,
    )

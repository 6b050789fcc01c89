"""Accept writes for later: into the journal, and into the tiers, so that readers have them.

Three ways, by where the journal is:

- *local* (a file, memory): the journal stands for the source. With L2 the change is announced,
  accepted, and the value left by one who was alone, as in write-through. Without, nobody else can
  tell when the record has appeared: the value takes the older one's place when it has.
- *together* with the entries on one Redis server: record and entry appear in one step.
- *apart* (a Cluster, a Redis of its own): accepted, then the entry made absent; whoever loads it
  asks the journal first. A writer who dies in between has not acknowledged anything; the flusher
  makes the entry absent once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from itertools import compress
from threading import Lock
from typing import Any, Protocol, TypeAlias, cast

from freshwell._async.coordination.errands import Taggings, alike
from freshwell._async.coordination.keeper import Tiers
from freshwell._async.coordination.saving import NOTHING_SAID, Change, Saves
from freshwell._async.coordination.writes import Writes
from freshwell._async.stores.base import Fill
from freshwell._async.stores.journal import Journal, Sharing
from freshwell._kit.aio_rounds import Rounds
from freshwell.engines.shelf import Terms
from freshwell.engines.table import Table
from freshwell.errors import InvalidationError, StoreUnavailable
from freshwell.ground.frame import tombstone_frame
from freshwell.ground.names import Names
from freshwell.ground.records import Draft, Durability
from freshwell.ground.saved import Saved
from freshwell.ground.tags import UNTAGGED, Tagging

__all__ = ["Accepting", "Doubts", "accepts_together", "is_local"]

_TOMBSTONE_MS = 1_000
_MOST_DOUBTS = 10_000
_SEQUENCES = frozenset({int})


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


_Post: TypeAlias = tuple[Draft, Any]
"""One write on its way into the journal, and what is to stand in the tiers when it is there.

That is the way's own affair. None: nothing. Nothing but a tuple: one is made for each write.
"""


class _Way(Protocol):
    """What stands around `Journal.accept`, by where the journal is.

    `in_step`: what is left is an entry of L2, which the journal stores with the record. `tells`:
    L2 is to be told afterwards, and each caller what comes of that.
    """

    in_step: bool
    tells: bool

    def untagged(self, draft: Draft, value: Any) -> _Post:
        """Return a write whose entry has no tags. Raises what is wrong with the value."""

    async def prepared(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[_Post]:
        """Return writes, of which those without a value delete. Raises as `untagged` does."""

    def failed(self, names: Sequence[str]) -> None:
        """See to entries of which it is not known whether the journal has their writes."""

    def taken(self, names: Sequence[str], left: Sequence[Any]) -> None:
        """See to entries whose writes the journal has, with what is to be `left` of each."""


class _Here:
    """The journal is this process's, and so are the entries.

    Nobody else can tell when a record has appeared: for readers a write takes place when its
    value replaces the older one, which is as soon as the journal has it.
    """

    in_step = False
    tells = False

    def __init__(
        self, table: Table, writes: Writes, saves: Saves, terms: Terms, doubts: Doubts
    ) -> None:
        self._table = table
        self._writes = writes
        self._saves = saves
        self._terms = terms
        self._doubts = doubts

    def untagged(self, draft: Draft, value: Any) -> _Post:
        return draft, (draft.name, value, self._table.moment(), None)

    async def prepared(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[_Post]:
        since = self._table.moment()
        bonds = await self._writes.bonds(values, self._terms, taggings)
        left = {name: (name, v, since, bonds.get(name)) for name, v in values.items()}
        return [(draft, left.get(draft.name)) for draft in drafts]

    def failed(self, names: Sequence[str]) -> None:
        self._doubts.add(names)
        self._writes.drop(names)

    def taken(self, names: Sequence[str], left: Sequence[Any]) -> None:
        # Of several of one key the journal has the last as the newest.
        written = dict(zip(names, left, strict=True))
        if None in left:
            deleted = [name for name, its in written.items() if its is None]
            for name in deleted:
                del written[name]
            self._writes.drop(deleted)
            self._writes.done(deleted, ())
        if written:
            self._saves.leave(written, self._terms)


class _Together:
    """The journal is on L2's server: records and entries appear in one step."""

    in_step = True
    tells = False

    def __init__(self, names: Names, writes: Writes, terms: Terms, payload_at: int | None) -> None:
        self._names = names
        self._writes = writes
        self._terms = terms
        self._payload_at = payload_at

    def untagged(self, draft: Draft, value: Any) -> _Post:
        return draft, self._writes.fill(draft.name, value, self._terms, self._written(draft))

    async def prepared(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[_Post]:
        known = {draft.name: self._written(draft) for draft in drafts if draft.name in values}
        fills = await self._writes.fills(values, self._terms, taggings, known)
        return [(d, fills.get(d.name) or self._tombstone(d.name)) for d in drafts]

    def failed(self, names: Sequence[str]) -> None:
        self._writes.drop(names)

    def taken(self, names: Sequence[str], left: Sequence[Any]) -> None:
        self._writes.drop(names)

    def _written(self, draft: Draft) -> bytes | None:
        """Return what the codec has written already, if it writes the same for the entry."""
        return None if self._payload_at is None else draft.payload[self._payload_at :]

    def _tombstone(self, name: str) -> Fill:
        key = self._names.entry(name)
        return Fill(key, b"", tombstone_frame(key), 0, _TOMBSTONE_MS)


class _Apart:
    """The journal is elsewhere: entries are made absent, and whoever loads one asks it first."""

    in_step = False

    def __init__(self, writes: Writes, *, shared: bool) -> None:
        self._writes = writes
        self.tells = shared

    def untagged(self, draft: Draft, value: Any) -> _Post:
        return draft, None

    async def prepared(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[_Post]:
        return [(draft, None) for draft in drafts]

    def failed(self, names: Sequence[str]) -> None:
        pass

    def taken(self, names: Sequence[str], left: Sequence[Any]) -> None:
        if not self.tells:
            self._writes.invalidate_here(names)


class Accepting:
    """Acceptance for one journal. Safe for any number of tasks or threads.

    `terms`: of the values. `payload_at`: where in a draft's payload begins what its entry has for
    one in L2. None: nowhere.
    """

    def __init__(
        self,
        journal: Journal,
        tiers: Tiers,
        writes: Writes,
        saves: Saves,
        terms: Terms,
        *,
        payload_at: int | None = None,
    ) -> None:
        self._journal = journal
        self._writes = writes
        self._saves = saves
        self._terms = terms
        self.doubts = Doubts()
        self._announces = is_local(journal) and tiers.store.shared
        # One that somebody else has written takes the writes of each caller by themselves.
        self._sharing = cast("Sharing", journal) if hasattr(journal, "shard_of") else None
        self._shard_of = None if self._sharing is None else self._sharing.shard_of
        self._rounds: Rounds[int, _Post, int] = Rounds(self._round)
        self._way: _Way
        if is_local(journal):
            self._way = _Here(tiers.table, writes, saves, terms, self.doubts)
        elif accepts_together(journal, tiers):
            self._way = _Together(tiers.names, writes, terms, payload_at)
        else:
            self._way = _Apart(writes, shared=tiers.store.shared)

    async def accept(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[int]:
        """Accept writes of one caller, one for each name, and return their sequences.

        `values`: of those that do not delete. 0: there was no room for it. Raises what
        `Journal.accept` does; before anything is accepted, `StoreUnavailable` and `CodecError` as
        write-through does; and `InvalidationError` where all *is* accepted and L2 may not know.
        """
        if self._announces:
            return await self._announced(drafts, values, taggings)
        posts = await self._way.prepared(drafts, values, taggings)
        sequences = await self._carried(posts)
        if self._way.tells:
            await self._tell([d.name for d, s in zip(drafts, sequences, strict=True) if s])
        return sequences

    def accept_one(self, draft: Draft, value: Any, tagging: Tagging) -> Awaitable[int]:
        """Accept one write, and return its sequence. See `accept`.

        Those that tasks give at the same time share what can be done for many at once.
        """
        shard_of = self._shard_of
        if shard_of is None or self._announces or tagging is not UNTAGGED:
            return self._prepared_one(draft, value, tagging)
        given = self._rounds.run(shard_of(draft.name), self._way.untagged(draft, value))
        return self._told(given, draft.name) if self._way.tells else given

    async def _prepared_one(self, draft: Draft, value: Any, tagging: Tagging) -> int:
        values, taggings = {draft.name: value}, alike(tagging)
        if self._shard_of is None or self._announces:
            return (await self.accept((draft,), values, taggings))[0]
        (post,) = await self._way.prepared((draft,), values, taggings)
        given = self._rounds.run(self._shard_of(draft.name), post)
        return await (self._told(given, draft.name) if self._way.tells else given)

    async def _told(self, given: Awaitable[int], name: str) -> int:
        sequence = await given
        if sequence:
            await self._tell((name,))
        return sequence

    def _round(self, shard: int, posts: Sequence[_Post]) -> Awaitable[list[Any]]:
        return self._carried(posts, each=len(posts) > 1)

    async def _carried(self, posts: Sequence[_Post], *, each: bool = False) -> list[Any]:
        """Have the journal accept writes, and see to their entries.

        `each`: they are of a caller each, whose outcome may be an error.
        """
        drafts, left = map(list, zip(*posts, strict=True))
        names = [draft.name for draft in drafts]
        entries = left if self._way.in_step else ()
        try:
            if each and self._sharing is not None:
                outcomes = await self._sharing.accept(drafts, entries, each=True)
            else:
                outcomes = await self._journal.accept(drafts, entries)
        except BaseException:
            self._way.failed(names)
            raise
        told = outcomes
        if each and not _SEQUENCES.issuperset(map(type, outcomes)):
            failed = {
                n for n, one in zip(names, outcomes, strict=True) if isinstance(one, Exception)
            }
            self._way.failed([*failed])
            told = [0 if n in failed else one for n, one in zip(names, outcomes, strict=True)]
        if not all(told):
            names, left = list(compress(names, told)), list(compress(left, told))
        self._way.taken(names, left)
        return outcomes

    async def _tell(self, names: Sequence[str]) -> None:
        """Make entries absent in L2."""
        if names:
            try:
                await self._writes.invalidate(names)
            except InvalidationError as error:
                raise _accepted_all_the_same(error) from error

    async def _announced(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[int]:
        names, heard = [draft.name for draft in drafts], _Heard()
        change = Change(names, values, self._terms, taggings, heard)
        try:
            await self._saves.run(change, partial(self._journal.accept, drafts))
        except _NoRoom:
            pass
        except InvalidationError as error:
            if heard.sequences:
                raise _accepted_all_the_same(error) from error
            raise StoreUnavailable(f"nothing was accepted: {error}") from error
        except BaseException:
            self.doubts.add(names)
            raise
        return heard.sequences


def _accepted_all_the_same(error: InvalidationError) -> InvalidationError:
    return InvalidationError(
        f"the journal has the write, and L2 may serve what was there before until it is flushed "
        f"({error})",
        error.key_digests,
    )

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

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, NamedTuple, Protocol, cast

from freshwell._sync.coordination.errands import Taggings, alike
from freshwell._sync.coordination.keeper import Tiers
from freshwell._sync.coordination.saving import NOTHING_SAID, Change, Saves, Written
from freshwell._sync.coordination.writes import Writes
from freshwell._sync.stores.base import Fill
from freshwell._sync.stores.journal import Journal, Sharing
from freshwell._kit.threads_rounds import Rounds
from freshwell.engines.shelf import Terms
from freshwell.engines.stamps import Bonds
from freshwell.errors import InvalidationError, StoreUnavailable
from freshwell.ground.frame import tombstone_frame
from freshwell.ground.records import Draft, Durability
from freshwell.ground.saved import Saved
from freshwell.ground.tags import Tagging

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


class _Post(NamedTuple):
    """One write on its way into the journal, and what is to be seen to when it is there.

    `value`: None where it deletes. `since`, `bonds`: see `Written`. `entry`: what is to stand in
    L2 in the same step.
    """

    draft: Draft
    value: Any
    since: int = 0
    bonds: Bonds | None = None
    entry: Fill | None = None


class _Way(Protocol):
    """What stands around `Journal.accept`, by where the journal is."""

    def prepared(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[_Post]:
        """Return what is to be carried. Raises for one caller what is wrong with its values."""

    def failed(self, names: Sequence[str]) -> None:
        """See to entries of which it is not known whether the journal has their writes."""

    def taken(self, posts: Sequence[_Post]) -> None:
        """See to entries whose writes the journal has."""

    def told(self, names: Sequence[str]) -> None:
        """Tell L2 of them, for one caller, who is told what comes of it."""


class _Here:
    """The journal is this process's, and so are the entries.

    Nobody else can tell when a record has appeared: for readers a write takes place when its
    value replaces the older one, which is as soon as the journal has it.
    """

    def __init__(
        self, tiers: Tiers, writes: Writes, saves: Saves, terms: Terms, doubts: Doubts
    ) -> None:
        self._t = tiers
        self._writes = writes
        self._saves = saves
        self._terms = terms
        self._doubts = doubts

    def prepared(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[_Post]:
        since = self._t.table.moment()
        bonds = self._writes.bonds(values, self._terms, taggings)
        return [
            _Post(draft, values.get(draft.name), since, bonds.get(draft.name)) for draft in drafts
        ]

    def failed(self, names: Sequence[str]) -> None:
        self._doubts.add(names)
        self._writes.drop(names)

    def taken(self, posts: Sequence[_Post]) -> None:
        # Of several of one key the journal has the last as the newest.
        newest = {post.draft.name: post for post in posts}
        written = [
            Written(name, value, since, bonds)
            for name, (_, value, since, bonds, _) in newest.items()
            if value is not None
        ]
        if written:
            self._saves.leave(written, self._terms)
        if len(written) < len(newest):
            deleted = [name for name, post in newest.items() if post.value is None]
            self._writes.drop(deleted)
            self._writes.done(deleted, ())

    def told(self, names: Sequence[str]) -> None:
        pass


class _Together:
    """The journal is on L2's server: records and entries appear in one step."""

    def __init__(self, tiers: Tiers, writes: Writes, terms: Terms, payload_at: int | None) -> None:
        self._t = tiers
        self._writes = writes
        self._terms = terms
        self._payload_at = payload_at

    def prepared(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[_Post]:
        at = self._payload_at
        known = {} if at is None else {d.name: d.payload[at:] for d in drafts if d.name in values}
        fills = self._writes.fills(values, self._terms, taggings, known)
        return [
            _Post(draft, None, entry=fills.get(draft.name) or self._tombstone(draft.name))
            for draft in drafts
        ]

    def failed(self, names: Sequence[str]) -> None:
        self._writes.drop(names)

    def taken(self, posts: Sequence[_Post]) -> None:
        self._writes.drop([post.draft.name for post in posts])

    def told(self, names: Sequence[str]) -> None:
        pass

    def _tombstone(self, name: str) -> Fill:
        key = self._t.names.entry(name)
        return Fill(key, b"", tombstone_frame(key), 0, _TOMBSTONE_MS)


class _Apart:
    """The journal is elsewhere: entries are made absent, and whoever loads one asks it first.

    `shared`: there is an L2, whose answer is a matter of each caller.
    """

    def __init__(self, writes: Writes, *, shared: bool) -> None:
        self._writes = writes
        self._shared = shared

    def prepared(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[_Post]:
        return [_Post(draft, None) for draft in drafts]

    def failed(self, names: Sequence[str]) -> None:
        pass

    def taken(self, posts: Sequence[_Post]) -> None:
        if not self._shared:
            self._writes.invalidate_here([post.draft.name for post in posts])

    def told(self, names: Sequence[str]) -> None:
        if not self._shared:
            return
        try:
            self._writes.invalidate(names)
        except InvalidationError as error:
            raise _accepted_all_the_same(error) from error


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
        self._saves = saves
        self._terms = terms
        self.doubts = Doubts()
        self._announces = is_local(journal) and tiers.store.shared
        # One that somebody else has written takes the writes of each caller by themselves.
        self._sharing = cast("Sharing", journal) if hasattr(journal, "shard_of") else None
        self._rounds: Rounds[int, _Post, int | Exception] = Rounds(self._round)
        self._way: _Way
        if is_local(journal):
            self._way = _Here(tiers, writes, saves, terms, self.doubts)
        elif accepts_together(journal, tiers):
            self._way = _Together(tiers, writes, terms, payload_at)
        else:
            self._way = _Apart(writes, shared=tiers.store.shared)

    def accept(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[int]:
        """Accept writes of one caller, one for each name, and return their sequences.

        `values`: of those that do not delete. 0: there was no room for it. Raises what
        `Journal.accept` does; before anything is accepted, `StoreUnavailable` and `CodecError` as
        write-through does; and `InvalidationError` where all *is* accepted and L2 may not know.
        """
        if self._announces:
            return self._announced(drafts, values, taggings)
        posts = self._way.prepared(drafts, values, taggings)
        sequences = self._carried(posts, self._journal.accept)
        taken = [d.name for d, sequence in zip(drafts, sequences, strict=True) if sequence]
        if taken:
            self._way.told(taken)
        return sequences

    def accept_one(self, draft: Draft, value: Any, tagging: Tagging) -> int:
        """Accept one write, and return its sequence. See `accept`.

        Those that tasks give at the same time share what can be done for many at once.
        """
        values, taggings = {draft.name: value}, alike(tagging)
        if self._sharing is None or self._announces:
            return self.accept((draft,), values, taggings)[0]
        (post,) = self._way.prepared((draft,), values, taggings)
        outcome = self._rounds.run(self._sharing.shard_of(draft.name), post)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome:
            self._way.told((draft.name,))
        return outcome

    def _round(self, shard: int, posts: Sequence[_Post]) -> Sequence[int | Exception]:
        assert self._sharing is not None
        if len(posts) == 1:
            return self._carried(posts, self._journal.accept)
        return self._carried(posts, partial(self._sharing.accept, each=True))

    def _carried(
        self,
        posts: Sequence[_Post],
        accept: Callable[[Sequence[Draft], Sequence[Fill]], list[Any]],
    ) -> list[Any]:
        """Have the journal accept writes, and see to their entries."""
        drafts = [post.draft for post in posts]
        entries = [post.entry for post in posts if post.entry is not None]
        try:
            outcomes = accept(drafts, entries)
        except BaseException:
            self._way.failed([draft.name for draft in drafts])
            raise
        both = list(zip(posts, outcomes, strict=True))
        failed = [post.draft.name for post, outcome in both if isinstance(outcome, Exception)]
        if failed:
            self._way.failed(failed)
        self._way.taken([post for post, outcome in both if type(outcome) is int and outcome])
        return outcomes

    def _announced(
        self, drafts: Sequence[Draft], values: Mapping[str, Any], taggings: Taggings
    ) -> list[int]:
        names, heard = [draft.name for draft in drafts], _Heard()
        change = Change(names, values, self._terms, taggings, heard)
        try:
            self._saves.run(change, partial(self._journal.accept, drafts))
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

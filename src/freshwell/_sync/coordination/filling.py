"""Store what was loaded, in L2 under its lease and then in L1; and give leases back.

A value is stored only where the lease it was loaded under still stands, and where no tag of its
has changed since.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from freshwell._sync.coordination.heart import Lease
from freshwell._sync.coordination.keeper import Keeper, Tiers
from freshwell._sync.coordination.tags import Tagged
from freshwell._sync.stores.base import Fill
from freshwell.engines.loading import LoadNotes
from freshwell.engines.shelf import Reading, Terms
from freshwell.engines.stamps import Bonds
from freshwell.errors import StoreUnavailable
from freshwell.ground.tags import Tagging

__all__ = ["Brought", "Filling", "Loaded"]


class Loaded(NamedTuple):
    """A value that a flight brings back.

    `began_ns` is when its load began (-1: it was found in a tier); `valid_at_ns` is an instant
    at which it is known to have been current. Both are this process's monotonic clock.
    `stale_since_ns`: it is past its TTL since then, and its source is left alone.
    """

    value: Any
    negative: bool
    began_ns: int
    valid_at_ns: int
    found: bool = True
    stale_since_ns: int | None = None


class Brought(NamedTuple):
    """What a loader brought, and what was noted of the load.

    `since` is the table's moment before it; `before`: the versions of tags then.
    """

    values: Mapping[str, Any]
    notes: LoadNotes
    began_ns: int
    cost_ns: int
    since: int
    before: Tagged | None
    newest: bool
    """Whether values of loads that began earlier are not to replace these."""


class Filling:
    """Stores what loads of one open cache bring. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper) -> None:
        self._t = tiers
        self._keeper = keeper

    def store(
        self,
        tokens: Mapping[str, bytes],
        brought: Brought,
        terms: Terms,
        taggings: Callable[[str], Tagging],
    ) -> dict[str, Loaded]:
        """Fill L2 under the leases, then L1 with what stands."""
        values, notes, began_ns, cost_ns, since, before, newest = brought
        drafts = {
            key: self._keeper.draft(key, values, terms, cost_ns, notes.of(key)) for key in tokens
        }
        bonds: dict[str, Bonds | None] = {}
        if before is not None:
            given = {key: draft.value for key, draft in drafts.items()}
            bonds = self._t.tags.after_load(
                before, given, taggings, lambda key: notes.of(key).tags, notes.longest_ns(tokens)
            )
        if self._t.store.shared:
            # L2 decides whether the value stands; what L1 must watch begins with the fill.
            since = self._t.table.moment()
        sent_ns = self._t.now_ns()
        stood = self._fill(tokens, drafts, terms, cost_ns, bonds)
        loaded: dict[str, Loaded] = {}
        for key, draft in drafts.items():
            own = bonds.get(key)
            if draft.times is None:
                self._t.table.drop(key)  # what it would have replaced is no more right
            elif key in stood:
                voids = newest and not self._t.store.shared
                self._keeper.keep(key, draft, draft.times, sent_ns, since, terms, own, voids=voids)
            # That it stood says nothing of its tags, which stand elsewhere.
            valid_at_ns = sent_ns if key in stood and own is None else began_ns
            loaded[key] = Loaded(draft.value, draft.negative, began_ns, valid_at_ns)
        return loaded

    def give_back(self, leases: Sequence[Lease], *, rest_ms: int = 0, drop: bool = False) -> None:
        """Release in the background: the caller may be on its way out, cancelled."""
        if leases and self._t.store.shared:
            self._t.chores.spawn(
                "release", lambda: self.release(leases, rest_ms=rest_ms, drop=drop)
            )

    def release(
        self, leases: Sequence[Lease], *, rest_ms: int = 0, drop: bool = False
    ) -> None:
        """Give leases back, as the store's `release` does. L2's failure is no error."""
        if not leases or not self._t.store.shared:
            return
        try:
            self._t.store.release(leases, rest_ms=rest_ms, drop=drop)
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)

    def _fill(
        self,
        tokens: Mapping[str, bytes],
        drafts: Mapping[str, Reading],
        terms: Terms,
        cost_ns: int,
        bonds: Mapping[str, Bonds | None],
    ) -> set[str]:
        """Store the drafts in L2. Returns the keys whose values stand."""
        unbound = {key for key in drafts if key in bonds and bonds[key] is None}
        self._t.counters.fills_refused += len(unbound)
        if not self._t.store.shared:
            self._t.counters.fills += len(drafts) - len(unbound)
            return drafts.keys() - unbound
        fills: list[tuple[str, Fill]] = []
        spare: list[Lease] = []
        dropped: list[Lease] = []
        for key, draft in drafts.items():
            token, fill = tokens[key], None
            if token and key not in unbound:
                fill = self._keeper.fill_of(key, draft, terms, token, cost_ns, bonds.get(key))
            if fill is not None:
                fills.append((key, fill))
            elif token and draft.times is None:
                dropped.append((self._t.names.entry(key), token))
            elif token:
                spare.append((self._t.names.entry(key), token))
        self.give_back(spare)
        self.release(dropped, drop=True)
        return self._send(fills)

    def _send(self, fills: Sequence[tuple[str, Fill]]) -> set[str]:
        if not fills:
            return set()
        try:
            done = self._t.store.fill([fill for _, fill in fills])
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            return set()
        stood = {key for (key, _), stored in zip(fills, done, strict=True) if stored}
        self._t.counters.fills += len(stood)
        self._t.counters.fills_refused += len(fills) - len(stood)
        return stood

"""Store what was loaded: in L2 while its lease stands, in L1 what stands there.

Where L2 is down, or has had its time, the value is given to those who wait for it and stored
nowhere; but for what the caller allows to be kept until L2 is back (`Gutter`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from freshwell._async.coordination.errands import Course, Errand, Loaded, Run
from freshwell._async.coordination.heart import Lease
from freshwell._async.coordination.keeper import Keeper, Tiers
from freshwell._async.coordination.tags import tags_of
from freshwell._async.stores.base import Fill
from freshwell.engines.shelf import Reading
from freshwell.engines.stamps import Bonds
from freshwell.engines.versions import Tagged
from freshwell.errors import StoreUnavailable

__all__ = ["Storing"]

_NO_BONDS: Mapping[str, Bonds | None] = {}


class Storing:
    """Stores what loads bring. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper) -> None:
        self._t = tiers
        self._keeper = keeper

    def is_too_slow(self, course: Course) -> bool:
        """Tell whether L2 has had its time for this read, and is not to be waited for any more."""
        if course.allowance.is_used_up and not course.is_too_slow and self._t.store.shared:
            course.is_too_slow = True
            self._t.incidents.l2_slow(self._t.l2_timeout_ns)
        return course.is_too_slow

    def give_back(self, leases: Sequence[Lease], *, rest_ms: int = 0, drop: bool = False) -> None:
        """Release in the background: the caller may be on its way out, cancelled."""

        async def released() -> None:
            await self._release(leases, rest_ms=rest_ms, drop=drop)

        if leases and self._t.store.shared:
            self._t.chores.spawn("release", released)

    async def release(
        self, leases: Sequence[Lease], course: Course, *, rest_ms: int = 0, drop: bool = False
    ) -> bool:
        """Give leases back, as the store's `release` does. Returns whether L2 has answered.

        In the background, where L2 has had its time.
        """
        if not leases or not self._t.store.shared:
            return True
        if self.is_too_slow(course):
            self.give_back(leases, rest_ms=rest_ms, drop=drop)
            return False
        with course.allowance:
            return await self._release(leases, rest_ms=rest_ms, drop=drop)

    async def _release(self, leases: Sequence[Lease], *, rest_ms: int, drop: bool) -> bool:
        try:
            await self._t.store.release(leases, rest_ms=rest_ms, drop=drop)
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            return False
        return True

    async def store(
        self,
        tokens: Mapping[str, bytes],
        values: Mapping[str, Any],
        errand: Errand,
        run: Run,
        course: Course,
    ) -> dict[str, Loaded]:
        """Fill L2 under the leases, then L1 with what stands."""
        terms, since, said_of = errand.terms, run.since, run.notes.of
        drafts = {
            key: self._keeper.draft(key, values, terms, run.cost_ns, said_of(key)) for key in tokens
        }
        shared, bonds = self._t.store.shared, _NO_BONDS
        if run.before is not None:
            bonds = await self._bonds(run.before, drafts, errand, run, course)
        unbound = {key for key, own in bonds.items() if own is None}
        self._t.counters.fills_refused += len(unbound)
        if shared:
            # L2 decides whether the value stands; what L1 must watch begins with the fill.
            since = self._t.table.moment()
        sent_ns = self._t.now_ns()
        if shared:
            stood = await self._fill(tokens, drafts, errand, run, course, bonds, unbound)
        else:
            stood = drafts.keys() - unbound
            self._t.counters.fills += len(stood)
        loaded: dict[str, Loaded] = {}
        for key, draft in drafts.items():
            own, alone = bonds.get(key), key in course.alone
            # That it stood says nothing of its tags, which stand elsewhere.
            valid_at_ns = sent_ns if key in stood and own is None else run.began_ns
            if draft.times is None:
                self._t.table.drop(key)  # what it would have replaced is no more right
            elif key in stood:
                voids = run.newest and not shared
                self._keeper.keep(
                    key, draft, draft.times, valid_at_ns, since, terms, own, voids=voids
                )
            if alone and self._t.gutter.is_used:
                tags = tags_of(draft.value, errand.taggings(key), said_of(key).tags)
                digests = tuple(map(self._t.names.digest, tags))
                self._t.gutter.keep(key, draft, run.began_ns, run.since, digests)
            loaded[key] = Loaded(
                draft.value,
                draft.negative,
                run.began_ns,
                valid_at_ns,
                alone=alone,
                digests=errand.taggings(key).digests,
            )
        return loaded

    async def _bonds(
        self,
        before: Tagged,
        drafts: Mapping[str, Reading],
        errand: Errand,
        run: Run,
        course: Course,
    ) -> Mapping[str, Bonds | None]:
        """Return by which versions of tags the values stand: see `Tags.after_load`."""
        if self.is_too_slow(course):
            before = before._replace(versions={})  # nothing is asked then, and nothing stands
        given = {key: draft.value for key, draft in drafts.items()}
        with course.allowance:
            return await self._t.tags.after_load(
                before,
                given,
                errand.taggings,
                lambda key: run.notes.of(key).tags,
                run.notes.longest_ns(drafts),
            )

    async def _fill(
        self,
        tokens: Mapping[str, bytes],
        drafts: Mapping[str, Reading],
        errand: Errand,
        run: Run,
        course: Course,
        bonds: Mapping[str, Bonds | None],
        unbound: Collection[str],
    ) -> set[str]:
        """Store the drafts in L2, but for the `unbound`. Returns the keys whose values stand."""
        if self.is_too_slow(course):
            unbound = drafts
            course.alone.update(drafts)
        fills: list[tuple[str, Fill]] = []
        spare: list[Lease] = []
        dropped: dict[str, Lease] = {}
        for key, draft in drafts.items():
            token, fill = tokens[key], None
            if token and key not in unbound and not self._t.spool.withholds(key):
                own = bonds.get(key)
                fill = self._keeper.fill_of(key, draft, errand.terms, token, run.cost_ns, own)
            if fill is not None:
                fills.append((key, fill))
            elif token and draft.times is None:
                dropped[key] = (self._t.names.entry(key), token)
            elif token:
                spare.append((self._t.names.entry(key), token))
        self.give_back(spare)
        if not await self.release(list(dropped.values()), course, drop=True):
            course.alone.update(dropped)
        return await self._send(fills, course)

    async def _send(self, fills: Sequence[tuple[str, Fill]], course: Course) -> set[str]:
        if not fills:
            return set()
        try:
            with course.allowance:
                done = await self._t.store.fill([fill for _, fill in fills])
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            course.alone.update(key for key, _ in fills)
            return set()
        stood = {key for (key, _), stored in zip(fills, done, strict=True) if stored}
        self._t.counters.fills += len(stood)
        self._t.counters.fills_refused += len(fills) - len(stood)
        return stood

"""Load values from the source: under a lease, under the cap, and stored only while they stand.

This is what the leader of a flight does. The order is the contract's: lease, load, fill, L1.
A value is stored only where the lease it was loaded under still stands, so nothing loaded
before an invalidation can be stored after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from freshwell._async.coordination.heart import Lease
from freshwell._async.coordination.keeper import Keeper, Tiers
from freshwell._async.coordination.tags import Tagged, tags_of
from freshwell._async.stores.base import Acquired, Fill, Grant
from freshwell.engines.allowance import Allowance
from freshwell.engines.session import CoherenceMode
from freshwell.engines.shelf import Reading, Terms
from freshwell.engines.stamps import Bonds
from freshwell.errors import LoadShed, StoreUnavailable
from freshwell.ground.frame import identity_of
from freshwell.ground.plan import L2Word, ReadLevel
from freshwell.ground.tags import UNTAGGED, Tagging

__all__ = ["Errand", "Loaded", "Loads", "untagged"]

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_MAX_USELESS = 4
_TOLD_PAUSES_S = (0.25, 1.0)
_ASKING_PAUSES_S = (0.02, 0.1)

Load = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
"""A loader of many keys at once. Keys that it leaves out do not exist in the source."""


class Loaded(NamedTuple):
    """A value that a flight brings back.

    `began_ns` is when its load began (-1: it was found in a tier); `valid_at_ns` is an instant
    at which it is known to have been current. Both are this process's monotonic clock.
    """

    value: Any
    negative: bool
    began_ns: int
    valid_at_ns: int
    found: bool = True


def untagged(name: str) -> Tagging:
    """Return what tags an entry has where none are given: none."""
    return UNTAGGED


NOTHING = Loaded(None, False, -1, -1, found=False)
"""A refresh that somebody else is doing already."""


@dataclass(slots=True)
class Errand:
    """What a flight's leader is to do.

    - `load`: asks the source. `taggings`: the tags of each entry.
    - `nested`: the caller is itself a loader, whose slot covers this.
    - `forced`: load even where a tier has a fresh value.
    - `refresh_within_ms`: replace values with at most this much freshness left (None: a
      foreground load, which waits where another process is loading; a refresh gives up).
    - `l2_spent_ns`: for how long L2 has kept the caller already.
    """

    load: Load
    terms: Terms
    taggings: Callable[[str], Tagging] = untagged
    nested: bool = False
    forced: bool = False
    refresh_within_ms: int | None = None
    l2_spent_ns: int = 0


class _Course:
    """What has come of one errand on its way: `useless` values of L2, and keys loaded `alone`."""

    __slots__ = ("allowance", "alone", "is_too_slow", "useless")

    def __init__(self, allowance: Allowance) -> None:
        self.useless: dict[bytes, bytes] = {}
        self.alone: set[str] = set()
        self.allowance = allowance
        self.is_too_slow = False


class _Run(NamedTuple):
    """One call of a loader: when it began, what it took, and what stood before it."""

    began_ns: int
    cost_ns: int
    since: int
    before: Tagged | None


class Loads:
    """Does errands. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper) -> None:
        self._t = tiers
        self._keeper = keeper

    async def do(self, keys: Sequence[str], errand: Errand) -> dict[str, Loaded]:
        """Return a value for each key: found in L2, loaded here, or loaded by another process.

        Raises what the loader raises, `LoadShed`, and `CodecError` for a value that cannot be
        written. L2's failures are not raised: the load then goes without a lease, and its
        value is kept nowhere.
        """
        results = self._look_again(keys, errand)
        todo, waits = [key for key in keys if key not in results], 0
        left_ns = self._t.l2_timeout_ns - errand.l2_spent_ns
        course = _Course(Allowance(left_ns, self._t.now_ns))
        while todo:
            since, held_ms = self._t.table.moment(), 0
            if self._t.store.shared:
                leases, held_ms = await self._acquire(todo, errand, results, since, course)
            else:
                leases = dict.fromkeys(todo, b"")
            if leases:
                results.update(await self._load(leases, errand, course))
            todo = [key for key in todo if key not in results]
            if todo and errand.refresh_within_ms is not None:
                return results | dict.fromkeys(todo, NOTHING)
            if todo:
                await self._wait(todo, min(held_ms / 1_000, self._pause_s(waits)), since)
                waits += 1
        return results

    def _look_again(self, keys: Sequence[str], errand: Errand) -> dict[str, Loaded]:
        """Judge L1 once more: an earlier flight may have filled it before this one began."""
        if errand.forced or errand.terms.level is not ReadLevel.EVENTUAL:
            return {}
        found: dict[str, Loaded] = {}
        within_ns = (errand.refresh_within_ms or 0) * _NS_PER_MS
        now_ns, table = self._t.now_ns(), self._t.table
        if now_ns < self._t.session.live_until_ns:
            for key in keys:
                entry = table.get(key)
                if entry is not None:
                    value, negative = entry.value, entry.negative
                    fresh = now_ns < entry.fresh_until_ns - within_ns
                    if fresh and table.is_current(entry, errand.taggings(key).digests):
                        seen_ns = now_ns - self._t.session.max_staleness_ns
                        found[key] = Loaded(value, negative, -1, seen_ns)
        return found

    # -- leases ------------------------------------------------------------------------------

    async def _acquire(
        self,
        keys: Sequence[str],
        errand: Errand,
        results: dict[str, Loaded],
        since: int,
        course: _Course,
    ) -> tuple[dict[str, bytes], int]:
        """Ask for the leases. Returns the tokens granted, by key (empty: load without a lease).

        Values found on the way go to `results`, those of no use to the `course`; the second part
        of the answer is how long the shortest lease of another process still stands, in
        milliseconds.
        """
        leases: dict[str, bytes] = {}
        held_ms, todo = 2**31, list(keys)
        for _ in range(_MAX_USELESS):
            if not todo:
                break
            asked_ns, frames = self._t.now_ns(), {}
            for key, answer in zip(todo, await self._ask(todo, errand, course), strict=True):
                if answer.grant is Grant.HELD:
                    held_ms = min(held_ms, max(1, answer.left_ms))
                elif answer.grant is not Grant.FRESH:
                    leases[key] = answer.token
                    if answer.grant is Grant.ALONE:
                        course.alone.add(key)
                elif answer.frame is not None:
                    frames[key] = answer.frame
            with course.allowance:
                results.update(await self._found(frames, errand, asked_ns, since))
            # What is stored is of no use: it is asked again, and said which value that is.
            todo = [key for key in frames if key not in results]
            course.useless.update(
                (self._t.names.entry(key), identity_of(frames[key])) for key in todo
            )
        return leases | dict.fromkeys(todo, b""), held_ms

    async def _ask(self, keys: Sequence[str], errand: Errand, course: _Course) -> list[Acquired]:
        if not self._is_too_slow(course):
            try:
                with course.allowance:
                    return await self._t.store.acquire(
                        [self._t.names.entry(key) for key in keys],
                        fresh_beyond_ms=errand.refresh_within_ms or 0,
                        forced=errand.forced,
                        useless=course.useless,
                    )
            except StoreUnavailable as error:
                self._t.incidents.l2_failed(error)
        self._t.counters.loads_alone += len(keys)
        return [Acquired(Grant.ALONE, b"")] * len(keys)

    def _is_too_slow(self, course: _Course) -> bool:
        """Tell whether L2 has had its time for this read, and is not to be waited for any more."""
        if course.allowance.is_used_up and not course.is_too_slow and self._t.store.shared:
            course.is_too_slow = True
            self._t.incidents.l2_slow(self._t.l2_timeout_ns)
        return course.is_too_slow

    async def _found(
        self, frames: Mapping[str, bytes], errand: Errand, asked_ns: int, since: int
    ) -> dict[str, Loaded]:
        """Return the values that another process has stored meanwhile, as far as they serve."""
        terms = errand.terms
        readings = {key: self._keeper.read(key, frame, terms) for key, frame in frames.items()}
        if any(reading.stamps or errand.taggings(key).digests for key, reading in readings.items()):
            try:
                readings = await self._t.tags.verified(readings, errand.taggings, terms.level, {})
            except StoreUnavailable as error:
                self._t.incidents.l2_failed(error)
                return {}
        found: dict[str, Loaded] = {}
        for key, reading in readings.items():
            if reading.times is not None and reading.word is not L2Word.ABSENT:
                self._keeper.keep(key, reading, reading.times, asked_ns, since, terms)
                found[key] = Loaded(reading.value, reading.negative, -1, asked_ns)
        return found

    def _pause_s(self, waits: int) -> float:
        """Return how long to wait at the most before L2 is asked again.

        Where there is a feed, it tells of the end of another's load, and asking is only the net.
        """
        session = self._t.session
        told = session.mode is CoherenceMode.FEED and self._t.now_ns() < session.live_until_ns
        first_s, last_s = _TOLD_PAUSES_S if told else _ASKING_PAUSES_S
        return min(first_s * 2.0**waits, last_s)

    async def _wait(self, keys: Sequence[str], timeout_s: float, since: int) -> None:
        """Wait until one of the keys changes, unless it did already since that moment."""
        self._t.counters.lease_waits += 1
        signal = self._t.watch.expect(keys)
        try:
            if not any(self._t.table.dropped_since(since, key) for key in keys):
                await signal.wait(timeout_s)
        finally:
            self._t.watch.dismiss(keys, signal)

    # -- the load ----------------------------------------------------------------------------

    async def _load(
        self, tokens: Mapping[str, bytes], errand: Errand, course: _Course
    ) -> dict[str, Loaded]:
        """Load the keys that are leased, and store what comes back.

        However the load ends, leases that did not become values are given back.
        """
        leases = [(self._t.names.entry(key), token) for key, token in tokens.items() if token]
        self._t.heart.hold(leases)
        try:
            before = await self._before(tokens, errand, course)
            since = self._t.table.moment() if before is None else before.since
            began_ns, values = await self._call(list(tokens), errand)
            cost_ns = self._t.now_ns() - began_ns
            run = _Run(began_ns, cost_ns, since, before)
            return await self._store(tokens, values, errand, run, course)
        except BaseException:
            self._give_back(leases)
            raise
        finally:
            self._t.heart.drop(leases)

    async def _before(
        self, tokens: Mapping[str, bytes], errand: Errand, course: _Course
    ) -> Tagged | None:
        """Capture the versions of tags, where there are any and something can be stored."""
        taggings = [errand.taggings(key) for key in tokens]
        if all(tagging is UNTAGGED for tagging in taggings):
            return None
        policy = errand.terms.policy
        longest_ns = max(policy.ttl_ns, policy.negative_ns or 0) + policy.stale_ns
        if course.alone.issuperset(tokens) or self._is_too_slow(course):
            return Tagged({}, longest_ns, self._t.table.moment(), self._t.now_ns(), 0)
        with course.allowance:
            return await self._t.tags.before_load(taggings, longest_ns)

    async def _call(self, keys: Sequence[str], errand: Errand) -> tuple[int, Mapping[str, Any]]:
        gated, wait_s = not errand.nested, self._t.load_wait_ns / _NS_PER_S
        if gated and not await self._t.gate.enter(wait_s):
            self._t.incidents.shed(wait_s)
            raise LoadShed(
                f"{wait_s:g} s went by without a free load slot: the "
                "source is slower than the demand (max_loads, load_wait; stale_ttl would serve)"
            )
        counters, began_ns = self._t.counters, self._t.now_ns()
        counters.loads += 1
        try:
            return began_ns, await errand.load(keys)
        except BaseException:
            counters.load_errors += 1
            raise
        finally:
            counters.load_ns += self._t.now_ns() - began_ns
            if gated:
                self._t.gate.leave()

    def _give_back(self, leases: Sequence[Lease]) -> None:
        """Release in the background: the caller may be on its way out, cancelled."""
        if leases and self._t.store.shared:
            self._t.chores.spawn("release", lambda: self._release(leases))

    async def _release(self, leases: Sequence[Lease]) -> None:
        try:
            await self._t.store.release(leases)
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)

    # -- storing -----------------------------------------------------------------------------

    async def _store(
        self,
        tokens: Mapping[str, bytes],
        values: Mapping[str, Any],
        errand: Errand,
        run: _Run,
        course: _Course,
    ) -> dict[str, Loaded]:
        """Fill L2 under the leases, then L1 with what stands."""
        terms, since = errand.terms, run.since
        drafts = {key: self._keeper.draft(key, values, terms, run.cost_ns) for key in tokens}
        bonds = await self._bonds(drafts, errand, run, course)
        if self._t.store.shared:
            # L2 decides whether the value stands; what L1 must watch begins with the fill.
            since = self._t.table.moment()
        sent_ns = self._t.now_ns()
        stood = await self._fill(tokens, drafts, errand, run, course, bonds)
        loaded: dict[str, Loaded] = {}
        for key, draft in drafts.items():
            own = bonds.get(key)
            if key in stood and draft.times is not None:
                self._keeper.keep(key, draft, draft.times, sent_ns, since, terms, own)
            elif key in course.alone and self._t.gutter.is_used:
                tags = map(self._t.names.digest, tags_of(draft.value, errand.taggings(key)))
                self._t.gutter.keep(key, draft, run.began_ns, run.since, tuple(tags))
            # That it stood says nothing of its tags, which stand elsewhere.
            valid_at_ns = sent_ns if key in stood and own is None else run.began_ns
            loaded[key] = Loaded(draft.value, draft.negative, run.began_ns, valid_at_ns)
        return loaded

    async def _bonds(
        self, drafts: Mapping[str, Reading], errand: Errand, run: _Run, course: _Course
    ) -> dict[str, Bonds | None]:
        """Return by which versions of tags the values stand: see `Tags.after_load`."""
        before = run.before
        if before is None:
            return {}
        if self._is_too_slow(course):
            before = before._replace(versions={})  # nothing is asked then, and nothing stands
        given = {key: draft.value for key, draft in drafts.items()}
        with course.allowance:
            return await self._t.tags.after_load(before, given, errand.taggings)

    async def _fill(
        self,
        tokens: Mapping[str, bytes],
        drafts: Mapping[str, Reading],
        errand: Errand,
        run: _Run,
        course: _Course,
        bonds: Mapping[str, Bonds | None],
    ) -> set[str]:
        """Store the drafts in L2. Returns the keys whose values stand."""
        unbound = {key for key in drafts if key in bonds and bonds[key] is None}
        self._t.counters.fills_refused += len(unbound)
        if not self._t.store.shared:
            self._t.counters.fills += len(drafts) - len(unbound)
            return drafts.keys() - unbound
        if self._is_too_slow(course):
            unbound = set(drafts)
        fills: list[tuple[str, Fill]] = []
        spare: list[Lease] = []
        for key, draft in drafts.items():
            token, fill = tokens[key], None
            if token and key not in unbound:
                own = bonds.get(key)
                fill = self._keeper.fill_of(key, draft, errand.terms, token, run.cost_ns, own)
            if fill is not None:
                fills.append((key, fill))
            elif token:
                spare.append((self._t.names.entry(key), token))
        self._give_back(spare)
        return await self._send(fills, course)

    async def _send(self, fills: Sequence[tuple[str, Fill]], course: _Course) -> set[str]:
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

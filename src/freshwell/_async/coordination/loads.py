"""Load values from the source: under a lease, under the cap, and stored only while they stand.

This is what the leader of a flight does. The order is the contract's: lease, load, fill, L1.
A value is stored only where the lease it was loaded under still stands, so nothing loaded
before an invalidation can be stored after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from freshwell._async.coordination.heart import Heart, Lease
from freshwell._async.coordination.watch import Watch
from freshwell._async.stores.base import Acquired, Fill, Grant, Store
from freshwell._kit.aio import Gate, Owner
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.session import CoherenceMode, Session
from freshwell.engines.shelf import Reading, Shelf, Terms
from freshwell.engines.table import Table
from freshwell.errors import LoadShed, StoreUnavailable
from freshwell.ground.freshness import Times, times_after_load
from freshwell.ground.plan import L2Word, ReadLevel
from freshwell.ground.ttl import jittered_ns

__all__ = ["Errand", "Loaded", "Loads", "Tiers"]

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_TOLD_PAUSES_S = (0.25, 1.0)
_ASKING_PAUSES_S = (0.02, 0.1)
_LEFT_OUT_NS = 60 * _NS_PER_S

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


NOTHING = Loaded(None, False, -1, -1, found=False)
"""A refresh that somebody else is doing already."""


@dataclass(slots=True)
class Errand:
    """What a flight's leader is to do.

    - `load`: asks the source. `nested`: the caller is itself a loader, whose slot covers this.
    - `forced`: load even where a tier has a fresh value.
    - `refresh_within_ms`: replace values with at most this much freshness left (None: a
      foreground load, which waits where another process is loading; a refresh gives up).
    """

    load: Load
    terms: Terms
    nested: bool = False
    forced: bool = False
    refresh_within_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Tiers:
    """The parts of one open cache that its strategies and loads work with."""

    table: Table
    session: Session
    store: Store
    shelf: Shelf
    watch: Watch
    heart: Heart
    gate: Gate
    owner: Owner
    chores: Owner
    counters: Counters
    incidents: Incidents
    l2_key: Callable[[str], bytes]
    now_ns: Callable[[], int]
    uniform: Callable[[], float]
    load_wait_ns: int


class Loads:
    """Does errands. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers) -> None:
        self._t = tiers

    async def do(self, keys: Sequence[str], errand: Errand) -> dict[str, Loaded]:
        """Return a value for each key: found in L2, loaded here, or loaded by another process.

        Raises what the loader raises, `LoadShed`, and `CodecError` for a value that cannot be
        written. L2's failures are not raised: the load then goes without a lease, and its
        value is kept nowhere.
        """
        results = self._look_again(keys, errand)
        todo, waits = [key for key in keys if key not in results], 0
        while todo:
            since, held_ms = self._t.table.moment(), 0
            if self._t.store.shared:
                leases, held_ms = await self._acquire(todo, errand, results, since)
            else:
                leases = dict.fromkeys(todo, b"")
            if leases:
                results.update(await self._load(leases, errand))
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
        now_ns = self._t.now_ns()
        if now_ns < self._t.session.live_until_ns:
            for key in keys:
                entry = self._t.table.get(key)
                if entry is not None:
                    value, negative = entry.value, entry.negative
                    if now_ns < entry.fresh_until_ns - within_ns:
                        seen_ns = now_ns - self._t.session.max_staleness_ns
                        found[key] = Loaded(value, negative, -1, seen_ns)
        return found

    # -- leases ------------------------------------------------------------------------------

    async def _acquire(
        self, keys: Sequence[str], errand: Errand, results: dict[str, Loaded], since: int
    ) -> tuple[dict[str, bytes], int]:
        """Ask for the leases. Returns the tokens granted (empty: L2 is down), by key.

        Values found on the way go to `results`; the second part of the answer is how long the
        shortest lease of another process still stands, in milliseconds.
        """
        asked_ns = self._t.now_ns()
        leases: dict[str, bytes] = {}
        unreadable: list[str] = []
        held_ms = 2**31
        for key, answer in zip(keys, await self._ask(keys, errand), strict=True):
            if answer.grant is Grant.GRANTED:
                leases[key] = answer.token
            elif answer.grant is Grant.HELD:
                held_ms = min(held_ms, max(1, answer.left_ms))
            elif (found := self._found(key, answer, errand, asked_ns, since)) is not None:
                results[key] = found
            else:
                unreadable.append(key)
        if unreadable:
            forced = await self._ask(unreadable, errand, forced=True)
            leases.update(
                (key, answer.token) for key, answer in zip(unreadable, forced, strict=True)
            )
        return leases, held_ms

    async def _ask(
        self, keys: Sequence[str], errand: Errand, *, forced: bool = False
    ) -> list[Acquired]:
        l2_keys = [self._t.l2_key(key) for key in keys]
        try:
            return await self._t.store.acquire(
                l2_keys,
                fresh_beyond_ms=errand.refresh_within_ms or 0,
                forced=forced or errand.forced,
            )
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            return [Acquired(Grant.GRANTED, b"")] * len(keys)

    def _found(
        self, key: str, answer: Acquired, errand: Errand, asked_ns: int, since: int
    ) -> Loaded | None:
        reading = self.read(key, answer.frame, errand.terms)
        if reading.times is None or reading.word is L2Word.ABSENT:
            return None
        self.keep(key, reading, reading.times, asked_ns, since, errand.terms)
        return Loaded(reading.value, reading.negative, -1, asked_ns)

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

    async def _load(self, tokens: Mapping[str, bytes], errand: Errand) -> dict[str, Loaded]:
        """Load the keys that are leased, and store what comes back.

        However the load ends, leases that did not become values are given back.
        """
        leases = [(self._t.l2_key(key), token) for key, token in tokens.items() if token]
        since = self._t.table.moment()
        self._t.heart.hold(leases)
        try:
            began_ns, values = await self._call(list(tokens), errand)
            cost_ns = self._t.now_ns() - began_ns
            return await self._store(tokens, values, errand, began_ns, cost_ns, since)
        except BaseException:
            self._give_back(leases)
            raise
        finally:
            self._t.heart.drop(leases)

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
        began_ns: int,
        cost_ns: int,
        since: int,
    ) -> dict[str, Loaded]:
        """Fill L2 under the leases, then L1 with what stands."""
        drafts = {key: self._draft(key, values, errand.terms, cost_ns) for key in tokens}
        if self._t.store.shared:
            # L2 decides whether the value stands; what L1 must watch begins with the fill.
            since = self._t.table.moment()
        sent_ns = self._t.now_ns()
        stood = await self._fill(tokens, drafts, errand.terms, cost_ns)
        loaded: dict[str, Loaded] = {}
        for key, draft in drafts.items():
            if key in stood and draft.times is not None:
                self.keep(key, draft, draft.times, sent_ns, since, errand.terms)
            valid_at_ns = sent_ns if key in stood else began_ns
            loaded[key] = Loaded(draft.value, draft.negative, began_ns, valid_at_ns)
        return loaded

    def _draft(self, key: str, values: Mapping[str, Any], terms: Terms, cost_ns: int) -> Reading:
        """Decide how long a loaded value lives. No times: it is not to be stored."""
        left_out = key not in values
        value = None if left_out else values[key]
        policy = terms.policy
        negative = left_out or (value is None and policy.negative_ns is not None)
        ttl_ns = policy.lifetime_ns(negative=negative)
        if left_out and policy.negative_ns is None:
            ttl_ns = min(ttl_ns, _LEFT_OUT_NS)
        if ttl_ns <= 0:
            return Reading(L2Word.FRESH, value, negative)
        times = times_after_load(
            self._t.now_ns(),
            ttl_ns=jittered_ns(ttl_ns, policy.jitter, self._t.uniform()),
            stale_ns=policy.stale_ns,
            cost_ns=cost_ns,
        )
        return Reading(L2Word.FRESH, value, negative, times)

    async def _fill(
        self, tokens: Mapping[str, bytes], drafts: Mapping[str, Reading], terms: Terms, cost_ns: int
    ) -> set[str]:
        """Store the drafts in L2. Returns the keys whose values stand."""
        if not self._t.store.shared:
            self._t.counters.fills += len(drafts)
            return set(drafts)
        fills: list[tuple[str, Fill]] = []
        spare: list[Lease] = []
        for key, draft in drafts.items():
            fill = self.fill_of(key, draft, terms, tokens[key], cost_ns) if tokens[key] else None
            if fill is not None:
                fills.append((key, fill))
            elif tokens[key]:
                spare.append((self._t.l2_key(key), tokens[key]))
        self._give_back(spare)
        return await self._send(fills)

    async def _send(self, fills: Sequence[tuple[str, Fill]]) -> set[str]:
        if not fills:
            return set()
        try:
            done = await self._t.store.fill([fill for _, fill in fills])
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            return set()
        stood = {key for (key, _), stored in zip(fills, done, strict=True) if stored}
        self._t.counters.fills += len(stood)
        self._t.counters.fills_refused += len(fills) - len(stood)
        return stood

    def fill_of(
        self, key: str, draft: Reading, terms: Terms, token: bytes, cost_ns: int
    ) -> Fill | None:
        """Return what is to be sent to L2 for a draft, or None where it is not to be stored."""
        if draft.times is None:
            return None
        l2_key = self._t.l2_key(key)
        frame = self._t.shelf.frame(
            l2_key, token, draft.value, terms.codec, negative=draft.negative, cost_ns=cost_ns
        )
        if frame is None:
            return None
        fresh_ms = max(1, (draft.times.fresh_until_ns - draft.times.born_ns) // _NS_PER_MS)
        return Fill(l2_key, token, frame, fresh_ms, fresh_ms + terms.policy.stale_ns // _NS_PER_MS)

    def read(self, key: str, blob: bytes | None, terms: Terms) -> Reading:
        """Say what a frame from L2 is worth now, on the caller's terms."""
        return self._t.shelf.read(
            self._t.l2_key(key),
            blob,
            terms,
            now_ns=self._t.now_ns(),
            server_ms=self._t.store.server_ms(),
            u=1.0 - self._t.uniform(),
        )

    def keep(
        self, key: str, reading: Reading, times: Times, asked_ns: int, since: int, terms: Terms
    ) -> None:
        """Put a value into L1, unless an invalidation has overtaken it.

        `asked_ns` is when L2 was asked for it, or told of it, and `since` the table's moment
        before that.
        """
        session = self._t.session
        if session.live_until_ns < asked_ns:
            return
        calm_until_ns = times.calm_until_ns(terms.policy.beta)
        cap_ns = session.cap_ns(asked_ns)
        if cap_ns < times.stale_until_ns:
            calm_until_ns, times = min(calm_until_ns, cap_ns), times.capped(cap_ns)
        self._t.table.put(
            key,
            reading.value,
            calm_until_ns=calm_until_ns,
            fresh_until_ns=times.fresh_until_ns,
            stale_until_ns=times.stale_until_ns,
            born_ns=times.born_ns,
            cost_ns=times.cost_ns,
            negative=reading.negative,
            since=since,
        )

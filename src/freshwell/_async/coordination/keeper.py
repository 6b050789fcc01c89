"""What an entry becomes on its way into the tiers, and what a tier's bytes are worth.

Nothing here waits: `Loads`, `Sights` and `Writes` do, and ask this in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from freshwell._async.coordination.heart import Heart
from freshwell._async.coordination.tags import Tags
from freshwell._async.coordination.watch import Watch
from freshwell._async.stores.base import Fill, Store
from freshwell._kit.aio import Gate, Owner
from freshwell.engines.counters import Counters
from freshwell.engines.gutter import Gutter
from freshwell.engines.incidents import Incidents
from freshwell.engines.loading import NOTHING_SAID, Said
from freshwell.engines.observing import Observing
from freshwell.engines.rests import Rests
from freshwell.engines.session import Session
from freshwell.engines.shelf import Reading, Shelf, Terms
from freshwell.engines.sizes import estimate_bytes
from freshwell.engines.spool import Spool
from freshwell.engines.stamps import Bonds, Stamped
from freshwell.engines.table import Draft, Table
from freshwell.ground.freshness import Times, times_after_load
from freshwell.ground.names import Names
from freshwell.ground.plan import L2Word
from freshwell.ground.ttl import jittered_ns

__all__ = ["Keeper", "Tiers", "Written"]

_NS_PER_MS = 1_000_000
_LEFT_OUT_NS = 60_000_000_000
# A member of an enumeration: to look it up costs Python 3.11 as much as a call.
_FRESH = L2Word.FRESH


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
    observing: Observing
    names: Names
    tags: Tags
    gutter: Gutter
    spool: Spool
    now_ns: Callable[[], int]
    uniform: Callable[[], float]
    load_wait_ns: int
    l2_timeout_ns: int
    new_token: Callable[[], bytes]
    rests: Rests = field(default_factory=Rests)


Written: TypeAlias = tuple[str, Any, int, Bonds | None]
"""A value that is to stand in L1 as soon as its change is known to be made, and its entry's name.

With the table's moment before the change, and what it lives by.
"""


class Keeper:
    """Makes entries of values and readings of bytes. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers) -> None:
        self._t = tiers

    def draft(
        self,
        key: str,
        values: Mapping[str, Any],
        terms: Terms,
        cost_ns: int,
        said: Said = NOTHING_SAID,
    ) -> Reading:
        """Decide how long a loaded value lives. No times: it is not to be stored.

        What its loader has `said` goes before the terms.
        """
        left_out = key not in values
        value = None if left_out else values[key]
        policy = terms.policy
        negative = left_out or (value is None and policy.negative_ns is not None)
        ttl_ns = said.ttl_ns
        if ttl_ns is None:
            ttl_ns = policy.lifetime_ns(negative=negative)
            if left_out and policy.negative_ns is None:
                ttl_ns = min(ttl_ns, _LEFT_OUT_NS)
        if ttl_ns <= 0 or not said.stored:
            return Reading(_FRESH, value, negative)
        times = times_after_load(
            self._t.now_ns(),
            ttl_ns=jittered_ns(ttl_ns, policy.jitter, self._t.uniform()),
            stale_ns=policy.stale_ns if said.stale_ns is None else said.stale_ns,
            cost_ns=cost_ns,
        )
        return Reading(_FRESH, value, negative, times)

    def fill_of(
        self,
        key: str,
        draft: Reading,
        terms: Terms,
        token: bytes,
        cost_ns: int,
        bonds: Bonds | None = None,
        payload: bytes | None = None,
    ) -> Fill | None:
        """Return what is to be sent to L2 for a draft, or None where it is not to be stored.

        `payload`: what the codec has made of the value already, for this place.
        """
        if draft.times is None:
            return None
        l2_key = self._t.names.entry(key)
        frame = self._t.shelf.frame(
            l2_key,
            token,
            draft.value,
            terms.codec,
            negative=draft.negative,
            cost_ns=cost_ns,
            stamps=() if bonds is None else bonds.stamps,
            payload=payload,
        )
        if frame is None:
            return None
        born_ns, fresh_until_ns, stale_until_ns, _ = draft.times
        fresh_ms = max(1, (fresh_until_ns - born_ns) // _NS_PER_MS)
        stale_ms = (stale_until_ns - fresh_until_ns) // _NS_PER_MS
        return Fill(l2_key, token, frame, fresh_ms, fresh_ms + stale_ms)

    def fill_written(
        self, name: str, value: Any, terms: Terms, payload: bytes | None
    ) -> Fill | None:
        """Return what `fill_of` does, for a value without tags that has just been written."""
        policy, l2_key = terms.policy, self._t.names.entry(name)
        frame = self._t.shelf.plain_frame(l2_key, value, terms, payload)
        if frame is None:
            return None
        ttl_ns = jittered_ns(policy.ttl_ns, policy.jitter, self._t.uniform())
        fresh_ms = max(1, ttl_ns // _NS_PER_MS)
        return Fill(l2_key, b"", frame, fresh_ms, fresh_ms + policy.stale_ns // _NS_PER_MS)

    def read(self, key: str, blob: bytes | None, terms: Terms) -> Reading:
        """Say what a frame from L2 is worth now, on the caller's terms."""
        l2_key = self._t.names.entry(key)
        return self._t.shelf.read(
            l2_key,
            blob,
            terms,
            now_ns=self._t.now_ns(),
            server_ms=self._t.store.server_ms(l2_key),
            u=1.0 - self._t.uniform(),
        )

    def keep(
        self,
        key: str,
        reading: Reading,
        times: Times,
        asked_ns: int,
        since: int,
        terms: Terms,
        bonds: Bonds | None = None,
        *,
        size_bytes: int | None = None,
        voids: bool = False,
    ) -> bool:
        """Put a value into L1, unless an invalidation has overtaken it. Tell whether it is there.

        `asked_ns` is when L2 was asked for it, or told of it; of a loaded value with tags, when the
        source was asked. `since` is the table's moment before that. `bonds` are what it lives by
        (None: the tags that it was read with). `size_bytes`: the value's, where it is known.
        `voids`: it is the newest, and values asked for earlier are not to replace it.
        """
        if self._t.session.live_until_ns < asked_ns:
            return False
        if bonds is None and reading.stamps:
            bonds = Bonds.of(reading.stamps, since)
        calm_until_ns, times = self._limited(times, asked_ns, terms)
        entry = self._t.table.put(
            key,
            reading.value,
            calm_until_ns=calm_until_ns,
            fresh_until_ns=times.fresh_until_ns,
            stale_until_ns=times.stale_until_ns,
            born_ns=times.born_ns,
            cost_ns=times.cost_ns,
            size_bytes=size_bytes,
            negative=reading.negative,
            since=since,
            bonds=bonds,
            voids=voids,
        )
        return entry is not None

    def keep_written(self, written: Collection[Written], terms: Terms) -> list[bool]:
        """Put values that have just been written into L1. Tell which stand. See `keep`.

        As fresh as `draft` makes them, and the newest: `voids`. All in one go. Not with L2.
        """
        policy, now_ns, uniform = terms.policy, self._t.now_ns(), self._t.uniform
        ttl_ns, stale_ns, jitter = policy.ttl_ns, policy.stale_ns, policy.jitter
        if ttl_ns <= 0 or self._t.session.live_until_ns < now_ns:
            return [False] * len(written)
        drafts = list[Draft]()
        for name, value, since, bonds in written:
            # Nothing refreshes early what was no load, and without L2 nothing caps it.
            fresh_until_ns = now_ns + jittered_ns(ttl_ns, jitter, uniform())
            times = now_ns, fresh_until_ns, fresh_until_ns + stale_ns, 0
            size_bytes = estimate_bytes(value)
            its = (name, value, fresh_until_ns, times, since, bonds, size_bytes, False)
            drafts.append(tuple.__new__(Draft, its))  # what `Draft(...)` makes, in half of the time
        return self._t.table.put_many(drafts, voids=True)

    def keep_many(
        self,
        values: Iterable[tuple[str, Any, Times, Stamped, int]],
        asked_ns: int,
        since: int,
        terms: Terms,
    ) -> None:
        """Put values from L2 into L1, with their times, stamps and sizes, each as `keep` does."""
        if self._t.session.live_until_ns < asked_ns:
            return
        drafts = [
            Draft(
                key,
                value,
                *self._limited(times, asked_ns, terms),
                since,
                Bonds.of(stamps, since) if stamps else None,
                size_bytes,
            )
            for key, value, times, stamps, size_bytes in values
        ]
        self._t.table.put_many(drafts)

    def _limited(self, times: Times, asked_ns: int, terms: Terms) -> tuple[int, Times]:
        """Return until when an entry is calm in L1, and its times there."""
        calm_until_ns = times.calm_until_ns(terms.policy.beta)
        cap_ns = self._t.session.cap_ns(asked_ns)
        if cap_ns < times.stale_until_ns:
            return min(calm_until_ns, cap_ns), times.capped(cap_ns)
        return calm_until_ns, times

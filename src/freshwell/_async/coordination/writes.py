"""Change entries on the caller's word: set, invalidate, expire.

L2 first, then this process's L1, then the flights under way: when the call returns, nothing
loaded before it is given to anyone who asks this process afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from freshwell._async.coordination.loads import Loads, Tiers
from freshwell._async.stores.base import Fill
from freshwell.engines.shelf import Reading, Terms
from freshwell.errors import CodecError, InvalidationError, StoreUnavailable
from freshwell.ground.freshness import times_after_load
from freshwell.ground.keys import short_digest
from freshwell.ground.plan import L2Word
from freshwell.ground.ttl import jittered_ns

__all__ = ["Writes"]


class Writes:
    """Writes of one open cache. Safe for any number of tasks or threads."""

    def __init__(
        self, tiers: Tiers, loads: Loads, forget_flights: Callable[[Sequence[str]], None]
    ) -> None:
        self._t = tiers
        self._loads = loads
        self._forget_flights = forget_flights

    async def put(self, values: Mapping[str, Any], terms: Terms) -> None:
        """Store values whatever stands there; loads under way for them are void.

        Raises `CodecError`, with nothing stored, for a value that cannot be written or is too
        large, and `StoreUnavailable` when L2 may not have taken them.
        """
        drafts = {key: self._draft(value, terms) for key, value in values.items()}
        if self._t.store.shared:
            fills = [self._fill(key, draft, terms) for key, draft in drafts.items()]
            try:
                await self._t.store.fill(fills)
            finally:
                self._drop(list(drafts))
            return
        self._drop(list(drafts))
        for key, draft in drafts.items():
            if draft.times is not None:
                since = self._t.table.moment()
                self._loads.keep(key, draft, draft.times, draft.times.born_ns, since, terms)

    async def invalidate(self, keys: Sequence[str]) -> None:
        """Make the entries absent everywhere and void the loads of them that are under way.

        Raises `InvalidationError` when L2 may not have taken it; L1 has dropped them even so.
        """
        l2_keys = [self._t.l2_key(key) for key in keys]
        try:
            await self._t.store.invalidate(l2_keys)
        except StoreUnavailable as error:
            raise self._not_taken(keys, error) from error
        finally:
            self._drop(keys)
        self._t.counters.invalidations += len(keys)

    async def expire(self, keys: Sequence[str]) -> None:
        """End the freshness of the entries, and void loads of them that are under way.

        Callers who accept stale values go on getting them until a load has replaced them.
        Raises `InvalidationError` when L2 may not have taken it.
        """
        l2_keys = [self._t.l2_key(key) for key in keys]
        try:
            await self._t.store.expire(l2_keys)
        except StoreUnavailable as error:
            raise self._not_taken(keys, error) from error
        finally:
            for key in keys:
                self._t.table.expire(key)
            self._forget_flights(keys)
        self._t.counters.invalidations += len(keys)

    def _drop(self, keys: Sequence[str]) -> None:
        self._t.table.drop_many(keys)
        self._forget_flights(keys)

    def _not_taken(self, keys: Sequence[str], error: StoreUnavailable) -> InvalidationError:
        self._t.incidents.l2_failed(error)
        return InvalidationError(
            f"L2 may still serve {len(keys)} key(s) that were to be invalidated: repeat the "
            f"call when L2 answers again ({error})",
            tuple(short_digest(key) for key in keys),
        )

    def _draft(self, value: Any, terms: Terms) -> Reading:
        policy = terms.policy
        times = times_after_load(
            self._t.now_ns(),
            ttl_ns=jittered_ns(policy.ttl_ns, policy.jitter, self._t.uniform()),
            stale_ns=policy.stale_ns,
            cost_ns=0,
        )
        return Reading(L2Word.FRESH, value, False, times)

    def _fill(self, key: str, draft: Reading, terms: Terms) -> Fill:
        fill = self._loads.fill_of(key, draft, terms, b"", 0)
        if fill is None:
            raise CodecError(
                f"the value for key {short_digest(key)} is larger than max_value_bytes: nothing "
                "was stored. Store less of it, or raise the bound where the cache is built"
            )
        return fill

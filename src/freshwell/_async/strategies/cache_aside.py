"""Cache-aside: ask the tiers, and the loader given at the call where they have nothing.

Loads go through flights, so that callers of one key share one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

from freshwell._async.coordination.errands import (
    Errand,
    Load,
    Loaded,
    Loader,
    alike,
    single,
    too_late,
    untagged,
)
from freshwell._async.coordination.keeper import Keeper, Tiers
from freshwell._async.coordination.loads import Loads
from freshwell._async.coordination.sights import Sight, Sights
from freshwell._async.strategies.answers import LOAD_FAILED, Answers
from freshwell._async.strategies.failsafe import FailSafe
from freshwell._kit.aio import Crowded, Flights, Late, in_flight
from freshwell.engines.shelf import Reading, Terms
from freshwell.errors import LoadShed, LoadTimeout
from freshwell.ground.freshness import left_ms
from freshwell.ground.plan import REFRESHING, SERVING, L2Word, Plan, ReadLevel
from freshwell.ground.tags import UNTAGGED, Tagging

__all__ = ["CacheAside"]

_NS_PER_S = 1_000_000_000
_NOTHING: Mapping[str, Reading] = {}
_CARRIED_PER_SLOT = 4
"""Loads with a time limit that run, wait for a slot, or are late and go on."""

# Members of enumerations: to look one up costs Python 3.11 as much as a call.
_ASK_L2 = Plan.ASK_L2
_SOURCE = ReadLevel.SOURCE
_STALE = L2Word.STALE
_FRESH = (L2Word.FRESH, L2Word.EARLY)

Taggings = Callable[[str], Tagging]
"""The tags of each entry of a call."""


class CacheAside:
    """Reads and loads entries of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers) -> None:
        self._t = tiers
        self.keeper = Keeper(tiers)
        self.loads = Loads(tiers, self.keeper)
        self._sights = Sights(tiers, self.keeper)
        self._answers = Answers(tiers, self._sights)
        self._safe = FailSafe(tiers, self._sights, self._answers)
        most = _CARRIED_PER_SLOT * tiers.gate.slots
        self._flights: Flights[Loaded] = Flights(most)
        self._refreshes: Flights[Loaded] = Flights(most)
        self._mutex = Lock()
        self._tags_of_loads: dict[str, tuple[Tagging, int]] = {}

    @property
    def in_flight(self) -> int:
        """How many keys are being loaded now."""
        return len(self._flights) + len(self._refreshes)

    def forget(self, keys: Sequence[str]) -> None:
        """Let callers from now on start loads of their own for `keys`."""
        self._flights.forget(keys)
        self._refreshes.forget(keys)
        self._t.rests.end(keys)

    def forget_tagged(self, digests: Sequence[bytes]) -> None:
        """Let callers from now on start loads of their own for entries that have such a tag.

        Where tags follow from the value, any load may bring one that has it.
        """
        changed = set(digests)
        with self._mutex:
            loads = list(self._tags_of_loads.items())
        self.forget(
            [
                key
                for key, (tagging, _) in loads
                if tagging.computed or not changed.isdisjoint(tagging.digests)
            ]
        )

    def names(self) -> list[str]:
        """Return what is being loaded."""
        return [*self._flights.keys(), *self._refreshes.keys()]

    async def aclose(self, drain_s: float) -> None:
        """Wait for loads under way, then end them."""
        await self._flights.aclose(drain_s)
        await self._refreshes.aclose(drain_s)

    # -- with a loader -----------------------------------------------------------------------

    async def get_or_load(
        self, key: str, loader: Loader, terms: Terms, tagging: Tagging = UNTAGGED
    ) -> Any:
        """Return the entry's value, from a tier or from `loader`."""
        began_ns, old = self._t.now_ns(), _NOTHING
        step: Plan | None
        if terms.level is not _SOURCE:
            reading, step = self._sights.near(key, terms, tagging, self._flights)
            if step is _ASK_L2:
                told, step = await self._sights.beyond(key, reading, terms, tagging)
                if step is None:
                    self._answers.plain(key)
                    return told
                reading = told
            if step in SERVING:
                if reading.word is not _STALE or self._safe.serves_first(key, reading, terms):
                    self._answers.given(key, reading)
                    if step in REFRESHING:
                        load, taggings = single(key, loader), alike(tagging)
                        self.refresh_later({key: reading}, load, terms, taggings)
                    return reading.value
                old = {key: reading}
        self._answers.missed([key])
        load, taggings = single(key, loader), alike(tagging)
        return (await self._load_safely([key], load, terms, taggings, began_ns, old))[key].value

    async def get_or_load_many(
        self, keys: Sequence[str], load: Load, terms: Terms, taggings: Taggings = untagged
    ) -> dict[str, Any]:
        """Return the values of those keys that exist, in the order of `keys`."""
        began_ns = self._t.now_ns()
        found: dict[str, Any] = {}
        values: dict[str, Any] = {}
        old: dict[str, Reading] = {}
        if terms.level is not _SOURCE:
            due: dict[str, Reading] = {}
            for key, (seen, step) in (await self._many(keys, terms, taggings, values)).items():
                if step not in SERVING:
                    continue
                if seen.word is _STALE and not self._safe.serves_first(key, seen, terms):
                    old[key] = seen
                    continue
                found[key] = seen
                if step in REFRESHING:
                    due[key] = seen
            self._answers.given_many(found, values)
            if due:
                self.refresh_later(due, load, terms, taggings)
        missing = [k for k in dict.fromkeys(keys) if k not in found and k not in values]
        if missing:
            self._answers.missed(missing)
            found.update(await self._load_safely(missing, load, terms, taggings, began_ns, old))
        values.update((k, seen.value) for k, seen in found.items() if not seen.negative)
        return {key: values[key] for key in keys if key in values}

    async def _many(
        self, keys: Sequence[str], terms: Terms, taggings: Taggings, values: dict[str, Any]
    ) -> dict[str, Sight]:
        """Look for many entries: `values` takes up those that nobody wants to know more of."""
        traced = self._t.observing.traces.here()
        taken = None if traced else values
        return await self._sights.many(keys, terms, taggings, values=taken)

    async def _load_safely(
        self,
        keys: Sequence[str],
        load: Load,
        terms: Terms,
        taggings: Taggings,
        began_ns: int,
        old: Mapping[str, Reading],
    ) -> dict[str, Loaded]:
        """Load; where that fails or takes too long, return what is stale, if that is allowed.

        `old` are the stale entries among them: those who have none cannot lose patience.
        """
        forced = terms.level is ReadLevel.SOURCE
        errand = Errand(
            load,
            terms,
            taggings,
            old,
            nested=in_flight(),
            forced=forced,
            l2_spent_ns=self._t.now_ns() - began_ns,
        )
        soft_ns = terms.policy.soft_ns
        if soft_ns is not None and len(old) == len(keys):
            try:
                return await self._load_or_fall_back(keys, errand, began_ns, soft_ns / _NS_PER_S)
            except Late:
                found = await self._safe.fall_back(keys, terms, taggings, "load slow")
                if found is not None:
                    self._t.counters.soft_timeouts += 1
                    return found
        return await self._load_or_fall_back(keys, errand, began_ns, None)

    async def _load_or_fall_back(
        self, keys: Sequence[str], errand: Errand, began_ns: int, patience_s: float | None
    ) -> dict[str, Loaded]:
        """Load, and return what is stale instead of raising what `stale_on` means.

        Raises `Late` where `patience_s` is over.
        """
        terms = errand.terms
        try:
            return await self._load(keys, errand, began_ns, patience_s)
        except Late:
            raise
        except Exception as error:
            if not self._safe.applies(terms) or not terms.policy.stale_on(error):
                raise
            self.loads.failed(keys, error, errand)
            found = await self._safe.fall_back(keys, terms, errand.taggings, LOAD_FAILED)
            if found is None:
                raise
            if any(one.stale_since_ns is not None for one in found.values()):
                self._t.incidents.served_stale(error)
            return found

    async def _load(
        self, keys: Sequence[str], errand: Errand, began_ns: int, patience_s: float | None
    ) -> dict[str, Loaded]:
        """Share loads with other callers until each value is new enough for this one.

        A flight that was under way may bring a value loaded before an invalidation that this
        caller already knows of. The next flight begins after this call, so two rounds suffice.
        """
        results: dict[str, Loaded] = {}
        todo, terms = list(keys), errand.terms
        self._note_tags(keys, errand.taggings)
        try:
            while todo:
                loaded = await self._fly(self._flights, todo, errand, patience_s)
                results.update(loaded)
                todo = [key for key in todo if not self._serves(results[key], terms, began_ns)]
        finally:
            self._forget_tags(keys, errand.taggings)
        self._safe.count_resting(results.values())
        self._answers.loaded(results)
        return results

    async def _fly(
        self,
        flights: Flights[Loaded],
        keys: Sequence[str],
        errand: Errand,
        patience_s: float | None = None,
    ) -> dict[str, Loaded]:
        """Lead or join flights, for as long as the caller may wait.

        Raises what the loads raise, `LoadTimeout`, `LoadShed`, and `Late` where `patience_s` is
        over.
        """
        limit_ns = errand.terms.policy.limit_ns
        try:
            return await flights.run(
                keys,
                lambda led: self.loads.do(led, errand),
                limit_s=None if limit_ns is None else limit_ns / _NS_PER_S,
                patience_s=patience_s,
            )
        except Late as late:
            if late.goes_on:
                raise
            raise self._timed_out(errand.terms) from None
        except Crowded:
            self._t.incidents.shed(0)
            raise LoadShed(
                "too many loads with a time limit are under way already, late ones included "
                "(max_loads; stale_ttl would serve)"
            ) from None

    def _timed_out(self, terms: Terms) -> LoadTimeout:
        error = too_late(terms)
        self._t.incidents.load_late((terms.policy.limit_ns or 0) / _NS_PER_S)
        return error

    def _note_tags(self, keys: Sequence[str], taggings: Taggings) -> None:
        """Remember the tags of loads that callers are about to start or to join."""
        if taggings is untagged:
            return
        with self._mutex:
            for key in keys:
                _, callers = self._tags_of_loads.get(key, (UNTAGGED, 0))
                self._tags_of_loads[key] = taggings(key), callers + 1

    def _forget_tags(self, keys: Sequence[str], taggings: Taggings) -> None:
        """Forget the tags of loads that nobody waits for any more."""
        if taggings is untagged:
            return
        with self._mutex:
            for key in keys:
                tagging, callers = self._tags_of_loads.get(key, (UNTAGGED, 0))
                if callers > 1:
                    self._tags_of_loads[key] = tagging, callers - 1
                else:
                    self._tags_of_loads.pop(key, None)

    def _serves(self, loaded: Loaded, terms: Terms, began_ns: int) -> bool:
        """Tell whether a flight's value may be given to a caller who asked at `began_ns`."""
        if not self._safe.accepts(loaded, terms):
            return False
        if terms.level is _SOURCE:
            return loaded.began_ns >= began_ns
        if not self._t.store.shared:
            return True
        eventual = terms.level is ReadLevel.EVENTUAL
        allowed_ns = self._t.session.max_staleness_ns if eventual else 0
        return loaded.valid_at_ns >= began_ns - allowed_ns

    # -- refresh in the background -----------------------------------------------------------

    def refresh_later(
        self,
        due: Mapping[str, Reading],
        load: Load,
        terms: Terms,
        taggings: Taggings = untagged,
    ) -> None:
        """Load entries anew in the background; nobody waits.

        Not where that is being done already, nor while the source is left alone, having failed.
        """
        now_ns = self._t.now_ns()
        keys = [
            key
            for key in due
            if key not in self._refreshes and not self._t.rests.resting(key, now_ns)
        ]
        if not keys:
            return
        errand = Errand(
            load,
            terms,
            taggings,
            due,
            refresh_within_ms=max(left_ms(due[key].times, now_ns) for key in keys),
        )
        if self._t.owner.spawn("refresh", lambda: self._refresh(keys, errand)):
            early = sum(left_ms(due[key].times, now_ns) > 0 for key in keys)
            self._t.counters.early_refreshes += early

    async def _refresh(self, keys: Sequence[str], errand: Errand) -> None:
        self._note_tags(keys, errand.taggings)
        try:
            await self._fly(self._refreshes, keys, errand)
        except Exception as error:  # noqa: BLE001 - nobody waits for it; the entry goes on as it was
            self._t.incidents.refresh_failed(error)
            self.loads.failed(keys, error, errand)
        finally:
            self._forget_tags(keys, errand.taggings)

    # -- without a loader --------------------------------------------------------------------

    async def look(self, key: str, terms: Terms, tagging: Tagging = UNTAGGED) -> Reading:
        """Return what the tiers have of an entry, stale or expired included."""
        sights = await self._sights.many([key], terms, alike(tagging), timed=True)
        reading, _ = sights[key]
        return self._answers.explained(key, reading)

    async def get(
        self, key: str, terms: Terms, tagging: Tagging = UNTAGGED, default: Any = None
    ) -> Any:
        """Return the value of a fresh entry, or `default`."""
        step: Plan | None
        reading, step = self._sights.near(key, terms, tagging)
        if step is _ASK_L2:
            told, step = await self._sights.beyond(key, reading, terms, tagging)
            if step is None:
                self._answers.plain(key)
                return told
            reading = told
        if reading.word in _FRESH:
            self._answers.given(key, reading)
            return reading.value
        self._answers.nothing(key, reading)
        return default

    async def get_many(
        self, keys: Sequence[str], terms: Terms, taggings: Taggings = untagged
    ) -> dict[str, Any]:
        """Return the values of those entries that are fresh, and exist in the source."""
        values: dict[str, Any] = {}
        sights = await self._many(keys, terms, taggings, values)
        fresh = {key: seen for key, (seen, _) in sights.items() if seen.word in _FRESH}
        if self._t.observing.traces.here():
            for key, (seen, _) in sights.items():
                (self._answers.given if key in fresh else self._answers.nothing)(key, seen)
        else:
            self._answers.given_many(fresh, values)
            self._answers.nothing_many({k: s for k, (s, _) in sights.items() if k not in fresh})
        if not fresh:
            return values
        values.update((key, seen.value) for key, seen in fresh.items() if not seen.negative)
        return {key: values[key] for key in keys if key in values}

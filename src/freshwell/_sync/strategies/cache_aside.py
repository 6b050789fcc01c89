"""Cache-aside: ask the tiers, and the loader given at the call where they have nothing.

Loads go through flights, so that callers of one key share one.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Mapping, Sequence
from typing import Any

from freshwell._sync.coordination.errands import (
    Errand,
    Load,
    Loaded,
    Loader,
    Taggings,
    alike,
    single,
    untagged,
)
from freshwell._sync.coordination.keeper import Keeper, Tiers
from freshwell._sync.coordination.loads import Loads
from freshwell._sync.coordination.plainly import Finds
from freshwell._sync.coordination.sights import Sight, Sights
from freshwell._sync.strategies.answers import Answers
from freshwell._sync.strategies.failsafe import FailSafe
from freshwell._sync.strategies.sharing import ANY_TAG, SharedLoads
from freshwell._kit.threads_flights import Announced
from freshwell.engines.shelf import Reading, Terms
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
        self._shared = SharedLoads(tiers, self.loads, self._safe, self._answers, most)
        self._flights = self._shared.flights
        self._loading = self._flights.under_way

    @property
    def in_flight(self) -> int:
        """How many keys are being loaded now."""
        return len(self._flights)

    def forget(self, keys: Sequence[str]) -> None:
        """Let callers from now on start loads of their own for `keys`."""
        self._flights.forget(keys)
        self._t.rests.end(keys)

    def forget_tagged(self, digests: Sequence[bytes], *, by_users: bool) -> None:
        """Let callers from now on start loads of their own for entries that have such a tag.

        Where tags follow from the value, any load may bring one that has it; but for tags that
        the cache gives by itself, which it knows before.
        """
        changed = {*digests, ANY_TAG} if by_users else set(digests)
        self.forget(self._flights.marked(changed))

    def names(self) -> list[str]:
        """Return what is being loaded."""
        return self._flights.keys()

    def close(self, drain_s: float) -> None:
        """Wait for loads under way, then end them."""
        self._flights.close(drain_s)

    # -- with a loader -----------------------------------------------------------------------

    def get_or_load(
        self, key: str, loader: Loader, terms: Terms, tagging: Tagging = UNTAGGED
    ) -> Any:
        """Return the entry's value, from a tier or from `loader`."""
        began_ns = asked_ns = self._t.now_ns()
        old = _NOTHING
        step: Plan | None
        announced: Announced[Loaded] | None = None
        try:
            if terms.level is not _SOURCE:
                reading, step = self._sights.near(key, terms, tagging, self._loading)
                # Who shares waits for what L1 may answer with then.
                if step is _ASK_L2 and terms.shares and began_ns < self._t.session.live_until_ns:
                    announced, since = Announced(key), self._t.table.moment()
                    if not self._flights.announce(announced):
                        announced = None
                        loaded = self._shared.ride(
                            key, loader, terms, tagging, began_ns, counts=True
                        )
                        if loaded is not None:
                            return loaded.value
                        asked_ns = self._t.now_ns()
                        reading, step = self._sights.near(key, terms, tagging, self._loading)
                if step is _ASK_L2:
                    told, step = self._sights.beyond(key, reading, terms, tagging)
                    if step is None:
                        self._answers.plain(key)
                        if announced is not None and announced.flight is not None:
                            self._shared.offer(announced, told, terms, tagging, asked_ns, since)
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
            spent_ns = self._t.now_ns() - asked_ns
            if not old and key in self._loading:
                loaded = self._shared.ride(key, loader, terms, tagging, began_ns)
                if loaded is not None:
                    return loaded.value
            load, taggings = single(key, loader), alike(tagging)
            loads = self._shared.load(
                [key], load, terms, taggings, began_ns, old, l2_spent_ns=spent_ns
            )
            return loads[key].value
        finally:
            if announced is not None:
                self._flights.call_off(announced)

    def get_or_load_many(
        self, keys: Sequence[str], load: Load, terms: Terms, taggings: Taggings = untagged
    ) -> dict[str, Any]:
        """Return the values of those keys that exist, in the order of `keys`."""
        began_ns = self._t.now_ns()
        found: dict[str, Any] = {}
        finds = Finds({}, {})
        old: dict[str, Reading] = {}
        if terms.level is not _SOURCE:
            due: dict[str, Reading] = {}
            for key, (seen, step) in self._many(keys, terms, taggings, finds).items():
                if step not in SERVING:
                    continue
                if seen.word is _STALE and not self._safe.serves_first(key, seen, terms):
                    old[key] = seen
                    continue
                found[key] = seen
                if step in REFRESHING:
                    due[key] = seen
            self._answers.given_many(found, finds)
            if due:
                self.refresh_later(due, load, terms, taggings)
        missing = [k for k in finds.left_of(keys) if k not in found]
        if missing:
            self._answers.missed(missing)
            spent_ns = self._t.now_ns() - began_ns
            loaded = self._shared.load(
                missing, load, terms, taggings, began_ns, old, l2_spent_ns=spent_ns
            )
            found.update(loaded)
        others = {key: seen.value for key, seen in found.items() if not seen.negative}
        return finds.and_others(others, keys)

    def _many(
        self, keys: Sequence[str], terms: Terms, taggings: Taggings, finds: Finds
    ) -> dict[str, Sight]:
        """Look for many entries: `finds` takes up those that nobody wants to know more of."""
        taken = None if self._t.observing.traces.here() else finds
        return self._sights.many(keys, terms, taggings, finds=taken)

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
            if not self._flights.carries(key) and not self._t.rests.resting(key, now_ns)
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

    def _refresh(self, keys: Sequence[str], errand: Errand) -> None:
        try:
            self._shared.fly(keys, errand, quiet=True)
        except Exception as error:  # noqa: BLE001 - nobody waits for it; the entry goes on as it was
            self._t.incidents.refresh_failed(error)
            self.loads.failed(keys, error, errand)

    # -- without a loader --------------------------------------------------------------------

    def look(self, key: str, terms: Terms, tagging: Tagging = UNTAGGED) -> Reading:
        """Return what the tiers have of an entry, stale or expired included."""
        sights = self._sights.many([key], terms, alike(tagging), timed=True)
        reading, _ = sights[key]
        return self._answers.explained(key, reading)

    def get(
        self, key: str, terms: Terms, tagging: Tagging = UNTAGGED, default: Any = None
    ) -> Any:
        """Return the value of a fresh entry, or `default`."""
        step: Plan | None
        reading, step = self._sights.near(key, terms, tagging)
        if step is _ASK_L2:
            told, step = self._sights.beyond(key, reading, terms, tagging)
            if step is None:
                self._answers.plain(key)
                return told
            reading = told
        if reading.word in _FRESH:
            self._answers.given(key, reading)
            return reading.value
        self._answers.nothing(key, reading)
        return default

    def get_many(
        self, keys: Sequence[str], terms: Terms, taggings: Taggings = untagged
    ) -> dict[str, Any]:
        """Return the values of those entries that are fresh, and exist in the source."""
        finds = Finds({}, {})
        sights = self._many(keys, terms, taggings, finds)
        fresh = {key: seen for key, (seen, _) in sights.items() if seen.word in _FRESH}
        if self._t.observing.traces.here():
            for key, (seen, _) in sights.items():
                (self._answers.given if key in fresh else self._answers.nothing)(key, seen)
        else:
            self._answers.given_many(fresh, finds)
            self._answers.nothing_many({k: s for k, (s, _) in sights.items() if k not in fresh})
        others = {key: seen.value for key, seen in fresh.items() if not seen.negative}
        return finds.and_others(others, keys)

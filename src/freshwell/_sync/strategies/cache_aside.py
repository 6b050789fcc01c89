"""Cache-aside: ask the tiers, and the loader given at the call where they have nothing.

Loads go through flights, so that callers of one key share one.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import inspect
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Literal

from freshwell._sync.coordination.keeper import Keeper, Tiers
from freshwell._sync.coordination.loads import Errand, Load, Loaded, Loads, untagged
from freshwell._sync.coordination.sights import Sights
from freshwell._kit.threads import Flights, in_flight, resolve
from freshwell.engines.results import storable
from freshwell.engines.shelf import Reading, Terms
from freshwell.engines.tracing import Served
from freshwell.errors import ConfigurationError
from freshwell.ground.freshness import Times
from freshwell.ground.names import split
from freshwell.ground.plan import L2Word, Plan, ReadLevel
from freshwell.ground.tags import UNTAGGED, Tagging
from freshwell.typing import Lookup

__all__ = ["CacheAside", "as_lookup", "single"]

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_REST_AFTER_FAILURE_NS = 1_000_000_000
_MAX_RESTING = 10_000
_SLACK_SHARE = 10
"""A value with a tenth of its life more than expected was refreshed by somebody else."""

_REFRESHING = (Plan.SERVE_L1_AND_REFRESH, Plan.SERVE_L2_AND_REFRESH)
_SERVING = (Plan.SERVE_L2, Plan.SERVE_L1, *_REFRESHING)
_FRESH = (L2Word.FRESH, L2Word.EARLY)

Taggings = Callable[[str], Tagging]
"""The tags of each entry of a call."""


def single(key: str, loader: Callable[[], Any]) -> Load:
    """Return the loader of one entry as a loader of many.

    Raises `ConfigurationError` for what cannot be called.
    """
    if not callable(loader):
        raise _no_loader(loader)

    def load(keys: Sequence[str]) -> Mapping[str, Any]:
        return {key: storable(resolve(loader()))}

    return load


def _no_loader(given: object) -> ConfigurationError:
    hint = ": give the function without calling it, such as lambda: load(1)"
    if inspect.iscoroutine(given):
        given.close()
        return ConfigurationError("the loader is a coroutine, which can run only once" + hint)
    return ConfigurationError(f"the loader is an object of type {type(given).__name__}" + hint)


def as_lookup(reading: Reading, now_ns: int) -> Lookup:
    """Return a reading in public form, as it is at `now_ns`."""
    times = reading.times
    found = reading.word is not L2Word.ABSENT and reading.word is not L2Word.DOWN
    state = reading.word.value if found else "absent" if times is None else "expired"
    return Lookup(
        found=found,
        value=reading.value if found else None,
        state=state,  # type: ignore[arg-type]
        negative=reading.negative,
        tier=None if times is None else reading.tier,
        age_s=None if times is None else (now_ns - times.born_ns) / _NS_PER_S,
        ttl_left_s=None if times is None else (times.fresh_until_ns - now_ns) / _NS_PER_S,
        reason=reading.reason,
    )


class CacheAside:
    """Reads and loads entries of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers) -> None:
        self._t = tiers
        self.keeper = Keeper(tiers)
        self.loads = Loads(tiers, self.keeper)
        self._sights = Sights(tiers, self.keeper)
        self._flights: Flights[Loaded] = Flights()
        self._refreshes: Flights[Loaded] = Flights()
        self._mutex = Lock()
        self._tags_of_loads: dict[str, tuple[Tagging, int]] = {}
        self._resting_until_ns: dict[str, int] = {}

    @property
    def in_flight(self) -> int:
        """How many keys are being loaded now."""
        return len(self._flights) + len(self._refreshes)

    def forget(self, keys: Sequence[str]) -> None:
        """Let callers from now on start loads of their own for `keys`."""
        self._flights.forget(keys)
        self._refreshes.forget(keys)

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

    def close(self, drain_s: float) -> None:
        """Wait for loads under way, then end them."""
        self._flights.close(drain_s)
        self._refreshes.close(drain_s)

    # -- with a loader -----------------------------------------------------------------------

    def get_or_load(
        self, key: str, load: Load, terms: Terms, tagging: Tagging = UNTAGGED
    ) -> Any:
        """Return the entry's value, from a tier or from `load`."""
        began_ns = self._t.now_ns()
        if terms.level is not ReadLevel.SOURCE:
            reading, step = self._sights.one(key, terms, tagging, self._flights)
            if step in _SERVING:
                self._answered(key, reading)
                if step in _REFRESHING:
                    self.refresh_later({key: reading.times}, load, terms, lambda name: tagging)
                return reading.value
        self._missed([key])
        taggings = untagged if tagging is UNTAGGED else lambda name: tagging
        return self._load([key], load, terms, taggings, began_ns)[key].value

    def get_or_load_many(
        self, keys: Sequence[str], load: Load, terms: Terms, taggings: Taggings = untagged
    ) -> dict[str, Any]:
        """Return the values of those keys that exist, in the order of `keys`."""
        began_ns = self._t.now_ns()
        found: dict[str, Any] = {}
        if terms.level is not ReadLevel.SOURCE:
            sights = self._sights.many(keys, terms, taggings)
            due = {k: seen.times for k, (seen, step) in sights.items() if step in _REFRESHING}
            found = {k: seen for k, (seen, step) in sights.items() if step in _SERVING}
            for key, seen in found.items():
                self._answered(key, seen)
            if due:
                self.refresh_later(due, load, terms, taggings)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            self._missed(missing)
            found.update(self._load(missing, load, terms, taggings, began_ns))
        return {key: found[key].value for key in keys if not found[key].negative}

    def _load(
        self, keys: Sequence[str], load: Load, terms: Terms, taggings: Taggings, began_ns: int
    ) -> dict[str, Loaded]:
        """Share loads with other callers until each value is new enough for this one.

        A flight that was under way may bring a value loaded before an invalidation that this
        caller already knows of. The next flight begins after this call, so two rounds suffice.
        """
        forced = terms.level is ReadLevel.SOURCE
        errand = Errand(
            load,
            terms,
            taggings,
            nested=in_flight(),
            forced=forced,
            l2_spent_ns=self._t.now_ns() - began_ns,
        )
        results: dict[str, Loaded] = {}
        todo = list(keys)
        self._note_tags(keys, taggings)
        try:
            while todo:
                loaded = self._flights.run(todo, lambda led: self.loads.do(led, errand))
                results.update(loaded)
                todo = [key for key in todo if not self._serves(results[key], terms, began_ns)]
        finally:
            self._forget_tags(keys, taggings)
        self._t.counters.degraded += sum(loaded.alone for loaded in results.values())
        for trace in self._t.observing.traces.here():
            for key, value in results.items():
                trace.add(_served_by_load(key, value))
        return results

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
        if terms.level is ReadLevel.SOURCE:
            return loaded.began_ns >= began_ns
        if not self._t.store.shared:
            return True
        eventual = terms.level is ReadLevel.EVENTUAL
        allowed_ns = self._t.session.max_staleness_ns if eventual else 0
        return loaded.valid_at_ns >= began_ns - allowed_ns

    # -- refresh in the background -----------------------------------------------------------

    def refresh_later(
        self,
        due: Mapping[str, Times | None],
        load: Load,
        terms: Terms,
        taggings: Taggings = untagged,
    ) -> None:
        """Load entries anew in the background; nobody waits.

        Not where that is being done already, nor for a second after it failed.
        """
        now_ns = self._t.now_ns()
        keys = [
            key
            for key in due
            if key not in self._refreshes and self._resting_until_ns.get(key, 0) <= now_ns
        ]
        if not keys:
            return
        errand = Errand(
            load,
            terms,
            taggings,
            refresh_within_ms=max(_left_ms(due[key], now_ns) for key in keys),
        )
        if self._t.owner.spawn("refresh", lambda: self._refresh(keys, errand)):
            self._t.counters.early_refreshes += sum(_left_ms(due[key], now_ns) > 0 for key in keys)

    def _refresh(self, keys: Sequence[str], errand: Errand) -> None:
        self._note_tags(keys, errand.taggings)
        try:
            self._refreshes.run(keys, lambda led: self.loads.do(led, errand))
        except Exception as error:  # noqa: BLE001 - nobody waits for it; the entry goes on as it was
            self._t.incidents.refresh_failed(error)
            self._rest(keys)
        finally:
            self._forget_tags(keys, errand.taggings)

    def _rest(self, keys: Sequence[str]) -> None:
        """Leave the source alone with these keys for a while: it has just failed."""
        until_ns = self._t.now_ns() + _REST_AFTER_FAILURE_NS
        with self._mutex:
            if len(self._resting_until_ns) > _MAX_RESTING:
                self._resting_until_ns.clear()
            self._resting_until_ns.update(dict.fromkeys(keys, until_ns))

    # -- without a loader --------------------------------------------------------------------

    def look(self, key: str, terms: Terms, tagging: Tagging = UNTAGGED) -> Reading:
        """Return what the tiers have of an entry, stale or expired included."""
        sights = self._sights.many([key], terms, lambda name: tagging, timed=True)
        return sights[key][0]

    def get(self, key: str, terms: Terms, tagging: Tagging = UNTAGGED) -> Reading | None:
        """Return a fresh entry, or None."""
        reading, _ = self._sights.one(key, terms, tagging)
        if reading.word in _FRESH:
            self._answered(key, reading)
            return reading
        self._found_nothing(key, reading)
        return None

    def get_many(
        self, keys: Sequence[str], terms: Terms, taggings: Taggings = untagged
    ) -> dict[str, Any]:
        """Return the values of those entries that are fresh, and exist in the source."""
        found: dict[str, Any] = {}
        for key, (reading, _) in self._sights.many(keys, terms, taggings).items():
            if reading.word in _FRESH:
                self._answered(key, reading)
                if not reading.negative:
                    found[key] = reading.value
            else:
                self._found_nothing(key, reading)
        return found

    # -- what was answered: counted, and told to those who trace ------------------------------

    def _answered(self, key: str, reading: Reading) -> None:
        self._sights.served(reading)
        if reading.tier == "l2":
            self._t.observing.hot.add(key)
        self._trace(key, reading, reading.tier)

    def _missed(self, keys: Sequence[str]) -> None:
        self._t.counters.misses += len(keys)
        for key in keys:
            self._t.observing.hot.add(key)

    def _found_nothing(self, key: str, reading: Reading) -> None:
        self._missed([key])
        self._t.counters.degraded += reading.word is L2Word.DOWN
        self._trace(key, reading, None)

    def _trace(self, key: str, reading: Reading, source: Literal["l1", "l2"] | None) -> None:
        for trace in self._t.observing.traces.here():
            trace.add(_served_by_tier(key, reading, source, self._t.now_ns()))


def _served_by_tier(
    key: str, reading: Reading, source: Literal["l1", "l2"] | None, now_ns: int
) -> Served:
    seen = as_lookup(reading, now_ns)
    state = seen.state if source else "absent"
    return Served(_shown(key), source, state, seen.age_s, seen.ttl_left_s, seen.reason)


def _served_by_load(key: str, loaded: Loaded) -> Served:
    """Describe a value that a flight brought; it may have found it in a tier after all."""
    source: Literal["l2", "loader"] = "l2" if loaded.began_ns < 0 else "loader"
    return Served(_shown(key), source, "fresh", None, None, "loaded")


def _shown(name: str) -> str:
    namespace, key = split(name)
    return f"{namespace}:{key}" if namespace else key


def _left_ms(times: Times | None, now_ns: int) -> int:
    """Return up to how much freshness a value may have left and still be the one seen."""
    if times is None or times.fresh_until_ns <= now_ns:
        return 0
    life_ns = times.fresh_until_ns - times.born_ns
    return (times.fresh_until_ns - now_ns + life_ns // _SLACK_SHARE) // _NS_PER_MS + 1

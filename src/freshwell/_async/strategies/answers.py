"""What readers were answered: counted, and told to those who trace."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from freshwell._async.coordination.errands import Loaded
from freshwell._async.coordination.keeper import Tiers
from freshwell._async.coordination.plainly import Finds
from freshwell._async.coordination.sights import Sights
from freshwell.engines.gutter import GUTTER
from freshwell.engines.lookups import as_lookup
from freshwell.engines.shelf import DOWN, Reading
from freshwell.engines.tracing import Served
from freshwell.ground.names import shown
from freshwell.ground.plan import L2Word

__all__ = ["LOAD_FAILED", "Answers"]

LOAD_FAILED = "load failed"
"""Why an entry is stale that is served although nobody loads it."""

_IN_NEED = (DOWN.reason, GUTTER)
"""Why this process's memory has answered where L2 should have been asked."""


class Answers:
    """Counts and traces the answers of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, sights: Sights) -> None:
        self._t = tiers
        self._sights = sights

    def given(self, key: str, reading: Reading) -> None:
        """Note that a tier has answered."""
        self._sights.served(reading)
        observing = self._t.observing
        if reading.tier == "l2":
            observing.hot.add(key)
        if observing.traces.here():
            self.trace(key, reading, reading.tier)

    def plain(self, key: str) -> None:
        """Note that L2 has answered with a value of which there is no more to say."""
        self._t.counters.hits_l2 += 1
        self._t.observing.hot.add(key)

    def given_many(self, readings: Mapping[str, Reading], finds: Finds) -> None:
        """Note that tiers have answered: with readings, and with values.

        Of the values no more is known: whoever traces asks for readings only.
        """
        hot, counters = self._t.observing.hot, self._t.counters
        counters.hits_l1 += len(finds.near)
        counters.hits_l2 += len(finds.far)
        hot.add_many(finds.far)
        if readings:
            self._sights.served_many(readings.values())
            hot.add_many([key for key, seen in readings.items() if seen.tier == "l2"])
            if self._t.observing.traces.here():
                for key, seen in readings.items():
                    self.trace(key, seen, seen.tier)

    def missed(self, keys: Collection[str]) -> None:
        """Note that no tier has answered."""
        self._t.counters.misses += len(keys)
        self._t.observing.hot.add_many(keys)

    def nothing(self, key: str, reading: Reading) -> None:
        """Note that no tier has answered, and nobody else is asked."""
        self.missed([key])
        self._t.counters.degraded += reading.word is L2Word.DOWN
        self.trace(key, reading, None)

    def nothing_many(self, readings: Mapping[str, Reading]) -> None:
        """Note what `nothing` does of each, for somebody who does not trace."""
        if readings:
            self.missed(readings)
            down = sum(reading.word is L2Word.DOWN for reading in readings.values())
            self._t.counters.degraded += down

    def stale(self, reading: Reading) -> None:
        """Count an answer past its TTL, and whether L2 could not be asked for a better one."""
        counters = self._t.counters
        counters.stale_serves += 1
        counters.gutter_serves += reading.reason == GUTTER
        counters.degraded += reading.reason in _IN_NEED

    def loaded(self, results: Mapping[str, Loaded]) -> None:
        """Note that flights have answered."""
        for loaded in results.values():
            if loaded.alone:
                self._t.counters.degraded += 1
        for trace in self._t.observing.traces.here():
            for key, value in results.items():
                trace.add(_served_by_load(key, value, self._t.now_ns()))

    def trace(
        self,
        key: str,
        reading: Reading,
        source: Literal["l1", "l2"] | None,
        reason: str | None = None,
    ) -> None:
        """Tell those who trace what a tier has answered, or that there is nothing (None)."""
        for trace in self._t.observing.traces.here():
            told = reading if reason is None else reading._replace(reason=reason)
            trace.add(_served_by_tier(key, self.explained(key, told), source, self._t.now_ns()))

    def explained(self, key: str, reading: Reading) -> Reading:
        """Return a reading that says, if it is so, that its source is left alone."""
        if reading.word is not L2Word.STALE or reading.reason == GUTTER:
            return reading
        if self._t.rests.resting(key, self._t.now_ns()):
            return reading._replace(reason=LOAD_FAILED)
        return reading


def _served_by_tier(
    key: str, reading: Reading, source: Literal["l1", "l2"] | None, now_ns: int
) -> Served:
    seen = as_lookup(reading, now_ns)
    state = seen.state if source else "absent"
    return Served(shown(key), source, state, seen.age_s, seen.ttl_left_s, seen.reason)


def _served_by_load(key: str, loaded: Loaded, now_ns: int) -> Served:
    """Describe a value that a flight brought; it may have found it in a tier after all."""
    source: Literal["l2", "loader"] = "l2" if loaded.began_ns < 0 else "loader"
    if loaded.stale_since_ns is None:
        return Served(shown(key), source, "fresh", None, None, "loaded")
    left_s = (loaded.stale_since_ns - now_ns) / 1_000_000_000
    return Served(shown(key), source, "stale", None, left_s, LOAD_FAILED)

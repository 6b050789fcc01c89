"""Cache-aside: ask the tiers, and the loader given at the call where they have nothing.

Each step here is small: a verdict on L1, a word from L2, and what the plan table says follows
from the two. Loads go through flights, so that callers of one key share one.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from freshwell._sync.coordination.loads import Errand, Load, Loaded, Loads, Tiers
from freshwell._kit.threads import Flights, in_flight, resolve
from freshwell.engines.session import CoherenceMode
from freshwell.engines.shelf import ABSENT, DOWN, Reading, Terms
from freshwell.engines.table import Entry, Fetch
from freshwell.errors import StoreUnavailable
from freshwell.ground.freshness import Times, Verdict, judge
from freshwell.ground.plan import L2Word, Plan, ReadLevel, plan
from freshwell.typing import Lookup

__all__ = ["CacheAside", "Sighting", "as_lookup", "single"]

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_SLACK_SHARE = 10
"""A value with a tenth of its life more than expected was refreshed by somebody else."""

_L1_PLANS = (Plan.SERVE_L1, Plan.SERVE_L1_AND_REFRESH)
_L2_PLANS = (Plan.SERVE_L2, Plan.SERVE_L2_AND_REFRESH)
_REFRESHING = (Plan.SERVE_L1_AND_REFRESH, Plan.SERVE_L2_AND_REFRESH)


class Sighting(NamedTuple):
    """What a tier has of an entry, on the caller's terms, without loading."""

    tier: Literal["l1", "l2"]
    word: L2Word
    value: Any
    negative: bool
    times: Times | None
    reason: str


def single(key: str, loader: Callable[[], Any]) -> Load:
    """Return the loader of one entry as a loader of many."""

    def load(keys: Sequence[str]) -> Mapping[str, Any]:
        return {key: resolve(loader())}

    return load


def as_lookup(sighting: Sighting) -> Lookup:
    """Return a sighting in public form."""
    times, now_ns = sighting.times, time.monotonic_ns()
    found = sighting.word is not L2Word.ABSENT and sighting.word is not L2Word.DOWN
    state = sighting.word.value if found else "absent" if times is None else "expired"
    return Lookup(
        found=found,
        value=sighting.value if found else None,
        state=state,  # type: ignore[arg-type]
        negative=sighting.negative,
        tier=None if times is None else sighting.tier,
        age_s=None if times is None else (now_ns - times.born_ns) / _NS_PER_S,
        ttl_left_s=None if times is None else (times.fresh_until_ns - now_ns) / _NS_PER_S,
        reason=sighting.reason,
    )


class CacheAside:
    """Reads and loads entries of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers) -> None:
        self._t = tiers
        self.loads = Loads(tiers)
        self._flights: Flights[Loaded] = Flights()
        self._refreshes: Flights[Loaded] = Flights()

    @property
    def in_flight(self) -> int:
        """How many keys are being loaded now."""
        return len(self._flights) + len(self._refreshes)

    def forget_flights(self, keys: Sequence[str]) -> None:
        """Let callers from now on start loads of their own for `keys`."""
        self._flights.forget(keys)
        self._refreshes.forget(keys)

    def close(self, drain_s: float) -> None:
        """Wait for loads under way, then end them."""
        self._flights.close(drain_s)
        self._refreshes.close(drain_s)

    # -- with a loader -----------------------------------------------------------------------

    def get_or_load(self, key: str, load: Load, terms: Terms) -> Any:
        """Return the entry's value, from a tier or from `load`."""
        began_ns = self._t.now_ns()
        if terms.level is not ReadLevel.SOURCE:
            sighting, step = self._sight(key, terms, skip_l2_in_flight=True)
            if step in _L1_PLANS or step in _L2_PLANS:
                self._serve(sighting)
                if step in _REFRESHING:
                    self.refresh_later({key: sighting.times}, load, terms)
                return sighting.value
        self._t.counters.misses += 1
        return self._load([key], load, terms, began_ns)[key].value

    def get_or_load_many(
        self, keys: Sequence[str], load: Load, terms: Terms
    ) -> dict[str, Any]:
        """Return the values of those keys that exist, in the order of `keys`."""
        began_ns = self._t.now_ns()
        found: dict[str, Any] = {}
        if terms.level is not ReadLevel.SOURCE:
            sightings = self._sight_many(keys, terms)
            due = {k: s.times for k, (s, step) in sightings.items() if step in _REFRESHING}
            found = {
                k: s for k, (s, step) in sightings.items() if step in _L1_PLANS + _L2_PLANS
            }
            for sighting in found.values():
                self._serve(sighting)
            if due:
                self.refresh_later(due, load, terms)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            self._t.counters.misses += len(missing)
            found.update(self._load(missing, load, terms, began_ns))
        return {key: found[key].value for key in keys if not found[key].negative}

    def _load(
        self, keys: Sequence[str], load: Load, terms: Terms, began_ns: int
    ) -> dict[str, Loaded]:
        """Share loads with other callers until each value is new enough for this one.

        A flight that was under way may bring a value loaded before an invalidation that this
        caller already knows of. The next flight begins after this call, so two rounds suffice.
        """
        forced = terms.level is ReadLevel.SOURCE
        errand = Errand(load, terms, nested=in_flight(), forced=forced)
        results: dict[str, Loaded] = {}
        todo = list(keys)
        while todo:
            loaded = self._flights.run(todo, lambda led: self.loads.do(led, errand))
            results.update(loaded)
            todo = [key for key in todo if not self._serves(results[key], terms, began_ns)]
        return results

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
        self, due: Mapping[str, Times | None], load: Load, terms: Terms
    ) -> None:
        """Load entries anew in the background, unless that is being done; nobody waits."""
        keys = [key for key in due if key not in self._refreshes]
        if not keys:
            return
        now_ns = self._t.now_ns()
        errand = Errand(
            load, terms, refresh_within_ms=max(_left_ms(due[key], now_ns) for key in keys)
        )
        if self._t.owner.spawn("refresh", lambda: self._refresh(keys, errand)):
            self._t.counters.early_refreshes += sum(_left_ms(due[key], now_ns) > 0 for key in keys)

    def _refresh(self, keys: Sequence[str], errand: Errand) -> None:
        try:
            self._refreshes.run(keys, lambda led: self.loads.do(led, errand))
        except Exception:
            self._t.counters.refresh_errors += 1

    # -- without a loader --------------------------------------------------------------------

    def look(self, key: str, terms: Terms) -> Sighting:
        """Return what the tiers have of an entry, stale or expired included."""
        sighting, step = self._sight(key, terms, skip_l2_in_flight=False)
        return sighting

    def get(self, key: str, terms: Terms) -> Sighting | None:
        """Return a fresh entry, or None."""
        sighting = self.look(key, terms)
        if sighting.word in (L2Word.FRESH, L2Word.EARLY):
            self._serve(sighting)
            return sighting
        self._t.counters.misses += 1
        return None

    def get_many(self, keys: Sequence[str], terms: Terms) -> dict[str, Any]:
        """Return the values of those entries that are fresh."""
        found: dict[str, Any] = {}
        for key, (sighting, _) in self._sight_many(keys, terms).items():
            if sighting.word in (L2Word.FRESH, L2Word.EARLY):
                self._serve(sighting)
                found[key] = sighting.value
            else:
                self._t.counters.misses += 1
        return found

    # -- sightings ---------------------------------------------------------------------------

    def _sight(
        self, key: str, terms: Terms, *, skip_l2_in_flight: bool
    ) -> tuple[Sighting, Plan]:
        """Look into L1 and, where the plan says so, into L2."""
        sighting = self._in_l1(key, terms)
        step = plan(_verdict(sighting), None, shared=self._t.store.shared)
        if step is not Plan.ASK_L2:
            return sighting, step
        if skip_l2_in_flight and terms.policy.stale_ns == 0 and key in self._flights:
            return sighting, Plan.LOAD
        reading = self._ask_l2([key], terms)[0]
        return self._judged(sighting, reading)

    def _sight_many(
        self, keys: Sequence[str], terms: Terms
    ) -> dict[str, tuple[Sighting, Plan]]:
        """Look for many entries at the cost of one round trip."""
        shared = self._t.store.shared
        sightings = {key: self._in_l1(key, terms) for key in keys}
        steps = {k: plan(_verdict(s), None, shared=shared) for k, s in sightings.items()}
        asked = [key for key, step in steps.items() if step is Plan.ASK_L2]
        answers = dict(zip(asked, self._ask_l2(asked, terms), strict=True))
        return {
            key: self._judged(sighting, answers[key]) if key in answers else (sighting, steps[key])
            for key, sighting in sightings.items()
        }

    def _judged(self, l1: Sighting, reading: Reading) -> tuple[Sighting, Plan]:
        step = plan(_verdict(l1), reading.word, shared=True)
        if step in _L1_PLANS:
            return l1, step
        return Sighting("l2", *reading[:5]), step

    def _in_l1(self, key: str, terms: Terms) -> Sighting:
        if terms.level is not ReadLevel.EVENTUAL:
            return _NOT_IN_L1
        entry = self._t.table.get(key)
        if entry is None:
            return _NOT_IN_L1
        value = entry.value  # before its deadlines: an entry is killed by its deadlines
        now_ns = self._t.now_ns()
        if now_ns >= self._t.session.live_until_ns:
            return _NOT_IN_L1._replace(reason="session")
        return self._judge_l1(entry, value, now_ns, terms)

    def _judge_l1(self, entry: Entry, value: Any, now_ns: int, terms: Terms) -> Sighting:
        times = Times(
            entry.born_ns, entry.fresh_until_ns, entry.stale_until_ns, entry.cost_ns
        )
        # Where L1's deadlines are shorter than the entry's, they are no reason to refresh it.
        capped = self._t.session.mode is CoherenceMode.TTL_ONLY
        verdict = judge(
            times,
            now_ns,
            stale_ns=terms.policy.stale_ns,
            beta=0.0 if capped else terms.policy.beta,
            u=1.0 - self._t.uniform(),
        )
        if verdict is Verdict.ABSENT:
            return _NOT_IN_L1._replace(reason="expired", times=times)
        return Sighting("l1", _WORDS[verdict], value, entry.negative, times, verdict.value)

    def _ask_l2(self, keys: Sequence[str], terms: Terms) -> list[Reading]:
        """Ask L2, and keep in L1 what it has. L2's failure is an answer: down."""
        if not keys or not self._t.store.shared:
            return [ABSENT] * len(keys)
        asked_ns = self._t.now_ns()
        fetches = [self._t.table.begin(key) for key in keys]
        try:
            blobs = self._fetch(keys)
            readings = [
                self.loads.read(key, blob, terms) for key, blob in zip(keys, blobs, strict=True)
            ]
            for key, reading, fetch in zip(keys, readings, fetches, strict=True):
                self._keep(key, reading, asked_ns, fetch, terms)
        except StoreUnavailable:
            self._t.counters.l2_errors += 1
            return [DOWN] * len(keys)
        finally:
            for fetch in fetches:
                self._t.table.end(fetch)
        return readings

    def _fetch(self, keys: Sequence[str]) -> list[bytes | None]:
        if len(keys) == 1:
            return [self._t.store.fetch(self._t.l2_key(keys[0]))]
        return self._t.store.fetch_many([self._t.l2_key(key) for key in keys])

    def _keep(
        self, key: str, reading: Reading, asked_ns: int, fetch: Fetch, terms: Terms
    ) -> None:
        if reading.times is not None and reading.word is not L2Word.ABSENT:
            self.loads.keep(key, reading, reading.times, asked_ns, fetch, terms)

    def _serve(self, sighting: Sighting) -> None:
        counters = self._t.counters
        if sighting.tier == "l1":
            counters.hits_l1 += 1
        else:
            counters.hits_l2 += 1
        counters.stale_serves += sighting.word is L2Word.STALE
        counters.negative_hits += sighting.negative


_NOT_IN_L1 = Sighting("l1", L2Word.ABSENT, None, False, None, "absent")

_WORDS = {
    Verdict.FRESH: L2Word.FRESH,
    Verdict.EARLY: L2Word.EARLY,
    Verdict.STALE: L2Word.STALE,
}
_VERDICTS = {
    L2Word.FRESH: Verdict.FRESH,
    L2Word.EARLY: Verdict.EARLY,
    L2Word.STALE: Verdict.STALE,
    L2Word.ABSENT: Verdict.ABSENT,
}


def _verdict(sighting: Sighting) -> Verdict:
    return _VERDICTS[sighting.word]


def _left_ms(times: Times | None, now_ns: int) -> int:
    """Return up to how much freshness a value may have left and still be the one seen."""
    if times is None or times.fresh_until_ns <= now_ns:
        return 0
    life_ns = times.fresh_until_ns - times.born_ns
    return (times.fresh_until_ns - now_ns + life_ns // _SLACK_SHARE) // _NS_PER_MS + 1


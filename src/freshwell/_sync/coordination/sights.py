"""Look for entries in the tiers, without loading: a verdict on L1, and a word from L2.

What follows from the two is said by the plan table. What L2 has is kept in L1 on the way,
unless an invalidation overtakes it.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Container, Sequence
from typing import Any

from freshwell._sync.coordination.loads import Loads, Tiers
from freshwell.engines.session import CoherenceMode
from freshwell.engines.shelf import ABSENT, DOWN, Reading, Terms
from freshwell.engines.table import Entry
from freshwell.errors import StoreUnavailable
from freshwell.ground.freshness import Times, Verdict, judge
from freshwell.ground.plan import VERDICTS, WORDS, L2Word, Plan, ReadLevel, plan

__all__ = ["Sight", "Sights"]

Sight = tuple[Reading, Plan]
"""What there is of an entry, and what is to be done about it."""

_NOT_IN_L1 = ABSENT._replace(tier="l1")
_L1_PLANS = (Plan.SERVE_L1, Plan.SERVE_L1_AND_REFRESH)


class Sights:
    """Looks for entries of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, loads: Loads) -> None:
        self._t = tiers
        self._loads = loads

    def one(self, key: str, terms: Terms, busy: Container[str] = ()) -> Sight:
        """Look into L1 and, where the plan says so, into L2.

        Where `key` is among the `busy`, a load of it is under way in this process, and L2 is
        not asked: it has nothing that the load will not bring.
        """
        seen, shared = self._in_l1(key, terms), self._t.store.shared
        if seen is not _NOT_IN_L1 or not shared:
            step = plan(VERDICTS[seen.word], None, shared=shared)
            if step is not Plan.ASK_L2:
                return seen, step
        if key in busy and terms.policy.stale_ns == 0:
            return seen, Plan.LOAD
        found = self._ask(key, terms)
        if found.word is L2Word.FRESH:
            # As the plan says, whatever L1 has; most answers of L2 end here.
            return found, Plan.SERVE_L2
        return _judged(seen, found)

    def many(self, keys: Sequence[str], terms: Terms) -> dict[str, Sight]:
        """Look for many entries at the cost of one round trip."""
        shared = self._t.store.shared
        seen = {key: self._in_l1(key, terms) for key in keys}
        sights: dict[str, Sight] = {
            key: (reading, plan(VERDICTS[reading.word], None, shared=shared))
            for key, reading in seen.items()
        }
        asked = [key for key, (_, step) in sights.items() if step is Plan.ASK_L2]
        if asked:
            for key, found in zip(asked, self._ask_many(asked, terms), strict=True):
                sights[key] = _judged(seen[key], found)
        return sights

    def served(self, reading: Reading) -> None:
        """Count an answer that was given."""
        counters = self._t.counters
        if reading.tier == "l1":
            counters.hits_l1 += 1
        else:
            counters.hits_l2 += 1
        if reading.word is L2Word.STALE:
            counters.stale_serves += 1
        if reading.negative:
            counters.negative_hits += 1

    # -- L1 ----------------------------------------------------------------------------------

    def _in_l1(self, key: str, terms: Terms) -> Reading:
        if terms.level is not ReadLevel.EVENTUAL:
            return _NOT_IN_L1
        entry = self._t.table.get(key)
        if entry is None:
            return _NOT_IN_L1
        value = entry.value  # before its deadlines: an entry is killed by its deadlines
        now_ns = self._t.now_ns()
        if now_ns >= self._t.session.live_until_ns:
            return _NOT_IN_L1._replace(reason="session")
        return self._judge(entry, value, now_ns, terms)

    def _judge(self, entry: Entry, value: Any, now_ns: int, terms: Terms) -> Reading:
        times = Times(entry.born_ns, entry.fresh_until_ns, entry.stale_until_ns, entry.cost_ns)
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
        return Reading(WORDS[verdict], value, entry.negative, times, verdict.value, tier="l1")

    # -- L2: its failure is an answer, "down" ------------------------------------------------

    def _ask(self, key: str, terms: Terms) -> Reading:
        asked_ns, since = self._t.now_ns(), self._t.table.moment()
        l2_key = self._t.l2_key(key)
        try:
            blob = self._t.store.fetch(l2_key)
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            return DOWN
        if blob is None:
            return ABSENT
        calm = self._t.shelf.read_calm(
            l2_key,
            blob,
            terms,
            now_ns=asked_ns,
            server_ms=self._t.store.server_ms(),
            timed=self._t.session.mode is not CoherenceMode.OFF,
        )
        reading = self._loads.read(key, blob, terms) if calm is None else calm
        self._keep(key, reading, asked_ns, since, terms)
        return reading

    def _ask_many(self, keys: Sequence[str], terms: Terms) -> list[Reading]:
        asked_ns, since = self._t.now_ns(), self._t.table.moment()
        try:
            blobs = self._t.store.fetch_many([self._t.l2_key(key) for key in keys])
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            return [DOWN] * len(keys)
        readings = []
        for key, blob in zip(keys, blobs, strict=True):
            reading = self._loads.read(key, blob, terms)
            self._keep(key, reading, asked_ns, since, terms)
            readings.append(reading)
        return readings

    def _keep(self, key: str, reading: Reading, asked_ns: int, since: int, terms: Terms) -> None:
        if reading.times is not None and reading.word is not L2Word.ABSENT:
            self._loads.keep(key, reading, reading.times, asked_ns, since, terms)


def _judged(l1: Reading, l2: Reading) -> Sight:
    step = plan(VERDICTS[l1.word], l2.word, shared=True)
    return (l1 if step in _L1_PLANS else l2), step

"""Look for entries in the tiers, without loading: a verdict on L1, and a word from L2 (`Beyond`).

What follows from the two is said by the plan table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Sequence
from typing import Any

from freshwell._async.coordination.beyond import NOT_IN_L1, WITHHELD, Beyond, Sight, judged
from freshwell._async.coordination.errands import untagged
from freshwell._async.coordination.keeper import Keeper, Tiers
from freshwell._async.coordination.plainly import Finds, Plainly
from freshwell.engines.entry import TaggedEntry
from freshwell.engines.session import CoherenceMode
from freshwell.engines.shelf import Reading, Terms
from freshwell.engines.table import Entry
from freshwell.ground.freshness import Times, Verdict, judge
from freshwell.ground.plan import VERDICTS, WORDS, L2Word, Plan, ReadLevel, plan
from freshwell.ground.tags import UNTAGGED, Tagging

__all__ = ["Sight", "Sights"]

_UNSEEN: Sight = NOT_IN_L1, Plan.ASK_L2
# Members of enumerations: to look one up costs Python 3.11 as much as a call.
_ASK_L2 = Plan.ASK_L2
_LOAD_ALONE = Plan.LOAD_ALONE
_STALE = L2Word.STALE
_EVENTUAL = ReadLevel.EVENTUAL


class Sights:
    """Looks for entries of one open cache. Safe for any number of tasks or threads.

    `beyond`: looks into L2 for an entry of which `near` has seen so much.
    """

    def __init__(self, tiers: Tiers, keeper: Keeper) -> None:
        self._t = tiers
        self._plainly = Plainly(tiers, keeper)
        self._l2 = Beyond(tiers, keeper, self._plainly)
        self._l1 = tiers.session.mode is not CoherenceMode.OFF
        self.beyond = self._l2.look

    def near(
        self, key: str, terms: Terms, tagging: Tagging = UNTAGGED, busy: Container[str] = ()
    ) -> Sight:
        """Look into L1. Where the plan is to ask L2, `beyond` does.

        Where `key` is among the `busy`, a load of it is under way in this process, and L2 is
        not asked: it has nothing that the load will not bring.
        """
        seen = NOT_IN_L1
        if self._l1:
            seen, shared = self._in_l1(key, terms, tagging), self._t.store.shared
            if seen is not NOT_IN_L1 or not shared:
                step = plan(VERDICTS[seen.word], None, shared=shared)
                if step is not _ASK_L2:
                    return seen, step
                if self._rests(key, seen):
                    return seen, Plan.SERVE_L1
        if key in busy and terms.policy.stale_ns == 0:
            return seen, Plan.LOAD
        return seen, _ASK_L2

    async def many(
        self,
        keys: Sequence[str],
        terms: Terms,
        taggings: Callable[[str], Tagging] = untagged,
        *,
        timed: bool = False,
        finds: Finds | None = None,
    ) -> dict[str, Sight]:
        """Look for many entries at the cost of one round trip, or two where tags are unknown.

        With `timed`, the readings have their times, though nobody keeps them in L1. `finds`
        takes up fresh values of which there is nothing to say but that: they have no sight.
        """
        sights, asked = self._near_many(keys, terms, taggings, finds)
        since, spool = self._t.table.moment(), self._t.spool
        if len(spool):
            held = {key for key in asked if spool.withholds(key, taggings(key).digests)}
            sights.update(dict.fromkeys(held, WITHHELD))
            asked = [key for key in asked if key not in held]
        if asked:
            answers = await self._l2.many(asked, terms, taggings, timed, finds, since)
            for key, found in answers.items():
                sights[key] = sight = judged(sights.get(key, _UNSEEN)[0], found)
                if sight[1] is _LOAD_ALONE:
                    sights[key] = self._l2.in_need(key, terms, taggings(key), sight)
        if finds is not None and finds.far and sights:
            sights = {key: sight for key, sight in sights.items() if key not in finds.far}
        return sights

    def _near_many(
        self,
        keys: Sequence[str],
        terms: Terms,
        taggings: Callable[[str], Tagging],
        finds: Finds | None,
    ) -> tuple[dict[str, Sight], Sequence[str]]:
        """Look into L1, and return what L2 is to be asked for besides.

        Of keys of which there is nothing to say nothing is said: they are `_UNSEEN`.
        """
        shared, asked = self._t.store.shared, keys
        if len(set(keys)) < len(keys):
            asked = list(dict.fromkeys(keys))
        others: Sequence[str] = ()
        if terms.level is _EVENTUAL and self._t.table.entries:
            others = asked
            if finds is not None:
                others = self._plainly.near(asked, taggings, finds.near)
                asked = [key for key in asked if key not in finds.near]
        sights: dict[str, Sight] = {}
        for key in others:
            seen = self._in_l1(key, terms, taggings(key))
            if seen is not NOT_IN_L1:
                step = plan(VERDICTS[seen.word], None, shared=shared)
                rests = step is _ASK_L2 and self._rests(key, seen)
                sights[key] = seen, Plan.SERVE_L1 if rests else step
        if not shared:
            nothing: Sight = NOT_IN_L1, plan(Verdict.ABSENT, None, shared=False)
            return dict.fromkeys(asked, nothing) | sights, []
        if sights:
            asked = [key for key in asked if sights.get(key, _UNSEEN)[1] is _ASK_L2]
        return sights, asked

    def served(self, reading: Reading) -> None:
        """Count an answer that was given. That it is stale is counted by who decided it."""
        counters = self._t.counters
        if reading.tier == "l1":
            counters.hits_l1 += 1
        else:
            counters.hits_l2 += 1
        if reading.negative:
            counters.negative_hits += 1

    def served_many(self, readings: Collection[Reading]) -> None:
        """Count answers that were given together, as `served` does."""
        counters = self._t.counters
        nearby = sum(reading.tier == "l1" for reading in readings)
        counters.hits_l1 += nearby
        counters.hits_l2 += len(readings) - nearby
        counters.negative_hits += sum(reading.negative for reading in readings)

    # -- L1 ----------------------------------------------------------------------------------

    def _in_l1(self, key: str, terms: Terms, tagging: Tagging) -> Reading:
        if terms.level is not _EVENTUAL:
            return NOT_IN_L1
        entry = self._t.table.get(key)
        if entry is None:
            return NOT_IN_L1
        value = entry.value  # before its deadlines: an entry is killed by its deadlines
        now_ns = self._t.now_ns()
        if now_ns >= self._t.session.live_until_ns:
            return NOT_IN_L1._replace(reason="session")
        tagged = entry.__class__ is TaggedEntry or tagging.digests
        if tagged and not self._t.table.is_current(entry, tagging.digests):
            return NOT_IN_L1._replace(reason="tags")
        return self._judge(entry, value, now_ns, terms)

    def _rests(self, key: str, seen: Reading) -> bool:
        """Tell whether L1's entry is stale and its source left alone.

        Nobody has refreshed such an entry: L2 would have told L1.
        """
        return seen.word is _STALE and self._t.rests.resting(key, self._t.now_ns())

    def _judge(self, entry: Entry, value: Any, now_ns: int, terms: Terms) -> Reading:
        negative = entry.negative  # before its deadlines, as the value
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
            return NOT_IN_L1._replace(reason="expired", times=times)
        return Reading(WORDS[verdict], value, negative, times, verdict.value, tier="l1")

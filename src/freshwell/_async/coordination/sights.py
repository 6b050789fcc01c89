"""Look for entries in the tiers, without loading: a verdict on L1, and a word from L2.

What follows from the two is said by the plan table. What L2 has is kept in L1 on the way,
unless an invalidation overtakes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Container, Mapping, Sequence
from itertools import chain
from typing import Any

from freshwell._async.coordination.errands import alike, untagged
from freshwell._async.coordination.keeper import Keeper, Tiers
from freshwell._async.coordination.plainly import Asked, Finds, Plainly
from freshwell._async.coordination.tags import OUTDATED
from freshwell._kit.aio_rounds import Rounds
from freshwell.engines.entry import TaggedEntry
from freshwell.engines.session import CoherenceMode
from freshwell.engines.shelf import ABSENT, DOWN, Calm, Reading, Terms
from freshwell.engines.table import Entry
from freshwell.errors import StoreUnavailable
from freshwell.ground.freshness import Times, Verdict, judge
from freshwell.ground.plan import VERDICTS, WORDS, L2Word, Plan, ReadLevel, plan
from freshwell.ground.tags import UNTAGGED, Tagging

__all__ = ["Sight", "Sights", "Told"]

_NS_PER_MS = 1_000_000

Sight = tuple[Reading, Plan]
"""What there is of an entry, and what is to be done about it."""

Told = tuple[Reading, Plan] | tuple[Any, None]
"""A sight; or a value from L2 that is plainly fresh, where there is nothing to say but that."""

Wanted = tuple[str, Reading, Tagging]
"""What a caller looks for in L2: an entry, what `near` has seen of it, and the caller's tags."""

_COMPANY = 8
"""How many look into L2 at a time before they do so together."""

_NOT_IN_L1 = ABSENT._replace(tier="l1")
_UNSEEN: Sight = _NOT_IN_L1, Plan.ASK_L2
_WITHHELD = ABSENT._replace(reason="spooled")
_L1_PLANS = (Plan.SERVE_L1, Plan.SERVE_L1_AND_REFRESH)
# Members of enumerations: to look one up costs Python 3.11 as much as a call.
_ASK_L2 = Plan.ASK_L2
_SERVE_L2 = Plan.SERVE_L2
_LOAD_ALONE = Plan.LOAD_ALONE
_ABSENT = L2Word.ABSENT
_FRESH = L2Word.FRESH
_STALE = L2Word.STALE
_EVENTUAL = ReadLevel.EVENTUAL
_OFF = CoherenceMode.OFF


class Sights:
    """Looks for entries of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper) -> None:
        self._t = tiers
        self._keeper = keeper
        self._plainly = Plainly(tiers, keeper)
        # These do not change while a cache is open, and every hit in L2 needs them.
        self._l1 = tiers.session.mode is not _OFF
        self._now_ns = tiers.now_ns
        self._entry = tiers.names.entry
        self._store = tiers.store
        self._calm = tiers.shelf.calm
        self._rounds: Rounds[Terms, Wanted, Told] = Rounds(
            self._together, alone=self._alone, least=_COMPANY
        )

    def near(
        self, key: str, terms: Terms, tagging: Tagging = UNTAGGED, busy: Container[str] = ()
    ) -> Sight:
        """Look into L1. Where the plan is to ask L2, `beyond` does.

        Where `key` is among the `busy`, a load of it is under way in this process, and L2 is
        not asked: it has nothing that the load will not bring.
        """
        seen = _NOT_IN_L1
        if self._l1:
            seen, shared = self._in_l1(key, terms, tagging), self._t.store.shared
            if seen is not _NOT_IN_L1 or not shared:
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
            sights.update(dict.fromkeys(held, (_WITHHELD, Plan.LOAD)))
            asked = [key for key in asked if key not in held]
        if asked:
            answers = await self._ask_many(asked, terms, taggings, timed, finds, since)
            for key, found in answers.items():
                sights[key] = sight = _judged(sights.get(key, _UNSEEN)[0], found)
                if sight[1] is _LOAD_ALONE:
                    sights[key] = self._in_need(key, terms, taggings(key), sight)
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
            if seen is not _NOT_IN_L1:
                step = plan(VERDICTS[seen.word], None, shared=shared)
                rests = step is _ASK_L2 and self._rests(key, seen)
                sights[key] = seen, Plan.SERVE_L1 if rests else step
        if not shared:
            nothing: Sight = _NOT_IN_L1, plan(Verdict.ABSENT, None, shared=False)
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
            return _NOT_IN_L1
        entry = self._t.table.get(key)
        if entry is None:
            return _NOT_IN_L1
        value = entry.value  # before its deadlines: an entry is killed by its deadlines
        now_ns = self._t.now_ns()
        if now_ns >= self._t.session.live_until_ns:
            return _NOT_IN_L1._replace(reason="session")
        tagged = entry.__class__ is TaggedEntry or tagging.digests
        if tagged and not self._t.table.is_current(entry, tagging.digests):
            return _NOT_IN_L1._replace(reason="tags")
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
            return _NOT_IN_L1._replace(reason="expired", times=times)
        return Reading(WORDS[verdict], value, negative, times, verdict.value, tier="l1")

    def _in_need(self, key: str, terms: Terms, tagging: Tagging, sight: Sight) -> Sight:
        """Return what there is where L2 is down and L1 has nothing, by the caller's choice."""
        if sight[1] is _LOAD_ALONE and terms.level is _EVENTUAL:
            kept = self._t.gutter.get(key, tagging.digests)
            if kept is not None:
                return kept, Plan.SERVE_L1
        return sight

    # -- L2: its failure is an answer, "down" ------------------------------------------------

    def beyond(self, key: str, seen: Reading, terms: Terms, tagging: Tagging) -> Awaitable[Told]:
        """Look into L2 for an entry of which `near` has `seen` that much. One round trip.

        Tags that this process does not know the versions of are asked for beside it. Many tasks at
        a time look together: the answers are read in one go, which is much quicker.
        """
        if self._t.observing.spans.opener is None:
            return self._rounds.run(terms, (key, seen, tagging))
        return self._alone(terms, (key, seen, tagging))

    async def _together(self, terms: Terms, wanted: Sequence[Wanted]) -> list[Told]:
        """Look for what many ask for on the same terms, as `_alone` does for each of them."""
        own = {key: tagging for key, _, tagging in wanted}
        taggings = own.__getitem__ if any(one.digests for one in own.values()) else untagged
        since, spool, finds = self._t.table.moment(), self._t.spool, Finds({}, {})
        answers: dict[str, Reading] = {}
        asked: Sequence[str] = [*own]
        if spool.limit:
            asked = [key for key in own if not spool.withholds(key, own[key].digests)]
        if asked:
            answers = await self._ask_many(asked, terms, taggings, False, finds, since)
        told: list[Told] = []
        for one in wanted:
            key, seen, tagging = one
            if tagging.digests != own[key].digests:
                told.append(await self._alone(terms, one))
            elif key in finds.far:
                told.append((finds.far[key], None))
            elif key in answers:
                sight = _judged(seen, answers[key])
                told.append(self._in_need(key, terms, tagging, sight))
            else:
                told.append((_WITHHELD, Plan.LOAD))
        return told

    async def _alone(self, terms: Terms, wanted: Wanted) -> Told:
        """Look for one entry."""
        t, (key, seen, tagging) = self._t, wanted
        asked_ns, since, l2_key = self._now_ns(), t.table.moment(), self._entry(key)
        digests = tagging.digests
        # After the moment: what the spool takes from now on voids what L2 says.
        if t.spool.limit and t.spool.withholds(key, digests):
            return _WITHHELD, Plan.LOAD
        question = t.tags.question(digests, terms.level) if digests else None
        others: Sequence[bytes | None] = ()
        try:
            if question is not None:
                blob, others = await self._store.fetch_beside(l2_key, question.keys)
            elif t.observing.spans.opener is None:
                blob = await self._store.fetch(l2_key)
            else:
                with t.observing.spans("read", keys=[key], tier="l2") as note:
                    blob = await self._store.fetch(l2_key)
                    note(result="miss" if blob is None else "hit")
        except StoreUnavailable as error:
            t.incidents.l2_failed(error)
            return self._in_need(key, terms, tagging, _judged(seen, DOWN))
        if blob is None:
            return _judged(seen, ABSENT)
        server_ms = self._store.server_ms(l2_key)
        calm = self._calm(l2_key, blob, terms, server_ms)
        if calm is None:
            reading = self._keeper.read(key, blob, terms)
        else:
            stamps = t.tags.stamps(digests, question, others) if digests else b""
            if calm[1][3] == stamps and not t.observing.traces.running:
                if self._l1:
                    teaches = question is not None
                    self._keep_calm(key, calm, asked_ns, server_ms, since, terms, teaches=teaches)
                return calm[0], None
            reading = t.shelf.read_calm(
                calm, terms, now_ns=asked_ns, server_ms=server_ms, timed=self._l1
            )
        versions = {} if question is None else question.versions(others)
        if reading.stamps or tagging.digests:
            if t.tags.needs(reading, versions, terms.level):
                seen_there = {key: reading}
                judged = await self._verified(seen_there, terms, alike(tagging), versions, since)
                reading = judged[key]
            elif not t.tags.stands(reading, tagging, versions, since):
                t.counters.outdated += 1
                reading = OUTDATED
        if self._l1 or reading.rest_ms:
            self._keep(key, reading, asked_ns, since, terms)
        return self._in_need(key, terms, tagging, _judged(seen, reading))

    async def _ask_many(
        self,
        keys: Sequence[str],
        terms: Terms,
        taggings: Callable[[str], Tagging],
        timed: bool,
        finds: Finds | None,
        since: int,
    ) -> dict[str, Reading]:
        t, asked_ns = self._t, self._t.now_ns()
        own = () if taggings is untagged else [taggings(key).digests for key in keys]
        expected = dict.fromkeys(chain.from_iterable(own))
        unknown = t.tags.unknown(expected, terms.level) if expected else []
        asked = Asked(keys, *t.names.places(keys), own if expected else (), terms, asked_ns, since)
        try:
            blobs, versions = await t.tags.fetch(asked.l2_keys, unknown)
            if finds is not None:
                finds.far.update(await self._plainly.beyond(asked, blobs, versions))
        except StoreUnavailable as error:
            t.incidents.l2_failed(error)
            return dict.fromkeys(keys, DOWN)
        taken = () if finds is None else finds.far
        if len(taken) == len(keys):
            return {}
        readings = {
            key: ABSENT
            if blob is None
            else self._read(key, l2_key, blob, terms, asked_ns, timed or self._l1)
            for key, l2_key, blob in zip(keys, asked.l2_keys, blobs, strict=True)
            if key not in taken
        }
        if expected or any(reading.stamps for reading in readings.values()):
            readings = await self._verified(readings, terms, taggings, versions, since)
        for key, reading in readings.items():
            if self._l1 or reading.rest_ms:
                self._keep(key, reading, asked_ns, since, terms)
        return readings

    def _read(
        self, key: str, l2_key: bytes, blob: bytes, terms: Terms, asked_ns: int, timed: bool
    ) -> Reading:
        """Say what a frame is worth: in the usual case at little cost."""
        server_ms = self._store.server_ms(l2_key)
        calm = self._calm(l2_key, blob, terms, server_ms)
        if calm is None:
            return self._keeper.read(key, blob, terms)
        return self._t.shelf.read_calm(
            calm, terms, now_ns=asked_ns, server_ms=server_ms, timed=timed
        )

    async def _verified(
        self,
        readings: dict[str, Reading],
        terms: Terms,
        taggings: Callable[[str], Tagging],
        versions: Mapping[bytes, bytes | None],
        since: int,
    ) -> dict[str, Reading]:
        """Put absence in the place of entries whose tags have changed."""
        try:
            judged = await self._t.tags.verified(readings, taggings, terms.level, versions, since)
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            return dict.fromkeys(readings, DOWN)
        self._t.counters.outdated += sum(found is OUTDATED for found in judged.values())
        return judged

    def _keep_calm(
        self,
        key: str,
        calm: Calm,
        asked_ns: int,
        server_ms: int,
        since: int,
        terms: Terms,
        *,
        teaches: bool,
    ) -> None:
        """Keep a value that is plainly fresh.

        Where L1 has no room for any such thing that is told early, unless it `teaches` L1
        versions of tags.
        """
        table, size_bytes = self._t.table, None
        if not teaches:
            size_bytes = table.room_for(key, calm[0])
            if size_bytes is None:
                return
        reading = self._t.shelf.read_calm(
            calm, terms, now_ns=asked_ns, server_ms=server_ms, timed=True
        )
        assert reading.times is not None
        self._keeper.keep(
            key, reading, reading.times, asked_ns, since, terms, size_bytes=size_bytes
        )

    def _keep(self, key: str, reading: Reading, asked_ns: int, since: int, terms: Terms) -> None:
        if reading.rest_ms:
            self._t.rests.note([key], asked_ns + reading.rest_ms * _NS_PER_MS)
        if reading.times is not None and reading.word is not _ABSENT:
            self._keeper.keep(key, reading, reading.times, asked_ns, since, terms)


def _judged(l1: Reading, l2: Reading) -> Sight:
    if l2.word is _FRESH:
        # As the plan says, whatever L1 has; most answers of L2 end here.
        return l2, _SERVE_L2
    step = plan(VERDICTS[l1.word], l2.word, shared=True)
    if step not in _L1_PLANS:
        return l2, step
    return (l1._replace(reason=DOWN.reason) if l2.word is L2Word.DOWN else l1), step

"""Look for entries in L2, without loading. Its failure is an answer, "down".

What L2 has is kept in L1 on the way, unless an invalidation overtakes it.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

from freshwell._sync.coordination.errands import alike, untagged
from freshwell._sync.coordination.keeper import Keeper, Tiers
from freshwell._sync.coordination.plainly import Asked, Finds, Plainly
from freshwell._sync.coordination.tags import OUTDATED
from freshwell._kit.threads import ASYNCHRONOUS
from freshwell._kit.threads_rounds import Rounds
from freshwell.engines.session import CoherenceMode
from freshwell.engines.shelf import ABSENT, DOWN, Calm, Reading, Terms
from freshwell.engines.versions import Versions
from freshwell.errors import StoreUnavailable
from freshwell.ground.plan import VERDICTS, L2Word, Plan, ReadLevel, plan
from freshwell.ground.tags import Tagging

__all__ = ["NOT_IN_L1", "WITHHELD", "Beyond", "Sight", "Told", "judged"]

_NS_PER_MS = 1_000_000

Sight = tuple[Reading, Plan]
"""What there is of an entry, and what is to be done about it."""

Told = tuple[Reading, Plan] | tuple[Any, None]
"""A sight; or a value from L2 that is plainly fresh, where there is nothing to say but that."""

Wanted = tuple[str, Reading, Terms, Tagging]
"""What a caller looks for: an entry, what there is of it in L1, on which terms, and its tags."""

_COMPANY = 24
"""How many look at a time before they do so together."""

NOT_IN_L1 = ABSENT._replace(tier="l1")
WITHHELD: Sight = ABSENT._replace(reason="spooled"), Plan.LOAD
"""Of an entry that has changed, which L2 could not be told."""
_L1_PLANS = (Plan.SERVE_L1, Plan.SERVE_L1_AND_REFRESH)
# Members of enumerations: to look one up costs Python 3.11 as much as a call.
_SERVE_L2 = Plan.SERVE_L2
_LOAD_ALONE = Plan.LOAD_ALONE
_ABSENT = L2Word.ABSENT
_FRESH = L2Word.FRESH
_EVENTUAL = ReadLevel.EVENTUAL


class Beyond:
    """Looks into L2 for entries of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper, plainly: Plainly) -> None:
        self._t = tiers
        self._keeper = keeper
        self._plainly = plainly
        # These do not change while a cache is open, and every hit needs them.
        self._l1 = tiers.session.mode is not CoherenceMode.OFF
        self._now_ns = tiers.now_ns
        self._entry = tiers.names.entry
        self._store = tiers.store
        self._sociable = ASYNCHRONOUS and tiers.store.sole
        self._calm = tiers.shelf.calm
        self._rounds: Rounds[None, Wanted, Told] = Rounds(self._together)
        self._looking = 0  # tasks only: threads count by the way, and wrongly

    def look(self, key: str, seen: Reading, terms: Terms, tagging: Tagging) -> Told:
        """Look into L2 for an entry of which `near` has `seen` that much. One round trip.

        Tags that this process does not know the versions of are asked for beside it. Many tasks at
        a time look together: the answers are read in one go, which is much quicker. Each looks
        alone where a server may fail that others do not need, and where anybody traces or has spans
        made, since there is more to say of it then.
        """
        if self._looking + self._rounds.joining >= _COMPANY and self._sociable:
            observing = self._t.observing
            if observing.spans.opener is None and not observing.traces.running:
                return self._rounds.join(None, (key, seen, terms, tagging))
        return self._alone(key, seen, terms, tagging)

    def _together(self, _: None, wanted: Sequence[Wanted]) -> list[Told]:
        """Look for what many ask for, as `_alone` does for each of them."""
        owns: dict[Terms, dict[str, Tagging]] = {}
        for key, _seen, terms, tagging in wanted:
            owns.setdefault(terms, {})[key] = tagging
        since, spool = self._t.table.moment(), self._t.spool
        parts = list[Asked]()
        for terms, own in owns.items():
            keys: Sequence[str] = [*own]
            if spool.limit:
                keys = [key for key in own if not spool.withholds(key, own[key].digests)]
            if keys:
                parts.append(self._asked(keys, terms, own.__getitem__, since))
        found = {terms: (Finds({}, {}), dict[str, Reading]()) for terms in owns}
        for asked, blobs, versions in self._answered(parts):
            finds, answers = found[asked.terms]
            own = owns[asked.terms]
            answers.update(self._readings(asked, blobs, versions, own.__getitem__, finds))
        told: list[Told] = []
        for key, seen, terms, tagging in wanted:
            finds, answers = found[terms]
            if tagging.digests != owns[terms][key].digests:
                told.append(self._alone(key, seen, terms, tagging))
            elif key in finds.far:
                told.append((finds.far[key], None))
            elif key in answers:
                told.append(self.in_need(key, terms, tagging, judged(seen, answers[key])))
            else:
                told.append(WITHHELD)
        return told

    def _alone(self, key: str, seen: Reading, terms: Terms, tagging: Tagging) -> Told:
        """Look for one entry."""
        t = self._t
        asked_ns, since, l2_key = self._now_ns(), t.table.moment(), self._entry(key)
        digests = tagging.digests
        # After the moment: what the spool takes from now on voids what L2 says.
        if t.spool.limit and t.spool.withholds(key, digests):
            return WITHHELD
        question = t.tags.question(digests, terms.level) if digests else None
        others: Sequence[bytes | None] = ()
        self._looking += 1
        try:
            if question is not None:
                blob, others = self._store.fetch_beside(l2_key, question.keys)
            elif t.observing.spans.opener is None:
                blob = self._store.fetch(l2_key)
            else:
                with t.observing.spans("read", keys=[key], tier="l2") as note:
                    blob = self._store.fetch(l2_key)
                    note(result="miss" if blob is None else "hit")
        except StoreUnavailable as error:
            t.incidents.l2_failed(error)
            return self.in_need(key, terms, tagging, judged(seen, DOWN))
        finally:
            self._looking -= 1
        if blob is None:
            return judged(seen, ABSENT)
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
        if reading.stamps or tagging.digests:
            versions = {} if question is None else question.versions(others)
            reading = self._standing(key, reading, terms, tagging, versions, since)
        if self._l1 or reading.rest_ms:
            self._keep(key, reading, asked_ns, since, terms)
        return self.in_need(key, terms, tagging, judged(seen, reading))

    def _standing(
        self,
        key: str,
        reading: Reading,
        terms: Terms,
        tagging: Tagging,
        versions: Mapping[bytes, bytes | None],
        since: int,
    ) -> Reading:
        """Return a reading if its tags are as they were, else absence."""
        tags = self._t.tags
        if tags.needs(reading, versions, terms.level):
            own = {key: reading}
            return self._verified(own, terms, alike(tagging), versions, since)[key]
        if tags.stands(reading, tagging, versions, since):
            return reading
        self._t.counters.outdated += 1
        return OUTDATED

    def many(
        self,
        keys: Sequence[str],
        terms: Terms,
        taggings: Callable[[str], Tagging],
        timed: bool,
        finds: Finds | None,
        since: int,
    ) -> dict[str, Reading]:
        """Look for many entries. `finds` takes up what is plainly fresh, which is not read."""
        ((asked, blobs, versions),) = self._answered(
            [self._asked(keys, terms, taggings, since)]
        )
        return self._readings(asked, blobs, versions, taggings, finds, timed=timed)

    def _asked(
        self, keys: Sequence[str], terms: Terms, taggings: Callable[[str], Tagging], since: int
    ) -> Asked:
        own = () if taggings is untagged else [taggings(key).digests for key in keys]
        places = self._t.names.places(keys)
        return Asked(keys, *places, own if any(own) else (), terms, self._now_ns(), since)

    def _answered(
        self, parts: Sequence[Asked]
    ) -> list[tuple[Asked, Sequence[bytes | None] | None, Versions]]:
        """Ask L2 for all parts in one trip. In the place of frames None: it is down."""
        t, keys, unknown = self._t, list[bytes](), dict[bytes, None]()
        for asked in parts:
            keys += asked.l2_keys
            if asked.digests:
                tags = dict.fromkeys(chain.from_iterable(asked.digests))
                unknown.update(dict.fromkeys(t.tags.unknown(tags, asked.terms.level)))
        try:
            blobs, versions = t.tags.fetch(keys, [*unknown])
        except StoreUnavailable as error:
            t.incidents.l2_failed(error)
            return [(asked, None, {}) for asked in parts]
        if len(parts) == 1:
            return [(parts[0], blobs, versions)]
        ends = [*accumulate(len(asked.keys) for asked in parts)]
        return [
            (asked, blobs[end - len(asked.keys) : end], versions)
            for asked, end in zip(parts, ends, strict=True)
        ]

    def _readings(
        self,
        asked: Asked,
        blobs: Sequence[bytes | None] | None,
        versions: Versions,
        taggings: Callable[[str], Tagging],
        finds: Finds | None,
        *,
        timed: bool = False,
    ) -> dict[str, Reading]:
        keys, terms, asked_ns, since = asked.keys, asked.terms, asked.asked_ns, asked.since
        if blobs is None:
            return dict.fromkeys(keys, DOWN)
        taken: Mapping[str, Any] = {}
        if finds is not None:
            try:
                finds.far.update(self._plainly.beyond(asked, blobs, versions))
            except StoreUnavailable as error:
                self._t.incidents.l2_failed(error)
                return dict.fromkeys(keys, DOWN)
            taken = finds.far
            if len(taken) == len(keys):
                return {}
        readings = {
            key: ABSENT
            if blob is None
            else self._read(key, l2_key, blob, terms, asked_ns, timed or self._l1)
            for key, l2_key, blob in zip(keys, asked.l2_keys, blobs, strict=True)
            if key not in taken
        }
        if asked.digests or any(reading.stamps for reading in readings.values()):
            readings = self._verified(readings, terms, taggings, versions, since)
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

    def _verified(
        self,
        readings: dict[str, Reading],
        terms: Terms,
        taggings: Callable[[str], Tagging],
        versions: Mapping[bytes, bytes | None],
        since: int,
    ) -> dict[str, Reading]:
        """Put absence in the place of entries whose tags have changed."""
        try:
            verified = self._t.tags.verified(readings, taggings, terms.level, versions, since)
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            return dict.fromkeys(readings, DOWN)
        self._t.counters.outdated += sum(found is OUTDATED for found in verified.values())
        return verified

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

    def in_need(self, key: str, terms: Terms, tagging: Tagging, sight: Sight) -> Sight:
        """Return what there is where L2 is down and L1 has nothing, by the caller's choice."""
        if sight[1] is _LOAD_ALONE and terms.level is _EVENTUAL:
            kept = self._t.gutter.get(key, tagging.digests)
            if kept is not None:
                return kept, Plan.SERVE_L1
        return sight


def judged(l1: Reading, l2: Reading) -> Sight:
    """Return what follows from what the two tiers have of an entry."""
    if l2.word is _FRESH:
        # As the plan says, whatever L1 has; most answers of L2 end here.
        return l2, _SERVE_L2
    step = plan(VERDICTS[l1.word], l2.word, shared=True)
    if step not in _L1_PLANS:
        return l2, step
    return (l1._replace(reason=DOWN.reason) if l2.word is L2Word.DOWN else l1), step

"""Load values from the source: under a lease, under the cap, and stored only while they stand.

This is what the leader of a flight does. The order is the contract's: lease, load, fill, L1.
A value is stored only where the lease it was loaded under still stands, so nothing loaded
before an invalidation can be stored after it.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from freshwell._sync.coordination.errands import (
    NOTHING,
    Course,
    Errand,
    Load,
    Loaded,
    Run,
    too_late,
    untagged,
)
from freshwell._sync.coordination.keeper import Keeper, Tiers
from freshwell._sync.coordination.storing import Storing
from freshwell._sync.stores.base import Acquired, Grant
from freshwell._kit.flight import current_turn
from freshwell.engines.allowance import Allowance
from freshwell.engines.loading import LoadNotes
from freshwell.engines.session import CoherenceMode
from freshwell.engines.versions import Tagged
from freshwell.errors import LoadShed, StoreUnavailable
from freshwell.ground.frame import identity_of
from freshwell.ground.plan import L2Word, ReadLevel
from freshwell.ground.tags import UNTAGGED

__all__ = ["Errand", "Load", "Loaded", "Loads", "too_late", "untagged"]

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_MAX_USELESS = 4
_TOLD_PAUSES_S = (0.25, 1.0)
_ASKING_PAUSES_S = (0.02, 0.1)
# A member of an enumeration: to look it up costs Python 3.11 as much as a call.
_EVENTUAL = ReadLevel.EVENTUAL


class Loads:
    """Does errands. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper) -> None:
        self._t = tiers
        self._keeper = keeper
        self._storing = Storing(tiers, keeper)

    def do(self, keys: Sequence[str], errand: Errand) -> dict[str, Loaded]:
        """Return a value for each key: found in L2, loaded here, or loaded by another process.

        Raises what the loader raises, `LoadShed`, `LoadTimeout`, and `CodecError` for a value that
        cannot be written. L2's failures are not raised: the load then goes without a lease, and its
        value is kept nowhere.
        """
        results = self._look_again(keys, errand)
        todo, waits = [key for key in keys if key not in results], 0
        left_ns = self._t.l2_timeout_ns - errand.l2_spent_ns
        course = Course(Allowance(left_ns, self._t.now_ns), errand.terms.policy.limit_ns)
        while todo:
            if course.is_late:
                raise too_late(errand.terms)
            since, held_ms = self._t.table.moment(), 0
            if self._t.store.shared:
                leases, held_ms = self._acquire(todo, errand, results, since, course)
            else:
                leases = dict.fromkeys(todo, b"")
            if leases:
                results.update(self._load(leases, errand, course))
            todo = [key for key in todo if key not in results]
            if todo and errand.refresh_within_ms is not None:
                return results | dict.fromkeys(todo, NOTHING)
            if todo:
                self._wait(todo, min(held_ms / 1_000, self._pause_s(waits)), since)
                waits += 1
        return results

    def _look_again(self, keys: Sequence[str], errand: Errand) -> dict[str, Loaded]:
        """Judge L1 once more: an earlier flight may have filled it before this one began."""
        if errand.forced or errand.terms.level is not _EVENTUAL:
            return {}
        found: dict[str, Loaded] = {}
        within_ns = (errand.refresh_within_ms or 0) * _NS_PER_MS
        now_ns, table = self._t.now_ns(), self._t.table
        if now_ns < self._t.session.live_until_ns:
            for key in keys:
                entry = table.get(key)
                if entry is not None:
                    value, negative = entry.value, entry.negative
                    fresh = now_ns < entry.fresh_until_ns - within_ns
                    tags = errand.taggings(key).digests
                    if fresh and table.is_current(entry, tags):
                        seen_ns = now_ns - self._t.session.max_staleness_ns
                        found[key] = Loaded(value, negative, -1, seen_ns, digests=tags)
        return found

    # -- leases ------------------------------------------------------------------------------

    def _acquire(
        self,
        keys: Sequence[str],
        errand: Errand,
        results: dict[str, Loaded],
        since: int,
        course: Course,
    ) -> tuple[dict[str, bytes], int]:
        """Ask for the leases. Returns the tokens granted, by key (empty: load without a lease).

        Values found on the way go to `results`, those of no use to the `course`; the second part
        of the answer is how long the shortest lease of another process still stands, in
        milliseconds.
        """
        leases = dict.fromkeys(self._withheld(keys, errand), b"")
        self._alone(leases, course)
        held_ms, todo = 2**31, [key for key in keys if key not in leases]
        for _ in range(_MAX_USELESS):
            if not todo:
                break
            asked_ns, frames = self._t.now_ns(), {}
            for key, answer in zip(todo, self._ask(todo, errand, course), strict=True):
                if answer.grant is Grant.HELD:
                    held_ms = min(held_ms, max(1, answer.left_ms))
                elif answer.grant is not Grant.FRESH:
                    leases[key] = answer.token
                    self._t.counters.leases_won += bool(answer.token)
                    if answer.grant is Grant.ALONE:
                        self._alone((key,), course)
                elif answer.frame is not None:
                    frames[key] = answer.frame
            with course.allowance:
                results.update(self._found(frames, errand, asked_ns, since))
            # What is stored is of no use: it is asked again, and said which value that is.
            todo = [key for key in frames if key not in results]
            course.useless.update(
                (self._t.names.entry(key), identity_of(frames[key])) for key in todo
            )
        return leases | dict.fromkeys(todo, b""), held_ms

    def _withheld(self, keys: Sequence[str], errand: Errand) -> list[str]:
        """Return the keys that L2 may answer for with what was invalidated."""
        spool = self._t.spool
        if not len(spool):
            return []
        return [key for key in keys if spool.withholds(key, errand.taggings(key).digests)]

    def _ask(self, keys: Sequence[str], errand: Errand, course: Course) -> list[Acquired]:
        if not self._storing.is_too_slow(course):
            try:
                with course.allowance:
                    return self._t.store.acquire(
                        [self._t.names.entry(key) for key in keys],
                        fresh_beyond_ms=errand.refresh_within_ms or 0,
                        forced=errand.forced,
                        useless=course.useless,
                        stale_does=errand.stale_does,
                    )
            except StoreUnavailable as error:
                self._t.incidents.l2_failed(error)
        return [Acquired(Grant.ALONE, b"")] * len(keys)

    def _alone(self, keys: Collection[str], course: Course) -> None:
        """Note that keys are loaded without L2."""
        course.alone.update(keys)
        self._t.counters.loads_alone += len(keys)

    def _found(
        self, frames: Mapping[str, bytes], errand: Errand, asked_ns: int, since: int
    ) -> dict[str, Loaded]:
        """Return the values that another process has stored meanwhile, as far as they serve."""
        terms = errand.terms
        readings = {key: self._keeper.read(key, frame, terms) for key, frame in frames.items()}
        if any(reading.stamps or errand.taggings(key).digests for key, reading in readings.items()):
            try:
                readings = self._t.tags.verified(
                    readings, errand.taggings, terms.level, {}, since
                )
            except StoreUnavailable as error:
                self._t.incidents.l2_failed(error)
                return {}
        found: dict[str, Loaded] = {}
        for key, reading in readings.items():
            if reading.times is not None and reading.word is not L2Word.ABSENT:
                self._keeper.keep(key, reading, reading.times, asked_ns, since, terms)
                if reading.rest_ms:
                    self._t.rests.note([key], asked_ns + reading.rest_ms * _NS_PER_MS)
                else:
                    self._t.rests.end([key])
                value, negative, times = reading.value, reading.negative, reading.times
                since_ns = times.fresh_until_ns if reading.word is L2Word.STALE else None
                valid_at_ns, tags = asked_ns, errand.taggings(key).digests
                if reading.stamps and terms.level is _EVENTUAL:
                    # What is remembered of its tags may be as old as that.
                    valid_at_ns -= self._t.session.max_staleness_ns
                found[key] = Loaded(
                    value, negative, -1, valid_at_ns, stale_since_ns=since_ns, digests=tags
                )
        return found

    def _pause_s(self, waits: int) -> float:
        """Return how long to wait at the most before L2 is asked again.

        Where there is a feed, it tells of the end of another's load, and asking is only the net.
        """
        session = self._t.session
        told = session.mode is CoherenceMode.FEED and self._t.now_ns() < session.live_until_ns
        first_s, last_s = _TOLD_PAUSES_S if told else _ASKING_PAUSES_S
        return min(first_s * 2.0**waits, last_s)

    def _wait(self, keys: Sequence[str], timeout_s: float, since: int) -> None:
        """Wait until one of the keys changes, unless it did already since that moment."""
        self._t.counters.lease_waits += 1
        signal = self._t.watch.expect(keys)
        try:
            if not self._t.table.dropped_since(since, *keys):
                signal.wait(timeout_s)
        finally:
            self._t.watch.dismiss(keys, signal)

    # -- the load ----------------------------------------------------------------------------

    def _load(
        self, tokens: Mapping[str, bytes], errand: Errand, course: Course
    ) -> dict[str, Loaded]:
        """Load the keys that are leased, and store what comes back.

        However the load ends, leases that did not become values are given back.
        """
        leases = [(self._t.names.entry(key), token) for key, token in tokens.items() if token]
        self._t.heart.hold(leases, course.until_ns)
        try:
            tagged = errand.taggings is not untagged
            before = self._before(tokens, errand, course) if tagged else None
            since = self._t.table.moment() if before is None else before.since
            notes = errand.notes(self._t.now_ns)
            began_ns, values = self._call(list(tokens), errand, notes, course)
            cost_ns = self._t.now_ns() - began_ns
            self._t.rests.end(tokens)
            # Without leases, one that is late may end after one that began when it was over.
            newest = course.until_ns is not None and not course.is_late
            run = Run(began_ns, cost_ns, since, before, notes, newest)
            return self._storing.store(tokens, values, errand, run, course)
        except Exception as error:
            self.failed(list(tokens), error, errand)
            rest_ms = self._rest_ms(errand, error)
            self._storing.release(leases, course, rest_ms=rest_ms)
            raise
        except BaseException:
            rest_ms = self._rest_ms(errand, too_late(errand.terms)) if course.is_late else 0
            self._storing.give_back(leases, rest_ms=rest_ms)
            raise
        finally:
            self._t.heart.drop(leases)

    def failed(self, keys: Sequence[str], error: Exception, errand: Errand) -> None:
        """Note that a load has failed: the source is left alone for a while.

        A refresh that raised what `stale_on` does not mean has nobody to tell: the next callers
        have to wait for a load of their own, and are told. An earlier one, before the entry's end,
        is not repeated at once.
        """
        policy, in_background = errand.terms.policy, errand.refresh_within_ms is not None
        meant = policy.stale_on(error)
        if in_background or (meant and errand.stale_does):
            until_ns = self._t.now_ns() + policy.throttle_ns
            self._t.rests.note(keys, until_ns, barred=not meant)

    @staticmethod
    def _rest_ms(errand: Errand, error: Exception) -> int:
        """Return for how long other processes are to leave the source alone, too."""
        policy = errand.terms.policy
        if not errand.stale_does or isinstance(error, LoadShed) or not policy.stale_on(error):
            return 0
        return policy.throttle_ns // _NS_PER_MS

    def _before(
        self, tokens: Mapping[str, bytes], errand: Errand, course: Course
    ) -> Tagged | None:
        """Capture the versions of tags, where there are any and something can be stored."""
        taggings = [errand.taggings(key) for key in tokens]
        if all(tagging is UNTAGGED for tagging in taggings):
            return None
        policy = errand.terms.policy
        longest_ns = max(policy.ttl_ns, policy.negative_ns or 0) + policy.stale_ns
        if course.alone.issuperset(tokens) or self._storing.is_too_slow(course):
            return Tagged({}, longest_ns, self._t.table.moment(), self._t.now_ns(), 0)
        with course.allowance:
            return self._t.tags.before_load(taggings, longest_ns)

    def _call(
        self, keys: Sequence[str], errand: Errand, notes: LoadNotes, course: Course
    ) -> tuple[int, Mapping[str, Any]]:
        turn, wait_s = current_turn(), self._t.load_wait_ns / _NS_PER_S
        gated = not turn.is_lent and self._t.gate.enter(wait_s, turn)
        if not gated and turn.is_missed():
            self._t.incidents.shed(wait_s)
            raise LoadShed(
                f"{wait_s:g} s went by without a free load slot: the "
                "source is slower than the demand (max_loads, load_wait; stale_ttl would serve)"
            )
        counters, began_ns, error = self._t.counters, self._t.now_ns(), ""
        if course.is_late:
            if gated:
                self._t.gate.leave()
            raise too_late(errand.terms)
        counters.loads += 1
        try:
            if self._t.observing.spans.opener is None:
                found = errand.load(keys, notes)
            else:
                with self._t.observing.spans("load", keys=keys):
                    found = errand.load(keys, notes)
            values, kept = notes.resolved(found)
            counters.not_modified += kept
            return began_ns, values
        except BaseException as raised:
            counters.load_errors += 1
            error = type(raised).__qualname__
            raise
        finally:
            notes.finish()
            taken_ns = self._t.now_ns() - began_ns
            counters.load_ns += taken_ns
            self._t.observing.loaded(keys, taken_ns, error)
            if gated:
                self._t.gate.leave()

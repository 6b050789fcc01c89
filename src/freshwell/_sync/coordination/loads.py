"""Load values from the source: under a lease, under the cap, and stored only while they stand.

This is what the leader of a flight does. The order is the contract's: lease, load, fill, L1.
A value is stored only where the lease it was loaded under still stands, so nothing loaded
before an invalidation can be stored after it.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from freshwell._sync.coordination.filling import Brought, Filling, Loaded
from freshwell._sync.coordination.keeper import Keeper, Tiers
from freshwell._sync.coordination.tags import Tagged
from freshwell._sync.stores.base import Acquired, Grant
from freshwell.engines.loading import LoadNotes
from freshwell.engines.lookups import as_lookup
from freshwell.engines.session import CoherenceMode
from freshwell.engines.shelf import Reading, Terms
from freshwell.errors import LoadShed, LoadTimeout, StoreUnavailable
from freshwell.ground.frame import identity_of
from freshwell.ground.plan import L2Word, ReadLevel
from freshwell.ground.tags import UNTAGGED, Tagging
from freshwell.typing import Lookup

__all__ = ["Errand", "Load", "Loads", "too_late", "untagged"]

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_MAX_USELESS = 4
_TOLD_PAUSES_S = (0.25, 1.0)
_ASKING_PAUSES_S = (0.02, 0.1)

Load = Callable[[Sequence[str], LoadNotes], Mapping[str, Any]]
"""A loader of many keys at once. Keys that it leaves out do not exist in the source."""


def untagged(name: str) -> Tagging:
    """Return what tags an entry has where none are given: none."""
    return UNTAGGED


NOTHING = Loaded(None, False, -1, -1, found=False)
"""A refresh that somebody else is doing already."""


@dataclass(slots=True)
class Errand:
    """What a flight's leader is to do.

    - `load`: asks the source. `taggings`: the tags of each entry.
    - `old`: what its caller has seen of the entries, as far as there is anything.
    - `nested`: the caller is itself a loader, whose slot covers this.
    - `forced`: load even where a tier has a fresh value.
    - `refresh_within_ms`: replace values with at most this much freshness left (None: a
      foreground load, which waits where another process is loading; a refresh gives up).
    """

    load: Load
    terms: Terms
    taggings: Callable[[str], Tagging] = untagged
    old: Mapping[str, Reading] = field(default_factory=dict)
    nested: bool = False
    forced: bool = False
    refresh_within_ms: int | None = None

    @property
    def stale_does(self) -> bool:
        """Tell whether an entry past its TTL may be brought while its source is left alone."""
        return self.terms.policy.stale_ns > 0 and not self.forced

    def notes(self) -> LoadNotes:
        """Return what is to be told to the loader, and by it."""
        return LoadNotes(
            self.terms.policy, self._previous, lambda name: bool(self.taggings(name).computed)
        )

    def _previous(self, name: str) -> Lookup | None:
        reading = self.old.get(name)
        return None if reading is None else as_lookup(reading)


class Loads:
    """Does errands. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper) -> None:
        self._t = tiers
        self._keeper = keeper
        self._filling = Filling(tiers, keeper)

    def do(self, keys: Sequence[str], errand: Errand) -> dict[str, Loaded]:
        """Return a value for each key: found in L2, loaded here, or loaded by another process.

        Raises what the loader raises, `LoadShed`, `LoadTimeout`, and `CodecError` for a value that
        cannot be written. L2's failures are not raised: the load then goes without a lease, and its
        value is kept nowhere.
        """
        results = self._look_again(keys, errand)
        todo, waits = [key for key in keys if key not in results], 0
        useless: dict[bytes, bytes] = {}
        until_ns = self._until_ns(errand)
        while todo:
            if self._is_over(until_ns):
                raise too_late(errand.terms)
            since, held_ms = self._t.table.moment(), 0
            if self._t.store.shared:
                leases, held_ms = self._acquire(todo, errand, results, since, useless)
            else:
                leases = dict.fromkeys(todo, b"")
            if leases:
                results.update(self._load(leases, errand, until_ns))
            todo = [key for key in todo if key not in results]
            if todo and errand.refresh_within_ms is not None:
                return results | dict.fromkeys(todo, NOTHING)
            if todo:
                self._wait(todo, min(held_ms / 1_000, self._pause_s(waits)), since)
                waits += 1
        return results

    def _look_again(self, keys: Sequence[str], errand: Errand) -> dict[str, Loaded]:
        """Judge L1 once more: an earlier flight may have filled it before this one began."""
        if errand.forced or errand.terms.level is not ReadLevel.EVENTUAL:
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
                    if fresh and table.is_current(entry, errand.taggings(key).digests):
                        seen_ns = now_ns - self._t.session.max_staleness_ns
                        found[key] = Loaded(value, negative, -1, seen_ns)
        return found

    # -- leases ------------------------------------------------------------------------------

    def _acquire(
        self,
        keys: Sequence[str],
        errand: Errand,
        results: dict[str, Loaded],
        since: int,
        useless: dict[bytes, bytes],
    ) -> tuple[dict[str, bytes], int]:
        """Ask for the leases. Returns the tokens granted, by key (empty: load without a lease).

        Values found on the way go to `results`, those of no use to `useless`; the second part
        of the answer is how long the shortest lease of another process still stands, in
        milliseconds.
        """
        leases: dict[str, bytes] = {}
        held_ms, todo = 2**31, list(keys)
        for _ in range(_MAX_USELESS):
            if not todo:
                break
            asked_ns, frames = self._t.now_ns(), {}
            for key, answer in zip(todo, self._ask(todo, errand, useless), strict=True):
                if answer.grant is Grant.HELD:
                    held_ms = min(held_ms, max(1, answer.left_ms))
                elif answer.grant is not Grant.FRESH:
                    leases[key] = answer.token
                elif answer.frame is not None:
                    frames[key] = answer.frame
            results.update(self._found(frames, errand, asked_ns, since))
            # What is stored is of no use: it is asked again, and said which value that is.
            todo = [key for key in frames if key not in results]
            useless.update((self._t.names.entry(key), identity_of(frames[key])) for key in todo)
        return leases | dict.fromkeys(todo, b""), held_ms

    def _ask(
        self, keys: Sequence[str], errand: Errand, useless: Mapping[bytes, bytes]
    ) -> list[Acquired]:
        try:
            return self._t.store.acquire(
                [self._t.names.entry(key) for key in keys],
                fresh_beyond_ms=errand.refresh_within_ms or 0,
                forced=errand.forced,
                useless=useless,
                stale_does=errand.stale_does,
            )
        except StoreUnavailable as error:
            self._t.incidents.l2_failed(error)
            return [Acquired(Grant.GRANTED, b"")] * len(keys)

    def _found(
        self, frames: Mapping[str, bytes], errand: Errand, asked_ns: int, since: int
    ) -> dict[str, Loaded]:
        """Return the values that another process has stored meanwhile, as far as they serve."""
        terms = errand.terms
        readings = {key: self._keeper.read(key, frame, terms) for key, frame in frames.items()}
        if any(reading.stamps or errand.taggings(key).digests for key, reading in readings.items()):
            try:
                readings = self._t.tags.verified(readings, errand.taggings, terms.level, {})
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
                found[key] = Loaded(value, negative, -1, asked_ns, stale_since_ns=since_ns)
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
            if not any(self._t.table.dropped_since(since, key) for key in keys):
                signal.wait(timeout_s)
        finally:
            self._t.watch.dismiss(keys, signal)

    # -- the load ----------------------------------------------------------------------------

    def _load(
        self, tokens: Mapping[str, bytes], errand: Errand, until_ns: int | None
    ) -> dict[str, Loaded]:
        """Load the keys that are leased, and store what comes back.

        However the load ends, leases that did not become values are given back.
        """
        leases = [(self._t.names.entry(key), token) for key, token in tokens.items() if token]
        self._t.heart.hold(leases, until_ns)
        try:
            before = self._before(tokens, errand)
            since = self._t.table.moment() if before is None else before.since
            notes = errand.notes()
            began_ns, values = self._call(list(tokens), errand, notes, until_ns)
            cost_ns = self._t.now_ns() - began_ns
            self._t.rests.end(tokens)
            # Without leases, one that is late may end after one that began when it was over.
            newest = until_ns is not None and not self._is_over(until_ns)
            brought = Brought(values, notes, began_ns, cost_ns, since, before, newest)
            return self._filling.store(tokens, brought, errand.terms, errand.taggings)
        except Exception as error:
            self.failed(list(tokens), error, errand)
            self._filling.release(leases, rest_ms=self._rest_ms(errand, error))
            raise
        except BaseException:
            late = too_late(errand.terms) if self._is_over(until_ns) else None
            rest_ms = 0 if late is None else self._rest_ms(errand, late)
            self._filling.give_back(leases, rest_ms=rest_ms)
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

    def _until_ns(self, errand: Errand) -> int | None:
        limit_ns = errand.terms.policy.limit_ns
        return None if limit_ns is None else self._t.now_ns() + limit_ns

    def _is_over(self, until_ns: int | None) -> bool:
        """Tell whether nobody waits any more: a thread cannot be cancelled."""
        return until_ns is not None and self._t.now_ns() >= until_ns

    def _before(self, tokens: Mapping[str, bytes], errand: Errand) -> Tagged | None:
        """Capture the versions of tags, where there are any and something can be stored."""
        taggings = [errand.taggings(key) for key in tokens]
        if all(tagging is UNTAGGED for tagging in taggings):
            return None
        policy = errand.terms.policy
        longest_ns = max(policy.ttl_ns, policy.negative_ns or 0) + policy.stale_ns
        return self._t.tags.before_load(taggings, longest_ns)

    def _call(
        self, keys: Sequence[str], errand: Errand, notes: LoadNotes, until_ns: int | None
    ) -> tuple[int, Mapping[str, Any]]:
        gated, wait_s = not errand.nested, self._t.load_wait_ns / _NS_PER_S
        if gated and not self._t.gate.enter(wait_s):
            self._t.incidents.shed(wait_s)
            raise LoadShed(
                f"{wait_s:g} s went by without a free load slot: the "
                "source is slower than the demand (max_loads, load_wait; stale_ttl would serve)"
            )
        counters, began_ns, error = self._t.counters, self._t.now_ns(), ""
        if self._is_over(until_ns):
            if gated:
                self._t.gate.leave()
            raise too_late(errand.terms)
        counters.loads += 1
        try:
            with self._t.observing.spans("load", keys=keys):
                values, kept = notes.resolved(errand.load(keys, notes))
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


def too_late(terms: Terms) -> LoadTimeout:
    """Return the error for a load that took longer than it may."""
    limit_s = (terms.policy.limit_ns or 0) / _NS_PER_S
    return LoadTimeout(
        f"the load was not over after {limit_s:g} s: the source is slow (load_timeout; with "
        "stale_ttl an old value would be served)"
    )

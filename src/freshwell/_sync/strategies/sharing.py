"""Loads that callers share: who leads one, who rides along, and what they get where it fails."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Mapping, Sequence
from typing import Any

from freshwell._sync.coordination.errands import (
    Errand,
    Load,
    Loaded,
    Loader,
    Look,
    Taggings,
    alike,
    single,
    too_late,
    untagged,
)
from freshwell._sync.coordination.keeper import Tiers
from freshwell._sync.coordination.loads import Loads
from freshwell._sync.strategies.answers import LOAD_FAILED, Answers
from freshwell._sync.strategies.failsafe import FailSafe
from freshwell._kit.threads_flights import Announced, Crowded, Flights, Late
from freshwell.engines.shelf import Reading, Terms
from freshwell.errors import LoadShed, LoadTimeout
from freshwell.ground.plan import ReadLevel
from freshwell.ground.tags import Tagging

__all__ = ["ANY_TAG", "SharedLoads"]

_NS_PER_S = 1_000_000_000
_SOURCE = ReadLevel.SOURCE  # to look a member up costs Python 3.11 as much as a call

ANY_TAG = b""
"""The mark of a load whose tags follow from its value: it may come to have any."""


class SharedLoads:
    """Loads of one open cache for callers who wait. Safe for any number of tasks or threads.

    `flights` are those under way.
    """

    def __init__(
        self, tiers: Tiers, loads: Loads, safe: FailSafe, answers: Answers, most: int
    ) -> None:
        self._t = tiers
        self._loads = loads
        self._safe = safe
        self._answers = answers
        self.flights: Flights[Loaded] = Flights(most)

    def ride(
        self,
        key: str,
        loader: Loader,
        terms: Terms,
        tagging: Tagging,
        began_ns: int,
        *,
        counts: bool = False,
    ) -> Loaded | None:
        """Wait for a load that another caller has begun. None: there is none that serves this one.

        The short way of `load` for who has seen nothing that is stale: in a stampede that is
        everyone but one. `counts`: that it is a miss is known, and counted, by its end only; it may
        turn out to be a hit, if there was no load but a look that had something to `offer`.
        """
        serves = True
        try:
            loaded = self.flights.ride(key, marks=_marks(tagging), limit_s=_limit_s(terms))
            if loaded is not None and loaded.look is not None:
                serves = False
                if not self._shows(key, loaded, loaded.look, terms, tagging):
                    return None
                self._answers.plain(key)
                return loaded
            serves = loaded is not None and self._serves(loaded, terms, tagging, began_ns)
        except Exception as raised:  # noqa: BLE001 - raised again, if nothing is at hand
            error = self._timed_out(terms) if isinstance(raised, Late) else raised
            errand = Errand(single(key, loader), terms, alike(tagging))
            return self._instead([key], error, errand)[key]
        finally:
            if counts and serves:
                self._answers.missed([key])
        if loaded is None or not serves:
            return None
        self._safe.count_resting((loaded,))
        self._answers.loaded({key: loaded})
        return loaded

    def offer(
        self,
        announced: Announced[Loaded],
        value: Any,
        terms: Terms,
        tagging: Tagging,
        asked_ns: int,
        since: int,
    ) -> None:
        """Leave what a look has found to those who wait for it, where L1 does not have it for them.

        `asked_ns`, `since`: when it began, by the clock and by the table.
        """
        if announced.key not in self._t.table:
            look = Look(terms, tagging.digests, since)
            announced.instead = Loaded(value, False, -1, asked_ns, look=look)

    def _shows(self, key: str, found: Loaded, look: Look, terms: Terms, tagging: Tagging) -> bool:
        """Tell whether what another's look has found may be given to a caller who waited for it.

        It may where L1 might have answered with it now: so nothing of it was dropped since before
        L2 was asked, and the feed would have told. And where this caller's own look would have
        come to the same.
        """
        t, now_ns = self._t, self._t.now_ns()
        return (
            look.terms is terms
            and look.digests == tagging.digests
            and now_ns < t.session.live_until_ns
            and now_ns < t.session.cap_ns(found.valid_at_ns)
            and not t.table.dropped_since(look.since, key, *look.digests)
            and not t.spool.limit
            and not t.observing.traces.running
        )

    def load(
        self,
        keys: Sequence[str],
        load: Load,
        terms: Terms,
        taggings: Taggings,
        began_ns: int,
        old: Mapping[str, Reading],
        *,
        l2_spent_ns: int,
    ) -> dict[str, Loaded]:
        """Load; where that fails or takes too long, return what is stale, if that is allowed.

        `old` are the stale entries among them: those who have none cannot lose patience.
        """
        forced = terms.level is ReadLevel.SOURCE
        errand = Errand(
            load,
            terms,
            taggings,
            old,
            forced=forced,
            l2_spent_ns=l2_spent_ns,
        )
        soft_ns = terms.policy.soft_ns
        if soft_ns is not None and len(old) == len(keys):
            try:
                return self._or_what_is_stale(keys, errand, began_ns, soft_ns / _NS_PER_S)
            except Late:
                found = self._safe.fall_back(keys, terms, taggings, "load slow")
                if found is not None:
                    self._t.counters.soft_timeouts += 1
                    return found
        return self._or_what_is_stale(keys, errand, began_ns, None)

    def _or_what_is_stale(
        self, keys: Sequence[str], errand: Errand, began_ns: int, patience_s: float | None
    ) -> dict[str, Loaded]:
        """Load, and return what is stale instead of raising what `stale_on` means.

        Raises `Late` where `patience_s` is over.
        """
        try:
            return self._until_it_serves(keys, errand, began_ns, patience_s)
        except Late:
            raise
        except Exception as error:  # noqa: BLE001 - raised again, if nothing is at hand
            return self._instead(keys, error, errand)

    def _instead(
        self, keys: Sequence[str], error: Exception, errand: Errand
    ) -> dict[str, Loaded]:
        """Return what is stale instead of what a load has raised, or raise that."""
        terms = errand.terms
        if not self._safe.applies(terms) or not terms.policy.stale_on(error):
            raise error
        self._loads.failed(keys, error, errand)
        found = self._safe.fall_back(keys, terms, errand.taggings, LOAD_FAILED)
        if found is None:
            raise error
        if any(one.stale_since_ns is not None for one in found.values()):
            self._t.incidents.served_stale(error)
        return found

    def _until_it_serves(
        self, keys: Sequence[str], errand: Errand, began_ns: int, patience_s: float | None
    ) -> dict[str, Loaded]:
        """Share loads with other callers until each value is new enough for this one.

        A flight that was under way may bring a value loaded before an invalidation that this
        caller already knows of. The next flight begins after this call, so two rounds suffice.
        """
        results: dict[str, Loaded] = {}
        todo, terms, tagging = list(keys), errand.terms, errand.taggings
        while todo:
            loaded = self.fly(todo, errand, patience_s)
            results.update(loaded)
            todo = [k for k in todo if not self._serves(results[k], terms, tagging(k), began_ns)]
        self._safe.count_resting(results.values())
        self._answers.loaded(results)
        return results

    def fly(
        self,
        keys: Sequence[str],
        errand: Errand,
        patience_s: float | None = None,
        *,
        quiet: bool = False,
    ) -> dict[str, Loaded]:
        """Lead or join flights, for as long as the caller may wait; or lead a `quiet` one.

        Raises what the loads raise, `LoadTimeout`, `LoadShed`, and `Late` where `patience_s` is
        over.
        """
        tagged = errand.taggings
        try:
            return self.flights.run(
                keys,
                lambda led: self._loads.do(led, errand),
                marks=None if tagged is untagged else {key: _marks(tagged(key)) for key in keys},
                limit_s=_limit_s(errand.terms),
                patience_s=patience_s,
                quiet=quiet,
            )
        except Late as late:
            if late.goes_on:
                raise
            raise self._timed_out(errand.terms) from None
        except Crowded:
            self._t.incidents.shed(0)
            raise LoadShed(
                "too many loads with a time limit are under way already, late ones included "
                "(max_loads; stale_ttl would serve)"
            ) from None

    def _timed_out(self, terms: Terms) -> LoadTimeout:
        error = too_late(terms)
        error.__cause__ = None  # in place of `Late`, of which nobody need hear
        self._t.incidents.load_late((terms.policy.limit_ns or 0) / _NS_PER_S)
        return error

    def _serves(self, loaded: Loaded, terms: Terms, tagging: Tagging, began_ns: int) -> bool:
        """Tell whether a flight's value may be given to a caller who asked at `began_ns`.

        Of a tag that its leader did not name it is not known when it was invalidated.
        """
        if not loaded.found or not self._safe.accepts(loaded, terms):
            return False
        known, own = loaded.digests, tagging.digests
        if terms.level is _SOURCE or (own != known and not set(known).issuperset(own)):
            return loaded.began_ns >= began_ns
        if not self._t.store.shared:
            return True
        eventual = terms.level is ReadLevel.EVENTUAL
        allowed_ns = self._t.session.max_staleness_ns if eventual else 0
        return loaded.valid_at_ns >= began_ns - allowed_ns


def _marks(tagging: Tagging) -> tuple[bytes, ...]:
    return (*tagging.digests, ANY_TAG) if tagging.computed else tagging.digests


def _limit_s(terms: Terms) -> float | None:
    limit_ns = terms.policy.limit_ns
    return None if limit_ns is None else limit_ns / _NS_PER_S

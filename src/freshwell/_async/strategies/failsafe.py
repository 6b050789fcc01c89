"""When an entry past its TTL is served: at once, or only where its load fails or takes too long.

An entry is *stale* from the end of its TTL to the end of the caller's `stale_ttl`. Served it is

- at once, while it is loaded anew in the background (``stale_serve="refresh"``);
- at once and with no load, while its source is left alone, having failed (`stale_throttle`);
- after `load_soft_timeout`, while the load goes on;
- where the load raised what `stale_on` means, was shed, or took longer than `load_timeout`.

Before the last two the tiers are asked once more: what was invalidated during the load is not
served by anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from freshwell._async.coordination.errands import Loaded
from freshwell._async.coordination.keeper import Tiers
from freshwell._async.coordination.sights import Sights
from freshwell._async.strategies.answers import Answers
from freshwell.engines.gutter import GUTTER
from freshwell.engines.shelf import Reading, Terms
from freshwell.ground.plan import SERVING, L2Word, ReadLevel
from freshwell.ground.tags import Tagging

__all__ = ["FailSafe"]


class FailSafe:
    """Decides on stale entries of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, sights: Sights, answers: Answers) -> None:
        self._t = tiers
        self._sights = sights
        self._answers = answers

    def is_resting(self, key: str) -> bool:
        """Tell whether the source is left alone with an entry, having failed."""
        return self._t.rests.resting(key, self._t.now_ns())

    def serves_first(self, key: str, seen: Reading, terms: Terms) -> bool:
        """Tell whether what was seen is served before it is loaded anew, and count it then.

        It is past its TTL, or was kept while L2 is down: who has asked for that is served first.
        """
        if self._t.rests.barred(key):
            return False
        kept = seen.reason == GUTTER
        resting = not kept and self.is_resting(key)
        if not kept and not resting and not terms.policy.stale_first:
            return False
        self._answers.stale(seen)
        self._t.counters.stale_on_error += resting
        return True

    def accepts(self, loaded: Loaded, terms: Terms) -> bool:
        """Tell whether what a flight brought is not staler than its rider accepts."""
        since_ns = loaded.stale_since_ns
        return since_ns is None or self._t.now_ns() < since_ns + terms.policy.stale_ns

    def count_resting(self, results: Iterable[Loaded]) -> None:
        """Count what flights brought although it is stale: another process says that it rests."""
        for loaded in results:
            if loaded.stale_since_ns is not None:
                self._t.counters.stale_serves += 1
                self._t.counters.stale_on_error += 1

    def applies(self, terms: Terms) -> bool:
        """Tell whether a load on these terms may be answered by what is stale."""
        return terms.policy.stale_ns > 0 and terms.level is not ReadLevel.SOURCE

    async def fall_back(
        self,
        keys: Sequence[str],
        terms: Terms,
        taggings: Callable[[str], Tagging],
        reason: str,
    ) -> dict[str, Loaded] | None:
        """Return what the tiers have of the entries now, if they have all of them.

        `reason` is told to those who trace.
        """
        sights = await self._sights.many(keys, terms, taggings)
        if not all(step in SERVING for _, step in sights.values()):
            return None
        stale = [key for key, (seen, _) in sights.items() if seen.word is L2Word.STALE]
        for key in keys:
            seen, _ = sights[key]
            if key in stale:
                self._answers.stale(seen)
            self._answers.trace(key, seen, seen.tier, reason if key in stale else None)
        now_ns = self._t.now_ns()
        return {
            key: Loaded(
                seen.value,
                seen.negative,
                -1,
                now_ns,
                stale_since_ns=seen.times.fresh_until_ns if key in stale and seen.times else None,
            )
            for key, (seen, _) in sights.items()
        }

"""Values that were loaded while L2 was down, served for a short time until it is back.

Nothing tells this process of changes that others make meanwhile: a value here may be old for as
long as it is served, which is why nobody gets any unless the caller has set a time. What this
process changes itself, or still hears of, voids it at once: each value remembers the moment of
the L1 table before its load, and is compared with the drops since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from freshwell.engines.shelf import Reading
from freshwell.engines.table import Table
from freshwell.ground.freshness import Times
from freshwell.ground.plan import L2Word

__all__ = ["GUTTER", "Gutter"]

GUTTER = "gutter"
"""The reason of readings from here."""

_SHARE = 4


class _Kept(NamedTuple):
    """A value, the table's moment before it was loaded, and its tags by their digests."""

    value: Any
    since: int
    digests: tuple[bytes, ...]


class Gutter:
    """The values of one open cache. Thread-safe; bounded by a quarter of what L1 may take.

    `ttl_ns`: for how long a value is served after its load began. 0: nothing is kept.
    """

    def __init__(self, l1: Table, *, ttl_ns: int, now_ns: Callable[[], int]) -> None:
        self._l1 = l1
        self._ttl_ns = ttl_ns
        self._now_ns = now_ns
        self._kept = Table(
            max_entries=max(1, l1.max_entries // _SHARE),
            max_bytes=max(1, l1.max_bytes // _SHARE),
            now_ns=now_ns,
        )

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def is_used(self) -> bool:
        """Tell whether anything is ever kept."""
        return self._ttl_ns > 0

    def keep(
        self, key: str, draft: Reading, began_ns: int, since: int, digests: tuple[bytes, ...]
    ) -> None:
        """Keep a value whose load began at `began_ns`, and at the moment `since` of the table."""
        if not self.is_used or draft.times is None:
            return
        until_ns = min(began_ns + self._ttl_ns, draft.times.fresh_until_ns)
        self._kept.put(
            key,
            _Kept(draft.value, since, digests),
            calm_until_ns=until_ns,
            fresh_until_ns=until_ns,
            stale_until_ns=until_ns,
            born_ns=began_ns,
            cost_ns=draft.times.cost_ns,
            negative=draft.negative,
        )

    def get(self, key: str, digests: tuple[bytes, ...]) -> Reading | None:
        """Return a value that may be served now and has these tags, as stale. None: there is none.

        For readers who were told that L2 is down, and for no others.
        """
        entry = self._kept.get(key)
        if entry is None:
            return None
        kept, negative = entry.value, entry.negative
        until_ns = entry.fresh_until_ns  # deadlines after what is killed by them
        if not isinstance(kept, _Kept) or self._now_ns() >= until_ns:
            return None
        if self._is_void(key, kept) or not set(digests) <= set(kept.digests):
            return None
        times = Times(entry.born_ns, until_ns, until_ns, entry.cost_ns)
        return Reading(L2Word.STALE, kept.value, negative, times, GUTTER, tier="l1")

    def clear(self) -> None:
        """Forget everything: L2 is back."""
        if self.is_used:
            self._kept.clear()

    def _is_void(self, key: str, kept: _Kept) -> bool:
        return self._l1.dropped_since(kept.since, key, *kept.digests)

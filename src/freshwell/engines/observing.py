"""What of a cache can be observed, besides its counters. Outlives the homes it is open in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

from freshwell.engines.bus import Bus
from freshwell.engines.hot import HotKeys
from freshwell.engines.spans import Spans
from freshwell.engines.spread import Spreading
from freshwell.engines.tracing import Traces
from freshwell.ground.events import CoherenceChanged, Invalidated, InvalidationKind, LoadEnded
from freshwell.ground.keys import short_digest
from freshwell.ground.records import Backlog

__all__ = ["Observing"]

_NS_PER_S = 1_000_000_000
_MAX_SENT = 1_000


class Observing:
    """The ways to watch one cache. Thread-safe.

    - `bus`: what it tells. `spans`: where others put spans. `traces`: what served single reads.
    - `loads`: how long loaders took. `notices`: how long after it was sent an invalidation of
      this process's came back to it from the feed.
    - `hot`: the keys that were asked for most beyond L1.
    - `kinds`: how many names were invalidated, by how. `journals`: what waited in each when that
      was last asked.
    """

    __slots__ = (
        *("_namespace", "_sent_ns", "bus", "hot", "journals"),
        *("kinds", "loads", "notices", "spans", "traces"),
    )

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._sent_ns: dict[str, int] = {}
        self.bus = Bus()
        self.spans = Spans()
        self.traces = Traces()
        self.loads = Spreading()
        self.notices = Spreading()
        self.hot = HotKeys()
        self.kinds: dict[str, int] = dict.fromkeys(get_args(InvalidationKind), 0)
        self.journals: dict[str, Backlog] = {}

    def loaded(self, names: Sequence[str], taken_ns: int, error: str) -> None:
        """Note that a loader has come to its end."""
        self.loads.add(taken_ns)
        if self.bus.heard:
            keys = tuple(map(short_digest, names))
            self.bus.tell(LoadEnded(self._namespace, keys, taken_ns / _NS_PER_S, error))

    def invalidated(self, kind: InvalidationKind, count: int) -> None:
        """Note that L2 has confirmed an invalidation."""
        self.kinds[kind] += count
        if self.bus.heard:
            self.bus.tell(Invalidated(self._namespace, kind, count))

    def sent(self, names: Iterable[str], now_ns: int) -> None:
        """Note that entries are being invalidated: the feed will tell of them."""
        for name in names:
            if len(self._sent_ns) >= _MAX_SENT:
                return
            self._sent_ns[name] = now_ns

    def noticed(self, names: Iterable[str], now_ns: int) -> None:
        """Note that the feed has told of entries."""
        if self._sent_ns:
            for name in names:
                sent_ns = self._sent_ns.pop(name, None)
                if sent_ns is not None:
                    self.notices.add(now_ns - sent_ns)

    def restarted(self) -> None:
        """Note that the feed begins anew: of what was sent before it will tell nothing."""
        self._sent_ns.clear()

    def coherence(self, mode: str, *, live: bool) -> None:
        """Note that L1 learns of invalidations in another way, or not for the moment."""
        if self.bus.heard:
            self.bus.tell(CoherenceChanged(self._namespace, mode, live))

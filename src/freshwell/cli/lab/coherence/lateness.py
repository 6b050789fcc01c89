"""How late the last stale reads came: quantiles and a histogram."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from freshwell.cli.lab.runner import quantiles

__all__ = ["Bucket", "Lateness"]

_NS_PER_MS: Final = 1_000_000
_EDGES_MS: Final = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000)


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many invalidations had their last stale read so late."""

    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Lateness:
    """Invalidations of one kind: from the ack of each to its last stale read, 0 where none."""

    kind: str
    late_ns: Sequence[int]
    max_staleness_ns: int

    @property
    def p50_ms(self) -> float:
        return self._quantile(0.5)

    @property
    def p99_ms(self) -> float:
        return self._quantile(0.99)

    @property
    def max_ms(self) -> float:
        return max(self.late_ns, default=0) / _NS_PER_MS

    @property
    def beyond(self) -> int:
        """How many were later than `max_staleness`: there must be none."""
        return sum(late > self.max_staleness_ns for late in self.late_ns)

    def histogram(self) -> list[Bucket]:
        """Return all buckets, the empty ones too; the last one is beyond `max_staleness`."""
        most_ms = self.max_staleness_ns / _NS_PER_MS
        edges = [edge for edge in _EDGES_MS if edge < most_ms] + [most_ms]
        counts = [0] * (len(edges) + 1)
        for late in self.late_ns:
            if late:
                counts[bisect_left(edges, late / _NS_PER_MS)] += 1
        labels = [f"up to {_shown(edges[0])}"]
        labels += [f"{_shown(low)} - {_shown(high)}" for low, high in pairwise(edges)]
        labels.append(f"over {_shown(edges[-1])}")
        none = Bucket("none", sum(not late for late in self.late_ns))
        return [none, *map(Bucket, labels, counts)]

    def _quantile(self, share: float) -> float:
        return quantiles(Counter(self.late_ns), (share,))[0] / _NS_PER_MS


def _shown(ms: float) -> str:
    return f"{ms:g} ms" if ms < 1_000 else f"{ms / 1_000:g} s"

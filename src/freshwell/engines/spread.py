"""How long things took: counts of times between fixed bounds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["BOUNDS_S", "Spread", "Spreading"]

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NS_PER_S = 1_000_000_000
_BOUNDS_NS = tuple(int(bound * _NS_PER_S) for bound in BOUNDS_S)


class Spread(NamedTuple):
    """Times as they were spread at one instant.

    `counts` has one number more than `bounds_s`: times up to each bound and above the one before
    it, and those above the last.
    """

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    total_s: float

    @property
    def times(self) -> int:
        """How many times there were."""
        return sum(self.counts)


class Spreading:
    """Counts times. Not locked: under many threads it may miss a few, as counters do."""

    __slots__ = ("_counts", "_total_ns", "listener")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_NS) + 1)
        self._total_ns = 0
        self.listener: Callable[[float], None] | None = None
        """Is told each time too, in seconds. It must not wait, nor raise."""

    def add(self, taken_ns: int) -> None:
        """Count one time."""
        self._counts[bisect_left(_BOUNDS_NS, taken_ns)] += 1
        self._total_ns += taken_ns
        if self.listener is not None:
            self.listener(taken_ns / _NS_PER_S)

    def now(self) -> Spread:
        """Return the counts as they are."""
        return Spread(BOUNDS_S, tuple(self._counts), self._total_ns / _NS_PER_S)

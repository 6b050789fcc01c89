"""How long L2 may keep one read in all, whatever each of its answers takes."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Allowance"]


class Allowance:
    """The time that is left for L2's part of one load. Used by one task or thread.

    ``with allowance:`` around each call of L2 takes from it what the call lasts. A call that has
    begun is not ended by it: each has a limit of its own.
    """

    __slots__ = ("_began_ns", "_left_ns", "_now_ns")

    def __init__(self, left_ns: int, now_ns: Callable[[], int]) -> None:
        self._left_ns = left_ns
        self._now_ns = now_ns
        self._began_ns = 0

    @property
    def is_used_up(self) -> bool:
        """Tell whether L2 is not to be asked any more."""
        return self._left_ns <= 0

    def __enter__(self) -> None:
        self._began_ns = self._now_ns()

    def __exit__(self, *_: object) -> None:
        self._left_ns -= self._now_ns() - self._began_ns

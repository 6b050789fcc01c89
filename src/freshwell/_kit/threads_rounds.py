"""What many threads ask for, each by itself (threads).

A thread that waits to be woken by another pays more for that than it saves by company: so there
is none.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

__all__ = ["Rounds"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")


class Rounds(Generic[K, T, R]):
    """Work that costs little more for many things than for one.

    `work` is given a key and things that were asked for under it, and returns a result for each,
    or the error to raise there.
    """

    def __init__(self, work: Callable[[K, Sequence[T]], Sequence[R | Exception]]) -> None:
        self._work = work
        self.joining = 0
        """How many wait for others: none."""

    def run(self, key: K, thing: T) -> R:
        """Return the result for a thing, or raise what the work raises."""
        (own,) = self._work(key, (thing,))
        if isinstance(own, Exception):
            raise own
        return own

    join = run

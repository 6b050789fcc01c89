"""What follows from something else, remembered for those that are asked for again and again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, TypeVar

__all__ = ["Memo"]

K = TypeVar("K")
V = TypeVar("V")

_PATIENCE: Final = 4


class Memo(dict[K, V]):
    """A dictionary of `most` items at the most: `get` looks one up, `keep` adds what was not there.

    Once it is full it takes up nothing for a while, and then begins anew. So where far more are
    asked for than it has room for, what is worked out each time is at least not remembered in
    vain: to take it up and to let it go costs about as much as to work it out.

    As safe for threads as a dictionary; they may keep some items too many.
    """

    __slots__ = ("_most", "_refused")

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._refused = 0

    def keep(self, key: K, value: V) -> V:
        """Remember an item if there is room, or one under its key, and return its value."""
        if len(self) < self._most or key in self:
            self[key] = value
            return value
        self._refused += 1
        if self._refused > _PATIENCE * self._most:
            self.clear()
            self._refused = 0
        return value

    def keep_many(self, keys: Sequence[K], values: Iterable[V]) -> None:
        """Remember many items at once: where there is no room for all of them, it begins anew."""
        if len(self) + len(keys) > self._most:
            self.clear()
        self.update(islice(zip(keys, values, strict=True), self._most))

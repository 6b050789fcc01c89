"""Which keys and tags were dropped, and when, so that a fill can tell whether it was overtaken.

A value that was read before an invalidation must not be stored after it. So whoever is going
to fill notes the moment first and reads then; and a drop of the key since that moment voids
the fill, whichever way the read and the invalidation overtake each other.

Moments are counted in drops, of one key or of some together, which costs a fill nothing but
reading an integer. Only the latest drops are remembered, in two generations of which the older is
forgotten as a whole: a fill that is older than what is forgotten counts as overtaken.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["MOST_AT_ONCE", "Drops"]

Name = str | bytes
"""An entry, or the digest of a tag."""

_LIMIT = 8_192
"""How many drops a generation has: so many are remembered at least, and about twice at most."""

MOST_AT_ONCE = 256
"""How many keys are dropped together at the most."""


class Drops:
    """The latest drops by key or tag. `note` and `note_all` may even interrupt each other.

    `count`: how many there were, which is the present moment. Reading it needs no lock.
    """

    __slots__ = ("_aged", "_forgotten", "_old", "_young", "count")

    def __init__(self) -> None:
        self.count = 0
        self._forgotten = 0
        self._aged = 0
        self._young: dict[Name, int] = {}
        self._old: dict[Name, int] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def note(self, key: Name) -> None:
        """Note that a key is dropped now."""
        self.count += 1
        self._young[key] = self.count
        if len(self._young) >= _LIMIT:
            self._age()

    def note_many(self, keys: Sequence[Name]) -> None:
        """Note that these keys are dropped now, at one moment: `MOST_AT_ONCE` at the most."""
        self.count += 1
        self._young.update(dict.fromkeys(keys, self.count))
        if len(self._young) >= _LIMIT:
            self._age()

    def note_all(self) -> None:
        """Note that every key is dropped now."""
        young: dict[Name, int] = {}
        old: dict[Name, int] = {}
        self.count += 1
        self._forgotten = self.count
        self._young = young
        self._old = old

    def overtook(self, since: int, key: Name) -> bool:
        """Tell whether `key` was dropped after the moment `since`, or may have been."""
        if since >= self.count:
            return False  # as most often: nothing was dropped at all
        return (
            since < self._forgotten
            or self._young.get(key, 0) > since
            or self._old.get(key, 0) > since
        )

    def check(self) -> None:
        """Raise `AssertionError` where what is remembered contradicts itself."""
        for drops in (self._young, self._old):
            assert len(drops) < _LIMIT + MOST_AT_ONCE, f"{len(drops)} drops are in one generation"
            assert all(moment <= self.count for moment in drops.values())
        assert all(moment <= self._aged for moment in self._old.values()), "an old drop is young"
        assert self._forgotten <= self.count, "the future is forgotten"

    def _age(self) -> None:
        """Forget the older generation."""
        fresh: dict[Name, int] = {}
        forgotten = max(self._forgotten, self._aged)
        # Whatever has interrupted this has done it by now; from here on nothing can.
        if len(self._young) < _LIMIT:
            return
        self._forgotten = forgotten
        self._aged = self.count
        self._old = self._young
        self._young = fresh

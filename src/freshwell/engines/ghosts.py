"""Remember for a while which keys were evicted, and from where, in 16 to 32 bytes each.

A table of machine words without chains: a word holds 39 bits of the key's hash, which of two
origins the key left, and when. A newer ghost takes the place of an older one that wants the
same word, so some are forgotten early. That costs a policy a little foresight, never more.
"""

from __future__ import annotations

from array import array

__all__ = ["Ghosts"]

_TIME_BITS = 24
_TIME_MASK = (1 << _TIME_BITS) - 1
_HASH_BITS = 63 - _TIME_BITS
_HASH_MASK = (1 << _HASH_BITS) - 1
_HASH_AT = _TIME_BITS + 1
_FEWEST_WORDS = 256
_WORDS_PER_ENTRY = 2


class Ghosts:
    """The keys evicted lately, by origin 0 or 1. Not thread-safe: the table's lock guards it.

    Time is counted per origin, in evictions from there.
    """

    __slots__ = ("_mask", "_now", "_words")

    def __init__(self) -> None:
        self._words = array("Q", bytes(8 * _FEWEST_WORDS))
        self._mask = _FEWEST_WORDS - 1
        self._now = [0, 0]

    def add(self, key: str, origin: int, entries: int) -> None:
        """Remember that `key` was evicted from `origin`. `entries`: how many the table holds.

        Amortised O(1): the table of words doubles when the entries have.
        """
        if entries * _WORDS_PER_ENTRY > len(self._words):
            self._grow(entries)
        now = self._now[origin] = (self._now[origin] + 1) & _TIME_MASK
        mark = hash(key) & _HASH_MASK
        self._words[mark & self._mask] = mark << _HASH_AT | origin << _TIME_BITS | now

    def take(self, key: str, newest: int) -> int | None:
        """Forget `key`, and return its origin if it was among the `newest` ones from there."""
        mark = hash(key) & _HASH_MASK
        at = mark & self._mask
        word = self._words[at]
        if not word or word >> _HASH_AT != mark:
            return None
        self._words[at] = 0
        origin = word >> _TIME_BITS & 1
        age = self._now[origin] - word & _TIME_MASK
        return origin if age < newest else None

    def _grow(self, entries: int) -> None:
        size = 1 << (entries * _WORDS_PER_ENTRY).bit_length()
        old, self._words, self._mask = self._words, array("Q", bytes(8 * size)), size - 1
        for word in old:
            if word:
                self._words[word >> _HASH_AT & self._mask] = word
